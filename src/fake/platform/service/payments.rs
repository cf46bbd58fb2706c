//! payments: the platform's side of the payment provider.
//!
//! Lives here: Provider.*, and who of the platform's customers is whom at the provider. Does not: what stands at the
//! provider (`provider`), what is sold (`subscriptions`).

use super::{config, unknown};
use crate::fake::defect::Defect;
use crate::fake::platform::provider::{self, Card, Contract};
use crate::fake::platform::wire::{Refusal, Reply, Request, empty, message, number};
use crate::fake::platform::{MICRO, State};
use rand::RngExt as _;
use serde_json::{Value, json};

/// Under which key of which customer the provider knows them.
const TABLE: &str = "payments";

pub(super) fn answer(state: &mut State, request: &Request) -> Reply {
    match request.endpoint.as_str() {
        "Provider.ListPlans" => list_plans(state),
        "Provider.CreateCustomer" => create_customer(state, request),
        "Provider.DeleteCustomer" => delete_customer(state, request),
        "Provider.GetProviderID" => get_provider_id(state, request),
        "Provider.VerifyPaymentMethod" => verify_method(state, request),
        "Provider.CreatePaymentMethod" => create_method(state, request),
        "Provider.ListPaymentMethods" => list_methods(state, request),
        "Provider.SetDefaultPaymentMethod" => set_default_method(state, request),
        "Provider.CreateSubscription" => create_subscription(state, request),
        "Provider.UpdateSubscription" => update_subscription(state, request),
        "Provider.ListSubscriptions" => list_subscriptions(state, request),
        _ => Err(unknown(request)),
    }
}

/// What the provider refused.
fn unexpected(what: String) -> Refusal {
    Refusal::micro("payments", 500, format!("Unexpected stripe error: {what}"))
}

/// The provider can be asked with the key that is set.
fn reach(state: &State) -> Result<(), Refusal> {
    match config::secret_text_at(state, "micro.payments.stripe.api_key").as_deref() {
        Some(provider::ACCEPTED_KEY) => Ok(()),
        Some(_) => Err(unexpected("Invalid API Key provided".to_owned())),
        None => Err(unexpected("You did not provide an API key".to_owned())),
    }
}

fn key(kind: &str, id: &str) -> String {
    format!("{kind}/{id}")
}

/// Who the customer of the request is at the provider.
fn buyer_of(state: &State, request: &Request) -> Result<String, Refusal> {
    let (kind, id) = (request.text("customer_type"), request.text("customer_id"));
    let found: Option<String> = state.records.load(MICRO, TABLE, &key(kind, id));
    let detail = format!("Stripe id for customer type '{kind}' and id '{id}' is empty");
    found.ok_or_else(|| Refusal::micro("payments", 500, detail))
}

fn required(request: &Request, field: &str, id: &str, detail: &str) -> Result<(), Refusal> {
    if request.text(field).is_empty() { Err(Refusal::micro(id, 400, detail)) } else { Ok(()) }
}

fn new_id(state: &mut State, prefix: &str) -> String {
    let letters = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz0123456789";
    let drawn = (0..14).map(|_| char::from(letters[state.rng.random_range(0..letters.len())]));
    format!("{prefix}_{}", drawn.collect::<String>())
}

fn list_plans(state: &State) -> Reply {
    reach(state)?;
    message(json!({ "plans": [{
        "id": provider::PLAN, "name": "developer", "amount": 3500, "currency": "usd", "interval": "month",
    }] }))
}

/// A customer who is known at the provider already stays who they are.
fn create_customer(state: &mut State, request: &Request) -> Reply {
    let (kind, id) = (request.inner("customer", "type"), request.inner("customer", "id"));
    if id.is_empty() || kind.is_empty() {
        return Err(Refusal::micro("payments", 400, "Customer ID required"));
    }
    reach(state)?;
    if state.records.get(MICRO, TABLE, &key(kind, id)).is_none() {
        let buyer = new_id(state, "cus");
        state.provider.open(&buyer);
        state.records.save(MICRO, TABLE, &key(kind, id), &buyer);
    }
    empty()
}

fn delete_customer(state: &mut State, request: &Request) -> Reply {
    required(request, "customer_id", "paymentsdeletecustomer", "Customer ID required")?;
    let buyer = buyer_of(state, request)?;
    reach(state)?;
    state.provider.close(&buyer).map_err(unexpected)?;
    state.records.remove(MICRO, TABLE, &key(request.text("customer_type"), request.text("customer_id")));
    empty()
}

fn get_provider_id(state: &State, request: &Request) -> Reply {
    required(request, "customer_id", "paymentsgetproviderid", "Customer ID required")?;
    message(json!({ "provider_id": buyer_of(state, request)? }))
}

fn verify_method(state: &State, request: &Request) -> Reply {
    reach(state)?;
    provider::card(request.text("payment_method")).map_err(unexpected)?;
    empty()
}

fn shown_card(request: &Request, card: &Card, default: &str) -> Value {
    json!({
        "id": card.id, "customer_id": request.text("customer_id"), "customer_type": request.text("customer_type"),
        "type": "card", "card_brand": card.brand, "card_last_4": card.last, "default": card.id == default,
    })
}

fn create_method(state: &mut State, request: &Request) -> Reply {
    required(request, "id", "payments", "ID required")?;
    let buyer = buyer_of(state, request)?;
    reach(state)?;
    let method = request.text("id");
    let attached = if state.has(Defect::DeclinedCardAccepted) {
        state.provider.attach_unasked(&buyer, method)
    } else {
        state.provider.attach(&buyer, method)
    };
    let card = attached.map_err(unexpected)?;
    message(json!({ "payment_method": shown_card(request, &card, "") }))
}

fn list_methods(state: &State, request: &Request) -> Reply {
    required(request, "customer_type", "payments", "Customer Type required")?;
    let buyer = buyer_of(state, request)?;
    reach(state)?;
    let buyer = state.provider.buyer(&buyer).map_err(unexpected)?;
    let shown: Vec<Value> =
        buyer.cards.iter().map(|card| shown_card(request, card, &buyer.default)).collect();
    message(json!({ "payment_methods": shown }))
}

fn set_default_method(state: &mut State, request: &Request) -> Reply {
    let buyer = buyer_of(state, request)?;
    reach(state)?;
    state.provider.charge(&buyer, request.text("payment_method_id")).map_err(unexpected)?;
    empty()
}

/// What is asked for: a plan, or a price of something further.
fn wanted(request: &Request) -> &str {
    let plan = request.text("plan_id");
    if plan.is_empty() { request.text("price_id") } else { plan }
}

fn shown_contract(contract: &Contract) -> Value {
    json!({ "id": contract.id, "plan": { "id": contract.plan }, "quantity": contract.quantity })
}

fn create_subscription(state: &mut State, request: &Request) -> Reply {
    let buyer = buyer_of(state, request)?;
    reach(state)?;
    let contract = Contract {
        id: new_id(state, "sub"),
        plan: wanted(request).to_owned(),
        quantity: number(&request.body, "quantity").max(1),
    };
    state.provider.subscribe(&buyer, contract.clone()).map_err(unexpected)?;
    message(json!({ "subscription": shown_contract(&contract) }))
}

fn update_subscription(state: &mut State, request: &Request) -> Reply {
    let buyer = buyer_of(state, request)?;
    reach(state)?;
    let quantity = number(&request.body, "quantity");
    state.provider.change(&buyer, request.text("subscription_id"), quantity).map_err(unexpected)?;
    empty()
}

fn list_subscriptions(state: &State, request: &Request) -> Reply {
    let buyer = buyer_of(state, request)?;
    reach(state)?;
    let all = state.provider.buyer(&buyer).map_err(unexpected)?.contracts.iter();
    let of_plan = all.filter(|one| wanted(request).is_empty() || one.plan == wanted(request));
    message(json!({ "subscriptions": of_plan.map(shown_contract).collect::<Vec<_>>() }))
}
