//! Keys of shared things: each is held by one case at a time, until its change has been put back.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use tokio::sync::{Mutex, OwnedMutexGuard};

/// The keys of a run.
#[derive(Debug, Default)]
pub struct Keys {
    locks: RefCell<BTreeMap<String, std::sync::Arc<Mutex<()>>>>,
    held: RefCell<BTreeMap<String, Vec<Held>>>,
}

/// A key that is held; it is free again when this is dropped.
#[derive(Debug)]
struct Held {
    key: Rc<str>,
    _guard: OwnedMutexGuard<()>,
}

impl Keys {
    /// Waits until the key is free and holds it for a case; whether the case did not hold it before. A key that it holds
    /// already is not waited for. Cancel safe: a dropped wait holds nothing.
    pub async fn hold(&self, case: &str, key: &str) -> bool {
        let is_held =
            self.held.borrow().get(case).is_some_and(|held| held.iter().any(|one| &*one.key == key));
        if is_held {
            return false;
        }
        let lock = self.locks.borrow_mut().entry(key.into()).or_default().clone();
        let guard = lock.lock_owned().await;
        self.held.borrow_mut().entry(case.into()).or_default().push(Held { key: key.into(), _guard: guard });
        true
    }

    /// Frees one key that a case holds.
    pub fn free(&self, case: &str, key: &str) {
        if let Some(held) = self.held.borrow_mut().get_mut(case) {
            held.retain(|one| &*one.key != key);
        }
    }

    /// Frees every key that a case holds.
    pub fn release(&self, case: &str) {
        self.held.borrow_mut().remove(case);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[tokio::test]
    async fn a_key_is_held_by_one_case_at_a_time() {
        let keys = Keys::default();
        assert!(keys.hold("a", "config:x").await);
        assert!(!keys.hold("a", "config:x").await);
        assert!(keys.hold("b", "config:x").now_or_never().is_none());
        assert!(keys.hold("b", "config:y").now_or_never().is_some());
        keys.release("a");
        assert!(keys.hold("b", "config:x").now_or_never().is_some());
        keys.free("b", "config:x");
        assert!(keys.hold("a", "config:x").now_or_never().is_some());
        assert!(keys.hold("a", "config:y").now_or_never().is_none(), "only the one key is free");
    }
}
