//! Bytes of an answer to JSON, or why they are none.
//!
//! Lives here: what a target may not do to whoever reads its JSON: nest without end, name a key twice, so that readers
//! differ in what it says, or grow a hundredfold in memory. Does not: what the values must be (`check`).

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::cell::{Cell, RefCell};
use std::fmt;

/// JSON of up to this many values is read, keys not counted: each takes some 72 bytes of memory.
pub const MOST_VALUES: usize = 1_000_000;

/// Why bytes are no JSON that could be judged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoJson {
    /// There are no bytes.
    #[error("nothing")]
    Nothing,
    /// They begin as gzip does.
    #[error("bytes compressed by gzip, which nobody asked for")]
    Compressed,
    /// They are no text.
    #[error("bytes that are no UTF-8, at byte {0}")]
    NotUtf8(usize),
    /// Lists and maps stand in each other too deep.
    #[error("values nested deeper than 127")]
    TooDeep,
    /// There are more than [`MOST_VALUES`].
    #[error("more than {MOST_VALUES} values")]
    TooMany,
    /// A map has a key twice: the one reader takes the first value, the other the last.
    #[error("the key `{0}` twice in one map")]
    Twice(String),
    /// A number is greater than any double.
    #[error("a number out of range")]
    NumberOutOfRange,
    /// They are something else.
    #[error("none")]
    Other,
}

/// Reads one JSON document.
///
/// # Errors
/// Why it cannot be judged.
pub fn read(bytes: &[u8]) -> Result<Value, NoJson> {
    match bytes {
        [] => return Err(NoJson::Nothing),
        [0x1f, 0x8b, ..] => return Err(NoJson::Compressed),
        _ => {}
    }
    let text = std::str::from_utf8(bytes).map_err(|error| NoJson::NotUtf8(error.valid_up_to()))?;
    let reading = Reading::default();
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let read = reading.deserialize(&mut deserializer).and_then(|value| deserializer.end().map(|()| value));
    read.map_err(|error| reading.trouble.take().unwrap_or_else(|| said(&error)))
}

/// What serde_json says, in our words: it has no kinds for these two.
fn said(error: &serde_json::Error) -> NoJson {
    let text = error.to_string();
    if text.starts_with("recursion limit exceeded") {
        NoJson::TooDeep
    } else if text.starts_with("number out of range") {
        NoJson::NumberOutOfRange
    } else {
        NoJson::Other
    }
}

/// What was read so far, and what was wrong with it.
#[derive(Default)]
struct Reading {
    values: Cell<usize>,
    trouble: RefCell<Option<NoJson>>,
}

impl Reading {
    fn stop<E: Error>(&self, why: NoJson) -> E {
        let error = E::custom(&why);
        self.trouble.replace(Some(why));
        error
    }
}

impl<'de> DeserializeSeed<'de> for &Reading {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.values.set(self.values.get() + 1);
        if self.values.get() > MOST_VALUES {
            return Err(self.stop(NoJson::TooMany));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &Reading {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = vec![];
        while let Some(value) = items.next_element_seed(self)? {
            list.push(value);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if map.contains_key(&key) {
                return Err(self.stop(NoJson::Twice(key.chars().take(80).collect())));
            }
            map.insert(key, entries.next_value_seed(self)?);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_json_is_read_as_serde_json_reads_it() {
        for text in [r#"{"b":[1,-2,3.5,"x",null,true,{}],"a":{"c":"\u00e9"}}"#, "7", "\"x\"", " [] "] {
            assert_eq!(read(text.as_bytes()).unwrap(), serde_json::from_str::<Value>(text).unwrap());
        }
    }

    #[test]
    fn each_reason_why_bytes_are_no_json_is_told() {
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        let many = format!("[{}0]", "0,".repeat(MOST_VALUES));
        for (bytes, why) in [
            (&b""[..], "nothing"),
            (b"\x1f\x8b\x08", "bytes compressed by gzip, which nobody asked for"),
            (b"{\"a\":\"\xff\"}", "bytes that are no UTF-8, at byte 6"),
            (deep.as_bytes(), "values nested deeper than 127"),
            (many.as_bytes(), "more than 1000000 values"),
            (b"[{\"a\":1,\"b\":2,\"a\":3}]", "the key `a` twice in one map"),
            (b"1e999", "a number out of range"),
            (b"<html>", "none"),
            (b"{} {}", "none"),
            (b"{\"a\":1", "none"),
        ] {
            assert_eq!(read(bytes).unwrap_err().to_string(), why);
        }
    }

    #[test]
    fn as_deep_as_is_promised_is_read() {
        assert!(read(("[".repeat(127) + &"]".repeat(127)).as_bytes()).is_ok());
        assert_eq!(read(("[".repeat(128) + &"]".repeat(128)).as_bytes()), Err(NoJson::TooDeep));
    }
}
