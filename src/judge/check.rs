//! One condition on one value.

use jiff::Timestamp;
use regex::Regex;
use serde_json::Value;
use std::ops::RangeInclusive;

/// What a value must be.
#[derive(Debug, Clone)]
pub enum Check {
    /// Equal, by type and value; `1` and `1.0` are equal.
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
    /// A moment (RFC 3339) that is this one or a later one.
    NotBefore(Timestamp),
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
    pub fn wrong_with(&self, found: &[&Value]) -> Option<String> {
        if let Self::Absent(absent) = self {
            return (found.is_empty() != *absent).then(|| self.difference(found));
        }
        let is_right = !found.is_empty() && found.iter().all(|value| self.holds(value));
        (!is_right).then(|| self.difference(found))
    }

    fn holds(&self, value: &Value) -> bool {
        match self {
            Self::Equals(wanted) => equal(wanted, value),
            Self::Matches(pattern) => value.as_str().is_some_and(|text| pattern.is_match(text)),
            Self::OneOf(wanted) => wanted.iter().any(|one| equal(one, value)),
            Self::Absent(_) => false,
            Self::Length(range) => length(value).is_some_and(|length| range.contains(&length)),
            Self::Type(wanted) => type_of(value) == *wanted,
            Self::NotBefore(earliest) => moment(value).is_some_and(|found| found >= *earliest),
        }
    }

    fn difference(&self, found: &[&Value]) -> String {
        format!("wanted {self}, found {}", shown(found))
    }
}

impl std::fmt::Display for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Equals(wanted) => write!(f, "{}", clipped(&wanted.to_string())),
            Self::Matches(pattern) => write!(f, "text that matches `{pattern}`"),
            Self::OneOf(wanted) => write!(f, "one of {}", clipped(&Value::from(wanted.clone()).to_string())),
            Self::Absent(true) => f.write_str("nothing"),
            Self::Absent(false) => f.write_str("something"),
            Self::Length(range) if range.start() == range.end() => write!(f, "a length of {}", range.start()),
            Self::Length(range) if *range.end() == u64::MAX => {
                write!(f, "a length of at least {}", range.start())
            }
            Self::Length(range) => write!(f, "a length from {} to {}", range.start(), range.end()),
            Self::NotBefore(earliest) => write!(f, "a moment not before {earliest}"),
            Self::Type(wanted) => write!(f, "a value of type {}", format!("{wanted:?}").to_lowercase()),
        }
    }
}

fn shown(found: &[&Value]) -> String {
    match found {
        [] => "nothing".into(),
        [one] => clipped(&one.to_string()),
        many => format!("{} values: {}", many.len(), clipped(&serde_json::json!(many).to_string())),
    }
}

/// Long values are cut in the middle of nowhere, so that a message stays a line.
fn clipped(text: &str) -> String {
    const MOST: usize = 160;
    if text.len() <= MOST {
        return text.into();
    }
    format!("{}… ({} bytes)", &text[..text.floor_char_boundary(MOST)], text.len())
}

fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| equal(a, b)))
        }
        _ => a == b,
    }
}

fn moment(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
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
    fn each_check_says_what_was_wanted_and_what_was_found() {
        let matches = Check::Matches(Regex::new("^a").unwrap());
        for (check, found, wrong) in [
            (Check::Equals(json!(7)), json!(7.0), None),
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
            (Check::Type(JsonType::Object), json!({}), None),
            (Check::Type(JsonType::Number), json!("1"), Some("wanted a value of type number, found \"1\"")),
        ] {
            assert_eq!(check.wrong_with(&[&found]).as_deref(), wrong, "{check} on {found}");
        }
    }

    #[test]
    fn nothing_there_satisfies_only_absent() {
        assert_eq!(Check::Absent(true).wrong_with(&[]), None);
        assert_eq!(Check::Absent(false).wrong_with(&[]).as_deref(), Some("wanted something, found nothing"));
        assert!(Check::Equals(json!(null)).wrong_with(&[]).is_some());
        assert!(Check::Type(JsonType::Null).wrong_with(&[]).is_some());
    }

    #[test]
    fn every_value_found_must_be_right() {
        assert!(Check::Equals(json!(1)).wrong_with(&[&json!(1), &json!(2)]).is_some());
    }
}
