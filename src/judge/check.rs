//! One condition on one value.

use crate::secret::Mask;
use jiff::Timestamp;
use regex::Regex;
use serde_json::{Number, Value};
use std::ops::RangeInclusive;

/// What a value must be.
#[derive(Debug, Clone)]
pub enum Check {
    /// Equal, by type and value; `1` and `1.0` are equal, whole numbers to the last digit.
    Equals(Value),
    /// Text in which the pattern is found.
    Matches(Regex),
    /// Equal to one of these.
    OneOf(Vec<Value>),
    /// Nothing there at all (`true`), or something there (`false`).
    Absent(bool),
    /// How many characters of text, items of a list or keys of a map, both ends inclusive.
    Length(RangeInclusive<u64>),
    /// Of this type.
    Type(JsonType),
    /// An instant at this one or later: text as in RFC 3339, or a number of seconds since 1970.
    NotBefore(Timestamp),
    /// An instant at this one or earlier.
    NotAfter(Timestamp),
}

/// The types of JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum JsonType {
    /// Text.
    String,
    /// Any number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A list.
    Array,
    /// A map.
    Object,
    /// `null`.
    Null,
}

impl Check {
    /// What is wrong with the values found at a place, if anything is: what was wanted, and what was found. More than
    /// one value must each be right.
    pub fn wrong_with(&self, found: &[&Value], mask: &Mask) -> Option<String> {
        (!self.is_met_by(found)).then(|| self.difference(found, mask))
    }

    /// Whether the values found at a place are right.
    pub(super) fn is_met_by(&self, found: &[&Value]) -> bool {
        match self {
            Self::Absent(absent) => found.is_empty() == *absent,
            _ => !found.is_empty() && found.iter().all(|value| self.holds(value)),
        }
    }

    fn holds(&self, value: &Value) -> bool {
        match self {
            Self::Equals(wanted) => equal(wanted, value),
            Self::Matches(pattern) => value.as_str().is_some_and(|text| pattern.is_match(text)),
            Self::OneOf(wanted) => wanted.iter().any(|one| equal(one, value)),
            Self::Absent(_) => false,
            Self::Length(range) => length(value).is_some_and(|length| range.contains(&length)),
            Self::Type(wanted) => type_of(value) == *wanted,
            Self::NotBefore(least) => instant(value).is_some_and(|at| at >= *least),
            Self::NotAfter(most) => instant(value).is_some_and(|at| at <= *most),
        }
    }

    pub(super) fn difference(&self, found: &[&Value], mask: &Mask) -> String {
        format!("wanted {}, found {}", self.told(mask), shown(found, mask))
    }
}

impl Check {
    fn told(&self, mask: &Mask) -> String {
        match self {
            Self::Equals(wanted) => clipped(&wanted.to_string(), mask),
            Self::Matches(pattern) => format!("text that matches `{pattern}`"),
            Self::OneOf(wanted) => {
                format!("one of {}", clipped(&Value::from(wanted.clone()).to_string(), mask))
            }
            Self::Absent(true) => "nothing".into(),
            Self::Absent(false) => "something".into(),
            Self::Length(range) if range.start() == range.end() => format!("a length of {}", range.start()),
            Self::Length(range) if *range.end() == u64::MAX => {
                format!("a length of at least {}", range.start())
            }
            Self::Length(range) => format!("a length from {} to {}", range.start(), range.end()),
            Self::NotBefore(least) => format!("an instant not before {least}"),
            Self::NotAfter(most) => format!("an instant not after {most}"),
            Self::Type(wanted) => format!("a value of type {}", format!("{wanted:?}").to_lowercase()),
        }
    }
}

/// An instant as JSON writes it: RFC 3339, or seconds since 1970, which may stand in quotes.
pub fn instant(value: &Value) -> Option<Timestamp> {
    match value {
        Value::String(text) => text.parse().ok().or_else(|| Timestamp::from_second(text.parse().ok()?).ok()),
        Value::Number(seconds) => Timestamp::from_second(seconds.as_i64()?).ok(),
        _ => None,
    }
}

fn shown(found: &[&Value], mask: &Mask) -> String {
    match found {
        [] => "nothing".into(),
        [one] => clipped(&one.to_string(), mask),
        many => format!("{} values: {}", many.len(), clipped(&serde_json::json!(many).to_string(), mask)),
    }
}

/// Long values are cut, so that a message stays a line; whole secrets are hidden before. Between words, so that half of one that
/// nobody knows yet is not shown: of a word that is everything, the beginning is.
fn clipped(text: &str, mask: &Mask) -> String {
    const MOST: usize = 160;
    const BEGINNING: usize = 8;
    // Far more than is shown.
    const MOST_MASKED: usize = 1 << 16;
    if text.len() <= MOST {
        return text.into();
    }
    let masked = mask.mask(&text[..text.floor_char_boundary(MOST_MASKED)]);
    let masked = masked.as_str();
    let start = &masked[..masked.floor_char_boundary(MOST)];
    let is_between = |letter: char| letter.is_whitespace() || "\"',;:{}[]()<>".contains(letter);
    let last = start.char_indices().rev().find(|(_, letter)| is_between(*letter));
    let words = last.map_or("", |(at, letter)| &start[..at + letter.len_utf8()]);
    let start = if words.len() > 1 { words } else { &masked[..masked.floor_char_boundary(BEGINNING)] };
    format!("{start}… ({} bytes)", text.len())
}

fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || are_equal_doubles(a, b),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| equal(a, b)))
        }
        _ => a == b,
    }
}

/// Whether two numbers of which one is written with a point or an exponent are equal: a whole number beyond 2^53 has no
/// double of its own, and equals none.
fn are_equal_doubles(a: &Number, b: &Number) -> bool {
    const MOST_EXACT: f64 = 9_007_199_254_740_992.0;
    let is_exact =
        |number: &Number| number.is_f64() || number.as_f64().is_some_and(|it| it.abs() < MOST_EXACT);
    (a.is_f64() != b.is_f64()) && is_exact(a) && is_exact(b) && a.as_f64() == b.as_f64()
}

fn length(value: &Value) -> Option<u64> {
    match value {
        Value::String(text) => Some(text.chars().count() as u64),
        Value::Array(list) => Some(list.len() as u64),
        Value::Object(map) => Some(map.len() as u64),
        _ => None,
    }
}

fn type_of(value: &Value) -> JsonType {
    match value {
        Value::Null => JsonType::Null,
        Value::Bool(_) => JsonType::Boolean,
        Value::Number(_) => JsonType::Number,
        Value::String(_) => JsonType::String,
        Value::Array(_) => JsonType::Array,
        Value::Object(_) => JsonType::Object,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_long_value_is_cut_between_words() {
        let text = format!("{} token 'ABCDEFGH'", "x".repeat(148));
        assert_eq!(clipped(&text, &Mask::new()), format!("{} token '… (165 bytes)", "x".repeat(148)));
        let spaced = format!("{}\u{3000}{}", "漢".repeat(30), "字".repeat(60));
        assert_eq!(clipped(&spaced, &Mask::new()), format!("{}\u{3000}… (273 bytes)", "漢".repeat(30)));
        assert_eq!(clipped(&"x".repeat(200), &Mask::new()), "xxxxxxxx… (200 bytes)");
        let key = format!("\"-----BEGIN EC PRIVATE KEY-----\\n{}\"", "aB3/+".repeat(50));
        assert_eq!(clipped(&key, &Mask::new()), "\"-----BEGIN EC PRIVATE … (284 bytes)");
        assert_eq!(clipped(&format!("\"{}\"", "LS0t".repeat(50)), &Mask::new()), "\"LS0tLS0… (202 bytes)");
    }

    #[test]
    fn each_check_says_what_was_wanted_and_what_was_found() {
        let at = |text: &str| text.parse().unwrap();
        let matches = Check::Matches(Regex::new("^a").unwrap());
        for (check, found, wrong) in [
            (Check::Equals(json!(7)), json!(7.0), None),
            (
                Check::Equals(json!(9_007_199_254_740_993_u64)),
                json!(9_007_199_254_740_992_u64),
                Some("wanted 9007199254740993, found 9007199254740992"),
            ),
            (
                Check::Equals(json!(9_007_199_254_740_993_u64)),
                json!(9_007_199_254_740_992.0),
                Some("wanted 9007199254740993, found 9007199254740992.0"),
            ),
            (Check::Equals(json!(7)), json!("7"), Some("wanted 7, found \"7\"")),
            (Check::Equals(json!({"a": [1]})), json!({"a": [1.0]}), None),
            (matches.clone(), json!("ab"), None),
            (matches.clone(), json!("ba"), Some("wanted text that matches `^a`, found \"ba\"")),
            (matches, json!(1), Some("wanted text that matches `^a`, found 1")),
            (Check::OneOf(vec![json!(1), json!(2)]), json!(2), None),
            (Check::OneOf(vec![json!(1), json!(2)]), json!(3), Some("wanted one of [1,2], found 3")),
            (Check::Absent(true), json!(null), Some("wanted nothing, found null")),
            (Check::Length(2..=3), json!([1, 2]), None),
            (Check::Length(2..=3), json!("éàùx"), Some("wanted a length from 2 to 3, found \"éàùx\"")),
            (Check::Length(1..=u64::MAX), json!({}), Some("wanted a length of at least 1, found {}")),
            (Check::NotBefore(at("2026-01-02T00:00:00Z")), json!("2026-01-02T00:00:00Z"), None),
            (Check::NotBefore(at("2026-01-02T00:00:00Z")), json!("1767312000"), None),
            (
                Check::NotBefore(at("2026-01-02T00:00:00Z")),
                json!(1_767_311_999),
                Some("wanted an instant not before 2026-01-02T00:00:00Z, found 1767311999"),
            ),
            (Check::NotAfter(at("2026-01-02T00:00:00Z")), json!("2026-01-02T01:00:00+01:00"), None),
            (
                Check::NotAfter(at("2026-01-02T00:00:00Z")),
                json!("soon"),
                Some("wanted an instant not after 2026-01-02T00:00:00Z, found \"soon\""),
            ),
            (Check::Type(JsonType::Object), json!({}), None),
            (Check::Type(JsonType::Number), json!("1"), Some("wanted a value of type number, found \"1\"")),
        ] {
            assert_eq!(check.wrong_with(&[&found], &Mask::new()).as_deref(), wrong, "{check:?} on {found}");
        }
    }

    #[test]
    fn nothing_there_satisfies_only_absent() {
        assert_eq!(Check::Absent(true).wrong_with(&[], &Mask::new()), None);
        assert_eq!(
            Check::Absent(false).wrong_with(&[], &Mask::new()).as_deref(),
            Some("wanted something, found nothing")
        );
        assert!(Check::Equals(json!(null)).wrong_with(&[], &Mask::new()).is_some());
        assert!(Check::Type(JsonType::Null).wrong_with(&[], &Mask::new()).is_some());
    }

    #[test]
    fn every_value_found_must_be_right() {
        assert!(Check::Equals(json!(1)).wrong_with(&[&json!(1), &json!(2)], &Mask::new()).is_some());
    }
}
