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
    are_named(&owned)?;
    for namespace in owned.iter().filter_map(|object| object["metadata"]["name"].as_str()) {
        let pods = kube.list_objects("v1", "Pod", Some(namespace), KIND_LABEL).await?;
        are_named(&pods)?;
        groups.extend(of_micro(namespace, &pods));
    }
    if !groups.is_empty() {
        return Ok(Shown { uid, is_micro: true, groups, left_out: vec![] });
    }
    let deployments = kube.list_objects("apps/v1", "Deployment", None, "").await?;
    are_named(&deployments)?;
    let (groups, left_out) = of_others(&deployments);
    Ok(Shown { uid, is_micro: false, groups, left_out })
}

/// Refuses objects whose names, labels or values of labels are none of Kubernetes: they would become lines of a file.
fn are_named(objects: &[Value]) -> Result<(), Refusal> {
    let name_of = |object: &Value| {
        let meta = &object["metadata"];
        let labels = [&meta["labels"], &object["spec"]["selector"]["matchLabels"]];
        let labels = labels.into_iter().filter_map(Value::as_object).flatten();
        let labels = labels.flat_map(|(key, value)| [Some(key.as_str()), value.as_str()]);
        let own = [meta["name"].as_str(), meta["namespace"].as_str()];
        own.into_iter().chain(labels).flatten().find(|name| !is_name(name)).map(str::to_owned)
    };
    match objects.iter().find_map(name_of) {
        None => Ok(()),
        Some(name) => {
            Err(Refusal::new(format!("the cluster shows {name:?} for a name, which is none of Kubernetes")))
        }
    }
}

/// Letters, digits and `-_./`: what names, keys and values of labels are made of.
fn is_name(text: &str) -> bool {
    text.chars().all(|sign| sign.is_ascii_alphanumeric() || "-_./".contains(sign))
}

/// A text of these that YAML takes for one: it begins with a letter and is no word of YAML, or stands in quotes.
pub(super) fn text_of_yaml(text: &str) -> String {
    let is_word =
        ["true", "false", "yes", "no", "on", "off", "null", "y", "n"].contains(&text.to_lowercase().as_str());
    let is_plain = text.starts_with(|first: char| first.is_ascii_alphabetic()) && !is_word;
    if is_plain { text.to_owned() } else { Value::from(text).to_string() }
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
            text_of_yaml(&self.name),
            text_of_yaml(&self.namespace),
            text_of_yaml(&self.selector),
            text_of_yaml(&self.pod_of),
            self.members.iter().map(|member| text_of_yaml(member)).collect::<Vec<_>>().join(", ")
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
    fn what_yaml_takes_for_something_else_stands_in_quotes() {
        for (text, written) in [
            ("shop", "shop"),
            ("app in (a, 1)", "app in (a, 1)"),
            ("123", "\"123\""),
            ("1e3", "\"1e3\""),
            ("True", "\"True\""),
            ("-x", "\"-x\""),
            ("", "\"\""),
        ] {
            assert_eq!(text_of_yaml(text), written);
        }
    }

    #[test]
    fn what_is_no_name_of_kubernetes_is_refused() {
        let named = |name: &str| {
            are_named(&[json!({ "metadata": { "name": name, "labels": { "app.kubernetes.io/name": "a" } } })])
        };
        assert!(named("shop-1").is_ok());
        let refused = named("a\nproxy: http://b.test").unwrap_err();
        assert!(
            refused.said().contains(r#"shows "a\nproxy: http://b.test" for a name"#),
            "{}",
            refused.said()
        );
        assert!(are_named(&[json!({ "metadata": { "labels": { "app": "a: b" } } })]).is_err());
        assert!(are_named(&[json!({ "spec": { "selector": { "matchLabels": { "a\n": "b" } } } })]).is_err());
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
