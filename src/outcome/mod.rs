//! What happened, as data.
//!
//! Lives here: verdicts, failures and their evidence, the events of a run, how events fold into one outcome, and which
//! exit code wins. Does not: judging (`judge`), or how an outcome looks (`report`).

mod ending;
mod event;
mod failure;
mod fold;
mod record;
mod verdict;

pub use ending::Ending;
pub use event::{
    CaseEnd, Event, KnownFailure, Outage, Phase, PlannedCase, Record, Recovery, RunEnd, RunStart, StepEnd,
};
pub use failure::{Evidence, Failure, Spot};
pub use fold::{CaseOutcome, Outcome, Totals, fold};
pub use record::{RecordError, line, masked_anew, read_record};
pub use verdict::Verdict;
