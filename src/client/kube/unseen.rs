//! Secrets of Kubernetes without their values: which keys there are, and whether something stands behind each.
//!
//! Lives here: reading a Secret, or a list of them, so that no value ever becomes one of ours. Does not: asking for it
//! (`objects`).

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::{Deserialize as Deserialized, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

/// Whether an answer holds Secrets: by the path that was asked, or by what it says it is.
pub(super) fn is_secret(path: &str, text: &str) -> bool {
    let place = path.split('?').next().unwrap_or(path);
    let asked = place.split('/').any(|part| part.eq_ignore_ascii_case("secrets") || part.contains('%'));
    let told: Result<Told, _> = serde_json::from_str(text);
    asked || told.is_ok_and(|told| matches!(told.kind.as_deref(), Some("Secret" | "SecretList")))
}

/// The answer with `true` instead of each value, and `false` instead of an empty one. Annotations go too: `kubectl apply`
/// keeps a copy of the whole object there. `None` if it is neither a Secret, nor a list of them, nor a refusal.
pub(super) fn without_values(text: &str) -> Option<String> {
    let told: Told = serde_json::from_str(text).ok()?;
    match told.kind.as_deref() {
        Some("Secret") => shown(&serde_json::from_str::<Secret>(text).ok()?),
        Some("SecretList") => shown(&serde_json::from_str::<List>(text).ok()?),
        Some("Status") => Some(text.to_owned()),
        _ => None,
    }
}

fn shown(secrets: &impl Serialize) -> Option<String> {
    serde_json::to_string(secrets).ok()
}

#[derive(Deserialized)]
struct Told {
    kind: Option<String>,
}

#[derive(Deserialized, Serialize)]
#[serde(rename_all = "camelCase")]
struct List {
    api_version: Option<String>,
    kind: Option<String>,
    metadata: Option<Value>,
    items: Vec<Secret>,
}

#[derive(Deserialized, Serialize)]
#[serde(rename_all = "camelCase")]
struct Secret {
    api_version: Option<String>,
    kind: Option<String>,
    metadata: Metadata,
    #[serde(rename = "type")]
    kind_of_secret: Option<String>,
    #[serde(default)]
    data: BTreeMap<String, IsFilled>,
}

#[derive(Deserialized, Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    creation_timestamp: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

/// Whether something stands behind a key. The value is looked at where the parser has it, and not kept.
#[derive(Serialize)]
struct IsFilled(bool);

impl<'de> Deserialize<'de> for IsFilled {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Look;
        impl Visitor<'_> for Look {
            type Value = IsFilled;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value in base64")
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<IsFilled, E> {
                Ok(IsFilled(!value.is_empty()))
            }

            fn visit_unit<E: de::Error>(self) -> Result<IsFilled, E> {
                Ok(IsFilled(false))
            }
        }
        deserializer.deserialize_any(Look)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = r#"{"kind":"Secret","apiVersion":"v1","metadata":{"name":"keys","annotations":{"copy":"aHVzaA=="}},
        "data":{"slack":"aHVzaA==","empty":"","none":null},"type":"Opaque"}"#;

    #[test]
    fn keys_are_told_and_no_value() {
        let list = format!(r#"{{"kind":"SecretList","apiVersion":"v1","metadata":{{}},"items":[{SECRET}]}}"#);
        for (text, at) in [(SECRET.to_owned(), ""), (list, "/items/0")] {
            let told = without_values(&text).unwrap();
            assert!(!told.contains("aHVz"), "{told}");
            let told: Value = serde_json::from_str(&told).unwrap();
            let data = told.pointer(&format!("{at}/data")).unwrap();
            assert_eq!(data, &serde_json::json!({ "slack": true, "empty": false, "none": false }));
        }
    }

    #[test]
    fn what_is_not_understood_is_not_shown_and_a_refusal_is() {
        for text in
            ["", "aHVzaA==", r#"{"kind":"Table","rows":["aHVzaA=="]}"#, r#"{"kind":"Secret","data":7}"#]
        {
            assert_eq!(without_values(text), None, "{text}");
        }
        let refused = r#"{"kind":"Status","code":403}"#;
        assert_eq!(without_values(refused).as_deref(), Some(refused));
    }

    #[test]
    fn secrets_are_known_by_path_and_by_kind() {
        for (path, text, expected) in [
            ("/api/v1/namespaces/default/secrets/keys", "", true),
            ("/api/v1/secrets?limit=1", "", true),
            ("/api/v1/namespaces/default/%73ecrets/keys", "", true),
            ("/api/v1/namespaces/default/pods", SECRET, true),
            ("/api/v1/namespaces/default/pods", r#"{"kind":"PodList"}"#, false),
            ("/api/v1/namespaces/secrets-of-x/pods?x=/secrets/", "", false),
        ] {
            assert_eq!(is_secret(path, text), expected, "{path}");
        }
    }
}
