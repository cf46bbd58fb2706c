//! The platform's services: one file each, each a pure function of the state and a request.
//!
//! Lives here: which file answers for which service, and how services call each other. Does not: decoding, rules of
//! callers (`serve`), sockets (`door`).

mod alert;
pub(crate) mod auth;
mod billing;
mod broker;
mod client;
pub(crate) mod config;
pub(crate) mod customers;
mod debug;
pub(crate) mod emails;
mod events;
mod helloworld;
pub(crate) mod invite;
pub(crate) mod namespaces;
mod network;
mod payments;
mod platform;
mod posts;
mod registry;
mod router;
pub(crate) mod rules;
pub(crate) mod runtime;
pub(crate) mod signup;
mod status;
mod store;
mod subscriptions;
mod tags;
mod usage;

use super::serve::reachable;
use super::token::Claims;
use super::wire::{Answer, Message, Refusal, Reply, Request};
use super::{MICRO, State, wire};
use crate::fake::defect::Defect;
use serde_json::Value;

/// Services that answer without the store.
const WITHOUT_STORE: [&str; 10] =
    ["api", "broker", "client", "debug", "helloworld", "network", "proxy", "registry", "router", "status"];

/// Asks a service.
pub(crate) fn answer(state: &mut State, request: &Request) -> Reply {
    if request.endpoint.starts_with("Debug.") {
        return debug::answer(state, request);
    }
    let service = request.service.as_str();
    if state.has(Defect::HealthLies) && matches!(service, "store" | "config") {
        return Err(Refusal::micro(service, 500, "internal error"));
    }
    if !WITHOUT_STORE.contains(&service) && service != "store" && request.endpoint != "Auth.Inspect" {
        reachable(state, MICRO, "store")?;
    }
    match service {
        "alert" => alert::answer(state, request),
        "auth" if request.endpoint.starts_with("Rules.") => rules::answer(state, request),
        "auth" => auth::answer(state, request),
        "billing" => billing::answer(state, request),
        "broker" => broker::answer(request),
        "client" => client::answer(state, request),
        "config" => config::answer(state, request),
        "customers" => customers::answer(state, request),
        "emails" => emails::answer(state, request),
        "events" => events::answer(state, request),
        "helloworld" => helloworld::answer(state, request),
        "invite" => invite::answer(state, request),
        "namespaces" => namespaces::answer(state, request),
        "network" => network::answer(state, request),
        "payments" => payments::answer(state, request),
        "platform" => platform::answer(state, request),
        "posts" => posts::answer(state, request),
        "registry" => registry::answer(state, request),
        "router" => router::answer(state, request),
        "runtime" => runtime::answer(state, request),
        "signup" => signup::answer(state, request),
        "status" => status::answer(state, request),
        "store" => store::answer(state, request),
        "subscriptions" => subscriptions::answer(state, request),
        "tags" => tags::answer(state, request),
        "tests" => wire::empty(),
        "usage" => usage::answer(state, request),
        _ => Err(unknown(request)),
    }
}

/// The refusal of a method that a service does not have.
fn unknown(request: &Request) -> Refusal {
    Refusal::status(12, format!("unknown service {}", request.endpoint))
}

/// One service calls another.
fn call(
    state: &mut State,
    caller: Option<Claims>,
    (namespace, service): (&str, &str),
    endpoint: &str,
    body: Value,
) -> Result<Message, Refusal> {
    reachable(state, namespace, service)?;
    let request = Request {
        service: service.to_owned(),
        endpoint: endpoint.to_owned(),
        namespace: namespace.to_owned(),
        caller,
        over_http: false,
        body: body.as_object().cloned().unwrap_or_default(),
    };
    match answer(state, &request)? {
        Answer::Message(Value::Object(message)) => Ok(message),
        _ => Ok(Message::new()),
    }
}

/// A service of namespace micro calls another with its own account.
fn call_as(
    state: &mut State,
    from: &str,
    service: &str,
    endpoint: &str,
    body: Value,
) -> Result<Message, Refusal> {
    call(state, Some(Claims::of_service(from)), (MICRO, service), endpoint, body)
}

/// The check of the core's handlers: an account of the namespace, or one of micro.
fn authorize(request: &Request, namespace: &str, id: &str) -> Result<(), Refusal> {
    match &request.caller {
        None => Err(Refusal::micro(id, 401, "An account is required")),
        Some(caller) if caller.iss == MICRO || caller.iss == namespace => Ok(()),
        Some(_) => Err(Refusal::micro(id, 403, "Access denied to namespace")),
    }
}

/// The namespace that a request names in `options`; micro if it names none.
fn named_namespace(request: &Request) -> String {
    or_micro(request.inner("options", "namespace"))
}

fn or_micro(namespace: &str) -> String {
    if namespace.is_empty() { MICRO.to_owned() } else { namespace.to_owned() }
}

/// Whether the caller's account was issued by namespace micro.
fn is_micro(request: &Request) -> bool {
    request.caller.as_ref().is_some_and(|caller| caller.iss == MICRO)
}
