//! Who may ask a bucket: AWS Signature Version 4, in the query.
//!
//! Lives here: the check of a signature, by the rules that AWS publishes for presigned requests. Does not: making one, nor
//! looking at the clock: that of the fakes is moved.

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

/// A key that signs.
pub(super) struct Key<'k> {
    pub(super) id: &'k str,
    pub(super) secret: &'k str,
}

impl Key<'_> {
    /// Whether a request was signed with this key; else the code of S3 for what is wrong.
    pub(super) fn signs(
        &self,
        method: &str,
        path: &str,
        query: &str,
        host: &str,
    ) -> Result<(), &'static str> {
        let value = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        let (credential, date) = (value("X-Amz-Credential"), value("X-Amz-Date"));
        let (credential, date) = credential.zip(date).ok_or("AccessDenied")?;
        let (id, scope) = credential.split_once("%2F").ok_or("AuthorizationQueryParametersError")?;
        if id != self.id {
            return Err("InvalidAccessKeyId");
        }
        let scope = scope.replace("%2F", "/");
        let mut pairs: Vec<&str> =
            query.split('&').filter(|pair| !pair.starts_with("X-Amz-Signature=")).collect();
        pairs.sort_unstable();
        let canonical =
            format!("{method}\n{path}\n{}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD", pairs.join("&"));
        let hash = hex(&Sha256::digest(canonical.as_bytes()));
        let to_sign = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{hash}");
        let first = format!("AWS4{}", self.secret).into_bytes();
        let key = scope.split('/').fold(first, |key, part| signed(&key, part));
        let is_right = value("X-Amz-Signature") == Some(hex(&signed(&key, &to_sign)).as_str());
        if is_right { Ok(()) } else { Err("SignatureDoesNotMatch") }
    }
}

fn signed(key: &[u8], text: &str) -> Vec<u8> {
    // HMAC takes a key of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return vec![] };
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of a presigned request in AWS's documentation of Signature Version 4.
    #[test]
    fn the_published_example_is_accepted_and_every_change_is_not() {
        let key = Key { id: "AKIAIOSFODNN7EXAMPLE", secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY" };
        let query = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2F\
                     aws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=\
                     aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";
        let host = "examplebucket.s3.amazonaws.com";
        assert_eq!(key.signs("GET", "/test.txt", query, host), Ok(()));
        let wrong = Err("SignatureDoesNotMatch");
        assert_eq!(key.signs("PUT", "/test.txt", query, host), wrong);
        assert_eq!(key.signs("GET", "/other.txt", query, host), wrong);
        assert_eq!(key.signs("GET", "/test.txt", &query.replace("86400", "86401"), host), wrong);
        assert_eq!(key.signs("GET", "/test.txt", query, "elsewhere.test"), wrong);
        assert_eq!(Key { secret: "another", ..key }.signs("GET", "/test.txt", query, host), wrong);
        assert_eq!(key.signs("GET", "/test.txt", "", host), Err("AccessDenied"));
        let other = Key { id: "OTHER", secret: key.secret };
        assert_eq!(other.signs("GET", "/test.txt", query, host), Err("InvalidAccessKeyId"));
    }
}
