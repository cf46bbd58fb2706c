//! Bytes in, findings out: pure searches that share nothing with the platform.
//!
//! Lives here: the search for canaries, in every form in which they can travel. Does not: what a finding means
//! (`judge`), nor the hiding of known secrets (`secret`).

use crate::secret::Mask;

/// A mark, and how to find it.
pub struct Mark {
    search: Mask,
    small: Mask,
}

impl Mark {
    /// A text of ASCII that is like no other in whatever case.
    pub fn of(text: &str) -> Self {
        let (search, small) = (Mask::new(), Mask::new());
        let wide =
            |before: &str, behind: &str| text.chars().map(|it| format!("{before}{it}{behind}")).collect();
        let encoded: [String; 3] = [text.to_ascii_uppercase(), wide("", "\0"), wide("\0", "")];
        search.learn(text);
        encoded.iter().for_each(|it| search.learn(it));
        small.learn(&text.to_ascii_lowercase());
        Self { search, small }
    }

    /// Whether it is seen in these bytes: plain, in letters of another case, in UTF-16; or itself, all in capitals, or in
    /// UTF-16, in any encoding that [`Mask`] knows.
    pub fn is_in(&self, bytes: &[u8]) -> bool {
        // A letter of ASCII is a byte and a zero in UTF-16.
        let without_zeros: Vec<u8> = bytes.iter().copied().filter(|byte| *byte != 0).collect();
        self.search.finds_in(&without_zeros) || self.small.finds_in(&without_zeros.to_ascii_lowercase())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::prelude::*;

    fn shows(bytes: &[u8], mark: &str) -> bool {
        Mark::of(mark).is_in(bytes)
    }

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
        let capitals = canary.to_uppercase();
        let escaped: String = capitals.bytes().map(|byte| format!("\\u{byte:04x}")).collect();
        let digits: String = capitals.bytes().map(|byte| format!("{byte:02X}")).collect();
        assert!(shows(escaped.as_bytes(), canary) && shows(digits.as_bytes(), canary));
        for encoded in [capitals.into_bytes(), wide(u16::to_le_bytes), wide(u16::to_be_bytes)] {
            assert!(shows(BASE64_STANDARD.encode(encoded).as_bytes(), canary));
        }
        assert!(!shows(b"CANARY-7F3A92-NOTE", canary));
    }
}
