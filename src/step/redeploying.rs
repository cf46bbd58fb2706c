//! The image that a fault rolls out: which one, and what is kept so that the old one comes back.
//!
//! Lives here: the choice, the ledger's entry, and what is declared to stay. Does not: the rollout (`fault::set_image`), noticing
//! that somebody else was there (`standing`), or putting the image back (`run::undo`).

use super::Template;
use super::chosen::Chosen;
use super::member::Member;
use super::stage::Stage;
use crate::fault::Traits;
use crate::ledger::{FormerImage, Undo};
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
pub(super) fn remember(fault: &str, chosen: &Chosen<'_>, stage: &Stage<'_>) -> Result<(), Vec<Failure>> {
    let Some((given, (deployment, fact))) = chosen.image.zip(chosen.standing.deployment()) else {
        return Ok(());
    };
    let container = chosen.container().unwrap_or_default();
    let former = FormerImage {
        namespace: chosen.member.group.namespace.clone(),
        deployment: deployment.to_owned(),
        image: fact.image_of(container).unwrap_or_default().to_owned(),
        given: Some(given.to_owned()),
        container: Some(container.to_owned()),
        template: Some(fact.rest(container)),
        uid: Some(fact.uid.clone()),
    };
    stage.will_change(fault, Undo::Image(former), None).map(drop)
}

/// Tells what a rollout leaves on its Deployment, as declared.
pub(super) fn declare((mark, why): (&str, &str), chosen: &Chosen<'_>, stage: &Stage<'_>) {
    let Some(deployment) = chosen.deployment() else { return };
    let namespace = &chosen.member.group.namespace;
    stage.residue(&format!("deployment {namespace}/{deployment} {mark}"), why);
}
