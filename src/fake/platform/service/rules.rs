//! auth: the access rules of a namespace.
//!
//! Lives here: Rules.*. Does not: what rules say of a call (`platform::rules`).

use super::{authorize, named_namespace, unknown};
use crate::fake::defect::Defect;
use crate::fake::platform::rules::Rule;
use crate::fake::platform::wire::{Refusal, Reply, Request, empty, message, number};
use crate::fake::platform::{MICRO, State};
use serde_json::{Value, json};

const TABLE: &str = "auth";

pub(super) fn answer(state: &mut State, request: &Request) -> Reply {
    match request.endpoint.as_str() {
        "Rules.Create" => create(state, request),
        "Rules.Delete" => delete(state, request),
        "Rules.List" => list_all(state, request),
        _ => Err(unknown(request)),
    }
}

/// The rules of a namespace by id. One without rules has the public default; with `keep` it is stored.
pub(crate) fn list(state: &mut State, namespace: &str, keep: bool) -> Vec<Rule> {
    let keys = state.records.keys(MICRO, TABLE, &format!("rules/{namespace}/"));
    let mut rules: Vec<Rule> = keys.iter().filter_map(|key| state.records.load(MICRO, TABLE, key)).collect();
    let is_back = namespace == MICRO
        && state.has(Defect::DefaultRuleBack)
        && rules.iter().all(|rule| rule.id != "default");
    if rules.is_empty() || is_back {
        let default = Rule::default_rule();
        if keep {
            add(state, namespace, &default);
        }
        rules.push(default);
    }
    rules
}

/// Stores a rule.
pub(crate) fn add(state: &mut State, namespace: &str, rule: &Rule) {
    state.records.save(MICRO, TABLE, &format!("rules/{namespace}/{}", rule.id), rule);
}

/// Deletes all rules of a namespace.
pub(crate) fn forget_all(state: &mut State, namespace: &str) {
    for key in state.records.keys(MICRO, TABLE, &format!("rules/{namespace}/")) {
        state.records.remove(MICRO, TABLE, &key);
    }
}

fn create(state: &mut State, request: &Request) -> Reply {
    let id = request.error_id();
    let refuse = |detail: &str| Refusal::micro("auth.Rules.Create", 400, detail);
    let given = request.message("rule").ok_or_else(|| refuse("Rule missing"))?;
    let rule: Rule = serde_json::from_value(Value::Object(given.clone())).unwrap_or_default();
    if rule.id.is_empty() {
        return Err(refuse("ID missing"));
    }
    if !given.contains_key("resource") {
        return Err(refuse("Resource missing"));
    }
    if number(given, "access") == 0 {
        return Err(refuse("Access missing"));
    }
    let namespace = named_namespace(request);
    if !state.has(Defect::RulesCreateOpen) {
        authorize(request, &namespace, &id)?;
    }
    if state.records.get(MICRO, TABLE, &format!("rules/{namespace}/{}", rule.id)).is_some() {
        return Err(refuse("A rule with this ID already exists"));
    }
    add(state, &namespace, &rule);
    empty()
}

fn delete(state: &mut State, request: &Request) -> Reply {
    let id = request.error_id();
    if request.text("id").is_empty() {
        return Err(Refusal::micro(id, 400, "ID missing"));
    }
    let namespace = named_namespace(request);
    authorize(request, &namespace, &id)?;
    if !state.has(Defect::DeletedRuleStays) {
        state.records.remove(MICRO, TABLE, &format!("rules/{namespace}/{}", request.text("id")));
    }
    empty()
}

fn list_all(state: &mut State, request: &Request) -> Reply {
    let namespace = named_namespace(request);
    if !state.has(Defect::RulesListOpen) {
        authorize(request, &namespace, &request.error_id())?;
    }
    let rules = list(state, &namespace, true);
    message(json!({ "rules": rules }))
}
