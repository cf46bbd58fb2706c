//! Which pods run and which nodes the registry lists: not the same while ghosts stay.
//!
//! Lives here: live pods, registered nodes, their time to live. Does not: opening doors (`door::pods`), who may see the
//! registry (`service::registry`).

use crate::fake::pod::Pod;
use std::collections::BTreeMap;

/// How long a node stays listed without a heartbeat, before `pace`.
pub(crate) const TTL_MS: i64 = 90_000;
/// How often a node says that it lives, before `pace`.
pub(crate) const HEARTBEAT_MS: i64 = 30_000;
/// How long the gateway remembers a service that has gone, before `pace`.
const REMEMBERED_MS: i64 = 60_000;

/// One registered node of a service.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// Its id in the registry.
    pub(crate) id: String,
    /// Where it is, as the registry shows it: host and port.
    pub(crate) address: String,
    /// Where it really is; the door of a pod may move unseen.
    pub(crate) door: String,
    /// The pod behind it, by UID; empty if a client registered it.
    pub(crate) pod: String,
    /// When it vanishes, in milliseconds since the Unix epoch; none while its pod lives.
    pub(crate) expires_ms: Option<i64>,
}

/// A pod whose container runs and whose door is open.
#[derive(Debug, Clone)]
pub(crate) struct LivePod {
    /// The pod.
    pub(crate) pod: Pod,
    /// Where its door is.
    pub(crate) address: String,
}

/// Namespace and name of a service.
pub(crate) type Key = (String, String);

/// Live pods and registered nodes.
#[derive(Debug, Default)]
pub(crate) struct Nodes {
    pods: BTreeMap<String, LivePod>,
    listed: BTreeMap<Key, Vec<Node>>,
    remembered: BTreeMap<Key, i64>,
    last_seen: BTreeMap<Key, String>,
    waiting: Vec<Waiting>,
}

/// A node that could not be registered because the registry was down.
#[derive(Debug)]
struct Waiting {
    key: Key,
    node: Node,
}

/// The platform's namespace of a pod: Kubernetes calls the core's `default`.
pub(crate) fn namespace_of(pod: &Pod) -> String {
    if pod.namespace == "default" { "micro".to_owned() } else { pod.namespace.clone() }
}

impl Nodes {
    /// A pod's door is open.
    pub(crate) fn started(&mut self, pod: Pod, address: String) {
        let key = (namespace_of(&pod), pod.service.clone());
        let node = Node {
            id: format!("{}-{}", pod.service, pod.uid),
            address: address.clone(),
            door: address.clone(),
            pod: pod.uid.clone(),
            expires_ms: None,
        };
        self.last_seen.insert(key.clone(), address.clone());
        let is_registry = pod.service == "registry";
        self.pods.insert(pod.uid.clone(), LivePod { pod, address });
        self.waiting.push(Waiting { key, node });
        if is_registry || self.is_up("micro", "registry") {
            self.register_waiting();
        }
    }

    fn register_waiting(&mut self) {
        for Waiting { key, node } in std::mem::take(&mut self.waiting) {
            self.remembered.remove(&key);
            self.listed.entry(key).or_default().push(node);
        }
    }

    /// A pod is gone. Gracefully it takes its node along; else the node stays until `ghost_until_ms`.
    pub(crate) fn ended(&mut self, uid: &str, ghost_until_ms: Option<i64>, now_ms: i64, pace: f64) {
        self.pods.remove(uid);
        self.waiting.retain(|waiting| waiting.node.pod != uid);
        for node in self.listed.values_mut().flatten().filter(|node| node.pod == uid) {
            node.expires_ms = Some(ghost_until_ms.unwrap_or(now_ms));
        }
        self.expire(now_ms, pace);
    }

    /// The door of a pod has moved, unseen from outside.
    pub(crate) fn moved(&mut self, uid: &str, address: &str) {
        if let Some(live) = self.pods.get_mut(uid) {
            address.clone_into(&mut live.address);
        }
        for node in self.listed.values_mut().flatten().filter(|node| node.pod == uid) {
            address.clone_into(&mut node.door);
        }
    }

    /// Adds or renews a node that a client registers.
    pub(crate) fn register(&mut self, key: Key, node: Node) {
        let nodes = self.listed.entry(key).or_default();
        nodes.retain(|listed| listed.id != node.id);
        nodes.push(node);
    }

    /// A dead node of a pod's service is listed once more; what is sent there arrives all the same.
    pub(crate) fn listed_again(&mut self, pod: &Pod) {
        let key = (namespace_of(pod), pod.service.clone());
        let Some(live) = self.of(&key.0, &key.1).first().cloned() else { return };
        let id = format!("{}-of-before", pod.service);
        self.register(key, Node { id, address: "127.0.0.1:9".to_owned(), pod: String::new(), ..live });
    }

    /// Takes a node out.
    pub(crate) fn deregister(&mut self, key: &Key, id: &str) {
        if let Some(nodes) = self.listed.get_mut(key) {
            nodes.retain(|node| node.id != id);
        }
    }

    /// Forgets nodes whose time has come.
    pub(crate) fn expire(&mut self, now_ms: i64, pace: f64) {
        let until = now_ms + scaled(REMEMBERED_MS, pace);
        for (key, nodes) in &mut self.listed {
            nodes.retain(|node| node.expires_ms.is_none_or(|at| now_ms < at));
            if nodes.is_empty() {
                self.remembered.entry(key.clone()).or_insert(until);
            }
        }
        self.listed.retain(|_, nodes| !nodes.is_empty());
        self.remembered.retain(|_, at| now_ms < *at);
    }

    /// Whether a pod of the service runs.
    pub(crate) fn is_up(&self, namespace: &str, service: &str) -> bool {
        let is = |live: &&LivePod| live.pod.service == service && namespace_of(&live.pod) == namespace;
        self.pods.values().any(|live| is(&live))
    }

    /// Whether the gateway knows the service: it has a node, or had one a while ago.
    pub(crate) fn is_known(&self, namespace: &str, service: &str) -> bool {
        let key = (namespace.to_owned(), service.to_owned());
        self.listed.contains_key(&key) || self.remembered.contains_key(&key)
    }

    /// The registered nodes of a service.
    pub(crate) fn of(&self, namespace: &str, service: &str) -> &[Node] {
        self.listed.get(&(namespace.to_owned(), service.to_owned())).map_or(&[], Vec::as_slice)
    }

    /// Every service of a namespace (`*`: of all), in order.
    pub(crate) fn services(&self, namespace: &str) -> Vec<&Key> {
        self.listed.keys().filter(|(owner, _)| namespace == "*" || owner == namespace).collect()
    }

    /// Where the service was last seen; an address nobody listens at, if it never was.
    pub(crate) fn last_seen(&self, namespace: &str, service: &str) -> String {
        let key = (namespace.to_owned(), service.to_owned());
        self.last_seen.get(&key).cloned().unwrap_or_else(|| "127.0.0.1:9".to_owned())
    }

    /// Every live pod, by UID.
    pub(crate) fn pods(&self) -> impl Iterator<Item = &LivePod> {
        self.pods.values()
    }
}

/// A length of time that nobody outside can see the reason of, at this pace.
pub(crate) fn scaled(ms: i64, pace: f64) -> i64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "milliseconds of minutes"
    )]
    let scaled = (ms as f64 * pace) as i64;
    scaled
}
