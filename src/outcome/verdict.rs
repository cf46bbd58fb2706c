//! The four verdicts.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What can be said of a step, a case or a run. A whole takes the worst of its parts: the order of the variants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Not asked of this target, for a reason that the target file declares.
    Skip,
    /// The promise was kept.
    Pass,
    /// It could not be judged.
    Inconclusive,
    /// The platform broke a promise.
    Fail,
}

impl Verdict {
    /// The word used in every report.
    pub fn word(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::Pass => "pass",
            Self::Inconclusive => "inconclusive",
            Self::Fail => "fail",
        }
    }

    /// The worst of the parts, or Inconclusive where there is none: what did nothing proved nothing.
    pub fn of(parts: impl IntoIterator<Item = Verdict>) -> Verdict {
        parts.into_iter().max().unwrap_or(Verdict::Inconclusive)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::Verdict::{self, *};

    #[test]
    fn a_whole_takes_the_worst_of_its_parts() {
        assert_eq!(Verdict::of([Pass, Skip]), Pass);
        assert_eq!(Verdict::of([Pass, Inconclusive]), Inconclusive);
        assert_eq!(Verdict::of([Fail, Inconclusive, Pass]), Fail);
    }

    #[test]
    fn what_did_nothing_proved_nothing() {
        assert_eq!(Verdict::of([]), Inconclusive);
    }
}
