//! customers: who has signed up, and how far.
//!
//! Lives here: Customers.*, and what a finished signup does to a customer. Does not: accounts (`auth`).

use super::{auth, call_as, is_micro, unknown};
use crate::fake::defect::Defect;
use crate::fake::platform::wire::{Refusal, Reply, Request, empty, message, text};
use crate::fake::platform::{MICRO, State};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

const TABLE: &str = "customers";

/// A customer, as the store keeps it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Customer {
    /// A UUID.
    pub(crate) id: String,
    /// `unverified`, `verified`, `active` or `deleted`.
    pub(crate) status: String,
    /// Seconds since the Unix epoch.
    pub(crate) created: i64,
    /// The address.
    pub(crate) email: String,
    /// Seconds since the Unix epoch.
    pub(crate) updated: i64,
}

pub(super) fn answer(state: &mut State, request: &Request) -> Reply {
    let reads = matches!(request.endpoint.as_str(), "Customers.Read" | "Customers.List");
    let is_open = reads && state.has(Defect::CustomersReadOpen);
    if !is_micro(request) && !is_open {
        return Err(Refusal::micro("customers", 401, "Unauthorized request"));
    }
    match request.endpoint.as_str() {
        "Customers.Create" => create(state, request),
        "Customers.MarkVerified" => mark_verified(state, request),
        "Customers.Read" => read(state, request),
        "Customers.Delete" => delete(state, request),
        "Customers.List" => list(state),
        "Customers.Update" => update(state, request),
        _ => Err(unknown(request)),
    }
}

/// A signup has been completed: its customer is active.
pub(crate) fn activate(state: &mut State, id: &str) {
    if let Some(customer) = by_id(state, id).filter(|customer| customer.status != "deleted") {
        set_status(state, customer, "active");
    }
}

/// A subscription has been cancelled: its customer goes. Says whether that could be done.
pub(crate) fn leave(state: &mut State, id: &str) -> bool {
    let Some(customer) = by_id(state, id).filter(|customer| customer.status != "deleted") else {
        return true;
    };
    let has_left = leave_namespaces(state, id).is_ok();
    if has_left {
        set_status(state, customer, "deleted");
    }
    has_left
}

/// The address of a customer; empty if there is none.
pub(crate) fn address(state: &State, id: &str) -> String {
    by_id(state, id).map(|customer| customer.email).unwrap_or_default()
}

fn by_id(state: &State, id: &str) -> Option<Customer> {
    state.records.load(MICRO, TABLE, &format!("customers/{id}"))
}

fn by_email(state: &State, email: &str) -> Option<Customer> {
    state.records.load(MICRO, TABLE, &format!("email/{email}"))
}

fn find(state: &State, request: &Request) -> Option<Customer> {
    match request.text("id") {
        "" => by_email(state, request.text("email")),
        id => by_id(state, id),
    }
}

fn save(state: &mut State, customer: &Customer) {
    state.records.save(MICRO, TABLE, &format!("customers/{}", customer.id), customer);
    let current = by_email(state, &customer.email);
    if current.is_none_or(|current| current.id == customer.id || current.status == "deleted") {
        state.records.save(MICRO, TABLE, &format!("email/{}", customer.email), customer);
    }
}

fn set_status(state: &mut State, mut customer: Customer, status: &str) {
    status.clone_into(&mut customer.status);
    customer.updated = state.clock.now_s();
    save(state, &customer);
}

fn create(state: &mut State, request: &Request) -> Reply {
    let email = if request.text("email").is_empty() { request.text("id") } else { request.text("email") };
    if email.is_empty() {
        return Err(Refusal::micro("customers.create", 400, "Email is required"));
    }
    let now_s = state.clock.now_s();
    let customer = match by_email(state, email) {
        Some(known) if known.status == "unverified" => Customer { updated: now_s, ..known },
        Some(known) if known.status != "deleted" && !state.has(Defect::SecondSignupAccepted) => {
            return Err(Refusal::micro(
                "customers.create.exists",
                400,
                "Customer with this email already exists",
            ));
        }
        _ => Customer {
            id: state.uuid(),
            status: "unverified".to_owned(),
            created: now_s,
            email: email.to_owned(),
            updated: now_s,
        },
    };
    state.records.save(MICRO, TABLE, &format!("customers/{}", customer.id), &customer);
    state.records.save(MICRO, TABLE, &format!("email/{email}"), &customer);
    message(json!({ "customer": customer }))
}

fn mark_verified(state: &mut State, request: &Request) -> Reply {
    if request.text("email").is_empty() {
        return Err(Refusal::micro("customers.markverified", 400, "Email is required"));
    }
    let customer = by_email(state, request.text("email")).ok_or_else(|| Refusal::plain("not found"))?;
    if customer.status == "unverified" && !state.has(Defect::CustomerNeverVerified) {
        set_status(state, customer, "verified");
    }
    empty()
}

fn read(state: &State, request: &Request) -> Reply {
    if request.text("id").is_empty() && request.text("email").is_empty() {
        return Err(Refusal::micro("customers.read", 400, "ID or Email is required"));
    }
    let customer = find(state, request).ok_or_else(|| Refusal::plain("not found"))?;
    if customer.status == "deleted" {
        return Err(Refusal::micro("customers.read.notfound", 404, "Customer not found"));
    }
    message(json!({ "customer": customer }))
}

fn list(state: &State) -> Reply {
    let keys = state.records.keys(MICRO, TABLE, "customers/");
    let customers = keys.iter().filter_map(|key| state.records.load::<Customer>(MICRO, TABLE, key));
    let customers: Vec<Customer> = customers
        .filter(|customer| customer.status != "deleted" || state.has(Defect::DeletedCustomersListed))
        .collect();
    message(json!({ "customers": customers }))
}

fn update(state: &mut State, request: &Request) -> Reply {
    let status = request.inner("customer", "status");
    if !["unverified", "verified", "active"].contains(&status) {
        return Err(Refusal::micro("customers.update.badstatus", 400, "Invalid status passed"));
    }
    let customer =
        by_id(state, request.inner("customer", "id")).ok_or_else(|| Refusal::plain("not found"))?;
    set_status(state, customer, status);
    empty()
}

fn delete(state: &mut State, request: &Request) -> Reply {
    if request.text("id").is_empty() && request.text("email").is_empty() {
        return Err(Refusal::micro("customers.delete", 400, "ID or Email is required"));
    }
    let failed = || Refusal::micro("customers.delete", 500, "Error deleting customer");
    let customer = find(state, request).filter(|customer| customer.status != "deleted").ok_or_else(failed)?;
    if !state.has(Defect::CustomerDeleteKeepsAccount) {
        leave_namespaces(state, &customer.id).map_err(|_| failed())?;
    }
    set_status(state, customer, "deleted");
    empty()
}

/// Takes the customer's account out of every namespace, and those namespaces away that nobody else owns.
fn leave_namespaces(state: &mut State, id: &str) -> Result<(), Refusal> {
    let listed = call_as(state, "customers", "namespaces", "Namespaces.List", json!({ "user": id }))?;
    for namespace in listed.get("namespaces").and_then(Value::as_array).cloned().unwrap_or_default() {
        let Some(namespace) = namespace.as_object() else { continue };
        let name = text(namespace, "id");
        auth::forget(state, name, id);
        if namespace.get("owners") == Some(&json!([id])) {
            call_as(state, "customers", "namespaces", "Namespaces.Delete", json!({ "id": name }))?;
        }
    }
    Ok(())
}
