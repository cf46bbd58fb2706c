//! Reading a journal, whatever became of it: what it says, and how much of what it said is lost.

use super::{Change, Entry};
use std::collections::{BTreeMap, BTreeSet};

/// What a journal says.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// Every good entry, in order, also those behind a damaged line.
    pub entries: Vec<Entry>,
    /// Bytes up to the torn tail: the last line, if its writer died in the middle of it.
    pub whole: u64,
    /// Whether what is kept ends in the middle of a line.
    pub is_unended: bool,
    /// Lines that cannot be read, or that others tell of and that are not there. A torn tail is none of them: what it
    /// announced was never sent.
    pub damaged: u64,
    /// The last number that any entry names; 0 if none does.
    pub last: u64,
}

impl Reading {
    /// Where all else was that the run may have changed, or changed by way of, by name.
    pub fn places(&self) -> Option<&BTreeMap<String, String>> {
        match self.entries.first() {
            Some(Entry::Run { places, .. }) => Some(places),
            _ => None,
        }
    }

    /// Which run wrote it: `None` if the first line, which says it, is lost.
    pub fn run(&self) -> Option<&str> {
        match self.entries.first() {
            Some(Entry::Run { run, .. }) => Some(run),
            _ => None,
        }
    }

    /// On which platform the run made its changes: `None` if the first line, which says it, is lost. The platform is
    /// `None` in journals of before it was kept.
    pub fn platform(&self) -> Option<Option<&str>> {
        match self.entries.first() {
            Some(Entry::Run { api, .. }) => Some(api.as_deref()),
            _ => None,
        }
    }
}

/// Which changes were answered: every request that was sent for them.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// Those whose last request was answered.
    answered: BTreeSet<u64>,
    /// Those of which an earlier request was never answered: it may still be carried out.
    unsure: BTreeSet<u64>,
}

impl Answers {
    /// What a journal says of it.
    pub(super) fn of(entries: &[Entry]) -> Self {
        let mut answers = Self::default();
        for entry in entries {
            match entry {
                Entry::Again { number } => answers.again(*number),
                Entry::Done { number } => answers.done(*number),
                Entry::Run { .. } | Entry::Changing(_) | Entry::Undone { .. } | Entry::Closed => {}
            }
        }
        answers
    }

    /// One more request is about to be sent.
    pub(super) fn again(&mut self, number: u64) {
        if !self.answered.remove(&number) {
            self.unsure.insert(number);
        }
    }

    /// The last request was answered.
    pub(super) fn done(&mut self, number: u64) {
        self.answered.insert(number);
    }

    pub(super) fn holds(&self, number: u64) -> bool {
        self.answered.contains(&number) && !self.unsure.contains(&number)
    }
}

/// Reads a journal, whatever became of it.
pub fn read_journal(bytes: &[u8]) -> Reading {
    let (mut entries, mut bad, mut whole) = (vec![], 0, 0);
    for line in bytes.split_inclusive(|byte| *byte == b'\n').filter(|line| !is_torn(line)) {
        whole += line.len();
        match entry(line) {
            Some(entry) => entries.push(entry),
            None => bad += 1,
        }
    }
    let is_unended = bytes[..whole].last().is_some_and(|byte| *byte != b'\n');
    let (last, missing) = missing(&entries);
    let damaged = missing.max(bad);
    Reading { entries, whole: whole as u64, is_unended, damaged, last }
}

/// Whether a line is the beginning of one, whose writer died. Its text has no zeros: those are of a damaged disk.
fn is_torn(line: &[u8]) -> bool {
    !line.ends_with(b"\n") && !line.contains(&0) && entry(line).is_none()
}

/// What a line says. The last one says it also without its break, or with what damage has made of that.
fn entry(line: &[u8]) -> Option<Entry> {
    let (last, rest) = line.split_last()?;
    if *last == b'\n' { said(rest) } else { said(line).or_else(|| said(rest)) }
}

fn said(text: &[u8]) -> Option<Entry> {
    let (checksum, json) = std::str::from_utf8(text).ok()?.split_once(' ')?;
    let is_right = u32::from_str_radix(checksum, 16).ok()? == crc32fast::hash(json.as_bytes());
    is_right.then(|| serde_json::from_str(json).ok())?
}

/// The last number that entries name, and how many entries must have been there and are not: the first line, and the
/// changes up to that number.
fn missing(entries: &[Entry]) -> (u64, u64) {
    let mut changes = BTreeSet::new();
    let mut last = 0;
    for entry in entries {
        last = last.max(match entry {
            Entry::Changing(change) => {
                changes.insert(change.number);
                change.number
            }
            Entry::Again { number } | Entry::Done { number } | Entry::Undone { number } => *number,
            Entry::Run { .. } | Entry::Closed => 0,
        });
    }
    let has_first = matches!(entries.first(), Some(Entry::Run { .. }));
    (last, last.saturating_sub(changes.len() as u64) + u64::from(!has_first))
}

/// The changes that were neither put back nor closed, in the order in which they were made.
pub fn open_changes(entries: &[Entry]) -> Vec<Change> {
    let mut open: Vec<Change> = vec![];
    for entry in entries {
        match entry {
            Entry::Changing(change) => open.push(change.clone()),
            Entry::Undone { number } => open.retain(|change| change.number != *number),
            Entry::Closed => open.clear(),
            Entry::Run { .. } | Entry::Again { .. } | Entry::Done { .. } => {}
        }
    }
    open
}

#[cfg(test)]
mod tests {
    use super::super::{Journal, Undo};
    use super::*;

    /// A run of two changes, of which the first was put back.
    fn written() -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let journal = Journal::open(&path).unwrap();
        journal.begin("r1", "fake", "http://a").unwrap();
        for email in ["x@y", "z@y"] {
            let with = serde_json::json!({ "email": email }).as_object().cloned().unwrap();
            let undo = Some(Undo::Flow { flow: "forget-customer".into(), with });
            let (case, operation) = ("a".into(), "signup.send_code".into());
            let number = journal.changing(Change { number: 0, case, operation, undo, key: None }).unwrap();
            journal.done(number).unwrap();
        }
        journal.undone(1).unwrap();
        crate::files::read_bytes(&path).unwrap()
    }

    /// The journal with something done to its lines: run, changing 1, done 1, changing 2, done 2, undone 1.
    fn with_lines(change: impl Fn(&mut Vec<Vec<u8>>)) -> Reading {
        let mut lines: Vec<Vec<u8>> =
            written().split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        assert_eq!(lines.len(), 6);
        change(&mut lines);
        read_journal(&lines.concat())
    }

    #[test]
    fn a_tail_torn_at_any_byte_loses_only_its_own_line() {
        let bytes = written();
        let first = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        for cut in first..bytes.len() {
            let reading = read_journal(&bytes[..cut]);
            // A line says what it says without its break too.
            let is_unended = bytes[cut] == b'\n';
            let lines = bytes[..cut].iter().filter(|byte| **byte == b'\n').count() + usize::from(is_unended);
            let end = bytes[..cut].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
            let end = if is_unended { cut } else { end };
            assert_eq!((reading.entries.len(), reading.whole), (lines, end as u64), "cut at {cut}");
            assert_eq!((reading.damaged, reading.is_unended), (0, is_unended), "cut at {cut}");
        }
    }

    #[test]
    fn a_journal_without_its_first_line_is_damaged_and_on_no_known_platform() {
        let bytes = written();
        let first = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        assert_eq!(read_journal(&bytes).platform(), Some(Some("http://a")));
        for cut in 0..first - 1 {
            let reading = read_journal(&bytes[..cut]);
            assert_eq!((reading.damaged, reading.platform()), (1, None), "cut at {cut}");
        }
        let headless = read_journal(&bytes[first..]);
        assert_eq!((headless.damaged, headless.platform()), (1, None));
        let zeros = read_journal(&vec![0; bytes.len()]);
        assert_eq!((zeros.damaged, zeros.platform(), zeros.is_unended), (1, None, true));
    }

    #[test]
    fn a_flipped_bit_in_any_line_is_damage_and_the_rest_still_counts() {
        for line in 0..6 {
            let reading = with_lines(|lines| lines[line][3] ^= 1);
            assert_eq!((reading.entries.len(), reading.damaged), (5, 1), "line {line}");
            assert_eq!(reading.platform().is_some(), line != 0, "line {line}");
        }
        assert_eq!(open_changes(&with_lines(|lines| lines[5][3] ^= 1).entries).len(), 2);
    }

    #[test]
    fn no_bit_that_is_flipped_anywhere_takes_a_line_away_unseen() {
        let bytes = written();
        let whole = read_journal(&bytes);
        for at in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[at / 8] ^= 1 << (at % 8);
            let reading = read_journal(&flipped);
            assert!(reading.damaged > 0 || reading.entries == whole.entries, "bit {at}");
        }
    }

    #[test]
    fn a_change_that_others_tell_of_and_that_is_not_there_is_damage() {
        let all = with_lines(|_| {});
        assert_eq!((all.damaged, all.last), (0, 2));
        let (c1, c1_d1, c2, all_of_2) = (&[1][..], &[1, 1][..], &[3][..], &[3, 3][..]);
        for (gone, damaged, last) in [(c1, 1, 2), (c1_d1, 1, 2), (c2, 1, 2), (all_of_2, 0, 1)] {
            let reading = with_lines(|lines| gone.iter().for_each(|line| drop(lines.remove(*line))));
            assert_eq!((reading.damaged, reading.last), (damaged, last), "without {gone:?}");
        }
    }

    #[test]
    fn what_is_written_behind_damage_can_be_read_and_takes_no_number_twice() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let mut bytes = written();
        let from = bytes.len() - 5;
        bytes[from..].fill(0);
        crate::files::write_whole(&path, &bytes).unwrap();
        let journal = Journal::open(&path).unwrap();
        assert_eq!((journal.damaged(), journal.open_all().len()), (1, 2));
        journal.undone(1).unwrap();
        journal.undone(2).unwrap();
        assert!(!journal.close().unwrap(), "nobody knows whether all is put back");
        let reading = read_journal(&crate::files::read_bytes(&path).unwrap());
        assert_eq!((open_changes(&reading.entries), reading.damaged), (vec![], 1));
    }
}
