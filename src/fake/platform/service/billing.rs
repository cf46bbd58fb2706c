//! billing: what subscriptions would have to change for what their namespaces use.
//!
//! Lives here: Billing.*, and who may ask. Does not: the payment provider (`payments`). The real service compares every
//! now and then and remembers; this one compares when it is asked.

use super::usage::{self, Usage};
use super::{call_as, config, customers, is_micro, namespaces, subscriptions, unknown};
use crate::fake::platform::State;
use crate::fake::platform::wire::{Refusal, Reply, Request, empty, flag, message, number};
use serde_json::{Value, json};

/// What a customer should pay for, and does not yet.
#[derive(Debug, Clone)]
struct Change {
    namespace: String,
    customer: String,
    price: String,
    from: i64,
    to: i64,
    note: &'static str,
}

pub(super) fn answer(state: &mut State, request: &Request) -> Reply {
    match request.endpoint.as_str() {
        "Billing.Updates" => updates(state, request),
        "Billing.Apply" => apply(state, request),
        _ => Err(unknown(request)),
    }
}

fn unauthorized(id: &str) -> Refusal {
    Refusal::micro(id, 401, "Unauthorized")
}

/// A tenant is told of their own namespace, whatever they ask for.
fn updates(state: &mut State, request: &Request) -> Reply {
    let caller = request.caller.as_ref().ok_or_else(|| unauthorized("billing.Updates"))?;
    let asked = if is_micro(request) { request.text("namespace") } else { caller.iss.as_str() };
    let changes = changes(state, |change| asked.is_empty() || change.namespace == asked)?;
    let at = |field: &str| usize::try_from(number(&request.body, field)).unwrap_or_default();
    let most = if at("limit") == 0 { usize::MAX } else { at("limit") };
    let page = changes.iter().skip(at("offset")).take(most);
    let shown: Vec<Value> = page.map(|change| shown(state, change)).collect();
    message(json!({ "updates": shown }))
}

fn shown(state: &State, change: &Change) -> Value {
    json!({
        "id": format!("{}/{}", change.namespace, change.price), "namespace": change.namespace,
        "priceID": change.price, "quantityFrom": change.from, "quantityTo": change.to, "note": change.note,
        "created": state.clock.now_s(), "customerID": change.customer,
        "customerEmail": customers::address(state, &change.customer),
    })
}

fn apply(state: &mut State, request: &Request) -> Reply {
    if !is_micro(request) {
        return Err(unauthorized("billing.Apply"));
    }
    let (customer, is_for_all) = (request.text("customerID"), flag(&request.body, "all"));
    if customer.is_empty() && !is_for_all {
        return Err(Refusal::micro("billing.Apply", 400, "Customer ID is empty"));
    }
    for change in changes(state, |change| is_for_all || change.customer == customer)? {
        let wanted = json!({ "ownerID": change.customer, "priceID": change.price, "quantity": change.to });
        call_as(state, "billing", "subscriptions", "Subscriptions.Update", wanted)?;
    }
    empty()
}

/// What would have to change, for the namespaces whose owner has a subscription.
fn changes(state: &mut State, is_wanted: impl Fn(&Change) -> bool) -> Result<Vec<Change>, Refusal> {
    let mut changes = Vec::new();
    for namespace in namespaces::names(state) {
        let Some(owner) = namespaces::owner(state, &namespace) else { continue };
        if subscriptions::is_paying(state, &owner) {
            changes.extend(of_namespace(state, &namespace, &owner)?);
        }
    }
    changes.retain(|change| change.from != change.to && is_wanted(change));
    Ok(changes)
}

/// One user is included, and as many services as are set.
fn of_namespace(state: &mut State, namespace: &str, owner: &str) -> Result<[Change; 2], Refusal> {
    let Usage { users, services } = usage::of(state, namespace);
    let included = config::number_at(state, "micro.billing.max_included_services");
    let beyond = |count: usize, included: i64| i64::try_from(count).map_or(0, |all| (all - included).max(0));
    let mut change = |name: &str, to: i64, note: &'static str| {
        let price = config::text_at(state, &format!("micro.subscriptions.{name}")).unwrap_or_default();
        let from = subscriptions::quantity(state, owner, &price)?;
        Ok(Change { namespace: namespace.to_owned(), customer: owner.to_owned(), price, from, to, note })
    };
    Ok([
        change("additional_users_price_id", beyond(users, 1), "additional users")?,
        change("additional_services_price_id", beyond(services, included), "additional services")?,
    ])
}
