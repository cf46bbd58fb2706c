//! Bytes in, findings out: pure searches that share nothing with the platform.
//!
//! Lives here: the search for canaries, in every form in which they can travel. Does not: what a finding means
//! (`judge`), nor the hiding of known secrets (`secret`).

use crate::secret::Mask;

/// Whether a mark is seen in these bytes, plain or in any encoding that [`Mask`] knows.
pub fn shows(bytes: &[u8], mark: &str) -> bool {
    let search = Mask::new();
    search.learn(mark);
    search.finds_in(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::prelude::*;

    #[test]
    fn a_canary_is_seen_plain_and_encoded() {
        let canary = "canary-7f3a91-note";
        assert!(shows(format!("error: no record {canary} here").as_bytes(), canary));
        assert!(shows(format!("{{\"value\":\"{}\"}}", BASE64_STANDARD.encode(canary)).as_bytes(), canary));
        assert!(!shows(b"nothing to see", canary));
    }
}
