//! The image that a fault rolls out: which one, and what is kept so that the old one comes back.
//!
//! Lives here: the choice, the ledger's entry, and noticing that somebody else was there. Does not: the rollout
//! (`fault::set_image`), nor putting the image back (`run::undo`).

use super::Template;
use super::disrupt::Chosen;
use super::member::Member;
use super::stage::Stage;
use crate::client::kube::is_image;
use crate::fault::Traits;
use crate::ledger::Undo;
use crate::outcome::Failure;

/// The image that is rolled out: the step's, or the group's; `None` if the fault changes no image.
pub(super) fn image(
    traits: &Traits,
    written: Option<&Template>,
    member: &Member,
    stage: &Stage<'_>,
) -> Result<Option<String>, Vec<Failure>> {
    if !traits.changes_image {
        return Ok(None);
    }
    let written = written.map(|image| stage.rendered_text(image)).transpose()?;
    let found = written.or_else(|| member.group.next_image.clone());
    found.map(Some).ok_or_else(|| {
        let text = format!("the group `{}` of the target file names no `next_image`", member.group_name);
        vec![stage.doubt("fault.image", &text)]
    })
}

/// The image that is there now goes into the ledger, durably, before another one is given.
pub(super) async fn remember(
    fault: &str,
    chosen: &Chosen<'_>,
    given: &str,
    stage: &Stage<'_>,
) -> Result<(), Vec<Failure>> {
    let Some(deployment) = chosen.deployment() else { return Ok(()) };
    let namespace = chosen.member.group.namespace.clone();
    let image = chosen.kube.image(&namespace, deployment).await;
    let image = image.map_err(|error| vec![stage.doubt("kubernetes.error", &error.to_string())])?;
    let (deployment, given) = (deployment.to_owned(), Some(given.to_owned()));
    stage.will_change(fault, Undo::Image { namespace, deployment, image, given }, None).map(drop)
}

/// What is wrong if somebody else has given the Deployment a third image meanwhile: what users felt is not the doing of
/// this rollout alone then.
pub(super) async fn overtaken(
    chosen: &Chosen<'_>,
    given: Option<&str>,
    stage: &Stage<'_>,
) -> Option<Failure> {
    let (given, deployment) = (given?, chosen.deployment()?);
    match chosen.kube.image(&chosen.member.group.namespace, deployment).await {
        Ok(image) if is_image(&image, given) => None,
        Ok(image) => {
            let text = format!("somebody else gave `{deployment}` the image `{image}` in the middle");
            Some(stage.doubt("fault.overtaken", &text))
        }
        Err(error) => Some(stage.doubt("kubernetes.error", &error.to_string())),
    }
}
