//! registry: which services have which nodes.
//!
//! Lives here: Registry.*. Does not: when nodes come and go (`nodes`).

use super::{authorize, or_micro, unknown};
use crate::fake::defect::Defect;
use crate::fake::platform::nodes::Node;
use crate::fake::platform::schema::{Kind, Method, schema};
use crate::fake::platform::wire::{Refusal, Reply, Request, empty, message, number, text};
use crate::fake::platform::{MICRO, State};
use serde_json::{Value, json};

pub(super) fn answer(state: &mut State, request: &Request) -> Reply {
    match request.endpoint.as_str() {
        "Registry.GetService" => get(state, request),
        "Registry.ListServices" => list(state, request),
        "Registry.Register" => register(state, request),
        "Registry.Deregister" => deregister(state, request),
        _ => Err(unknown(request)),
    }
}

/// The domain of a request, once the caller may see it; everybody may see domain micro.
fn visible_domain(state: &State, request: &Request) -> Result<String, Refusal> {
    let domain = or_micro(request.inner("options", "domain"));
    if domain != MICRO && !state.has(Defect::RegistryListsAnyNamespace) {
        authorize(request, &domain, &request.error_id())?;
    }
    Ok(domain)
}

fn get(state: &State, request: &Request) -> Reply {
    let domain = visible_domain(state, request)?;
    let service = request.text("service");
    let keys = state.nodes.services(&domain).into_iter().filter(|(_, name)| name == service);
    let found: Vec<Value> = keys.map(|(owner, name)| shown(name, state.nodes.of(owner, name))).collect();
    if found.is_empty() {
        return Err(Refusal::micro(request.error_id(), 404, "service not found"));
    }
    message(json!({ "services": found }))
}

fn list(state: &State, request: &Request) -> Reply {
    let domain = visible_domain(state, request)?;
    let keys = state.nodes.services(&domain);
    let mut names: Vec<&str> = keys.iter().map(|(_, name)| name.as_str()).collect();
    if state.has(Defect::RegistryListsInfrastructure) {
        names.push("cockroachdb-public");
    }
    let services: Vec<Value> = names.iter().map(|name| json!({ "name": name, "options": {} })).collect();
    message(json!({ "services": services }))
}

fn shown(name: &str, nodes: &[Node]) -> Value {
    let metadata = json!({
        "broker": "memory", "protocol": "grpc", "registry": "mdns", "server": "grpc", "transport": "grpc",
    });
    let nodes: Vec<Value> = nodes
        .iter()
        .map(|node| json!({ "id": node.id, "address": node.address, "metadata": metadata }))
        .collect();
    let endpoints: Vec<Value> = schema().methods(name).iter().map(endpoint).collect();
    json!({ "name": name, "version": "latest", "endpoints": endpoints, "nodes": nodes, "options": {} })
}

/// A method as Go's reflection describes it; streams are described by their types only.
fn endpoint(method: &Method) -> Value {
    if method.stream {
        let of = |name: &str| json!({ "name": name, "type": name });
        return json!({
            "name": method.endpoint, "request": of("Context"), "response": of("Stream"), "metadata": { "stream": "true" },
        });
    }
    json!({
        "name": method.endpoint, "request": described(short(&method.input), &method.input),
        "response": described(short(&method.output), &method.output),
    })
}

fn short(message: &str) -> &str {
    message.rsplit('.').next().unwrap_or(message)
}

fn described(name: &str, message: &str) -> Value {
    json!({ "name": name, "type": short(message), "values": values(message) })
}

fn values(message: &str) -> Vec<Value> {
    let fields = schema().fields(message).iter();
    fields
        .map(|field| match (&field.kind, field.repeated) {
            (Kind::Message(inner), false) => described(&field.name, inner),
            (kind, repeated) => {
                let many = if repeated { "[]" } else { "" };
                json!({ "name": field.name, "type": format!("{many}{}", go_type(kind)) })
            }
        })
        .map(untyped_map)
        .collect()
}

/// Maps are described by name only.
fn untyped_map(mut value: Value) -> Value {
    if value["type"] == "map" {
        value["type"] = Value::from("");
    }
    value
}

fn go_type(kind: &Kind) -> String {
    match kind {
        Kind::Text => "string".to_owned(),
        Kind::Bool => "bool".to_owned(),
        Kind::Bytes => "[]uint8".to_owned(),
        Kind::Small => "int32".to_owned(),
        Kind::Large { signed } => if *signed { "int64" } else { "uint64" }.to_owned(),
        Kind::Map => "map".to_owned(),
        Kind::Message(name) | Kind::Choice(name) => short(name).to_owned(),
    }
}

fn own_domain(request: &Request) -> Result<String, Refusal> {
    let domain = or_micro(request.inner("options", "domain"));
    authorize(request, &domain, &request.error_id())?;
    Ok(domain)
}

fn given_nodes(request: &Request) -> Vec<Value> {
    request.body.get("nodes").and_then(Value::as_array).cloned().unwrap_or_default()
}

fn register(state: &mut State, request: &Request) -> Reply {
    let domain = own_domain(request)?;
    let options = request.message("options").cloned().unwrap_or_default();
    let life_s = if number(&options, "ttl") == 0 { 90 } else { number(&options, "ttl") };
    let expires_ms = Some(state.clock.now_ms() + life_s * 1000);
    for given in given_nodes(request).iter().filter_map(Value::as_object) {
        let node = Node {
            id: text(given, "id").to_owned(),
            address: text(given, "address").to_owned(),
            door: text(given, "address").to_owned(),
            pod: String::new(),
            expires_ms,
        };
        state.nodes.register((domain.clone(), request.text("name").to_owned()), node);
    }
    empty()
}

fn deregister(state: &mut State, request: &Request) -> Reply {
    let key = (own_domain(request)?, request.text("name").to_owned());
    for given in given_nodes(request).iter().filter_map(Value::as_object) {
        state.nodes.deregister(&key, text(given, "id"));
    }
    empty()
}
