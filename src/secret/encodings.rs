//! The forms in which a secret travels.
//!
//! Lives here: from one secret to the byte patterns that betray it. Does not: the search for them.

use base64::prelude::*;
use std::collections::BTreeSet;

/// Secrets longer than [`LONG_SECRET_BYTES`] are known by parts of this many bytes from their end: a token's last
/// bytes are its signature, without which the rest opens nothing.
pub(super) const ANCHOR_BYTES: usize = 32;
const LONG_SECRET_BYTES: usize = 4 * ANCHOR_BYTES;

/// Every pattern of one secret; none is empty.
pub(super) fn patterns(secret: &[u8]) -> Vec<Vec<u8>> {
    let parts: Vec<&[u8]> = if secret.len() > LONG_SECRET_BYTES {
        secret[secret.len() - LONG_SECRET_BYTES..].chunks(ANCHOR_BYTES).collect()
    } else {
        vec![secret]
    };
    let all: BTreeSet<Vec<u8>> = parts.into_iter().flat_map(encoded).filter(|it| !it.is_empty()).collect();
    all.into_iter().collect()
}

fn encoded(part: &[u8]) -> Vec<Vec<u8>> {
    let text = String::from_utf8_lossy(part);
    let json = json(&text);
    let mut all = vec![part.to_vec(), hex(part, false), hex(part, true)];
    all.extend(base64_patterns(part));
    all.extend([percent(part, true, false), percent(part, false, false), form(part)]);
    all.extend([percent(part, true, true), percent(part, false, true)]);
    all.push(self::json(&json).into_bytes());
    all.push(as_go_writes(&json).into_bytes());
    all.push(json.into_bytes());
    all
}

/// The letters that surely stand for the secret, whatever stands before and behind it.
fn base64_patterns(part: &[u8]) -> Vec<Vec<u8>> {
    let mut all = vec![];
    for lead in 0..3_usize {
        let padded = [vec![0; lead], part.to_vec()].concat();
        let from = [0, 2, 3][lead];
        let is_whole = padded.len().is_multiple_of(3);
        for text in [BASE64_STANDARD_NO_PAD.encode(&padded), BASE64_URL_SAFE_NO_PAD.encode(&padded)] {
            let to = text.len() - usize::from(!is_whole);
            all.push(text.as_bytes()[from..to].to_vec());
        }
    }
    all
}

fn hex(part: &[u8], upper: bool) -> Vec<u8> {
    part.iter()
        .map(|byte| if upper { format!("{byte:02X}") } else { format!("{byte:02x}") })
        .collect::<String>()
        .into()
}

fn percent(part: &[u8], upper: bool, every_byte: bool) -> Vec<u8> {
    let one = |byte: &u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' if !every_byte => {
            char::from(*byte).to_string()
        }
        _ if upper => format!("%{byte:02X}"),
        _ => format!("%{byte:02x}"),
    };
    part.iter().map(one).collect::<String>().into()
}

fn form(part: &[u8]) -> Vec<u8> {
    String::from_utf8_lossy(&percent(part, true, false)).replace("%20", "+").into()
}

fn json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// Go's encoder escapes three more characters.
fn as_go_writes(json: &str) -> String {
    json.replace('&', "\\u0026").replace('<', "\\u003c").replace('>', "\\u003e")
}
