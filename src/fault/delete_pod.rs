//! `delete_pod`: the runbook's own fault.

use crate::client::kube::{Deletion, Kube, KubeError, Victim};
use std::time::Instant;

/// What came of an injection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Injected {
    /// It happened, at this instant at the earliest.
    At(Instant),
    /// Nothing was done: the pod was gone, or was another one.
    Missed(String),
}

/// Deletes the victim, if it is still the very pod that was chosen.
///
/// # Errors
/// As every call to the cluster; after a time-out the pod may have been deleted.
pub async fn delete_pod(kube: &Kube, victim: &Victim) -> Result<Injected, KubeError> {
    let at = Instant::now();
    Ok(match kube.delete_pod(victim, None).await? {
        Deletion::Deleted => Injected::At(at),
        Deletion::Conflict(why) => Injected::Missed(why),
        Deletion::Gone => Injected::Missed(format!("pod {} was gone already", victim.name)),
    })
}
