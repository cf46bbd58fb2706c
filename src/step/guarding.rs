//! What is asked of cluster and target right before something is broken, for the guards to judge.
//!
//! Lives here: gathering the facts. Does not: what they mean (`fault::guard`, pure).

use super::chosen::Chosen;
use super::stage::Stage;
use crate::client::kube::{KubeError, NamespaceFact};
use crate::fault::{Reach, Traits, guard};
use crate::outcome::Failure;
use crate::target::{KubernetesPlace, WritePermit};

/// The guards: nothing is broken unless all of them agree.
pub(super) async fn guarded(
    chosen: &Chosen<'_>,
    traits: Traits,
    stage: &Stage<'_>,
) -> Result<(), Vec<Failure>> {
    let facts = facts(chosen, traits, stage).await;
    let facts = facts.map_err(|error| vec![stage.doubt("kubernetes.error", &error.to_string())])?;
    match guard::objection(&facts) {
        None => Ok(()),
        Some(objection) => {
            Err(vec![stage.doubt("fault.guarded", &format!("nothing was broken: {objection}"))])
        }
    }
}

async fn facts(chosen: &Chosen<'_>, traits: Traits, stage: &Stage<'_>) -> Result<guard::Facts, KubeError> {
    let Chosen { kube, member, victims, .. } = chosen;
    let file = &stage.scene.target.file;
    let place = stage.scene.target.kubernetes();
    let cluster_uid = kube.cluster_uid().await?;
    let exhausted_budget = exhausted_budget(chosen, traits).await?;
    // The last thing that is asked: whoever freezes while the cluster answers the rest is heard.
    let namespace = kube.namespace(&member.group.namespace).await?;
    Ok(guard::Facts {
        is_allowed: stage.scene.may_disrupt,
        group: member.group_name.clone(),
        permitted: file.permits.disrupt.iter().map(|it| it.value.clone()).collect(),
        pinned_uid: place.and_then(KubernetesPlace::pinned).map(str::to_owned),
        cluster_uid,
        owner: place
            .map(KubernetesPlace::owner)
            .map(|(key, value)| (key.into(), value.into()))
            .unwrap_or_default(),
        frozen_by: frozen_by(&namespace, chosen, stage),
        labels: namespace.labels,
        exhausted_budget,
        namespace: member.group.namespace.clone(),
        own_pod: stage.scene.own_pod.clone(),
        victims: victims.iter().map(|victim| victim.name.clone()).collect(),
        unkept: unkept(chosen),
        unrollable: (traits.reach == Reach::Member).then(|| unrollable(chosen)).flatten(),
        changes_unpermitted: traits.changes_image && file.permits.write < WritePermit::Shared,
        unrecovered: stage.scene.unrecovered.borrow().clone(),
    })
}

/// A victim that nothing keeps.
fn unkept(chosen: &Chosen<'_>) -> Option<String> {
    let is_victim = |name: &str| chosen.victims.iter().any(|victim| victim.name == name);
    let mut unkept = chosen.standing.pods.iter().filter(|pod| pod.owner.is_none());
    unkept.find(|pod| is_victim(&pod.name)).map(|pod| pod.name.clone())
}

/// Why a rollout of this member would not do what it is meant to.
fn unrollable(chosen: &Chosen<'_>) -> Option<String> {
    guard::rollout_objection(&guard::Rollout {
        pods: &chosen.standing.pods,
        deployment: chosen.standing.deployment().map(|(_, fact)| fact),
        container: chosen.member.group.container.as_deref(),
        image: chosen.image,
    })
}

/// A disruption budget that lets no victim go now. A Deployment that replaces its pods keeps enough of them by itself.
async fn exhausted_budget(chosen: &Chosen<'_>, traits: Traits) -> Result<Option<String>, KubeError> {
    if traits.reach == Reach::Member {
        return Ok(None);
    }
    let budgets = chosen.kube.budgets(&chosen.member.group.namespace).await?;
    let is_victim = |name: &str| chosen.victims.iter().any(|victim| victim.name == name);
    let mut labels = chosen.standing.pods.iter().filter(|pod| is_victim(&pod.name)).map(|pod| &pod.labels);
    let exhausted = labels.find_map(|labels| {
        budgets.iter().find(|budget| budget.covers(labels) && budget.disruptions_allowed <= 0)
    });
    Ok(exhausted.map(|budget| budget.name.clone()))
}

/// What freezes disruption: its namespace is being deleted, or is annotated; or the file is there, which is looked at after all
/// that may be answered late.
fn frozen_by(namespace: &NamespaceFact, chosen: &Chosen<'_>, stage: &Stage<'_>) -> Option<String> {
    let name = &chosen.member.group.namespace;
    if namespace.is_leaving {
        return Some(format!("the deletion of namespace {name}"));
    }
    if let Some(file) = stage.scene.target.freeze_file() {
        return Some(format!("the file {file}"));
    }
    let value = namespace.annotations.get(guard::FREEZE_ANNOTATION)?;
    freezes(value).then(|| format!("the annotation {} of namespace {name}", guard::FREEZE_ANNOTATION))
}

/// Whether an annotation of this value freezes: whoever set it meant it, unless it says the opposite.
fn freezes(value: &str) -> bool {
    value != "false"
}
