//! Secrets, and text that may be shown.
//!
//! Lives here: [`Secret`] (never printed), [`Mask`] (every secret of a run, in every encoding it is known to travel in)
//! and [`Masked`] (text that went through a mask; the only text that an outcome takes). Does not: looking for secrets
//! that nobody told us of (`scan`).

mod encodings;
mod joined;
mod known;
mod sieve;
mod unescaped;
mod word;

use known::Known;
use std::sync::{Mutex, MutexGuard, PoisonError};
use word::Words;

/// What stands where a secret stood.
pub const MASK: &str = "«secret»";

/// Secrets shorter than this many bytes are hidden only where they stand alone, as words do; accounts may have none.
pub const SHORTEST_SECRET_BYTES: usize = 6;

/// Numbers of up to so many digits, as one-time codes are, stand by chance in times and counts too.
const DIGITS_OF_A_CODE: usize = 9;

/// A secret. It has no `Debug`, no `Display`, no `Serialize` and no `Clone`:
///
/// ```compile_fail
/// println!("{:?}", muster::secret::Secret::new("hunter22"));
/// ```
/// ```compile_fail
/// println!("{}", muster::secret::Secret::new("hunter22"));
/// ```
/// ```compile_fail
/// serde_json::to_string(&muster::secret::Secret::new("hunter22"));
/// ```
pub struct Secret(Box<str>);

impl Secret {
    /// Takes a secret into custody.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// The secret itself, for the wire and nothing else.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

/// Text in which every secret known to a [`Mask`] has been replaced. Only a mask makes it:
///
/// ```compile_fail
/// let text: muster::secret::Masked = String::from("hunter22").into();
/// ```
/// ```compile_fail
/// let text = muster::secret::Masked("hunter22".into());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(transparent)]
pub struct Masked(Box<str>);

impl Masked {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Text that was masked when it was written to a run record. The one other door: only the reader of records may
    /// use it, and a test says so.
    pub(crate) fn written_before(text: String) -> Self {
        Self(text.into())
    }

    /// Text that stands in the program itself and so can hold no secret of a run.
    pub fn fixed(text: &'static str) -> Self {
        Self(text.into())
    }
}

impl std::fmt::Display for Masked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

/// Every secret of a run. It learns while the run goes on, and may be shared.
#[derive(Default)]
pub struct Mask {
    known: Mutex<Known>,
    codes: Mutex<Known>,
    words: Mutex<Words>,
}

impl Mask {
    /// A mask that knows nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on this is a secret. Shorter than [`SHORTEST_SECRET_BYTES`] it is hidden only where it stands alone and as it is;
    /// nothing, and a single sign, is none.
    pub fn learn(&self, secret: &str) {
        let is_code = secret.len() <= DIGITS_OF_A_CODE && secret.bytes().all(|byte| byte.is_ascii_digit());
        if secret.len() < SHORTEST_SECRET_BYTES {
            lock(&self.words).learn(secret);
        } else if is_code {
            lock(&self.codes).learn(secret);
        } else {
            lock(&self.known).learn(secret);
        }
    }

    /// The text with every secret replaced by [`MASK`], also where line breaks and the beginnings of log lines break it.
    pub fn mask(&self, text: &str) -> Masked {
        let bytes = text.as_bytes();
        let mut found = lock(&self.known).found(bytes);
        found.extend(lock(&self.codes).found(bytes));
        found.extend(lock(&self.words).found(text));
        let spans = apart(found);
        let (mut out, mut at) = (String::with_capacity(text.len()), 0);
        for (from, to) in spans {
            let (from, to) = (text.floor_char_boundary(from), text.ceil_char_boundary(to));
            out.push_str(&text[at..from.max(at)]);
            out.push_str(MASK);
            at = to;
        }
        out.push_str(&text[at..]);
        Masked(out.into())
    }

    /// Whether these bytes hold a secret, in any encoding. What is hidden only where it stands alone is not sought.
    pub fn finds_in(&self, bytes: &[u8]) -> bool {
        self.surely_finds_in(bytes) || lock(&self.codes).is_in(bytes)
    }

    /// Whether a text is, as a whole, a secret that is hidden only where it stands alone.
    pub fn is_word(&self, text: &str) -> bool {
        lock(&self.words).knows(text)
    }

    /// Whether anything of a text would be hidden.
    pub fn hides_in(&self, text: &str) -> bool {
        self.finds_in(text.as_bytes()) || lock(&self.words).found(text).next().is_some()
    }

    /// Whether these bytes hold a secret that cannot stand there by chance: not a number of a few digits, which may be a time.
    pub fn surely_finds_in(&self, bytes: &[u8]) -> bool {
        lock(&self.known).is_in(bytes)
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What to hide, in order and without overlaps.
fn apart(mut found: Vec<(usize, usize)>) -> Vec<(usize, usize)> {
    found.sort_unstable();
    found.dedup_by(|next, last| {
        let overlaps = next.0 <= last.1;
        if overlaps {
            last.1 = last.1.max(next.1);
        }
        overlaps
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::prelude::*;

    fn mask_of(secrets: &[&str]) -> Mask {
        let mask = Mask::new();
        secrets.iter().for_each(|secret| mask.learn(secret));
        mask
    }

    #[test]
    fn a_secret_is_hidden_in_every_encoding() {
        let mask = mask_of(&["hunter22 \"&<é"]);
        let plain = "hunter22 \"&<é";
        let hex: String = plain.bytes().map(|byte| format!("{byte:02x}")).collect();
        for text in [
            plain.to_owned(),
            BASE64_STANDARD.encode(plain),
            BASE64_URL_SAFE_NO_PAD.encode(format!("x{plain}")),
            BASE64_STANDARD.encode(format!("xy{plain}z")),
            hex.clone(),
            hex.to_uppercase(),
            "hunter22%20%22%26%3C%C3%A9".into(),
            "hunter22+%22%26%3C%C3%A9".into(),
            serde_json::to_string(plain).unwrap(),
            "hunter22 \\\"\\u0026\\u003cé".into(),
            serde_json::to_string(&serde_json::to_string(plain).unwrap()).unwrap(),
        ] {
            let masked = mask.mask(&format!("before {text} after"));
            assert!(masked.as_str().contains(MASK), "{text} is not hidden: {masked}");
            assert!(mask.finds_in(text.as_bytes()), "{text} is not found");
        }
    }

    #[test]
    fn a_secret_that_lines_break_is_hidden_piece_by_piece() {
        let mask = mask_of(&["hunter22-and-more"]);
        let wrapped =
            BASE64_STANDARD.encode("a long text before hunter22-and-more and a long text behind it");
        let wrapped: Vec<&str> =
            wrapped.as_bytes().chunks(20).map(|it| str::from_utf8(it).unwrap()).collect();
        for (text, shown) in [
            ("x hunter22\n-and-more y", "x «secret»\n«secret» y"),
            ("x hunter22-a\r\n   nd-more", "x «secret»\r\n   «secret»"),
            ("x hunter22-a=\r\nnd-more", "x «secret»=\r\n«secret»"),
            ("x: hunter22-a\\\n  nd-more", "x: «secret»\\\n  «secret»"),
            (
                "09:01 api | hunter\n09:02 api | 22-and-\n09:03 api | more",
                "09:01 api | «secret»\n09:02 api | «secret»\n09:03 api | «secret»",
            ),
            ("INFO:root:hunter22-an\nINFO:root:d-more", "INFO:root:«secret»\nINFO:root:«secret»"),
            (
                "time=\"09:01\" level=info msg=hunter22-an\ntime=\"09:02\" level=info msg=d-more",
                "time=\"09:01\" level=info msg=«secret»\ntime=\"09:02\" level=info msg=«secret»",
            ),
            (
                "the log says 09:01 api: hunter22-an\n09:02 api: d-more",
                "the log says 09:01 api: «secret»\n09:02 api: «secret»",
            ),
            (
                "{\"at\":1,\"msg\":\"hunter22-an\"}\n{\"at\":2,\"msg\":\"d-more\"}",
                "{\"at\":1,\"msg\":\"«secret»\"}\n{\"at\":2,\"msg\":\"«secret»\"}",
            ),
        ] {
            assert_eq!(mask.mask(text).as_str(), shown);
            assert!(mask.finds_in(text.as_bytes()), "{text}");
            assert!(!mask.finds_in(shown.as_bytes()), "{shown}");
        }
        let text = wrapped.join("\n");
        assert!(mask.finds_in(text.as_bytes()) && mask.mask(&text).as_str().contains(MASK));
        assert!(!mask.finds_in(mask.mask(&text).as_str().as_bytes()));
        assert_eq!(mask.mask("hunter22\nand more").as_str(), "hunter22\nand more");
    }

    #[test]
    fn a_secret_that_lines_break_is_hidden_also_when_the_text_is_quoted() {
        let mask = mask_of(&["hunter22-and-more", "Tr0ub4dor&3/horse<staple>42A=1"]);
        let wrapped = BASE64_STANDARD.encode("before hunter22-and-more and a long text behind it");
        let wrapped = [&wrapped[..24], &wrapped[24..]].join("\n");
        for text in [
            "a hunter22\n-and-more b",
            "a hunter22\r\n\t-and-more b",
            "09:01 api | hunter22-\n09:02 api | and-more",
            "x Tr0ub4dor&3/ho\nrse<staple>42A=1",
            &wrapped,
        ] {
            let json = serde_json::Value::from(text).to_string();
            let twice = serde_json::Value::from(json.as_str()).to_string();
            for quoted in [json, twice, format!("wanted 1, found {text:?}")] {
                let masked = mask.mask(&quoted);
                assert!(masked.as_str().matches(MASK).count() > 1, "{quoted} is not hidden: {masked}");
                assert!(mask.finds_in(quoted.as_bytes()), "{quoted} is not found");
                assert!(!mask.finds_in(masked.as_str().as_bytes()), "{masked}");
            }
        }
        let path = r"C:\new\rest hunter22\and-more";
        assert_eq!(mask.mask(path).as_str(), path);
    }

    #[test]
    fn a_secret_that_was_cut_is_hidden_as_far_as_it_is_there() {
        let secret = "q7Zk92xVw8Tt&5r\"n4Lp";
        let mask = mask_of(&[secret, "operator-of-staging-2"]);
        for cut in [1, 3, 5] {
            let (first, last) = (&secret[..secret.len() - cut], &secret[cut..]);
            for text in [format!("bad {first}…"), format!("bad …{last}!"), format!("bad {first}\nnext")] {
                let shown = text.replace(first, MASK).replace(last, MASK);
                assert_eq!(mask.mask(&text).as_str(), shown);
                assert!(mask.finds_in(text.as_bytes()) && !mask.finds_in(shown.as_bytes()));
            }
            let quoted = serde_json::Value::from(format!("bad {first}…")).to_string();
            assert_eq!(mask.mask(&quoted).as_str(), format!("\"bad {MASK}…\""));
        }
        let less = format!("bad {}…", &secret[..14]);
        assert_eq!(mask.mask(&less).as_str(), less, "less than three quarters");
        assert_eq!(mask.mask("operator-of-staging-1").as_str(), "operator-of-staging-1");
    }

    #[test]
    fn a_secret_whose_letters_are_escaped_is_hidden() {
        let secret = "jonquil-7é";
        let mask = mask_of(&[secret]);
        let each = |write: fn(char) -> String| secret.chars().map(write).collect::<String>();
        let bytes = |write: fn(u8) -> String| secret.bytes().map(write).collect::<String>();
        for text in [
            bytes(|byte| format!("%{byte:02x}")),
            bytes(|byte| format!("%{byte:02X}")),
            bytes(|byte| format!("\\x{byte:02x}")),
            bytes(|byte| format!("\\x{byte:02X}")),
            each(|letter| format!("\\u{:04x}", u32::from(letter))),
            each(|letter| format!("\\u{:04X}", u32::from(letter))),
            each(|letter| format!("\\\\u{:04x}", u32::from(letter))),
            each(|letter| format!("&#{};", u32::from(letter))),
            each(|letter| format!("&#x{:x};", u32::from(letter))),
            each(|letter| format!("&#X{:X};", u32::from(letter))),
            each(|letter| format!("&amp;#{};", u32::from(letter))),
            each(|letter| format!("&amp;amp;#x{:x};", u32::from(letter))),
            each(|letter| format!("\\u0026#{};", u32::from(letter))),
            each(|letter| format!("%5Cu{:04x}", u32::from(letter))),
            secret.replace('q', "\\u0071").replace('-', "%2d").replace('é', "&#233;"),
            each(|letter| format!("\\u{:04x}", u32::from(letter))).replace("\\u0075", "\n  \\u0075"),
        ] {
            let masked = mask.mask(&format!("{{\"a\": \"{text}\"}}"));
            let shown = masked.as_str().replace("«secret»\n  «secret»", MASK);
            assert_eq!(shown, format!("{{\"a\": \"{MASK}\"}}"), "{text}");
            assert!(mask.finds_in(text.as_bytes()) && !mask.finds_in(masked.as_str().as_bytes()), "{text}");
        }
        for other in [r"jonquil\u002d8é", "jonquil%2D", r"jonquil-7\u00e8"] {
            assert_eq!(mask.mask(other).as_str(), other);
        }
    }

    #[test]
    fn secrets_that_overlap_are_hidden_together() {
        assert_eq!(mask_of(&["abcdefgh", "efghijkl"]).mask("-abcdefghijkl-").as_str(), "-«secret»-");
    }

    #[test]
    fn a_long_token_is_hidden_whole_and_by_its_parts() {
        let token = format!("eyJhbGciOiJSUzI1NiJ9.{}.{}", "c".repeat(300), "Zx9Qw".repeat(60));
        let mask = mask_of(&[&token]);
        assert_eq!(mask.mask(&format!("Bearer {token}!")).as_str(), "Bearer «secret»!");
        let cut = &token[..token.len() - 40];
        assert_eq!(mask.mask(&format!("Bearer {cut}!")).as_str(), "Bearer «secret»!");
    }

    #[test]
    fn what_is_learned_later_is_hidden_too() {
        let mask = Mask::new();
        for number in 0..200 {
            mask.learn(&format!("secret-number-{number}"));
            assert_eq!(mask.mask(&format!("a secret-number-{number} b")).as_str(), "a «secret» b");
        }
        assert_eq!(mask.mask("a secret-number-0 b").as_str(), "a «secret» b");
    }

    #[test]
    fn a_secret_with_signs_between_its_letters_that_nobody_sees_is_hidden() {
        let mask = mask_of(&["hunter22"]);
        let wide: String = "hunter22".chars().flat_map(|letter| [letter, '\0']).collect();
        for text in [
            wide.as_str(),
            "hun\u{1}ter22",
            "h\u{7f}unter22",
            "hunter\\u00002\\u00002",
            "hun\u{200b}ter22",
            "hu\u{ad}nter\u{2060}22",
            "hunter\\u200b22",
            "hun&#8203;ter22",
            "hun\u{1b}[01;31mter\u{1b}[K22",
            "hun\\u001b[0mter22",
        ] {
            assert!(mask.mask(&format!("a {text} b")).as_str().contains(MASK), "{text:?}");
            assert!(mask.finds_in(text.as_bytes()), "{text:?}");
        }
        assert_eq!(mask.mask("a \u{1}hunter22\u{1} b").as_str(), "a \u{1}«secret»\u{1} b");
    }

    #[test]
    fn a_short_secret_is_hidden_where_it_stands_alone() {
        let mask = mask_of(&["4821", "é9x", "7", ""]);
        let text = "code=4821, 48210 x4821 14821 \"4821\" é9x é9xx 7";
        assert_eq!(mask.mask(text).as_str(), "code=«secret», 48210 x4821 14821 \"«secret»\" «secret» é9xx 7");
        assert!(!mask.finds_in(b"4821"));
    }

    #[test]
    fn a_code_of_digits_is_hidden_in_every_encoding_and_may_stand_in_a_file_by_chance() {
        let mask = mask_of(&["482913"]);
        for text in ["482913", "NDgyOTEz", "%34%38%32%39%31%33"] {
            assert_eq!(mask.mask(text).as_str(), MASK);
            assert!(mask.finds_in(text.as_bytes()) && !mask.surely_finds_in(text.as_bytes()));
        }
        assert!(mask_of(&["4829134829"]).surely_finds_in(b"4829134829"));
    }

    #[test]
    fn text_without_secrets_stays_as_it_is() {
        assert_eq!(mask_of(&["hunter22", "x"]).mask("x é hunter21").as_str(), "x é hunter21");
    }
}
