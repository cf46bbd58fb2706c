//! What steps refer to by name: operations, flows, and the platform's forms of refusal.

use super::{Flow, Operation};
use crate::judge::Refusals;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// All operations and flows of a folder of suites.
#[derive(Debug, Clone, Default)]
pub struct Book {
    /// What the platform can be asked, by name.
    pub operations: BTreeMap<String, Operation>,
    /// Steps shared by name.
    pub flows: BTreeMap<String, Flow>,
    /// How the platform refuses.
    pub refusals: Refusals,
    /// What stands in the files and could not be read.
    pub unread: Unread,
}

/// What stands in the files and could not be read. The cause is told there, once; whoever uses it says nothing.
#[derive(Debug, Clone, Default)]
pub struct Unread {
    /// Operations.
    pub operations: BTreeSet<String>,
    /// Whether the file of operations is no YAML at all.
    pub all_operations: bool,
    /// Flows.
    pub flows: BTreeSet<String>,
}

impl Book {
    /// How long what an operation does, and its undo, may take to be seen: as it says, or as that of which it is a part says.
    pub(crate) fn settles(&self, operation: &str) -> Option<Duration> {
        let own = self.operations.get(operation)?;
        let parent = || self.operations.get(&own.part_of.as_ref()?.value)?.settles;
        own.settles.or_else(parent).map(|settles| settles.0)
    }

    /// Whether there is surely no operation of this name.
    pub(crate) fn lacks_operation(&self, name: &str) -> bool {
        let is_unread = self.unread.all_operations || self.unread.operations.contains(name);
        !is_unread && !self.operations.contains_key(name)
    }

    /// Whether there is surely no flow of this name.
    pub fn lacks_flow(&self, name: &str) -> bool {
        !self.unread.flows.contains(name) && !self.flows.contains_key(name)
    }
}
