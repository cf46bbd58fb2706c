//! Noticing that the whole process stood still: stopped by somebody, or starved by its machine. What has a deadline then
//! says nothing of the target.
//!
//! Lives here: noticing it, and which failures then say nothing. Does not: what is attempted anew (`undo`).

use crate::outcome::{Failure, Verdict};
use crate::secret::Mask;
use std::cell::Cell;
use std::convert::Infallible;
use std::time::{Duration, Instant};

/// The process may stand still for so long while a case runs.
pub(super) const OF_A_CASE: Duration = Duration::from_secs(1);

/// Kinds of failures that say that something took too long.
const OF_TIME: [&str; 9] = [
    "budget.exceeded",
    "expect.latency",
    "poll.did-not-stay",
    "poll.unmet",
    "receive.nothing",
    "recovery.ready",
    "recovery.registry",
    "recovery.served",
    "sql.unmet",
];

/// The kind of a failure that says nothing of the target.
pub const STOOD_STILL: &str = "muster.stood-still";

/// The failures of a case in which the process stood still: that something took too long is no broken promise then. What
/// was seen of the target, such as a leak or a wrong answer, stays what it is.
pub(super) fn excused(failures: Vec<Failure>, mask: &Mask) -> Vec<Failure> {
    let is_of_time =
        |failure: &Failure| failure.verdict == Verdict::Fail && OF_TIME.contains(&failure.kind.as_str());
    let excuse = |failure: Failure| {
        let said = format!(
            "muster itself stood still for more than {OF_A_CASE:?} in this case, so this says nothing of the target: {}: {}",
            failure.kind, failure.message
        );
        Failure {
            verdict: Verdict::Inconclusive,
            kind: STOOD_STILL.into(),
            message: mask.mask(&said),
            ..failure
        }
    };
    failures.into_iter().map(|failure| if is_of_time(&failure) { excuse(failure) } else { failure }).collect()
}

/// How often it is looked whether time passes as it should.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Waits for `work`. Beside what comes of it: whether the process stood still meanwhile, for longer than `longest`. Cancel
/// safe if `work` is.
pub(super) async fn watched<T>(longest: Duration, work: impl Future<Output = T>) -> (T, bool) {
    let (looked_at, stood_still) = (Cell::new(Instant::now()), Cell::new(false));
    let is_late = || looked_at.get().elapsed() > longest;
    let looking = async {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            stood_still.set(stood_still.get() || is_late());
            looked_at.set(Instant::now());
        }
    };
    let done = tokio::select! {
        biased;
        done = work => done,
        never = looking => absurd(never),
    };
    (done, stood_still.get() || is_late())
}

fn absurd<T>(never: Infallible) -> T {
    match never {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Masked;

    fn failure(verdict: Verdict, kind: &str) -> Failure {
        let (step, message) = ("call x.y".into(), Masked::fixed("broken"));
        Failure { verdict, kind: kind.into(), step, message, spot: None, evidence: vec![] }
    }

    #[test]
    fn what_took_too_long_says_nothing_and_what_was_seen_stays() {
        let kinds = |failures: Vec<Failure>| -> Vec<(Verdict, String)> {
            excused(failures, &Mask::new()).into_iter().map(|it| (it.verdict, it.kind)).collect()
        };
        for kind in OF_TIME {
            assert_eq!(
                kinds(vec![failure(Verdict::Fail, kind)]),
                [(Verdict::Inconclusive, STOOD_STILL.into())]
            );
        }
        for kind in ["leak.canary", "expect.status", "expect.body"] {
            assert_eq!(kinds(vec![failure(Verdict::Fail, kind)]), [(Verdict::Fail, kind.into())]);
        }
        let doubt = (Verdict::Inconclusive, "recovery.served".into());
        assert_eq!(kinds(vec![failure(Verdict::Inconclusive, "recovery.served")]), [doubt]);
    }

    #[test]
    fn each_kind_of_time_is_one_that_is_told() {
        let sources = [
            include_str!("../judge/clock.rs"),
            include_str!("../judge/reply.rs"),
            include_str!("../step/poll.rs"),
            include_str!("../step/receive.rs"),
            include_str!("../step/sql.rs"),
        ];
        for kind in OF_TIME {
            let quoted = format!("\"{kind}\"");
            assert!(sources.iter().any(|source| source.contains(&quoted)), "nobody tells {kind}");
        }
    }

    #[tokio::test]
    async fn standing_still_is_noticed_whichever_is_looked_at_first() {
        let blocks = async {
            let began = Instant::now();
            while began.elapsed() < Duration::from_millis(60) {
                std::hint::spin_loop();
            }
            7
        };
        assert_eq!(watched(Duration::from_millis(30), blocks).await, (7, true));
        let waits = tokio::time::sleep(LOOK_EVERY * 2);
        assert_eq!(watched(Duration::from_secs(60), waits).await, ((), false));
    }
}
