//! Everything that watches during a disruption: probes and the watch of pods; and the three clocks.
//!
//! Lives here: following a recovery, and what is told of it. Does not: waiting for the steady state before (`steady`), what
//! the registry lists (`nodes`), breaking anything, or deciding what it means (`disrupt`).

use super::disrupt::Clock;
use super::following::{Follower, are_back, renewed, stands};
use super::stage::Stage;
use super::stopwatch::Clocks;
use crate::client::kube::{Kube, KubeError, PodWatch, Seen, Sight, Victim};
use crate::fault::Traits;
use crate::judge::clock::Pods;
use crate::judge::recovery::{Observation, Reader, observe};
use crate::judge::sample::Sample;
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
    /// The Deployment that must be done with replacing its pods, if the fault is that it does.
    pub(super) rollout: Option<String>,
    pub(super) service: String,
    /// The nodes of the service before.
    pub(super) registered: BTreeSet<String>,
    pub(super) stable_for: Duration,
    pub(super) within: Duration,
    pub(super) beat: Duration,
}

/// Which clocks a case waits for besides that of the probes, for which every case waits.
#[derive(Clone, Copy)]
struct Wanted {
    /// Those of the registry too: it lists the pods that are back.
    pods: bool,
    registry: bool,
}

impl Wanted {
    fn of(clocks: &BTreeSet<Clock>) -> Self {
        let has = |clock| clocks.contains(&clock);
        let registry = has(Clock::Registry);
        Self { pods: registry || has(Clock::Ready), registry }
    }
}

pub(super) struct Observed {
    pub(super) name: String,
    pub(super) budget: Option<Duration>,
    pub(super) may_lose: Option<usize>,
    pub(super) beat: Duration,
    /// All that was seen.
    pub(super) observation: Observation,
    /// What was seen of the recovery.
    pub(super) recovery: Observation,
    /// The end of what was seen of the recovery, from the probe's zero.
    pub(super) until: Duration,
    /// From the probe's zero to the injection.
    pub(super) offset: Duration,
}

impl Observed {
    /// Since when it was served for good, counted from the injection.
    pub(super) fn served_since(&self) -> Option<Duration> {
        Some(self.recovery.served_since?.saturating_sub(self.offset))
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
        self.is_over(clocks, wanted, injected_at.elapsed(), injected_at)
    }

    /// Whether all that is wanted had stayed by a moment, counted from the injection.
    fn is_over(&self, clocks: &Clocks, wanted: Wanted, by: Duration, injected_at: Instant) -> bool {
        let stays = |since: Option<Duration>| since.is_some_and(|since| since + self.stable_for <= by);
        (!wanted.pods || stays(clocks.back_since))
            && (!wanted.registry || stays(clocks.registry))
            && self.is_served(injected_at, by)
    }

    /// Asks once more for what has stayed: a watch may have kept something back, and what a registry listed at two moments
    /// is more than what it listed at one. Then no request that was due by now may be without its answer.
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
        if !matches!(self.rolled_out().await, Ok(true)) {
            tokio::time::sleep(ASK_AGAIN_AFTER).await;
            return false;
        }
        clocks.judged_until = injected_at.elapsed();
        self.have_answered(injected_at, clocks.judged_until).await;
        self.is_over(clocks, wanted, clocks.judged_until, injected_at) && injected_at.elapsed() < self.within
    }

    /// Whether the Deployment is done with replacing its pods, if that is what was done to it.
    async fn rolled_out(&self) -> Result<bool, KubeError> {
        let Some(name) = &self.rollout else { return Ok(true) };
        Ok(self.kube.deployment(&self.namespace, name).await?.is_rolled_out)
    }

    /// Waits until every request that was due by then has its answer (each has its limit), or until the deadline.
    async fn have_answered(&self, injected_at: Instant, by: Duration) {
        let is_known = |one: &Watcher| {
            let by = injected_at.saturating_duration_since(one.probe.zero()) + by;
            one.probe.known_until().is_some_and(|known| known + self.beat > by)
        };
        while !self.probes.iter().all(is_known) && injected_at.elapsed() < self.within {
            tokio::time::sleep(LOOK_EVERY).await;
        }
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
        clocks.judged_until = self.within;
        clocks.pods = Some(match listed {
            Ok(pods) if are_back(&pods, &self.victims, self.present) => match self.rolled_out().await {
                Ok(true) => clocks.back_at_last(self.within, self.stable_for),
                Ok(false) => Pods::RollingOut,
                Err(error) => Pods::Unknown { why: error.to_string() },
            },
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

    /// Whether every probe is served for good, by what was asked by a moment, counted from the injection, and is known.
    fn is_served(&self, injected_at: Instant, by: Duration) -> bool {
        let reader = self.reader();
        self.probes.iter().all(|one| {
            let offset = injected_at.saturating_duration_since(one.probe.zero());
            recovery_of(&one.probe.so_far(), offset, by, &reader).0.served_since.is_some()
        })
    }

    fn reader(&self) -> Reader {
        Reader { every: self.beat, late_by: LATE_BY, stable_for: self.stable_for }
    }

    /// Waits for the last answers. What was asked after `judged_until`, counted from the injection, is no part of the recovery.
    pub(super) async fn stop(self, injected_at: Instant, judged_until: Duration) -> Vec<Observed> {
        let reader = self.reader();
        let beat = self.beat;
        let mut all = vec![];
        for one in self.probes {
            let offset = injected_at.saturating_duration_since(one.probe.zero());
            let Watcher { name, probe, budget, may_lose } = one;
            let samples = probe.stop().await;
            let until = samples.last().map_or(offset, |sample| sample.ended);
            let observation = observe(&samples, offset, until, &reader);
            let (recovery, until) = recovery_of(&samples, offset, judged_until, &reader);
            all.push(Observed { name, budget, may_lose, beat, observation, recovery, until, offset });
        }
        all
    }
}

/// What the samples that were due by a moment, counted from the injection, say of the recovery; and its end, by the probe's
/// time.
fn recovery_of(
    samples: &[Sample],
    offset: Duration,
    by: Duration,
    reader: &Reader,
) -> (Observation, Duration) {
    let samples = &samples[..samples.partition_point(|sample| sample.due <= offset + by)];
    let until = samples.last().map_or(offset, |sample| sample.due);
    (observe(samples, offset, until, reader), until)
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
    use crate::judge::sample::Reading;

    /// What was asked every 10 ms after the injection, which was 20 ms after the probe's zero: `o` is served, `x` is refused
    /// after 50 ms.
    fn samples(readings: &str) -> Vec<Sample> {
        let read = |(number, letter): (u32, char)| {
            let due = BEAT * number;
            let (took, reading) = match letter {
                'x' => (BEAT * 5, Reading::Failed("refused".into())),
                _ => (Duration::ZERO, Reading::Served),
            };
            Sample { due, started_late_us: 0, ended: due + took, reading }
        };
        (0..).zip(readings.chars()).map(read).collect()
    }

    const BEAT: Duration = Duration::from_millis(10);

    #[test]
    fn what_is_asked_after_the_end_of_a_recovery_is_no_part_of_it() {
        let reader = Reader { every: BEAT, late_by: BEAT, stable_for: BEAT * 3 };
        for (readings, by, until, served_since) in [
            ("ooooooooo", 4, 6, Some(2)),
            ("ooooooxxx", 3, 5, Some(2)),
            ("ooooooxxx", 4, 6, None),
            ("ooxxoooo", 3, 5, None),
            ("ooxxoooooo", 7, 9, Some(4)),
            ("ooxxxxooooo", 5, 7, None),
            ("ooxxxxooooo", 3, 5, None),
            ("oo", 9, 1, None),
        ] {
            let (seen, ended) = recovery_of(&samples(readings), BEAT * 2, BEAT * by, &reader);
            let expected = (BEAT * until, served_since.map(|beat| BEAT * beat));
            assert_eq!((ended, seen.served_since), expected, "{readings} {by}");
        }
    }
}
