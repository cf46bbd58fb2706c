//! Everything that watches during a disruption: probes and the watch of pods; and the three clocks.
//!
//! Lives here: following a recovery, and what is told of it. Does not: waiting for the steady state before (`steady`), what
//! the registry lists (`nodes`), breaking anything, or deciding what it means (`disrupt`).

use super::disrupt::Clock;
use super::following::{Follower, are_back, renewed, stands};
use super::stage::Stage;
use crate::client::kube::{Kube, PodWatch, Seen, Sight, Victim};
use crate::fault::Traits;
use crate::judge::clock::{Nodes, Pods};
use crate::judge::recovery::{Observation, Reader, observe};
use crate::outcome::{Outage, Recovery};
use crate::probe::Probe;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How long one look of the watching loop is.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How long it takes until a cluster that could not say which pods there are is asked again.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(100);
/// A sample that starts this much later than its beat proves nothing for its time.
pub(super) const LATE_BY: Duration = Duration::from_millis(20);
/// No sample of a probe may wait longer than this for its answer.
pub(super) const PROBE_WITHIN: Duration = Duration::from_secs(2);

/// A probe at work.
pub(super) struct Watcher {
    pub(super) name: String,
    pub(super) probe: Probe,
    pub(super) budget: Option<Duration>,
    /// How many of its requests may fail, if that is limited.
    pub(super) may_lose: Option<usize>,
}

/// Everything that watches during a disruption.
pub(super) struct Watching {
    pub(super) probes: Vec<Watcher>,
    pub(super) kube: Kube,
    pub(super) namespace: String,
    pub(super) selector: String,
    pub(super) pods: PodWatch,
    pub(super) present: usize,
    pub(super) victims: Vec<Victim>,
    /// What the fault is like.
    pub(super) traits: Traits,
    pub(super) service: String,
    /// The nodes of the service before.
    pub(super) registered: BTreeSet<String>,
    pub(super) stable_for: Duration,
    pub(super) within: Duration,
    pub(super) beat: Duration,
}

/// Which clocks a case waits for.
#[derive(Clone, Copy)]
struct Wanted {
    /// Those of the registry too: it lists the pods that are back.
    pods: bool,
    served: bool,
    registry: bool,
}

impl Wanted {
    fn of(clocks: &BTreeSet<Clock>) -> Self {
        let has = |clock| clocks.contains(&clock);
        let registry = has(Clock::Registry);
        Self { pods: registry || has(Clock::Ready), served: has(Clock::Served), registry }
    }
}

/// When each clock stopped, counted from the injection, and what is known of those that did not.
#[derive(Default)]
pub(super) struct Clocks {
    pub(super) ready: Option<Duration>,
    /// When the watch first showed that a victim does not stand any more.
    pub(super) noticed: Option<Duration>,
    pub(super) served: Option<Duration>,
    pub(super) registry: Option<Duration>,
    /// What is known of the pods, once something is.
    pub(super) pods: Option<Pods>,
    /// Since when they are back without a break.
    back_since: Option<Duration>,
    /// What the registry said last, if it was asked.
    pub(super) nodes: Option<Nodes>,
    /// Whether it is known that it did not list the live nodes before [`Clocks::registry`].
    is_registry_dated: bool,
    /// Whether every victim stood at the deadline as it did before: nothing has come of the fault.
    pub(super) is_unseen: bool,
}

impl Clocks {
    /// Whether the platform is not known to have recovered.
    pub(super) fn is_late(&self, wanted: &BTreeSet<Clock>) -> bool {
        wanted.iter().any(|clock| match clock {
            Clock::Ready => !self.are_pods_back(),
            Clock::Served => self.served.is_none(),
            Clock::Registry => self.registry.is_none(),
        })
    }

    fn are_pods_back(&self) -> bool {
        matches!(self.pods, Some(Pods::Back | Pods::BackUnseen { .. }))
    }

    /// Takes in whether the pods are back. If they were and are not any more, they have not stayed, and the clock goes on.
    fn take(&mut self, back: Option<Pods>, at: Duration) {
        match back {
            None => (self.pods, self.ready, self.back_since) = (None, None, None),
            Some(_) if self.back_since.is_some() => {}
            Some(back) => {
                self.ready = (back == Pods::Back).then_some(at);
                (self.pods, self.back_since) = (Some(back), Some(at));
            }
        }
    }

    /// The same of what the registry lists.
    pub(super) fn take_nodes(&mut self, nodes: Nodes, at: Duration) {
        if self.registry.is_none() {
            self.is_registry_dated = match &self.nodes {
                Some(before) => matches!(before, Nodes::Other { .. }),
                // Before the pods were back it cannot have listed those that live.
                None => self.ready.is_some(),
            };
        }
        self.registry = (nodes == Nodes::Live).then(|| self.registry.unwrap_or(at));
        self.nodes = Some(nodes);
    }

    /// Takes back, at the deadline, that the registry lists the live nodes if it has not for as long as they must stay.
    fn settle_nodes(&mut self, within: Duration, stable_for: Duration) {
        let Some(lasted) = self.registry.and_then(|since| unsettled(since, within, stable_for)) else {
            return;
        };
        self.registry = None;
        self.nodes = Some(if self.is_registry_dated {
            Nodes::Unsettled { lasted, wanted: stable_for }
        } else {
            Nodes::Unanswered { why: format!("what it listed before the last {lasted:.1?} was not seen") }
        });
    }
}

/// How long before the deadline something came back, if that is less than the stable time.
fn unsettled(since: Duration, within: Duration, stable_for: Duration) -> Option<Duration> {
    let lasted = within.saturating_sub(since);
    (lasted < stable_for).then_some(lasted)
}

pub(super) struct Observed {
    pub(super) name: String,
    pub(super) budget: Option<Duration>,
    pub(super) may_lose: Option<usize>,
    pub(super) beat: Duration,
    pub(super) observation: Observation,
    /// The end of the observation, from the probe's zero.
    pub(super) until: Duration,
    /// From the probe's zero to the injection.
    pub(super) offset: Duration,
}

impl Observed {
    /// Since when it was served for good, counted from the injection.
    pub(super) fn served_since(&self) -> Option<Duration> {
        Some(self.observation.served_since?.saturating_sub(self.offset))
    }
}

impl Watching {
    /// Watches until all that is wanted has come back and stayed for the stable time, or until the deadline.
    pub(super) async fn until_recovered(
        &mut self,
        injected_at: Instant,
        wanted: &BTreeSet<Clock>,
        stage: &mut Stage<'_>,
    ) -> Clocks {
        let mut clocks = Clocks::default();
        let mut follower = Follower::new(&self.victims, self.present);
        let wanted = Wanted::of(wanted);
        while injected_at.elapsed() < self.within {
            self.look_at_pods(&mut follower, &mut clocks, injected_at).await;
            if follower.has_lost_a_victim()
                && self.have_stayed(&mut clocks, wanted, injected_at, stage).await
                && self.are_confirmed(&mut follower, &mut clocks, wanted, injected_at, stage).await
            {
                return clocks;
            }
        }
        clocks.is_unseen = !follower.has_lost_a_victim();
        self.look_once_more(&mut clocks, injected_at, wanted, stage).await;
        clocks
    }

    /// Takes in what the watch of pods says, until it says nothing for as long as one look.
    async fn look_at_pods(&mut self, follower: &mut Follower, clocks: &mut Clocks, injected_at: Instant) {
        while injected_at.elapsed() < self.within
            && let Ok(Some(seen)) = tokio::time::timeout(LOOK_EVERY, self.pods.next()).await
        {
            let at = seen.at.saturating_duration_since(injected_at);
            clocks.take(follower.take(seen), at);
            if clocks.noticed.is_none() && follower.has_lost_a_victim() {
                clocks.noticed = Some(at);
            }
        }
    }

    /// Whether all that is wanted is there, and has been for the stable time, as far as was seen.
    async fn have_stayed(
        &self,
        clocks: &mut Clocks,
        wanted: Wanted,
        injected_at: Instant,
        stage: &mut Stage<'_>,
    ) -> bool {
        if wanted.pods && !clocks.are_pods_back() {
            return false;
        }
        if wanted.registry && clocks.registry.is_none() {
            self.look_at_registry(clocks, injected_at, stage).await;
        }
        clocks.served = self.served_since(injected_at);
        let now = injected_at.elapsed();
        let stays = |since: Option<Duration>| since.is_some_and(|since| since + self.stable_for <= now);
        (!wanted.pods || stays(clocks.back_since))
            && (!wanted.registry || stays(clocks.registry))
            && (!wanted.served || clocks.served.is_some())
    }

    /// Asks once more for what has stayed: a watch may have kept something back, and what a registry listed at two moments
    /// is more than what it listed at one.
    async fn are_confirmed(
        &self,
        follower: &mut Follower,
        clocks: &mut Clocks,
        wanted: Wanted,
        injected_at: Instant,
        stage: &mut Stage<'_>,
    ) -> bool {
        if wanted.registry {
            self.look_at_registry(clocks, injected_at, stage).await;
        }
        if wanted.pods {
            let Ok(pods) = self.kube.pods(&self.namespace, &self.selector).await else {
                tokio::time::sleep(ASK_AGAIN_AFTER).await;
                return false;
            };
            let seen = Seen { at: Instant::now(), sight: Sight::Listed(pods) };
            let at = seen.at.saturating_duration_since(injected_at);
            clocks.take(follower.take(seen), at);
        }
        (!wanted.pods || clocks.are_pods_back()) && (!wanted.registry || clocks.registry.is_some())
    }

    /// At the deadline: what no watch has shown is asked for, so that silence is not taken for *nothing happened*.
    async fn look_once_more(
        &self,
        clocks: &mut Clocks,
        injected_at: Instant,
        wanted: Wanted,
        stage: &mut Stage<'_>,
    ) {
        let listed = self.kube.pods(&self.namespace, &self.selector).await;
        clocks.is_unseen &= listed.as_ref().is_ok_and(|pods| {
            self.victims.iter().all(|victim| stands(pods, victim))
                && !are_back(pods, &self.victims, self.present)
        });
        clocks.pods = Some(match listed {
            Ok(pods) if are_back(&pods, &self.victims, self.present) => self.back_at_last(clocks),
            Ok(pods) => Pods::Missing { ready: renewed(&pods, &self.victims), before: self.present },
            Err(error) => Pods::Unknown { why: error.to_string() },
        });
        if clocks.pods != Some(Pods::Back) {
            clocks.ready = None;
        }
        if wanted.registry {
            self.look_at_registry(clocks, injected_at, stage).await;
            clocks.settle_nodes(self.within, self.stable_for);
        }
    }

    /// What is known of pods that a list at the deadline shows to be back.
    fn back_at_last(&self, clocks: &Clocks) -> Pods {
        let unsettled = clocks.ready.and_then(|since| unsettled(since, self.within, self.stable_for));
        match (unsettled, &clocks.pods) {
            (Some(lasted), _) => Pods::Unsettled { lasted, wanted: self.stable_for },
            (None, Some(back)) => back.clone(),
            (None, None) => Pods::BackUnseen { silent_for: None },
        }
    }

    /// Since when every probe is served for good, counted from the injection.
    fn served_since(&self, injected_at: Instant) -> Option<Duration> {
        let since = self.probes.iter().map(|one| {
            let offset = injected_at.saturating_duration_since(one.probe.zero());
            let observation =
                observe(&one.probe.so_far(), offset, one.probe.zero().elapsed(), &self.reader());
            observation.served_since.map(|since| since.saturating_sub(offset))
        });
        since.collect::<Option<Vec<_>>>()?.into_iter().max()
    }

    fn reader(&self) -> Reader {
        Reader { every: self.beat, late_by: LATE_BY, stable_for: self.stable_for }
    }

    pub(super) async fn stop(self, injected_at: Instant) -> Vec<Observed> {
        let reader = self.reader();
        let beat = self.beat;
        let mut all = vec![];
        for one in self.probes {
            let offset = injected_at.saturating_duration_since(one.probe.zero());
            let Watcher { name, probe, budget, may_lose } = one;
            let samples = probe.stop().await;
            let until = samples.last().map_or(offset, |sample| sample.ended);
            let observation = observe(&samples, offset, until, &reader);
            all.push(Observed { name, budget, may_lose, beat, observation, until, offset });
        }
        all
    }
}

pub(super) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// What is told of a recovery.
pub(super) fn recovery(
    case: &str,
    fault: &str,
    victim: String,
    seen: &Clocks,
    observed: &[Observed],
) -> Recovery {
    Recovery {
        case: case.into(),
        fault: fault.into(),
        victim,
        ready_us: seen.ready.map(micros),
        ready_error_us: None,
        served_us: seen.served.map(micros),
        registry_us: seen.registry.map(micros),
        outages: observed.iter().map(outage).collect(),
        phases: vec![],
    }
}

fn outage(one: &Observed) -> Outage {
    let since = |at: Duration| micros(at.saturating_sub(one.offset));
    let observation = &one.observation;
    let last = observation.outages.last();
    Outage {
        probe: one.name.clone(),
        samples: observation.samples,
        failed: observation.failed,
        unjudged: observation.unjudged,
        first_failed_us: observation.outages.first().map(|outage| since(outage.from.at)),
        served_again_us: last.and_then(|outage| outage.until).map(|edge| since(edge.at)),
        longest_us: observation.longest_outage().map_or(0, |outage| micros(outage.length())),
        error_us: micros(one.beat),
        budget_us: one.budget.map(micros),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_breaks_its_promise_only_if_it_was_seen_not_to_list_the_live_nodes() {
        const SECOND: Duration = Duration::from_secs(1);
        let other = || Nodes::Other { before: 1, now: 0, kept: 0, victims: 1 };
        let silent = || Nodes::Unanswered { why: "refused".into() };
        let late = |lasted| Nodes::Unsettled { lasted: lasted * SECOND, wanted: 2 * SECOND };
        let unseen = |lasted: &str| Nodes::Unanswered {
            why: format!("what it listed before the last {lasted} was not seen"),
        };
        for (ready, told, expected) in [
            (true, vec![(1, Nodes::Live), (10, Nodes::Live)], Nodes::Live),
            (true, vec![(8, Nodes::Live), (10, Nodes::Live)], Nodes::Live),
            (true, vec![(9, Nodes::Live), (10, Nodes::Live)], late(1)),
            (true, vec![(1, other()), (9, Nodes::Live), (10, Nodes::Live)], late(1)),
            (true, vec![(9, other()), (10, Nodes::Live)], late(0)),
            (true, vec![(1, Nodes::Live), (5, other()), (10, Nodes::Live)], late(0)),
            (true, vec![(1, silent()), (9, Nodes::Live), (10, Nodes::Live)], unseen("1.0s")),
            (true, vec![(1, Nodes::Live), (9, silent()), (10, Nodes::Live)], unseen("0.0ns")),
            (false, vec![(10, Nodes::Live)], unseen("0.0ns")),
            (true, vec![(9, Nodes::Live), (10, other())], other()),
        ] {
            let mut clocks = Clocks { ready: ready.then_some(Duration::ZERO), ..Clocks::default() };
            for (at, nodes) in told.clone() {
                clocks.take_nodes(nodes, at * SECOND);
            }
            clocks.settle_nodes(10 * SECOND, 2 * SECOND);
            assert_eq!(clocks.registry.is_some(), expected == Nodes::Live, "{told:?}");
            assert_eq!(clocks.nodes, Some(expected), "{told:?}");
        }
    }
}
