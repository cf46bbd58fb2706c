//! The shape of the objects that the fake cluster keeps: namespaces, deployments, pods, budgets; and what is read
//! from them.
//!
//! Lives here: JSON in, JSON out, without a clock of its own. Does not: when an object changes (`controller`).

use super::selector::Selector;
use super::settings::Budget;
use crate::fake::pod::Deployment;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

/// Seconds of grace when a deletion names none, as in every pod that does not say otherwise.
pub(super) const DEFAULT_GRACE_SECONDS: u64 = 30;
/// Letters that Kubernetes uses in generated names.
const LETTERS: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// What distinguishes one pod from the other pods of its deployment.
pub(super) struct Birth<'a> {
    /// Five letters at the end of the name.
    pub(super) suffix: &'a str,
    pub(super) uid: &'a str,
    pub(super) node: &'a str,
    pub(super) ip: &'a str,
    /// RFC 3339, whole seconds.
    pub(super) at: &'a str,
}

/// The text at a JSON pointer; empty if there is none.
pub(super) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The number at a JSON pointer; zero if there is none.
pub(super) fn number(object: &Value, pointer: &str) -> u64 {
    object.pointer(pointer).and_then(Value::as_u64).unwrap_or_default()
}

/// The object's namespace; empty if it has none.
pub(super) fn namespace_of(object: &Value) -> &str {
    text(object, "/metadata/namespace")
}

/// The object's name.
pub(super) fn name_of(object: &Value) -> &str {
    text(object, "/metadata/name")
}

/// Whether the deletion of this object was asked for.
pub(super) fn is_leaving(object: &Value) -> bool {
    object["metadata"].get("deletionTimestamp").is_some()
}

/// Whether a pod's condition Ready is True.
pub(super) fn is_ready(pod: &Value) -> bool {
    let mut conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
    conditions.any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

/// Text pairs as a JSON object.
pub(super) fn map_of(pairs: &[(String, String)]) -> Value {
    pairs.iter().map(|(key, value)| (key.clone(), json!(value))).collect::<Map<_, _>>().into()
}

/// A namespace with labels.
pub(super) fn namespace(name: &str, labels: &[(String, String)], uid: &str, at: &str) -> Value {
    let mut all = map_of(labels);
    all["kubernetes.io/metadata.name"] = json!(name);
    json!({
        "kind": "Namespace", "apiVersion": "v1",
        "metadata": { "name": name, "uid": uid, "creationTimestamp": at, "labels": all },
        "spec": { "finalizers": ["kubernetes"] },
        "status": { "phase": "Active" },
    })
}

/// A node, Ready or not heard of any more.
pub(super) fn node(name: &str, is_ready: bool) -> Value {
    let status = if is_ready { "True" } else { "Unknown" };
    json!({
        "kind": "Node", "apiVersion": "v1",
        "metadata": { "name": name, "labels": { "kubernetes.io/hostname": name } },
        "spec": {},
        "status": {
            "conditions": [
                { "type": "MemoryPressure", "status": "False" },
                { "type": "Ready", "status": status },
            ],
            "nodeInfo": { "kubeletVersion": "v1.18.6" },
        },
    })
}

/// A deployment before its first pod.
pub(super) fn deployment(wanted: &Deployment, uid: &str, at: &str) -> Value {
    json!({
        "kind": "Deployment", "apiVersion": "apps/v1",
        "metadata": {
            "name": wanted.name, "namespace": wanted.namespace, "uid": uid, "creationTimestamp": at, "generation": 1,
            "labels": map_of(&wanted.labels), "annotations": { "deployment.kubernetes.io/revision": "1" },
        },
        "spec": {
            "replicas": wanted.replicas,
            "selector": { "matchLabels": map_of(&wanted.labels) },
            "template": {
                "metadata": { "labels": map_of(&wanted.labels) },
                "spec": { "containers": [{ "name": "micro", "image": wanted.image, "args": [wanted.service] }] },
            },
            "strategy": {
                "type": "RollingUpdate", "rollingUpdate": { "maxSurge": "25%", "maxUnavailable": "25%" },
            },
            "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600,
        },
        "status": {},
    })
}

/// The hash that names the replica set of a deployment's present template.
pub(super) fn template_hash(deployment: &Value) -> String {
    let digest = Sha256::digest(deployment["spec"]["template"].to_string());
    digest.iter().take(10).map(|byte| letter(u32::from(*byte))).collect()
}

/// One of the letters of generated names.
pub(super) fn letter(draw: u32) -> char {
    let at = usize::try_from(draw).unwrap_or_default() % LETTERS.len();
    char::from(LETTERS[at])
}

/// A pod of a deployment, waiting for its container.
pub(super) fn pod(deployment: &Value, birth: &Birth) -> Value {
    let hash = template_hash(deployment);
    let set = format!("{}-{hash}", name_of(deployment));
    let template = &deployment["spec"]["template"];
    let mut labels = template["metadata"]["labels"].clone();
    labels["pod-template-hash"] = json!(hash);
    let mut spec = template["spec"].clone();
    spec["nodeName"] = json!(birth.node);
    spec["terminationGracePeriodSeconds"] = json!(DEFAULT_GRACE_SECONDS);
    let owner = json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": set, "uid": text(deployment, "/metadata/uid"),
        "controller": true, "blockOwnerDeletion": true,
    });
    json!({
        "kind": "Pod", "apiVersion": "v1",
        "metadata": {
            "name": format!("{set}-{}", birth.suffix), "generateName": format!("{set}-"),
            "namespace": namespace_of(deployment), "uid": birth.uid, "creationTimestamp": birth.at,
            "labels": labels, "annotations": template["metadata"]["annotations"], "ownerReferences": [owner],
        },
        "spec": spec,
        "status": status("Pending", "ContainerCreating", birth, deployment),
    })
}

fn status(phase: &str, waiting: &str, birth: &Birth, deployment: &Value) -> Value {
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    json!({
        "phase": phase,
        "conditions": [
            condition("PodScheduled", "True", birth.at), condition("Initialized", "True", birth.at),
            condition("ContainersReady", "False", birth.at), condition("Ready", "False", birth.at),
        ],
        "podIP": birth.ip,
        "qosClass": "BestEffort",
        "containerStatuses": [{
            "name": container["name"], "image": container["image"], "imageID": "", "ready": false, "started": false,
            "restartCount": 0, "state": { "waiting": { "reason": waiting } },
        }],
    })
}

fn condition(kind: &str, status: &str, at: &str) -> Value {
    json!({ "type": kind, "status": status, "lastTransitionTime": at, "lastProbeTime": null })
}

/// The same pod with a container that runs and is not ready yet.
pub(super) fn running(pod: &Value, at: &str) -> Value {
    let mut pod = pod.clone();
    pod["status"]["phase"] = json!("Running");
    pod["status"]["startTime"] = json!(at);
    let container = &mut pod["status"]["containerStatuses"][0];
    container["started"] = json!(true);
    container["state"] = json!({ "running": { "startedAt": at } });
    pod
}

/// The same pod, its container ended and about to be started anew. 2 is the exit code of a Go program that QUIT ended.
pub(super) fn crashed(pod: &Value, at: &str) -> Value {
    let restarts = number(pod, "/status/containerStatuses/0/restartCount");
    let mut pod = pod.clone();
    for kind in ["ContainersReady", "Ready"] {
        set_condition(&mut pod, condition(kind, "False", at));
    }
    let container = &mut pod["status"]["containerStatuses"][0];
    container["ready"] = json!(false);
    container["started"] = json!(false);
    container["restartCount"] = json!(restarts + 1);
    container["lastState"] = json!({ "terminated": { "exitCode": 2, "reason": "Error", "finishedAt": at } });
    container["state"] = json!({ "waiting": { "reason": "CrashLoopBackOff" } });
    pod
}

/// The same pod, Ready.
pub(super) fn ready(pod: &Value, at: &str) -> Value {
    with_readiness(pod, true, at)
}

/// The same pod, not Ready any more.
pub(super) fn unready(pod: &Value, at: &str) -> Value {
    with_readiness(pod, false, at)
}

fn with_readiness(pod: &Value, is_ready: bool, at: &str) -> Value {
    let mut pod = pod.clone();
    for kind in ["ContainersReady", "Ready"] {
        set_condition(&mut pod, condition(kind, if is_ready { "True" } else { "False" }, at));
    }
    pod["status"]["containerStatuses"][0]["ready"] = json!(is_ready);
    pod
}

fn set_condition(object: &mut Value, wanted: Value) {
    let conditions = object["status"]["conditions"].as_array_mut().into_iter().flatten();
    for condition in conditions.filter(|condition| condition["type"] == wanted["type"]) {
        *condition = wanted.clone();
    }
}

/// The same pod, its deletion asked for.
pub(super) fn leaving(pod: &Value, at: &str, grace_seconds: u64) -> Value {
    let mut pod = pod.clone();
    pod["metadata"]["deletionTimestamp"] = json!(at);
    pod["metadata"]["deletionGracePeriodSeconds"] = json!(grace_seconds);
    pod
}

/// The name of the deployment that a pod belongs to: its replica set's name without the template hash.
pub(super) fn deployment_of(pod: &Value) -> Option<&str> {
    let set = text(pod, "/metadata/ownerReferences/0/name");
    set.strip_suffix(text(pod, "/metadata/labels/pod-template-hash"))?.strip_suffix('-')
}

/// The status of a deployment whose pods (those not leaving) are given.
pub(super) fn deployment_status(deployment: &Value, pods: &[&Value], at: &str) -> Value {
    let wanted = number(deployment, "/spec/replicas");
    let hash = template_hash(deployment);
    let ready = pods.iter().filter(|pod| is_ready(pod)).count() as u64;
    let updated = pods.iter().filter(|pod| text(pod, "/metadata/labels/pod-template-hash") == hash).count();
    let is_available = ready >= wanted;
    let mut status = json!({
        "observedGeneration": deployment["metadata"]["generation"],
        "replicas": pods.len(), "updatedReplicas": updated, "readyReplicas": ready, "availableReplicas": ready,
        "unavailableReplicas": wanted.saturating_sub(ready),
        "conditions": [
            reasoned("Available", is_available, ["MinimumReplicasUnavailable", "MinimumReplicasAvailable"], at),
            reasoned("Progressing", true, ["ReplicaSetUpdated", "NewReplicaSetAvailable"], at),
        ],
    });
    keep_old_transitions(&mut status, &deployment["status"]);
    status
}

fn reasoned(kind: &str, holds: bool, [not_yet, done]: [&str; 2], at: &str) -> Value {
    let (status, reason) = if holds { ("True", done) } else { ("False", not_yet) };
    json!({ "type": kind, "status": status, "reason": reason, "lastTransitionTime": at })
}

/// A condition that did not change keeps the time at which it last did, so that an unchanged status is equal.
fn keep_old_transitions(status: &mut Value, old: &Value) {
    for (at, condition) in status["conditions"].as_array_mut().into_iter().flatten().enumerate() {
        let before = &old["conditions"][at];
        if before["status"] == condition["status"] {
            condition["lastTransitionTime"] = before["lastTransitionTime"].clone();
        }
    }
}

/// A disruption budget before its first status.
pub(super) fn budget(wanted: &Budget, uid: &str, at: &str) -> Value {
    json!({
        "kind": "PodDisruptionBudget", "apiVersion": "policy/v1",
        "metadata": {
            "name": wanted.name, "namespace": wanted.namespace, "uid": uid, "creationTimestamp": at, "generation": 1,
        },
        "spec": { "minAvailable": wanted.min_available, "selector": { "matchLabels": map_of(&wanted.labels) } },
        "status": {},
    })
}

/// Whether a budget speaks of a pod.
pub(super) fn covers(budget: &Value, pod: &Value) -> bool {
    namespace_of(budget) == namespace_of(pod)
        && Selector::of_labels(&budget["spec"]["selector"]["matchLabels"]).selects(pod)
}

/// The status of a budget among all pods.
pub(super) fn budget_status(budget: &Value, pods: &[&Value]) -> Value {
    let covered: Vec<_> = pods.iter().filter(|pod| covers(budget, pod)).collect();
    let healthy = covered.iter().filter(|pod| is_ready(pod) && !is_leaving(pod)).count() as u64;
    let needed = number(budget, "/spec/minAvailable");
    json!({
        "observedGeneration": 1, "currentHealthy": healthy, "desiredHealthy": needed, "expectedPods": covered.len(),
        "disruptionsAllowed": healthy.saturating_sub(needed),
    })
}
