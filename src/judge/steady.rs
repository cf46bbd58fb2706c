//! Steady state: whether a service is served well enough, for long enough, to be broken on purpose.
//!
//! Lives here: the judgement of one window of samples. Does not: outages and recoveries (`recovery`).

use super::sample::{Reading, Sample};
use std::borrow::Cow;
use std::time::Duration;

/// What still counts as steady.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tolerance {
    /// How many samples must be judged, at least.
    pub judged_at_least: usize,
    /// How many may fail, at most.
    pub failed_at_most: usize,
    /// How many may be unjudged or started too late, at most.
    pub blind_at_most: usize,
    /// A sample that starts later than this is not counted as judged.
    pub late_by: Duration,
}

/// Whether a window of samples was steady.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Steady {
    /// It was.
    Yes,
    /// Too many failed: the platform was not steady.
    No {
        /// How many failed.
        failed: usize,
        /// Of how many that could be judged.
        of: usize,
        /// When the first of them was due.
        first_failed: Duration,
        /// Its kind of failure.
        kind: Cow<'static, str>,
    },
    /// It cannot be said: too few samples could be judged.
    Unknown {
        /// How many could.
        judged: usize,
        /// How many could not: unjudged, or started too late.
        blind: usize,
        /// Why the first unjudged sample was; none if there was none.
        why: Option<Cow<'static, str>>,
    },
}

/// Judges a window of samples. Too many failures decide even in a window that is half blind: blindness hides
/// failures, it does not make them.
pub fn steady(samples: &[Sample], tolerance: &Tolerance) -> Steady {
    let is_blind = |sample: &&Sample| {
        sample.is_unjudged() || (sample.is_served() && sample.late_by() > tolerance.late_by)
    };
    let blind = samples.iter().filter(is_blind).count();
    let judged = samples.len() - blind;
    let mut failures = samples.iter().filter_map(|sample| match &sample.reading {
        Reading::Failed(kind) => Some((sample.due, kind)),
        Reading::Served | Reading::Unjudged(_) => None,
    });
    let failed = failures.clone().count();
    match failures.next() {
        Some((first_failed, kind)) if failed > tolerance.failed_at_most => {
            Steady::No { failed, of: judged, first_failed, kind: kind.clone() }
        }
        _ if judged < tolerance.judged_at_least || blind > tolerance.blind_at_most => {
            Steady::Unknown { judged, blind, why: first_reason(samples) }
        }
        _ => Steady::Yes,
    }
}

fn first_reason(samples: &[Sample]) -> Option<Cow<'static, str>> {
    samples.iter().find_map(|sample| match &sample.reading {
        Reading::Unjudged(why) => Some(why.clone()),
        Reading::Served | Reading::Failed(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STRICT: Tolerance = Tolerance {
        judged_at_least: 3,
        failed_at_most: 0,
        blind_at_most: 1,
        late_by: Duration::from_millis(4),
    };

    fn samples(readings: &str) -> Vec<Sample> {
        let read = |(at, letter): (usize, char)| {
            let due = Duration::from_millis(4) * u32::try_from(at).unwrap();
            let reading = match letter {
                'x' => Reading::Failed("refused".into()),
                '?' => Reading::Unjudged("status 401".into()),
                _ => Reading::Served,
            };
            Sample { due, started_late_us: if letter == 'l' { 5_000 } else { 90 }, ended: due, reading }
        };
        readings.chars().enumerate().map(read).collect()
    }

    #[test]
    fn a_window_is_steady_unsteady_or_unknown() {
        assert_eq!(steady(&samples("ooo"), &STRICT), Steady::Yes);
        assert_eq!(steady(&samples("oo?o"), &STRICT), Steady::Yes);
        assert!(matches!(steady(&samples("oox"), &STRICT), Steady::No { failed: 1, of: 3, .. }));
        assert!(matches!(steady(&samples("x???"), &STRICT), Steady::No { failed: 1, of: 1, .. }));
    }

    #[test]
    fn nothing_seen_is_never_steady() {
        assert!(matches!(steady(&[], &STRICT), Steady::Unknown { judged: 0, .. }));
        assert!(matches!(steady(&samples("oo"), &STRICT), Steady::Unknown { judged: 2, .. }));
        assert!(matches!(steady(&samples("ooooll"), &STRICT), Steady::Unknown { blind: 2, why: None, .. }));
        let unknown = steady(&samples("ooo??"), &STRICT);
        let why = Some(Cow::Borrowed("status 401"));
        assert_eq!(unknown, Steady::Unknown { judged: 3, blind: 2, why });
    }

    proptest! {
        #[test]
        fn a_failure_more_than_allowed_is_never_steady(readings in "[ox?l]{0,40}", allowed in 0_usize..4) {
            let tolerance = Tolerance { failed_at_most: allowed, ..STRICT };
            let failed = readings.chars().filter(|letter| *letter == 'x').count();
            let is_no = matches!(steady(&samples(&readings), &tolerance), Steady::No { .. });
            prop_assert_eq!(is_no, failed > allowed);
        }
    }
}
