//! The words of problems with values: what was wanted and what was found, as a person who writes YAML says it.
//!
//! Lives here: problems as errors of serde. Does not: problems of what values mean, which their types tell.

use super::{Place, Problem, did_you_mean};
use serde::de;
use std::fmt;

impl Problem {
    /// The innermost place wins.
    pub(super) fn placed(mut self, at: Place) -> Self {
        self.at.get_or_insert(at);
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Problem {}

impl de::Error for Problem {
    fn custom<T: fmt::Display>(text: T) -> Self {
        let text = text.to_string();
        match text.split_once("\nhint: ") {
            Some((text, hint)) => Problem { at: None, text: text.into(), hint: Some(hint.into()) },
            None => Problem { at: None, text, hint: None },
        }
    }

    fn invalid_type(found: de::Unexpected<'_>, wanted: &dyn de::Expected) -> Self {
        Self::custom(format!("wanted {}, found {}", wanted_words(&wanted.to_string()), found_words(&found)))
    }

    fn invalid_value(found: de::Unexpected<'_>, wanted: &dyn de::Expected) -> Self {
        Self::custom(format!("wanted {}, found {}", wanted_words(&wanted.to_string()), found_words(&found)))
    }

    fn unknown_variant(found: &str, known: &'static [&'static str]) -> Self {
        let list = known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        Problem {
            at: None,
            text: format!("wanted one of {list}, found `{found}`"),
            hint: did_you_mean(found, known.iter().copied()),
        }
    }

    fn missing_field(field: &'static str) -> Self {
        Self::custom(format!("the key `{field}` is missing"))
    }
}

/// serde's names for what a type takes, in a reader's words; sentences of our own stay.
fn wanted_words(wanted: &str) -> String {
    match wanted {
        "a sequence" => "a list".into(),
        "a string" => "a text".into(),
        "a boolean" => "`true` or `false`".into(),
        "f32" | "f64" => "a number".into(),
        "u8" => format!("a whole number from 0 to {}", u8::MAX),
        "u16" => format!("a whole number from 0 to {}", u16::MAX),
        "u32" | "u64" | "usize" => "a whole number from 0".into(),
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number".into(),
        other => other.into(),
    }
}

/// What was found, as [`Node::described`](super::Node::described) says it.
fn found_words(found: &de::Unexpected<'_>) -> String {
    match found {
        de::Unexpected::Bool(it) => format!("`{it}`"),
        de::Unexpected::Unsigned(it) => format!("the number `{it}`"),
        de::Unexpected::Signed(it) => format!("the number `{it}`"),
        de::Unexpected::Float(it) => format!("the number `{it}`"),
        de::Unexpected::Str(it) => format!("the text `{}`", it.escape_debug()),
        de::Unexpected::Unit | de::Unexpected::Option => "nothing".into(),
        de::Unexpected::Seq => "a list".into(),
        de::Unexpected::Map => "a map".into(),
        other => other.to_string(),
    }
}
