//! The verdicts on a recovery: its three clocks, and the budget of each probe.
//!
//! A clock that did not stop is a broken promise only if it was seen not to stop. Lives here: what is a Fail and what
//! could not be judged, each with its stable kind. Does not: looking (`step::watching`), or what samples show
//! (`recovery`).

use super::Mismatch;
use super::recovery::Observation;
use crate::outcome::Verdict;
use std::time::Duration;

/// Something that keeps a case from passing, and how far it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruling {
    /// Fail or Inconclusive.
    pub verdict: Verdict,
    /// Why.
    pub mismatch: Mismatch,
}

impl Ruling {
    fn fail(kind: &'static str, message: String) -> Self {
        Self { verdict: Verdict::Fail, mismatch: Mismatch { kind, message } }
    }

    fn doubt(kind: &'static str, message: String) -> Self {
        Self { verdict: Verdict::Inconclusive, mismatch: Mismatch { kind, message } }
    }
}

/// What is known of the pods at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pods {
    /// As many as before were seen to become Ready.
    Back,
    /// As many as before are Ready, and the watch did not see when.
    BackUnseen {
        /// How long the watch had said nothing when a list showed them; none if a list at the deadline did.
        silent_for: Option<Duration>,
    },
    /// They were seen to become Ready too near to the deadline to have stayed.
    Unsettled {
        /// How long before the deadline.
        lasted: Duration,
        /// How long they must stay.
        wanted: Duration,
    },
    /// A list at the deadline shows fewer.
    Missing {
        /// So many are Ready.
        ready: usize,
        /// So many were.
        before: usize,
    },
    /// They are Ready, and the Deployment that replaces them is not done with it.
    RollingOut,
    /// They could not be listed at the deadline.
    Unknown {
        /// Why.
        why: String,
    },
}

/// What the registry said last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Nodes {
    /// As many nodes as before, and the victim's is gone.
    Live,
    /// So it is too near to the deadline to have stayed.
    Unsettled {
        /// How long before the deadline.
        lasted: Duration,
        /// How long it must stay.
        wanted: Duration,
    },
    /// Something else.
    Other {
        /// So many it listed before.
        before: usize,
        /// So many it lists.
        now: usize,
        /// So many of these it listed before.
        kept: usize,
        /// So many of them were to go.
        victims: usize,
    },
    /// No answer that can be read.
    Unanswered {
        /// Why.
        why: String,
    },
}

/// The first clock.
pub fn ready(pods: &Pods, within: Duration) -> Option<Ruling> {
    Some(match pods {
        Pods::Back => return None,
        Pods::Missing { ready, before } => Ruling::fail(
            "recovery.ready",
            format!("not as many pods were Ready as before within {within:.1?}: {ready} of {before}"),
        ),
        Pods::RollingOut => Ruling::fail(
            "recovery.ready",
            format!("as many pods as before were Ready, and the rollout was not over within {within:.1?}"),
        ),
        Pods::Unsettled { lasted, wanted } => Ruling::fail(
            "recovery.ready",
            format!(
                "as many pods as before were Ready only for the last {lasted:.1?} of {within:.1?}, and must be for {wanted:.1?}"
            ),
        ),
        Pods::BackUnseen { silent_for: Some(silent) } => {
            let text =
                format!("the watch of pods said nothing for {silent:.1?}: when they were Ready is not known");
            Ruling::doubt("recovery.watch", text)
        }
        Pods::BackUnseen { silent_for: None } => Ruling::doubt(
            "recovery.watch",
            format!("the pods are Ready after {within:.1?}, and the watch did not show when"),
        ),
        Pods::Unknown { why } => Ruling::doubt(
            "recovery.watch",
            format!("whether the pods were Ready within {within:.1?} is not known: {why}"),
        ),
    })
}

/// The third clock.
pub fn registry(nodes: &Nodes, within: Duration) -> Option<Ruling> {
    Some(match nodes {
        Nodes::Live => return None,
        Nodes::Unsettled { lasted, wanted } => Ruling::fail(
            "recovery.registry",
            format!(
                "the registry listed exactly the live nodes only for the last {lasted:.1?} of {within:.1?}, and must for {wanted:.1?}"
            ),
        ),
        Nodes::Other { before, now, kept, victims } => {
            let stay = before.saturating_sub(*victims);
            let wanted = format!("wanted {before}, {stay} of them from before");
            let found = format!("found {now}, {kept} of them from before");
            let text = format!(
                "the registry did not list exactly the live nodes within {within:.1?}: {wanted}; {found}"
            );
            Ruling::fail("recovery.registry", text)
        }
        Nodes::Unanswered { why } => Ruling::doubt(
            "registry.unanswered",
            format!(
                "whether the registry listed exactly the live nodes within {within:.1?} is not known: {why}"
            ),
        ),
    })
}

/// The second clock, for one probe. `until` is the end of the observation, by the probe's time. A failure within the last
/// `stable_for` proves that the probe was not served again; otherwise a blind window after the last failure, such as one
/// of 401s, hides whether it was.
pub fn served(
    probe: &str,
    seen: &Observation,
    until: Duration,
    stable_for: Duration,
    within: Duration,
) -> Option<Ruling> {
    if seen.served_since.is_some() {
        return None;
    }
    let last = seen.outages.last();
    let failed_until = last.map_or(Duration::ZERO, |outage| outage.last_failed);
    let blind = seen.blind_after(failed_until);
    Some(match last {
        Some(outage) if failed_until + stable_for > until || blind.is_none() => Ruling::fail(
            "recovery.served",
            format!("probe {probe} was not served again within {within:.1?}: {}", outage.kind),
        ),
        _ => {
            let why = blind.map_or("too few samples", |blind| &blind.why);
            let text =
                format!("probe {probe}: whether it was served again within {within:.1?} is not known: {why}");
            Ruling::doubt("recovery.unjudged", text)
        }
    })
}

/// What a probe that had been served again saw as the watching ended: if it failed, nobody knows for how long.
pub fn relapsed(probe: &str, seen: &Observation) -> Option<Ruling> {
    let open = seen.outages.last().filter(|outage| outage.until.is_none())?;
    let text = format!("probe {probe}: served again, and not any more as the watching ended: {}", open.kind);
    Some(Ruling::doubt("recovery.unjudged", text))
}

/// The budget of one probe: the longest outage that is accepted, inclusive.
pub fn budget(probe: &str, seen: &Observation, budget: Duration) -> Option<Ruling> {
    let (proven, possible) = (seen.longest_proven(), seen.longest_possible());
    let is_open = |outage: &super::recovery::Outage| {
        outage.until.is_none() && seen.blind_after(outage.last_failed).is_some()
    };
    if proven > budget {
        let text = format!("probe {probe}: out for {proven:.1?}, and {budget:.1?} are accepted");
        return Some(Ruling::fail("budget.exceeded", text));
    }
    let blind = seen.longest_blind();
    if blind > budget || possible > budget || seen.outages.last().is_some_and(is_open) {
        let text = format!(
            "probe {probe}: surely out for {proven:.1?} and blind for {blind:.1?}; {budget:.1?} are accepted"
        );
        return Some(Ruling::doubt("probe.blind", text));
    }
    None
}

/// How many requests of one probe may fail, inclusive.
pub fn lost(probe: &str, seen: &Observation, accepted: usize) -> Option<Ruling> {
    let (failed, unjudged) = (seen.failed, seen.unjudged);
    if failed > accepted {
        let kind = seen.outages.first().map_or("", |outage| outage.kind.as_ref());
        let text = format!(
            "probe {probe}: {failed} of {} requests failed ({kind}), and {accepted} may",
            seen.samples
        );
        return Some(Ruling::fail("budget.lost", text));
    }
    (failed + unjudged > accepted).then(|| {
        let text = format!(
            "probe {probe}: {failed} of {} requests failed and {unjudged} could not be judged; {accepted} may fail",
            seen.samples
        );
        Ruling::doubt("probe.blind", text)
    })
}

#[cfg(test)]
mod tests {
    use super::super::recovery::{Reader, observe};
    use super::super::sample::{Reading, Sample};
    use super::*;

    const BEAT: Duration = Duration::from_millis(10);
    const READER: Reader = Reader { every: BEAT, late_by: BEAT, stable_for: Duration::from_millis(30) };
    const WITHIN: Duration = Duration::from_secs(6);

    fn told(ruling: Option<Ruling>) -> String {
        ruling.map_or("kept".into(), |it| {
            format!("{} {}: {}", it.verdict, it.mismatch.kind, it.mismatch.message)
        })
    }

    /// One letter a beat: served, failed, unjudged.
    fn seen(letters: &str) -> (Observation, Duration) {
        let read = |(beat, letter): (u32, char)| {
            let reading = match letter {
                'x' => Reading::Failed("refused".into()),
                '?' => Reading::Unjudged("status 401".into()),
                _ => Reading::Served,
            };
            Sample { due: BEAT * beat, started_late_us: 0, ended: BEAT * beat, reading }
        };
        let samples: Vec<Sample> = (0..).zip(letters.chars()).map(read).collect();
        let until = samples.last().map_or(Duration::ZERO, |last| last.ended);
        (observe(&samples, Duration::ZERO, until, &READER), until)
    }

    #[test]
    fn a_probe_that_fails_as_the_watching_ends_is_told() {
        let lasting = "inconclusive recovery.unjudged: probe own: served again, and not any more as the watching ended: refused";
        for (letters, expected) in [
            ("xxoooooo", "kept"),
            ("xxoooox", lasting),
            ("oooox??", lasting),
            ("ooooxo", "kept"),
            ("oooo??", "kept"),
        ] {
            assert_eq!(told(relapsed("own", &seen(letters).0)), expected, "{letters}");
        }
    }

    #[test]
    fn pods_fail_only_if_a_list_shows_that_they_are_missing() {
        for (pods, expected) in [
            (Pods::Back, "kept"),
            (
                Pods::RollingOut,
                "fail recovery.ready: as many pods as before were Ready, and the rollout was not over within 6.0s",
            ),
            (
                Pods::Missing { ready: 0, before: 1 },
                "fail recovery.ready: not as many pods were Ready as before within 6.0s: 0 of 1",
            ),
            (
                Pods::BackUnseen { silent_for: Some(Duration::from_secs(3)) },
                "inconclusive recovery.watch: the watch of pods said nothing for 3.0s: when they were Ready is not known",
            ),
            (
                Pods::BackUnseen { silent_for: None },
                "inconclusive recovery.watch: the pods are Ready after 6.0s, and the watch did not show when",
            ),
            (
                Pods::Unknown { why: "no connection".into() },
                "inconclusive recovery.watch: whether the pods were Ready within 6.0s is not known: no connection",
            ),
        ] {
            assert_eq!(told(ready(&pods, WITHIN)), expected);
        }
    }

    #[test]
    fn the_registry_fails_only_by_what_it_lists() {
        for (nodes, expected) in [
            (Nodes::Live, "kept"),
            (
                Nodes::Other { before: 1, now: 2, kept: 1, victims: 1 },
                "fail recovery.registry: the registry did not list exactly the live nodes within 6.0s: \
                 wanted 1, 0 of them from before; found 2, 1 of them from before",
            ),
            (
                Nodes::Other { before: 0, now: 1, kept: 0, victims: 1 },
                "fail recovery.registry: the registry did not list exactly the live nodes within 6.0s: \
                 wanted 0, 0 of them from before; found 1, 0 of them from before",
            ),
            (
                Nodes::Unanswered { why: "status 500".into() },
                "inconclusive registry.unanswered: whether the registry listed exactly the live nodes within 6.0s \
                 is not known: status 500",
            ),
        ] {
            assert_eq!(told(registry(&nodes, WITHIN)), expected);
        }
    }

    #[test]
    fn a_probe_fails_by_failures_and_is_not_judged_by_401s() {
        let failing = "fail recovery.served: probe user was not served again within 6.0s: refused";
        let unjudged = "inconclusive recovery.unjudged: probe user: whether it was served again within 6.0s is not known: status 401";
        for (letters, expected) in [
            ("oxxooooooo", "kept"),
            ("oooooooooo", "kept"),
            ("oxxxxxxxxx", failing),
            ("oxxooooxoo", failing),
            ("oxxxxx??", failing),
            ("oxx???????", unjudged),
            ("o?????????", unjudged),
            ("oxxo?o?o?o?", unjudged),
            ("oxx???oooooo", "kept"),
            (
                "",
                "inconclusive recovery.unjudged: probe user: whether it was served again within 6.0s is not known: \
                 too few samples",
            ),
        ] {
            let (seen, until) = seen(letters);
            let ruling = served("user", &seen, until, READER.stable_for, WITHIN);
            assert_eq!(told(ruling), expected, "{letters}");
        }
    }

    #[test]
    fn a_budget_is_exceeded_only_by_what_is_proven() {
        let accepted = BEAT * 4;
        for (letters, kind) in [
            ("oxxxoooooo", "kept"),
            ("oxxxxxoooo", "fail budget.exceeded"),
            ("oxx??xxooo", "inconclusive probe.blind"),
            ("oxx?????oo", "inconclusive probe.blind"),
            ("o??????ooo", "inconclusive probe.blind"),
            ("oo??ooo??o", "kept"),
            ("oxx??", "inconclusive probe.blind"),
            ("o?xxxxxx?o", "fail budget.exceeded"),
        ] {
            let told = told(budget("user", &seen(letters).0, accepted));
            assert!(told.starts_with(kind), "{letters}: {told}");
        }
    }
}
