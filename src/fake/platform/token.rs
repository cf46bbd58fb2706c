//! Access tokens: JSON web tokens whose signature only this fake can make.
//!
//! Lives here: minting and checking. Does not: refresh tokens and accounts (`service::auth`).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::Sha256;
use std::collections::BTreeMap;

const HEADER: &str = r#"{"alg":"RS256","typ":"JWT"}"#;

/// Who a token says it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claims {
    /// `user`, `service` or any other text.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// The account's scopes.
    #[serde(default, deserialize_with = "list_or_null")]
    pub(crate) scopes: Vec<String>,
    /// The account's metadata.
    #[serde(default)]
    pub(crate) metadata: BTreeMap<String, String>,
    /// The account's name.
    pub(crate) name: String,
    /// The end of its life, in seconds since the Unix epoch, exclusive.
    pub(crate) exp: i64,
    /// The namespace that issued the account.
    pub(crate) iss: String,
    /// The account's id.
    pub(crate) sub: String,
}

impl Claims {
    /// The identity that a service of namespace micro calls others with.
    pub(crate) fn of_service(name: &str) -> Self {
        let id = format!("{name}-latest");
        Self {
            kind: "service".to_owned(),
            scopes: vec!["service".to_owned()],
            metadata: BTreeMap::new(),
            name: id.clone(),
            exp: i64::MAX,
            iss: "micro".to_owned(),
            sub: id,
        }
    }
}

fn list_or_null<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    Ok(Option::<Vec<String>>::deserialize(from)?.unwrap_or_default())
}

/// Signs the claims.
pub(crate) fn mint(key: &[u8], claims: &Claims) -> String {
    let mut payload = serde_json::to_value(claims).unwrap_or_default();
    if claims.scopes.is_empty() {
        payload["scopes"] = Value::Null;
    }
    let signed = format!("{}.{}", BASE64.encode(HEADER), BASE64.encode(payload.to_string()));
    let signature = BASE64.encode(signature(key, &signed));
    format!("{signed}.{signature}")
}

/// Reads a token with a good signature; its age is not looked at.
pub(crate) fn read(key: &[u8], token: &str) -> Option<Claims> {
    let (signed, given) = token.rsplit_once('.')?;
    let (_, payload) = signed.split_once('.')?;
    let given = BASE64.decode(given).ok()?;
    if signature(key, signed) != given {
        return None;
    }
    serde_json::from_slice(&BASE64.decode(payload).ok()?).ok()
}

/// As long as the real platform's (512 bytes): the keyed hash of the text, again and again.
fn signature(key: &[u8], signed: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    for round in 0..16_u8 {
        out.extend_from_slice(&keyed_hash(key, &[signed.as_bytes(), &[round]].concat()));
    }
    out
}

/// HMAC-SHA256.
pub(crate) fn keyed_hash(key: &[u8], text: &[u8]) -> Vec<u8> {
    match Hmac::<Sha256>::new_from_slice(key) {
        Ok(mut mac) => {
            mac.update(text);
            mac.finalize().into_bytes().to_vec()
        }
        Err(_) => Vec::new(),
    }
}
