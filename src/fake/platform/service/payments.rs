//! payments: what answers without a payment provider.
//!
//! Lives here: the input checks of Provider.*. Does not: money.

use crate::fake::platform::wire::{Refusal, Reply, Request, empty};

pub(super) fn answer(request: &Request) -> Reply {
    let missing = |id: &str, detail: &str| Err(Refusal::micro(id, 400, detail));
    let customer = request.text("customer_id");
    match request.endpoint.as_str() {
        "Provider.ListSubscriptions" => {
            let kind = request.text("customer_type");
            let detail = format!("Stripe id for customer type '{kind}' and id '{customer}' is empty");
            Err(Refusal::micro("payments", 500, detail))
        }
        "Provider.ListPaymentMethods" if request.text("customer_type").is_empty() => {
            missing("payments", "Customer Type required")
        }
        "Provider.CreatePaymentMethod" if request.text("id").is_empty() => missing("payments", "ID required"),
        "Provider.DeleteCustomer" if customer.is_empty() => {
            missing("paymentsdeletecustomer", "Customer ID required")
        }
        "Provider.GetProviderID" if customer.is_empty() => {
            missing("paymentsgetproviderid", "Customer ID required")
        }
        _ => empty(),
    }
}
