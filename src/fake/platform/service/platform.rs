//! platform: the Kubernetes side of a namespace. It asks nobody who they are, and passes the caller on to the runtime.
//!
//! Lives here: Platform.*. Does not: the records of namespaces (`namespaces`).

use super::{call, unknown};
use crate::fake::platform::wire::{Reply, Request, empty};
use crate::fake::platform::{MICRO, State};
use serde_json::json;

pub(super) fn answer(state: &mut State, request: &Request) -> Reply {
    let endpoint = match request.endpoint.as_str() {
        "Platform.CreateNamespace" => "Runtime.Create",
        "Platform.DeleteNamespace" => "Runtime.Delete",
        _ => return Err(unknown(request)),
    };
    let resource = json!({ "resource": { "namespace": { "name": request.text("name") } } });
    call(state, request.caller.clone(), (MICRO, "runtime"), endpoint, resource)?;
    empty()
}
