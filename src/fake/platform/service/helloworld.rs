//! helloworld: the service that greets.
//!
//! Lives here: Helloworld.Call. Does not: anything else.

use super::unknown;
use crate::fake::defect::Defect;
use crate::fake::platform::State;
use crate::fake::platform::wire::{Reply, Request, message};
use serde_json::json;

pub(super) fn answer(state: &mut State, request: &Request) -> Reply {
    if request.endpoint != "Helloworld.Call" {
        return Err(unknown(request));
    }
    let stamp = state.clock.now_text();
    let line = format!("{stamp}  file=handler/helloworld.go:14 level=info Received Helloworld.Call request");
    state.log(&request.namespace, "helloworld", line);
    let name = if state.has(Defect::HelloworldWrongAnswer) { "World" } else { request.text("name") };
    message(json!({ "msg": format!("Hello {name}") }))
}
