//! Events as lines of text, and back.
//!
//! Lives here: the one reader of run records, and with it the one place that takes text as masked because it was
//! masked when it was written; and masking once more what was written before a secret was known. Does not: writing files.

use super::Record;
use crate::secret::{Mask, Masked};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

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

/// The record with everything masked that has become known as a secret since it was made.
///
/// # Errors
/// If a record cannot be written as JSON and read again; none made by muster is so.
pub fn masked_anew(record: &Record, mask: &Mask) -> Result<Record, serde_json::Error> {
    let mut value = serde_json::to_value(record)?;
    mask_texts(&mut value, mask);
    serde_json::from_value(value)
}

fn mask_texts(value: &mut Value, mask: &Mask) {
    match value {
        Value::String(text) => *text = mask.mask(text).as_str().to_owned(),
        Value::Array(items) => items.iter_mut().for_each(|item| mask_texts(item, mask)),
        Value::Object(fields) => fields.values_mut().for_each(|field| mask_texts(field, mask)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

impl<'de> Deserialize<'de> for Masked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Masked::written_before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{Ending, Event};

    #[test]
    fn what_was_taken_before_a_secret_was_known_is_masked_anew() {
        let mask = Mask::new();
        let why = mask.mask("the code is hunter22, in base64 aHVudGVyMjI=");
        let record = Record { at_us: 7, event: Event::Applied { ending: Ending::Undecided, why } };
        mask.learn("hunter22");
        let anew = line(&masked_anew(&record, &mask).unwrap()).unwrap();
        assert!(!anew.contains("hunter22") && !anew.contains("aHVudGVy"), "{anew}");
        assert_eq!(read_record(&anew).unwrap()[0].at_us, 7);
    }
}
