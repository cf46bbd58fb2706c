//! The forms in which a secret travels.
//!
//! Lives here: from one secret to the byte patterns that betray it. Does not: the escapes of JSON and HTML (`text`), the search
//! for the patterns.

mod pattern;
mod text;

use base64::prelude::*;
pub(super) use pattern::Pattern;
use std::collections::BTreeSet;
use text::with_slashes;

/// Secrets longer than [`LONG_SECRET_BYTES`] are known by parts of this many bytes from their end: a token's last
/// bytes are its signature, without which the rest opens nothing.
pub(super) const ANCHOR_BYTES: usize = 32;
const LONG_SECRET_BYTES: usize = 4 * ANCHOR_BYTES;

/// Every pattern of one secret; none is empty.
pub(super) fn patterns(secret: &[u8]) -> Vec<Pattern> {
    let is_long = secret.len() > LONG_SECRET_BYTES;
    let parts: Vec<&[u8]> = if is_long {
        secret[secret.len() - LONG_SECRET_BYTES..].chunks(ANCHOR_BYTES).collect()
    } else {
        vec![secret]
    };
    let wholes: BTreeSet<Vec<u8>> = parts.into_iter().flat_map(encoded).filter(|it| !it.is_empty()).collect();
    let cut = if is_long { vec![] } else { Pattern::cut(secret) };
    wholes.into_iter().map(Pattern::whole).chain(cut).collect()
}

fn encoded(part: &[u8]) -> Vec<Vec<u8>> {
    let text = String::from_utf8_lossy(part);
    let mut all = vec![part.to_vec(), hex(part, false), hex(part, true)];
    for letters in base64_patterns(part) {
        all.push(percent(letters.as_bytes(), "", true).into());
        all.push(with_slashes(&letters).into());
        all.push(letters.into());
    }
    let every_byte = |upper: bool| part.iter().map(|byte| percent_of(*byte, upper)).collect::<String>();
    all.extend([every_byte(true).into(), every_byte(false).into()]);
    // Letters and digits are escaped by nobody.
    if !part.iter().all(u8::is_ascii_alphanumeric) {
        let escaped = [percents(part), text::in_html(&text), text::in_json(&text)];
        all.extend(escaped.into_iter().flatten().map(String::into_bytes));
    }
    all
}

/// The letters that surely stand for the secret, whatever stands before and behind it.
fn base64_patterns(part: &[u8]) -> Vec<String> {
    let mut all = vec![];
    for lead in 0..3_usize {
        let padded = [vec![0; lead], part.to_vec()].concat();
        let from = [0, 2, 3][lead];
        let is_whole = padded.len().is_multiple_of(3);
        for text in [BASE64_STANDARD_NO_PAD.encode(&padded), BASE64_URL_SAFE_NO_PAD.encode(&padded)] {
            let to = text.len() - usize::from(!is_whole);
            all.push(text[from..to].to_owned());
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

/// What writers of addresses keep beside letters and digits.
const KEPT: [&str; 13] = [
    "",
    "-._~",
    // Paths: Python, Go, RFC 3986, the URL standard.
    "-._~/",
    "-._~$&+,/:;=@",
    "-._~!$&'()*+,;=:@/",
    "!$%&'()*+,-./:;=@[\\]^_|~",
    // Segments of a path: Go, RFC 3986.
    "-._~$&+:=@",
    "-._~!$&'()*+,;=:@",
    // What stands before the @: Go, RFC 3986, the URL standard.
    "-._~$&+,;=",
    "-._~!$&'()*+,;=:",
    "!$%&'()*+,-._~",
    // JavaScript.
    "-._~!*'()",
    "-._~!*'();,/?:@&=+$#",
];

/// What writers of forms keep beside letters and digits.
const KEPT_IN_FORMS: [&str; 2] = ["-._~", "-._*"];

fn percents(part: &[u8]) -> Vec<String> {
    let mut all = vec![];
    for upper in [true, false] {
        for kept in KEPT {
            let text = percent(part, kept, upper);
            all.extend([with_slashes(&text), text]);
        }
        let forms = KEPT_IN_FORMS.iter().map(|kept| percent(part, kept, upper));
        all.extend(forms.map(|text| text.replace("%20", "+")));
    }
    all
}

/// Everything but letters, digits, and what is kept.
fn percent(part: &[u8], kept: &str, upper: bool) -> String {
    let one = |byte: &u8| {
        if byte.is_ascii_alphanumeric() || kept.as_bytes().contains(byte) {
            char::from(*byte).to_string()
        } else {
            percent_of(*byte, upper)
        }
    };
    part.iter().map(one).collect()
}

fn percent_of(byte: u8, upper: bool) -> String {
    if upper { format!("%{byte:02X}") } else { format!("%{byte:02x}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text holds a pattern of the secret.
    fn is_known(secret: &str, text: &str) -> bool {
        let all = patterns(secret.as_bytes());
        let holds = |pattern: &[u8]| text.as_bytes().windows(pattern.len()).any(|part| part == pattern);
        all.iter().any(|pattern| holds(pattern.as_ref()))
    }

    #[test]
    fn what_writers_of_json_escape_is_known() {
        for text in [
            r"Tr0\/b4&3<h>'\u00e9",
            r"Tr0\\/b4&3<h>'\\u00e9",
            r"Tr0\\\/b4&3<h>'\\u00e9",
            r"Tr0/b4\u00263\u003ch\u003e'é",
            r"Tr0/b4\\u00263\\u003ch\\u003e'é",
            r"Tr0/b4\\\\u00263\\\\u003ch\\\\u003e'é",
            r"Tr0/b4\u00263\u003Ch\u003E\u0027\u00E9",
            r"Tr0\/b4\u00263\u003Ch\u003E\u0027\u00E9",
            r"Tr0\u002fb4\u00263\u003ch\u003e\u0027\u00e9",
            r"Tr0\u002Fb4\u00263\u003Ch\u003E\u0027\u00E9",
            r"Tr0\\u002fb4\\u00263\\u003ch\\u003e\\u0027\\u00e9",
        ] {
            assert!(is_known("Tr0/b4&3<h>'é", text), "{text}");
        }
    }

    #[test]
    fn what_writers_of_html_escape_is_known() {
        for text in [
            r#"Tr0/b4&amp;3&lt;h&gt;"'"#,
            "Tr0/b4&amp;3&lt;h&gt;&quot;'",
            "Tr0/b4&amp;3&lt;h&gt;&quot;&#39;",
            "Tr0/b4&amp;3&lt;h&gt;&quot;&#x27;",
            "Tr0/b4&amp;3&lt;h&gt;&#34;&#39;",
            "Tr0&#x2F;b4&amp;3&lt;h&gt;&quot;&#39;",
            r"Tr0\/b4&amp;3&lt;h&gt;&quot;&#039;",
            r"Tr0/b4\u0026amp;3\u0026lt;h\u0026gt;\u0026#34;\u0026#39;",
            r"Tr0/b4&amp;3&lt;h&gt;\&quot;&#39;",
            r#"Tr0/b4&amp;3&lt;h&gt;\"'"#,
        ] {
            assert!(is_known("Tr0/b4&3<h>\"'", text), "{text}");
        }
    }

    #[test]
    fn what_writers_of_addresses_and_forms_keep_is_known() {
        for text in [
            "Tr0/b4%263%3Ch%3E%20%3D%3A%2B%40~",
            "Tr0/b4%263%3ch%3e%20%3d%3a%2b%40~",
            "Tr0%2Fb4&3%3Ch%3E%20=:+@~",
            "Tr0/b4&3%3Ch%3E%20=:+@~",
            "Tr0%2Fb4&3%3Ch%3E%20=%3A+%40~",
            r"Tr0\/b4&3%3Ch%3E%20=:+@~",
            "Tr0%2Fb4%263%3Ch%3E+%3D%3A%2B%40%7E",
            "Tr0%2Fb4%263%3Ch%3E+%3D%3A%2B%40~",
        ] {
            assert!(is_known("Tr0/b4&3<h> =:+@~", text), "{text}");
        }
    }

    #[test]
    fn base64_is_known_where_its_signs_are_escaped() {
        let secret = "a>?>?>?>?b>?>?>?";
        let plain = BASE64_STANDARD_NO_PAD.encode(secret);
        assert!(plain.contains('/') && plain.contains('+'), "{plain}");
        for text in [plain.replace('/', "\\/"), plain.replace('/', "%2F").replace('+', "%2B")] {
            assert!(is_known(secret, &text), "{text}");
        }
    }

    #[test]
    fn no_pattern_is_shorter_than_its_secret_and_few_are_of_letters_and_digits() {
        for secret in ["hunter22", "q7!Zk-92_xV/w+Tt\"'\\é", "a b/c&d<e>"] {
            assert!(encoded(secret.as_bytes()).iter().all(|pattern| pattern.len() >= secret.len()));
        }
        assert!(patterns(b"240bf196257143569539b3b6b82127c0").len() < 12);
    }
}
