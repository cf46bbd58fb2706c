//! Objects of any kind, as JSON.
//!
//! Lives here: looking up how a kind is spelt in paths, get and list. Does not: changing such objects.

use super::unseen::{is_secret, without_values};
use super::{Kube, KubeError};
use ::kube::api::{Api, ApiResource, DynamicObject, ListParams};
use ::kube::client::Body;
use ::kube::core::{GroupVersion, GroupVersionKind, Status};
use ::kube::discovery::{Scope, pinned_kind};
use serde::Serialize;
use serde_json::Value;

/// An answer as it came.
#[derive(Debug)]
pub struct Told {
    /// The HTTP status.
    pub status: u16,
    /// Where a redirect leads, if it says so. It is not followed.
    pub location: Option<String>,
    /// The body; of a refusal what it says in the words of Kubernetes.
    pub body: String,
}

impl Kube {
    /// The answer to a GET of any path of the API: whatever it is. Of Secrets only the keys are told.
    ///
    /// # Errors
    /// If there is no answer, or one that may hold Secrets and cannot be understood.
    pub async fn get_path(&self, path: &str) -> Result<Told, KubeError> {
        let what = format!("read {path}");
        let unreadable = |why: String| KubeError::Unreadable { what: what.clone(), why };
        let request = http::Request::get(path).body(Body::empty());
        let request = request.map_err(|error| unreadable(error.to_string()))?;
        let asked = async {
            let answer = self.client.send(request).await?;
            Ok((answer.status(), answer.into_body().collect_bytes().await?))
        };
        let (status, bytes) = match self.call(&what, asked).await {
            Err(KubeError::Led { status, location, .. }) => {
                return Ok(Told { status, location, body: String::new() });
            }
            answered => answered?,
        };
        let text = String::from_utf8(bytes.into()).map_err(|_| unreadable("it is no UTF-8".into()))?;
        let body = if status.is_client_error() || status.is_server_error() {
            self.refusal(status.as_u16(), &text)
        } else if is_secret(path, &text) {
            without_values(&text).ok_or_else(|| unreadable("it is no Secret, and is not shown".into()))?
        } else {
            text
        };
        Ok(Told { status: status.as_u16(), location: None, body })
    }

    /// A refusal in the words of Kubernetes, without what was shown to the cluster.
    fn refusal(&self, code: u16, text: &str) -> String {
        let status: Status = serde_json::from_str(text).unwrap_or_else(|_| Status::failure(text.trim(), ""));
        let mask = self.mask();
        let (reason, message) = (mask.mask(&status.reason), mask.mask(&status.message));
        serde_json::json!({ "kind": "Status", "code": code, "reason": reason, "message": message })
            .to_string()
    }

    /// An object as JSON, or none if it is not there. `api_version` is `v1` or `group/version`; `namespace` does not
    /// matter for kinds without namespaces and is `default` if absent.
    ///
    /// # Errors
    /// As every call: see [`KubeError`]; [`KubeError::Unreadable`] if the cluster has no such kind.
    pub async fn get_object(
        &self,
        api_version: &str,
        kind: &str,
        namespace: Option<&str>,
        name: &str,
    ) -> Result<Option<Value>, KubeError> {
        let what = format!("read {kind} {name}");
        let (resource, scope) = self.resource(api_version, kind).await?;
        let objects = self.objects(&resource, &scope, namespace.or(Some("default")));
        let found = self.call(&what, objects.get_opt(name)).await?;
        found.map(|object| as_json(&what, &object)).transpose()
    }

    /// The objects of a kind that a label selector selects (all, if it is empty), in one namespace or in all.
    ///
    /// # Errors
    /// As for [`Kube::get_object`].
    pub async fn list_objects(
        &self,
        api_version: &str,
        kind: &str,
        namespace: Option<&str>,
        selector: &str,
    ) -> Result<Vec<Value>, KubeError> {
        let what = format!("list {kind}");
        let (resource, scope) = self.resource(api_version, kind).await?;
        let objects = self.objects(&resource, &scope, namespace);
        let list = self.listed(&what, objects.list(&ListParams::default().labels(selector))).await?;
        list.items.iter().map(|object| as_json(&what, object)).collect()
    }

    /// How a kind is spelt in paths, as the cluster says: plurals cannot be guessed.
    async fn resource(&self, api_version: &str, kind: &str) -> Result<(ApiResource, Scope), KubeError> {
        let what = format!("look up {kind} of {api_version}");
        let version: GroupVersion = api_version
            .parse()
            .map_err(|error| KubeError::Unreadable { what: what.clone(), why: super::chain(&error) })?;
        let kind = GroupVersionKind::gvk(&version.group, &version.version, kind);
        let (resource, capabilities) = self.call(&what, pinned_kind(&self.client, &kind)).await?;
        Ok((resource, capabilities.scope))
    }

    fn objects(&self, resource: &ApiResource, scope: &Scope, namespace: Option<&str>) -> Api<DynamicObject> {
        match (scope, namespace) {
            (Scope::Namespaced, Some(namespace)) => {
                Api::namespaced_with(self.client.clone(), namespace, resource)
            }
            (Scope::Namespaced | Scope::Cluster, _) => Api::all_with(self.client.clone(), resource),
        }
    }
}

fn as_json(what: &str, object: &impl Serialize) -> Result<Value, KubeError> {
    serde_json::to_value(object)
        .map_err(|error| KubeError::Unreadable { what: what.to_owned(), why: super::chain(&error) })
}
