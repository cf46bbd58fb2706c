//! The reports of a run, written at its end.
//!
//! Lives here: what keeps one from being written, and that none stays on the disk which says less than the exit code. Does not: how
//! each of them looks (`report`).

use super::Refusal;
use super::sink::Sink;
use super::written::Written;
use crate::files::{self, FileError};
use crate::host;
use crate::outcome::{self, Ending, Event, Outcome, Record};
use crate::report::{self, Kind, Told};
use crate::secret::{Mask, Masked};
use std::cell::{Cell, RefCell};
use std::path::Path;
use std::rc::Rc;

/// The report that is the record itself.
const RECORD: &str = "jsonl";
/// A record that somebody changes again and again is written anew no more than so often.
const MOST_RECORD_TROUBLES: u8 = 3;

/// The reports that were asked for, and what they are made of.
pub(super) struct Reports<'a> {
    folder: &'a Path,
    written: &'a Written,
    sink: &'a Sink,
    mask: &'a Mask,
    /// Those that could be written so far.
    kinds: RefCell<Vec<&'static Kind>>,
    /// How often the record was not what it should have been.
    record_troubles: Cell<u8>,
    has_noted_signal: Cell<bool>,
    /// How many records the reports on the disk tell of.
    told: Cell<usize>,
    /// What was taken when it was last asked for.
    recorded: RefCell<Option<Rc<Recorded>>>,
}

impl<'a> Reports<'a> {
    /// The reports of these names, or all of them if none is named.
    pub(super) fn new(
        (folder, asked): (&'a Path, &[String]),
        written: &'a Written,
        (sink, mask): (&'a Sink, &'a Mask),
    ) -> Self {
        let is_asked = |kind: &&Kind| asked.is_empty() || asked.iter().any(|name| name == kind.name);
        let kinds = report::KINDS.iter().filter(|kind| kind.name != RECORD).filter(is_asked).collect();
        Self {
            folder,
            written,
            sink,
            mask,
            kinds: RefCell::new(kinds),
            record_troubles: Cell::new(0),
            has_noted_signal: Cell::new(false),
            told: Cell::new(0),
            recorded: RefCell::new(None),
        }
    }

    /// Writes every report. What keeps one from it is no refusal any more, for something was run: the run ends in 6, which every
    /// other report says too, so they are written until nothing more comes in between. A report that is lost is not tried
    /// again.
    pub(super) fn write(&self) -> Result<Outcome, Refusal> {
        loop {
            self.keep_record();
            let recorded = self.recorded()?;
            self.kinds.borrow_mut().retain(|kind| self.is_written(kind, &recorded));
            self.search();
            self.told.set(recorded.records.len());
            if self.sink.count() == recorded.records.len() {
                self.recorded.take();
                return Ok(Rc::unwrap_or_clone(recorded).outcome);
            }
        }
    }

    /// The reports once more, if anything was taken or lost since they told of this outcome.
    pub(super) fn renewed(&self, outcome: Outcome) -> Result<Outcome, Refusal> {
        let count = self.told.get();
        self.keep_record();
        if self.sink.count() == count { Ok(outcome) } else { self.write() }
    }

    /// The first signal that asked the run to stop is one of its endings.
    pub(super) fn note_signal(&self, signal: Option<u8>) {
        if let Some(number) = signal.filter(|_| !self.has_noted_signal.get()) {
            self.has_noted_signal.set(true);
            let why = Masked::fixed("a signal asked muster to stop");
            self.sink.take(Event::Applied { ending: Ending::of_signal(number), why });
        }
    }

    /// All that was taken up to now.
    pub(super) fn recorded(&self) -> Result<Rc<Recorded>, Refusal> {
        let known = self.recorded.take().filter(|known| known.records.len() == self.sink.count());
        let recorded = known.map_or_else(|| Recorded::of(self.sink).map(Rc::new), Ok)?;
        self.recorded.replace(Some(recorded.clone()));
        Ok(recorded)
    }

    /// Something was not written whole: the run ends so.
    pub(super) fn unrecorded(&self, why: &str) {
        let why = self.mask.mask(why);
        host::tell(&format!("error: {why}\n"));
        self.sink.take(Event::Applied { ending: Ending::Unrecorded, why });
    }

    /// The record was written as things happened. If that went wrong, or a secret stands in it, it is written anew from memory,
    /// and if that is impossible too, as much of it is kept as leaves room for saying so.
    pub(super) fn keep_record(&self) {
        match self.sink.kept() {
            Ok(None) => return,
            Ok(Some(bytes)) if !self.mask.hides_in(&String::from_utf8_lossy(&bytes)) => return,
            Ok(Some(_)) => {}
            Err(refusal) => {
                self.unrecorded(refusal.said());
                self.record_troubles.set(self.record_troubles.get() + 1);
            }
        }
        // What is masked anew is another text.
        self.recorded.take();
        let is_worth_it = self.record_troubles.get() <= MOST_RECORD_TROUBLES;
        let anew = if is_worth_it { self.sink.write_anew(self.mask) } else { self.sink.cut_to_fit() };
        if let Err(refusal) = anew {
            self.unrecorded(refusal.said());
            self.give_record_up();
        }
    }

    fn give_record_up(&self) {
        if let Err(refusal) = self.sink.cut_to_fit() {
            self.unrecorded(refusal.said());
        }
    }

    /// Writes a report, and tells whether that went well. What stood there before says less than the run's end: it does not stay.
    fn is_written(&self, kind: &Kind, recorded: &Recorded) -> bool {
        let told = Told { outcome: &recorded.outcome, records: &recorded.records };
        let path = self.folder.join(kind.file);
        self.written.note(path.clone());
        let Err(error) = report::write(kind, &told, self.folder) else { return true };
        self.unrecorded(&error.to_string());
        let is_gone = !path.is_file() || files::remove(&path).is_ok() || files::empty(&path).is_ok();
        if !is_gone {
            self.unrecorded(&format!("{} stays, and says less than how this run ended", path.display()));
        }
        false
    }

    /// Searches what was written for secrets. A report that is removed for one is lost, and so is the record.
    fn search(&self) {
        for (path, why) in self.written.unfit(self.mask) {
            self.kinds.borrow_mut().retain(|kind| self.folder.join(kind.file) != path);
            self.unrecorded(&why);
            // Its last line is what was just said: a record that could not be removed is cut and ends so.
            if path == self.sink.path() {
                self.give_record_up();
            }
        }
    }
}

/// All that was taken up to a moment, and what it amounts to.
#[derive(Clone)]
pub(super) struct Recorded {
    records: Vec<Record>,
    pub(super) outcome: Outcome,
}

impl Recorded {
    fn of(sink: &Sink) -> Result<Self, Refusal> {
        let records = sink.records();
        let outcome = outcome::fold(&records).ok_or_else(|| Refusal::new("the run was not recorded"))?;
        Ok(Self { records, outcome })
    }
}

/// Removes the reports of an earlier run, except where another one is at work: what this one does not write, or does not come to
/// write, would be taken for its own.
pub(super) fn forget_earlier(folder: &Path) -> Result<(), FileError> {
    if files::is_locked(&folder.join(super::sink::RECORD)) {
        return Ok(());
    }
    let others = report::KINDS.iter().filter(|kind| kind.name != RECORD);
    let mut reports = others.map(|kind| folder.join(kind.file)).filter(|path| is_ours(path));
    reports.try_for_each(|path| files::remove(&path))
}

/// Whether a file seems to be a report of muster's: other tools have files of these names too.
fn is_ours(path: &Path) -> bool {
    path.is_file()
        && files::read_text(path).is_ok_and(|text| text.contains("muster") || text.contains("exit code"))
}
