//! How many requests of a probe may fail while pods are replaced: none, or as many as a suite says.

use crate::faults::told;
use crate::program::Bench;
use muster::judge::clock::lost;
use muster::judge::recovery::{Observation, Reader, observe};
use muster::judge::sample::{Reading, Sample};
use std::time::Duration;

const BEAT: Duration = Duration::from_millis(10);

/// One letter a beat: served, failed, unjudged.
fn seen(letters: &str) -> Observation {
    let read = |(beat, letter): (u32, char)| {
        let reading = match letter {
            'x' => Reading::Failed("refused".into()),
            '?' => Reading::Unjudged("status 401".into()),
            _ => Reading::Served,
        };
        Sample { due: BEAT * beat, started_late_us: 0, ended: BEAT * beat, reading }
    };
    let samples: Vec<Sample> = (0..).zip(letters.chars()).map(read).collect();
    let reader = Reader { every: BEAT, late_by: BEAT, stable_for: BEAT * 3 };
    observe(&samples, Duration::ZERO, BEAT * 20, &reader)
}

#[test]
fn only_more_failures_than_may_be_fail_and_what_was_not_judged_is_none() {
    for (letters, accepted, expected) in [
        ("oooooooooo", 0, "kept"),
        ("ooxooooooo", 0, "fail budget.lost: probe user: 1 of 10 requests failed (refused), and 0 may"),
        ("ooxooooxoo", 2, "kept"),
        ("ooxoxooxoo", 2, "fail budget.lost: probe user: 3 of 10 requests failed (refused), and 2 may"),
        ("oo?ooooooo", 1, "kept"),
        (
            "oox?ooo?oo",
            2,
            "inconclusive probe.blind: probe user: 1 of 10 requests failed and 2 could not be judged; 2 may fail",
        ),
        (
            "o?oooooooo",
            0,
            "inconclusive probe.blind: probe user: 0 of 10 requests failed and 1 could not be judged; 0 may fail",
        ),
    ] {
        let told = lost("user", &seen(letters), accepted).map_or("kept".into(), |it| {
            format!("{} {}: {}", it.verdict, it.mismatch.kind, it.mismatch.message)
        });
        assert_eq!(told, expected, "{letters}");
    }
}

#[test]
fn a_suite_says_how_many_requests_a_rollout_may_cost() {
    let bench = Bench::with_defects(&["pods-end-first"]);
    let rollout = |lost: u32| {
        let fault =
            format!("          fault: {{ rollout_restart: $(pod) }}\n          lost: {{ own: {lost} }}\n");
        told(&bench, &fault)
    };
    let (code, said, summary) = rollout(100_000);
    assert_eq!(code, 0, "{said}");
    let failed = summary["cases"][0]["recoveries"][0]["outages"][0]["failed"].as_u64();
    assert!(failed > Some(1), "nothing was lost that could be accepted: {failed:?}");
    let (code, said, _) = rollout(1);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("budget.lost") && said.contains("and 1 may"), "{said}");
}
