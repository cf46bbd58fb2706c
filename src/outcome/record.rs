//! Events as lines of text, and back.
//!
//! Lives here: the one reader of run records, and with it the one place that takes text as masked because it was
//! masked when it was written; and masking once more what was written before a secret was known. Does not: writing files.

use super::{CaseEnd, Event, Record, Verdict};
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
    /// A line says what no run says: somebody has changed it.
    #[error("line {line} of the run record was changed after it was written: {why}")]
    Changed {
        /// The line, from 1.
        line: usize,
        /// What does not go together.
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
/// If a whole line is no record, if a case's verdict is not that of its failures, or if there is no whole line.
pub fn read_record(text: &str) -> Result<Vec<Record>, RecordError> {
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let records = whole
        .lines()
        .zip(1..)
        .map(|(text, line)| one_record(text, line))
        .collect::<Result<Vec<Record>, _>>()?;
    if let Some((line, why)) = passed_over(&records) {
        return Err(RecordError::Changed { line, why });
    }
    if records.is_empty() { Err(RecordError::Empty) } else { Ok(records) }
}

fn one_record(text: &str, line: usize) -> Result<Record, RecordError> {
    let record: Record =
        serde_json::from_str(text).map_err(|error| RecordError::Damaged { line, why: error.to_string() })?;
    match &record.event {
        Event::CaseEnded(end) => {
            contradiction(end).map_or(Ok(()), |why| Err(RecordError::Changed { line, why }))
        }
        _ => Ok(()),
    }?;
    Ok(record)
}

/// A case that passed although one of its steps did not: its line, from 1.
fn passed_over(records: &[Record]) -> Option<(usize, String)> {
    let mut failed = std::collections::BTreeMap::new();
    records.iter().zip(1..).find_map(|(record, line)| match &record.event {
        Event::StepEnded(step) if step.verdict > Verdict::Pass => {
            failed.insert(&step.case, (&step.step, step.verdict));
            None
        }
        Event::CaseEnded(end) if end.verdict <= Verdict::Pass => {
            let (step, verdict) = failed.get(&end.case)?;
            Some((
                line,
                format!("`{}` has the verdict {}, and its step `{step}` {verdict}", end.case, end.verdict),
            ))
        }
        _ => None,
    })
}

/// What does not go together in the end of a case. One without a failure may still be Inconclusive.
fn contradiction(end: &CaseEnd) -> Option<String> {
    let CaseEnd { case, verdict, failures, skipped, .. } = end;
    if let Some(odd) = failures.iter().find(|failure| failure.verdict < Verdict::Inconclusive) {
        return Some(format!("a failure of `{case}` has the verdict {}", odd.verdict));
    }
    if skipped.is_some() != (*verdict == Verdict::Skip) {
        let told = if skipped.is_some() { "a" } else { "no" };
        return Some(format!("`{case}` has the verdict {verdict}, and {told} reason why it was skipped"));
    }
    let wanted = Verdict::of(failures.iter().map(|failure| failure.verdict));
    let is_right = *verdict == wanted || (failures.is_empty() && *verdict <= Verdict::Pass);
    (!is_right).then(|| match failures.len() {
        0 => format!("`{case}` has the verdict {verdict}, and no failure"),
        count => {
            format!("`{case}` has the verdict {verdict}, and the worst of its failures ({count}) is {wanted}")
        }
    })
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

/// Fields whose text comes from the platform: those of type [`Masked`]. Names and words of suites are no secrets, though a short
/// one may be spelled like them.
const MASKED_FIELDS: [&str; 8] = ["at", "message", "skipped", "stopped_by", "text", "to", "what", "why"];

fn mask_texts(value: &mut Value, mask: &Mask) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| mask_texts(item, mask)),
        Value::Object(fields) => fields.iter_mut().for_each(|(name, field)| match field {
            Value::String(text) if MASKED_FIELDS.contains(&name.as_str()) => {
                *text = mask.mask(text).as_str().to_owned();
            }
            inner => mask_texts(inner, mask),
        }),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
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
    fn a_case_that_passed_although_a_step_did_not_was_changed() {
        let told = |verdict: &str| {
            let step = format!(
                "{{\"at_us\":1,\"event\":{{\"step-ended\":{{\"case\":\"a\",\"step\":\"call x\",\"verdict\":\"{verdict}\",\
                 \"took_us\":1,\"statuses\":[]}}}}}}\n"
            );
            let case = "{\"at_us\":2,\"event\":{\"case-ended\":{\"case\":\"a\",\"verdict\":\"pass\",\"took_us\":1,\
                        \"failures\":[],\"skipped\":null,\"retried\":[]}}}\n";
            read_record(&(step + case)).err().map(|error| error.to_string())
        };
        assert_eq!(told("pass"), None);
        let expected = "line 2 of the run record was changed after it was written: `a` has the verdict pass, and its step \
                        `call x` fail";
        assert_eq!(told("fail").as_deref(), Some(expected));
    }

    #[test]
    fn a_verdict_that_is_not_that_of_its_failures_was_changed() {
        let failure = |verdict: &str| {
            format!(
                r#"{{"verdict":"{verdict}","kind":"k","step":"s","message":"m","spot":null,"evidence":[]}}"#
            )
        };
        let told = |verdict: &str, failures: &[&str], skipped: &str| {
            let failures: Vec<String> = failures.iter().map(|verdict| failure(verdict)).collect();
            let text = format!(
                "{{\"at_us\":1,\"event\":{{\"case-ended\":{{\"case\":\"a\",\"verdict\":\"{verdict}\",\"took_us\":1,\
                 \"failures\":[{}],\"skipped\":{skipped},\"retried\":[]}}}}}}\n",
                failures.join(",")
            );
            read_record(&text).err().map(|error| error.to_string())
        };
        for (verdict, failures, skipped) in [
            ("pass", &[][..], "null"),
            ("inconclusive", &[], "null"),
            ("inconclusive", &["inconclusive"], "null"),
            ("fail", &["inconclusive", "fail"], "null"),
            ("skip", &[], "\"lacked\""),
        ] {
            assert_eq!(told(verdict, failures, skipped), None);
        }
        for (verdict, failures, skipped, expected) in [
            (
                "pass",
                &["fail"][..],
                "null",
                "`a` has the verdict pass, and the worst of its failures (1) is fail",
            ),
            ("fail", &[], "null", "`a` has the verdict fail, and no failure"),
            ("inconclusive", &["fail"], "null", "the worst of its failures (1) is fail"),
            ("fail", &["inconclusive"], "null", "the worst of its failures (1) is inconclusive"),
            ("skip", &[], "null", "`a` has the verdict skip, and no reason why it was skipped"),
            ("pass", &[], "\"lacked\"", "`a` has the verdict pass, and a reason why it was skipped"),
            ("skip", &["fail"], "\"lacked\"", "the worst of its failures (1) is fail"),
            ("fail", &["pass"], "null", "a failure of `a` has the verdict pass"),
        ] {
            let told = told(verdict, failures, skipped).unwrap_or_default();
            assert!(
                told.starts_with("line 1 of the run record was changed") && told.contains(expected),
                "{told}"
            );
        }
    }

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

    #[test]
    fn a_secret_that_is_spelled_like_a_case_or_a_verdict_leaves_them_as_they_are() {
        let mask = Mask::new();
        ["pass", "html", "leaves-this"].iter().for_each(|secret| mask.learn(secret));
        let text = "{\"at_us\":2,\"event\":{\"case-ended\":{\"case\":\"html-leaves-this\",\"verdict\":\"pass\",\"took_us\":1,\"failures\":[],\
                    \"skipped\":null,\"retried\":[]}}}\n";
        let record = &read_record(text).unwrap()[0];
        assert_eq!(line(&masked_anew(record, &mask).unwrap()).unwrap().trim(), text.trim());
    }
}
