//! One expectation that did not hold, or one reason why nothing could be judged, with what is shown in support.

use super::Verdict;
use crate::secret::Masked;
use serde::{Deserialize, Serialize};

/// One thing that went wrong in a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// [`Verdict::Fail`], or [`Verdict::Inconclusive`] if it only kept the step from being judged.
    pub verdict: Verdict,
    /// A stable, dotted word, such as `expect.status` or `leak.canary`.
    pub kind: String,
    /// The step, as its label says it.
    pub step: String,
    /// One line for a person.
    pub message: Masked,
    /// Where the step stands.
    pub spot: Option<Spot>,
    /// What is shown in support.
    pub evidence: Vec<Evidence>,
}

/// A line of a suite file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spot {
    /// The file, relative to the suites folder's parent.
    pub file: String,
    /// The line, from 1.
    pub line: u64,
}

impl std::fmt::Display for Spot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// Something shown in support of a failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// What it is, such as `request` or `reply`.
    pub label: String,
    /// The masked text.
    pub text: Masked,
}
