//! Everything that watches during a disruption: probes, the watch of pods, the registry; and the three clocks.
//!
//! Lives here: waiting for a steady state, following a recovery, and what is told of it. Does not: breaking anything, or
//! deciding what it means (`disrupt`).

use super::disrupt::Clock;
use super::request::Request;
use super::stage::Stage;
use super::{Data, Names};
use crate::client::Connection;
use crate::client::kube::{PodFact, PodWatch, Sight, Victim};
use crate::judge::recovery::{Observation, Reader, observe};
use crate::judge::sample::Sample;
use crate::judge::steady::{Steady, Tolerance, steady};
use crate::outcome::{Failure, Outage, Recovery};
use crate::probe::Probe;
use crate::source::{At, Place};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How long one look of the watching loop is.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// A sample that starts this much later than its beat proves nothing for its time.
const LATE_BY: Duration = Duration::from_millis(20);
/// No sample of a probe may wait longer than this for its answer.
pub(super) const PROBE_WITHIN: Duration = Duration::from_secs(2);

/// A probe at work.
pub(super) struct Watcher {
    pub(super) name: String,
    pub(super) probe: Probe,
    pub(super) budget: Option<Duration>,
}

/// Everything that watches during a disruption.
pub(super) struct Watching {
    pub(super) probes: Vec<Watcher>,
    pub(super) pods: PodWatch,
    pub(super) present: usize,
    pub(super) service: String,
    /// The nodes of the service before; `None` if it is not registered, or nobody asks.
    pub(super) registered: Option<BTreeSet<String>>,
    pub(super) stable_for: Duration,
    pub(super) within: Duration,
    pub(super) beat: Duration,
}

/// When each clock stopped, counted from the injection.
#[derive(Default)]
pub(super) struct Clocks {
    pub(super) ready: Option<Duration>,
    pub(super) served: Option<Duration>,
    pub(super) registry: Option<Duration>,
    pub(super) registry_last: String,
    pub(super) blind: Option<String>,
}

impl Clocks {
    pub(super) fn stopped(&self, clock: Clock) -> Option<Duration> {
        match clock {
            Clock::Ready => self.ready,
            Clock::Served => self.served,
            Clock::Registry => self.registry,
        }
    }

    pub(super) fn is_late(&self, wanted: &BTreeSet<Clock>) -> bool {
        wanted.iter().any(|clock| self.stopped(*clock).is_none())
    }
}

pub(super) struct Observed {
    pub(super) name: String,
    pub(super) budget: Option<Duration>,
    pub(super) beat: Duration,
    pub(super) observation: Observation,
    /// From the probe's zero to the injection.
    pub(super) offset: Duration,
}

impl Watching {
    /// Waits until every probe has been served for the stable time.
    pub(super) async fn await_steady(&self, stage: &Stage<'_>) -> Result<(), Vec<Failure>> {
        let wanted =
            usize::try_from(self.stable_for.as_micros() / self.beat.as_micros().max(1)).unwrap_or(usize::MAX);
        let wanted = wanted.max(3);
        let tolerance = Tolerance {
            judged_at_least: wanted / 2,
            failed_at_most: 0,
            blind_at_most: wanted,
            late_by: LATE_BY,
        };
        let started = Instant::now();
        loop {
            let states: Vec<(String, Steady)> = self
                .probes
                .iter()
                .map(|one| (one.name.clone(), last_window(&one.probe.so_far(), wanted, &tolerance)))
                .collect();
            if states.iter().all(|(_, state)| *state == Steady::Yes) {
                return Ok(());
            }
            if started.elapsed() > self.within {
                let unsteady = states.iter().find(|(_, state)| *state != Steady::Yes);
                let text = unsteady
                    .map(|(name, state)| format!("probe {name} was not steady before: {}", said(state)));
                return Err(vec![stage.doubt("steady.before", &text.unwrap_or_default())]);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    pub(super) async fn until_recovered(
        &mut self,
        injected_at: Instant,
        victim: &Victim,
        wanted: &BTreeSet<Clock>,
        stage: &mut Stage<'_>,
    ) -> Clocks {
        let mut clocks = Clocks::default();
        let mut pods: BTreeMap<String, PodFact> = BTreeMap::new();
        while injected_at.elapsed() < self.within {
            self.look_at_pods(&mut pods, &mut clocks, injected_at, victim).await;
            if wanted.contains(&Clock::Registry) && clocks.ready.is_some() && clocks.registry.is_none() {
                self.look_at_registry(&mut clocks, injected_at, stage).await;
            }
            let others = [Clock::Ready, Clock::Registry].iter().filter(|clock| wanted.contains(clock));
            let others_stopped = others.clone().all(|clock| clocks.stopped(*clock).is_some());
            if others_stopped {
                clocks.served = self.served_since(injected_at);
            }
            if others_stopped && (clocks.served.is_some() || !wanted.contains(&Clock::Served)) {
                break;
            }
        }
        clocks
    }

    /// Takes in what the watch of pods says, for as long as one look.
    async fn look_at_pods(
        &mut self,
        pods: &mut BTreeMap<String, PodFact>,
        clocks: &mut Clocks,
        injected_at: Instant,
        victim: &Victim,
    ) {
        let Ok(Some(seen)) = tokio::time::timeout(LOOK_EVERY, self.pods.next()).await else { return };
        match seen.sight {
            Sight::Listed(all) => *pods = all.into_iter().map(|pod| (pod.uid.clone(), pod)).collect(),
            Sight::Changed(pod) => drop(pods.insert(pod.uid.clone(), pod)),
            Sight::Gone(pod) => drop(pods.remove(&pod.uid)),
            Sight::Alive => clocks.blind = None,
            Sight::Silent { .. } => clocks.blind = Some("it says nothing any more".into()),
            Sight::Broken { why, .. } => clocks.blind = Some(why.to_string()),
        }
        let present = pods.values().filter(|pod| pod.is_present() && pod.uid != victim.uid).count();
        if clocks.ready.is_none() && present >= self.present {
            clocks.ready = Some(seen.at.saturating_duration_since(injected_at));
        }
    }

    /// The third clock: as many nodes as before, and one of those before is gone.
    async fn look_at_registry(&self, clocks: &mut Clocks, injected_at: Instant, stage: &mut Stage<'_>) {
        let Some(before) = &self.registered else {
            clocks.registry = Some(injected_at.elapsed());
            return;
        };
        let Some(now) = self.nodes(stage).await else {
            clocks.registry_last = "the registry gave no answer, or knows no such service".into();
            return;
        };
        let kept = before.intersection(&now).count();
        if now.len() == before.len() && kept + 1 == before.len() {
            clocks.registry = Some(injected_at.elapsed());
        } else {
            clocks.registry_last = format!("{} nodes, of which {kept} were there before", now.len());
        }
    }

    /// The registered nodes of the service, as the target file says how to ask for them.
    pub(super) async fn nodes(&self, stage: &mut Stage<'_>) -> Option<BTreeSet<String>> {
        let registry = stage.scene.target.file.registry.as_ref()?;
        let json = registry.json.as_ref().map(|whole| Data::new(&whole.0)).transpose().ok()?;
        let mut names = Names::new();
        names.insert("service".into(), Value::from(self.service.as_str()));
        let mut aside = stage.aside(names);
        let operator = At { value: "operator".to_owned(), at: Place::default() };
        let request = Request {
            op: Some(&registry.op),
            identity: Some(registry.identity.as_ref().unwrap_or(&operator)),
            json: json.as_ref(),
            ..Request::nothing()
        };
        let prepared = request.prepared(&aside).ok()?;
        let target = aside.scene.target;
        let reply =
            prepared.send(&target.http, target.rpc.as_ref(), Connection::New, PROBE_WITHIN).await.ok()?;
        aside.statuses.clear();
        let path = super::expect::json_path(&registry.nodes).ok()?;
        let json = reply.json().filter(|_| reply.is_success())?;
        let nodes: BTreeSet<String> = path.query(&json).all().into_iter().map(Value::to_string).collect();
        (!nodes.is_empty()).then_some(nodes)
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
            let samples = one.probe.stop().await;
            let until = samples.last().map_or(offset, |sample| sample.ended);
            let observation = observe(&samples, offset, until, &reader);
            all.push(Observed { name: one.name, budget: one.budget, beat, observation, offset });
        }
        all
    }
}

fn last_window(samples: &[Sample], wanted: usize, tolerance: &Tolerance) -> Steady {
    let from = samples.len().saturating_sub(wanted);
    if samples.len() < wanted {
        return Steady::Unknown { judged: samples.len(), blind: 0, why: None };
    }
    steady(&samples[from..], tolerance)
}

fn said(state: &Steady) -> String {
    match state {
        Steady::Yes => "steady".into(),
        Steady::No { failed, of, kind, .. } => format!("{failed} of {of} samples failed ({kind})"),
        Steady::Unknown { judged, blind, why } => {
            format!(
                "{judged} samples could be judged and {blind} could not{}",
                why.as_ref().map_or(String::new(), |why| format!(" ({why})"))
            )
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// What is told of a recovery.
pub(super) fn recovery(
    case: &str,
    fault: &str,
    victim: &Victim,
    seen: &Clocks,
    observed: &[Observed],
) -> Recovery {
    Recovery {
        case: case.into(),
        fault: fault.into(),
        victim: victim.name.clone(),
        ready_us: seen.ready.map(micros),
        served_us: seen.served.map(micros),
        registry_us: seen.registry.map(micros),
        outages: observed.iter().map(outage).collect(),
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
