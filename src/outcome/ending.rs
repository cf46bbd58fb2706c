//! How a run ends: what applied, and which exit code wins.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// One way in which muster can end. The order of the variants is that of their strength, the weakest first, but for
/// the three that stand alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// Every selected case passed, is a known failure, or was skipped as declared; at least one passed.
    Passed,
    /// Nothing failed, but something could not be judged, or nothing passed.
    Undecided,
    /// A case failed.
    Failed,
    /// Stopped by SIGHUP, after undoing.
    HungUp,
    /// Stopped by SIGINT, after undoing.
    Interrupted,
    /// Stopped by SIGTERM, after undoing.
    Terminated,
    /// A report, the run record or the standard output could not be written whole.
    Unrecorded,
    /// Something muster made or broke could not be put back.
    LeftBehind,
    /// muster itself panicked, after undoing what it could.
    Panicked,
    /// Usage, configuration, or an invalid suite or target file: nothing was run.
    Misused,
    /// No case was selected, or something that was asked for matches none.
    NothingSelected,
    /// The gate holds.
    GateHolds,
}

impl Ending {
    /// Every ending, by exit code.
    pub const ALL: [Ending; 12] = [
        Ending::Passed,
        Ending::Failed,
        Ending::Misused,
        Ending::Undecided,
        Ending::NothingSelected,
        Ending::LeftBehind,
        Ending::Unrecorded,
        Ending::GateHolds,
        Ending::Panicked,
        Ending::HungUp,
        Ending::Interrupted,
        Ending::Terminated,
    ];

    /// The exit code.
    pub fn code(self) -> u8 {
        match self {
            Self::Passed => 0,
            Self::Failed => 1,
            Self::Misused => 2,
            Self::Undecided => 3,
            Self::NothingSelected => 4,
            Self::LeftBehind => 5,
            Self::Unrecorded => 6,
            Self::GateHolds => 7,
            Self::Panicked => 101,
            Self::HungUp => 129,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    /// The word used in `summary.json`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Misused => "misused",
            Self::Undecided => "undecided",
            Self::NothingSelected => "nothing-selected",
            Self::LeftBehind => "left-behind",
            Self::Unrecorded => "unrecorded",
            Self::GateHolds => "gate-holds",
            Self::Panicked => "panicked",
            Self::HungUp => "hung-up",
            Self::Interrupted => "interrupted",
            Self::Terminated => "terminated",
        }
    }

    /// What it means, in one sentence: the text of `muster help exit-codes` and of the README.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Passed => {
                "every selected case passed, is a known failure, or was skipped for a reason the target file declares; \
                 at least one passed"
            }
            Self::Failed => "a case failed",
            Self::Misused => "usage, configuration, or an invalid suite or target file: nothing was run",
            Self::Undecided => {
                "nothing failed, but something could not be judged (target down, no steady state, blind probe, \
                 undeclared need, not run), or nothing passed"
            }
            Self::NothingSelected => {
                "no case was selected, or a filter or a tag matches none: nothing was run"
            }
            Self::LeftBehind => {
                "something muster made or broke could not be put back: the output names it, and `muster cleanup`"
            }
            Self::Unrecorded => "a report, the run record or the standard output could not be written whole",
            Self::GateHolds => "the gate holds (`muster gate` only)",
            Self::Panicked => "muster itself panicked (after undoing what it could)",
            Self::HungUp => "stopped by SIGHUP, after undoing",
            Self::Interrupted => "stopped by SIGINT, after undoing",
            Self::Terminated => "stopped by SIGTERM, after undoing",
        }
    }

    /// Which of the endings that applied decides the exit code. Without any, nothing was decided.
    pub fn strongest(applied: &BTreeSet<Ending>) -> Ending {
        applied.last().copied().unwrap_or(Ending::Undecided)
    }

    /// The ending of a signal, by its number.
    pub fn of_signal(number: u8) -> Ending {
        match number {
            1 => Self::HungUp,
            2 => Self::Interrupted,
            _ => Self::Terminated,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Ending::{self, *};

    /// Every pair of endings that can apply together, the winner first.
    const WINS_OVER: [(Ending, &[Ending]); 9] = [
        (Panicked, &[LeftBehind, Unrecorded, HungUp, Interrupted, Terminated, Failed, Undecided, Passed]),
        (LeftBehind, &[Unrecorded, HungUp, Interrupted, Terminated, Failed, Undecided, Passed]),
        (Unrecorded, &[HungUp, Interrupted, Terminated, Failed, Undecided, Passed]),
        (Terminated, &[Failed, Undecided, Passed]),
        (Interrupted, &[Failed, Undecided, Passed]),
        (HungUp, &[Failed, Undecided, Passed]),
        (Failed, &[Undecided, Passed]),
        (Undecided, &[Passed]),
        (Passed, &[]),
    ];

    #[test]
    fn the_stronger_ending_wins_in_every_pair() {
        for (winner, losers) in WINS_OVER {
            assert_eq!(Ending::strongest(&[winner].into()), winner);
            for loser in losers {
                assert_eq!(Ending::strongest(&[*loser, winner].into()), winner, "{winner:?} over {loser:?}");
            }
        }
    }

    #[test]
    fn codes_are_those_of_the_table() {
        let codes: Vec<u8> = Ending::ALL.iter().map(|ending| ending.code()).collect();
        assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6, 7, 101, 129, 130, 143]);
    }

    #[test]
    fn words_in_records_and_in_summaries_are_the_same() {
        for ending in Ending::ALL {
            assert_eq!(serde_json::to_value(ending).unwrap(), ending.word());
        }
    }
}
