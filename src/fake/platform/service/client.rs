//! client: forwards a call to any service, with the caller's own token.
//!
//! Lives here: Client.Call. Does not: its stream.

use super::{answer as ask, reachable};
use crate::fake::platform::schema::schema;
use crate::fake::platform::wire::{Answer, Refusal, Reply, Request, message};
use crate::fake::platform::{State, decode, encode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

pub(super) fn answer(state: &mut State, request: &Request) -> Reply {
    let (service, endpoint) = (request.text("service"), request.text("endpoint"));
    let malformed =
        || Refusal::plain(format!("malformed method name: {}", serde_json::Value::from(endpoint)));
    let handler =
        endpoint.split('.').next().filter(|_| endpoint.split('.').count() == 2).ok_or_else(malformed)?;
    reachable(state, &request.namespace, service)?;
    let unknown = |what: &str| Refusal::plain(format!("unknown service {what}"));
    if !schema().has_handler(service, handler) {
        return Err(unknown(handler));
    }
    let method = schema().method(service, endpoint).ok_or_else(|| unknown(endpoint))?;
    let body = STANDARD.decode(request.text("body")).unwrap_or_default();
    let read = decode::whole(&String::from_utf8_lossy(&body));
    let read = read.and_then(|value| decode::message(&method.input, &value)).map_err(Refusal::plain)?;
    let inner =
        Request { service: service.to_owned(), endpoint: endpoint.to_owned(), body: read, ..request.clone() };
    let told = match ask(state, &inner)? {
        Answer::Message(told) => told,
        Answer::Stream(mut all) => all.pop().unwrap_or_default(),
        Answer::Endless => return Err(Refusal::micro("go.micro.client", 408, "context deadline exceeded")),
    };
    let text = encode::to_json(&method.output, &told).to_string();
    message(json!({ "body": STANDARD.encode(text) }))
}
