//! Events as lines of text, and back.
//!
//! Lives here: the one reader of run records, and with it the one place that takes text as masked because it was
//! masked when it was written. Does not: writing files.

use super::Record;
use crate::secret::Masked;
use serde::{Deserialize, Deserializer};

/// Why a run record cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// A line before the last is damaged.
    #[error("line {line} of the run record is damaged: {why}")]
    Damaged {
        /// The line, from 1.
        line: usize,
        /// What the reader says.
        why: String,
    },
    /// There is not one whole line.
    #[error("the run record holds no whole line")]
    Empty,
}

/// One record as a line, its line break included.
///
/// # Errors
/// If a value cannot be written as JSON; no record made by muster has one.
pub fn line(record: &Record) -> Result<String, serde_json::Error> {
    serde_json::to_string(record).map(|json| json + "\n")
}

/// Every record of a run. A torn last line (no line break) is left out: the run died while it was written.
///
/// # Errors
/// If a whole line is no record, or if there is none.
pub fn read_record(text: &str) -> Result<Vec<Record>, RecordError> {
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let records = whole
        .lines()
        .enumerate()
        .map(|(index, line)| {
            serde_json::from_str(line)
                .map_err(|error| RecordError::Damaged { line: index + 1, why: error.to_string() })
        })
        .collect::<Result<Vec<Record>, _>>()?;
    if records.is_empty() { Err(RecordError::Empty) } else { Ok(records) }
}

impl<'de> Deserialize<'de> for Masked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Masked::written_before)
    }
}
