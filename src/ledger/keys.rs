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
    /// Which key each case waits for.
    awaited: RefCell<BTreeMap<String, String>>,
}

/// A case that waits for a key is waited for itself, by whoever holds that: another case, or what stands for a group of cases or for
/// the run, whose names are in parentheses.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{holder}` holds it, and waits in turn for this case")]
pub struct Deadlock {
    holder: String,
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
    ///
    /// # Errors
    /// If whoever holds it waits for this case.
    pub async fn hold(&self, case: &str, key: &str) -> Result<bool, Deadlock> {
        let is_held =
            self.held.borrow().get(case).is_some_and(|held| held.iter().any(|one| &*one.key == key));
        if is_held {
            return Ok(false);
        }
        self.is_no_circle(case, key)?;
        let _waiting = Waiting::of(self, case, key);
        let lock = self.locks.borrow_mut().entry(key.into()).or_default().clone();
        let guard = lock.lock_owned().await;
        self.held.borrow_mut().entry(case.into()).or_default().push(Held { key: key.into(), _guard: guard });
        Ok(true)
    }

    /// Follows who holds what and waits for what, from a key on: it must not lead to the case.
    fn is_no_circle(&self, case: &str, key: &str) -> Result<(), Deadlock> {
        let Some(first) = self.holder(key) else { return Ok(()) };
        // It holds its keys until the last of them is over.
        if stands_for_many(&first) {
            return Err(Deadlock { holder: first });
        }
        let mut holder = first.clone();
        while let Some(next) = self.awaited.borrow().get(&holder).and_then(|key| self.holder(key)) {
            if next == case {
                return Err(Deadlock { holder: first });
            }
            holder = next;
        }
        Ok(())
    }

    /// Which case holds a key.
    fn holder(&self, key: &str) -> Option<String> {
        let held = self.held.borrow();
        let is_held = |all: &Vec<Held>| all.iter().any(|one| &*one.key == key);
        held.iter().find(|(_, all)| is_held(all)).map(|(case, _)| case.clone())
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

/// Whether a name is not that of a case, but of what stands for a group of them, or for the run: it is in parentheses.
pub fn stands_for_many(case: &str) -> bool {
    case.starts_with('(')
}

/// A case that waits, until this is dropped.
struct Waiting<'a> {
    keys: &'a Keys,
    case: &'a str,
}

impl<'a> Waiting<'a> {
    fn of(keys: &'a Keys, case: &'a str, key: &str) -> Self {
        keys.awaited.borrow_mut().insert(case.into(), key.into());
        Self { keys, case }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.keys.awaited.borrow_mut().remove(self.case);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[tokio::test]
    async fn a_key_is_held_by_one_case_at_a_time() {
        let keys = Keys::default();
        assert!(keys.hold("a", "config:x").await.unwrap());
        assert!(!keys.hold("a", "config:x").await.unwrap());
        assert!(keys.hold("b", "config:x").now_or_never().is_none());
        assert!(keys.hold("b", "config:y").now_or_never().is_some());
        keys.release("a");
        assert!(keys.hold("b", "config:x").now_or_never().is_some());
        keys.free("b", "config:x");
        assert!(keys.hold("a", "config:x").now_or_never().is_some());
        assert!(keys.hold("a", "config:y").now_or_never().is_none(), "only the one key is free");
    }

    #[tokio::test]
    async fn a_case_does_not_wait_for_one_that_waits_for_it() {
        let keys = Keys::default();
        for (case, key) in [("a", "x"), ("b", "y"), ("c", "z")] {
            assert!(keys.hold(case, key).await.unwrap());
        }
        let mut waiting = Box::pin(async { tokio::join!(keys.hold("a", "y"), keys.hold("b", "z")) });
        assert!((&mut waiting).now_or_never().is_none());
        assert!(keys.hold("(given a-flow)", "w").await.unwrap());
        assert_eq!(keys.hold("a", "w").await, Err(Deadlock { holder: "(given a-flow)".into() }));
        assert_eq!(keys.hold("c", "x").await, Err(Deadlock { holder: "a".into() }));
        drop(waiting);
        assert!(keys.hold("c", "x").now_or_never().is_none(), "nobody waits any more: this one does");
    }
}
