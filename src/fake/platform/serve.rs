//! A call that has come to a pod's door → what its service answers.
//!
//! Lives here: finding the method, reading the message, the check that each service makes of its callers. Does not: the
//! services themselves (`service`), how the call came here (`door`).

use super::rules::{self, CACHE_MS, Rule};
use super::schema::{Method, schema};
use super::token::Claims;
use super::wire::{Answer, Message, Refusal, Reply, Request};
use super::{MICRO, State, decode, nodes, protobuf, service};
use crate::fake::defect::Defect;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// Services that are part of the server itself; they guard themselves and ask no rules.
pub(crate) const CORE: [&str; 13] = [
    "api", "auth", "broker", "config", "debug", "events", "network", "proxy", "registry", "router",
    "runtime", "server", "store",
];

/// How the messages of a call are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Codec {
    /// JSON text.
    Json,
    /// Protocol buffers, as base64 between the doors.
    Protobuf,
}

/// A call on its way from the gateway or the proxy to a pod.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Forwarded {
    /// The service's name.
    pub(crate) service: String,
    /// `Handler.Method`.
    pub(crate) endpoint: String,
    /// The namespace in which the service runs.
    pub(crate) namespace: String,
    /// The `Authorization` header.
    pub(crate) authorization: Option<String>,
    /// Whether it came over HTTP.
    pub(crate) over_http: bool,
    /// How the messages are encoded.
    pub(crate) codec: Codec,
    /// The messages.
    pub(crate) messages: Vec<String>,
}

/// What came of it, and which message the answers are.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Served {
    /// The name of the answers' message.
    pub(crate) output: String,
    /// The answer.
    pub(crate) reply: Reply,
}

/// Serves one call.
pub(crate) fn serve(state: &mut State, call: &Forwarded) -> Served {
    state.tick();
    let (output, reply) = match find(call) {
        Ok(method) => (method.output.clone(), ask(state, call, &method)),
        Err(_) if state.has(Defect::UnknownMethodAnswers) => {
            ("debug.TraceResponse".to_owned(), super::wire::empty())
        }
        Err(refusal) => (String::new(), Err(refusal)),
    };
    state.count(&call.namespace, &call.service, &call.endpoint, reply.is_err());
    let is_short = state.has(Defect::RpcLosesAMember) && !call.over_http;
    Served { output, reply: if is_short { without_last_member(reply) } else { reply } }
}

/// The reply without the member that comes last in each of its messages.
fn without_last_member(reply: Reply) -> Reply {
    let cut = |mut message: Value| {
        if let Some(members) = message.as_object_mut() {
            let last = members.keys().next_back().cloned();
            last.and_then(|last| members.shift_remove(&last));
        }
        message
    };
    Ok(match reply? {
        Answer::Message(message) => Answer::Message(cut(message)),
        Answer::Stream(messages) => Answer::Stream(messages.into_iter().map(cut).collect()),
        Answer::Endless => Answer::Endless,
    })
}

fn find(call: &Forwarded) -> Result<Method, Refusal> {
    let schema = schema();
    let handler = call.endpoint.split('.').next().unwrap_or_default();
    if !schema.has_handler(&call.service, handler) {
        return Err(Refusal::status(12, format!("unknown service {handler}")));
    }
    let unknown = || Refusal::status(12, format!("unknown service {}", call.endpoint));
    schema.method(&call.service, &call.endpoint).ok_or_else(unknown)
}

fn ask(state: &mut State, call: &Forwarded, method: &Method) -> Reply {
    let body = match read_all(call, method) {
        Err(_) if state.has(Defect::UnknownFieldIgnored) => Default::default(),
        read => read?,
    };
    let caller = match call.authorization.as_deref() {
        None | Some("") => None,
        Some(header) => match header.strip_prefix("Bearer ") {
            Some(token) => state.account(token),
            None => return Err(bad_scheme(&call.service)),
        },
    };
    let request = Request {
        service: call.service.clone(),
        endpoint: call.endpoint.clone(),
        namespace: call.namespace.clone(),
        caller,
        over_http: call.over_http,
        body,
    };
    guard(state, &request)?;
    service::answer(state, &request)
}

/// The refusal of an `Authorization` header that is no bearer token.
pub(crate) fn bad_scheme(service: &str) -> Refusal {
    Refusal::micro(service, 401, "invalid authorization header. expected Bearer schema")
}

fn read_all(call: &Forwarded, method: &Method) -> Result<Message, Refusal> {
    let mut messages = call.messages.iter().map(|text| read_one(call.codec, text, method));
    let mut first = messages.next().ok_or_else(|| Refusal::status(13, "EOF"))??;
    if call.endpoint == "BlobStore.Write" {
        let mut blob = blob_of(&first);
        for more in messages {
            blob.extend(blob_of(&more?));
        }
        first.insert("blob".to_owned(), Value::from(STANDARD.encode(blob)));
    }
    Ok(first)
}

fn blob_of(message: &Message) -> Vec<u8> {
    STANDARD.decode(super::wire::text(message, "blob")).unwrap_or_default()
}

fn read_one(codec: Codec, text: &str, method: &Method) -> Result<Message, Refusal> {
    let read = match codec {
        Codec::Json => decode::first(text).and_then(|value| decode::message(&method.input, &value)),
        Codec::Protobuf => protobuf::read(&method.input, &STANDARD.decode(text).unwrap_or_default()),
    };
    read.map_err(|what| Refusal::status(13, format!("grpc: failed to unmarshal the received message {what}")))
}

/// Services outside the core ask the rules of their own namespace, and honour only accounts of it.
fn guard(state: &mut State, request: &Request) -> Result<(), Refusal> {
    let is_debug = request.endpoint.starts_with("Debug.");
    if CORE.contains(&request.service.as_str()) || (is_debug && state.has(Defect::DebugOpenToAnonymous)) {
        return Ok(());
    }
    let rules = rules_of(state, &request.service, &request.namespace)?;
    let own = request.caller.as_ref().filter(|caller| caller.iss == request.namespace);
    if rules::allow(&rules, own, &request.service, &request.endpoint) {
        return Ok(());
    }
    Err(not_allowed(own, &request.service, &request.endpoint))
}

/// The refusal of a rule check.
pub(crate) fn not_allowed(account: Option<&Claims>, service: &str, endpoint: &str) -> Refusal {
    match account {
        Some(account) => {
            let detail = format!("Forbidden call made to {service}:{endpoint} by {}", account.sub);
            Refusal::micro(service, 403, detail)
        }
        None => Refusal::micro(service, 401, format!("Unauthorized call made to {service}:{endpoint}")),
    }
}

/// The rules of a namespace as a process knows them: from its cache, else from auth, which needs the store.
pub(crate) fn rules_of(state: &mut State, process: &str, namespace: &str) -> Result<Arc<Vec<Rule>>, Refusal> {
    let now_ms = state.clock.now_ms();
    if let Some(rules) = state.rule_caches.get(process, namespace, now_ms) {
        return Ok(rules);
    }
    for needed in ["auth", "store"] {
        reachable(state, MICRO, needed)?;
    }
    let keep = state.has(Defect::AnonymousHeaderMakesRules) || service::auth::has_accounts(state, namespace);
    let rules = Arc::new(service::rules::list(state, namespace, keep));
    let until_ms = now_ms + nodes::scaled(CACHE_MS, state.pace);
    state.rule_caches.put(process, namespace, rules.clone(), until_ms);
    Ok(rules)
}

/// Whether a service can be called; else what its caller is told.
pub(crate) fn reachable(state: &State, namespace: &str, service: &str) -> Result<(), Refusal> {
    if state.nodes.is_up(namespace, service) {
        return Ok(());
    }
    if state.nodes.of(namespace, service).is_empty() && !state.nodes.is_known(namespace, service) {
        return Err(route_not_found(service));
    }
    Err(refused_connection(&state.nodes.last_seen(namespace, service)))
}

/// What the platform says of a service that no route leads to.
pub(crate) fn route_not_found(service: &str) -> Refusal {
    let inner =
        super::wire::micro_json("go.micro.client", 500, &format!("service {service}: route not found"));
    Refusal::micro("go.micro.client", 500, inner)
}

/// What the platform says when nobody listens at a node's address.
pub(crate) fn refused_connection(address: &str) -> Refusal {
    let dial = format!("transport: Error while dialing dial tcp {address}: connect: connection refused");
    Refusal::micro("go.micro.client", 500, format!("connection error: desc = {}", Value::from(dial)))
}

/// What the platform says when a node goes away in the middle of a call.
pub(crate) fn broken_stream(address: &str) -> Refusal {
    let detail = format!(
        "Error creating stream: rpc error: code = Unavailable desc = transport is closing ({address})"
    );
    Refusal::micro("go.micro.client", 500, detail)
}
