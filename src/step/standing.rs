//! How a member stands before something is broken, and whether it was left to itself until the end.
//!
//! Lives here: waiting until its pods are settled, what keeps them, and noticing that somebody else was there meanwhile.
//! Does not: what that means for breaking something (`fault::guard`), or following the recovery (`watching`).

use super::member::Member;
use super::stage::Stage;
use crate::client::kube::{DeploymentFact, Kube, KubeError, Owner, PodFact, is_image};
use crate::outcome::Failure;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How often it is looked whether pods are settled.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A member's pods and what keeps them, at one time.
pub(super) struct Standing {
    /// Its pods, those that have ended for good left out.
    pub(super) pods: Vec<PodFact>,
    /// The Deployments that keep some of them, by name.
    pub(super) deployments: BTreeMap<String, DeploymentFact>,
}

/// What muster itself has given a Deployment.
pub(super) struct Given<'a> {
    /// A container and its new image.
    pub(super) image: Option<(&'a str, &'a str)>,
    /// The mark of a restart.
    pub(super) restart: Option<&'a str>,
}

impl Standing {
    /// Waits until a member's pods are all Ready, none of them leaves, and their Deployments have rolled out: what comes
    /// and goes for another reason would be taken for the doing of a fault.
    pub(super) async fn settled(
        kube: &Kube,
        member: &Member,
        within: Duration,
        stage: &Stage<'_>,
    ) -> Result<Self, Vec<Failure>> {
        let began = Instant::now();
        loop {
            let standing = Self::now(kube, member, stage).await?;
            let Some(why) = standing.unsettled() else { return Ok(standing) };
            if began.elapsed() >= within {
                return Err(vec![standing.doubt(&why, member, stage)]);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Looks once more, right before something is broken: it still is settled, and it is the same.
    pub(super) async fn stays(
        &self,
        kube: &Kube,
        member: &Member,
        stage: &Stage<'_>,
    ) -> Result<(), Vec<Failure>> {
        let now = Self::now(kube, member, stage).await?;
        let others =
            (!self.is_as(&now)).then(|| "somebody else has changed its pods, or what keeps them".to_owned());
        match now.unsettled().or(others) {
            None => Ok(()),
            Some(why) => Err(vec![now.doubt(&why, member, stage)]),
        }
    }

    /// Whether the same pods stand there, kept and labelled as they were: what the guards were told still holds.
    fn is_as(&self, other: &Self) -> bool {
        let kept = |standing: &Self| -> BTreeSet<_> {
            let told = |pod: &PodFact| (pod.uid.clone(), pod.owner.clone(), pod.labels.clone());
            standing.pods.iter().map(told).collect()
        };
        kept(self) == kept(other) && self.deployments == other.deployments
    }

    async fn now(kube: &Kube, member: &Member, stage: &Stage<'_>) -> Result<Self, Vec<Failure>> {
        let read = Self::read(kube, member).await;
        read.map_err(|error| vec![stage.doubt("kubernetes.error", &error.to_string())])
    }

    async fn read(kube: &Kube, member: &Member) -> Result<Self, KubeError> {
        let namespace = &member.group.namespace;
        let mut pods = kube.pods(namespace, &member.selector).await?;
        pods.retain(|pod| !pod.is_over());
        let mut deployments = BTreeMap::new();
        for name in pods.iter().filter_map(|pod| pod.owner.as_ref()?.deployment()) {
            if !deployments.contains_key(name) {
                deployments.insert(name.to_owned(), kube.deployment(namespace, name).await?);
            }
        }
        Ok(Self { pods, deployments })
    }

    /// Why it is not settled, if it is not.
    fn unsettled(&self) -> Option<String> {
        let rolling = |fact: &DeploymentFact| !(fact.is_rolled_out || (fact.is_paused && fact.has_all));
        if self.pods.is_empty() {
            return Some("it has no pod".into());
        }
        if let Some(leaving) = self.pods.iter().find(|pod| pod.deletion_requested) {
            return Some(format!("pod {} is leaving", leaving.name));
        }
        if let Some(unready) = self.pods.iter().find(|pod| !pod.is_ready) {
            return Some(format!("pod {} is not Ready", unready.name));
        }
        let rolling = self.deployments.iter().find(|(_, fact)| rolling(fact));
        rolling.map(|(name, _)| format!("deployment {name} is rolling out, or has not all its pods"))
    }

    fn doubt(&self, why: &str, member: &Member, stage: &Stage<'_>) -> Failure {
        if self.pods.iter().any(PodFact::is_present) {
            let text = format!("nothing was broken: `{}` was not settled before: {why}", member.name);
            return stage.doubt("fault.unsettled", &text);
        }
        stage.doubt("fault.no-victim", &format!("no pod of `{}` is Ready: {why}", member.name))
    }

    /// What keeps some pods; nothing among it stands for pods that nothing keeps.
    pub(super) fn owners(&self) -> BTreeSet<Option<&Owner>> {
        self.pods.iter().map(|pod| pod.owner.as_ref()).collect()
    }

    /// The one Deployment that keeps all pods, if one does.
    pub(super) fn deployment(&self) -> Option<(&str, &DeploymentFact)> {
        let mut owners = self.owners().into_iter();
        let name = owners.next()??.deployment().filter(|_| owners.next().is_none())?;
        self.deployments.get_key_value(name).map(|(name, fact)| (name.as_str(), fact))
    }

    /// What somebody else has changed of the Deployments since: what users felt is not the doing of a fault alone then.
    pub(super) async fn overtaken(
        &self,
        kube: &Kube,
        namespace: &str,
        given: &Given<'_>,
        stage: &Stage<'_>,
    ) -> Vec<Failure> {
        let mut doubts = vec![];
        for (name, before) in &self.deployments {
            let found = match kube.deployment(namespace, name).await {
                Ok(now) => changed(before, &now, given),
                Err(error) if error.code() == Some(404) => Some("deleted it".into()),
                Err(error) => {
                    doubts.push(stage.doubt("kubernetes.error", &error.to_string()));
                    None
                }
            };
            let text =
                found.map(|what| format!("somebody else was at deployment {name} in the middle: {what}"));
            doubts.extend(text.map(|text| stage.doubt("fault.overtaken", &text)));
        }
        doubts
    }
}

/// What somebody else has changed of a Deployment.
fn changed(before: &DeploymentFact, now: &DeploymentFact, given: &Given<'_>) -> Option<String> {
    if now.uid != before.uid {
        return Some("made it anew".into());
    }
    if now.replicas != before.replicas {
        return Some(format!("wants {} pods instead of {}", now.replicas, before.replicas));
    }
    let image = before.containers.iter().find_map(|(container, image)| {
        let ours = given.image.filter(|(name, _)| name == container).map(|(_, image)| image);
        let found = now.image_of(container).unwrap_or_default();
        let is_right = ours.map_or(found == image, |ours| is_image(found, ours));
        (!is_right).then(|| format!("gave {container} the image `{found}`"))
    });
    let restart = given.restart.or(before.restarted_at.as_deref());
    image
        .or_else(|| (now.template != before.template).then(|| "changed its template".into()))
        .or_else(|| (now.restarted_at.as_deref() != restart).then(|| "restarted it".into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

    fn fact() -> DeploymentFact {
        DeploymentFact {
            uid: "u".into(),
            selector: LabelSelector::default(),
            replicas: 2,
            is_paused: false,
            is_rolled_out: true,
            has_all: true,
            containers: vec![("log".into(), "log:1".into()), ("web".into(), "web:1".into())],
            template: "t".into(),
            restarted_at: None,
        }
    }

    #[test]
    fn a_pod_that_is_kept_or_labelled_otherwise_is_not_as_it_was() {
        let owner = |name: &str| Owner { kind: "StatefulSet".into(), name: name.into() };
        let pod = |uid: &str, owner: Option<Owner>, label: &str| PodFact {
            name: "web-0".into(),
            uid: uid.into(),
            namespace: "shop".into(),
            labels: BTreeMap::from([("tier".into(), label.into())]),
            is_ready: true,
            phase: "Running".into(),
            deletion_requested: false,
            created_at: String::new(),
            node: None,
            owner,
            image: None,
            restarts: 0,
        };
        let standing = |pod| Standing { pods: vec![pod], deployments: BTreeMap::new() };
        let before = standing(pod("u", Some(owner("web")), "front"));
        assert!(before.is_as(&standing(pod("u", Some(owner("web")), "front"))));
        assert!(before.is_as(&standing(PodFact { restarts: 1, ..pod("u", Some(owner("web")), "front") })));
        for other in [
            pod("v", Some(owner("web")), "front"),
            pod("u", None, "front"),
            pod("u", Some(owner("shop")), "front"),
            pod("u", Some(owner("web")), "back"),
        ] {
            assert!(!before.is_as(&standing(other.clone())), "{other:?}");
        }
    }

    #[test]
    fn what_somebody_else_changes_of_a_deployment_is_told_from_what_muster_does() {
        let images = |log: &str, web: &str| vec![("log".into(), log.into()), ("web".into(), web.into())];
        let nothing = || Given { image: None, restart: None };
        let ours = || Given { image: Some(("web", "web:2")), restart: Some("now") };
        let now = |containers, at: Option<&str>| DeploymentFact {
            containers,
            restarted_at: at.map(Into::into),
            ..fact()
        };
        let told = |now: &DeploymentFact, given: &Given<'_>| changed(&fact(), now, given);
        assert_eq!(told(&fact(), &nothing()), None);
        assert_eq!(told(&now(images("log:1", "web:2@sha256:0"), Some("now")), &ours()), None);
        for (now, given, expected) in [
            (DeploymentFact { uid: "v".into(), ..fact() }, nothing(), "made it anew"),
            (DeploymentFact { replicas: 0, ..fact() }, nothing(), "wants 0 pods instead of 2"),
            (DeploymentFact { template: "s".into(), ..fact() }, nothing(), "changed its template"),
            (now(images("log:1", "web:2"), None), nothing(), "gave web the image `web:2`"),
            (now(images("log:1", "web:1"), Some("now")), ours(), "gave web the image `web:1`"),
            (now(images("log:2", "web:2"), Some("now")), ours(), "gave log the image `log:2`"),
            (now(images("log:1", "web:1@sha256:0"), None), nothing(), "gave web the image `web:1@sha256:0`"),
            (now(images("log:1", "web:1"), Some("then")), nothing(), "restarted it"),
            (now(images("log:1", "web:2"), Some("then")), ours(), "restarted it"),
        ] {
            assert_eq!(told(&now, &given).as_deref(), Some(expected));
        }
    }
}
