//! What breaking things in a cluster takes: the rights behind guards, watches and faults.
//!
//! Lives here: what every disruption takes; what a fault takes besides stands in its file. Does not: asking for them
//! (`client::kube`), or printing a Role (`cli::rbac`).

use crate::client::kube::Right;
use std::borrow::Cow;
use std::collections::BTreeSet;

/// One right, on any object of its kind.
pub const fn right(group: &'static str, resource: &'static str, verb: &'static str) -> Right {
    Right { group: Cow::Borrowed(group), resource: Cow::Borrowed(resource), verb, name: None }
}

/// What every disruption takes in the namespace of its victim, beside the lease: finding it, what keeps it, its budgets,
/// watching.
static GROUND: [Right; 4] = [
    right("apps", "deployments", "get"),
    right("", "pods", "list"),
    right("", "pods", "watch"),
    right("policy", "poddisruptionbudgets", "list"),
];

/// What a lease takes in its namespace: every disruption holds one, and every change of something shared.
pub static LEASE: [Right; 4] = [
    right("coordination.k8s.io", "leases", "get"),
    right("coordination.k8s.io", "leases", "create"),
    right("coordination.k8s.io", "leases", "update"),
    right("coordination.k8s.io", "leases", "delete"),
];

/// What it takes in the whole cluster: its identity and the labels of namespaces.
pub static CLUSTER: [Right; 1] = [right("", "namespaces", "get")];

/// What these faults take in a namespace, sorted.
pub fn for_faults<'a>(faults: impl IntoIterator<Item = &'a str>) -> BTreeSet<Right> {
    let ground = GROUND.iter().chain(&LEASE).cloned();
    ground.chain(faults.into_iter().flat_map(super::rights_of).cloned()).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_fault_takes_a_right_of_its_own() {
        for (key, _) in crate::fault::FAULTS {
            assert!(!crate::fault::rights_of(key).is_empty(), "{key}");
        }
    }
}
