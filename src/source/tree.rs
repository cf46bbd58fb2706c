//! YAML as a tree in which every key and value knows its place.
//!
//! Lives here: the first of the two passes, by `serde-saphyr`. Does not: any meaning (`reader` and the types it fills).

use super::{Place, Problem};
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// A value and its place.
#[derive(Debug, Clone)]
pub struct Node {
    /// The value.
    pub what: What,
    /// Where it stands.
    pub at: Place,
}

/// A key of a map and its place.
#[derive(Debug, Clone)]
pub struct Key {
    /// The key.
    pub text: String,
    /// Where it stands.
    pub at: Place,
}

/// A YAML value. Numbers with a leading zero or underscores stay text; only `true` and `false` are booleans.
#[derive(Debug, Clone)]
pub enum What {
    /// Nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number that fits 64 bits with a sign.
    Int(i64),
    /// Another number.
    Float(f64),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A map, in the order of the file.
    Map(Vec<(Key, Node)>),
}

impl Node {
    /// What it is, for messages: ``text `abc` ``, `a list`, …
    pub fn described(&self) -> String {
        match &self.what {
            What::Null => "nothing".into(),
            What::Bool(it) => format!("`{it}`"),
            What::Int(it) => format!("the number `{it}`"),
            What::Float(it) => format!("the number `{it}`"),
            What::Text(it) => format!("the text `{}`", it.escape_debug()),
            What::List(_) => "a list".into(),
            What::Map(_) => "a map".into(),
        }
    }
}

/// Reads one YAML document.
///
/// # Errors
/// The first problem of syntax, with its place: a text with broken syntax has no tree.
pub fn tree(text: &str) -> Result<Node, Problem> {
    let options = serde_saphyr::options! {
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        with_snippet: false,
        reject_unsupported_tags: true,
        merge_keys: serde_saphyr::options::MergeKeyPolicy::Error,
        budget: serde_saphyr::budget! { max_nodes: 50_000 },
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| reworded(&error, text))
}

fn reworded(error: &serde_saphyr::Error, whole: &str) -> Problem {
    let text = error.to_string();
    let text = text.lines().next().unwrap_or_default();
    let text = text.split(", set DuplicateKeyPolicy").next().unwrap_or_default();
    let text = text.trim_start_matches("error: ");
    let text = match text.find(" at line ").filter(|_| error.location().is_some()) {
        Some(end) => &text[..end],
        None => text,
    };
    let text = text.split("; use from_str").next().unwrap_or_default();
    let hint = text.contains("tab").then(|| "indent with spaces".to_owned());
    let at = error.location().map(|location| found(place(location), whole));
    Problem { at, text: format!("cannot read this as YAML: {text}"), hint }
}

/// The same place with its offset: some errors know only line and column.
fn found(at: Place, text: &str) -> Place {
    if at.offset > 0 || (at.line, at.column) == (1, 1) {
        return at;
    }
    let count = |number: u64| usize::try_from(number.saturating_sub(1)).unwrap_or(0);
    let before: usize = text.split_inclusive('\n').take(count(at.line)).map(str::len).sum();
    let line = &text[before..];
    let within = line.char_indices().nth(count(at.column)).map_or(line.trim_end().len(), |(index, _)| index);
    Place { offset: before + within, ..at }
}

fn place(location: serde_saphyr::Location) -> Place {
    let span = location.span();
    let bytes = |count: Option<u64>| count.map_or(0, |count| usize::try_from(count).unwrap_or(0));
    Place {
        line: location.line(),
        column: location.column(),
        offset: bytes(span.byte_offset()),
        len: bytes(span.byte_len()),
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = serde_saphyr::Spanned::<What>::deserialize(deserializer)?;
        Ok(Node { what: spanned.value, at: place(spanned.referenced) })
    }
}

struct AnyValue;

impl<'de> Deserialize<'de> for What {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

impl<'de> Visitor<'de> for AnyValue {
    type Value = What;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<What, E> {
        Ok(What::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<What, E> {
        Ok(What::Int(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<What, E> {
        i64::try_from(value).map(What::Int).map_err(E::custom)
    }

    fn visit_f64<E>(self, value: f64) -> Result<What, E> {
        Ok(What::Float(value))
    }

    fn visit_unit<E>(self) -> Result<What, E> {
        Ok(What::Null)
    }

    fn visit_str<E>(self, value: &str) -> Result<What, E> {
        Ok(What::Text(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<What, A::Error> {
        let mut list = vec![];
        while let Some(node) = access.next_element()? {
            list.push(node);
        }
        Ok(What::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<What, A::Error> {
        let mut map = vec![];
        while let Some(key) = access.next_key::<serde_saphyr::Spanned<String>>()? {
            map.push((Key { text: key.value, at: place(key.referenced) }, access.next_value()?));
        }
        Ok(What::Map(map))
    }
}
