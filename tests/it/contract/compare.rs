//! Whether an answer is the recorded one, but for what a recording declares to vary.

use super::exchange::Answer;
use super::recording::{Step, bytes};
use serde_json::Value;
use std::collections::BTreeMap;

/// How many characters of an error's Detail must be equal.
const DETAIL: usize = 40;

/// What differs is the error.
pub(super) fn compare(step: &Step, answer: &Answer, bound: &BTreeMap<String, String>) -> Result<(), String> {
    let told = &step.response;
    equal("status", &told.status, &answer.status)?;
    if told.status.is_none() {
        return Ok(());
    }
    if step.transport == "http" {
        for name in ["content-type", "location", "x-content-type-options"] {
            equal(name, &header(&told.headers, name), &header(&answer.headers, name))?;
        }
    } else {
        equal("grpc-status", &told.grpc_status, &answer.grpc_status)?;
        equal("trailers-only", &told.trailers_only, &answer.trailers_only)?;
        let text = |message: &Option<String>| message.clone().unwrap_or_default();
        let (expected, found) = (text(&told.grpc_message), text(&answer.grpc_message));
        same_body(step, expected.as_bytes(), found.as_bytes(), true)?;
    }
    same_messages(step, answer)?;
    check_bound(step, answer, bound)
}

fn equal<T: PartialEq + std::fmt::Debug>(what: &str, expected: &T, found: &T) -> Result<(), String> {
    if expected == found { Ok(()) } else { Err(format!("{what}: recorded {expected:?}, found {found:?}")) }
}

fn header(headers: &[(String, String)], wanted: &str) -> Option<String> {
    let found = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
    found.map(|(_, value)| value.clone())
}

fn same_messages(step: &Step, answer: &Answer) -> Result<(), String> {
    let nothing = BTreeMap::new();
    let told = &step.response;
    let one: Vec<&Value> = told.body.iter().collect();
    let expected: Vec<&Value> = told.messages.as_ref().map_or(one, |messages| messages.iter().collect());
    let expected: Vec<Vec<u8>> = expected.into_iter().map(|message| bytes(message, &nothing)).collect();
    let found: Vec<&Vec<u8>> =
        answer.messages.iter().filter(|_| step.transport == "grpc" || told.body.is_some()).collect();
    let count = step.messages_prefix.unwrap_or(expected.len().max(found.len()));
    let is_error = told.status.is_some_and(|status| status >= 400);
    for index in 0..count {
        match (expected.get(index), found.get(index)) {
            (Some(expected), Some(found)) => same_body(step, expected, found, is_error)?,
            (expected, found) => {
                let counts =
                    format!("{} messages recorded, {} found", expected.iter().len(), found.iter().len());
                return Err(format!("message {index}: {counts}"));
            }
        }
    }
    Ok(())
}

fn same_body(step: &Step, expected: &[u8], found: &[u8], is_error: bool) -> Result<(), String> {
    if step.volatile.iter().any(|path| path == "$" || path == "messages:$") && !is_error {
        return Ok(());
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (Ok(mut one), Ok(mut other)) =
        (serde_json::from_slice::<Value>(expected), serde_json::from_slice::<Value>(found))
    else {
        let shorten =
            |bytes: &[u8]| text(bytes).chars().take(if is_error { DETAIL } else { 400 }).collect::<String>();
        return equal("body", &shorten(expected), &shorten(found));
    };
    if is_error {
        shorten_detail(&mut one);
        shorten_detail(&mut other);
    }
    for value in [&mut one, &mut other] {
        for path in step.volatile.iter().chain(&step.optional) {
            remove_at(value, &steps(path));
        }
        for path in &step.unordered {
            sort_at(value, &steps(path));
        }
    }
    if one == other { Ok(()) } else { Err(format!("recorded {one}\n      found {other}")) }
}

fn shorten_detail(value: &mut Value) {
    if let Some(Value::String(detail)) = value.get_mut("Detail") {
        *detail = detail.chars().take(DETAIL).collect();
    }
}

/// `$.a[*].b[0]` → `a`, `*`, `b`, `0`.
fn steps(path: &str) -> Vec<String> {
    let inner = path.strip_prefix('$').unwrap_or(path);
    let words = inner.split(['.', '[', ']']).filter(|step| !step.is_empty());
    words.map(str::to_owned).collect()
}

fn remove_at(value: &mut Value, steps: &[String]) {
    match (steps, value) {
        ([last], Value::Object(members)) => {
            members.shift_remove(last);
        }
        ([last], Value::Array(items)) if last == "*" => items.iter_mut().for_each(|item| *item = Value::Null),
        ([first, rest @ ..], Value::Object(members)) => {
            if let Some(inner) = members.get_mut(first) {
                remove_at(inner, rest);
            }
        }
        ([first, rest @ ..], Value::Array(items)) if first == "*" => {
            items.iter_mut().for_each(|item| remove_at(item, rest));
        }
        ([first, rest @ ..], Value::Array(items)) => {
            if let Some(item) = first.parse().ok().and_then(|index: usize| items.get_mut(index)) {
                remove_at(item, rest);
            }
        }
        _ => {}
    }
}

fn sort_at(value: &mut Value, steps: &[String]) {
    match (steps, value) {
        ([], Value::Array(items)) => items.sort_by_key(Value::to_string),
        ([first, rest @ ..], Value::Object(members)) => {
            if let Some(inner) = members.get_mut(first) {
                sort_at(inner, rest);
            }
        }
        _ => {}
    }
}

fn look_up<'a>(value: &'a Value, steps: &[String]) -> Option<&'a Value> {
    steps.iter().try_fold(value, |at, step| match at {
        Value::Array(items) => items.get(step.parse::<usize>().ok()?),
        other => other.get(step),
    })
}

/// The text at a path of the answer; after `|base64json:` the path goes on inside.
fn text_at(answer: &Answer, path: &str) -> Option<String> {
    use base64::Engine as _;
    let (outer, inner) =
        path.split_once("|base64json:").map_or((path, None), |(outer, inner)| (outer, Some(inner)));
    let body: Value = serde_json::from_slice(answer.messages.first()?).ok()?;
    let found = look_up(&body, &steps(outer))?.as_str()?.to_owned();
    let Some(inner) = inner else { return Some(found) };
    let decoded = base64::engine::general_purpose::STANDARD.decode(found).ok()?;
    let decoded: Value = serde_json::from_slice(&decoded).ok()?;
    Some(look_up(&decoded, &steps(inner))?.as_str()?.to_owned())
}

fn check_bound(step: &Step, answer: &Answer, bound: &BTreeMap<String, String>) -> Result<(), String> {
    for (path, name) in &step.bound {
        equal(path, &bound.get(name).cloned(), &text_at(answer, path))?;
    }
    Ok(())
}

/// Remembers what the step names.
pub(super) fn bind(step: &Step, answer: &Answer, bound: &mut BTreeMap<String, String>) {
    for (name, path) in &step.bind {
        if let Some(text) = text_at(answer, path) {
            bound.insert(name.clone(), text);
        }
    }
}
