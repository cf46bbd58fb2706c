//! The journal: append-only, one checked line per entry, durable before the change is sent.

use super::reading::Answers;
use super::{Change, open_changes, read_journal};
use crate::files::{Appender, FileError};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Entry {
    /// The first line: which run, on which target.
    Run {
        /// The run's id.
        run: String,
        /// The target's name.
        target: String,
        /// The address of its API: another platform may have the same name.
        #[serde(default)]
        api: Option<String>,
        /// The cluster and the databases that it may change, by name.
        #[serde(default)]
        places: BTreeMap<String, String>,
    },
    /// A change is about to be sent.
    Changing(Change),
    /// What puts a change back stands for one more request, which is about to be sent.
    Again {
        /// The change.
        number: u64,
    },
    /// It was answered.
    Done {
        /// The change's number.
        number: u64,
    },
    /// It was put back, or proved never to have happened.
    Undone {
        /// The change's number.
        number: u64,
    },
    /// Everything is put back: nothing to do for this run.
    Closed,
}

/// The journal of one run, open for writing.
#[derive(Debug)]
pub struct Journal {
    file: RefCell<Appender>,
    next: std::cell::Cell<u64>,
    open: RefCell<Vec<Change>>,
    answers: RefCell<Answers>,
    /// Those that more than one request has made.
    repeated: RefCell<BTreeSet<u64>>,
    damaged: u64,
}

impl Journal {
    /// Opens the journal of a run, which nobody else can open meanwhile; what an earlier process wrote into it is
    /// taken up, its torn tail cut off.
    ///
    /// # Errors
    /// If the file cannot be opened or read, or another process has it open.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        let is_new = !crate::files::exists(path);
        let mut file = Appender::open(path)?;
        file.lock()?;
        let written = crate::files::read_bytes(path)?;
        let reading = read_journal(&written);
        if reading.whole < written.len() as u64 {
            file.cut(reading.whole)?;
        }
        if reading.is_unended {
            // What is written now is no part of a damaged line.
            file.append("\n")?;
        }
        Ok(Self {
            file: RefCell::new(file),
            next: std::cell::Cell::new(reading.last + 1),
            open: RefCell::new(open_changes(&reading.entries)),
            answers: RefCell::new(Answers::of(&reading.entries)),
            repeated: RefCell::default(),
            damaged: if is_new { 0 } else { reading.damaged },
        })
    }

    /// Writes which run this is.
    ///
    /// # Errors
    /// If it could not be made durable.
    pub fn begin(&self, run: &str, target: &str, api: &str) -> Result<(), FileError> {
        self.begin_at(run, target, api, BTreeMap::new())
    }

    /// The same, for a target that changes further places, by name.
    ///
    /// # Errors
    /// If it could not be made durable.
    pub fn begin_at(
        &self,
        run: &str,
        target: &str,
        api: &str,
        places: BTreeMap<String, String>,
    ) -> Result<(), FileError> {
        self.write(&Entry::Run { run: run.into(), target: target.into(), api: Some(api.into()), places })
    }

    /// Makes a change durable before it is sent, and returns its number. A change whose undo equals that of an open
    /// one of the same case is not repeated: the open one's number is returned.
    ///
    /// # Errors
    /// If it could not be made durable, or the journal is gone: then the change must not be sent.
    pub fn changing(&self, mut change: Change) -> Result<u64, FileError> {
        self.stands()?;
        let equal = |open: &&Change| {
            open.undo.is_some()
                && open.undo == change.undo
                && open.case == change.case
                && open.key == change.key
        };
        if let Some(open) = self.open.borrow().iter().find(equal) {
            self.write(&Entry::Again { number: open.number })?;
            self.answers.borrow_mut().again(open.number);
            self.repeated.borrow_mut().insert(open.number);
            return Ok(open.number);
        }
        change.number = self.next.get();
        self.write(&Entry::Changing(change.clone()))?;
        self.next.set(change.number + 1);
        self.open.borrow_mut().push(change.clone());
        Ok(change.number)
    }

    /// Whether every request that was sent for a change was answered, by this process or an earlier one.
    pub fn is_answered(&self, number: u64) -> bool {
        self.answers.borrow().holds(number)
    }

    /// Whether a change that was announced stood for an earlier request too.
    pub fn is_repeated(&self, number: u64) -> bool {
        self.repeated.borrow().contains(&number)
    }

    /// Notes that a change was answered. Not durable by itself: without this note it is undone all the same.
    ///
    /// # Errors
    /// If it could not be written.
    pub fn done(&self, number: u64) -> Result<(), FileError> {
        self.answers.borrow_mut().done(number);
        self.file.borrow_mut().append(&line(&Entry::Done { number }))
    }

    /// Notes that a change was put back.
    ///
    /// # Errors
    /// If it could not be written. Not durable by itself: an undo may be carried out again.
    pub fn undone(&self, number: u64) -> Result<(), FileError> {
        self.open.borrow_mut().retain(|change| change.number != number);
        self.file.borrow_mut().append(&line(&Entry::Undone { number }))
    }

    /// The open changes of a case, the last one first.
    pub fn open_of(&self, case: &str) -> Vec<Change> {
        self.open.borrow().iter().rev().filter(|change| change.case == case).cloned().collect()
    }

    /// All open changes, the last one first.
    pub fn open_all(&self) -> Vec<Change> {
        self.open.borrow().iter().rev().cloned().collect()
    }

    /// Whether the journal is where `muster cleanup` looks for it.
    ///
    /// # Errors
    /// If somebody has removed, moved, or replaced it: then nothing must be changed any more.
    pub fn stands(&self) -> Result<(), FileError> {
        self.file.borrow().stands()
    }

    /// How many lines an earlier process wrote into it that cannot be read any more.
    pub fn damaged(&self) -> u64 {
        self.damaged
    }

    /// Closes the journal if nothing is open, and nothing may be that cannot be read.
    ///
    /// # Errors
    /// If it could not be made durable, or is gone.
    pub fn close(&self) -> Result<bool, FileError> {
        let is_empty = self.open.borrow().is_empty() && self.damaged == 0;
        if is_empty {
            self.stands()?;
            self.write(&Entry::Closed)?;
        }
        Ok(is_empty)
    }

    fn write(&self, entry: &Entry) -> Result<(), FileError> {
        self.file.borrow_mut().append_durably(&line(entry))
    }
}

/// A line: the checksum of the JSON, a blank, the JSON.
fn line(entry: &Entry) -> String {
    let json = serde_json::to_string(entry).unwrap_or_default();
    format!("{:08x} {json}\n", crc32fast::hash(json.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::super::Undo;
    use super::*;
    use serde_json::json;

    fn change(case: &str, email: &str) -> Change {
        let with = json!({ "email": email }).as_object().cloned().unwrap();
        Change {
            number: 0,
            case: case.into(),
            operation: "signup.send_code".into(),
            undo: Some(Undo::Flow { flow: "forget-customer".into(), with }),
            key: None,
        }
    }

    fn written(steps: impl Fn(&Journal)) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        steps(&Journal::open(&path).unwrap());
        crate::files::read_bytes(&path).unwrap()
    }

    #[test]
    fn a_change_is_open_until_it_is_put_back() {
        let bytes = written(|journal| {
            journal.begin("r1", "fake", "http://a").unwrap();
            let first = journal.changing(change("a", "x@y")).unwrap();
            let second = journal.changing(change("a", "z@y")).unwrap();
            journal.done(first).unwrap();
            journal.undone(second).unwrap();
            assert_eq!(journal.open_of("a").len(), 1);
            assert!(!journal.close().unwrap());
        });
        let open = open_changes(&read_journal(&bytes).entries);
        assert_eq!(open.iter().map(|change| change.number).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn an_equal_open_change_is_not_repeated() {
        written(|journal| {
            let first = journal.changing(change("a", "x@y")).unwrap();
            assert_eq!(journal.changing(change("a", "x@y")).unwrap(), first);
            assert_ne!(journal.changing(change("b", "x@y")).unwrap(), first);
        });
    }

    #[test]
    fn a_change_is_answered_when_every_request_for_it_was() {
        written(|journal| {
            let first = journal.changing(change("a", "x@y")).unwrap();
            journal.done(first).unwrap();
            assert!(journal.is_answered(first) && !journal.is_repeated(first));
            journal.changing(change("a", "x@y")).unwrap();
            assert!(!journal.is_answered(first) && journal.is_repeated(first));
            journal.changing(change("a", "x@y")).unwrap();
            journal.done(first).unwrap();
            assert!(!journal.is_answered(first), "the one before may still be carried out");
        });
    }

    #[test]
    fn what_was_answered_is_known_to_whoever_takes_a_journal_up_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let journal = Journal::open(&path).unwrap();
        journal.begin("r1", "fake", "http://a").unwrap();
        let all = ["once", "twice", "unanswered", "unsure"]
            .map(|email| journal.changing(change("a", email)).unwrap());
        let [once, twice, unanswered, unsure] = all;
        journal.done(once).unwrap();
        journal.done(twice).unwrap();
        journal.changing(change("a", "twice")).unwrap();
        journal.done(twice).unwrap();
        journal.changing(change("a", "unsure")).unwrap();
        journal.done(unsure).unwrap();
        drop(journal);
        let again = Journal::open(&path).unwrap();
        assert_eq!(all.map(|number| again.is_answered(number)), [true, true, false, false]);
        assert_eq!((again.damaged(), again.open_all().len(), unanswered), (0, 4, 3));
    }

    #[test]
    fn nothing_is_announced_in_a_journal_that_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("runs/journal");
        let journal = Journal::open(&path).unwrap();
        journal.changing(change("a", "x@y")).unwrap();
        std::fs::remove_dir_all(folder.path().join("runs")).unwrap();
        assert!(journal.changing(change("a", "z@y")).is_err());
        assert!(journal.changing(change("a", "x@y")).is_err(), "nor is one that is open already sent again");
        journal.undone(1).unwrap();
        assert!(journal.close().is_err());
    }

    #[test]
    fn a_journal_taken_up_again_goes_on_counting() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let journal = Journal::open(&path).unwrap();
        journal.begin("r1", "fake", "http://a").unwrap();
        journal.changing(change("a", "x@y")).unwrap();
        assert!(Journal::open(&path).is_err(), "its writer is at work");
        drop(journal);
        let again = Journal::open(&path).unwrap();
        assert_eq!(again.open_all().len(), 1);
        assert_eq!(again.changing(change("a", "z@y")).unwrap(), 2);
        again.undone(1).unwrap();
        again.undone(2).unwrap();
        assert!(again.close().unwrap());
    }
}
