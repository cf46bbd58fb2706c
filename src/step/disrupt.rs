//! `disrupt`: a fault under probes: steady before → inject → observe → recovered.
//!
//! Lives here: the syntax and the course of a disruption, its three clocks. Does not: the guards and the victim
//! (`fault`), the beat (`probe`), what samples mean (`judge`).

use super::look::Look;
use super::request::with_request;
use super::send::Prepared;
use super::stage::Stage;
use super::{Data, Names, Template};
use crate::client::kube::{Hold, Kube, PodFact, PodWatch, Sight, Victim};
use crate::client::{Connection, Grpc, Http};
use crate::fault::{self, Injected, guard, victim};
use crate::judge::recovery::{Observation, Reader, observe};
use crate::judge::sample::{Reading, Sample};
use crate::judge::steady::{Steady, Tolerance, steady};
use crate::outcome::{Event, Failure, Outage, Recovery};
use crate::probe::{self, Probe};
use crate::source::{At, Place, Problem, Span, did_you_mean};
use crate::target::Group;
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How long one look of the watching loop is.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// A sample that starts this much later than its beat proves nothing for its time.
const LATE_BY: Duration = Duration::from_millis(20);
/// No sample of a probe may wait longer than this for its answer.
const PROBE_WITHIN: Duration = Duration::from_secs(2);
/// Requests of a probe in flight.
const IN_FLIGHT: usize = 64;
/// The watch must show that it is alive within this time.
const SILENT_AFTER: Duration = Duration::from_secs(10);
/// The lease that keeps two harnesses apart.
const LEASE: &str = "muster-disruption";
const LEASE_LASTS: Duration = Duration::from_secs(60);

with_request! {
    /// A read, repeated on the beat of the target file.
    pub(crate) struct ProbeSyntax {}
}

/// What is broken: one key, the fault; its value, the member of a group.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
pub(crate) struct FaultSyntax {
    /// Deletes one pod of a member.
    delete_pod: Option<Template>,
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
    fault: FaultSyntax,
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
        "disrupt delete_pod".into()
    }

    pub(crate) fn look(&self, look: &mut Look<'_>, at: Place) {
        look.uses.disrupts = true;
        match &self.fault.delete_pod {
            Some(member) => look.template(member),
            None => look
                .problem(Problem::new(at, "no fault is named").hint("add `fault: { delete_pod: $(pod) }`")),
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
        let member = self.member(stage)?;
        let kube =
            stage.scene.kube().await.map_err(|why| vec![stage.doubt("kubernetes.unusable", &why)])?.clone();
        let pods = self.pods(&kube, &member, stage).await?;
        let victim = victim::choose(&pods, stage.scene.seed, &stage.case).ok_or_else(|| {
            vec![stage.doubt("fault.no-victim", &format!("no pod of `{}` is Ready", member.name))]
        })?;
        let chosen = Chosen { kube: &kube, member: &member, victim: &victim, pods: &pods };
        self.guarded(&chosen, stage).await?;
        let mut watching = self.watching(&kube, &member, &pods, stage)?;
        watching.await_steady(stage).await?;
        watching.registered = watching.nodes(stage).await;
        let mut claim = kube.claim(&member.group.namespace, LEASE, stage.scene.run, LEASE_LASTS);
        match claim.acquire((stage.scene.now)()).await {
            Ok(Hold::Mine) => {}
            Ok(Hold::Other { holder }) => {
                return Err(vec![
                    stage.doubt("fault.lease", &format!("`{holder}` is disrupting this cluster")),
                ]);
            }
            Err(error) => return Err(vec![stage.doubt("fault.lease", &error.to_string())]),
        }
        let done = self.broken_and_watched(&chosen, watching, stage).await;
        if let Err(error) = claim.release().await {
            return Err(vec![
                stage.doubt("fault.lease", &format!("the lease could not be given back: {error}")),
            ]);
        }
        done
    }

    fn member(&self, stage: &Stage<'_>) -> Result<Member, Vec<Failure>> {
        let value = match &self.fault.delete_pod {
            Some(template) => template.render(&stage.names),
            None => Ok(Value::Null),
        };
        let value = value.map_err(|error| vec![stage.doubt("step.template", &error.to_string())])?;
        let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
        let found = text("group").zip(text("name")).and_then(|(group, name)| {
            let groups = &stage.scene.target.file.groups;
            let found = groups.iter().find(|(key, _)| key.value == group)?.1.clone();
            Some(Member { group_name: group, group: found, name })
        });
        found.ok_or_else(|| vec![stage.doubt("fault.member", "`delete_pod` wants a member of a pod group")])
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
        Ok(Watching {
            probes,
            pods: kube.watch_pods(&member.group.namespace, &member.selector(stage)?, SILENT_AFTER),
            present: pods.iter().filter(|pod| pod.is_present()).count(),
            service: member.name.clone(),
            registered: None,
            stable_for: target.paced(self.recovered.stable_for.0).max(target.beat() * 3),
            within: target.paced(self.recovered.within.0),
            beat: target.beat(),
        })
    }

    /// Breaks it, and watches until every clock has stopped or the deadline has passed.
    async fn broken_and_watched(
        &self,
        chosen: &Chosen<'_>,
        mut watching: Watching,
        stage: &mut Stage<'_>,
    ) -> Result<(), Vec<Failure>> {
        let Chosen { kube, victim, .. } = chosen;
        self.guarded(chosen, stage).await?;
        let injected = fault::delete_pod(kube, victim).await;
        let at = match injected {
            Ok(Injected::At(at)) => at,
            Ok(Injected::Missed(why)) => return Err(vec![stage.doubt("fault.missed", &why)]),
            Err(error) => return Err(vec![stage.doubt("kubernetes.error", &error.to_string())]),
        };
        let fault = format!("delete_pod {}", victim.name);
        *stage.scene.unrecovered.borrow_mut() = Some(fault);
        let seen = watching.until_recovered(at, victim, &self.recovered.when, stage).await;
        let observed = watching.stop(at).await;
        let failures = self.judged(&seen, &observed, stage);
        if !seen.is_late(&self.recovered.when) {
            *stage.scene.unrecovered.borrow_mut() = None;
        }
        (stage.scene.events)(Event::Recovered(recovery(&stage.case, victim, &seen, &observed)));
        if failures.is_empty() { Ok(()) } else { Err(failures) }
    }

    fn judged(&self, seen: &Clocks, observed: &[Observed], stage: &Stage<'_>) -> Vec<Failure> {
        let mut failures = vec![];
        let within = stage.scene.target.paced(self.recovered.within.0);
        for clock in &self.recovered.when {
            if seen.stopped(*clock).is_none() {
                failures.push(late(*clock, seen, within, stage));
            }
        }
        for one in observed {
            let Some(budget) = one.budget else { continue };
            let longest = one
                .observation
                .longest_outage()
                .map(crate::judge::recovery::Outage::length)
                .unwrap_or_default();
            if longest > budget {
                let text =
                    format!("probe {}: out for {longest:.1?}, and {budget:.1?} are accepted", one.name);
                failures.push(stage.fail("budget.exceeded", &text));
            } else if one.observation.longest_blind() > budget {
                let blind = one.observation.longest_blind();
                let text = format!(
                    "probe {}: blind for {blind:.1?}, longer than its budget of {budget:.1?}",
                    one.name
                );
                failures.push(stage.doubt("probe.blind", &text));
            }
        }
        failures
    }
}

fn late(clock: Clock, seen: &Clocks, within: Duration, stage: &Stage<'_>) -> Failure {
    match (clock, &seen.blind) {
        (Clock::Ready, Some(why)) => {
            stage.doubt("recovery.watch", &format!("the watch of pods is blind: {why}"))
        }
        (Clock::Ready, None) => stage
            .fail("recovery.ready", &format!("not as many pods were Ready as before within {within:.1?}")),
        (Clock::Served, _) => {
            stage.fail("recovery.served", &format!("not every probe was served again within {within:.1?}"))
        }
        (Clock::Registry, _) => stage.fail(
            "recovery.registry",
            &format!(
                "the registry did not list exactly the live nodes within {within:.1?}: {}",
                seen.registry_last
            ),
        ),
    }
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
    let (http, rpc) = (target.http.anew(), target.rpc.as_ref().map(Grpc::anew));
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

struct Watcher {
    name: String,
    probe: Probe,
    budget: Option<Duration>,
}

/// Everything that watches during a disruption.
struct Watching {
    probes: Vec<Watcher>,
    pods: PodWatch,
    present: usize,
    service: String,
    /// The nodes of the service before; `None` if it is not registered, or nobody asks.
    registered: Option<BTreeSet<String>>,
    stable_for: Duration,
    within: Duration,
    beat: Duration,
}

/// When each clock stopped, counted from the injection.
#[derive(Default)]
struct Clocks {
    ready: Option<Duration>,
    served: Option<Duration>,
    registry: Option<Duration>,
    registry_last: String,
    blind: Option<String>,
}

impl Clocks {
    fn stopped(&self, clock: Clock) -> Option<Duration> {
        match clock {
            Clock::Ready => self.ready,
            Clock::Served => self.served,
            Clock::Registry => self.registry,
        }
    }

    fn is_late(&self, wanted: &BTreeSet<Clock>) -> bool {
        wanted.iter().any(|clock| self.stopped(*clock).is_none())
    }
}

struct Observed {
    name: String,
    budget: Option<Duration>,
    beat: Duration,
    observation: Observation,
    /// From the probe's zero to the injection.
    offset: Duration,
}

impl Watching {
    /// Waits until every probe has been served for the stable time.
    async fn await_steady(&self, stage: &Stage<'_>) -> Result<(), Vec<Failure>> {
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

    async fn until_recovered(
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
    async fn nodes(&self, stage: &mut Stage<'_>) -> Option<BTreeSet<String>> {
        let registry = stage.scene.target.file.registry.as_ref()?;
        let json = registry.json.as_ref().map(|whole| Data::new(&whole.0)).transpose().ok()?;
        let mut names = Names::new();
        names.insert("service".into(), Value::from(self.service.as_str()));
        let mut aside = stage.aside(names);
        let operator = At { value: "operator".to_owned(), at: Place::default() };
        let request = super::request::Request {
            op: Some(&registry.op),
            identity: Some(registry.identity.as_ref().unwrap_or(&operator)),
            json: json.as_ref(),
            ..super::request::Request::nothing()
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

    async fn stop(self, injected_at: Instant) -> Vec<Observed> {
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

fn recovery(case: &str, victim: &Victim, seen: &Clocks, observed: &[Observed]) -> Recovery {
    Recovery {
        case: case.into(),
        fault: "delete_pod".into(),
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
