//! How the fake cluster refuses: `Status` objects with the code, the reason and the text of a real API server.
//!
//! Lives here: the texts (from Kubernetes' `apimachinery/pkg/api/errors` and the eviction handler). Does not: when to
//! refuse.

use super::kind::Kind;
use serde_json::{Value, json};

/// An answer that is not what was asked for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Refusal {
    /// The HTTP status.
    pub(super) code: u16,
    reason: &'static str,
    message: String,
    details: Value,
}

impl Refusal {
    fn of(code: u16, reason: &'static str, message: String, details: Value) -> Refusal {
        Refusal { code, reason, message, details }
    }

    /// No such object.
    pub(super) fn not_found(kind: Kind, name: &str) -> Refusal {
        Refusal::of(
            404,
            "NotFound",
            format!("{} \"{name}\" not found", kind.qualified()),
            details(kind, name),
        )
    }

    /// No such route.
    pub(super) fn no_such_resource() -> Refusal {
        Refusal::of(404, "NotFound", "the server could not find the requested resource".to_owned(), json!({}))
    }

    /// The route exists, the verb does not.
    pub(super) fn method_not_allowed() -> Refusal {
        let text = "the server does not allow this method on the requested resource";
        Refusal::of(405, "MethodNotAllowed", text.to_owned(), json!({}))
    }

    /// Something of that name is there.
    pub(super) fn already_exists(kind: Kind, name: &str) -> Refusal {
        let text = format!("{} \"{name}\" already exists", kind.qualified());
        Refusal::of(409, "AlreadyExists", text, details(kind, name))
    }

    /// The caller's `resourceVersion` is not the newest.
    pub(super) fn modified(kind: Kind, name: &str) -> Refusal {
        Refusal::conflict(
            kind,
            name,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }

    /// A precondition of a deletion does not hold; `field` is `UID` or `ResourceVersion`.
    pub(super) fn precondition(kind: Kind, name: &str, field: &str, wanted: &str, found: &str) -> Refusal {
        let why = format!(
            "the {field} in the precondition ({wanted}) does not match the {field} in record ({found}). \
             The object might have been deleted and then recreated"
        );
        Refusal::conflict(kind, name, &why)
    }

    /// A field that nobody can change, and that was to be changed to `wanted`.
    pub(super) fn immutable(kind: Kind, name: &str, field: &str, wanted: &str) -> Refusal {
        let resource = kind.resource();
        let what = [resource.kind, resource.group].into_iter().filter(|part| !part.is_empty());
        let what = what.collect::<Vec<_>>().join(".");
        let why = format!("Invalid value: \"{wanted}\": field is immutable");
        let cause = json!({ "reason": "FieldValueInvalid", "message": why, "field": field });
        let details =
            json!({ "name": name, "group": resource.group, "kind": resource.kind, "causes": [cause] });
        Refusal::of(422, "Invalid", format!("{what} \"{name}\" is invalid: {field}: {why}"), details)
    }

    fn conflict(kind: Kind, name: &str, why: &str) -> Refusal {
        let text = format!("Operation cannot be fulfilled on {} \"{name}\": {why}", kind.qualified());
        Refusal::of(409, "Conflict", text, details(kind, name))
    }

    /// The history no longer reaches back to `asked`; the oldest known version is `oldest`.
    pub(super) fn expired(asked: u64, oldest: u64) -> Refusal {
        Refusal::of(410, "Expired", format!("too old resource version: {asked} ({oldest})"), json!({}))
    }

    /// An eviction that `budget` does not allow: it needs `needed` healthy pods and has `healthy`.
    pub(super) fn budget(budget: &str, needed: u64, healthy: u64) -> Refusal {
        let cause = json!({
            "reason": "DisruptionBudget",
            "message": format!("The disruption budget {budget} needs {needed} healthy pods and has {healthy} currently"),
        });
        let text = "Cannot evict pod as it would violate the pod's disruption budget.".to_owned();
        Refusal::of(429, "TooManyRequests", text, json!({ "causes": [cause] }))
    }

    /// Whoever asks may not do this to a resource of that namespace.
    pub(super) fn forbidden(verb: &str, resource: &str, namespace: &str) -> Refusal {
        let text = format!(
            "{resource} is forbidden: User \"muster\" cannot {verb} resource \"{resource}\" in API group \"\" in the \
             namespace \"{namespace}\""
        );
        Refusal::of(403, "Forbidden", text, json!({}))
    }

    /// The request cannot be understood.
    pub(super) fn bad_request(why: impl Into<String>) -> Refusal {
        Refusal::of(400, "BadRequest", why.into(), json!({}))
    }

    /// An update that does not say which version it changes.
    pub(super) fn version_missing(kind: Kind, name: &str) -> Refusal {
        let text = format!(
            "{} \"{name}\" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified for an update",
            kind.qualified()
        );
        Refusal::of(422, "Invalid", text, details(kind, name))
    }

    /// A body that is not JSON.
    pub(super) fn unsupported_media_type() -> Refusal {
        let text = "the body of the request was in an unknown format - accepted media types include: application/json";
        Refusal::of(415, "UnsupportedMediaType", text.to_owned(), json!({}))
    }

    /// The object that goes over the wire.
    pub(super) fn to_status(&self) -> Value {
        json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "details": self.details, "code": self.code,
        })
    }
}

fn details(kind: Kind, name: &str) -> Value {
    let resource = kind.resource();
    if resource.group.is_empty() {
        json!({ "name": name, "kind": resource.plural })
    } else {
        json!({ "name": name, "group": resource.group, "kind": resource.plural })
    }
}

/// The `Status` of something that was done and has no object to show.
pub(super) fn success() -> Value {
    json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201 })
}
