//! What must hold before anything is broken: pure, and asked again right before each injection.

use crate::client::kube::{DeploymentFact, PodFact, is_image};
use std::collections::{BTreeMap, BTreeSet};

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
    /// A victim that nothing keeps.
    pub unkept: Option<String>,
    /// Why no rollout can be watched, if one is wanted: see [`rollout_objection`].
    pub unrollable: Option<String>,
    /// An earlier fault of this run from which the platform has not recovered.
    pub unrecovered: Option<String>,
}

/// The lease that keeps two harnesses apart, one in each namespace; its holder is a run.
pub const LEASE: &str = "muster-disruption";

/// Why nothing is broken, if something speaks against it. The first of: permission to disrupt and to change images, identity
/// of the cluster, owner, freeze, budget, muster itself, a pod that would not come back, a rollout that would do nothing, an
/// earlier fault.
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
    if let Some(pod) = &facts.unkept {
        return Some(format!("nothing keeps the pod {pod}: it would not come back"));
    }
    if let Some(why) = &facts.unrollable {
        return Some(why.clone());
    }
    facts.unrecovered.as_ref().map(|fault| format!("the platform has not recovered from {fault}"))
}

/// What is to be rolled out, and where.
#[derive(Debug, Clone, Copy)]
pub struct Rollout<'a> {
    /// The member's pods.
    pub pods: &'a [PodFact],
    /// The Deployment, if it is the only one of them.
    pub deployment: Option<&'a DeploymentFact>,
    /// The container that the target file names.
    pub container: Option<&'a str>,
    /// The new image, if there is one.
    pub image: Option<&'a str>,
}

/// Why a rollout would not do what it is meant to: there is not exactly one Deployment, a pod is none of its own, it is paused,
/// has no such container, or runs the image already.
pub fn rollout_objection(rollout: &Rollout<'_>) -> Option<String> {
    let Some(fact) = rollout.deployment else { return Some(kept_otherwise(rollout.pods)) };
    if let Some(other) = rollout.pods.iter().find(|pod| !fact.selects(&pod.labels)) {
        return Some(format!(
            "its Deployment does not select the pod {}, whoever is said to keep it",
            other.name
        ));
    }
    if fact.is_paused {
        return Some("its Deployment is paused: nothing is rolled out until somebody resumes it".into());
    }
    let image = rollout.image?;
    match container_of(fact, rollout.container) {
        Err(why) => Some(why),
        Ok(container) => fact
            .image_of(container)
            .filter(|found| is_image(found, image))
            .map(|found| format!("it runs the image {found} already")),
    }
}

fn kept_otherwise(pods: &[PodFact]) -> String {
    let owner = |pod: &PodFact| pod.owner.as_ref().map_or("nothing".into(), ToString::to_string);
    let owners: BTreeSet<String> = pods.iter().map(owner).collect();
    let owners = owners.into_iter().collect::<Vec<_>>().join(", ");
    format!("a rollout wants one Deployment that keeps all pods, and these are kept by {owners}")
}

/// The container that is meant: the named one, or the only one.
///
/// # Errors
/// If there is none of that name, or several and none is named.
pub fn container_of<'a>(fact: &'a DeploymentFact, named: Option<&str>) -> Result<&'a str, String> {
    let mut names = fact.containers.iter().map(|(name, _)| name.as_str());
    let all = || fact.containers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
    match (named, fact.containers.as_slice()) {
        (Some(named), _) => names
            .find(|name| *name == named)
            .ok_or_else(|| format!("its Deployment has no container `{named}`, only {}", all())),
        (None, [(only, _)]) => Ok(only),
        (None, _) => {
            Err(format!("which of the containers {} is meant? name it: `container` of the pod group", all()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::kube::Owner;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

    fn fact(containers: &[&str]) -> DeploymentFact {
        DeploymentFact {
            uid: "u".into(),
            selector: LabelSelector::default(),
            replicas: 1,
            is_paused: false,
            is_rolled_out: true,
            has_all: true,
            containers: containers.iter().map(|name| ((*name).to_owned(), format!("{name}:1"))).collect(),
            template: "t".into(),
            restarted_at: None,
        }
    }

    fn pod(owner: Option<(&str, &str)>) -> PodFact {
        PodFact {
            name: "shop-1".into(),
            uid: "p".into(),
            namespace: "default".into(),
            labels: [("app".to_owned(), "shop".to_owned())].into(),
            is_ready: true,
            phase: "Running".into(),
            deletion_requested: false,
            created_at: String::new(),
            node: None,
            owner: owner.map(|(kind, name)| Owner { kind: kind.into(), name: name.into() }),
            image: None,
            restarts: 0,
        }
    }

    #[test]
    fn a_rollout_wants_one_deployment_that_can_roll_out_what_is_new() {
        let (shop, cart) = (Some(("Deployment", "shop")), Some(("Deployment", "cart")));
        let database = Some(("StatefulSet", "db"));
        let (one, two) = (fact(&["web"]), fact(&["log", "web"]));
        let paused = DeploymentFact { is_paused: true, ..fact(&["web"]) };
        let others = || [("app".to_owned(), "cart".to_owned())].into();
        let foreign = DeploymentFact {
            selector: LabelSelector { match_labels: Some(others()), ..LabelSelector::default() },
            ..fact(&["web"])
        };
        for (owners, deployment, container, image, expected) in [
            (vec![shop], Some(&one), None, None, None),
            (vec![shop], Some(&one), None, Some("web:2"), None),
            (vec![shop], Some(&two), Some("web"), Some("web:2"), None),
            (vec![shop], Some(&two), None, None, None),
            (vec![shop], Some(&one), None, Some("web:1"), Some("runs the image web:1 already")),
            (vec![shop], Some(&two), None, Some("web:2"), Some("which of the containers log, web")),
            (vec![shop], Some(&one), Some("app"), Some("web:2"), Some("no container `app`, only web")),
            (vec![shop], Some(&paused), None, None, Some("paused")),
            (vec![shop], Some(&foreign), None, None, Some("does not select the pod shop-1")),
            (vec![shop, cart], None, None, None, Some("kept by Deployment cart, Deployment shop")),
            (vec![database], None, None, None, Some("kept by StatefulSet db")),
            (vec![None], None, None, None, Some("kept by nothing")),
        ] {
            let pods: Vec<_> = owners.into_iter().map(pod).collect();
            let found = rollout_objection(&Rollout { pods: &pods, deployment, container, image });
            assert_eq!(found.is_some(), expected.is_some(), "{found:?} {expected:?}");
            assert!(found.unwrap_or_default().contains(expected.unwrap_or_default()), "{expected:?}");
        }
    }

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
            unkept: None,
            unrollable: None,
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
        let changes: [(Change, &str); 13] = [
            (|facts| facts.unkept = Some("migration".into()), "nothing keeps the pod migration"),
            (|facts| facts.unrollable = Some("it is paused".into()), "it is paused"),
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
