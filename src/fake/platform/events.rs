//! Events between services: published now, delivered later.
//!
//! Lives here: the queue and what its consumers do. Does not: who publishes (`service`).

use super::State;
use super::nodes::scaled;
use super::service::{customers, signup};
use crate::fake::defect::Defect;
use rand::RngExt as _;

/// How long a consumer that did not acknowledge waits for the next delivery, before `pace`.
const ACK_WAIT_MS: i64 = 30_000;

/// Something that has happened.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// A signup has been completed.
    SignupCompleted {
        /// The address that signed up.
        email: String,
        /// Its customer.
        customer: String,
    },
    /// A customer has a subscription.
    SubscriptionCreated {
        /// The customer's id.
        customer: String,
    },
    /// A customer's subscription has been cancelled.
    SubscriptionCancelled {
        /// The customer's id.
        customer: String,
    },
}

impl Event {
    /// The services that consume it.
    fn consumers(&self) -> &'static [&'static str] {
        match self {
            Self::SignupCompleted { .. } => &["customers", "signup"],
            Self::SubscriptionCreated { .. } | Self::SubscriptionCancelled { .. } => &["customers"],
        }
    }
}

/// An event on its way to one consumer.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    /// When it arrives, in milliseconds since the Unix epoch.
    pub(crate) due_ms: i64,
    /// The service that consumes it.
    pub(crate) consumer: &'static str,
    /// What it says.
    pub(crate) event: Event,
}

/// Publishes an event to all who consume it.
pub(crate) fn publish(state: &mut State, event: &Event) {
    for consumer in event.consumers() {
        let delay_ms = state.rng.random_range(200..1500) + late(state);
        let due_ms = state.clock.now_ms() + scaled(delay_ms, state.pace);
        state.deliveries.push(Delivery { due_ms, consumer, event: event.clone() });
    }
}

/// One delivery in eight is lost and made again after the ack wait, as seen on the real platform.
fn late(state: &mut State) -> i64 {
    if state.rng.random_range(0..8) == 0 { ACK_WAIT_MS } else { 0 }
}

/// Delivers what is due; what nobody can take is tried again later.
pub(crate) fn deliver(state: &mut State) {
    let now_ms = state.clock.now_ms();
    if state.deliveries.iter().all(|delivery| now_ms < delivery.due_ms) {
        return;
    }
    let (due, rest) = std::mem::take(&mut state.deliveries).into_iter().partition(|one| one.due_ms <= now_ms);
    state.deliveries = rest;
    let due: Vec<Delivery> = due;
    for mut delivery in due {
        if !can_take(state, delivery.consumer) {
            delivery.due_ms = now_ms + scaled(1000, state.pace);
            state.deliveries.push(delivery);
        } else if !consume(state, &delivery) {
            delivery.due_ms = now_ms + scaled(ACK_WAIT_MS, state.pace);
            state.deliveries.push(delivery);
        }
    }
}

fn can_take(state: &State, consumer: &str) -> bool {
    ["broker", "store", consumer].iter().all(|service| state.nodes.is_up("micro", service))
}

/// Gives the event to its consumer and says whether that is done with it.
fn consume(state: &mut State, delivery: &Delivery) -> bool {
    match (&delivery.event, delivery.consumer) {
        (Event::SignupCompleted { email, .. }, "signup") if !state.has(Defect::CodeReusable) => {
            signup::forget_codes(state, email);
        }
        (Event::SignupCompleted { customer, .. } | Event::SubscriptionCreated { customer }, "customers")
            if !state.has(Defect::CustomerNeverActive) =>
        {
            customers::activate(state, customer);
        }
        (Event::SubscriptionCancelled { customer }, _) if !state.has(Defect::CancelKeepsAccount) => {
            return customers::leave(state, customer);
        }
        _ => {}
    }
    true
}
