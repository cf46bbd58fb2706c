//! `jsonl`: the record of the run, one event a line. It is written while the run goes on; rendered again it is the same.

use super::{Rendered, Told};
use crate::outcome;

pub(super) fn render(told: &Told<'_>) -> Rendered {
    Ok(told.records.iter().map(outcome::line).collect::<Result<_, _>>()?)
}
