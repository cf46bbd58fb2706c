//! Where events go: the record on disk, the console, and the memory from which reports are folded.

use super::Refusal;
use crate::files::{self, Appender, FileError, Mark};
use crate::outcome::{self, Event, Record};
use crate::report::Console;
use crate::secret::Mask;
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The record's file.
pub(super) const RECORD: &str = "run.jsonl";

/// Takes every event of a run.
pub(super) struct Sink {
    started: Instant,
    path: PathBuf,
    taken: RefCell<Taken>,
}

struct Taken {
    file: Option<Appender>,
    trouble: Option<FileError>,
    /// The record on disk is no longer written to.
    is_given_up: bool,
    /// How the record stood on disk, and how many were taken, when it was last found to be what was taken.
    compared: Option<(Mark, usize)>,
    records: Vec<Record>,
    console: Option<Console>,
}

impl Sink {
    /// A sink that writes `run.jsonl` in a folder.
    ///
    /// # Errors
    /// If it cannot be written, or another run writes its own there.
    pub(super) fn new(folder: &Path, console: Option<Console>) -> Result<Self, Refusal> {
        let path = folder.join(RECORD);
        if files::is_locked(&path) {
            return Err(Refusal::new(format!(
                "another run writes its reports into {}\nhint: --report-dir names another folder",
                folder.display()
            )));
        }
        files::remove(&path)?;
        let file = Some(locked(&path)?);
        let taken =
            Taken { file, trouble: None, is_given_up: false, compared: None, records: vec![], console };
        Ok(Self { started: Instant::now(), path, taken: RefCell::new(taken) })
    }

    /// Where the record is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Takes one event.
    pub(super) fn take(&self, event: Event) {
        let at_us = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
        let record = Record { at_us, event };
        let mut taken = self.taken.borrow_mut();
        taken.write(&record);
        if let Some(console) = &mut taken.console {
            console.take(&record);
        }
        taken.records.push(record);
    }

    /// Nothing more is told as it happens.
    pub(super) fn end_console(&self) {
        if let Some(mut console) = self.taken.borrow_mut().console.take() {
            console.finish();
        }
    }

    /// Everything taken so far.
    pub(super) fn records(&self) -> Vec<Record> {
        self.taken.borrow().records.clone()
    }

    /// How many were taken so far.
    pub(super) fn count(&self) -> usize {
        self.taken.borrow().records.len()
    }

    /// Masks once more what was taken before a secret was known: the code that another case is about to receive stands in
    /// an error, say. The record on disk becomes the masked one, whatever stood there.
    ///
    /// # Errors
    /// If it cannot be written: then nothing more is.
    pub(super) fn write_anew(&self, mask: &Mask) -> Result<(), Refusal> {
        let mut taken = self.taken.borrow_mut();
        taken.file = None;
        let masked = taken.records.iter().map(|record| outcome::masked_anew(record, mask));
        taken.records = masked.collect::<Result<_, _>>()?;
        files::write_whole(&self.path, taken.lines()?.as_bytes())?;
        taken.file = Some(locked(&self.path)?);
        Ok(())
    }

    /// Keeps as much of the record on disk as leaves room for the last thing that was taken: whoever reads it must not take it for the
    /// whole. Without any room it is removed. From now on nothing more is written to it.
    ///
    /// # Errors
    /// If it can be neither cut nor removed.
    pub(super) fn cut_to_fit(&self) -> Result<(), Refusal> {
        let mut taken = self.taken.borrow_mut();
        (taken.file, taken.is_given_up) = (None, true);
        if !self.path.is_file() {
            return Ok(());
        }
        let last = taken.records.last().map(outcome::line).transpose()?.unwrap_or_default();
        let mut ends = taken.ends_in(&files::read_bytes(&self.path)?)?;
        let mut file = Appender::open(&self.path)?;
        while let Some(end) = ends.pop() {
            file.cut(end)?;
            if file.append_durably(&last).is_ok() {
                return Ok(());
            }
        }
        Ok(files::remove(&self.path)?)
    }

    /// The record on disk, made durable; `None` if it was given up, or is what it was when it was last asked for.
    ///
    /// # Errors
    /// If it could not be written, now or earlier, or is not what was taken: somebody has changed it or taken it away.
    pub(super) fn kept(&self) -> Result<Option<Vec<u8>>, Refusal> {
        let mut taken = self.taken.borrow_mut();
        if taken.is_given_up {
            return Ok(None);
        }
        if let Some(Err(trouble)) = taken.file.as_mut().map(Appender::sync) {
            taken.stop_writing(trouble);
        }
        if let Some(trouble) = taken.trouble.take() {
            return Err(trouble.into());
        }
        // Another file, or what is none, may have no end.
        taken.file.as_ref().map_or(Ok(()), Appender::stands)?;
        let now = (files::mark(&self.path)?, taken.records.len());
        if taken.compared.as_ref() == Some(&now) {
            return Ok(None);
        }
        let bytes = files::read_bytes(&self.path)?;
        if bytes == taken.lines()?.as_bytes() {
            taken.compared = Some(now);
            return Ok(Some(bytes));
        }
        Err(Refusal::new(format!(
            "{} is not what was written there: somebody has changed it",
            self.path.display()
        )))
    }
}

/// The record, opened and kept from other runs.
fn locked(path: &Path) -> Result<Appender, FileError> {
    let file = Appender::open(path)?;
    file.lock()?;
    Ok(file)
}

impl Taken {
    /// After the first trouble nothing more is written: a record with a gap would lie.
    fn write(&mut self, record: &Record) {
        let Some(file) = &mut self.file else { return };
        let line = outcome::line(record).unwrap_or_default();
        if let Err(trouble) = file.append(&line) {
            self.stop_writing(trouble);
        }
    }

    fn lines(&self) -> Result<String, serde_json::Error> {
        self.records.iter().map(outcome::line).collect()
    }

    /// Where the lines end in these bytes that are what was taken.
    fn ends_in(&self, bytes: &[u8]) -> Result<Vec<u64>, serde_json::Error> {
        let (mut ends, mut end) = (vec![], 0);
        for record in &self.records {
            let line = outcome::line(record)?;
            if !bytes[end..].starts_with(line.as_bytes()) {
                break;
            }
            end += line.len();
            ends.push(end as u64);
        }
        Ok(ends)
    }

    fn stop_writing(&mut self, trouble: FileError) {
        self.trouble = Some(trouble);
        self.file = None;
    }
}
