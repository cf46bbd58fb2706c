//! Which replies are refusals: a platform says "no" in a few forms, and any other error is not one of them.

use super::{Reply, Transport};
use regex::Regex;

/// One form of refusal. What is not named does not matter; at least one thing is named (the linter sees to it).
#[derive(Debug, Clone, Default)]
pub struct Form {
    /// How it comes, if only one way.
    pub via: Option<Transport>,
    /// The status.
    pub status: Option<u16>,
    /// The gRPC status.
    pub grpc_status: Option<u32>,
    /// What its body says.
    pub text: Option<Regex>,
}

/// All the forms in which a platform refuses.
#[derive(Debug, Clone, Default)]
pub struct Refusals(pub Vec<Form>);

impl Refusals {
    /// Whether the reply is a refusal.
    pub fn recognise(&self, reply: &Reply) -> bool {
        !reply.is_success() && self.0.iter().any(|form| form.fits(reply))
    }
}

impl Form {
    fn fits(&self, reply: &Reply) -> bool {
        self.via.is_none_or(|via| via == reply.transport)
            && self.status.is_none_or(|status| status == reply.status)
            && self.grpc_status.is_none_or(|status| Some(status) == reply.grpc_status)
            && self.text.as_ref().is_none_or(|text| text.is_match(&reply.text()))
    }
}
