//! config: values by dotted path, one record for each namespace.
//!
//! Lives here: Config.*. Does not: who reads its own config at start (the services do, here by `text_at`).

use super::{authorize, or_micro, unknown};
use crate::fake::defect::Defect;
use crate::fake::platform::wire::{Message, Refusal, Reply, Request, empty, flag, message, text};
use crate::fake::platform::{MICRO, State, decode, encode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const TABLE: &str = "config";
/// The member under which a secret value is kept, encrypted.
const SECRET: &str = "_secret";

pub(super) fn answer(state: &mut State, request: &Request) -> Reply {
    match request.endpoint.as_str() {
        "Config.Get" => get(state, request),
        "Config.Set" => set(state, request),
        "Config.Delete" => delete(state, request),
        "Config.Read" => read(state, request),
        _ => Err(unknown(request)),
    }
}

/// A text that the operator has set in namespace micro.
pub(crate) fn text_at(state: &State, path: &str) -> Option<String> {
    Some(value_at(state, path)?.as_str()?.to_owned())
}

/// A text of namespace micro, also if the operator has set it as a secret.
pub(crate) fn secret_text_at(state: &State, path: &str) -> Option<String> {
    Some(readable(state, &value_at(state, path)?, true).as_str()?.to_owned())
}

/// A switch that the operator has set in namespace micro.
pub(crate) fn is_on(state: &State, path: &str) -> bool {
    value_at(state, path).and_then(|value| value.as_bool()).unwrap_or_default()
}

/// A number that the operator has set in namespace micro; 0 if none is.
pub(crate) fn number_at(state: &State, path: &str) -> i64 {
    value_at(state, path).and_then(|value| value.as_i64()).unwrap_or_default()
}

/// Sets a value of namespace micro.
pub(crate) fn put(state: &mut State, path: &str, value: &Value) {
    let mut root = root(state, MICRO).unwrap_or_else(|| json!({}));
    place(&mut root, &steps(path), value.clone(), true);
    keep(state, MICRO, &root);
}

/// Sets a secret value of namespace micro.
pub(crate) fn put_secret(state: &mut State, path: &str, value: &Value) {
    let hidden = conceal(state, value);
    put(state, path, &hidden);
}

fn value_at(state: &State, path: &str) -> Option<Value> {
    look_up(&root(state, MICRO)?, path).cloned()
}

fn root(state: &State, namespace: &str) -> Option<Value> {
    state.records.load(MICRO, TABLE, namespace).map(|stored: Value| opened(&stored))
}

fn keep(state: &mut State, namespace: &str, root: &Value) {
    state.records.save(MICRO, TABLE, namespace, &stored(root));
}

/// As the store keeps it: every value that is no map is a leaf with its JSON as text.
fn stored(value: &Value) -> Value {
    match value {
        Value::Object(members) if is_secret(members) => {
            json!({ "leaf": true, "secret": true, "value": text(members, SECRET) })
        }
        Value::Object(members) => {
            Value::Object(members.iter().map(|(key, value)| (key.clone(), stored(value))).collect())
        }
        leaf => json!({ "leaf": true, "value": leaf.to_string() }),
    }
}

fn opened(stored: &Value) -> Value {
    match stored.as_object() {
        Some(leaf) if flag(leaf, "leaf") && flag(leaf, "secret") => json!({ SECRET: text(leaf, "value") }),
        Some(leaf) if flag(leaf, "leaf") => serde_json::from_str(text(leaf, "value")).unwrap_or_default(),
        Some(members) => {
            Value::Object(members.iter().map(|(key, value)| (key.clone(), opened(value))).collect())
        }
        None => Value::Null,
    }
}

/// Numbers as Go reads them: large ones lose digits.
fn as_read_by_go(value: Value) -> Value {
    match value {
        Value::Number(number) => match number.as_f64() {
            Some(float) if float.abs() > 9_007_199_254_740_992.0 => {
                serde_json::from_str(&float.to_string()).unwrap_or(Value::Number(number))
            }
            _ => Value::Number(number),
        },
        Value::Array(items) => items.into_iter().map(as_read_by_go).collect(),
        Value::Object(members) => {
            Value::Object(members.into_iter().map(|(key, value)| (key, as_read_by_go(value))).collect())
        }
        other => other,
    }
}

fn steps(path: &str) -> Vec<&str> {
    path.split('.').collect()
}

fn look_up<'a>(root: &'a Value, path: &str) -> Option<&'a Value> {
    if path.is_empty() {
        return Some(root);
    }
    steps(path).into_iter().try_fold(root, |at, step| at.get(step))
}

/// Sets a value below `at`; what would lie below a scalar is lost.
fn place(at: &mut Value, steps: &[&str], value: Value, merge: bool) {
    let Some((step, rest)) = steps.split_first() else { return };
    let Some(members) = at.as_object_mut() else { return };
    if !rest.is_empty() {
        return place(members.entry(*step).or_insert_with(|| json!({})), rest, value, merge);
    }
    match (members.get_mut(*step), value) {
        (Some(Value::Object(old)), Value::Object(new)) if merge && !is_secret(&new) => blend(old, new),
        (_, Value::Object(new)) if new.is_empty() => {
            members.insert((*step).to_owned(), Value::Null);
        }
        (_, value) => {
            members.insert((*step).to_owned(), value);
        }
    }
}

fn blend(old: &mut Message, new: Message) {
    for (key, value) in new {
        match (old.get_mut(&key), value) {
            (Some(Value::Object(inner)), Value::Object(more)) => blend(inner, more),
            (_, value) => {
                old.insert(key, value);
            }
        }
    }
}

fn is_secret(members: &Message) -> bool {
    members.contains_key(SECRET)
}

/// The value as a reader may see it, its members in order.
fn readable(state: &State, value: &Value, in_plain: bool) -> Value {
    match value {
        Value::Object(members) if is_secret(members) && in_plain => reveal(state, text(members, SECRET)),
        Value::Object(members) if is_secret(members) => Value::from("[secret]"),
        Value::Object(members) => {
            let shown = members.iter().map(|(key, value)| (key.clone(), readable(state, value, in_plain)));
            Value::Object(shown.collect::<BTreeMap<_, _>>().into_iter().collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}

/// A stream cipher of the state's key, there and back.
fn cipher(state: &State, bytes: &[u8]) -> Vec<u8> {
    bytes.iter().zip(state.key.iter().cycle()).map(|(byte, key)| byte ^ key).collect()
}

fn conceal(state: &State, value: &Value) -> Value {
    json!({ SECRET: STANDARD.encode(cipher(state, value.to_string().as_bytes())) })
}

fn reveal(state: &State, hidden: &str) -> Value {
    let bytes = cipher(state, &STANDARD.decode(hidden).unwrap_or_default());
    serde_json::from_slice(&bytes).unwrap_or_default()
}

fn may_read(state: &State, request: &Request) -> Result<String, Refusal> {
    let namespace = or_micro(request.text("namespace"));
    if !(state.has(Defect::ConfigReadsAnyNamespace) && request.caller.is_some()) {
        authorize(request, &namespace, &request.error_id())?;
    }
    Ok(namespace)
}

fn options_secret(request: &Request) -> bool {
    request.message("options").is_some_and(|options| flag(options, "secret"))
}

fn get(state: &State, request: &Request) -> Reply {
    let namespace = may_read(state, request)?;
    let not_found = || Refusal::micro(request.error_id(), 404, "Not found");
    let root = root(state, &namespace).ok_or_else(not_found)?;
    let in_plain = options_secret(request) || state.has(Defect::ConfigSecretInPlain);
    let shown = look_up(&root, request.text("path")).map(|value| readable(state, value, in_plain));
    message(json!({ "value": { "data": shown.unwrap_or_default().to_string() } }))
}

fn read(state: &State, request: &Request) -> Reply {
    let namespace = may_read(state, request)?;
    let not_found = || Refusal::micro(request.error_id(), 404, "Not found");
    let root = root(state, &namespace).ok_or_else(not_found)?;
    let shown =
        look_up(&root, request.text("path")).map(|value| readable(state, value, false)).unwrap_or_default();
    message(json!({ "change": {
        "namespace": namespace, "path": request.text("path"),
        "changeSet": { "data": encode::go_text(&shown), "format": "json" },
    }}))
}

fn set(state: &mut State, request: &Request) -> Reply {
    let id = "config.Config.Update";
    let Some(given) = request.message("value") else {
        return Err(Refusal::micro(id, 400, "invalid change"));
    };
    let namespace = request.text("namespace");
    authorize(request, &or_micro(namespace), id)?;
    let invalid =
        |what: String| Refusal::micro(request.error_id(), 400, format!("Request is invalid JSON: {what}"));
    let mut value = as_read_by_go(decode::whole(text(given, "data")).map_err(invalid)?);
    if namespace.is_empty() {
        return Err(Refusal::plain("key required"));
    }
    if options_secret(request) {
        value = conceal(state, &value);
    }
    let mut root = root(state, namespace).unwrap_or_else(|| json!({}));
    place(&mut root, &steps(request.text("path")), value, !state.has(Defect::ConfigMergeReplaces));
    if !state.has(Defect::ConfigSetLost) {
        keep(state, namespace, &root);
    }
    empty()
}

fn delete(state: &mut State, request: &Request) -> Reply {
    let namespace = or_micro(request.text("namespace"));
    let id = request.error_id();
    authorize(request, &namespace, &id)?;
    let mut root = root(state, &namespace).ok_or_else(|| Refusal::micro(id, 404, "Not found"))?;
    if state.has(Defect::DeletedSettingStays) {
        return empty();
    }
    let steps = steps(request.text("path"));
    if let (Some(members), [first, _, ..]) = (root.as_object_mut(), steps.as_slice()) {
        members.entry(*first).or_insert(Value::Null);
    }
    if let Some((last, above)) = steps.split_last() {
        let parent = above.iter().try_fold(&mut root, |at, step| at.get_mut(*step));
        if let Some(members) = parent.and_then(Value::as_object_mut) {
            members.shift_remove(*last);
        }
    }
    keep(state, &namespace, &root);
    empty()
}
