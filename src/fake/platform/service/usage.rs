//! usage: how many accounts and services a namespace has.
//!
//! Lives here: Usage.*. Does not: what that costs (`billing`). It asks nobody who they are: only the rules stand before it.

use super::{auth, namespaces, or_micro, runtime, unknown};
use crate::fake::defect::Defect;
use crate::fake::platform::State;
use crate::fake::platform::wire::{Reply, Request, message};
use serde_json::{Value, json};

/// What a namespace uses.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    /// Its accounts of people.
    pub(crate) users: usize,
    /// Its services.
    pub(crate) services: usize,
}

pub(super) fn answer(state: &mut State, request: &Request) -> Reply {
    match request.endpoint.as_str() {
        "Usage.Read" => read(state, request.text("namespace")),
        "Usage.List" => list(state),
        _ => Err(unknown(request)),
    }
}

/// What a namespace uses now.
pub(crate) fn of(state: &State, namespace: &str) -> Usage {
    let namespace = or_micro(namespace);
    let services = if state.has(Defect::UsageCountsWrong) { 0 } else { runtime::count(state, &namespace) };
    Usage { users: auth::count_users(state, &namespace), services }
}

fn shown(namespace: &str, usage: Usage) -> Value {
    json!({ "namespace": namespace, "users": usage.users, "services": usage.services })
}

fn read(state: &State, namespace: &str) -> Reply {
    message(json!({ "accounts": [shown(namespace, of(state, namespace))] }))
}

fn list(state: &State) -> Reply {
    let names = namespaces::names(state);
    let used: Vec<Usage> = names.iter().map(|name| of(state, name)).collect();
    let accounts: Vec<Value> = names.iter().zip(&used).map(|(name, usage)| shown(name, *usage)).collect();
    message(json!({
        "accounts": accounts,
        "summary": {
            "namespace_count": names.len(),
            "user_count": used.iter().map(|usage| usage.users).sum::<usize>(),
            "services_count": used.iter().map(|usage| usage.services).sum::<usize>(),
        },
    }))
}
