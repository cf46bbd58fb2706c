//! `set_image`: the redeployment of a runbook, `kubectl set image`, under the eyes of users.

use super::rights::right;
use super::{Blow, Injected, Traits};
use crate::client::kube::{Kube, KubeError};
use std::time::Instant;

pub(super) const TRAITS: Traits = Traits {
    rights: &[right("apps", "deployments", "get"), right("apps", "deployments", "patch")],
    changes_image: true,
    ..Traits::ROLLOUT
};

/// Rolls the image out to the Deployment that keeps the victims. Its old image is in the ledger by then.
pub(super) async fn inject(kube: &Kube, blow: &Blow<'_>) -> Result<Injected, KubeError> {
    let ((namespace, deployment), image) = match (blow.deployment(), blow.image) {
        (Ok(found), Some(image)) => (found, image),
        (Err(why), _) => return Ok(Injected::Missed(why)),
        (_, None) => return Ok(Injected::Missed("which image is to be rolled out is not known".into())),
    };
    let at = Instant::now();
    kube.set_image(namespace, deployment, image).await?;
    Ok(Injected::At(at))
}
