//! `rollout_restart`: what `kubectl rollout restart` does, under the eyes of users.

use super::rights::right;
use super::{Blow, Injected, Traits, redeployed};
use crate::client::kube::{Kube, KubeError, RESTARTED_AT};
use std::time::Instant;

pub(super) const TRAITS: Traits = Traits {
    rights: &[right("apps", "deployments", "patch")],
    leaves: Some((RESTARTED_AT, "without the mark of its restart, its pods would all be replaced once more")),
    ..Traits::ROLLOUT
};

/// Marks the template of the Deployment that keeps the victims, so that it replaces them.
pub(super) async fn inject(kube: &Kube, blow: &Blow<'_>) -> Result<Injected, KubeError> {
    let deployment = match blow.deployment() {
        Ok(found) => found,
        Err(why) => return Ok(Injected::Missed(why)),
    };
    let at = Instant::now();
    Ok(redeployed(kube.restart_deployment(deployment, blow.now).await?, at))
}
