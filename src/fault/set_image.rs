//! `set_image`: the redeployment of a runbook, `kubectl set image`, under the eyes of users.

use super::rights::right;
use super::{Blow, Injected, Traits, redeployed};
use crate::client::kube::{Kube, KubeError};
use std::time::Instant;

pub(super) const TRAITS: Traits =
    Traits { rights: &[right("apps", "deployments", "patch")], changes_image: true, ..Traits::ROLLOUT };

/// Rolls the image out to the Deployment that keeps the victims. Its old image is in the ledger by then.
pub(super) async fn inject(kube: &Kube, blow: &Blow<'_>) -> Result<Injected, KubeError> {
    let (deployment, container, image) = match (blow.deployment(), blow.container, blow.image) {
        (Ok(found), Some(container), Some(image)) => (found, container, image),
        (Err(why), ..) => return Ok(Injected::Missed(why)),
        _ => return Ok(Injected::Missed("which image is to be rolled out, and where, is not known".into())),
    };
    let at = Instant::now();
    Ok(redeployed(kube.set_image(deployment, container, image).await?, at))
}
