//! The whole state as ordered JSON, for whoever compares before and after.
//!
//! Lives here: the picture. Does not: the door that shows it (`door::admin`).

use super::State;
use super::records::{Record, Table};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The state, every list and map in a stable order.
pub(crate) fn picture(state: &State) -> Value {
    let blobs: BTreeMap<String, String> = state
        .records
        .blobs
        .iter()
        .map(|((owner, key), blob)| (format!("{owner}/{key}"), STANDARD.encode(blob)))
        .collect();
    let mails: Vec<Value> =
        state.mails.iter().map(|mail| json!({ "to": mail.to, "template": mail.template })).collect();
    json!({
        "databases": databases(state),
        "blobs": blobs,
        "registry": registry(state),
        "pods": pods(state),
        "events": state.deliveries.len(),
        "mails": mails,
        "provider": state.provider,
        "defects": state.defects.names(),
    })
}

fn databases(state: &State) -> Value {
    let mut databases: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for ((database, name), table) in state.records.tables().filter(|(_, table)| !table.is_empty()) {
        databases.entry(database).or_default().insert(name.clone(), table_json(table));
    }
    json!(databases)
}

fn table_json(table: &Table) -> Value {
    Value::Object(table.iter().map(|(key, record)| (key.clone(), record_json(record))).collect())
}

/// JSON as JSON, text as text, anything else as base64.
fn record_json(record: &Record) -> Value {
    if let Ok(value) = serde_json::from_slice(&record.value) {
        return value;
    }
    match std::str::from_utf8(&record.value) {
        Ok(text) => Value::from(text),
        Err(_) => json!({ "base64": STANDARD.encode(&record.value) }),
    }
}

fn registry(state: &State) -> Value {
    let count =
        |(owner, name): &(String, String)| (format!("{owner}/{name}"), state.nodes.of(owner, name).len());
    json!(state.nodes.services("*").into_iter().map(count).collect::<BTreeMap<_, _>>())
}

fn pods(state: &State) -> Value {
    let mut pods: BTreeMap<String, usize> = BTreeMap::new();
    for live in state.nodes.pods() {
        *pods.entry(format!("{}/{}", live.pod.namespace, live.pod.service)).or_default() += 1;
    }
    json!(pods)
}
