//! Everything that watches during a disruption: probes, the watch of pods, the registry; and the three clocks.
//!
//! Lives here: following a recovery, and what is told of it. Does not: waiting for the steady state before (`steady`),
//! breaking anything, or deciding what it means (`disrupt`).

use super::disrupt::Clock;
use super::following::{Follower, are_back, renewed, stands};
use super::request::Request;
use super::stage::Stage;
use super::{Data, Names};
use crate::client::Connection;
use crate::client::kube::{Kube, PodWatch, Victim};
use crate::fault::Traits;
use crate::judge::Reply;
use crate::judge::clock::{Nodes, Pods};
use crate::judge::recovery::{Observation, Reader, observe};
use crate::outcome::{Failure, Outage, Recovery};
use crate::probe::Probe;
use crate::source::{At, Place};
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How long one look of the watching loop is.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(5);
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
    /// What the registry said last, if it was asked.
    pub(super) nodes: Option<Nodes>,
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
    pub(super) async fn until_recovered(
        &mut self,
        injected_at: Instant,
        wanted: &BTreeSet<Clock>,
        stage: &mut Stage<'_>,
    ) -> Clocks {
        let mut clocks = Clocks::default();
        let mut follower = Follower::new(&self.victims, self.present);
        let asks_registry = wanted.contains(&Clock::Registry);
        let waits_for_pods = asks_registry || wanted.contains(&Clock::Ready);
        while injected_at.elapsed() < self.within {
            self.look_at_pods(&mut follower, &mut clocks, injected_at).await;
            let mut have_stopped =
                follower.has_lost_a_victim() && (!waits_for_pods || clocks.are_pods_back());
            if have_stopped && asks_registry && clocks.registry.is_none() {
                self.look_at_registry(&mut clocks, injected_at, stage).await;
            }
            have_stopped &= !asks_registry || clocks.registry.is_some();
            if have_stopped {
                clocks.served = self.served_since(injected_at);
            }
            if have_stopped && (clocks.served.is_some() || !wanted.contains(&Clock::Served)) {
                return clocks;
            }
        }
        clocks.is_unseen = !follower.has_lost_a_victim();
        self.look_once_more(&mut clocks, injected_at, asks_registry, stage).await;
        clocks
    }

    /// At the deadline: what no watch has shown is asked for, so that silence is not taken for *nothing happened*.
    async fn look_once_more(
        &self,
        clocks: &mut Clocks,
        injected_at: Instant,
        asks_registry: bool,
        stage: &mut Stage<'_>,
    ) {
        if clocks.pods.is_none() {
            let listed = self.kube.pods(&self.namespace, &self.selector).await;
            clocks.pods = Some(match listed {
                Ok(pods) if are_back(&pods, &self.victims, self.present) => {
                    clocks.is_unseen = false;
                    Pods::BackUnseen { silent_for: None }
                }
                Ok(pods) => {
                    clocks.is_unseen &= self.victims.iter().all(|victim| stands(&pods, victim));
                    Pods::Missing { ready: renewed(&pods, &self.victims), before: self.present }
                }
                Err(error) => {
                    clocks.is_unseen = false;
                    Pods::Unknown { why: error.to_string() }
                }
            });
        }
        if asks_registry && clocks.nodes.is_none() {
            self.look_at_registry(clocks, injected_at, stage).await;
        }
    }

    /// Takes in what the watch of pods says, for as long as one look.
    async fn look_at_pods(&mut self, follower: &mut Follower, clocks: &mut Clocks, injected_at: Instant) {
        let Ok(Some(seen)) = tokio::time::timeout(LOOK_EVERY, self.pods.next()).await else { return };
        let at = seen.at;
        let back = follower.take(seen);
        if clocks.noticed.is_none() && follower.has_lost_a_victim() {
            clocks.noticed = Some(at.saturating_duration_since(injected_at));
        }
        if clocks.pods.is_none() {
            clocks.ready = (back == Some(Pods::Back)).then(|| at.saturating_duration_since(injected_at));
            clocks.pods = back;
        }
    }

    /// The third clock: as many nodes as before, and one of those before is gone.
    async fn look_at_registry(&self, clocks: &mut Clocks, injected_at: Instant, stage: &mut Stage<'_>) {
        let nodes = match self.nodes(stage).await {
            Ok(now) => compared(&self.registered, &now, self.victims.len(), self.traits.restarts_in_place),
            Err(why) => Nodes::Unanswered { why },
        };
        if nodes == Nodes::Live {
            clocks.registry = Some(injected_at.elapsed());
        }
        clocks.nodes = Some(nodes);
    }

    /// The nodes before anything is broken.
    pub(super) async fn look_before(&mut self, stage: &mut Stage<'_>) -> Result<(), Vec<Failure>> {
        const ATTEMPTS: usize = 3;
        let mut nodes = self.nodes(stage).await;
        for _ in 1..ATTEMPTS {
            if nodes.is_err() {
                nodes = self.nodes(stage).await;
            }
        }
        let nodes = nodes.map_err(|why| {
            let text = format!("which nodes the registry lists before is not known: {why}");
            vec![stage.doubt("registry.unanswered", &text)]
        })?;
        self.registered = nodes;
        Ok(())
    }

    /// The registered nodes of the service, as the target file says how to ask for them; a service that is not found has
    /// none.
    async fn nodes(&self, stage: &mut Stage<'_>) -> Result<BTreeSet<String>, String> {
        let registry =
            stage.scene.target.file.registry.as_ref().ok_or("the target file names no `registry`")?;
        let json = registry.json.as_ref().map(|whole| Data::new(&whole.0)).transpose();
        let json = json.map_err(|problem| problem.text)?;
        let mut names = Names::new();
        names.insert("service".into(), Value::from(self.service.as_str()));
        let aside = stage.aside(names);
        let operator = At { value: "operator".to_owned(), at: Place::default() };
        let request = Request {
            op: Some(&registry.op),
            identity: Some(registry.identity.as_ref().unwrap_or(&operator)),
            json: json.as_ref(),
            ..Request::nothing()
        };
        let prepared = request.prepared(&aside).map_err(|failures| said(&failures))?;
        let target = stage.scene.target;
        let sent = prepared.send(&target.http, target.rpc.as_ref(), Connection::New, PROBE_WITHIN).await;
        listed(&sent.map_err(|error| error.to_string())?, &registry.nodes)
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

/// Whether the registry lists as many nodes as before, of which the victims' are gone (or back, where a victim keeps its
/// address); where there was none, none.
fn compared(
    before: &BTreeSet<String>,
    now: &BTreeSet<String>,
    victims: usize,
    restarts_in_place: bool,
) -> Nodes {
    let kept = before.intersection(now).count();
    let are_gone = kept == before.len().saturating_sub(victims);
    let are_back = restarts_in_place && kept == before.len();
    if now.len() == before.len() && (are_gone || are_back) {
        Nodes::Live
    } else {
        Nodes::Other { before: before.len(), now: now.len(), kept, victims }
    }
}

/// The nodes in a reply of the registry.
fn listed(reply: &Reply, nodes: &str) -> Result<BTreeSet<String>, String> {
    const NOT_FOUND: u16 = 404;
    if reply.status == NOT_FOUND {
        return Ok(BTreeSet::new());
    }
    if !reply.is_success() {
        return Err(format!("the registry answered status {}", reply.status));
    }
    let json = reply.json();
    let json = json.ok_or_else(|| format!("the registry answered status {}, and no JSON", reply.status))?;
    let path = super::json_path::json_path(nodes)?;
    Ok(path.query(&json).all().into_iter().map(Value::to_string).collect())
}

fn said(failures: &[Failure]) -> String {
    failures.iter().map(|failure| failure.message.to_string()).collect::<Vec<_>>().join("; ")
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
    use crate::judge::Transport;

    fn set(nodes: &[&str]) -> BTreeSet<String> {
        nodes.iter().map(|node| (*node).to_owned()).collect()
    }

    #[test]
    fn the_registry_lists_live_nodes_if_those_of_the_victims_are_replaced() {
        let other = |before, now, kept, victims| Nodes::Other { before, now, kept, victims };
        for (before, now, victims, in_place, expected) in [
            (vec!["a"], vec!["b"], 1, false, Nodes::Live),
            (vec!["a", "b"], vec!["b", "c"], 1, false, Nodes::Live),
            (vec!["a", "b"], vec!["b", "c"], 2, false, other(2, 2, 1, 2)),
            (vec!["a", "b"], vec!["c", "d"], 2, false, Nodes::Live),
            (vec![], vec![], 1, false, Nodes::Live),
            (vec!["a"], vec!["a"], 1, false, other(1, 1, 1, 1)),
            (vec!["a"], vec!["a"], 1, true, Nodes::Live),
            (vec!["a"], vec!["a", "b"], 1, true, other(1, 2, 1, 1)),
            (vec!["a"], vec!["a", "b"], 1, false, other(1, 2, 1, 1)),
            (vec!["a"], vec![], 1, true, other(1, 0, 0, 1)),
            (vec!["a", "b"], vec!["c", "d"], 1, false, other(2, 2, 0, 1)),
            (vec![], vec!["a"], 1, false, other(0, 1, 0, 1)),
        ] {
            let found = compared(&set(&before), &set(&now), victims, in_place);
            assert_eq!(found, expected, "{before:?} {now:?}");
        }
    }

    #[test]
    fn what_is_not_found_has_no_nodes_and_what_is_no_answer_is_not_taken_for_one() {
        for (status, body, expected) in [
            (200, r#"{"nodes":["a"]}"#, Ok(set(&["\"a\""]))),
            (200, "{}", Ok(set(&[]))),
            (404, "not found", Ok(set(&[]))),
            (401, "{}", Err("the registry answered status 401".to_owned())),
            (500, "", Err("the registry answered status 500".to_owned())),
            (200, "<html>", Err("the registry answered status 200, and no JSON".to_owned())),
        ] {
            let reply = Reply {
                transport: Transport::Http,
                status,
                grpc_status: None,
                headers: vec![],
                elsewhere: None,
                aside: vec![],
                is_withheld: false,
                body: body.into(),
                took: Duration::ZERO,
            };
            assert_eq!(listed(&reply, "$.nodes[*]"), expected, "{status} {body}");
        }
    }
}
