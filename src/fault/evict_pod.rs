//! `evict_pod`: what `kubectl drain` does to a pod, and a rolling upgrade of nodes with it.

use super::rights::right;
use super::{Blow, Injected, Traits};
use crate::client::kube::{Eviction, Kube, KubeError};
use std::time::Instant;

pub(super) const TRAITS: Traits =
    Traits { rights: &[right("", "pods/eviction", "create")], ..Traits::REMOVAL };

/// Asks for the victim's eviction, once. That a disruption budget forbids it (429) is an answer: nothing was done.
pub(super) async fn inject(kube: &Kube, blow: &Blow<'_>) -> Result<Injected, KubeError> {
    let victim = blow.victim()?;
    let at = Instant::now();
    Ok(match kube.evict_pod(victim, blow.grace_seconds).await? {
        Eviction::Evicted => Injected::At(at),
        Eviction::RefusedByBudget(why) => {
            Injected::Missed(format!("the eviction of pod {} was refused: {why}", victim.name))
        }
        Eviction::Conflict(why) => Injected::Missed(why),
        Eviction::Gone => Injected::Missed(format!("pod {} was gone already", victim.name)),
    })
}
