//! network: the mesh through which all calls go.
//!
//! Lives here: Network.*. Does not: the forwarding (`door::forward`).

use super::{authorize, unknown};
use crate::fake::platform::wire::{Reply, Request, empty, message};
use crate::fake::platform::{MICRO, State};
use serde_json::{Value, json};

pub(super) fn answer(state: &State, request: &Request) -> Reply {
    match request.endpoint.as_str() {
        "Network.Services" => {
            authorize(request, MICRO, &request.error_id())?;
            empty()
        }
        "Network.Nodes" => message(json!({ "nodes": nodes(state) })),
        _ => Err(unknown(request)),
    }
}

fn nodes(state: &State) -> Vec<Value> {
    let nodes = state.nodes.of(MICRO, "network").iter();
    nodes.map(|node| json!({ "id": node.id, "address": node.address })).collect()
}
