//! Pods: what is known of one, and how one is taken away.
//!
//! Lives here: list, delete, evict, budgets, logs. Does not: watching (`watch`), choosing a victim.

use super::selector::{is_selected, selects};
use super::{Kube, KubeError};
use ::kube::api::{Api, DeleteParams, ListParams, LogParams, PostParams, Preconditions};
use ::kube::core::Status;
use ::kube::{Error, ResourceExt};
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use k8s_openapi::api::policy::v1 as policy;
use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;
use std::collections::BTreeMap;

/// What muster knows of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodFact {
    /// The pod's name; a replacement has another.
    pub name: String,
    /// The pod's UID, never used twice.
    pub uid: String,
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's labels.
    pub labels: BTreeMap<String, String>,
    /// Whether its condition Ready is True. A pod that is leaving may still be called Ready: see [`PodFact::is_present`].
    pub is_ready: bool,
    /// `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`; empty if the server does not say.
    pub phase: String,
    /// Whether its deletion was asked for.
    pub deletion_requested: bool,
    /// When the server created it, as text: to be shown, never to be subtracted.
    pub created_at: String,
    /// The node that it runs on, once there is one.
    pub node: Option<String>,
    /// What keeps it; what nothing keeps does not come back.
    pub owner: Option<Owner>,
    /// The image of its first container.
    pub image: Option<String>,
    /// How often its containers were started anew, in sum.
    pub restarts: u32,
}

/// What keeps a pod: its controller, or the Deployment behind a replica set of its own making.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    /// `Deployment`, `StatefulSet`, `DaemonSet`, `Job`, …
    pub kind: String,
    /// Its name.
    pub name: String,
}

impl Owner {
    /// The name of the Deployment that this is, if it is one.
    pub fn deployment(&self) -> Option<&str> {
        (self.kind == "Deployment").then_some(self.name.as_str())
    }
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

impl PodFact {
    /// Whether it is Ready and not leaving.
    pub fn is_present(&self) -> bool {
        self.is_ready && !self.deletion_requested
    }

    /// Whether it has ended for good, as the pods of a Job do.
    pub fn is_over(&self) -> bool {
        matches!(self.phase.as_str(), "Succeeded" | "Failed")
    }

    /// Whether it is in a namespace and selected there by a label selector.
    fn is_among(&self, namespace: &str, selector: &str) -> bool {
        self.namespace == namespace && selects(selector, &self.labels)
    }

    pub(super) fn of(pod: &Pod) -> PodFact {
        let created_at = pod.metadata.creation_timestamp.as_ref();
        let spec = pod.spec.as_ref();
        PodFact {
            name: pod.name_any(),
            uid: pod.uid().unwrap_or_default(),
            namespace: pod.namespace().unwrap_or_default(),
            labels: pod.labels().clone(),
            is_ready: pod.status.as_ref().is_some_and(is_ready),
            phase: pod.status.as_ref().and_then(|status| status.phase.clone()).unwrap_or_default(),
            deletion_requested: pod.metadata.deletion_timestamp.is_some(),
            created_at: created_at.map(|time| time.0.to_string()).unwrap_or_default(),
            node: spec.and_then(|spec| spec.node_name.clone()),
            owner: owner(pod),
            image: spec
                .and_then(|spec| spec.containers.first())
                .and_then(|container| container.image.clone()),
            restarts: pod.status.as_ref().map_or(0, restarts),
        }
    }
}

fn restarts(status: &PodStatus) -> u32 {
    let counts = status.container_statuses.iter().flatten().map(|container| container.restart_count);
    u32::try_from(counts.sum::<i32>()).unwrap_or(0)
}

fn is_ready(status: &PodStatus) -> bool {
    let conditions = status.conditions.iter().flatten();
    let mut told = conditions.filter(|condition| condition.type_ == "Ready").peekable();
    told.peek().is_some() && told.all(|condition| condition.status == "True")
}

fn owner(pod: &Pod) -> Option<Owner> {
    let owner = pod.owner_references().iter().find(|owner| owner.controller == Some(true))?;
    let hash = pod.labels().get("pod-template-hash").filter(|_| owner.kind == "ReplicaSet");
    let deployment = hash.and_then(|hash| owner.name.strip_suffix(hash.as_str())?.strip_suffix('-'));
    Some(match deployment {
        Some(name) => Owner { kind: "Deployment".into(), name: name.into() },
        None => Owner { kind: owner.kind.clone(), name: owner.name.clone() },
    })
}

/// The one pod that is meant: never its successor of the same name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Victim {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub name: String,
    /// The UID that it must have when it is taken.
    pub uid: String,
    /// How often its containers had been started anew when it was chosen, if it may come back as itself; none if only
    /// another pod can take its place.
    pub restarts: Option<u32>,
}

impl Victim {
    /// Whether a pod is the victim as it was: not its successor, and, if it may come back as itself, not itself with a
    /// container started anew.
    pub fn is(&self, pod: &PodFact) -> bool {
        pod.uid == self.uid && self.restarts.is_none_or(|before| pod.restarts <= before)
    }
}

/// What became of a deletion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deletion {
    /// The server accepted it; the pod goes within its grace.
    Deleted,
    /// A pod of that name is there and is another one (the server's sentence): nothing was done.
    Conflict(String),
    /// No pod of that name was there: nothing was done.
    Gone,
}

/// What became of an eviction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Eviction {
    /// The server accepted it; the pod goes within its grace.
    Evicted,
    /// A disruption budget does not allow it now (the server's sentence): nothing was done.
    RefusedByBudget(String),
    /// A pod of that name is there and is another one (the server's sentence): nothing was done.
    Conflict(String),
    /// No pod of that name was there: nothing was done.
    Gone,
}

/// What a disruption budget allows now.
#[derive(Debug, Clone, PartialEq)]
pub struct BudgetFact {
    /// The budget's name.
    pub name: String,
    /// How many pods may be evicted now.
    pub disruptions_allowed: i32,
    /// How many of its pods are healthy.
    pub healthy: i32,
    /// How many must stay healthy.
    pub needed: i32,
    selector: Option<meta::LabelSelector>,
}

impl BudgetFact {
    /// Whether a pod with these labels counts towards this budget. A budget without selector covers none, one with
    /// an empty selector all, as in policy/v1.
    pub fn covers(&self, labels: &BTreeMap<String, String>) -> bool {
        // Of an operator that we do not know, it may cover the pod: the careful answer.
        self.selector.as_ref().is_some_and(|it| is_selected(it, labels).unwrap_or(true))
    }
}

impl Kube {
    /// The pods of a namespace that a label selector selects (all, if it is empty), ordered by name.
    ///
    /// # Errors
    /// As every call: see [`KubeError`]; [`KubeError::Unreadable`] if another pod is among them, for what stands between may
    /// lose what was asked for.
    pub async fn pods(&self, namespace: &str, selector: &str) -> Result<Vec<PodFact>, KubeError> {
        let selected = ListParams::default().labels(selector);
        let pods = self.pods_in(namespace);
        let what = format!("list pods in {namespace}");
        let list = self.listed(&what, pods.list(&selected)).await?;
        let mut facts: Vec<PodFact> = list.items.iter().map(PodFact::of).collect();
        facts.sort_by(|one, other| one.name.cmp(&other.name));
        match facts.iter().find(|pod| !pod.is_among(namespace, selector)) {
            None => Ok(facts),
            Some(other) => {
                let why =
                    format!("pod {}/{} is not among those that were asked for", other.namespace, other.name);
                Err(KubeError::Unreadable { what, why })
            }
        }
    }

    /// Deletes a pod if it still is the one that is meant. `grace_seconds`: the time that it is given to end, 0 for
    /// none at all, absent for the pod's own.
    ///
    /// # Errors
    /// As every call: see [`KubeError`]; after [`KubeError::TimedOut`] and [`KubeError::Unreachable`] the pod may or
    /// may not have been deleted.
    pub async fn delete_pod(
        &self,
        victim: &Victim,
        grace_seconds: Option<u32>,
    ) -> Result<Deletion, KubeError> {
        let what = format!("delete pod {}/{}", victim.namespace, victim.name);
        let parameters = DeleteParams {
            grace_period_seconds: grace_seconds,
            preconditions: Some(Preconditions { uid: Some(victim.uid.clone()), resource_version: None }),
            ..DeleteParams::default()
        };
        let pods = self.pods_in(&victim.namespace);
        match self.call(&what, pods.delete(&victim.name, &parameters)).await {
            Ok(_) => Ok(Deletion::Deleted),
            Err(KubeError::Refused { code: 404, .. }) => Ok(Deletion::Gone),
            Err(KubeError::Refused { code: 409, message, .. }) => Ok(Deletion::Conflict(message)),
            Err(error) => Err(error),
        }
    }

    /// Evicts a pod if it still is the one that is meant and no disruption budget forbids it.
    ///
    /// # Errors
    /// As for [`Kube::delete_pod`]. A 429 that names no disruption budget is the server's own overload: an error.
    pub async fn evict_pod(
        &self,
        victim: &Victim,
        grace_seconds: Option<u32>,
    ) -> Result<Eviction, KubeError> {
        let what = format!("evict pod {}/{}", victim.namespace, victim.name);
        let eviction = eviction(victim, grace_seconds);
        let pods = self.pods_in(&victim.namespace);
        // The crate's own `evict` loses the options on the wire.
        let parameters = PostParams::default();
        let call = pods.create_subresource::<_, Status>("eviction", &victim.name, &parameters, &eviction);
        let call = async { Ok(read_refusal(call.await)) };
        self.call(&what, call).await?.map_err(|error| KubeError::of(&what, error))
    }

    /// The disruption budgets of a namespace.
    ///
    /// # Errors
    /// As every call: see [`KubeError`].
    pub async fn budgets(&self, namespace: &str) -> Result<Vec<BudgetFact>, KubeError> {
        let budgets: Api<policy::PodDisruptionBudget> = Api::namespaced(self.client.clone(), namespace);
        let what = format!("list disruption budgets in {namespace}");
        let list = self.listed(&what, budgets.list(&ListParams::default())).await?;
        Ok(list.items.into_iter().map(budget_fact).collect())
    }

    /// The newest lines of a pod's log.
    ///
    /// # Errors
    /// As every call: see [`KubeError`]; a container that has not started is refused with 400.
    pub async fn log(&self, namespace: &str, pod: &str, tail_lines: u32) -> Result<String, KubeError> {
        let tail = LogParams { tail_lines: Some(tail_lines.into()), ..LogParams::default() };
        let pods = self.pods_in(namespace);
        self.call(&format!("read the log of pod {namespace}/{pod}"), pods.logs(pod, &tail)).await
    }

    /// The newest lines of a container's log, each with its time, oldest first. Nothing if the container has not started
    /// or the pod is gone.
    ///
    /// # Errors
    /// As every call: see [`KubeError`]; a pod of several containers, none of which is named, is refused with 400.
    pub async fn timed_log(
        &self,
        pod: &PodFact,
        container: Option<&str>,
        tail_lines: u32,
    ) -> Result<Vec<(jiff::Timestamp, String)>, KubeError> {
        let asked = LogParams {
            container: container.map(str::to_owned),
            tail_lines: Some(tail_lines.into()),
            timestamps: true,
            ..LogParams::default()
        };
        let what = format!("read the log of pod {}/{}", pod.namespace, pod.name);
        let pods = self.pods_in(&pod.namespace);
        match self.call(&what, pods.logs(&pod.name, &asked)).await {
            Err(KubeError::Refused { code: 404, .. }) => Ok(vec![]),
            Err(KubeError::Refused { code: 400, message, .. }) if message.contains("waiting to start") => {
                Ok(vec![])
            }
            log => Ok(log?.lines().filter_map(timed).collect()),
        }
    }

    pub(super) fn pods_in(&self, namespace: &str) -> Api<Pod> {
        Api::namespaced(self.client.clone(), namespace)
    }
}

/// `2026-11-25T08:18:43.123456789Z what was written`.
fn timed(line: &str) -> Option<(jiff::Timestamp, String)> {
    let (time, text) = line.split_once(' ').unwrap_or((line, ""));
    Some((time.parse().ok()?, text.to_owned()))
}

fn eviction(victim: &Victim, grace_seconds: Option<u32>) -> policy::Eviction {
    let preconditions =
        meta::Preconditions { uid: Some(victim.uid.clone()), ..meta::Preconditions::default() };
    policy::Eviction {
        metadata: meta::ObjectMeta {
            name: Some(victim.name.clone()),
            namespace: Some(victim.namespace.clone()),
            ..meta::ObjectMeta::default()
        },
        delete_options: Some(meta::DeleteOptions {
            grace_period_seconds: grace_seconds.map(i64::from),
            preconditions: Some(preconditions),
            ..meta::DeleteOptions::default()
        }),
    }
}

/// A refusal that is an answer to an eviction, told from one that is an error.
fn read_refusal(answer: ::kube::Result<Status>) -> ::kube::Result<Eviction> {
    match answer {
        Ok(_) => Ok(Eviction::Evicted),
        Err(Error::Api(status)) => match status.code {
            404 => Ok(Eviction::Gone),
            409 => Ok(Eviction::Conflict(status.message)),
            429 if names_a_budget(&status) => Ok(Eviction::RefusedByBudget(sentence(&status))),
            _ => Err(Error::Api(status)),
        },
        Err(error) => Err(error),
    }
}

fn causes(status: &Status) -> impl Iterator<Item = &::kube::core::response::StatusCause> {
    status.details.iter().flat_map(|details| &details.causes)
}

fn names_a_budget(status: &Status) -> bool {
    causes(status).any(|cause| cause.reason == "DisruptionBudget")
}

fn sentence(status: &Status) -> String {
    let causes = causes(status).map(|cause| cause.message.as_str());
    [status.message.as_str()].into_iter().chain(causes).collect::<Vec<_>>().join(" ")
}

fn budget_fact(budget: policy::PodDisruptionBudget) -> BudgetFact {
    let name = budget.name_any();
    let status = budget.status.unwrap_or_default();
    let is_stale = status.observed_generation < budget.metadata.generation;
    BudgetFact {
        name,
        // A status of before the last change allows nothing, as the eviction API has it.
        disruptions_allowed: if is_stale { 0 } else { status.disruptions_allowed },
        healthy: status.current_healthy,
        needed: status.desired_healthy,
        selector: budget.spec.and_then(|spec| spec.selector),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_pod_is_ready_if_each_condition_of_that_name_says_so() {
        let told = |all: &[(&str, &str)]| {
            let conditions: Vec<_> =
                all.iter().map(|(kind, status)| json!({ "type": kind, "status": status })).collect();
            is_ready(&serde_json::from_value(json!({ "conditions": conditions })).unwrap())
        };
        assert!(told(&[("Initialized", "False"), ("Ready", "True")]));
        assert!(!told(&[("Initialized", "True")]) && !told(&[("Ready", "Unknown")]));
        assert!(!told(&[("Ready", "True"), ("Ready", "False")]));
    }

    #[test]
    fn a_pod_of_another_namespace_or_with_other_labels_is_not_among_those_that_were_asked_for() {
        let metadata = json!({ "name": "web-1", "namespace": "shop", "labels": { "app": "web" } });
        let pod = PodFact::of(&serde_json::from_value(json!({ "metadata": metadata })).unwrap());
        assert!(pod.is_among("shop", "app=web") && pod.is_among("shop", ""));
        assert!(!pod.is_among("store", "app=web") && !pod.is_among("shop", "app=web,tier"));
    }

    #[test]
    fn a_budget_whose_status_is_of_before_its_last_change_allows_nothing() {
        for (generation, observed, expected) in [
            (json!(2), json!(2), 1),
            (json!(2), json!(1), 0),
            (json!(2), json!(null), 0),
            (json!(null), json!(null), 1),
        ] {
            let counts = json!({
                "observedGeneration": observed, "disruptionsAllowed": 1, "currentHealthy": 2, "desiredHealthy": 1,
                "expectedPods": 2,
            });
            let budget = json!({ "metadata": { "generation": generation }, "status": counts });
            let budget = budget_fact(serde_json::from_value(budget).unwrap());
            assert_eq!(budget.disruptions_allowed, expected, "{generation} {observed}");
        }
    }
}
