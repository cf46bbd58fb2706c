//! broker: messages between services.
//!
//! Lives here: who may publish and subscribe. Does not: delivery to clients, which no suite asks for.

use super::unknown;
use crate::fake::platform::wire::{Answer, Refusal, Reply, Request, empty};

pub(super) fn answer(request: &Request) -> Reply {
    if request.caller.is_none() {
        return Err(Refusal::micro(request.error_id(), 401, "Access denied to namespace"));
    }
    match request.endpoint.as_str() {
        "Broker.Publish" if request.message("message").is_none() => {
            Err(Refusal::micro(request.error_id(), 400, "Missing message"))
        }
        "Broker.Publish" => empty(),
        "Broker.Subscribe" => Ok(Answer::Endless),
        _ => Err(unknown(request)),
    }
}
