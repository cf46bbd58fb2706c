//! `delete_pod`: the runbook's own fault.

use super::Injected;
use super::rights::right;
use crate::client::kube::{Deletion, Kube, KubeError, Right, Victim};
use std::time::Instant;

/// What it takes.
pub(super) const RIGHTS: &[Right] = &[right("", "pods", "delete")];

/// Deletes the victim, if it is still the very pod that was chosen.
pub(super) async fn inject(
    kube: &Kube,
    victim: &Victim,
    grace_seconds: Option<u32>,
) -> Result<Injected, KubeError> {
    let at = Instant::now();
    Ok(match kube.delete_pod(victim, grace_seconds).await? {
        Deletion::Deleted => Injected::At(at),
        Deletion::Conflict(why) => Injected::Missed(why),
        Deletion::Gone => Injected::Missed(format!("pod {} was gone already", victim.name)),
    })
}
