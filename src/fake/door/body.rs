//! What the gateway makes of a request's body and query: one message for the service.
//!
//! Lives here: content types, forms, queries, their merging. Does not: reading the message (`platform::decode`).

use crate::fake::platform::decode;
use crate::fake::platform::serve::Codec;
use crate::fake::platform::wire::Refusal;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::request::Parts;
use percent_encoding::percent_decode;
use serde_json::{Map, Value};

/// How long a message may be, in bytes.
const MESSAGE_LIMIT: usize = 4 * 1024 * 1024;

/// What kind of body a content type announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Json,
    Form,
    Protobuf,
    /// A type that breaks the gateway's codec.
    Broken,
    /// A type at which the gateway hangs up.
    HangUp,
}

/// What comes of a body.
#[derive(Debug)]
pub(super) enum Body {
    /// One message.
    Message(Codec, String),
    /// The connection is dropped.
    HangUp,
}

/// The message of a request.
pub(super) fn read(head: &Parts, body: &[u8]) -> Result<Body, Refusal> {
    if body.len() > MESSAGE_LIMIT {
        let sizes = format!("{} vs. {MESSAGE_LIMIT}", body.len());
        return Err(Refusal::plain(format!("trying to send message larger than max ({sizes})")));
    }
    match shape(head) {
        Shape::HangUp => Ok(Body::HangUp),
        Shape::Broken => Err(failed("EOF")),
        Shape::Protobuf => protobuf(head, body),
        Shape::Form => form(head, body).map(json),
        Shape::Json if head.method == http::Method::GET => {
            query(head).map(|given| json(with_headers(head, given)))
        }
        Shape::Json => merged(head, body).map(json),
    }
}

/// A body as it is; where there is none, the gateway puts JSON, which no protobuf reader understands.
fn protobuf(head: &Parts, body: &[u8]) -> Result<Body, Refusal> {
    let encoded = if head.method == http::Method::GET || body.is_empty() {
        STANDARD.encode(query(head)?.to_string())
    } else {
        STANDARD.encode(body)
    };
    Ok(Body::Message(Codec::Protobuf, encoded))
}

fn json(value: Value) -> Body {
    Body::Message(Codec::Json, value.to_string())
}

fn failed(what: &str) -> Refusal {
    Refusal::micro("go.micro.api", 500, format!("error during request: {what}"))
}

fn shape(head: &Parts) -> Shape {
    let given = head
        .headers
        .get(http::header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    match given.split(';').next().unwrap_or_default().trim() {
        "application/x-www-form-urlencoded" => Shape::Form,
        "application/grpc" | "application/grpc+proto" | "application/proto" | "application/protobuf" => {
            Shape::Protobuf
        }
        "application/octet-stream" | "application/proto-rpc" => Shape::Broken,
        "application/json-rpc" => Shape::HangUp,
        _ => Shape::Json,
    }
}

/// A JSON body with the members of the query that it does not have itself.
fn merged(head: &Parts, body: &[u8]) -> Result<Value, Refusal> {
    let given = query(head)?;
    let text = String::from_utf8_lossy(body);
    if text.is_empty() {
        return Ok(with_headers(head, given));
    }
    let marshaling =
        "grpc: error while marshaling: json: error calling MarshalJSON for type *json.RawMessage:";
    let value = decode::whole(&text).map_err(|what| Refusal::plain(format!("{marshaling} {what}")))?;
    match (given, value) {
        (Value::Object(mut given), Value::Object(own)) => {
            blend(&mut given, own);
            Ok(with_headers(head, Value::Object(given)))
        }
        (_, value) => Ok(value),
    }
}

fn blend(old: &mut Map<String, Value>, new: Map<String, Value>) {
    for (key, value) in new {
        match (old.get_mut(&key), value) {
            (Some(Value::Object(inner)), Value::Object(more)) => blend(inner, more),
            (_, value) => {
                old.insert(key, value);
            }
        }
    }
}

/// `x-api-field-NAME` headers become members.
fn with_headers(head: &Parts, value: Value) -> Value {
    let Value::Object(mut members) = value else { return value };
    for (name, value) in &head.headers {
        if let (Some(field), Ok(text)) = (name.as_str().strip_prefix("x-api-field-"), value.to_str()) {
            members.entry(field).or_insert_with(|| Value::from(text));
        }
    }
    Value::Object(members)
}

fn form(head: &Parts, body: &[u8]) -> Result<Value, Refusal> {
    let mut members: Map<String, Value> = Map::new();
    let text = String::from_utf8_lossy(body).into_owned();
    for pair in
        text.split('&').chain(head.uri.query().unwrap_or_default().split('&')).filter(|pair| !pair.is_empty())
    {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (key, value) = (unescaped(key)?, unescaped(value)?);
        match members.get_mut(&key) {
            Some(Value::String(before)) => *before = format!("{before},{value}"),
            _ => {
                members.insert(key, Value::from(value));
            }
        }
    }
    Ok(Value::Object(members))
}

/// The query as JSON: literals are read, brackets and dots nest.
fn query(head: &Parts) -> Result<Value, Refusal> {
    let mut root = Value::Object(Map::new());
    for pair in head.uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let split = pair.rsplit_once('=');
        let (key, value) = split.ok_or_else(|| failed("qson: invalid url query param provided"))?;
        let (key, value) = (unescaped(key)?, unescaped(value)?);
        let literal = serde_json::from_str(&value).unwrap_or(Value::String(value));
        let steps: Vec<&str> = key.split(['[', '.']).map(|step| step.trim_end_matches(']')).collect();
        put(&mut root, &steps, literal);
    }
    Ok(root)
}

fn put(at: &mut Value, steps: &[&str], value: Value) {
    let Some((step, rest)) = steps.split_first() else {
        *at = value;
        return;
    };
    if step.is_empty() {
        if !at.is_array() {
            *at = Value::Array(Vec::new());
        }
        if let Some(items) = at.as_array_mut() {
            items.push(value);
        }
        return;
    }
    if !at.is_object() {
        *at = Value::Object(Map::new());
    }
    if let Some(members) = at.as_object_mut() {
        put(members.entry(*step).or_insert(Value::Null), rest, value);
    }
}

fn unescaped(text: &str) -> Result<String, Refusal> {
    let bad = text.split('%').skip(1).find(|rest| {
        let digits = rest.as_bytes().get(..2);
        !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    if let Some(bad) = bad {
        let shown: String = bad.chars().take(2).collect();
        return Err(failed(&format!("invalid URL escape {}", Value::from(format!("%{shown}")))));
    }
    let spaced = text.replace('+', " ");
    Ok(percent_decode(spaced.as_bytes()).decode_utf8_lossy().into_owned())
}
