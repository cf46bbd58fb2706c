//! What steps refer to by name: operations, flows, and the platform's forms of refusal.

use super::{Flow, Operation};
use crate::judge::Refusals;
use std::collections::BTreeMap;

/// All operations and flows of a folder of suites.
#[derive(Debug, Clone, Default)]
pub struct Book {
    /// What the platform can be asked, by name.
    pub operations: BTreeMap<String, Operation>,
    /// Steps shared by name.
    pub flows: BTreeMap<String, Flow>,
    /// How the platform refuses.
    pub refusals: Refusals,
}
