//! `jsonl`: the record of the run, one event a line. It is written while the run goes on; rendered again it is the same.

use super::Told;
use crate::outcome;

pub(super) fn render(told: &Told<'_>) -> String {
    told.records.iter().map(|record| outcome::line(record).unwrap_or_default()).collect()
}
