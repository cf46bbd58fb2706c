//! The platform as a state and pure functions over it.
//!
//! Lives here: the state, and what all services share of it. Does not: sockets (`door`), pods (`cluster`, `local`).

pub(crate) mod decode;
pub(crate) mod encode;
pub(crate) mod events;
pub(crate) mod nodes;
pub(crate) mod profile;
pub(crate) mod protobuf;
pub(crate) mod provider;
pub(crate) mod records;
pub(crate) mod rules;
pub(crate) mod schema;
pub(crate) mod serve;
pub(crate) mod service;
pub(crate) mod shown;
pub(crate) mod token;
pub(crate) mod wire;

use super::clock::Clock;
use super::defect::{Defect, Defects};
use super::pod::{Order, Pod};
use events::Delivery;
use nodes::{HEARTBEAT_MS, Nodes, TTL_MS, scaled};
use provider::Provider;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt as _, SeedableRng as _};
use records::Records;
use rules::RuleCaches;
use std::collections::BTreeMap;
use token::Claims;

/// The namespace of the core and of the services of the run list.
pub(crate) const MICRO: &str = "micro";

/// A mail that the platform has sent.
#[derive(Debug, Clone)]
pub(crate) struct Mail {
    /// To whom.
    pub(crate) to: String,
    /// The template's id.
    pub(crate) template: String,
    /// What was filled in, as JSON text.
    pub(crate) data: String,
}

/// How often a service was called, for its statistics.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    /// When its process started, in seconds since the Unix epoch.
    pub(crate) started_s: i64,
    /// Calls answered.
    pub(crate) requests: u64,
    /// Calls refused.
    pub(crate) errors: u64,
    /// Lines of its log, oldest first, each with its second of Unix time.
    pub(crate) log: Vec<(i64, String)>,
    /// The methods that it answered last, oldest first, each with the nanosecond since the Unix epoch.
    pub(crate) traced: Vec<(String, i64)>,
}

/// The whole platform.
#[derive(Debug)]
pub(crate) struct State {
    /// Its time.
    pub(crate) clock: Clock,
    /// By how much unseen timers are shorter than the real platform's.
    pub(crate) pace: f64,
    /// All chance comes from here.
    pub(crate) rng: ChaCha8Rng,
    /// What it does wrong on purpose.
    pub(crate) defects: Defects,
    /// The key of password hashes and of secret config values.
    pub(crate) key: Vec<u8>,
    /// The key of access tokens.
    pub(crate) token_key: Vec<u8>,
    /// What is stored.
    pub(crate) records: Records,
    /// What each process remembers of the rules.
    pub(crate) rule_caches: RuleCaches,
    /// Pods and registry.
    pub(crate) nodes: Nodes,
    /// Events on their way.
    pub(crate) deliveries: Vec<Delivery>,
    /// Events that clients have published, oldest first.
    pub(crate) published: Vec<serde_json::Value>,
    /// Mails sent.
    pub(crate) mails: Vec<Mail>,
    /// Those of them that are still to be handed over.
    pub(crate) outbox: Vec<Mail>,
    /// The payment provider.
    pub(crate) provider: Provider,
    /// Statistics by namespace and service.
    pub(crate) tallies: BTreeMap<(String, String), Tally>,
    /// Secrets in clear, by namespace and id, for defects that show them; in no picture of the state.
    pub(crate) clear: BTreeMap<(String, String), String>,
    /// When a recovery mail was last sent to an address, in milliseconds since the Unix epoch.
    pub(crate) recoveries: BTreeMap<String, i64>,
    /// Whether a pod of this service and namespace has ever ended: the next one replaces it.
    pub(crate) replaced: BTreeMap<(String, String), u32>,
    /// What the cluster shall do next.
    pub(crate) orders: Vec<Order>,
}

impl State {
    /// An empty platform.
    pub(crate) fn new(seed: u64, pace: f64, defects: Defects, now: jiff::Timestamp) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut new_key = || (0..32).map(|_| rng.random::<u8>()).collect::<Vec<_>>();
        let (key, token_key) = (new_key(), new_key());
        Self {
            clock: Clock::new(now),
            pace,
            rng,
            defects,
            key,
            token_key,
            records: Records::default(),
            rule_caches: RuleCaches::default(),
            nodes: Nodes::default(),
            deliveries: Vec::new(),
            published: Vec::new(),
            mails: Vec::new(),
            outbox: Vec::new(),
            provider: Provider::default(),
            tallies: BTreeMap::new(),
            clear: BTreeMap::new(),
            recoveries: BTreeMap::new(),
            replaced: BTreeMap::new(),
            orders: Vec::new(),
        }
    }

    /// Whether a defect is on.
    pub(crate) fn has(&self, defect: Defect) -> bool {
        self.defects.has(defect)
    }

    /// Lets everything happen that was due.
    pub(crate) fn tick(&mut self) {
        let now_ms = self.clock.now_ms();
        if !self.has(Defect::RecordNeverExpires) {
            self.records.expire(now_ms);
        }
        self.nodes.expire(now_ms, self.pace);
        events::deliver(self);
    }

    /// A random UUID.
    pub(crate) fn uuid(&mut self) -> String {
        let mut bytes: [u8; 16] = self.rng.random();
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }

    /// The account behind an access token, if the token is good.
    pub(crate) fn account(&self, token: &str) -> Option<Claims> {
        match token::read(&self.token_key, token) {
            Some(claims) if self.has(Defect::ExpiredTokenAccepted) || self.clock.now_s() < claims.exp => {
                Some(claims)
            }
            Some(_) => None,
            None if self.has(Defect::GarbageTokenAccepted) => Some(Claims::of_service("guest")),
            None => None,
        }
    }

    /// A pod's door is open at this address.
    pub(crate) fn pod_started(&mut self, pod: Pod, address: String) {
        let key = (nodes::namespace_of(&pod), pod.service.clone());
        if self.replaced.contains_key(&key) {
            self.rule_caches.forget(&pod.service);
            profile::after_restart(self, &pod.service);
        }
        let started_s = self.clock.now_s();
        self.tallies.insert(key, Tally { started_s, ..Tally::default() });
        self.nodes.started(pod, address);
    }

    /// A pod is gone.
    pub(crate) fn pod_ended(&mut self, pod: &Pod, graceful: bool) {
        let now_ms = self.clock.now_ms();
        let since_heartbeat_ms = self.rng.random_range(0..HEARTBEAT_MS);
        let ghost_until = now_ms + scaled(TTL_MS - since_heartbeat_ms, self.pace);
        let can_deregister = pod.service == "registry" || self.nodes.is_up(MICRO, "registry");
        let ghost_until = match (graceful && can_deregister, self.has(Defect::GhostNodeStays)) {
            (_, true) => Some(i64::MAX),
            (true, false) => None,
            (false, false) => Some(ghost_until),
        };
        *self.replaced.entry((nodes::namespace_of(pod), pod.service.clone())).or_default() += 1;
        self.nodes.ended(&pod.uid, ghost_until, now_ms, self.pace);
    }

    /// Counts a call of a service.
    pub(crate) fn count(&mut self, namespace: &str, service: &str, endpoint: &str, failed: bool) {
        let at_ns = self.clock.now_ms().saturating_mul(1_000_000);
        let tally = self.tallies.entry((namespace.to_owned(), service.to_owned())).or_default();
        tally.requests += 1;
        tally.errors += u64::from(failed);
        if tally.traced.len() >= 20 {
            tally.traced.remove(0);
        }
        tally.traced.push((endpoint.to_owned(), at_ns));
    }

    /// Adds a line to a service's log.
    pub(crate) fn log(&mut self, namespace: &str, service: &str, line: String) {
        let now_s = self.clock.now_s();
        let tally = self.tallies.entry((namespace.to_owned(), service.to_owned())).or_default();
        if tally.log.len() >= 200 {
            tally.log.remove(0);
        }
        tally.log.push((now_s, line.clone()));
        self.orders.push(Order::Write { namespace: namespace.to_owned(), service: service.to_owned(), line });
    }
}
