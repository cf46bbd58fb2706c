//! Whether the body of an answer stands there as it is: with one length, and not encoded.
//!
//! Lives here: what the head of an answer says of its body, before anything of that is judged. Does not: reading it (`http`,
//! `grpc`).

use super::SendError;
use ::http::HeaderMap;
use ::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderName, TRANSFER_ENCODING};

/// No more of what a header says is shown.
const SHOWN_CHARACTERS: usize = 40;

/// Refuses a head that leaves open where its body ends: whoever stands in between may read another answer than we do (RFC 9112
/// §6.3).
///
/// # Errors
/// If it has two lengths, or its body comes in a form that nobody may choose without being asked (§6.1).
pub(super) fn has_one_length(head: &HeaderMap) -> Result<(), SendError> {
    if !head.contains_key(TRANSFER_ENCODING) {
        return Ok(());
    }
    if head.contains_key(CONTENT_LENGTH) {
        return Err(SendError::Malformed(
            "both `Content-Length` and `Transfer-Encoding` say its length".into(),
        ));
    }
    match said(head, &TRANSFER_ENCODING) {
        said if said.eq_ignore_ascii_case("chunked") => Ok(()),
        said => Err(SendError::Malformed(format!(
            "wanted no transfer encoding but `chunked`, found `{}`",
            short(&said)
        ))),
    }
}

/// Refuses a body that is said to be encoded (RFC 9110 §8.4), whoever asked for it: it would be judged, and searched for what must
/// not be there, as something that it is not.
///
/// # Errors
/// If there is such a body.
pub(super) fn is_not_encoded(head: &HeaderMap, body: &[u8]) -> Result<(), SendError> {
    let said = said(head, &CONTENT_ENCODING);
    let is_plain =
        said.split(',').map(str::trim).all(|it| it.is_empty() || it.eq_ignore_ascii_case("identity"));
    if is_plain || body.is_empty() {
        return Ok(());
    }
    Err(SendError::Malformed(format!(
        "wanted a body that is not encoded, found `Content-Encoding: {}`",
        short(&said)
    )))
}

/// All that a header says, however many lines it has.
fn said(head: &HeaderMap, name: &HeaderName) -> String {
    let lines: Vec<_> =
        head.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
    lines.join(", ").trim().to_owned()
}

/// Words of a protocol; what is none, or much, is not shown: half of a secret would not be known as one.
fn short(said: &str) -> &str {
    let is_word = said.len() <= SHOWN_CHARACTERS
        && said.chars().all(|letter| letter.is_ascii_alphabetic() || ", -".contains(letter));
    if is_word { said } else { "something else" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    fn told(result: Result<(), SendError>) -> String {
        result.map_or_else(|error| error.to_string(), |()| "ok".into())
    }

    #[test]
    fn a_body_has_one_length() {
        let (length, chunked) = (("content-length", "2"), ("transfer-encoding", "chunked"));
        for fine in [&[][..], &[length], &[chunked], &[("transfer-encoding", "Chunked ")]] {
            assert_eq!(told(has_one_length(&head(fine))), "ok", "{fine:?}");
        }
        let two = "the answer cannot be read: both `Content-Length` and `Transfer-Encoding` say its length";
        assert_eq!(told(has_one_length(&head(&[length, chunked]))), two);
        for coded in
            [&[("transfer-encoding", "gzip"), chunked][..], &[("transfer-encoding", "gzip, chunked")]]
        {
            let wanted = "wanted no transfer encoding but `chunked`, found `gzip, chunked`";
            assert_eq!(told(has_one_length(&head(coded))), format!("the answer cannot be read: {wanted}"));
        }
        assert_ne!(told(has_one_length(&head(&[chunked, chunked]))), "ok");
    }

    #[test]
    fn a_body_is_not_encoded() {
        for plain in ["", "identity", "Identity, identity"] {
            assert_eq!(told(is_not_encoded(&head(&[("content-encoding", plain)]), b"{}")), "ok", "{plain}");
        }
        for coded in ["gzip", "GZIP", "br", "identity, gzip", "of-our-own"] {
            let head = head(&[("content-encoding", coded)]);
            let wanted = format!("wanted a body that is not encoded, found `Content-Encoding: {coded}`");
            assert_eq!(told(is_not_encoded(&head, b"{}")), format!("the answer cannot be read: {wanted}"));
            assert_eq!(told(is_not_encoded(&head, b"")), "ok", "there is nothing to read");
        }
        let long = head(&[(
            "content-encoding",
            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        )]);
        assert!(told(is_not_encoded(&long, b"{}")).ends_with("found `Content-Encoding: something else`"));
    }
}
