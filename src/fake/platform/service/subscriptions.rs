//! subscriptions: who pays for a namespace, and for whom else.
//!
//! Lives here: Subscriptions.*, and who may ask. Does not: the payment provider (`payments`), what goes with a
//! subscription that was cancelled (`events`).

use super::{call_as, config, is_micro, unknown};
use crate::fake::defect::Defect;
use crate::fake::platform::events::{Event, publish};
use crate::fake::platform::wire::{Message, Refusal, Reply, Request, empty, message, number, text};
use crate::fake::platform::{MICRO, State};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

const TABLE: &str = "subscriptions";
/// The kind of a subscription that stands under another's.
const CHILD: &str = "additional";

/// A subscription, as the store keeps it, for ever.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Subscription {
    id: String,
    #[serde(rename = "customerID")]
    customer: String,
    #[serde(rename = "type")]
    kind: String,
    /// Seconds since the Unix epoch.
    created: i64,
    /// Seconds since the Unix epoch; 0 as long as it runs.
    expires: i64,
    /// The customer who pays for it, if that is another.
    payer: String,
}

pub(super) fn answer(state: &mut State, request: &Request) -> Reply {
    if !may_ask(state, request) {
        return Err(Refusal::micro("subscriptions", 401, "Unauthorized request"));
    }
    match request.endpoint.as_str() {
        "Subscriptions.Create" => create(state, request),
        "Subscriptions.Cancel" => cancel(state, request),
        "Subscriptions.AddUser" => add_user(state, request),
        "Subscriptions.Update" => update(state, request),
        _ => Err(unknown(request)),
    }
}

/// Only the platform; but everybody may cancel what is their own.
fn may_ask(state: &State, request: &Request) -> bool {
    let cancels = request.endpoint == "Subscriptions.Cancel";
    let is_named = || request.caller.as_ref().is_some_and(|caller| caller.sub == request.text("customerID"));
    let is_own = || is_named() && !state.has(Defect::OwnCancelRefused);
    is_micro(request) || (cancels && (is_own() || state.has(Defect::CancelOpenToAnybody)))
}

fn save(state: &mut State, subscription: &Subscription) {
    let key = format!("{}/{}", subscription.customer, subscription.id);
    state.records.save(MICRO, TABLE, &key, subscription);
}

/// The subscriptions that run: all, or those of one customer.
fn running(state: &State, customer: Option<&str>) -> Vec<Subscription> {
    let prefix = customer.map(|customer| format!("{customer}/")).unwrap_or_default();
    let keys = state.records.keys(MICRO, TABLE, &prefix);
    let all = keys.iter().filter_map(|key| state.records.load::<Subscription>(MICRO, TABLE, key));
    all.filter(|one| one.expires == 0).collect()
}

/// Makes a subscription and tells of it.
fn begin(state: &mut State, customer: &str, kind: &str, payer: &str) -> Subscription {
    let subscription = Subscription {
        id: state.uuid(),
        customer: customer.to_owned(),
        kind: kind.to_owned(),
        created: state.clock.now_s(),
        expires: 0,
        payer: payer.to_owned(),
    };
    save(state, &subscription);
    publish(state, &Event::SubscriptionCreated { customer: customer.to_owned() });
    subscription
}

/// Asks payments something about a customer.
fn ask(state: &mut State, customer: &str, method: &str, more: Value) -> Result<Message, Refusal> {
    let mut body = json!({ "customer_id": customer, "customer_type": "user" });
    if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
        body.extend(more);
    }
    call_as(state, "subscriptions", "payments", &format!("Provider.{method}"), body)
}

fn setting(state: &State, name: &str) -> String {
    config::text_at(state, &format!("micro.subscriptions.{name}")).unwrap_or_default()
}

fn create(state: &mut State, request: &Request) -> Reply {
    let (customer, card) = (request.text("customerID").to_owned(), request.text("paymentMethodID"));
    let who = json!({ "customer": {
        "id": customer, "type": "user", "metadata": { "email": request.text("email") },
    } });
    call_as(state, "subscriptions", "payments", "Provider.CreateCustomer", who)?;
    ask(state, &customer, "CreatePaymentMethod", json!({ "id": card }))?;
    ask(state, &customer, "SetDefaultPaymentMethod", json!({ "payment_method_id": card }))?;
    let plan = setting(state, "plan_id");
    ask(state, &customer, "CreateSubscription", json!({ "plan_id": plan, "quantity": 1 }))?;
    let made = begin(state, &customer, request.text("type"), "");
    message(json!({ "subscription": {
        "id": made.id, "customerID": made.customer, "type": made.kind, "created": made.created,
    } }))
}

/// Whether a customer pays for themselves.
pub(crate) fn is_paying(state: &State, customer: &str) -> bool {
    running(state, Some(customer)).iter().any(|one| one.kind != CHILD)
}

/// What a customer pays for a price: the subscription's id at the provider, and how many; none if nothing.
fn paid(state: &mut State, customer: &str, price: &str) -> Result<Option<(String, i64)>, Refusal> {
    let listed = ask(state, customer, "ListSubscriptions", json!({ "price_id": price }))?;
    let first = listed.get("subscriptions").and_then(|all| all.get(0)).and_then(Value::as_object);
    Ok(first.map(|one| (text(one, "id").to_owned(), number(one, "quantity"))))
}

/// How many of a price a customer pays for.
pub(crate) fn quantity(state: &mut State, customer: &str, price: &str) -> Result<i64, Refusal> {
    Ok(paid(state, customer, price)?.map_or(0, |(_, quantity)| quantity))
}

/// Has a customer pay for `quantity(of now)` of a price.
fn set_quantity(
    state: &mut State,
    customer: &str,
    price: &str,
    quantity: impl Fn(i64) -> i64,
) -> Result<(), Refusal> {
    let now = paid(state, customer, price)?;
    let wanted = quantity(now.as_ref().map_or(0, |(_, now)| *now)).max(0);
    let (method, more) = match now {
        Some((id, _)) => ("UpdateSubscription", json!({ "subscription_id": id, "quantity": wanted })),
        None if wanted == 0 => return Ok(()),
        None => ("CreateSubscription", json!({ "price_id": price, "quantity": wanted })),
    };
    ask(state, customer, method, more).map(drop)
}

fn add_user(state: &mut State, request: &Request) -> Reply {
    let (owner, user) = (request.text("ownerID"), request.text("newUserID"));
    if running(state, Some(owner)).is_empty() {
        return Err(Refusal::micro("subscriptions.adduser", 500, "not found"));
    }
    if state.has(Defect::JoinerNotBilled) {
        return empty();
    }
    let price = setting(state, "additional_users_price_id");
    set_quantity(state, owner, &price, |now| now + 1)?;
    begin(state, user, CHILD, owner);
    empty()
}

fn update(state: &mut State, request: &Request) -> Reply {
    let quantity = number(&request.body, "quantity");
    set_quantity(state, request.text("ownerID"), request.text("priceID"), |_| quantity)?;
    empty()
}

fn cancel(state: &mut State, request: &Request) -> Reply {
    let (customer, id) = (request.text("customerID"), request.text("subscriptionID"));
    if customer.is_empty() {
        return Err(Refusal::micro("subscriptions.cancel.validation", 400, "Customer ID is required"));
    }
    let mut found = running(state, Some(customer));
    found.retain(|one| id.is_empty() || one.id == id);
    let [one] = found.as_slice() else {
        let count = found.len();
        let detail =
            format!("Found {count} subscriptions for this user. Please specify a valid subscription ID");
        return Err(Refusal::micro("subscriptions.cancel", 400, detail));
    };
    let failed = "Error cancelling subscription. Please contact support";
    stop_paying(state, one).map_err(|_| Refusal::micro("subscriptions.cancel", 500, failed))?;
    end(state, one.clone());
    if !state.has(Defect::CancelKeepsJoiners) {
        end_children(state, customer);
    }
    empty()
}

/// A child costs its payer one user less; whoever pays for themselves goes from the provider with all they pay for.
fn stop_paying(state: &mut State, subscription: &Subscription) -> Result<(), Refusal> {
    if subscription.kind == CHILD {
        let price = setting(state, "additional_users_price_id");
        return set_quantity(state, &subscription.payer, &price, |now| now - 1);
    }
    if state.has(Defect::CancelKeepsProviderCustomer) {
        return Ok(());
    }
    ask(state, &subscription.customer, "DeleteCustomer", json!({})).map(drop)
}

/// Whoever a customer paid for goes with them.
fn end_children(state: &mut State, payer: &str) {
    for child in running(state, None).into_iter().filter(|child| child.payer == payer) {
        end(state, child);
    }
}

fn end(state: &mut State, subscription: Subscription) {
    let customer = subscription.customer.clone();
    let expires = state.clock.now_s();
    save(state, &Subscription { expires, ..subscription });
    publish(state, &Event::SubscriptionCancelled { customer });
}
