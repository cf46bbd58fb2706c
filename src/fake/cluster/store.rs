//! What the fake cluster remembers: versioned objects, and the history that watches replay.
//!
//! Lives here: one global version that grows with each change, as in etcd. Does not: what an object means
//! (`controller`), nor how a change is told (`watch`).

use super::kind::Kind;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Kind, namespace (empty for objects without one), name.
pub(super) type Key = (Kind, String, String);

/// How many changes are kept for watches that resume; an older start is refused as expired.
const HISTORY_LIMIT: usize = 4_096;
/// Versions start here: a cluster has a past before its first pod.
const FIRST_VERSION: u64 = 1_000;

/// One change of one object.
#[derive(Debug, Clone)]
pub(super) struct Change {
    /// The version that this change made.
    pub(super) version: u64,
    pub(super) kind: Kind,
    pub(super) namespace: String,
    /// The object before; none if it was created.
    pub(super) before: Option<Arc<Value>>,
    /// The object after, at `version`; for a deletion its last state.
    pub(super) object: Arc<Value>,
    pub(super) is_deletion: bool,
}

/// All objects and the recent changes.
#[derive(Debug)]
pub(super) struct Store {
    version: u64,
    objects: BTreeMap<Key, Arc<Value>>,
    history: VecDeque<Change>,
    /// The version before the oldest kept change: a watch may start here, not earlier.
    oldest: u64,
}

impl Store {
    /// A store without objects.
    pub(super) fn empty() -> Store {
        Store {
            version: FIRST_VERSION,
            objects: BTreeMap::new(),
            history: VecDeque::new(),
            oldest: FIRST_VERSION,
        }
    }

    /// The version of the newest change.
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// The earliest version after which every change is still known.
    pub(super) fn oldest(&self) -> u64 {
        self.oldest
    }

    /// The object of that name.
    pub(super) fn get(&self, kind: Kind, namespace: &str, name: &str) -> Option<Arc<Value>> {
        self.objects.get(&(kind, namespace.to_owned(), name.to_owned())).cloned()
    }

    /// Every object of a kind, in one namespace or in all, ordered by namespace and name.
    pub(super) fn list(&self, kind: Kind, namespace: Option<&str>) -> Vec<Arc<Value>> {
        let wanted = |key: &Key| key.0 == kind && namespace.is_none_or(|namespace| key.1 == namespace);
        self.objects.iter().filter(|(key, _)| wanted(key)).map(|(_, object)| object.clone()).collect()
    }

    /// Keeps an object, with a version of its own unless nothing changed.
    pub(super) fn put(&mut self, kind: Kind, object: Value) -> Arc<Value> {
        let key = key_of(kind, &object);
        let before = self.objects.get(&key).cloned();
        if let Some(same) = before.as_ref().filter(|before| are_equal(before, &object)) {
            return same.clone();
        }
        let object = self.versioned(object);
        self.objects.insert(key.clone(), object.clone());
        self.remember(Change {
            version: self.version,
            kind,
            namespace: key.1,
            before,
            object: object.clone(),
            is_deletion: false,
        });
        object
    }

    /// Removes an object and returns its last state.
    pub(super) fn remove(&mut self, kind: Kind, namespace: &str, name: &str) -> Option<Arc<Value>> {
        let before = self.objects.remove(&(kind, namespace.to_owned(), name.to_owned()))?;
        let object = self.versioned((*before).clone());
        self.remember(Change {
            version: self.version,
            kind,
            namespace: namespace.to_owned(),
            before: Some(before),
            object: object.clone(),
            is_deletion: true,
        });
        Some(object)
    }

    /// Every change after `version`, or nothing if some of them are forgotten.
    pub(super) fn since(&self, version: u64) -> Option<impl Iterator<Item = &Change>> {
        (version >= self.oldest).then(|| self.history.iter().filter(move |change| change.version > version))
    }

    fn versioned(&mut self, mut object: Value) -> Arc<Value> {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        Arc::new(object)
    }

    fn remember(&mut self, change: Change) {
        self.history.push_back(change);
        if self.history.len() > HISTORY_LIMIT
            && let Some(forgotten) = self.history.pop_front()
        {
            self.oldest = forgotten.version;
        }
    }
}

fn key_of(kind: Kind, object: &Value) -> Key {
    let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
    (kind, text("namespace"), text("name"))
}

fn are_equal(kept: &Value, other: &Value) -> bool {
    let mut other = other.clone();
    other["metadata"]["resourceVersion"] = kept["metadata"]["resourceVersion"].clone();
    *kept == other
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(name: &str, holder: &str) -> Value {
        json!({ "metadata": { "name": name, "namespace": "micro" }, "spec": { "holderIdentity": holder } })
    }

    #[test]
    fn versions_grow_with_each_change_and_not_without_one() {
        let mut store = Store::empty();
        store.put(Kind::Lease, lease("a", "one"));
        let first = store.version();
        store.put(Kind::Lease, lease("a", "one"));
        assert_eq!(store.version(), first);
        store.put(Kind::Lease, lease("a", "two"));
        store.remove(Kind::Lease, "micro", "a");
        assert_eq!(store.version(), first + 2);
        assert_eq!(store.since(first).unwrap().count(), 2);
    }

    #[test]
    fn a_forgotten_past_is_said_to_be_forgotten() {
        let mut store = Store::empty();
        let start = store.version();
        for round in 0..=HISTORY_LIMIT {
            store.put(Kind::Lease, lease("a", &round.to_string()));
        }
        assert!(store.since(start).is_none());
        assert_eq!(store.since(store.oldest()).unwrap().count(), HISTORY_LIMIT);
    }
}
