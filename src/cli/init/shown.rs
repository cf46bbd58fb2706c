//! What a cluster shows of itself: which it is, and groups of pods that could be named in a target file.
//!
//! Lives here: looking, and groups as text. Does not: anything that changes the cluster, or that tries a group (`doctor`).

use crate::cli::Refusal;
use crate::client::kube::{Kube, Place};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const CALL_WITHIN: Duration = Duration::from_secs(30);
/// The label by which Micro marks the namespaces that it owns.
const OWNED: &str = "owner=micro";
/// The label of pods by which Micro tells its own from its users'.
const KIND_LABEL: &str = "micro";
/// Labels by which the Deployments of other platforms tell their pods apart, the likeliest first.
const NAME_LABELS: [&str; 4] = ["app.kubernetes.io/name", "app", "name", "k8s-app"];

/// What a cluster shows of itself.
pub(super) struct Shown {
    /// The UID of its `kube-system`.
    pub(super) uid: String,
    /// Whether Micro's own pods are among them.
    pub(super) is_micro: bool,
    /// Groups of pods.
    pub(super) groups: Vec<Group>,
}

/// Pods that could be a group.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Group {
    /// What it may be called.
    pub(super) name: String,
    pub(super) namespace: String,
    selector: String,
    pod_of: String,
    members: BTreeSet<String>,
}

/// Asks a cluster who it is, and for its pods. Nothing is changed.
pub(super) async fn look(place: &Place) -> Result<Shown, Refusal> {
    let kube = Kube::connect(place, CALL_WITHIN).await?;
    let uid = kube.cluster_uid().await?;
    let owned = kube.list_objects("v1", "Namespace", None, OWNED).await?;
    let mut groups = vec![];
    for namespace in owned.iter().filter_map(|object| object["metadata"]["name"].as_str()) {
        let pods = kube.list_objects("v1", "Pod", Some(namespace), KIND_LABEL).await?;
        groups.extend(of_micro(namespace, &pods));
    }
    if !groups.is_empty() {
        return Ok(Shown { uid, is_micro: true, groups });
    }
    let deployments = kube.list_objects("apps/v1", "Deployment", None, "").await?;
    Ok(Shown { uid, is_micro: false, groups: of_others(&deployments) })
}

/// Pods by their kind; a member is what their label `name` says. The core's pods are named `micro-STORE` where its service
/// is `store`.
fn of_micro(namespace: &str, pods: &[Value]) -> Vec<Group> {
    let mut kinds: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for pod in pods {
        let labels = &pod["metadata"]["labels"];
        if let (Some(kind), Some(name)) = (labels[KIND_LABEL].as_str(), labels["name"].as_str()) {
            kinds.entry(kind.to_owned()).or_default().insert(name.to_owned());
        }
    }
    let group = |(kind, names): (String, BTreeSet<String>)| {
        let prefix = if names.iter().all(|name| name.starts_with("micro-")) { "micro-" } else { "" };
        Group {
            name: if kind == "service" { "services" } else { "core" }.to_owned(),
            namespace: namespace.to_owned(),
            selector: format!("{KIND_LABEL}={kind}"),
            pod_of: format!("name={prefix}$(member)"),
            members: names.iter().map(|name| name.trim_start_matches(prefix).to_owned()).collect(),
        }
    };
    kinds.into_iter().map(group).collect()
}

/// The Deployments of each namespace but Kubernetes' own, by the first label that names each of them. Pods with a state of
/// their own (StatefulSets) and those of every node (DaemonSets) are nobody's first victims, and are left out.
fn of_others(deployments: &[Value]) -> Vec<Group> {
    let mut namespaces: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for one in deployments {
        let namespace = one["metadata"]["namespace"].as_str().unwrap_or_default();
        if !namespace.starts_with("kube-") {
            namespaces.entry(namespace).or_default().push(&one["spec"]["selector"]["matchLabels"]);
        }
    }
    namespaces.into_iter().filter_map(|(namespace, labels)| by_label(namespace, &labels)).collect()
}

/// The group of the Deployments that a label names, if one names any, and no two of them alike.
fn by_label(namespace: &str, selectors: &[&Value]) -> Option<Group> {
    NAME_LABELS.into_iter().find_map(|label| {
        let named: Vec<&str> = selectors.iter().filter_map(|labels| labels[label].as_str()).collect();
        let members: BTreeSet<String> = named.iter().map(|&name| name.to_owned()).collect();
        let is_clear = !members.is_empty() && members.len() == named.len();
        is_clear.then(|| Group {
            name: namespace.to_owned(),
            namespace: namespace.to_owned(),
            selector: format!("{label} in ({})", joined(&members)),
            pod_of: format!("{label}=$(member)"),
            members,
        })
    })
}

fn joined(members: &BTreeSet<String>) -> String {
    members.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

impl Group {
    /// The group as YAML.
    pub(super) fn text(&self) -> String {
        format!(
            "  {}:\n    namespace: {}\n    selector: {}\n    pod_of: {}\n    members: [{}]\n",
            self.name,
            self.namespace,
            self.selector,
            self.pod_of,
            joined(&self.members)
        )
    }

    /// What was found, for the person who asked.
    pub(super) fn told(&self) -> String {
        format!("found {} {} in namespace {}\n", self.members.len(), self.selector, self.namespace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(kind: &str, name: &str) -> Value {
        json!({ "metadata": { "labels": { "micro": kind, "name": name } } })
    }

    #[test]
    fn pods_of_micro_are_grouped_by_what_they_are() {
        let pods =
            [pod("runtime", "micro-store"), pod("runtime", "micro-api"), pod("service", "posts"), json!({})];
        let groups = of_micro("micro", &pods);
        assert_eq!(groups.len(), 2);
        assert_eq!(
            groups[0].text(),
            "  core:\n    namespace: micro\n    selector: micro=runtime\n    pod_of: name=micro-$(member)\n    members: [api, store]\n"
        );
        assert!(groups[1].text().contains("pod_of: name=$(member)\n    members: [posts]\n"));
    }

    #[test]
    fn deployments_of_others_are_grouped_by_the_label_that_names_them() {
        let one = |namespace: &str, labels: Value| json!({ "metadata": { "namespace": namespace }, "spec": { "selector": { "matchLabels": labels } } });
        let groups = of_others(&[
            one("shop", json!({ "app": "prices", "tier": "front" })),
            one("shop", json!({ "app": "cart" })),
            one("shop", json!({ "odd": "unnamed" })),
            one("twins", json!({ "app": "same", "name": "left" })),
            one("twins", json!({ "app": "same", "name": "right" })),
            one("kube-system", json!({ "k8s-app": "dns" })),
            one("odd", json!({ "odd": "unnamed" })),
        ]);
        let texts: Vec<String> = groups.iter().map(Group::text).collect();
        assert_eq!(
            texts,
            [
                "  shop:\n    namespace: shop\n    selector: app in (cart, prices)\n    pod_of: app=$(member)\n    members: [cart, prices]\n",
                "  twins:\n    namespace: twins\n    selector: name in (left, right)\n    pod_of: name=$(member)\n    members: [left, right]\n",
            ]
        );
        assert_eq!(groups[0].told(), "found 2 app in (cart, prices) in namespace shop\n");
    }
}
