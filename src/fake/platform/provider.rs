//! A pretend payment provider: who pays, by which card, for what.
//!
//! Lives here: what stands at the provider and what it refuses. Does not: how the platform speaks of it
//! (`service::payments`), which key the platform uses (`profile`).

use serde::Serialize;
use std::collections::BTreeMap;

/// The one API key that the provider accepts. It opens nothing anywhere else.
pub(crate) const ACCEPTED_KEY: &str = "sk_test_muster_pretend_provider";
/// The plan of a developer, as the provider knows it.
pub(crate) const PLAN: &str = "plan_muster_developer";
/// The price of each further user of a namespace.
pub(crate) const USERS_PRICE: &str = "price_muster_users";
/// The price of each further service of a namespace.
pub(crate) const SERVICES_PRICE: &str = "price_muster_services";
/// The cards that the provider knows, each with its brand and last four digits; the last is declined when it is used.
const CARDS: [(&str, &str, &str); 3] = [
    ("pm_card_visa", "visa", "4242"),
    ("pm_card_mastercard", "mastercard", "4444"),
    ("pm_card_chargeDeclined", "visa", "0002"),
];

/// A card of a customer.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Card {
    /// The payment method's id.
    pub(crate) id: String,
    /// `visa` or another make.
    pub(crate) brand: &'static str,
    /// The last four digits.
    pub(crate) last: &'static str,
}

/// What a customer pays for.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Contract {
    /// The subscription's id at the provider.
    pub(crate) id: String,
    /// The plan or the price.
    pub(crate) plan: String,
    /// How many of it.
    pub(crate) quantity: i64,
}

/// A customer at the provider.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Buyer {
    /// The cards, in the order in which they came.
    pub(crate) cards: Vec<Card>,
    /// The id of the card that is charged; empty if none is.
    pub(crate) default: String,
    /// What is paid for.
    pub(crate) contracts: Vec<Contract>,
}

/// Everything that stands at the provider: its customers by their id there.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Provider(BTreeMap<String, Buyer>);

/// What the provider says when it refuses.
type Refused = String;

/// The card of a payment method's id.
pub(crate) fn card(method: &str) -> Result<Card, Refused> {
    let known = CARDS.iter().find(|(id, ..)| *id == method);
    known
        .map(|(id, brand, last)| Card { id: (*id).to_owned(), brand, last })
        .ok_or_else(|| format!("No such PaymentMethod: '{method}'"))
}

impl Provider {
    /// Makes a customer.
    pub(crate) fn open(&mut self, id: &str) {
        self.0.insert(id.to_owned(), Buyer::default());
    }

    /// Deletes a customer, and with them all that they pay for.
    pub(crate) fn close(&mut self, id: &str) -> Result<(), Refused> {
        self.0.remove(id).map(drop).ok_or_else(|| no_customer(id))
    }

    /// A customer.
    pub(crate) fn buyer(&self, id: &str) -> Result<&Buyer, Refused> {
        self.0.get(id).ok_or_else(|| no_customer(id))
    }

    fn buyer_mut(&mut self, id: &str) -> Result<&mut Buyer, Refused> {
        self.0.get_mut(id).ok_or_else(|| no_customer(id))
    }

    /// Gives a customer a card; one that is declined is none.
    pub(crate) fn attach(&mut self, id: &str, method: &str) -> Result<Card, Refused> {
        if card(method).is_ok() && method.ends_with("Declined") {
            return Err("Your card was declined.".to_owned());
        }
        self.attach_unasked(id, method)
    }

    /// Gives a customer a card without asking whether it is declined.
    pub(crate) fn attach_unasked(&mut self, id: &str, method: &str) -> Result<Card, Refused> {
        let card = card(method)?;
        let buyer = self.buyer_mut(id)?;
        buyer.cards.retain(|known| known.id != card.id);
        buyer.cards.push(card.clone());
        Ok(card)
    }

    /// Has a card of the customer charged from now on.
    pub(crate) fn charge(&mut self, id: &str, method: &str) -> Result<(), Refused> {
        let buyer = self.buyer_mut(id)?;
        if !buyer.cards.iter().any(|card| card.id == method) {
            return Err(format!("No such PaymentMethod: '{method}'"));
        }
        method.clone_into(&mut buyer.default);
        Ok(())
    }

    /// A customer pays for something from now on.
    pub(crate) fn subscribe(&mut self, id: &str, contract: Contract) -> Result<(), Refused> {
        if ![PLAN, USERS_PRICE, SERVICES_PRICE].contains(&contract.plan.as_str()) {
            return Err(format!("No such plan: '{}'", contract.plan));
        }
        let buyer = self.buyer_mut(id)?;
        if buyer.default.is_empty() {
            return Err("This customer has no attached payment source".to_owned());
        }
        buyer.contracts.push(contract);
        Ok(())
    }

    /// A customer pays for another quantity from now on; for none, the subscription ends.
    pub(crate) fn change(&mut self, id: &str, contract: &str, quantity: i64) -> Result<(), Refused> {
        let contracts = &mut self.buyer_mut(id)?.contracts;
        let found = contracts.iter_mut().find(|one| one.id == contract);
        found.ok_or_else(|| format!("No such subscription: '{contract}'"))?.quantity = quantity;
        contracts.retain(|one| one.quantity > 0);
        Ok(())
    }
}

fn no_customer(id: &str) -> Refused {
    format!("No such customer: '{id}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contract(plan: &str) -> Contract {
        Contract { id: "sub_1".to_owned(), plan: plan.to_owned(), quantity: 1 }
    }

    #[test]
    fn nobody_subscribes_without_a_card_that_is_charged() {
        let mut provider = Provider::default();
        provider.open("cus_1");
        assert!(provider.subscribe("cus_1", contract(PLAN)).is_err());
        assert_eq!(
            provider.attach("cus_1", "pm_card_chargeDeclined").unwrap_err(),
            "Your card was declined."
        );
        assert!(provider.charge("cus_1", "pm_card_visa").is_err());
        provider.attach("cus_1", "pm_card_visa").unwrap();
        provider.charge("cus_1", "pm_card_visa").unwrap();
        assert!(provider.subscribe("cus_1", contract("plan_none")).is_err());
        provider.subscribe("cus_1", contract(PLAN)).unwrap();
        assert_eq!(provider.buyer("cus_1").unwrap().contracts.len(), 1);
    }

    #[test]
    fn a_quantity_of_none_ends_what_is_paid_for() {
        let mut provider = Provider::default();
        provider.open("cus_1");
        provider.attach("cus_1", "pm_card_visa").unwrap();
        provider.charge("cus_1", "pm_card_visa").unwrap();
        provider.subscribe("cus_1", contract(USERS_PRICE)).unwrap();
        provider.change("cus_1", "sub_1", 2).unwrap();
        assert_eq!(provider.buyer("cus_1").unwrap().contracts[0].quantity, 2);
        provider.change("cus_1", "sub_1", 0).unwrap();
        assert!(provider.buyer("cus_1").unwrap().contracts.is_empty());
        assert!(provider.change("cus_1", "sub_1", 1).is_err());
    }

    #[test]
    fn a_customer_who_was_deleted_is_not_there() {
        let mut provider = Provider::default();
        provider.open("cus_1");
        provider.close("cus_1").unwrap();
        assert!(provider.buyer("cus_1").is_err());
        assert!(provider.close("cus_1").is_err());
    }
}
