//! The encodings in which a text may carry a secret, and a search for all of them at once.

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};

/// An encoding: its name, and what a secret looks like in it.
type Encoding = (&'static str, fn(&str) -> String);

pub(super) const ENCODINGS: [Encoding; 32] = [
    ("as it is", str::to_owned),
    ("backwards", |secret| secret.chars().rev().collect()),
    ("hex", |secret| each(secret, |byte| format!("{byte:02x}"))),
    ("upper-case hex", |secret| each(secret, |byte| format!("{byte:02X}"))),
    ("hex with blanks", |secret| each(secret, |byte| format!("{byte:02x} ")).trim_end().to_owned()),
    ("percent", |secret| each(secret, |byte| format!("%{byte:02X}"))),
    ("lower-case percent", |secret| each(secret, |byte| format!("%{byte:02x}"))),
    ("percent where it must be", |secret| {
        each(secret, |byte| {
            if byte.is_ascii_alphanumeric() { char::from(byte).into() } else { format!("%{byte:02X}") }
        })
    }),
    ("JSON escapes", |secret| each(secret, |byte| format!("\\u{byte:04x}"))),
    ("JSON escapes where they may be", |secret| marks(secret, |mark| format!("\\u{:04x}", u32::from(mark)))),
    ("upper-case JSON escapes", |secret| marks(secret, |mark| format!("\\u{:04X}", u32::from(mark)))),
    ("JSON escapes in JSON", |secret| marks(secret, |mark| format!("\\\\u{:04x}", u32::from(mark)))),
    ("slashes of PHP", |secret| {
        marks(secret, |mark| if "/\"\\".contains(mark) { format!("\\{mark}") } else { mark.into() })
    }),
    ("percent of a path", |secret| {
        marks(
            secret,
            |mark| {
                if "/-._~".contains(mark) { mark.into() } else { format!("%{:02X}", u32::from(mark)) }
            },
        )
    }),
    ("percent before the @", |secret| {
        marks(secret, |mark| {
            if "!$&'()*+,;=-._~".contains(mark) { mark.into() } else { format!("%{:02X}", u32::from(mark)) }
        })
    }),
    ("HTML", |secret| html(secret, "&quot;", "&#39;")),
    ("XML", |secret| html(secret, "&#34;", "&apos;")),
    ("decimal references", |secret| each(secret, |byte| format!("&#{byte};"))),
    ("hexadecimal references", |secret| each(secret, |byte| format!("&#x{byte:x};"))),
    ("JSON escapes, upper-case digits", |secret| each(secret, |byte| format!("\\u{byte:04X}"))),
    ("JSON escapes of all in JSON", |secret| each(secret, |byte| format!("\\\\u{byte:04x}"))),
    ("bytes of a program's text", |secret| each(secret, |byte| format!("\\x{byte:02x}"))),
    ("bytes of a program's text, upper-case digits", |secret| each(secret, |byte| format!("\\x{byte:02X}"))),
    ("hexadecimal references, upper-case digits", |secret| each(secret, |byte| format!("&#x{byte:X};"))),
    ("references of three digits", |secret| each(secret, |byte| format!("&#{byte:03};"))),
    ("list of bytes", |secret| each(secret, |byte| format!("{byte}, ")).trim_end_matches(", ").to_owned()),
    ("base64, first alignment", |secret| aligned(secret, 0, false)),
    ("base64, second alignment", |secret| aligned(secret, 1, false)),
    ("base64, third alignment", |secret| aligned(secret, 2, false)),
    ("base64 for addresses, first alignment", |secret| aligned(secret, 0, true)),
    ("base64 for addresses, second alignment", |secret| aligned(secret, 1, true)),
    ("base64 twice", |secret| {
        let twice = BASE64_STANDARD.encode(BASE64_STANDARD.encode(secret));
        twice[..twice.len() / 4 * 4 - 4].to_owned()
    }),
];

fn each(secret: &str, byte: impl Fn(u8) -> String) -> String {
    secret.bytes().map(byte).collect()
}

/// Every character that is no letter and no digit is written otherwise.
fn marks(secret: &str, write: impl Fn(char) -> String) -> String {
    secret.chars().map(|it| if it.is_ascii_alphanumeric() { it.into() } else { write(it) }).collect()
}

fn html(secret: &str, double: &str, single: &str) -> String {
    marks(secret, |mark| match mark {
        '&' => "&amp;".into(),
        '<' => "&lt;".into(),
        '>' => "&gt;".into(),
        '"' => double.into(),
        '\'' => single.into(),
        _ => mark.into(),
    })
}

/// What every base64 of a text that holds the secret at this alignment has in common.
fn aligned(secret: &str, before: usize, is_for_addresses: bool) -> String {
    let text = [&b"\0\0"[..before], secret.as_bytes()].concat();
    let whole =
        if is_for_addresses { BASE64_URL_SAFE_NO_PAD.encode(text) } else { BASE64_STANDARD.encode(text) };
    // Characters that also depend on what stands before and behind.
    let from = [0, 2, 3][before];
    let until = (before + secret.len()) * 8 / 6;
    whole[from..until].to_owned()
}

/// Looks for many secrets in all encodings.
pub(super) struct Searcher {
    automaton: AhoCorasick,
    /// The secret and the encoding of each pattern.
    meaning: Vec<(usize, &'static str)>,
}

impl Searcher {
    pub(super) fn of(secrets: &[String]) -> Self {
        let mut patterns = vec![];
        let mut meaning = vec![];
        for (number, secret) in secrets.iter().enumerate() {
            for (name, encode) in ENCODINGS {
                patterns.push(encode(secret));
                meaning.push((number, name));
            }
        }
        Self { automaton: AhoCorasick::new(patterns).unwrap(), meaning }
    }

    /// What was found and where, also where line breaks and indents break it: by number, for the secret itself is not to be
    /// shown.
    pub(super) fn hits(&self, bytes: &[u8]) -> Vec<String> {
        let mut found = self.hits_in(bytes);
        let mut begins = false;
        let unbroken = bytes.iter().copied().filter(|byte| {
            begins = matches!(byte, b'\n' | b'\r') || (begins && matches!(byte, b' ' | b'\t'));
            !begins
        });
        let unbroken: Vec<u8> = unbroken.collect();
        found.extend(self.hits_in(&unbroken));
        // Breaks that a quoted text writes as letters.
        let written = regex::bytes::Regex::new(r"(\\+[nr])+(\\+t| )*").unwrap();
        found.extend(self.hits_in(&written.replace_all(&unbroken, &b""[..])));
        found
    }

    fn hits_in(&self, bytes: &[u8]) -> Vec<String> {
        let hits = self.automaton.find_overlapping_iter(bytes).map(|hit| {
            let (secret, encoding) = self.meaning[hit.pattern().as_usize()];
            let around =
                String::from_utf8_lossy(&bytes[hit.start().saturating_sub(60)..hit.start()]).into_owned();
            format!("secret {secret} {encoding} at byte {}, after {around:?}", hit.start())
        });
        hits.collect()
    }
}

#[test]
fn a_secret_is_found_in_every_encoding_and_at_every_place() {
    let secret = "q7!Zk-92_xV/w+Tt&\"'<b>".to_owned();
    let searcher = Searcher::of(std::slice::from_ref(&secret));
    for (name, encode) in ENCODINGS {
        let text = format!("before {} behind", encode(&secret));
        assert!(searcher.hits(text.as_bytes()).iter().any(|hit| hit.contains(name)), "{name}");
    }
    for before in ["", "a", "ab", "abc"] {
        let text = BASE64_STANDARD.encode(format!("{before}{secret}behind"));
        assert!(!searcher.hits(text.as_bytes()).is_empty(), "base64 behind {before:?}: {text}");
    }
    let searcher = Searcher::of(&["q7!Zk-92_xV/w+Tt".to_owned()]);
    assert!(!searcher.hits(b"one q7!Zk-92\r\n   _xV/w+Tt").is_empty());
    assert!(!searcher.hits(br#"{"a": "one q7!Zk-92\r\n\t _xV/w+Tt"}"#).is_empty());
    assert!(!searcher.hits(br#""{\"a\": \"one q7!Zk-92\\n_xV/w+Tt\"}""#).is_empty());
    assert!(searcher.hits(b"nothing of that kind").is_empty());
}
