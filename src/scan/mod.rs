//! Bytes in, findings out: pure searches that share nothing with the platform.
//!
//! Lives here: the search for canaries, in every form in which they can travel. Does not: what a finding means
//! (`judge`), nor the hiding of known secrets (`secret`).

use crate::secret::Mask;

/// Whether a mark is seen in these bytes, plain, in any encoding that [`Mask`] knows, in UTF-16, or in letters of another case.
/// A mark is of ASCII, and like no other in whatever case.
pub fn shows(bytes: &[u8], mark: &str) -> bool {
    let (search, small) = (Mask::new(), Mask::new());
    search.learn(mark);
    small.learn(&mark.to_ascii_lowercase());
    // A letter of ASCII is a byte and a zero in UTF-16.
    let without_zeros: Vec<u8> = bytes.iter().copied().filter(|byte| *byte != 0).collect();
    search.finds_in(&without_zeros) || small.finds_in(&without_zeros.to_ascii_lowercase())
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

    #[test]
    fn a_canary_is_seen_in_other_letters() {
        let canary = "canary-7f3a91-Note";
        assert!(shows(b"NO RECORD CANARY-7F3A91-NOTE HERE", canary));
        assert!(shows(b"canary%2D7f3a91%2Dnote", &canary.to_uppercase()));
        let wide = |write: fn(u16) -> [u8; 2]| canary.encode_utf16().flat_map(write).collect::<Vec<u8>>();
        assert!(shows(&wide(u16::to_le_bytes), canary) && shows(&wide(u16::to_be_bytes), canary));
        assert!(!shows(b"CANARY-7F3A92-NOTE", canary));
    }
}
