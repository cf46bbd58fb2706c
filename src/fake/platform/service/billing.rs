//! billing: what subscriptions would have to change for what their namespaces use.
//!
//! Lives here: Billing.*, and who may ask. Does not: the payment provider (`payments`).

use super::{is_micro, unknown};
use crate::fake::platform::wire::{Refusal, Reply, Request, empty, message};
use serde_json::json;

pub(super) fn answer(request: &Request) -> Reply {
    match request.endpoint.as_str() {
        "Billing.Updates" => updates(request),
        "Billing.Apply" => apply(request),
        _ => Err(unknown(request)),
    }
}

fn unauthorized(id: &str) -> Refusal {
    Refusal::micro(id, 401, "Unauthorized")
}

/// Nothing is found that would have to change: nobody has a subscription.
fn updates(request: &Request) -> Reply {
    if request.caller.is_none() {
        return Err(unauthorized("billing.Updates"));
    }
    message(json!({ "updates": [] }))
}

fn apply(request: &Request) -> Reply {
    if !is_micro(request) {
        return Err(unauthorized("billing.Apply"));
    }
    if request.text("customerID").is_empty() {
        return Err(Refusal::micro("billing.Apply", 400, "Customer ID is empty"));
    }
    empty()
}
