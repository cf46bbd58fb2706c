//! What must hold before anything is broken: pure, and asked again right before each injection.

use std::collections::BTreeMap;

/// The annotation of the target's namespace that freezes all disruption, unless it is `false`.
pub const FREEZE_ANNOTATION: &str = "muster/freeze";

/// All that the guards look at.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Whether the command line allows disruption, or muster itself started the target.
    pub is_allowed: bool,
    /// The group of pods.
    pub group: String,
    /// The groups that the target permits to disrupt.
    pub permitted: Vec<String>,
    /// The cluster's UID that the target file pins.
    pub pinned_uid: Option<String>,
    /// The cluster's UID as it says.
    pub cluster_uid: String,
    /// The namespace.
    pub namespace: String,
    /// The key and the value of the label that says whose a namespace is.
    pub owner: (String, String),
    /// The namespace's labels.
    pub labels: BTreeMap<String, String>,
    /// Whether disruption is frozen, and by what.
    pub frozen_by: Option<String>,
    /// A disruption budget that covers the victim and allows nothing now.
    pub exhausted_budget: Option<String>,
    /// The name of the pod that muster itself runs in, if it does.
    pub own_pod: Option<String>,
    /// The victims' names.
    pub victims: Vec<String>,
    /// Whether the fault changes what does not come back by itself, and the target does not permit that.
    pub changes_unpermitted: bool,
    /// An earlier fault of this run from which the platform has not recovered.
    pub unrecovered: Option<String>,
}

/// The lease that keeps two harnesses apart, one in each namespace; its holder is a run.
pub const LEASE: &str = "muster-disruption";

/// Why nothing is broken, if something speaks against it. The first of: permission, identity of the cluster, owner,
/// freeze, budget, muster itself, an earlier fault.
pub fn objection(facts: &Facts) -> Option<String> {
    let (label, owner) = &facts.owner;
    if !facts.is_allowed {
        return Some("disruption is not allowed: add --allow-disruption".into());
    }
    if !facts.permitted.contains(&facts.group) {
        return Some(format!("the target does not permit to disrupt the group `{}`", facts.group));
    }
    if facts.changes_unpermitted {
        return Some("the fault changes an image, and the target does not permit `write: shared`".into());
    }
    let Some(pinned) = &facts.pinned_uid else {
        return Some("the target file pins no `cluster_uid`: which cluster this is cannot be proved".into());
    };
    if *pinned != facts.cluster_uid {
        return Some(format!(
            "this is another cluster: `cluster_uid` is {pinned}, found {}",
            facts.cluster_uid
        ));
    }
    if facts.labels.get(label) != Some(owner) {
        return Some(format!(
            "the namespace {} has no label {label}={owner}: it is not ours",
            facts.namespace
        ));
    }
    if let Some(by) = &facts.frozen_by {
        return Some(format!("disruption is frozen by {by}"));
    }
    if let Some(budget) = &facts.exhausted_budget {
        return Some(format!("the disruption budget {budget} allows no pod to go now"));
    }
    if facts.own_pod.as_ref().is_some_and(|own| facts.victims.contains(own)) {
        return Some("muster does not kill the pod it runs in".into());
    }
    facts.unrecovered.as_ref().map(|fault| format!("the platform has not recovered from {fault}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Facts {
        Facts {
            is_allowed: true,
            group: "core".into(),
            permitted: vec!["core".into()],
            pinned_uid: Some("u1".into()),
            cluster_uid: "u1".into(),
            namespace: "default".into(),
            owner: ("owner".into(), "micro".into()),
            labels: [("owner".to_owned(), "micro".to_owned())].into(),
            frozen_by: None,
            exhausted_budget: None,
            own_pod: None,
            victims: vec!["micro-store-1".into()],
            changes_unpermitted: false,
            unrecovered: None,
        }
    }

    #[test]
    fn nothing_speaks_against_a_permitted_fault() {
        assert_eq!(objection(&good()), None);
    }

    type Change = fn(&mut Facts);

    #[test]
    fn each_guard_stops_by_itself() {
        let changes: [(Change, &str); 11] = [
            (|facts| facts.is_allowed = false, "--allow-disruption"),
            (|facts| facts.permitted.clear(), "does not permit"),
            (|facts| facts.changes_unpermitted = true, "does not permit `write: shared`"),
            (|facts| facts.pinned_uid = None, "pins no"),
            (|facts| facts.cluster_uid = "u2".into(), "another cluster"),
            (|facts| facts.labels.clear(), "not ours"),
            (|facts| facts.labels = [("owner".to_owned(), "other".to_owned())].into(), "not ours"),
            (|facts| facts.frozen_by = Some("a file".into()), "frozen by a file"),
            (|facts| facts.exhausted_budget = Some("store".into()), "budget store"),
            (|facts| facts.own_pod = Some("micro-store-1".into()), "it runs in"),
            (|facts| facts.unrecovered = Some("delete_pod x".into()), "has not recovered from delete_pod x"),
        ];
        for (change, expected) in changes {
            let mut facts = good();
            change(&mut facts);
            let objection = objection(&facts).unwrap_or_default();
            assert!(objection.contains(expected), "{objection}");
        }
    }
}
