//! The kinds of objects that the fake cluster serves: their names on the wire, and their discovery documents.
//!
//! Lives here: names, groups, verbs. Does not: the shape of an object (`object`), nor its columns (`table`).

use serde_json::{Value, json};
use std::collections::BTreeSet;

/// A kind of object that is stored and served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Namespace,
    Pod,
    Deployment,
    Budget,
    Lease,
    Node,
    Secret,
    Ingress,
    Certificate,
    CronJob,
}

/// What the discovery documents say of a kind.
pub(super) struct Resource {
    /// The API group; the core group is empty.
    pub(super) group: &'static str,
    /// The name in paths.
    pub(super) plural: &'static str,
    singular: &'static str,
    /// The name in objects.
    pub(super) kind: &'static str,
    short: &'static [&'static str],
    categories: &'static [&'static str],
    /// Whether its objects live in a namespace.
    pub(super) is_namespaced: bool,
    verbs: &'static [&'static str],
}

const READ: &[&str] = &["get", "list", "watch"];
const CHANGED: &[&str] = &["delete", "get", "list", "patch", "update", "watch"];
const REMOVED: &[&str] = &["delete", "get", "list", "watch"];
const ALL_VERBS: &[&str] = &["create", "delete", "get", "list", "patch", "update", "watch"];

const NAMESPACE: Resource = Resource {
    group: "",
    plural: "namespaces",
    singular: "namespace",
    kind: "Namespace",
    short: &["ns"],
    categories: &[],
    is_namespaced: false,
    verbs: ALL_VERBS,
};
const POD: Resource = Resource {
    group: "",
    plural: "pods",
    singular: "pod",
    kind: "Pod",
    short: &["po"],
    categories: &["all"],
    is_namespaced: true,
    verbs: REMOVED,
};
const DEPLOYMENT: Resource = Resource {
    group: "apps",
    plural: "deployments",
    singular: "deployment",
    kind: "Deployment",
    short: &["deploy"],
    categories: &["all"],
    is_namespaced: true,
    verbs: CHANGED,
};
const BUDGET: Resource = Resource {
    group: "policy",
    plural: "poddisruptionbudgets",
    singular: "poddisruptionbudget",
    kind: "PodDisruptionBudget",
    short: &["pdb"],
    categories: &[],
    is_namespaced: true,
    verbs: READ,
};
const LEASE: Resource = Resource {
    group: "coordination.k8s.io",
    plural: "leases",
    singular: "lease",
    kind: "Lease",
    short: &[],
    categories: &[],
    is_namespaced: true,
    verbs: ALL_VERBS,
};
const CRON_JOB: Resource = Resource {
    group: "batch",
    plural: "cronjobs",
    singular: "cronjob",
    kind: "CronJob",
    short: &["cj"],
    categories: &["all"],
    is_namespaced: true,
    verbs: READ,
};
const NODE: Resource = Resource {
    group: "",
    plural: "nodes",
    singular: "node",
    kind: "Node",
    short: &["no"],
    categories: &[],
    is_namespaced: false,
    verbs: &["get", "list", "patch", "update", "watch"],
};
const SECRET: Resource = Resource {
    group: "",
    plural: "secrets",
    singular: "secret",
    kind: "Secret",
    short: &[],
    categories: &[],
    is_namespaced: true,
    verbs: READ,
};
const INGRESS: Resource = Resource {
    group: "networking.k8s.io",
    plural: "ingresses",
    singular: "ingress",
    kind: "Ingress",
    short: &["ing"],
    categories: &[],
    is_namespaced: true,
    verbs: READ,
};
const CERTIFICATE: Resource = Resource {
    group: "cert-manager.io",
    plural: "certificates",
    singular: "certificate",
    kind: "Certificate",
    short: &["cert", "certs"],
    categories: &["cert-manager"],
    is_namespaced: true,
    verbs: READ,
};

impl Kind {
    /// Every kind, in the order of the discovery documents.
    pub(super) const ALL: [Kind; 10] = [
        Kind::Namespace,
        Kind::Pod,
        Kind::Deployment,
        Kind::Budget,
        Kind::Lease,
        Kind::Node,
        Kind::Secret,
        Kind::Ingress,
        Kind::Certificate,
        Kind::CronJob,
    ];

    /// What discovery says of it.
    pub(super) fn resource(self) -> &'static Resource {
        match self {
            Kind::Namespace => &NAMESPACE,
            Kind::Pod => &POD,
            Kind::Deployment => &DEPLOYMENT,
            Kind::Budget => &BUDGET,
            Kind::Lease => &LEASE,
            Kind::Node => &NODE,
            Kind::Secret => &SECRET,
            Kind::Ingress => &INGRESS,
            Kind::Certificate => &CERTIFICATE,
            Kind::CronJob => &CRON_JOB,
        }
    }

    /// The kind that a path names, if it is served. All groups are served in version `v1`.
    pub(super) fn named(group: &str, plural: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.resource().group == group && kind.resource().plural == plural)
    }

    /// The kind that an object says it is, if it is served.
    pub(super) fn of(object: &Value) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| {
            object["kind"] == kind.resource().kind && object["apiVersion"] == *kind.api_version()
        })
    }

    /// `v1`, or `group/v1`.
    pub(super) fn api_version(self) -> String {
        match self.resource().group {
            "" => "v1".to_owned(),
            group => format!("{group}/v1"),
        }
    }

    /// Its name in error texts: `pods`, `leases.coordination.k8s.io`.
    pub(super) fn qualified(self) -> String {
        let Resource { group, plural, .. } = self.resource();
        if group.is_empty() { (*plural).to_owned() } else { format!("{plural}.{group}") }
    }
}

/// The answer to `GET /apis`.
pub(super) fn groups() -> Value {
    let served = Kind::ALL.into_iter().map(|kind| kind.resource().group).filter(|group| !group.is_empty());
    let names: BTreeSet<&str> = served.chain(["authorization.k8s.io"]).collect();
    json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": names.into_iter().map(group).collect::<Vec<_>>() })
}

/// The answer to `GET /apis/{name}`.
pub(super) fn group(name: &str) -> Value {
    let version = json!({ "groupVersion": format!("{name}/v1"), "version": "v1" });
    json!({ "kind": "APIGroup", "apiVersion": "v1", "name": name, "versions": [version], "preferredVersion": version })
}

/// The answer to `GET /api/v1` and `GET /apis/{group}/v1`: none if nothing of that group is served.
pub(super) fn resources(group: &str) -> Option<Value> {
    let version = if group.is_empty() { "v1".to_owned() } else { format!("{group}/v1") };
    let served: Vec<Value> =
        Kind::ALL.into_iter().filter(|kind| kind.resource().group == group).flat_map(entries).collect();
    let served = if group == "authorization.k8s.io" { vec![access_review()] } else { served };
    (!served.is_empty()).then(
        || json!({ "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": served }),
    )
}

fn entries(kind: Kind) -> Vec<Value> {
    let Resource { plural, singular, kind: name, short, categories, is_namespaced, verbs, .. } =
        kind.resource();
    let mut all = vec![json!({
        "name": plural, "singularName": singular, "namespaced": is_namespaced, "kind": name,
        "verbs": verbs, "shortNames": short, "categories": categories,
    })];
    all.extend(parts(kind).iter().map(|(part, kind, group, verbs)| {
        json!({
            "name": format!("{plural}/{part}"), "singularName": "", "namespaced": is_namespaced, "kind": kind,
            "group": group, "version": "v1", "verbs": verbs,
        })
    }));
    all
}

type Part = (&'static str, &'static str, &'static str, &'static [&'static str]);

fn parts(kind: Kind) -> &'static [Part] {
    match kind {
        Kind::Pod => &[
            ("eviction", "Eviction", "policy", &["create"]),
            ("exec", "PodExecOptions", "", &["create", "get"]),
            ("log", "Pod", "", &["get"]),
        ],
        Kind::Deployment => &[("scale", "Scale", "autoscaling", &["get", "patch", "update"])],
        _ => &[],
    }
}

fn access_review() -> Value {
    json!({
        "name": "selfsubjectaccessreviews", "singularName": "selfsubjectaccessreview", "namespaced": false,
        "kind": "SelfSubjectAccessReview", "verbs": ["create"],
    })
}
