//! What happens in the fake cluster: deployments keep their pods, pods start and end, budgets are counted.
//!
//! Lives here: the state and every change of it, as plain functions that leave behind what is *due* later. Does not:
//! waiting (`mod`), HTTP (`door`), watches (`watch`).

use super::kind::Kind;
use super::object::{self, Birth, is_leaving, name_of, namespace_of, text};
use super::refusal::Refusal;
use super::settings::{Budget, Defects, Settings};
use super::store::Store;
use crate::fake::pod::{Deployment, Pod, PodChange};
use jiff::{Timestamp, Unit};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// A namespace and a name in it.
type Place = (String, String);

/// How many of the newest log lines of a pod are kept.
const LOG_LIMIT_LINES: usize = 1_000;

/// Something that happens to a pod later, unless it is gone by then.
#[derive(Debug)]
pub(super) struct Due {
    pub(super) when: When,
    pub(super) act: Act,
    /// The pod's namespace and name.
    pub(super) place: Place,
    /// A pod of the same name and another UID is not meant.
    pub(super) uid: String,
}

/// When a [`Due`] is due.
#[derive(Debug)]
pub(super) enum When {
    After(Duration),
    /// Once the platform says that the pod accepts connections; never if it drops the question.
    Answered(oneshot::Receiver<()>),
}

/// What happens to a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Start,
    BecomeReady,
    Remove,
}

/// What a deletion asks for.
#[derive(Debug, Default)]
pub(super) struct Deletion {
    pub(super) uid: Option<String>,
    pub(super) resource_version: Option<String>,
    pub(super) grace_seconds: Option<u64>,
}

/// The whole cluster at one moment.
pub(super) struct State {
    pub(super) store: Store,
    settings: Settings,
    started: Instant,
    changes: mpsc::UnboundedSender<PodChange>,
    /// The service of each deployment's pods.
    services: BTreeMap<Place, String>,
    /// How many pods each deployment ever had: the ordinal that a pod's random choices come from.
    born: BTreeMap<Place, u64>,
    /// By UID: the pods whose container runs.
    containers: BTreeMap<String, Pod>,
    /// By UID: what each pod wrote.
    logs: BTreeMap<String, Vec<String>>,
    due: Vec<Due>,
    /// Whether the pods created now are those that were always there: they start without delay and without defects.
    is_opening: bool,
}

impl State {
    /// A cluster with the namespaces, budgets and deployments of its settings; their pods are due at once.
    pub(super) fn new(settings: Settings, changes: mpsc::UnboundedSender<PodChange>) -> State {
        let mut state = State {
            store: Store::empty(),
            started: Instant::now(),
            changes,
            services: BTreeMap::new(),
            born: BTreeMap::new(),
            containers: BTreeMap::new(),
            logs: BTreeMap::new(),
            due: Vec::new(),
            is_opening: true,
            settings,
        };
        for (name, labels) in state.settings.namespaces.clone() {
            state.create_namespace(&name, &labels);
        }
        for budget in state.settings.budgets.clone() {
            state.create_budget(&budget);
        }
        for deployment in state.settings.deployments.clone() {
            state.apply(&deployment);
        }
        state.is_opening = false;
        state
    }

    /// The cluster's wall clock, whole seconds, RFC 3339.
    pub(super) fn now(&self) -> String {
        let now = self.timestamp();
        now.round(Unit::Second).unwrap_or(now).to_string()
    }

    /// The cluster's wall clock.
    pub(super) fn timestamp(&self) -> Timestamp {
        self.settings.started_at.checked_add(self.started.elapsed()).unwrap_or(self.settings.started_at)
    }

    /// Changes how the cluster misbehaves from now on.
    pub(super) fn set_defects(&mut self, defects: Defects) {
        self.settings.defects = defects;
    }

    /// Whether watches are told nothing.
    pub(super) fn is_mute(&self) -> bool {
        self.settings.defects.silent_watches
    }

    /// Creates a namespace, or leaves the one that is there.
    pub(super) fn create_namespace(&mut self, name: &str, labels: &[(String, String)]) {
        if self.store.get(Kind::Namespace, "", name).is_none() {
            let uid = self.uid(&["namespace", name]);
            let namespace = object::namespace(name, labels, &uid, &self.now());
            self.store.put(Kind::Namespace, namespace);
        }
    }

    /// Removes a namespace and everything in it.
    pub(super) fn remove_namespace(&mut self, name: &str) -> Option<Arc<Value>> {
        for kind in [Kind::Deployment, Kind::Pod, Kind::Budget, Kind::Lease] {
            for object in self.store.list(kind, Some(name)) {
                self.remove_object(kind, name, name_of(&object));
            }
        }
        self.store.remove(Kind::Namespace, "", name)
    }

    fn remove_object(&mut self, kind: Kind, namespace: &str, name: &str) {
        if kind == Kind::Pod {
            let at_once = Deletion { grace_seconds: Some(0), ..Deletion::default() };
            self.delete_pod(namespace, name, &at_once).ok();
        } else {
            self.store.remove(kind, namespace, name);
        }
    }

    fn create_budget(&mut self, wanted: &Budget) {
        self.create_namespace(&wanted.namespace, &[]);
        let uid = self.uid(&["budget", &wanted.namespace, &wanted.name]);
        let budget = object::budget(wanted, &uid, &self.now());
        self.store.put(Kind::Budget, budget);
    }

    /// Creates or changes a deployment, and its namespace if it is new.
    pub(super) fn apply(&mut self, wanted: &Deployment) {
        self.create_namespace(&wanted.namespace, &[]);
        self.services.insert((wanted.namespace.clone(), wanted.name.clone()), wanted.service.clone());
        let uid = self.uid(&["deployment", &wanted.namespace, &wanted.name]);
        let new = object::deployment(wanted, &uid, &self.now());
        match self.store.get(Kind::Deployment, &wanted.namespace, &wanted.name) {
            None => drop(self.store.put(Kind::Deployment, new)),
            Some(old) => drop(self.change_spec(&old, new["spec"].clone())),
        }
        self.settle();
    }

    /// Gives a deployment another spec; a generation of its own only if it differs.
    pub(super) fn change_spec(&mut self, old: &Value, spec: Value) -> Arc<Value> {
        let mut changed = old.clone();
        if changed["spec"] != spec {
            changed["spec"] = spec;
            changed["metadata"]["generation"] = json!(object::number(old, "/metadata/generation") + 1);
        }
        self.store.put(Kind::Deployment, changed)
    }

    /// Removes a deployment; its pods go with grace. Whether it was there.
    pub(super) fn remove_deployment(&mut self, namespace: &str, name: &str) -> bool {
        let was_there = self.store.remove(Kind::Deployment, namespace, name).is_some();
        for pod in self.pods_of(namespace, name) {
            self.delete_pod(namespace, name_of(&pod), &Deletion::default()).ok();
        }
        was_there
    }

    /// What is due since the last time this was asked.
    pub(super) fn take_due(&mut self) -> Vec<Due> {
        std::mem::take(&mut self.due)
    }

    /// Carries out what has become due.
    pub(super) fn carry_out(&mut self, act: Act, (namespace, name): &Place, uid: &str) {
        let pod = self.store.get(Kind::Pod, namespace, name).filter(|pod| text(pod, "/metadata/uid") == uid);
        match (act, pod) {
            (Act::Start, Some(pod)) if !is_leaving(&pod) => self.start(&pod),
            (Act::BecomeReady, Some(pod)) if !is_leaving(&pod) => self.become_ready(&pod),
            (Act::Remove, Some(_)) => drop(self.store.remove(Kind::Pod, namespace, name)),
            _ => {}
        }
    }

    fn start(&mut self, pod: &Value) {
        let pod = self.store.put(Kind::Pod, object::running(pod, &self.now()));
        let fact = self.container_of(&pod);
        let (ready, answered) = oneshot::channel();
        self.containers.insert(fact.uid.clone(), fact.clone());
        self.log(&fact.uid, &format!("Starting [service] {}", fact.service));
        let is_first = self.is_first(&pod);
        let has = |services: &[String]| !is_first && services.contains(&fact.service);
        if has(&self.settings.defects.ready_too_early) {
            self.due_after(Duration::ZERO, Act::BecomeReady, &pod);
        } else if !has(&self.settings.defects.never_ready) {
            self.later(When::Answered(answered), Act::BecomeReady, &pod);
        }
        // A platform that is no longer there has nothing to answer; the pod just never becomes Ready.
        self.changes.send(PodChange::Started { pod: fact, ready }).ok();
    }

    fn container_of(&self, pod: &Value) -> Pod {
        Pod {
            namespace: namespace_of(pod).to_owned(),
            name: name_of(pod).to_owned(),
            uid: text(pod, "/metadata/uid").to_owned(),
            service: self.service_of(pod).to_owned(),
        }
    }

    fn service_of(&self, pod: &Value) -> &str {
        let deployment = object::deployment_of(pod).unwrap_or_default().to_owned();
        self.services.get(&(namespace_of(pod).to_owned(), deployment)).map_or("", String::as_str)
    }

    fn become_ready(&mut self, pod: &Value) {
        self.log(text(pod, "/metadata/uid"), "Server [grpc] Listening on [::]:8080");
        let ready = object::ready(pod, &self.now());
        self.store.put(Kind::Pod, ready);
    }

    /// Deletes a pod as asked: its container ends at once, its object goes after its time.
    pub(super) fn delete_pod(
        &mut self,
        namespace: &str,
        name: &str,
        asked: &Deletion,
    ) -> Result<Arc<Value>, Refusal> {
        let pod =
            self.store.get(Kind::Pod, namespace, name).ok_or_else(|| Refusal::not_found(Kind::Pod, name))?;
        check_preconditions(Kind::Pod, &pod, asked)?;
        let grace = asked.grace_seconds.unwrap_or(object::DEFAULT_GRACE_SECONDS);
        self.end_container(&pod, grace > 0);
        if grace == 0 {
            let leaving = object::leaving(&pod, &self.now(), 0);
            self.store.remove(Kind::Pod, namespace, name);
            return Ok(Arc::new(leaving));
        }
        if is_leaving(&pod) {
            return Ok(pod);
        }
        let leaving = self.store.put(Kind::Pod, object::leaving(&pod, &self.now(), grace));
        let wait = self.end_time(&leaving, grace);
        self.due_after(wait, Act::Remove, &leaving);
        Ok(leaving)
    }

    fn end_container(&mut self, pod: &Value, graceful: bool) {
        if let Some(pod) = self.containers.remove(text(pod, "/metadata/uid")) {
            self.logs.remove(&pod.uid);
            self.changes.send(PodChange::Ended { pod, graceful }).ok();
        }
    }

    /// Evicts a pod unless a budget forbids it. A pod that is not Ready may go as long as its budget holds without it.
    pub(super) fn evict_pod(
        &mut self,
        namespace: &str,
        name: &str,
        asked: &Deletion,
    ) -> Result<Arc<Value>, Refusal> {
        let pod =
            self.store.get(Kind::Pod, namespace, name).ok_or_else(|| Refusal::not_found(Kind::Pod, name))?;
        check_preconditions(Kind::Pod, &pod, asked)?;
        if text(&pod, "/status/phase") != "Pending" && !is_leaving(&pod) {
            self.ask_budgets(&pod)?;
        }
        self.delete_pod(namespace, name, asked)
    }

    fn ask_budgets(&self, pod: &Value) -> Result<(), Refusal> {
        let pods = self.store.list(Kind::Pod, Some(namespace_of(pod)));
        let pods: Vec<&Value> = pods.iter().map(AsRef::as_ref).collect();
        let leaves_healthy = u64::from(object::is_ready(pod));
        for budget in self.store.list(Kind::Budget, Some(namespace_of(pod))) {
            let status = object::budget_status(&budget, &pods);
            let (healthy, needed) =
                (object::number(&status, "/currentHealthy"), object::number(&status, "/desiredHealthy"));
            if object::covers(&budget, pod) && healthy < needed + leaves_healthy {
                return Err(Refusal::budget(name_of(&budget), needed, healthy));
            }
        }
        Ok(())
    }

    /// Lets every deployment and budget draw its consequences from what the pods now are.
    pub(super) fn settle(&mut self) {
        for deployment in self.store.list(Kind::Deployment, None) {
            self.keep_pods(&deployment);
            self.tell_status(&deployment);
        }
        let pods = self.store.list(Kind::Pod, None);
        let pods: Vec<&Value> = pods.iter().map(AsRef::as_ref).collect();
        for budget in self.store.list(Kind::Budget, None) {
            let mut counted = (*budget).clone();
            counted["status"] = object::budget_status(&budget, &pods);
            self.store.put(Kind::Budget, counted);
        }
    }

    /// Creates what is missing of the present template, and ends what is too much or of an older template: the older
    /// ones only once the new ones are Ready.
    fn keep_pods(&mut self, deployment: &Value) {
        let (namespace, name) = (namespace_of(deployment), name_of(deployment));
        let wanted = usize::try_from(object::number(deployment, "/spec/replicas")).unwrap_or(usize::MAX);
        let hash = object::template_hash(deployment);
        let (mut present, older): (Vec<_>, Vec<_>) = self
            .pods_of(namespace, name)
            .into_iter()
            .partition(|pod| text(pod, "/metadata/labels/pod-template-hash") == hash);
        for _ in present.len()..wanted {
            self.create_pod(deployment);
        }
        present.sort_by_key(|pod| !object::is_ready(pod));
        let are_ready = present.iter().filter(|pod| object::is_ready(pod)).count() >= wanted;
        let surplus = present.into_iter().skip(wanted).chain(older.into_iter().filter(|_| are_ready));
        for pod in surplus {
            self.delete_pod(namespace, name_of(&pod), &Deletion::default()).ok();
        }
    }

    /// The pods of a deployment that are not leaving.
    fn pods_of(&self, namespace: &str, deployment: &str) -> Vec<Arc<Value>> {
        let mut pods = self.store.list(Kind::Pod, Some(namespace));
        pods.retain(|pod| !is_leaving(pod) && object::deployment_of(pod) == Some(deployment));
        pods
    }

    fn create_pod(&mut self, deployment: &Value) {
        let place = (namespace_of(deployment).to_owned(), name_of(deployment).to_owned());
        let born = self.born.get(&place).copied().unwrap_or_default();
        let is_replacement = born >= object::number(deployment, "/spec/replicas");
        let service = self.services.get(&place).cloned().unwrap_or_default();
        if is_replacement && self.settings.defects.never_replaced.contains(&service) {
            return;
        }
        self.born.insert(place.clone(), born + 1);
        let mut draw = self.draw(&["pod", &place.0, &place.1, &born.to_string()]);
        let pod = object::pod(deployment, &birth(&mut draw, &self.now()).as_birth());
        let pod = self.store.put(Kind::Pod, mark_ordinal(pod, born, self.is_opening));
        let wait = if self.is_opening { Duration::ZERO } else { self.start_time(&mut draw, &service) };
        self.due_after(wait, Act::Start, &pod);
    }

    fn is_first(&self, pod: &Value) -> bool {
        text(pod, "/metadata/annotations/fake.muster~1born") == "first"
    }

    fn start_time(&self, draw: &mut ChaCha8Rng, service: &str) -> Duration {
        let drawn = within(draw, self.settings.start_seconds);
        let slow = self.settings.defects.slow_start_seconds.iter().find(|(slow, _)| slow == service);
        self.paced(slow.map_or(drawn, |(_, seconds)| *seconds))
    }

    fn end_time(&self, pod: &Value, grace_seconds: u64) -> Duration {
        let mut draw = self.draw(&["end", text(pod, "/metadata/uid")]);
        #[expect(clippy::cast_precision_loss, reason = "a grace period is a small number of seconds")]
        let most = grace_seconds as f64;
        self.paced(within(&mut draw, self.settings.end_seconds).min(most))
    }

    fn paced(&self, seconds: f64) -> Duration {
        Duration::try_from_secs_f64(seconds * self.settings.pace).unwrap_or_default()
    }

    fn tell_status(&mut self, deployment: &Value) {
        let (namespace, name) = (namespace_of(deployment), name_of(deployment));
        let pods = self.pods_of(namespace, name);
        let pods: Vec<&Value> = pods.iter().map(AsRef::as_ref).collect();
        let mut told = deployment.clone();
        told["status"] = object::deployment_status(deployment, &pods, &self.now());
        self.store.put(Kind::Deployment, told);
    }

    fn due_after(&mut self, wait: Duration, act: Act, pod: &Value) {
        self.later(When::After(wait), act, pod);
    }

    fn later(&mut self, when: When, act: Act, pod: &Value) {
        let place = (namespace_of(pod).to_owned(), name_of(pod).to_owned());
        self.due.push(Due { when, act, place, uid: text(pod, "/metadata/uid").to_owned() });
    }

    /// Adds a line to a pod's log.
    pub(super) fn log(&mut self, uid: &str, line: &str) {
        let line = format!("{}  {line}", self.now());
        let lines = self.logs.entry(uid.to_owned()).or_default();
        lines.push(line);
        let surplus = lines.len().saturating_sub(LOG_LIMIT_LINES);
        lines.drain(..surplus);
    }

    /// The newest lines of a pod's log, each with its line break.
    pub(super) fn log_of(&self, uid: &str, tail: Option<usize>) -> String {
        let lines = self.logs.get(uid).map_or(&[][..], Vec::as_slice);
        let from = tail.map_or(0, |tail| lines.len().saturating_sub(tail));
        lines[from..].iter().map(|line| format!("{line}\n")).collect()
    }

    /// A UID that depends on the seed and on what it is for.
    pub(super) fn uid(&self, what: &[&str]) -> String {
        uid(&mut self.draw(what))
    }

    /// Random choices for one thing, the same whatever happened before.
    fn draw(&self, what: &[&str]) -> ChaCha8Rng {
        let text = format!("{}/{}", self.settings.seed, what.join("/"));
        ChaCha8Rng::from_seed(Sha256::digest(text).into())
    }

    /// Whether every deployment has all its pods, of its present template, Ready.
    pub(super) fn is_settled(&self) -> bool {
        self.store.list(Kind::Deployment, None).iter().all(|deployment| {
            let wanted = object::number(deployment, "/spec/replicas");
            let pods = self.pods_of(namespace_of(deployment), name_of(deployment));
            pods.len() as u64 == wanted && pods.iter().all(|pod| object::is_ready(pod))
        })
    }

    /// What should be the same before and after a run: no UIDs, no names of pods, no times.
    pub(super) fn dump(&self) -> Value {
        let of = |kind, fact: &dyn Fn(&Value) -> Value| -> Value {
            let objects = self.store.list(kind, None);
            objects
                .iter()
                .map(|object| (path_of(object), fact(object)))
                .collect::<serde_json::Map<_, _>>()
                .into()
        };
        json!({
            "namespaces": of(Kind::Namespace, &|object| json!({
                "labels": object["metadata"]["labels"], "annotations": object["metadata"]["annotations"],
            })),
            "deployments": of(Kind::Deployment, &|object| json!({
                "replicas": object["spec"]["replicas"],
                "images": images(object),
                "pods": self.pods_of(namespace_of(object), name_of(object)).len(),
            })),
            "budgets": of(Kind::Budget, &|object| object["spec"].clone()),
            "leases": of(Kind::Lease, &|object| object["spec"]["holderIdentity"].clone()),
        })
    }
}

fn path_of(object: &Value) -> String {
    match namespace_of(object) {
        "" => name_of(object).to_owned(),
        namespace => format!("{namespace}/{}", name_of(object)),
    }
}

fn images(deployment: &Value) -> Vec<&str> {
    let containers = deployment["spec"]["template"]["spec"]["containers"].as_array();
    containers.into_iter().flatten().map(|container| text(container, "/image")).collect()
}

/// Refuses a deletion that means another object, or another version of it.
pub(super) fn check_preconditions(kind: Kind, object: &Value, asked: &Deletion) -> Result<(), Refusal> {
    let checks = [
        ("UID", &asked.uid, text(object, "/metadata/uid")),
        ("ResourceVersion", &asked.resource_version, text(object, "/metadata/resourceVersion")),
    ];
    for (field, wanted, found) in checks {
        if let Some(wanted) = wanted.as_deref().filter(|wanted| *wanted != found) {
            return Err(Refusal::precondition(kind, name_of(object), field, wanted, found));
        }
    }
    Ok(())
}

struct Drawn {
    suffix: String,
    uid: String,
    node: String,
    ip: String,
    at: String,
}

impl Drawn {
    fn as_birth(&self) -> Birth<'_> {
        Birth { suffix: &self.suffix, uid: &self.uid, node: &self.node, ip: &self.ip, at: &self.at }
    }
}

fn birth(draw: &mut ChaCha8Rng, at: &str) -> Drawn {
    Drawn {
        suffix: (0..5).map(|_| object::letter(draw.random())).collect(),
        uid: uid(draw),
        node: format!("node-{}", draw.random_range(1..=3)),
        ip: format!("10.64.{}.{}", draw.random_range(0..=255), draw.random_range(1..=254)),
        at: at.to_owned(),
    }
}

fn mark_ordinal(mut pod: Value, ordinal: u64, is_first: bool) -> Value {
    if pod["metadata"]["annotations"].is_null() {
        pod["metadata"]["annotations"] = json!({});
    }
    let born = if is_first { "first".to_owned() } else { ordinal.to_string() };
    pod["metadata"]["annotations"]["fake.muster/born"] = json!(born);
    pod
}

fn uid(draw: &mut ChaCha8Rng) -> String {
    let mut bytes: [u8; 16] = draw.random();
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

fn within(draw: &mut ChaCha8Rng, (least, most): (f64, f64)) -> f64 {
    if least < most { draw.random_range(least..=most) } else { least }
}
