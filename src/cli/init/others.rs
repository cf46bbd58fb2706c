//! Groups of a platform of another make: its Deployments, by a label that names each, and those that no group can hold.
//!
//! Lives here: which label it is, and why a Deployment is left out. Does not: asking the cluster (`shown`).

use super::shown::Group;
use serde_json::Value;
use std::collections::BTreeMap;

/// Labels by which Deployments tell their pods apart, the likeliest first.
const NAME_LABELS: [&str; 4] = ["app.kubernetes.io/name", "app", "name", "k8s-app"];

/// A Deployment, as far as grouping asks.
struct Deployment<'a> {
    name: &'a str,
    labels: &'a Value,
    is_empty: bool,
}

/// The groups of a cluster's Deployments, and a line for each that is left out. Kubernetes' own are told by their namespace.
/// Pods with a state of their own (StatefulSets) and those of every node (DaemonSets) are nobody's first victims.
pub(super) fn of_others(deployments: &[Value]) -> (Vec<Group>, Vec<String>) {
    let mut namespaces: BTreeMap<&str, Vec<Deployment<'_>>> = BTreeMap::new();
    for one in deployments {
        let namespace = one["metadata"]["namespace"].as_str().unwrap_or_default();
        namespaces.entry(namespace).or_default().push(Deployment {
            name: one["metadata"]["name"].as_str().unwrap_or_default(),
            labels: &one["spec"]["selector"]["matchLabels"],
            is_empty: one["spec"]["replicas"] == 0,
        });
    }
    let (mut groups, mut left_out) = (vec![], vec![]);
    for (namespace, all) in namespaces {
        if namespace.starts_with("kube-") {
            left_out.push(format!("left out {} of namespace {namespace}: Kubernetes' own\n", all.len()));
            continue;
        }
        let label = best_label(&all);
        let (members, others): (Vec<_>, Vec<_>) =
            all.iter().map(|one| (one, refusal(one, label, &all))).partition(|(_, why)| why.is_none());
        let members = members.iter().filter_map(|(one, _)| one.labels[label].as_str().map(str::to_owned));
        groups.extend(Group::by_label(namespace, label, members.collect()));
        let line = |(one, why): &(&Deployment<'_>, Option<String>)| {
            format!("left out {namespace}/{}: {}\n", one.name, why.as_deref().unwrap_or_default())
        };
        left_out.extend(others.iter().map(line));
    }
    (groups, left_out)
}

/// The label that names most of them; the likeliest of those that name as many.
fn best_label(all: &[Deployment<'_>]) -> &'static str {
    let named = |label: &&&str| all.iter().filter(|one| refusal(one, label, all).is_none()).count();
    NAME_LABELS.iter().rev().max_by_key(named).copied().unwrap_or(NAME_LABELS[0])
}

/// Why a Deployment cannot be a member by this label, if it cannot.
fn refusal(one: &Deployment<'_>, label: &str, all: &[Deployment<'_>]) -> Option<String> {
    let Some(value) = one.labels[label].as_str() else {
        let labels = NAME_LABELS.map(|label| format!("`{label}`")).join(", ");
        let is_unnamed = NAME_LABELS.iter().all(|label| one.labels[*label].as_str().is_none());
        return Some(match is_unnamed {
            true => format!("its pods are chosen by none of the labels {labels}"),
            false => {
                format!("its pods are not chosen by the label `{label}`, which names more of the others")
            }
        });
    };
    let alike = all.iter().find(|other| other.name != one.name && other.labels[label] == one.labels[label]);
    match alike {
        Some(other) => Some(format!("it shares the label {label}={value} with {}", other.name)),
        None => one.is_empty.then(|| "it has 0 replicas".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn one(place: &str, replicas: u64, labels: &Value) -> Value {
        let (namespace, name) = place.split_once('/').unwrap();
        json!({
            "metadata": { "namespace": namespace, "name": name },
            "spec": { "replicas": replicas, "selector": { "matchLabels": labels } },
        })
    }

    #[test]
    fn deployments_are_grouped_by_the_label_that_names_them_and_others_are_told() {
        let (groups, left_out) = of_others(&[
            one("shop/prices", 2, &json!({ "app": "prices", "tier": "front" })),
            one("shop/cart", 1, &json!({ "app": "cart" })),
            one("shop/asleep", 0, &json!({ "app": "asleep" })),
            one("shop/blue", 1, &json!({ "app": "site", "slot": "blue" })),
            one("shop/green", 1, &json!({ "app": "site", "slot": "green" })),
            one("shop/old", 1, &json!({ "k8s-app": "old" })),
            one("twins/left", 1, &json!({ "app": "same", "name": "left" })),
            one("twins/right", 1, &json!({ "app": "same", "name": "right" })),
            one("kube-system/dns", 1, &json!({ "k8s-app": "dns" })),
            one("odd/unnamed", 1, &json!({ "odd": "unnamed" })),
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
        assert_eq!(
            left_out,
            [
                "left out 1 of namespace kube-system: Kubernetes' own\n",
                "left out odd/unnamed: its pods are chosen by none of the labels `app.kubernetes.io/name`, `app`, `name`, `k8s-app`\n",
                "left out shop/asleep: it has 0 replicas\n",
                "left out shop/blue: it shares the label app=site with green\n",
                "left out shop/green: it shares the label app=site with blue\n",
                "left out shop/old: its pods are not chosen by the label `app`, which names more of the others\n",
            ]
        );
    }
}
