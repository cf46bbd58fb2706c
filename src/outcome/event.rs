//! The events of a run: the only truth, from which every report is folded.

use super::{Ending, Failure, Verdict};
use crate::secret::Masked;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// One line of `run.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Microseconds since the start of the run, by the monotonic clock.
    pub at_us: u64,
    /// What happened.
    pub event: Event,
}

/// What can happen in a run, in the order in which it does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// The plan is fixed; everything after refers to it.
    RunStarted(Box<RunStart>),
    /// A case begins.
    CaseStarted {
        /// Its full name.
        case: String,
    },
    /// A step of a case has ended.
    StepEnded(StepEnd),
    /// A fault was injected and watched until recovery, or until its deadline.
    Recovered(Recovery),
    /// A case has ended, its undo included.
    CaseEnded(Box<CaseEnd>),
    /// Something could not be put back.
    Leftover {
        /// The case that made it.
        case: String,
        /// What it is.
        what: Masked,
        /// Why it could not be put back.
        why: Masked,
    },
    /// Something stays, as the operation that made it declares.
    Residue {
        /// The case that made it.
        case: String,
        /// Where it stays.
        at: Masked,
        /// Why.
        why: Masked,
    },
    /// The target would have led to an address that its file does not name: nothing was sent there.
    LedElsewhere {
        /// The case that was led.
        case: String,
        /// The address, without path.
        to: Masked,
        /// By what: a redirect, or an answer of DNS.
        why: Masked,
    },
    /// The cases are over.
    RunEnded(RunEnd),
    /// Something besides the cases decides how the run ends. It may come after the end: reports are written then.
    Applied {
        /// What applies.
        ending: Ending,
        /// Why.
        why: Masked,
    },
}

/// What was to be run, and where.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunStart {
    /// The run's id, unique on its target.
    pub run: String,
    /// The seed of every random choice.
    pub seed: u64,
    /// The target's name.
    pub target: String,
    /// The version of muster.
    pub muster: String,
    /// When, RFC 3339, by the wall clock.
    pub started: String,
    /// The chosen cases, in the order of the plan.
    pub cases: Vec<PlannedCase>,
    /// The known failures that the suites declare for this target.
    pub known_failures: Vec<KnownFailure>,
    /// How many disruptive cases were left out because disruption was not allowed.
    pub disruptive_left_out: usize,
}

/// One case of the plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedCase {
    /// Its full name, `id` or `id[member]`.
    pub case: String,
    /// The folder of its suite.
    pub family: String,
    /// The suite's title.
    pub suite: String,
    /// Its file.
    pub file: String,
    /// Its line, from 1.
    pub line: u64,
    /// The promise.
    pub why: String,
    /// Its tags.
    pub tags: Vec<String>,
}

/// A failure accepted until a date.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownFailure {
    /// The case's full name.
    pub case: String,
    /// The step's label.
    pub step: String,
    /// The failure's kind.
    pub failure: String,
    /// Why it is accepted.
    pub because: String,
    /// Where it is followed up.
    pub ticket: String,
    /// The last day on which it is accepted, `YYYY-MM-DD`.
    pub until: String,
}

/// A step has ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepEnd {
    /// The case's full name.
    pub case: String,
    /// The step's label: its name, or kind and subject.
    pub step: String,
    /// How it ended.
    pub verdict: Verdict,
    /// How long it took, in microseconds.
    pub took_us: u64,
    /// HTTP statuses seen, in order, at most 16.
    pub statuses: Vec<u16>,
}

/// A case has ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaseEnd {
    /// The case's full name.
    pub case: String,
    /// The worst of its steps.
    pub verdict: Verdict,
    /// How long it took, undo included, in microseconds.
    pub took_us: u64,
    /// What went wrong.
    pub failures: Vec<Failure>,
    /// Why it was skipped, if it was.
    pub skipped: Option<Masked>,
    /// Failures of earlier attempts of steps that passed in the end.
    pub retried: Vec<Failure>,
}

/// One fault and the platform's return: all in microseconds from the injection, by the monotonic clock.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recovery {
    /// The case's full name.
    pub case: String,
    /// The fault, such as `delete_pod`.
    pub fault: String,
    /// The victim.
    pub victim: String,
    /// First clock: Kubernetes says that enough pods are Ready.
    pub ready_us: Option<u64>,
    /// How late the watch may have told that: the longest time from the injection to its first word of it. Absent where
    /// that word also waited for the pod itself.
    #[serde(default)]
    pub ready_error_us: Option<u64>,
    /// Second clock: every probe is served again, and stays so.
    pub served_us: Option<u64>,
    /// Third clock: the registry lists live nodes only.
    pub registry_us: Option<u64>,
    /// What each probe saw.
    pub outages: Vec<Outage>,
    /// How long each part of the disruption took, in the order of time and without a gap: guards, steady, lease,
    /// injection, recovery, last answers.
    #[serde(default)]
    pub phases: Vec<Phase>,
}

/// A part of a disruption.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phase {
    /// Its name.
    pub name: String,
    /// How long it took, in microseconds.
    pub took_us: u64,
}

/// What one probe saw of a fault.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outage {
    /// The probe's name.
    pub probe: String,
    /// Samples taken.
    pub samples: usize,
    /// Samples that failed.
    pub failed: usize,
    /// Samples that could not be judged.
    pub unjudged: usize,
    /// From the injection to the first failed sample, in microseconds.
    pub first_failed_us: Option<u64>,
    /// From the injection to the first good sample after the last outage, in microseconds.
    pub served_again_us: Option<u64>,
    /// The longest outage, in microseconds; 0 if there was none.
    pub longest_us: u64,
    /// How wrong each of these can be, in microseconds: one beat.
    pub error_us: u64,
    /// The longest outage allowed, in microseconds, inclusive.
    pub budget_us: Option<u64>,
}

/// The run is over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunEnd {
    /// How long it took, in microseconds.
    pub took_us: u64,
    /// What applied besides the verdicts of the cases.
    pub endings: BTreeSet<Ending>,
    /// Why cases that did not run were not run.
    pub stopped_by: Option<Masked>,
}
