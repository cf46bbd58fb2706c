//! `disrupt`: a fault under probes: steady before → inject → observe → recovered.
//!
//! Lives here: the syntax and the course of a disruption, and its verdict. Does not: watching it (`watching`), the
//! guards and the victim (`fault`), the beat (`probe`), what samples mean (`judge`).

use super::laps::Laps;
use super::look::Look;
use super::request::with_request;
use super::send::Prepared;
use super::stage::Stage;
use super::watching::{Clocks, Observed, PROBE_WITHIN, Watcher, Watching, recovery};
use super::{Names, Template};
use crate::client::kube::{Hold, Kube, PodFact, Victim};
use crate::client::{Connection, Grpc, Http};
use crate::fault::{Fault, Injected, guard, victim};
use crate::judge::clock;
use crate::judge::sample::Reading;
use crate::outcome::{Event, Failure};
use crate::probe::{self, Probe};
use crate::source::{At, Place, Problem, Span, did_you_mean};
use crate::target::Group;
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Requests of a probe in flight.
const IN_FLIGHT: usize = 64;
/// The watch must show that it is alive within a time between these: the server is asked to end it after half of that,
/// in whole seconds.
const SILENT_AT_LEAST: Duration = Duration::from_secs(2);
const SILENT_AT_MOST: Duration = Duration::from_secs(10);
/// The lease that keeps two harnesses apart.
/// How much longer than the deadline of a recovery it lasts: it must hold until the fault is dealt with.
const LEASE_BEYOND: Duration = Duration::from_secs(60);

with_request! {
    /// A read, repeated on the beat of the target file.
    pub(crate) struct ProbeSyntax {}
}

/// When the platform counts as recovered.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
pub(crate) struct Recovered {
    /// Which clocks must have stopped.
    when: BTreeSet<Clock>,
    /// How long no probe may fail. Scaled by the target's pace.
    stable_for: Span,
    /// The deadline, from the injection. Scaled by the target's pace.
    within: Span,
}

/// The clocks of a recovery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Clock {
    /// Kubernetes has as many Ready pods as before.
    Ready,
    /// Every probe is served again.
    Served,
    /// The registry lists live nodes only.
    Registry,
}

/// A fault under probes.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
pub struct Disrupt {
    /// What is broken.
    fault: Fault<Template>,
    /// The time that the victim is given to end, in whole seconds; `0s` for none at all, and if absent what its
    /// manifest says. Not scaled.
    grace: Option<Span>,
    /// Who watches, by name.
    probes: BTreeMap<At<String>, ProbeSyntax>,
    /// When the platform counts as recovered.
    recovered: Recovered,
    /// The longest outage that each probe may see, inclusive. Scaled by the target's pace.
    #[serde(default)]
    budget: BTreeMap<At<String>, Span>,
}

impl Disrupt {
    pub(crate) fn label(&self) -> String {
        format!("disrupt {}", self.fault.key())
    }

    pub(crate) fn look(&self, look: &mut Look<'_>, at: Place) {
        look.uses.faults.insert(self.fault.key());
        look.template(self.fault.member());
        if let Some(grace) = self.grace.filter(|grace| grace.0.subsec_nanos() > 0) {
            let text = format!("wanted a grace of whole seconds, found {:?}", grace.0);
            look.problem(Problem::new(at, text).hint("Kubernetes counts in seconds: `grace: 1s`"));
        }
        if self.probes.is_empty() || self.recovered.when.is_empty() {
            look.problem(
                Problem::new(at, "a disruption that nobody watches")
                    .hint("name `probes` and `recovered.when`"),
            );
        }
        for probe in self.probes.values() {
            probe.request().look(look, at);
            if let Some(op) = probe.request().op {
                look.reading_operation(op);
            }
        }
        for name in self.budget.keys().filter(|name| !self.probes.contains_key(name)) {
            let hint = did_you_mean(name, self.probes.keys().map(|it| it.value.as_str()));
            look.problem(
                Problem::new(name.at, format!("there is no probe `{}`", name.value)).maybe_hint(hint),
            );
        }
    }

    pub(crate) async fn run(&self, stage: &mut Stage<'_>) -> Result<(), Vec<Failure>> {
        let mut laps = Laps::begin();
        let member = self.member(stage)?;
        let kube =
            stage.scene.kube().await.map_err(|why| vec![stage.doubt("kubernetes.unusable", &why)])?.clone();
        let pods = self.pods(&kube, &member, stage).await?;
        let victim = victim::choose(&pods, stage.scene.seed, &stage.case).ok_or_else(|| {
            vec![stage.doubt("fault.no-victim", &format!("no pod of `{}` is Ready", member.name))]
        })?;
        let chosen = Chosen { kube: &kube, member: &member, victim: &victim, pods: &pods };
        self.guarded(&chosen, stage).await?;
        laps.end("guards");
        let mut watching = self.watching(&kube, &member, &pods, stage)?;
        watching.await_steady(stage).await?;
        if self.recovered.when.contains(&Clock::Registry) {
            watching.look_before(stage).await?;
        }
        laps.end("steady");
        let lasts = stage.scene.target.paced(self.recovered.within.0) + LEASE_BEYOND;
        let mut claim = kube.claim(&member.group.namespace, guard::LEASE, stage.scene.run, lasts);
        match claim.acquire((stage.scene.now)()).await {
            Ok(Hold::Mine) => {}
            Ok(Hold::Other { holder }) => {
                return Err(vec![
                    stage.doubt("fault.lease", &format!("`{holder}` is disrupting this cluster")),
                ]);
            }
            Err(error) => return Err(vec![stage.doubt("fault.lease", &error.to_string())]),
        }
        laps.end("lease");
        let done = self.broken_and_watched(&chosen, watching, laps, stage).await;
        if let Err(error) = claim.release().await {
            return Err(vec![
                stage.doubt("fault.lease", &format!("the lease could not be given back: {error}")),
            ]);
        }
        done
    }

    fn member(&self, stage: &Stage<'_>) -> Result<Member, Vec<Failure>> {
        let value = self.fault.member().render(&stage.names);
        let value = value.map_err(|error| vec![stage.doubt("step.template", &error.to_string())])?;
        let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
        let found = text("group").zip(text("name")).and_then(|(group, name)| {
            let groups = &stage.scene.target.file.groups;
            let found = groups.iter().find(|(key, _)| key.value == group)?.1.clone();
            Some(Member { group_name: group, group: found, name })
        });
        found.ok_or_else(|| {
            let text = format!("`{}` wants a member of a pod group", self.fault.key());
            vec![stage.doubt("fault.member", &text)]
        })
    }

    async fn pods(
        &self,
        kube: &Kube,
        member: &Member,
        stage: &Stage<'_>,
    ) -> Result<Vec<PodFact>, Vec<Failure>> {
        let selector = member.selector(stage)?;
        let pods = kube.pods(&member.group.namespace, &selector).await;
        pods.map_err(|error| vec![stage.doubt("kubernetes.error", &error.to_string())])
    }

    /// The guards: nothing is broken unless all of them agree.
    async fn guarded(&self, chosen: &Chosen<'_>, stage: &Stage<'_>) -> Result<(), Vec<Failure>> {
        let Chosen { kube, member, victim, pods } = chosen;
        let doubt =
            |error: crate::client::kube::KubeError| vec![stage.doubt("kubernetes.error", &error.to_string())];
        let file = &stage.scene.target.file;
        let place = stage.scene.target.kubernetes();
        let namespace = member.group.namespace.clone();
        let budgets = kube.budgets(&namespace).await.map_err(doubt)?;
        let labels = pods.iter().find(|pod| pod.name == victim.name).map(|pod| &pod.labels);
        let exhausted = budgets.iter().find(|budget| {
            labels.is_some_and(|labels| budget.covers(labels)) && budget.disruptions_allowed <= 0
        });
        let facts = guard::Facts {
            is_allowed: stage.scene.may_disrupt,
            group: member.group_name.clone(),
            permitted: file.permits.disrupt.iter().map(|it| it.value.clone()).collect(),
            pinned_uid: place.and_then(|place| place.cluster_uid.clone()),
            cluster_uid: kube.cluster_uid().await.map_err(doubt)?,
            labels: kube.namespace_labels(&namespace).await.map_err(doubt)?,
            frozen_by: self.frozen_by(kube, &namespace, stage).await?,
            namespace,
            exhausted_budget: exhausted.map(|budget| budget.name.clone()),
            own_pod: stage.scene.own_pod.clone(),
            victim: victim.name.clone(),
            unrecovered: stage.scene.unrecovered.borrow().clone(),
        };
        match guard::objection(&facts) {
            None => Ok(()),
            Some(objection) => {
                Err(vec![stage.doubt("fault.guarded", &format!("nothing was broken: {objection}"))])
            }
        }
    }

    async fn frozen_by(
        &self,
        kube: &Kube,
        namespace: &str,
        stage: &Stage<'_>,
    ) -> Result<Option<String>, Vec<Failure>> {
        if let Some(file) = stage.scene.target.freeze_file() {
            return Ok(Some(format!("the file {file}")));
        }
        let annotation = kube.annotation(namespace, guard::FREEZE_ANNOTATION).await;
        let annotation =
            annotation.map_err(|error| vec![stage.doubt("kubernetes.error", &error.to_string())])?;
        Ok(annotation
            .filter(|value| value == "true")
            .map(|_| format!("the annotation {} of namespace {namespace}", guard::FREEZE_ANNOTATION)))
    }

    fn watching(
        &self,
        kube: &Kube,
        member: &Member,
        pods: &[PodFact],
        stage: &Stage<'_>,
    ) -> Result<Watching, Vec<Failure>> {
        let target = stage.scene.target;
        let mut probes = vec![];
        for (name, syntax) in &self.probes {
            let prepared = syntax.request().prepared(stage)?;
            let probe = started(&name.value, prepared, stage)?;
            let budget = self.budget.get(name).map(|budget| target.paced(budget.0));
            probes.push(Watcher { name: name.value.clone(), probe, budget });
        }
        let namespace = member.group.namespace.clone();
        let selector = member.selector(stage)?;
        let within = target.paced(self.recovered.within.0);
        Ok(Watching {
            probes,
            pods: kube.watch_pods(&namespace, &selector, silent_after(within)),
            kube: kube.clone(),
            namespace,
            selector,
            present: pods.iter().filter(|pod| pod.is_present()).count(),
            service: member.name.clone(),
            registered: BTreeSet::new(),
            stable_for: self.stable_for(stage),
            within,
            beat: target.beat(),
        })
    }

    /// Breaks it, and watches until every clock has stopped or the deadline has passed.
    async fn broken_and_watched(
        &self,
        chosen: &Chosen<'_>,
        mut watching: Watching,
        mut laps: Laps,
        stage: &mut Stage<'_>,
    ) -> Result<(), Vec<Failure>> {
        let Chosen { kube, victim, .. } = chosen;
        self.guarded(chosen, stage).await?;
        let grace_seconds = self.grace.map(|grace| u32::try_from(grace.0.as_secs()).unwrap_or(u32::MAX));
        let unrecovered = &stage.scene.unrecovered;
        // Before it is done: an answer that never came may stand for a fault that was injected all the same.
        *unrecovered.borrow_mut() = Some(format!("{} {}", self.fault.key(), victim.name));
        let at = match self.fault.inject(kube, victim, grace_seconds).await {
            Ok(Injected::At(at)) => at,
            Ok(Injected::Missed(why)) => {
                *unrecovered.borrow_mut() = None;
                return Err(vec![stage.doubt("fault.missed", &why)]);
            }
            Err(error) => return Err(vec![stage.doubt("kubernetes.error", &error.to_string())]),
        };
        laps.end("injection");
        let mut seen = watching.until_recovered(at, victim, &self.recovered.when, stage).await;
        laps.end("recovery");
        let observed = watching.stop(at).await;
        laps.end("last answers");
        seen.served = seen.served.or_else(|| served_since(&observed));
        let failures = self.judged(&seen, &observed, stage);
        if !seen.is_late(&self.recovered.when) {
            *stage.scene.unrecovered.borrow_mut() = None;
        }
        let mut told = recovery(&stage.case, self.fault.key(), victim, &seen, &observed);
        told.phases = laps.so_far();
        (stage.scene.events)(Event::Recovered(told));
        if failures.is_empty() { Ok(()) } else { Err(failures) }
    }

    /// What keeps the case from passing: the clocks that were waited for, and the budgets.
    fn judged(&self, seen: &Clocks, observed: &[Observed], stage: &Stage<'_>) -> Vec<Failure> {
        let within = stage.scene.target.paced(self.recovered.within.0);
        let stable_for = self.stable_for(stage);
        let mut rulings = vec![];
        for wanted in &self.recovered.when {
            match wanted {
                Clock::Ready => {
                    rulings.extend(seen.pods.as_ref().and_then(|pods| clock::ready(pods, within)))
                }
                Clock::Registry => {
                    rulings.extend(seen.nodes.as_ref().and_then(|nodes| clock::registry(nodes, within)));
                }
                Clock::Served if seen.served.is_some() => {}
                Clock::Served => rulings.extend(observed.iter().filter_map(|one| {
                    clock::served(&one.name, &one.observation, one.until, stable_for, within)
                })),
            }
        }
        rulings.extend(
            observed.iter().filter_map(|one| clock::budget(&one.name, &one.observation, one.budget?)),
        );
        rulings.iter().map(|ruling| stage.ruled(ruling)).collect()
    }

    fn stable_for(&self, stage: &Stage<'_>) -> Duration {
        let target = stage.scene.target;
        target.paced(self.recovered.stable_for.0).max(target.beat() * 3)
    }
}

/// Since when every probe was served for good, counted from the injection.
fn served_since(observed: &[Observed]) -> Option<Duration> {
    let all: Option<Vec<Duration>> = observed.iter().map(Observed::served_since).collect();
    all?.into_iter().max()
}

/// How long the watch of pods may say nothing: half of the deadline, so that silence is noticed before it.
fn silent_after(within: Duration) -> Duration {
    (within / 2).clamp(SILENT_AT_LEAST, SILENT_AT_MOST)
}

/// What was chosen to be broken, and where.
struct Chosen<'a> {
    kube: &'a Kube,
    member: &'a Member,
    victim: &'a Victim,
    pods: &'a [PodFact],
}

/// A member of a pod group.
struct Member {
    group_name: String,
    group: Group,
    name: String,
}

impl Member {
    fn selector(&self, stage: &Stage<'_>) -> Result<String, Vec<Failure>> {
        let mut names = Names::new();
        names.insert("member".into(), Value::from(self.name.as_str()));
        let template = Template::new(&self.group.pod_of, self.group.pod_of.at);
        let template = template.map_err(|problem| vec![stage.doubt("step.template", &problem.text)])?;
        template.render_text(&names).map_err(|error| vec![stage.doubt("step.template", &error.to_string())])
    }
}

/// Starts a probe with clients of its own.
fn started(name: &str, prepared: Prepared, stage: &Stage<'_>) -> Result<Probe, Vec<Failure>> {
    let target = stage.scene.target;
    let own = |error: crate::client::Unusable| vec![stage.doubt("probe.start", &error.to_string())];
    let http = target.http.anew().map_err(own)?;
    let rpc = target.rpc.as_ref().map(Grpc::anew).transpose().map_err(own)?;
    let plan = probe::Plan {
        name: name.to_owned(),
        every: target.beat(),
        answer_within: PROBE_WITHIN,
        in_flight_limit: IN_FLIGHT,
    };
    let clients = std::sync::Arc::new((http, rpc, prepared));
    probe::start(plan, move |turn| {
        let clients = clients.clone();
        async move { reading(&clients.0, clients.1.as_ref(), &clients.2, turn).await }
    })
    .map_err(|error| vec![stage.doubt("probe.start", &error.to_string())])
}

/// What one request of a probe saw. A 401 says something about its token, nothing about the service.
async fn reading(http: &Http, rpc: Option<&Grpc>, prepared: &Prepared, turn: probe::Turn) -> Reading {
    let connection = match turn.connection {
        probe::Connection::New => Connection::New,
        probe::Connection::Reused => Connection::Reused,
    };
    match prepared.send(http, rpc, connection, PROBE_WITHIN).await {
        Ok(reply) if reply.is_success() => Reading::Served,
        Ok(reply) if reply.status == 401 => Reading::Unjudged("status 401".into()),
        Ok(reply) => Reading::Failed(format!("status {}", reply.status).into()),
        Err(error) => Reading::Failed(error.kind().into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::FAULTS;
    use crate::source::{Problems, read, tree};

    #[test]
    fn a_watch_may_be_silent_for_half_of_the_deadline() {
        for (within, expected) in [(1, 2), (6, 3), (12, 6), (120, 10)] {
            let found = silent_after(Duration::from_secs(within));
            assert_eq!(found, Duration::from_secs(expected), "{within} s");
        }
    }

    #[test]
    fn each_fault_is_read_by_its_key_and_stands_in_the_schema() {
        let schema = schemars::schema_for!(Fault<Template>).to_value();
        let choices = schema["oneOf"].as_array().unwrap();
        assert_eq!(choices.len(), FAULTS.len());
        for ((key, about), choice) in FAULTS.iter().zip(choices) {
            let node = tree(&format!("{{ {key}: $(pod) }}")).unwrap();
            let fault: Fault<Template> = read(&node, &Problems::default()).unwrap();
            assert_eq!(fault.key(), *key);
            assert_eq!(fault.member().uses().into_iter().collect::<Vec<_>>(), ["pod"]);
            assert_eq!(choice["required"], serde_json::json!([key]));
            assert_eq!(choice["description"], *about);
        }
    }
}
