//! Debug.*: what every service answers.
//!
//! Lives here: health, statistics, log, trace. Does not: Runtime.Logs (`runtime`).

use super::unknown;
use crate::fake::defect::Defect;
use crate::fake::platform::State;
use crate::fake::platform::wire::{Refusal, Reply, Request, empty, message};
use rand::RngExt as _;
use serde_json::{Value, json};

/// The services that keep spans; the others answer with none, as recorded.
const TRACED: [&str; 5] = ["api", "auth", "network", "proxy", "registry"];

pub(super) fn answer(state: &mut State, request: &Request) -> Reply {
    match request.endpoint.as_str() {
        "Debug.Health"
            if state.has(Defect::HealthWrong)
                && ["registry", "store", "emails"].contains(&request.service.as_str()) =>
        {
            Err(Refusal::micro(request.error_id(), 500, "not healthy"))
        }
        "Debug.Health" => message(json!({ "status": "ok" })),
        "Debug.Stats" if state.has(Defect::StatsEmpty) => empty(),
        "Debug.Stats" => stats(state, request),
        "Debug.Log" if state.has(Defect::LogShowsCodes) => log(state, request),
        "Debug.Trace" if TRACED.contains(&request.service.as_str()) && !state.has(Defect::TraceEmpty) => {
            trace(state, request)
        }
        "Debug.Log" | "Debug.Trace" => empty(),
        _ => Err(unknown(request)),
    }
}

fn stats(state: &mut State, request: &Request) -> Reply {
    let key = (request.namespace.clone(), request.service.clone());
    let tally = state.tallies.get(&key).cloned().unwrap_or_default();
    let now_s = state.clock.now_s();
    message(json!({
        "timestamp": now_s, "started": tally.started_s, "uptime": now_s - tally.started_s,
        "memory": state.rng.random_range(2_000_000..6_000_000), "threads": state.rng.random_range(28..40),
        "gc": state.rng.random_range(1_000_000..20_000_000), "requests": tally.requests, "errors": tally.errors,
    }))
}

/// The last calls of other methods than these, newest first.
fn trace(state: &mut State, request: &Request) -> Reply {
    let key = (request.namespace.clone(), request.service.clone());
    let traced = state.tallies.get(&key).map(|tally| tally.traced.clone()).unwrap_or_default();
    let calls = traced.into_iter().rev().filter(|(endpoint, _)| !endpoint.starts_with("Debug."));
    let spans: Vec<Value> = calls
        .map(|(endpoint, started)| {
            json!({
                "trace": state.uuid(), "id": state.uuid(), "parent": state.uuid(),
                "name": format!("{}.{endpoint}", request.service), "started": started,
                "duration": state.rng.random_range(200_000..5_000_000),
            })
        })
        .collect();
    message(json!({ "spans": spans }))
}

fn log(state: &State, request: &Request) -> Reply {
    let key = (request.namespace.clone(), request.service.clone());
    let lines = state.tallies.get(&key).map(|tally| tally.log.as_slice()).unwrap_or_default();
    let records: Vec<Value> =
        lines.iter().map(|(at_s, line)| json!({ "timestamp": at_s, "message": line })).collect();
    message(json!({ "records": records }))
}
