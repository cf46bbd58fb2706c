//! What a request to the fake cluster asks for: its route, its query, the form of its answer, its body.
//!
//! Lives here: reading. Does not: answering (`door`).

use super::kind::Kind;
use super::patch::Style;
use super::pods::Deletion;
use super::refusal::Refusal;
use super::selector::Selector;
use http::{HeaderMap, Method, Uri, header};
use percent_encoding::percent_decode_str;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// A request, read.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) method: Method,
    pub(super) route: Route,
    pub(super) query: BTreeMap<String, String>,
    /// Whether lists and objects are wanted as `Table`.
    pub(super) wants_table: bool,
    pub(super) patch_style: Style,
    /// The JSON body; null if there was none.
    pub(super) body: Value,
}

/// Where a path leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    Version,
    Health,
    CoreVersions,
    Groups,
    Group(String),
    /// The resources of a group; the core group is empty.
    Resources(String),
    AccessReview,
    Collection {
        kind: Kind,
        /// None for all namespaces, and for kinds without one.
        namespace: Option<String>,
    },
    Object {
        kind: Kind,
        namespace: String,
        name: String,
        part: Option<String>,
    },
    Nowhere,
}

impl Ask {
    /// Reads a request whose body has arrived whole.
    pub(super) fn read(method: Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Result<Ask, Refusal> {
        let header = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let route = route(uri.path());
        // `kubectl auth can-i` asks in protobuf; what it asks is not understood, and allowed.
        let is_json = header(header::CONTENT_TYPE).contains("json");
        let body = if route == Route::AccessReview && !is_json { &[] } else { body };
        let is_strategic = header(header::CONTENT_TYPE).contains("strategic-merge-patch");
        Ok(Ask {
            method,
            route,
            query: query(uri.query().unwrap_or_default()),
            wants_table: header(header::ACCEPT).contains("as=Table"),
            patch_style: if is_strategic { Style::Strategic } else { Style::Merge },
            body: json_body(header(header::CONTENT_TYPE), body)?,
        })
    }

    fn text(&self, key: &str) -> &str {
        self.query.get(key).map(String::as_str).unwrap_or_default()
    }

    /// Whether the query says `key=true`.
    pub(super) fn says(&self, key: &str) -> bool {
        matches!(self.text(key), "true" | "1")
    }

    /// The number in the query, if there is one.
    pub(super) fn number(&self, key: &str) -> Option<u64> {
        self.text(key).parse().ok()
    }

    /// Which objects are meant.
    pub(super) fn selector(&self) -> Result<Selector, Refusal> {
        Selector::parse(self.text("labelSelector"), self.text("fieldSelector"))
    }

    /// Whether it asks only what would happen; answering that by doing it would be worse than a refusal.
    pub(super) fn is_dry_run(&self) -> bool {
        let options = [&self.body["dryRun"], &self.body["deleteOptions"]["dryRun"]];
        !self.text("dryRun").is_empty() || options.iter().any(|option| !option.is_null())
    }

    /// How long a watch may last.
    pub(super) fn watch_limit(&self) -> Duration {
        const UNASKED: u64 = 1_800;
        Duration::from_secs(self.number("timeoutSeconds").unwrap_or(UNASKED))
    }

    /// The preconditions and the grace of a deletion, from the options in the body (`{}` if there are none) or the query.
    pub(super) fn deletion(&self, options: &Value) -> Deletion {
        let precondition = |field: &str| options["preconditions"][field].as_str().map(str::to_owned);
        Deletion {
            uid: precondition("uid"),
            resource_version: precondition("resourceVersion"),
            grace_seconds: options["gracePeriodSeconds"].as_u64().or(self.number("gracePeriodSeconds")),
        }
    }
}

fn json_body(content_type: &str, body: &[u8]) -> Result<Value, Refusal> {
    if body.is_empty() {
        return Ok(Value::Null);
    }
    if content_type.contains("protobuf") {
        return Err(Refusal::unsupported_media_type());
    }
    serde_json::from_slice(body).map_err(|error| Refusal::bad_request(format!("invalid body: {error}")))
}

/// A part of a query as it was meant.
pub(super) fn decoded(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

/// The query of a request; kube's queries begin with `?&`, and some end in `&`.
fn query(text: &str) -> BTreeMap<String, String> {
    let pair = |pair: &str| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(key), decoded(value))
    };
    text.split('&').filter(|text| !text.is_empty()).map(pair).collect()
}

pub(super) fn route(path: &str) -> Route {
    let decoded = percent_decode_str(path).decode_utf8_lossy();
    let segments: Vec<&str> = decoded.split('/').filter(|segment| !segment.is_empty()).collect();
    match segments[..] {
        ["version"] => Route::Version,
        ["healthz" | "livez" | "readyz"] => Route::Health,
        ["api"] => Route::CoreVersions,
        ["apis"] => Route::Groups,
        ["apis", group] => Route::Group(group.to_owned()),
        ["api", "v1"] => Route::Resources(String::new()),
        ["apis", group, "v1"] => Route::Resources(group.to_owned()),
        ["apis", "authorization.k8s.io", "v1", "selfsubjectaccessreviews"] => Route::AccessReview,
        ["api", "v1", ref rest @ ..] => objects("", rest),
        ["apis", group, "v1", ref rest @ ..] => objects(group, rest),
        _ => Route::Nowhere,
    }
}

fn objects(group: &str, segments: &[&str]) -> Route {
    let object = |plural, namespace: &str, name: &str, part: Option<&str>| {
        Kind::named(group, plural).map(|kind| Route::Object {
            kind,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            part: part.map(str::to_owned),
        })
    };
    let collection = |plural, namespace: Option<&str>| {
        Kind::named(group, plural)
            .map(|kind| Route::Collection { kind, namespace: namespace.map(str::to_owned) })
    };
    let found = match *segments {
        [plural] => collection(plural, None),
        [plural, name] => object(plural, "", name, None).filter(|route| !is_namespaced(route)),
        ["namespaces", namespace, plural] => collection(plural, Some(namespace)),
        ["namespaces", namespace, plural, name] => object(plural, namespace, name, None),
        ["namespaces", namespace, plural, name, part] => object(plural, namespace, name, Some(part)),
        _ => None,
    };
    found.unwrap_or(Route::Nowhere)
}

fn is_namespaced(route: &Route) -> bool {
    matches!(route, Route::Object { kind, .. } if kind.resource().is_namespaced)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_where_kubernetes_says() {
        let pods = Route::Collection { kind: Kind::Pod, namespace: Some("micro".into()) };
        assert_eq!(route("/api/v1/namespaces/micro/pods"), pods);
        assert_eq!(route("/api/v1/pods"), Route::Collection { kind: Kind::Pod, namespace: None });
        assert_eq!(
            route("/apis/coordination.k8s.io/v1/namespaces/default/leases/muster"),
            Route::Object {
                kind: Kind::Lease,
                namespace: "default".into(),
                name: "muster".into(),
                part: None
            }
        );
        assert_eq!(route("/apis/apps/v1/namespaces/default/pods"), Route::Nowhere);
    }

    #[test]
    fn queries_are_split_leniently() {
        let query = query("&labelSelector=a%3Db%2Cc+in+%28d%29&watch=true&");
        assert_eq!(query["labelSelector"], "a=b,c in (d)");
        assert_eq!(query["watch"], "true");
        assert_eq!(query.len(), 2);
    }
}
