//! namespaces: who owns and uses which namespace.
//!
//! Lives here: Namespaces.*. Does not: their Kubernetes side (`platform`, `runtime`).

use super::{auth, call_as, is_micro, rules, unknown};
use crate::fake::defect::Defect;
use crate::fake::platform::wire::{Refusal, Reply, Request, empty, message, texts};
use crate::fake::platform::{MICRO, State};
use rand::RngExt as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

const TABLE: &str = "namespaces";
/// Words that new namespaces are named with.
const WORDS: [&str; 48] = [
    "amber", "anchor", "bishop", "blanket", "cactus", "canyon", "cedar", "clamor", "clause", "cobalt",
    "cricket", "devious", "dolphin", "drizzle", "ember", "falcon", "fiddle", "footman", "garnet", "glacier",
    "harbor", "hazel", "indigo", "jasmine", "juniper", "kettle", "lagoon", "lantern", "magnet", "meadow",
    "nectar", "nimble", "oyster", "pebble", "pepper", "quartz", "raven", "ribbon", "saddle", "sierra",
    "stuffed", "thistle", "timber", "tulip", "velvet", "walnut", "willow", "zephyr",
];

/// A namespace, as the store keeps it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Namespace {
    #[serde(rename = "ID")]
    id: String,
    owners: Vec<String>,
    users: Vec<String>,
    created: i64,
    updated: i64,
    status: String,
}

pub(super) fn answer(state: &mut State, request: &Request) -> Reply {
    let reads = matches!(request.endpoint.as_str(), "Namespaces.List" | "Namespaces.Read");
    let is_open = reads && state.has(Defect::NamespacesListOpen);
    if request.endpoint == "Namespaces.RemoveUser" {
        return Err(Refusal::micro("notimplemented", 500, "not implemented"));
    }
    let is_writable = !reads && state.has(Defect::NamespacesWriteOpen) && request.caller.is_some();
    if !is_micro(request) && !is_open && !is_writable {
        return Err(Refusal::micro("namespaces", 401, "Unauthorized request"));
    }
    match request.endpoint.as_str() {
        "Namespaces.Create" => create(state, request),
        "Namespaces.Read" => read(state, request),
        "Namespaces.Delete" => delete(state, request),
        "Namespaces.List" => list(state, request),
        "Namespaces.AddUser" => add_user(state, request),
        _ => Err(unknown(request)),
    }
}

fn save(state: &mut State, namespace: &Namespace) {
    state.records.save(MICRO, TABLE, &format!("namespace/{}", namespace.id), namespace);
    for owner in &namespace.owners {
        state.records.save(MICRO, TABLE, &format!("owner/{owner}/{}", namespace.id), namespace);
    }
    for user in &namespace.users {
        state.records.save(MICRO, TABLE, &format!("user/{user}/{}", namespace.id), namespace);
    }
}

fn find(state: &State, id: &str, action: &str) -> Result<Namespace, Refusal> {
    if id.is_empty() {
        return Err(Refusal::micro(format!("namespaces.{action}.validation"), 400, "ID is required"));
    }
    let found: Option<Namespace> = state.records.load(MICRO, TABLE, &format!("namespace/{id}"));
    match found {
        Some(namespace) if namespace.status == "deleted" => {
            Err(Refusal::micro(format!("namespaces.{action}.notfound"), 404, "Namespace not found"))
        }
        Some(namespace) => Ok(namespace),
        None => Err(Refusal::plain("not found")),
    }
}

/// The names of all namespaces that were not deleted, in order.
pub(crate) fn names(state: &State) -> Vec<String> {
    let keys = state.records.keys(MICRO, TABLE, "namespace/");
    let found = keys.iter().filter_map(|key| state.records.load::<Namespace>(MICRO, TABLE, key));
    found.filter(|one| one.status != "deleted").map(|one| one.id).collect()
}

/// The first owner of a namespace that was not deleted.
pub(crate) fn owner(state: &State, id: &str) -> Option<String> {
    find(state, id, "read").ok()?.owners.into_iter().next()
}

fn shown(namespace: &Namespace) -> Value {
    json!({
        "id": namespace.id, "owners": namespace.owners, "users": namespace.users, "created": namespace.created,
    })
}

/// Three words that no namespace has yet.
fn new_name(state: &mut State) -> String {
    let count = if state.has(Defect::NamespaceBadName) { 1 } else { 3 };
    loop {
        let words: Vec<&str> = (0..count).map(|_| WORDS[state.rng.random_range(0..WORDS.len())]).collect();
        let name = words.join("-");
        if count == 1 || state.records.get(MICRO, TABLE, &format!("namespace/{name}")).is_none() {
            return name;
        }
    }
}

fn create(state: &mut State, request: &Request) -> Reply {
    let owners = texts(&request.body, "owners");
    if owners.is_empty() {
        return Err(Refusal::micro("namespaces.create.validation", 400, "Owners is required"));
    }
    let id = if request.text("id").is_empty() { new_name(state) } else { request.text("id").to_owned() };
    let made = call_as(state, "namespaces", "platform", "Platform.CreateNamespace", json!({ "name": id }));
    made.map_err(|_| Refusal::micro("namespaces.create.creation", 500, "Error creating namespace"))?;
    let now_s = state.clock.now_s();
    let namespace = Namespace {
        id,
        users: owners.clone(),
        owners,
        created: now_s,
        updated: now_s,
        status: "active".to_owned(),
    };
    save(state, &namespace);
    message(json!({ "namespace": shown(&namespace) }))
}

fn read(state: &State, request: &Request) -> Reply {
    let namespace = find(state, request.text("id"), "read")?;
    message(json!({ "namespace": shown(&namespace) }))
}

fn delete(state: &mut State, request: &Request) -> Reply {
    let mut namespace = find(state, request.text("id"), "delete")?;
    call_as(state, "namespaces", "platform", "Platform.DeleteNamespace", json!({ "name": namespace.id }))?;
    auth::forget_all(state, &namespace.id);
    rules::forget_all(state, &namespace.id);
    "deleted".clone_into(&mut namespace.status);
    namespace.updated = state.clock.now_s();
    save(state, &namespace);
    empty()
}

fn list(state: &State, request: &Request) -> Reply {
    let (owner, user) = (request.text("owner"), request.text("user"));
    let prefix = match (owner.is_empty(), user.is_empty()) {
        (false, false) => {
            return Err(Refusal::micro(
                "namespaces.list.validation",
                400,
                "Cannot specify both owner and user",
            ));
        }
        (false, true) => format!("owner/{owner}/"),
        (true, false) => format!("user/{user}/"),
        (true, true) => "namespace/".to_owned(),
    };
    let keys = state.records.keys(MICRO, TABLE, &prefix);
    let found = keys.iter().filter_map(|key| state.records.load::<Namespace>(MICRO, TABLE, key));
    let shown: Vec<Value> = found.filter(|one| one.status != "deleted").map(|one| shown(&one)).collect();
    message(json!({ "namespaces": shown }))
}

fn add_user(state: &mut State, request: &Request) -> Reply {
    let (user, id) = (request.text("user"), request.text("namespace"));
    if user.is_empty() || id.is_empty() {
        let detail = "User and Namespace are required";
        return Err(Refusal::micro("namespaces.adduser.validation", 400, detail));
    }
    let mut namespace = find(state, id, "adduser")?;
    let is_lost = state.has(Defect::NamespaceUserLost);
    if !is_lost && !namespace.users.iter().any(|known| known == user) {
        namespace.users.push(user.to_owned());
    }
    save(state, &namespace);
    empty()
}
