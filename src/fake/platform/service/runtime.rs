//! runtime: which services shall run; it has the cluster make their pods.
//!
//! Lives here: Runtime.*. Does not: pods (`cluster`, `local`).

use super::{authorize, or_micro, unknown};
use crate::fake::defect::Defect;
use crate::fake::platform::profile::RUN_LIST;
use crate::fake::platform::serve::CORE;
use crate::fake::platform::wire::{
    Answer, Message, Refusal, Reply, Request, empty, flag, message, number, text,
};
use crate::fake::platform::{MICRO, State};
use crate::fake::pod::{Deployment, Order};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

const TABLE: &str = "runtime";
/// The image in which services run.
const IMAGE: &str = "ghcr.io/m3o/cells:v3";

/// A service that shall run, as the store keeps it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Running {
    /// Its name.
    pub(crate) name: String,
    /// Its version.
    pub(crate) version: String,
    /// Where its code comes from.
    pub(crate) source: String,
    /// The account that ran it.
    pub(crate) owner: String,
    /// That account's namespace.
    pub(crate) group: String,
    /// When, as text.
    pub(crate) started: String,
    /// How often it has been updated; each time its pods are replaced.
    #[serde(default)]
    pub(crate) builds: u32,
}

pub(super) fn answer(state: &mut State, request: &Request) -> Reply {
    match request.endpoint.as_str() {
        "Runtime.Read" => read(state, request),
        "Runtime.Logs" => logs(state, request),
        "Source.Upload" => Err(Refusal::micro(request.error_id(), 400, "No service was sent")),
        "Build.Read" => Err(Refusal::micro(request.error_id(), 404, "Build not found")),
        "Runtime.Create" | "Runtime.Update" | "Runtime.Delete" => change(state, request),
        _ => Err(unknown(request)),
    }
}

/// Has a service run in a namespace.
pub(crate) fn run(state: &mut State, namespace: &str, running: &Running) {
    state.records.save(MICRO, TABLE, &key(namespace, &running.name, &running.version), running);
    let never_starts = state.has(Defect::ServiceNotRunning) && !RUN_LIST.contains(&running.name.as_str());
    if !never_starts {
        state.orders.push(Order::Apply(deployment(namespace, running)));
    }
}

/// How many services shall run in a namespace.
pub(crate) fn count(state: &State, namespace: &str) -> usize {
    state.records.keys(MICRO, TABLE, &format!("service:{namespace}:")).len()
}

fn key(namespace: &str, name: &str, version: &str) -> String {
    format!("service:{namespace}:{name}:{version}")
}

fn deployment(namespace: &str, running: &Running) -> Deployment {
    let label = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let mut labels =
        vec![label("name", &running.name), label("version", &running.version), label("micro", "service")];
    if running.builds > 0 {
        labels.push(label("build", &running.builds.to_string()));
    }
    Deployment {
        namespace: namespace.to_owned(),
        name: format!("{}-{}", running.name, running.version),
        service: running.name.clone(),
        labels,
        replicas: 1,
        image: IMAGE.to_owned(),
    }
}

fn change(state: &mut State, request: &Request) -> Reply {
    let resource = request.message("resource").cloned().unwrap_or_default();
    let Some((kind, given)) = resource.iter().next() else {
        return Err(Refusal::micro(request.error_id(), 400, "blank resource"));
    };
    let namespace = or_micro(request.inner("options", "namespace"));
    if !(state.has(Defect::RuntimeWriteOpen) && request.caller.is_some()) {
        authorize(request, &namespace, &request.error_id())?;
    }
    let given = given.as_object().cloned().unwrap_or_default();
    match (kind.as_str(), request.endpoint.as_str()) {
        ("service", "Runtime.Create") => create(state, request, &namespace, &given),
        ("service", "Runtime.Update") => update(state, request, &namespace, &given),
        ("service", _) => delete(state, request, &namespace, &given),
        (other, endpoint) => infrastructure(state, other, endpoint, &given),
    }
}

/// Namespaces, network policies and quotas.
fn infrastructure(state: &mut State, kind: &str, endpoint: &str, given: &Message) -> Reply {
    let invalid = || Err(Refusal::plain("invalid resource"));
    let name = text(given, "name").to_owned();
    match (kind, endpoint) {
        ("namespace", "Runtime.Update") => {}
        ("namespace" | "networkpolicy", _) if name.is_empty() => return invalid(),
        ("namespace", "Runtime.Create") => state.orders.push(Order::MakeNamespace(name)),
        ("namespace", _) => remove_namespace(state, &name),
        ("resourcequota", _) if !given.contains_key("limits") => {
            let detail = "panic recovered: runtime error: invalid memory address or nil pointer dereference";
            return Err(Refusal::micro("runtime", 500, detail));
        }
        _ => {}
    }
    empty()
}

fn remove_namespace(state: &mut State, name: &str) {
    for key in state.records.keys(MICRO, TABLE, &format!("service:{name}:")) {
        state.records.remove(MICRO, TABLE, &key);
    }
    if !state.has(Defect::NamespaceStaysInCluster) {
        state.orders.push(Order::RemoveNamespace(name.to_owned()));
    }
}

fn version(given: &Message) -> &str {
    if text(given, "version").is_empty() { "latest" } else { text(given, "version") }
}

/// Why no code can be had from a source: only the two repositories of services exist here.
fn problem_of(source: &str) -> Option<String> {
    let clone = |what: &str| Some(format!("Git clone failed: Cloning into '.'...\nfatal: {what}\n"));
    if source.is_empty() {
        return clone("unable to access 'https://': Could not resolve host: info");
    }
    if source.contains(' ') {
        let what =
            format!("unable to access 'https://{source}/': URL using bad/illegal format or missing URL");
        return clone(&what);
    }
    if source.starts_with("source://") {
        return Some("not found".to_owned());
    }
    let exists = ["github.com/micro/services", "github.com/m3o/services"]
        .iter()
        .any(|known| source.starts_with(known));
    (!exists).then(|| "zip: not a valid zip file".to_owned())
}

fn create(state: &mut State, request: &Request, namespace: &str, given: &Message) -> Reply {
    if let Some(problem) = problem_of(text(given, "source")) {
        return Err(Refusal::micro(request.error_id(), 500, problem));
    }
    let caller = request.caller.as_ref();
    let running = Running {
        name: text(given, "name").to_owned(),
        version: version(given).to_owned(),
        source: text(given, "source").to_owned(),
        owner: caller.map(|caller| caller.name.clone()).unwrap_or_default(),
        group: caller.map(|caller| caller.iss.clone()).unwrap_or_default(),
        started: state.clock.now_text(),
        builds: 0,
    };
    let known: Option<Running> =
        state.records.load(MICRO, TABLE, &key(namespace, &running.name, &running.version));
    if known.is_none_or(|known| known.source != running.source) {
        run(state, namespace, &running);
    }
    empty()
}

fn known(state: &State, request: &Request, namespace: &str, given: &Message) -> Result<Running, Refusal> {
    let found = state.records.load(MICRO, TABLE, &key(namespace, text(given, "name"), version(given)));
    found.ok_or_else(|| Refusal::micro(request.error_id(), 500, "not found"))
}

fn update(state: &mut State, request: &Request, namespace: &str, given: &Message) -> Reply {
    let mut running = known(state, request, namespace, given)?;
    if state.has(Defect::ServiceUpdateLost) {
        return empty();
    }
    if !text(given, "source").is_empty() {
        text(given, "source").clone_into(&mut running.source);
    }
    running.started = state.clock.now_text();
    running.builds += 1;
    run(state, namespace, &running);
    empty()
}

fn delete(state: &mut State, request: &Request, namespace: &str, given: &Message) -> Reply {
    let running = known(state, request, namespace, given)?;
    if !state.has(Defect::ServiceNotDeleted) {
        state.records.remove(MICRO, TABLE, &key(namespace, &running.name, &running.version));
        let name = format!("{}-{}", running.name, running.version);
        state.orders.push(Order::Remove { namespace: namespace.to_owned(), name });
    }
    empty()
}

fn read(state: &State, request: &Request) -> Reply {
    let options = request.message("options").cloned().unwrap_or_default();
    let namespace = or_micro(text(&options, "namespace"));
    if !(state.has(Defect::RuntimeReadOpen) && request.caller.is_some()) {
        authorize(request, &namespace, &request.error_id())?;
    }
    let keys = state.records.keys(MICRO, TABLE, &format!("service:{namespace}:"));
    let all = keys.iter().filter_map(|key| state.records.load::<Running>(MICRO, TABLE, key));
    let asked = |field: &str, own: &str| text(&options, field).is_empty() || text(&options, field) == own;
    let asked = all.filter(|one| asked("service", &one.name) && asked("version", &one.version));
    let services: Vec<Value> = asked.map(|one| shown(state, &namespace, &one)).collect();
    message(json!({ "services": services }))
}

fn shown(state: &State, namespace: &str, running: &Running) -> Value {
    let status = if state.nodes.is_up(namespace, &running.name) { 4 } else { 3 };
    json!({
        "name": running.name, "version": running.version, "source": running.source,
        "metadata": {
            "group": running.group, "lastStatusUpdate": running.started, "owner": running.owner,
            "started": running.started, "status": "unknown",
        },
        "status": status,
    })
}

fn logs(state: &State, request: &Request) -> Reply {
    let namespace = or_micro(request.inner("options", "namespace"));
    authorize(request, &namespace, &request.error_id())?;
    let service = request.text("service");
    let is_known = !state.records.keys(MICRO, TABLE, &format!("service:{namespace}:{service}:")).is_empty();
    if CORE.contains(&service) && flag(&request.body, "stream") {
        return Ok(Answer::Endless);
    }
    if !is_known || service.is_empty() {
        return Err(Refusal::plain(format!("Logs not found for service {service}")));
    }
    let tally = state.tallies.get(&(namespace, service.to_owned()));
    let mut lines = vec![
        format!("level=info Starting [service] {service}"),
        "level=info Server [grpc] Listening on [::]:8080".to_owned(),
    ];
    lines.extend(tally.into_iter().flat_map(|tally| tally.log.iter().map(|(_, line)| line.clone())));
    let count = usize::try_from(number(&request.body, "count")).ok().filter(|count| *count > 0);
    let skip = lines.len().saturating_sub(count.unwrap_or(15));
    Ok(Answer::Stream(lines.into_iter().skip(skip).map(|line| json!({ "message": line })).collect()))
}
