//! What may be asked of one object of the fake cluster: get, create, update, patch, delete, and the parts `eviction`,
//! `log` and `scale`.
//!
//! Lives here: one function per verb. Does not: the life of pods (`controller`), lists and watches (`door`).

use super::controller::State;
use super::door::Answer;
use super::kind::Kind;
use super::object::{namespace_of, text};
use super::pods::check_preconditions;
use super::refusal::{self, Refusal};
use super::request::Ask;
use super::{Shared, patch, table};
use http::Method;
use serde_json::{Value, json};
use std::sync::Arc;

/// Where an object is.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) kind: Kind,
    /// Empty for kinds without namespaces.
    pub(super) namespace: &'a str,
    pub(super) name: &'a str,
}

type Told = Result<Answer, Refusal>;

/// Answers a request for one object or a part of it.
pub(super) fn answer(shared: &Arc<Shared>, ask: &Ask, place: Place, part: Option<&str>) -> Told {
    match (part, &ask.method, place.kind) {
        (None, &Method::GET, _) => get(shared, ask, place),
        (None, &Method::PUT, Kind::Namespace | Kind::Lease | Kind::Deployment | Kind::Node) => {
            shared.change(|state| update(state, ask, place))
        }
        (None, &Method::PATCH, Kind::Namespace | Kind::Lease | Kind::Deployment | Kind::Node) => {
            shared.change(|state| change_by_patch(state, ask, place))
        }
        (None, &Method::DELETE, _) => shared.change(|state| delete(state, ask, place)),
        (Some("eviction"), &Method::POST, Kind::Pod) => shared.change(|state| evict(state, ask, place)),
        (Some("log"), &Method::GET, Kind::Pod) => log(shared, ask, place),
        (Some("scale"), &Method::GET, Kind::Deployment) => {
            let deployment = present(&shared.state(), place)?;
            Ok(Answer::Json(200, scale(&deployment)))
        }
        (Some("scale"), &Method::PUT | &Method::PATCH, Kind::Deployment) => {
            shared.change(|state| set_scale(state, ask, place))
        }
        (None | Some("eviction" | "log" | "scale"), ..) => Err(Refusal::method_not_allowed()),
        _ => Err(Refusal::no_such_resource()),
    }
}

fn present(state: &State, Place { kind, namespace, name }: Place) -> Result<Arc<Value>, Refusal> {
    state.store.get(kind, namespace, name).ok_or_else(|| Refusal::not_found(kind, name))
}

fn get(shared: &Shared, ask: &Ask, place: Place) -> Told {
    let object = present(&shared.state(), place)?;
    if !ask.wants_table {
        return Ok(Answer::Json(200, (*object).clone()));
    }
    let version = text(&object, "/metadata/resourceVersion");
    Ok(Answer::Json(200, table::table(place.kind, &[&object], version, shared.timestamp())))
}

/// Creates an object of a kind that callers may create.
pub(super) fn create(shared: &Arc<Shared>, ask: &Ask, kind: Kind, namespace: &str) -> Told {
    match kind {
        Kind::Namespace | Kind::Lease => shared.change(|state| create_in(state, ask, kind, namespace)),
        _ => Err(Refusal::method_not_allowed()),
    }
}

fn create_in(state: &mut State, ask: &Ask, kind: Kind, namespace: &str) -> Told {
    let name = text(&ask.body, "/metadata/name");
    if name.is_empty() {
        return Err(Refusal::bad_request("name or generateName is required"));
    }
    if kind.resource().is_namespaced {
        present(state, Place { kind: Kind::Namespace, namespace: "", name: namespace })?;
    }
    if state.store.get(kind, namespace, name).is_some() {
        return Err(Refusal::already_exists(kind, name));
    }
    let object = newborn(state, ask, kind, namespace);
    Ok(Answer::Json(201, (*state.store.put(kind, object)).clone()))
}

fn newborn(state: &State, ask: &Ask, kind: Kind, namespace: &str) -> Value {
    let name = text(&ask.body, "/metadata/name");
    let mut object = ask.body.clone();
    object["kind"] = json!(kind.resource().kind);
    object["apiVersion"] = json!(kind.api_version());
    object["metadata"]["uid"] =
        json!(state.uid(&[kind.resource().plural, namespace, name, &state.store.version().to_string()]));
    object["metadata"]["creationTimestamp"] = json!(state.now());
    if kind == Kind::Namespace {
        object["metadata"]["labels"]["kubernetes.io/metadata.name"] = json!(name);
        object["status"] = json!({ "phase": "Active" });
    } else {
        object["metadata"]["namespace"] = json!(namespace);
    }
    object
}

/// A whole new state of an object; it must name the version that it replaces.
fn update(state: &mut State, ask: &Ask, place: Place) -> Told {
    let old = present(state, place)?;
    if text(&ask.body, "/metadata/resourceVersion").is_empty() {
        return Err(Refusal::version_missing(place.kind, place.name));
    }
    if let Some((wanted, found)) = other_uid(&old, &ask.body) {
        return Err(Refusal::precondition(place.kind, place.name, "UID", wanted, found));
    }
    replace(state, place, &old, ask.body.clone())
}

fn change_by_patch(state: &mut State, ask: &Ask, place: Place) -> Told {
    let old = present(state, place)?;
    let mut new = (*old).clone();
    patch::apply(&mut new, &ask.body, ask.patch_style);
    if let Some((wanted, _)) = other_uid(&old, &new) {
        return Err(Refusal::immutable(place.kind, place.name, "metadata.uid", wanted));
    }
    replace(state, place, &old, new)
}

/// The UIDs of a new state and of the old one, if they differ: another object is meant.
fn other_uid<'a>(old: &'a Value, new: &'a Value) -> Option<(&'a str, &'a str)> {
    let (wanted, found) = (text(new, "/metadata/uid"), text(old, "/metadata/uid"));
    (!wanted.is_empty() && wanted != found).then_some((wanted, found))
}

/// Keeps what a caller cannot change, refuses a version that is not the newest.
fn replace(state: &mut State, place: Place, old: &Value, mut new: Value) -> Told {
    if new["metadata"]["resourceVersion"] != old["metadata"]["resourceVersion"] {
        return Err(Refusal::modified(place.kind, place.name));
    }
    for field in ["name", "namespace", "uid", "creationTimestamp", "generation"] {
        if let Some(kept) = old["metadata"].get(field) {
            new["metadata"][field] = kept.clone();
        }
    }
    new["kind"] = old["kind"].clone();
    new["apiVersion"] = old["apiVersion"].clone();
    if let Some(status) = old.get("status") {
        new["status"] = status.clone();
    }
    let kept = if place.kind == Kind::Deployment {
        let spec = std::mem::replace(&mut new["spec"], old["spec"].clone());
        state.change_spec(&new, spec)
    } else {
        state.store.put(place.kind, new)
    };
    Ok(Answer::Json(200, (*kept).clone()))
}

fn delete(state: &mut State, ask: &Ask, place: Place) -> Told {
    let asked = ask.deletion(&ask.body);
    let Place { kind, namespace, name } = place;
    if kind == Kind::Pod {
        return Ok(Answer::Json(200, (*state.delete_pod(namespace, name, &asked)?).clone()));
    }
    let object = present(state, place)?;
    check_preconditions(kind, &object, &asked)?;
    match kind {
        Kind::Namespace => drop(state.remove_namespace(name)),
        Kind::Deployment => drop(state.remove_deployment(namespace, name)),
        Kind::Lease => drop(state.store.remove(kind, namespace, name)),
        _ => return Err(Refusal::method_not_allowed()),
    }
    Ok(Answer::Json(200, deleted(place, &object)))
}

fn deleted(place: Place, object: &Value) -> Value {
    let resource = place.kind.resource();
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
        "details": {
            "name": place.name, "group": resource.group, "kind": resource.plural,
            "uid": object["metadata"]["uid"],
        },
    })
}

fn evict(state: &mut State, ask: &Ask, place: Place) -> Told {
    let asked = ask.deletion(&ask.body["deleteOptions"]);
    state.evict_pod(place.namespace, place.name, &asked)?;
    Ok(Answer::Json(201, refusal::success()))
}

fn log(shared: &Shared, ask: &Ask, place: Place) -> Told {
    let state = shared.state();
    let pod = present(&state, place)?;
    let waiting = text(&pod, "/status/containerStatuses/0/state/waiting/reason");
    if !waiting.is_empty() {
        let text = format!("container \"micro\" in pod \"{}\" is waiting to start: {waiting}", place.name);
        return Err(Refusal::bad_request(text));
    }
    let tail = ask.number("tailLines").and_then(|lines| usize::try_from(lines).ok());
    let log = state.log_of(text(&pod, "/metadata/uid"), tail);
    Ok(Answer::Text(if ask.says("timestamps") { timed(&log) } else { log }))
}

/// Each line after the time at which it was written, by which every line begins already.
fn timed(log: &str) -> String {
    let time = |line: &str| line.split_whitespace().next().unwrap_or_default().to_owned();
    log.lines().map(|line| format!("{} {line}\n", time(line))).collect()
}

fn set_scale(state: &mut State, ask: &Ask, place: Place) -> Told {
    let old = present(state, place)?;
    let replicas = ask.body["spec"]["replicas"].as_u64();
    let replicas =
        replicas.ok_or_else(|| Refusal::bad_request("spec.replicas: Required value: a whole number"))?;
    let asked_version = text(&ask.body, "/metadata/resourceVersion");
    if !asked_version.is_empty() && asked_version != text(&old, "/metadata/resourceVersion") {
        return Err(Refusal::modified(place.kind, place.name));
    }
    let mut spec = old["spec"].clone();
    spec["replicas"] = json!(replicas);
    Ok(Answer::Json(200, scale(&state.change_spec(&old, spec))))
}

fn scale(deployment: &Value) -> Value {
    json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1",
        "metadata": {
            "name": deployment["metadata"]["name"], "namespace": namespace_of(deployment),
            "uid": deployment["metadata"]["uid"], "resourceVersion": deployment["metadata"]["resourceVersion"],
            "creationTimestamp": deployment["metadata"]["creationTimestamp"],
        },
        "spec": { "replicas": deployment["spec"]["replicas"] },
        "status": { "replicas": deployment["status"]["replicas"] },
    })
}
