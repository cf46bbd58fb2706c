//! What a cluster shows of itself: which it is, and groups of pods that could be named in a target file.
//!
//! Lives here: looking, Micro's groups, and groups as text. Does not: those of other platforms (`others`), anything that
//! changes the cluster, or that tries a group (`doctor`).

use super::others::of_others;
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

/// What a cluster shows of itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shown {
    /// The UID of its `kube-system`.
    pub(super) uid: String,
    /// Whether Micro's own pods are among them.
    pub(super) is_micro: bool,
    /// Groups of pods.
    pub(super) groups: Vec<Group>,
    /// A line for each Deployment that is in none, and why; of Micro's platforms they are not asked for.
    pub(super) left_out: Vec<String>,
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
        return Ok(Shown { uid, is_micro: true, groups, left_out: vec![] });
    }
    let deployments = kube.list_objects("apps/v1", "Deployment", None, "").await?;
    let (groups, left_out) = of_others(&deployments);
    Ok(Shown { uid, is_micro: false, groups, left_out })
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

fn joined(members: &BTreeSet<String>) -> String {
    members.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

impl Group {
    /// Members that a label names; none if there are none.
    pub(super) fn by_label(namespace: &str, label: &str, members: BTreeSet<String>) -> Option<Self> {
        (!members.is_empty()).then(|| Self {
            name: namespace.to_owned(),
            namespace: namespace.to_owned(),
            selector: format!("{label} in ({})", joined(&members)),
            pod_of: format!("{label}=$(member)"),
            members,
        })
    }

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
}
