//! `evict_pod`: what `kubectl drain` does to a pod, and a rolling upgrade of nodes with it.

use super::Injected;
use super::rights::right;
use crate::client::kube::{Eviction, Kube, KubeError, Right, Victim};
use std::time::Instant;

/// What it takes.
pub(super) const RIGHTS: &[Right] = &[right("", "pods/eviction", "create")];

/// Asks for the victim's eviction, once. That a disruption budget forbids it (429) is an answer: nothing was done.
pub(super) async fn inject(
    kube: &Kube,
    victim: &Victim,
    grace_seconds: Option<u32>,
) -> Result<Injected, KubeError> {
    let at = Instant::now();
    Ok(match kube.evict_pod(victim, grace_seconds).await? {
        Eviction::Evicted => Injected::At(at),
        Eviction::RefusedByBudget(why) => {
            Injected::Missed(format!("the eviction of pod {} was refused: {why}", victim.name))
        }
        Eviction::Conflict(why) => Injected::Missed(why),
        Eviction::Gone => Injected::Missed(format!("pod {} was gone already", victim.name)),
    })
}
