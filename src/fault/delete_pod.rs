//! `delete_pod`: the runbook's own fault.

use super::rights::right;
use super::{Blow, Injected, Traits};
use crate::client::kube::{Deletion, Kube, KubeError};
use std::time::Instant;

pub(super) const TRAITS: Traits = Traits { rights: &[right("", "pods", "delete")], ..Traits::REMOVAL };

/// Deletes the victim, if it is still the very pod that was chosen.
pub(super) async fn inject(kube: &Kube, blow: &Blow<'_>) -> Result<Injected, KubeError> {
    let victim = blow.victim()?;
    let at = Instant::now();
    Ok(match kube.delete_pod(victim, blow.grace_seconds).await? {
        Deletion::Deleted => Injected::At(at),
        Deletion::Conflict(why) => Injected::Missed(why),
        Deletion::Gone => Injected::Missed(format!("pod {} was gone already", victim.name)),
    })
}
