//! subscriptions: on the free tier nobody has one.
//!
//! Lives here: who may ask, and what they are told. Does not: money.

use super::{is_micro, unknown};
use crate::fake::platform::wire::{Refusal, Reply, Request, empty};

pub(super) fn answer(request: &Request) -> Reply {
    let customer = request.text("customerID");
    let is_own = || request.caller.as_ref().is_some_and(|caller| caller.sub == customer);
    let cancels_own = request.endpoint == "Subscriptions.Cancel" && is_own();
    if !is_micro(request) && !cancels_own {
        return Err(Refusal::micro("subscriptions", 401, "Unauthorized request"));
    }
    match request.endpoint.as_str() {
        "Subscriptions.Cancel" if customer.is_empty() => {
            Err(Refusal::micro("subscriptions.cancel.validation", 400, "Customer ID is required"))
        }
        "Subscriptions.Cancel" => {
            let detail = "Found 0 subscriptions for this user. Please specify a valid subscription ID";
            Err(Refusal::micro("subscriptions.cancel", 400, detail))
        }
        "Subscriptions.Create" | "Subscriptions.AddUser" | "Subscriptions.Update" => empty(),
        _ => Err(unknown(request)),
    }
}
