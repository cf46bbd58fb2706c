//! What was chosen to be broken, and where.
//!
//! Lives here: the names by which guards, ledger and report know it. Does not: choosing (`fault::victim`), or breaking
//! (`disrupt`).

use super::member::Member;
use super::standing::Standing;
use crate::client::kube::{Kube, Meant, Victim};
use crate::fault::{Reach, guard};

/// What was chosen to be broken, and where.
pub(super) struct Chosen<'a> {
    pub(super) kube: &'a Kube,
    pub(super) member: &'a Member,
    pub(super) victims: &'a [Victim],
    pub(super) standing: &'a Standing,
    /// The image that is to be rolled out, if one is.
    pub(super) image: Option<&'a str>,
}

impl Chosen<'_> {
    /// The name of the Deployment that keeps all pods, if one does.
    pub(super) fn deployment(&self) -> Option<&str> {
        self.standing.deployment().map(|(name, _)| name)
    }

    /// That Deployment as it was looked at, and no other of its name.
    pub(super) fn meant(&self) -> Option<Meant<'_>> {
        let (name, fact) = self.standing.deployment()?;
        Some(Meant { namespace: &self.member.group.namespace, name, uid: &fact.uid })
    }

    /// Whether its Deployment is not done yet: a rollout that gets stuck leaves every pod as it was.
    pub(super) async fn is_rolling_out(&self) -> bool {
        let Some(name) = self.deployment() else { return false };
        let now = self.kube.deployment(&self.member.group.namespace, name).await;
        !now.is_ok_and(|now| now.is_rolled_out)
    }

    /// The container that is meant: the one that the target file names; where an image is rolled out, else the only one.
    pub(super) fn container(&self) -> Option<&str> {
        let named = self.member.group.container.as_deref();
        let only = || guard::container_of(self.standing.deployment()?.1, None).ok();
        named.or_else(|| self.image.and_then(|_| only()))
    }

    /// What is broken, by name: the pod, or the Deployment.
    pub(super) fn named(&self, reach: Reach) -> String {
        let pod = self.victims.first().map(|victim| victim.name.as_str());
        let name = if reach == Reach::Member { self.deployment().or(pod) } else { pod };
        name.unwrap_or_default().to_owned()
    }
}
