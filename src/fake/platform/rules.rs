//! Access rules: what they say of a call, and the caches in which each process keeps them.
//!
//! Lives here: rules as data and their evaluation. Does not: making, listing and deleting them (`service::auth`).

use super::token::Claims;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// `access` of a rule that lets calls through.
pub(crate) const GRANTED: i64 = 1;

/// How long a process believes the rules it has read, before `pace`.
pub(crate) const CACHE_MS: i64 = 30_000;

/// What a rule is about.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Resource {
    /// The service's name, or `*`.
    pub(crate) name: String,
    /// `service`, or `*`.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// `Handler.Method`, or `*`.
    pub(crate) endpoint: String,
}

/// One rule, as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Rule {
    /// Unique in its namespace.
    pub(crate) id: String,
    /// Empty: everybody. `*`: any account. Else the scope that an account needs.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) scope: String,
    /// What it is about.
    pub(crate) resource: Resource,
    /// 1 granted, 2 denied.
    pub(crate) access: i64,
    /// Higher ones are asked first.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) priority: i64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

impl Rule {
    /// The rule that opens a namespace to everybody.
    pub(crate) fn default_rule() -> Self {
        let any = || "*".to_owned();
        let resource = Resource { name: any(), kind: any(), endpoint: any() };
        Self { id: "default".to_owned(), resource, access: GRANTED, ..Self::default() }
    }

    fn is_about(&self, service: &str, endpoint: &str) -> bool {
        let fits = |pattern: &str, text: &str| pattern == "*" || pattern.eq_ignore_ascii_case(text);
        fits(&self.resource.kind, "service")
            && fits(&self.resource.name, service)
            && fits(&self.resource.endpoint, endpoint)
    }

    fn covers(&self, account: Option<&Claims>) -> bool {
        match (self.scope.as_str(), account) {
            ("", _) => true,
            (_, None) => false,
            ("*", Some(_)) => true,
            (scope, Some(account)) => account.scopes.iter().any(|own| own == scope),
        }
    }
}

/// Whether the rules let the account call the endpoint: the first that applies decides, highest priority first, then
/// by id.
pub(crate) fn allow(rules: &[Rule], account: Option<&Claims>, service: &str, endpoint: &str) -> bool {
    let mut asked: Vec<&Rule> = rules.iter().collect();
    asked.sort_by(|one, other| other.priority.cmp(&one.priority).then_with(|| one.id.cmp(&other.id)));
    let first = asked.into_iter().find(|rule| rule.is_about(service, endpoint) && rule.covers(account));
    first.is_some_and(|rule| rule.access == GRANTED)
}

/// Rules that a process has read, and until when it believes them.
#[derive(Debug, Clone)]
struct Cached {
    rules: Arc<Vec<Rule>>,
    until_ms: i64,
}

/// The caches of all processes.
#[derive(Debug, Default)]
pub(crate) struct RuleCaches(BTreeMap<(String, String), Cached>);

impl RuleCaches {
    /// What the process remembers of a namespace's rules, if it still believes it.
    pub(crate) fn get(&self, process: &str, namespace: &str, now_ms: i64) -> Option<Arc<Vec<Rule>>> {
        let cached = self.0.get(&(process.to_owned(), namespace.to_owned()))?;
        (now_ms < cached.until_ms).then(|| cached.rules.clone())
    }

    /// Remembers rules just read.
    pub(crate) fn put(&mut self, process: &str, namespace: &str, rules: Arc<Vec<Rule>>, until_ms: i64) {
        self.0.insert((process.to_owned(), namespace.to_owned()), Cached { rules, until_ms });
    }

    /// A new process begins with an empty cache.
    pub(crate) fn forget(&mut self, process: &str) {
        self.0.retain(|(owner, _), _| owner != process);
    }
}
