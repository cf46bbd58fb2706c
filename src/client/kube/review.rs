//! What one may do in a cluster, as the cluster itself says.
//!
//! Lives here: SelfSubjectAccessReview. Does not: which rights muster needs (`cli::doctor`).

use super::{Kube, KubeError};
use ::kube::api::{Api, PostParams};
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use std::borrow::Cow;

/// One thing that may be done.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    /// The API group; empty for the core.
    pub group: Cow<'static, str>,
    /// The resource in plural, with its subresource if there is one: `pods`, `pods/exec`.
    pub resource: Cow<'static, str>,
    /// The verb.
    pub verb: &'static str,
    /// The one object that is meant; any, if absent.
    pub name: Option<String>,
}

impl std::fmt::Display for Right {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)?;
        if let Some(name) = &self.name {
            write!(f, " {name}")?;
        }
        Ok(())
    }
}

impl Kube {
    /// Whether the cluster would let us do this; `namespace` is `None` for resources without one.
    ///
    /// # Errors
    /// As every call: see [`KubeError`].
    pub async fn may(&self, right: &Right, namespace: Option<&str>) -> Result<bool, KubeError> {
        let (resource, part) = match right.resource.split_once('/') {
            Some((resource, part)) => (resource, Some(part.to_owned())),
            None => (&*right.resource, None),
        };
        let attributes = ResourceAttributes {
            group: Some(right.group.clone().into_owned()),
            resource: Some(resource.to_owned()),
            subresource: part,
            verb: Some(right.verb.to_owned()),
            name: right.name.clone(),
            namespace: namespace.map(str::to_owned),
            ..ResourceAttributes::default()
        };
        let spec =
            SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), ..Default::default() };
        let review = SelfSubjectAccessReview { spec, ..Default::default() };
        let reviews: Api<SelfSubjectAccessReview> = Api::all(self.client.clone());
        let answer = self
            .call(&format!("ask whether we may {right}"), reviews.create(&PostParams::default(), &review))
            .await?;
        Ok(answer.status.is_some_and(|status| status.allowed))
    }
}
