//! JSON → messages, with the complaints of Go's JSON and jsonpb.
//!
//! Lives here: syntax, types, unknown fields. Does not: writing (`encode`), the binary encoding (`protobuf`), what the
//! gateway does to a body before (`door`).

use super::schema::{Field, Kind, schema};
use super::wire::Message;
use serde_json::{Map, Value};

/// Parses one JSON document and says, as Go would, what is wrong with it.
pub(crate) fn whole(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| complaint(text, &error))
}

/// Parses the first JSON document of the text and leaves the rest alone, as the gRPC codec does; no text at all is an
/// empty message.
pub(crate) fn first(text: &str) -> Result<Value, String> {
    if text.is_empty() {
        return Ok(Value::Null);
    }
    let mut documents = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    match documents.next() {
        None => Err("EOF".to_owned()),
        Some(found) => found.map_err(|error| complaint(text, &error)),
    }
}

/// The text of Go's syntax error for the place at which reading stopped.
fn complaint(text: &str, error: &serde_json::Error) -> String {
    if error.is_eof() {
        return "unexpected end of JSON input".to_owned();
    }
    let line = text.lines().nth(error.line().saturating_sub(1)).unwrap_or_default();
    let at = error.column().saturating_sub(1);
    let letter = line.get(at..).and_then(|rest| rest.chars().next()).unwrap_or(' ');
    let letter = if letter == '\'' { "\\'".to_owned() } else { letter.escape_debug().to_string() };
    let said = error.to_string();
    let place = if said.starts_with("key must be") || said.starts_with("trailing comma") {
        "looking for beginning of object key string"
    } else if said.starts_with("trailing characters") {
        "after top-level value"
    } else {
        "looking for beginning of value"
    };
    format!("invalid character '{letter}' {place}")
}

/// Reads a message; an error is the text after `grpc: failed to unmarshal the received message`.
pub(crate) fn message(name: &str, value: &Value) -> Result<Message, String> {
    let members = match value {
        Value::Null => return Ok(Map::new()),
        Value::Object(members) => members,
        other => return Err(mismatch(other, "map[string]json.RawMessage")),
    };
    let fields = schema().fields(name);
    let mut read = Map::new();
    for (key, value) in members {
        let field = fields.iter().find(|field| field.answers_to(key));
        let field = field.ok_or_else(|| format!("unknown field {} in {name}", Value::from(key.as_str())))?;
        if !value.is_null() {
            read.insert(field.name.clone(), many_or_one(field, value)?);
        }
    }
    Ok(read)
}

fn many_or_one(field: &Field, value: &Value) -> Result<Value, String> {
    if !field.repeated {
        return one(&field.kind, value);
    }
    let items = value.as_array().ok_or_else(|| mismatch(value, "[]json.RawMessage"))?;
    items.iter().map(|item| one(&field.kind, item)).collect::<Result<Vec<_>, _>>().map(Value::Array)
}

fn one(kind: &Kind, value: &Value) -> Result<Value, String> {
    match kind {
        Kind::Message(name) => message(name, value).map(Value::Object),
        Kind::Map => map(value),
        Kind::Text | Kind::Bytes => value.as_str().map(Value::from).ok_or_else(|| mismatch(value, "string")),
        Kind::Bool => value.as_bool().map(Value::from).ok_or_else(|| mismatch(value, "bool")),
        Kind::Small => integer(value, "int32", true),
        Kind::Large { signed } => integer(value, if *signed { "int64" } else { "uint64" }, *signed),
        Kind::Choice(name) => choice(name, value),
    }
}

fn map(value: &Value) -> Result<Value, String> {
    let members = value.as_object().ok_or_else(|| mismatch(value, "map[string]json.RawMessage"))?;
    match members.values().find(|member| !member.is_string()) {
        Some(other) => Err(mismatch(other, "string")),
        None => Ok(value.clone()),
    }
}

fn integer(value: &Value, wanted: &str, signed: bool) -> Result<Value, String> {
    let number = match value {
        Value::String(text) => first(text)?,
        other => other.clone(),
    };
    match number.as_i64() {
        Some(whole) if signed || whole >= 0 => Ok(Value::from(whole)),
        _ if number.is_number() => {
            Err(format!("json: cannot unmarshal number {number} into Go value of type {wanted}"))
        }
        _ => Err(mismatch(&number, wanted)),
    }
}

fn choice(name: &str, value: &Value) -> Result<Value, String> {
    if let Some(number) = value.as_i64() {
        return Ok(Value::from(number));
    }
    let place = schema().values(name).iter().position(|known| value.as_str() == Some(known));
    match place {
        Some(place) => Ok(Value::from(place)),
        None => Err(format!("unknown value {} for enum {name}", Value::from(value.to_string()))),
    }
}

fn mismatch(value: &Value, wanted: &str) -> String {
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    format!("json: cannot unmarshal {found} into Go value of type {wanted}")
}
