//! Deployments: which image they run, and how they are made to replace their pods.
//!
//! Lives here: restart, image, and whether a rollout is done. Does not: watching the pods (`watch`).

use super::selector::is_selected;
use super::{Kube, KubeError, is_asked_for};
use ::kube::api::{Api, Patch, PatchParams};
use k8s_openapi::api::apps::v1::{Deployment, DeploymentStatus};
use k8s_openapi::api::core::v1::{Container, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// The annotation by which `kubectl rollout restart` makes a template differ.
pub const RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";

/// What became of a change of a Deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redeployment {
    /// The server accepted it.
    Begun,
    /// A Deployment of that name is there and is another one (the server's sentence): nothing was done.
    Conflict(String),
}

/// The one Deployment that is meant: never its successor of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meant<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// The UID that it must have when it is changed.
    pub uid: &'a str,
}

/// What muster knows of a Deployment.
#[derive(Debug, Clone, PartialEq)]
pub struct DeploymentFact {
    /// Its UID, never used twice.
    pub uid: String,
    /// Which pods are its own.
    pub selector: LabelSelector,
    /// How many pods it is to keep.
    pub replicas: i32,
    /// Whether it rolls nothing out until somebody resumes it.
    pub is_paused: bool,
    /// Whether it has seen its newest template, and all its pods are of it and available; the old ones gone.
    pub is_rolled_out: bool,
    /// Whether all pods that are wanted are there and available, of whichever template.
    pub has_all: bool,
    /// Its containers, init containers left out: name and image.
    pub containers: Vec<(String, String)>,
    /// A hash of its template but for the images of these containers and the mark of a restart: see [`DeploymentFact::rest`].
    pub template: String,
    /// The mark of its last restart.
    pub restarted_at: Option<String>,
}

impl DeploymentFact {
    /// Whether a pod with these labels may be one of its own. Of a selector that is not understood, none is.
    pub fn selects(&self, labels: &BTreeMap<String, String>) -> bool {
        is_selected(&self.selector, labels).unwrap_or(false)
    }

    /// The image of a container.
    pub fn image_of(&self, container: &str) -> Option<&str> {
        self.containers.iter().find(|(name, _)| name == container).map(|(_, image)| image.as_str())
    }

    /// A hash of all its template but for the image of one container and the mark of a restart: another one means that
    /// somebody has changed something else of its pods.
    pub fn rest(&self, container: &str) -> String {
        let others = self.containers.iter().filter(|(name, _)| name != container);
        let others =
            others.fold(self.template.clone(), |text, (name, image)| format!("{text}\n{name} {image}"));
        hex(&Sha256::digest(others.as_bytes()))
    }

    fn of(deployment: &Deployment) -> Self {
        let spec = deployment.spec.as_ref();
        let template = spec.map(|spec| spec.template.clone()).unwrap_or_default();
        let containers = template.spec.iter().flat_map(|spec| &spec.containers);
        let image = |container: &Container| container.image.clone().unwrap_or_default();
        Self {
            uid: deployment.metadata.uid.clone().unwrap_or_default(),
            selector: spec.map(|spec| spec.selector.clone()).unwrap_or_default(),
            replicas: wanted(deployment),
            is_paused: spec.and_then(|spec| spec.paused).unwrap_or(false),
            is_rolled_out: is_complete(deployment),
            has_all: has_all(deployment),
            containers: containers.map(|container| (container.name.clone(), image(container))).collect(),
            restarted_at: template.metadata.as_ref().and_then(restarted_at),
            template: hash_of(template),
        }
    }
}

fn restarted_at(metadata: &ObjectMeta) -> Option<String> {
    metadata.annotations.as_ref()?.get(RESTARTED_AT).cloned()
}

fn hash_of(mut template: PodTemplateSpec) -> String {
    if let Some(annotations) = template.metadata.as_mut().and_then(|metadata| metadata.annotations.as_mut()) {
        annotations.remove(RESTARTED_AT);
    }
    // One that holds nothing but the mark is as none.
    if let Some(metadata) = &mut template.metadata {
        metadata.annotations = metadata.annotations.take().filter(|annotations| !annotations.is_empty());
    }
    for container in template.spec.iter_mut().flat_map(|spec| &mut spec.containers) {
        container.image = None;
    }
    let text = serde_json::to_string(&template).unwrap_or_default();
    hex(&Sha256::digest(text.as_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn wanted(deployment: &Deployment) -> i32 {
    deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)
}

impl Kube {
    /// Makes a Deployment replace all its pods, as its strategy says, if it still is the one that is meant.
    ///
    /// # Errors
    /// As every call: see [`KubeError`]; after a time-out it may have been done.
    pub async fn restart_deployment(&self, meant: Meant<'_>, at: &str) -> Result<Redeployment, KubeError> {
        let template = json!({ "metadata": { "annotations": { RESTARTED_AT: at } } });
        let what = format!("restart deployment {}/{}", meant.namespace, meant.name);
        self.patch_deployment(meant, &what, &json!({ "template": template })).await
    }

    /// Gives a container of a Deployment another image, if it still is the one that is meant.
    ///
    /// # Errors
    /// As every call: see [`KubeError`]; after a time-out it may have been done.
    pub async fn set_image(
        &self,
        meant: Meant<'_>,
        container: &str,
        image: &str,
    ) -> Result<Redeployment, KubeError> {
        let what = format!("set the image of deployment {}/{}", meant.namespace, meant.name);
        let containers = json!([{ "name": container, "image": image }]);
        self.patch_deployment(meant, &what, &json!({ "template": { "spec": { "containers": containers } } }))
            .await
    }

    /// What is known of a Deployment.
    ///
    /// # Errors
    /// As every call: see [`KubeError`]; one that is not there is refused with 404. [`KubeError::Unreadable`] if another one is
    /// told instead, or one without a UID.
    pub async fn deployment(&self, namespace: &str, name: &str) -> Result<DeploymentFact, KubeError> {
        let deployments: Api<Deployment> = Api::namespaced(self.client.clone(), namespace);
        let what = format!("read deployment {namespace}/{name}");
        let found = self.call(&what, deployments.get(name)).await?;
        is_asked_for(&what, &found.metadata, Some(namespace), name)?;
        let fact = DeploymentFact::of(&found);
        if fact.uid.is_empty() {
            return Err(KubeError::Unreadable { what, why: "it has no UID, by which it is known".into() });
        }
        Ok(fact)
    }

    /// A UID in a patch is a precondition: nobody can change it, so another object is not changed (422).
    async fn patch_deployment(
        &self,
        meant: Meant<'_>,
        what: &str,
        spec: &Value,
    ) -> Result<Redeployment, KubeError> {
        let deployments: Api<Deployment> = Api::namespaced(self.client.clone(), meant.namespace);
        let patch = json!({ "metadata": { "uid": meant.uid }, "spec": spec });
        let (parameters, patch) = (PatchParams::default(), Patch::Strategic(patch));
        match self.call(what, deployments.patch(meant.name, &parameters, &patch)).await {
            Ok(_) => Ok(Redeployment::Begun),
            Err(KubeError::Refused { code: 409 | 422, message, .. }) if message.contains("metadata.uid") => {
                Ok(Redeployment::Conflict(message))
            }
            Err(error) => Err(error),
        }
    }
}

/// Whether an image that a cluster tells is the one it was given: some clusters add the digest.
pub fn is_image(told: &str, given: &str) -> bool {
    told.strip_prefix(given).is_some_and(|rest| rest.is_empty() || rest.starts_with('@'))
}

/// As `kubectl rollout status` decides it; one that is being deleted will not be.
fn is_complete(deployment: &Deployment) -> bool {
    let wanted = wanted(deployment);
    let Some(status) = &deployment.status else { return false };
    let count = |number: Option<i32>| number.unwrap_or(0);
    stays_as_told(deployment, status)
        && count(status.updated_replicas) >= wanted
        && count(status.replicas) <= count(status.updated_replicas)
        && count(status.available_replicas) >= count(status.updated_replicas)
}

/// Whether all pods that are wanted, and that there are, are available: old and new ones, where a rollout is paused.
fn has_all(deployment: &Deployment) -> bool {
    let wanted = wanted(deployment);
    let Some(status) = &deployment.status else { return false };
    let there = status.replicas.unwrap_or(0);
    stays_as_told(deployment, status)
        && wanted > 0
        && status.available_replicas.unwrap_or(0) >= wanted.max(there)
}

/// Whether its status is of what it is now, and it is not being deleted.
fn stays_as_told(deployment: &Deployment, status: &DeploymentStatus) -> bool {
    deployment.metadata.deletion_timestamp.is_none()
        && status.observed_generation >= deployment.metadata.generation
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_may_have_got_its_digest() {
        for (told, expected) in
            [("shop:2", true), ("shop:2@sha256:00", true), ("shop:21", false), ("shop:1", false), ("", false)]
        {
            assert_eq!(is_image(told, "shop:2"), expected, "{told}");
        }
    }

    #[test]
    fn the_hash_of_a_template_sees_all_but_images_and_the_mark_of_a_restart() {
        let hash = |annotations: Value, image: &str, variables: Value| {
            let container = json!({ "name": "web", "image": image, "env": variables });
            let template =
                json!({ "metadata": { "annotations": annotations }, "spec": { "containers": [container] } });
            hash_of(serde_json::from_value(template).unwrap())
        };
        let plain = hash(Value::Null, "web:1", json!([]));
        assert_eq!(hash(json!({ RESTARTED_AT: "now" }), "web:2", json!([])), plain);
        assert_ne!(hash(Value::Null, "web:1", json!([{ "name": "RELEASE", "value": "2" }])), plain);
        assert_ne!(hash(json!({ "kept": "by its owner" }), "web:1", json!([])), plain);
    }

    #[test]
    fn the_rest_of_a_template_is_all_but_the_image_of_one_container() {
        let rest = |log: &str, web: &str, container: &str| {
            let containers = json!([{ "name": "log", "image": log }, { "name": "web", "image": web }]);
            let template = json!({ "spec": { "containers": containers } });
            let spec = json!({ "selector": {}, "template": template });
            let deployment = serde_json::from_value(json!({ "metadata": {}, "spec": spec })).unwrap();
            DeploymentFact::of(&deployment).rest(container)
        };
        let before = rest("log:1", "web:1", "web");
        assert_eq!(rest("log:1", "web:2", "web"), before);
        assert_ne!(rest("log:2", "web:1", "web"), before);
        assert_ne!(rest("log:1", "web:1", "log"), before);
    }

    #[test]
    fn a_rollout_is_done_when_only_new_pods_are_there_and_available() {
        for (generation, observed, [replicas, updated, available], expected) in [
            (2, 2, [1, 1, 1], true),
            (2, 1, [1, 1, 1], false),
            (2, 2, [2, 1, 2], false),
            (2, 2, [1, 0, 1], false),
            (2, 2, [1, 1, 0], false),
        ] {
            let deployment: Deployment = serde_json::from_value(json!({
                "metadata": { "generation": generation },
                "spec": { "replicas": 1, "selector": {}, "template": {} },
                "status": {
                    "observedGeneration": observed, "replicas": replicas, "updatedReplicas": updated,
                    "availableReplicas": available,
                },
            }))
            .unwrap();
            let case = (generation, observed, replicas, updated, available);
            assert_eq!(is_complete(&deployment), expected, "{case:?}");
        }
    }

    #[test]
    fn a_deployment_has_all_its_pods_when_those_that_are_wanted_are_there_and_available() {
        for (generation, observed, [wanted, replicas, available], is_leaving, expected) in [
            (2, 2, [2, 2, 2], false, true),
            (2, 1, [2, 2, 2], false, false),
            (2, 2, [2, 3, 3], false, true),
            (2, 2, [2, 3, 2], false, false),
            (2, 2, [3, 2, 2], false, false),
            (2, 2, [2, 2, 1], false, false),
            (2, 2, [0, 1, 1], false, false),
            (2, 2, [2, 2, 2], true, false),
        ] {
            let deletion = is_leaving.then_some("2020-11-01T00:00:00Z");
            let deployment: Deployment = serde_json::from_value(json!({
                "metadata": { "generation": generation, "deletionTimestamp": deletion },
                "spec": { "replicas": wanted, "selector": {}, "template": {}, "paused": true },
                "status": {
                    "observedGeneration": observed, "replicas": replicas, "availableReplicas": available,
                    "updatedReplicas": wanted,
                },
            }))
            .unwrap();
            let case = (generation, observed, wanted, replicas, available, is_leaving);
            assert_eq!(has_all(&deployment), expected, "{case:?}");
            assert!(!(is_leaving && is_complete(&deployment)), "{case:?}");
        }
    }
}
