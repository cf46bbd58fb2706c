//! Messages → JSON as the platform's Go services write it.
//!
//! Lives here: jsonpb's habits (zero values left out, 64-bit numbers as text, fields in order) and Go's escapes. Does
//! not: reading (`decode`), the binary encoding (`protobuf`).

use super::schema::{Field, Kind, schema};
use super::wire::Message;
use serde_json::{Map, Value};

/// JSON text with the escapes of Go's encoder.
pub(crate) fn go_text(value: &Value) -> String {
    let plain = value.to_string();
    if !plain.contains(['<', '>', '&', '\u{2028}', '\u{2029}']) {
        return plain;
    }
    let mut text = String::with_capacity(plain.len() + 16);
    for letter in plain.chars() {
        match letter {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                text.push_str(&format!("\\u{:04x}", u32::from(letter)))
            }
            other => text.push(other),
        }
    }
    text
}

/// The JSON form of a message: fields in order, zero values left out.
pub(crate) fn to_json(message: &str, value: &Value) -> Value {
    let Some(members) = value.as_object() else { return Value::Object(Map::new()) };
    let mut shown = Map::new();
    for field in schema().fields(message) {
        if let Some(value) = members.get(&field.name).and_then(|value| field_json(field, value)) {
            shown.insert(field.name.clone(), value);
        }
    }
    Value::Object(shown)
}

fn field_json(field: &Field, value: &Value) -> Option<Value> {
    if !field.repeated {
        return one(&field.kind, value);
    }
    let items = value.as_array()?;
    let shown: Vec<Value> =
        items.iter().map(|item| one(&field.kind, item).unwrap_or_else(|| zero(&field.kind))).collect();
    (!shown.is_empty()).then_some(Value::Array(shown))
}

fn zero(kind: &Kind) -> Value {
    match kind {
        Kind::Message(_) | Kind::Map => Value::Object(Map::new()),
        Kind::Bool => Value::Bool(false),
        Kind::Small => Value::from(0),
        _ => Value::String(String::new()),
    }
}

fn one(kind: &Kind, value: &Value) -> Option<Value> {
    match kind {
        Kind::Message(name) => value.is_object().then(|| to_json(name, value)),
        Kind::Map => value.as_object().filter(|map| !map.is_empty()).map(sorted),
        Kind::Text | Kind::Bytes => value.as_str().filter(|text| !text.is_empty()).map(Value::from),
        Kind::Bool => value.as_bool().filter(|on| *on).map(Value::from),
        Kind::Small => value.as_i64().filter(|number| *number != 0).map(Value::from),
        Kind::Large { .. } => {
            value.as_i64().filter(|number| *number != 0).map(|number| Value::from(number.to_string()))
        }
        Kind::Choice(name) => choice(name, value),
    }
}

fn choice(name: &str, value: &Value) -> Option<Value> {
    let number = value.as_i64().filter(|number| *number != 0)?;
    let values = schema().values(name);
    let named = usize::try_from(number).ok().and_then(|index| values.get(index));
    Some(named.map_or(Value::from(number), |text| Value::from(text.as_str())))
}

fn sorted(map: &Message) -> Value {
    let ordered: std::collections::BTreeMap<_, _> = map.iter().collect();
    Value::Object(ordered.into_iter().map(|(key, value)| (key.clone(), value.clone())).collect())
}
