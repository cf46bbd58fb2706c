//! router: which routes lead to a service. It asks nobody who they are, as the real one does not.
//!
//! Lives here: Router.Lookup. Does not: the forwarding (`door::forward`).

use crate::fake::platform::wire::{Refusal, Reply, Request, message};
use crate::fake::platform::{MICRO, State};
use serde_json::{Value, json};

pub(super) fn answer(state: &State, request: &Request) -> Reply {
    let service = request.text("service");
    let nodes = state.nodes.of(MICRO, service);
    if nodes.is_empty() {
        return Err(Refusal::micro(request.error_id(), 404, "route not found"));
    }
    let route = |address: &str| json!({ "service": service, "address": address, "network": "micro", "link": "local", "metric": 1 });
    let routes: Vec<Value> = nodes.iter().map(|node| route(&node.address)).collect();
    message(json!({ "routes": routes }))
}
