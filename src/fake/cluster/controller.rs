//! What the fake cluster wants to be: deployments keep their pods, budgets are counted.
//!
//! Lives here: the state, and how deployments, namespaces and budgets change it. Does not: what happens to one pod
//! (`pods`), waiting (`mod`), HTTP (`door`), watches (`watch`).

use super::kind::Kind;
use super::object::{self, is_leaving, name_of, namespace_of, text};
use super::pods::{Deletion, Due};
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
use std::time::Instant;
use tokio::sync::mpsc;

/// How many nodes there are: `node-1` and so on.
pub(super) const NODES: u32 = 3;

/// A namespace and a name in it.
pub(super) type Place = (String, String);

/// The whole cluster at one moment.
pub(super) struct State {
    pub(super) store: Store,
    pub(super) settings: Settings,
    pub(super) started: Instant,
    pub(super) changes: mpsc::UnboundedSender<PodChange>,
    /// The service of each deployment's pods.
    pub(super) services: BTreeMap<Place, String>,
    /// How many pods each deployment ever had: the ordinal that a pod's random choices come from.
    pub(super) born: BTreeMap<Place, u64>,
    /// By UID: the pods whose container runs.
    pub(super) containers: BTreeMap<String, Pod>,
    /// By UID: what each pod wrote.
    pub(super) logs: BTreeMap<String, Vec<String>>,
    pub(super) due: Vec<Due>,
    /// Whether the pods created now are those that were always there: they start without delay and without defects.
    pub(super) is_opening: bool,
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
        for number in 1..=NODES {
            let is_ready = number < NODES || !state.settings.defects.node_not_ready;
            state.place(object::node(&format!("node-{number}"), is_ready));
        }
        for object in state.settings.objects.clone() {
            state.place(object);
        }
        for job in state.settings.cron_jobs.clone() {
            state.create_cron_job(&job);
        }
        state.run_cron_jobs();
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

    /// Keeps an object of the start as it is; one of a kind that is not served is none.
    pub(super) fn place(&mut self, mut object: Value) {
        let Some(kind) = Kind::of(&object) else { return };
        let uid = self.uid(&[kind.resource().plural, namespace_of(&object), name_of(&object)]);
        object["metadata"]["uid"] = json!(uid);
        object["metadata"]["creationTimestamp"] = json!(self.now());
        self.store.put(kind, object);
    }

    /// Removes a namespace and everything in it.
    pub(super) fn remove_namespace(&mut self, name: &str) -> Option<Arc<Value>> {
        for kind in Kind::ALL.into_iter().filter(|kind| kind.resource().is_namespaced) {
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
        let are_ready = present.iter().filter(|pod| object::is_ready(pod)).count() >= wanted
            || self.settings.defects.ends_pods_first;
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

    fn tell_status(&mut self, deployment: &Value) {
        let (namespace, name) = (namespace_of(deployment), name_of(deployment));
        let pods = self.pods_of(namespace, name);
        let pods: Vec<&Value> = pods.iter().map(AsRef::as_ref).collect();
        let mut told = deployment.clone();
        told["status"] = object::deployment_status(deployment, &pods, &self.now());
        if self.settings.defects.never_done {
            told["status"]["observedGeneration"] = json!(1);
        }
        self.store.put(Kind::Deployment, told);
    }

    /// A UID that depends on the seed and on what it is for.
    pub(super) fn uid(&self, what: &[&str]) -> String {
        uid(&mut self.draw(what))
    }

    /// Random choices for one thing, the same whatever happened before.
    pub(super) fn draw(&self, what: &[&str]) -> ChaCha8Rng {
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
            "nodes": of(Kind::Node, &|object| object["spec"].clone()),
            "budgets": of(Kind::Budget, &|object| object["spec"].clone()),
            "cronJobs": of(Kind::CronJob, &|object| object["spec"].clone()),
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

/// A UID of version 4.
pub(super) fn uid(draw: &mut ChaCha8Rng) -> String {
    let mut bytes: [u8; 16] = draw.random();
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}
