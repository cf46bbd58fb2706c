//! Deployments: which image they run, and how they are made to replace their pods.
//!
//! Lives here: restart, image, and whether a rollout is done. Does not: watching the pods (`watch`).

use super::{Kube, KubeError};
use ::kube::api::{Api, Patch, PatchParams};
use k8s_openapi::api::apps::v1::Deployment;
use serde_json::{Value, json};

/// The annotation by which `kubectl rollout restart` makes a template differ.
const RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";

impl Kube {
    /// Makes a Deployment replace all its pods, as its strategy says.
    ///
    /// # Errors
    /// As every call: see [`KubeError`]; after a time-out it may have been done.
    pub async fn restart_deployment(&self, namespace: &str, name: &str, at: &str) -> Result<(), KubeError> {
        let template = json!({ "metadata": { "annotations": { RESTARTED_AT: at } } });
        let what = format!("restart deployment {namespace}/{name}");
        self.patch_deployment(namespace, name, &what, &json!({ "spec": { "template": template } })).await
    }

    /// Gives the first container of a Deployment another image.
    ///
    /// # Errors
    /// As every call: see [`KubeError`]; after a time-out it may have been done.
    pub async fn set_image(&self, namespace: &str, name: &str, image: &str) -> Result<(), KubeError> {
        let what = format!("set the image of deployment {namespace}/{name}");
        let deployment = self.deployment(namespace, name).await?;
        let container = first_container(&deployment).map(|(container, _)| container);
        let container = container.ok_or_else(|| unreadable(&what))?;
        let containers = json!([{ "name": container, "image": image }]);
        let spec = json!({ "template": { "spec": { "containers": containers } } });
        self.patch_deployment(namespace, name, &what, &json!({ "spec": spec })).await
    }

    /// The image of the first container of a Deployment.
    ///
    /// # Errors
    /// As every call: see [`KubeError`]; a Deployment that is not there is refused with 404.
    pub async fn image(&self, namespace: &str, name: &str) -> Result<String, KubeError> {
        let deployment = self.deployment(namespace, name).await?;
        let image = first_container(&deployment).map(|(_, image)| image.to_owned());
        image.ok_or_else(|| unreadable(&format!("read the image of deployment {namespace}/{name}")))
    }

    /// Whether a Deployment has seen its newest template, and all its pods are of it and available; the old ones gone.
    ///
    /// # Errors
    /// As every call: see [`KubeError`].
    pub async fn is_rolled_out(&self, namespace: &str, name: &str) -> Result<bool, KubeError> {
        let deployment = self.deployment(namespace, name).await?;
        Ok(is_complete(&deployment))
    }

    async fn deployment(&self, namespace: &str, name: &str) -> Result<Deployment, KubeError> {
        let deployments: Api<Deployment> = Api::namespaced(self.client.clone(), namespace);
        self.call(&format!("read deployment {namespace}/{name}"), deployments.get(name)).await
    }

    async fn patch_deployment(
        &self,
        namespace: &str,
        name: &str,
        what: &str,
        patch: &Value,
    ) -> Result<(), KubeError> {
        let deployments: Api<Deployment> = Api::namespaced(self.client.clone(), namespace);
        let (parameters, patch) = (PatchParams::default(), Patch::Strategic(patch));
        self.call(what, deployments.patch(name, &parameters, &patch)).await.map(drop)
    }
}

/// Whether an image that a cluster tells is the one it was given: some clusters add the digest.
pub fn is_image(told: &str, given: &str) -> bool {
    told.strip_prefix(given).is_some_and(|rest| rest.is_empty() || rest.starts_with('@'))
}

fn unreadable(what: &str) -> KubeError {
    KubeError::Unreadable { what: what.into(), why: "it has no container with an image".into() }
}

fn first_container(deployment: &Deployment) -> Option<(&str, &str)> {
    let containers = &deployment.spec.as_ref()?.template.spec.as_ref()?.containers;
    let container = containers.first()?;
    Some((&container.name, container.image.as_deref()?))
}

/// As `kubectl rollout status` decides it.
fn is_complete(deployment: &Deployment) -> bool {
    let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    let Some(status) = &deployment.status else { return false };
    let count = |number: Option<i32>| number.unwrap_or(0);
    status.observed_generation >= deployment.metadata.generation
        && count(status.updated_replicas) >= wanted
        && count(status.replicas) <= count(status.updated_replicas)
        && count(status.available_replicas) >= count(status.updated_replicas)
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
}
