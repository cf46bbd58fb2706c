//! Leases of the cluster that keep two runs apart, in the ledger for as long as they are held.
//!
//! Lives here: taking them and giving them back, each with its note: one on a namespace in which something is broken, one
//! on each shared thing that is changed. Does not: the lease itself (`client::kube`), or the keys that keep the cases of
//! one run apart (`ledger::Keys`).

use super::chosen::Chosen;
use super::stage::Stage;
use crate::client::kube::{Claim, Hold};
use crate::fault::guard;
use crate::ledger::Undo;
use crate::outcome::Failure;
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use std::time::Duration;

/// How long a case waits for a shared thing that another run holds, before the target's pace.
const PATIENCE: Duration = Duration::from_secs(120);
/// And never less than this.
const PATIENCE_AT_LEAST: Duration = Duration::from_secs(10);
/// How often it asks.
const ASKS_EVERY: Duration = Duration::from_millis(100);

/// How long a lease on a shared thing says that it lasts: it is shown by the cluster's tools, and muster heeds it not.
const SAID_TO_LAST: Duration = Duration::from_secs(600);

/// Of a key, so many characters are readable in its lease's name.
const MOST_OF_A_KEY: usize = 40;

/// A lease that is held, and its number in the journal.
pub(super) struct Leased {
    claim: Claim,
    number: u64,
}

impl Leased {
    /// Takes it for so long, unless another run holds it.
    pub(super) async fn take(
        chosen: &Chosen<'_>,
        lasts: Duration,
        stage: &Stage<'_>,
    ) -> Result<Self, Vec<Failure>> {
        let namespace = &chosen.member.group.namespace;
        let undo = Undo::Lease { lease: guard::LEASE.into(), namespace: namespace.clone() };
        let number = stage.will_change("lease", undo, None)?;
        let mut claim = chosen.kube.claim(namespace, guard::LEASE, stage.scene.run, lasts);
        match claim.acquire((stage.scene.now)()).await {
            Ok(Hold::Mine) => Ok(Self { claim, number }),
            Ok(Hold::Other { holder, .. }) => {
                noted(stage.scene.journal.undone(number), stage)?;
                Err(vec![stage.doubt("fault.lease", &format!("`{holder}` is disrupting this cluster"))])
            }
            Err(error) => Err(vec![stage.doubt("fault.lease", &error.to_string())]),
        }
    }

    /// Gives it back. What cannot be given back stays in the ledger, and is tried again at the case's end.
    pub(super) async fn give_back(mut self, stage: &Stage<'_>) -> Result<(), Vec<Failure>> {
        match self.claim.release().await {
            Ok(()) => noted(stage.scene.journal.undone(self.number), stage),
            Err(error) => {
                let text = format!("the lease could not be given back: {error}");
                Err(vec![stage.doubt("fault.lease", &text)])
            }
        }
    }
}

impl Stage<'_> {
    /// Holds a shared thing until this case has put its changes back: among the cases of this run by a key, and among all
    /// runs on the cluster by a lease, which the ledger gives back after them. Where the target file names no cluster
    /// or no group, other runs are kept out by the state folder's lock alone.
    pub(super) async fn hold(&self, key: &str) -> Result<(), Vec<Failure>> {
        let held = self.scene.keys.hold(&self.case, key).await;
        let is_new =
            held.map_err(|why| vec![self.doubt("shared.deadlock", &unheld(key, &why.to_string()))])?;
        if !is_new {
            return Ok(());
        }
        let held = self.hold_alone(key).await;
        if held.is_err() {
            self.scene.keys.free(&self.case, key);
        }
        held
    }

    async fn hold_alone(&self, key: &str) -> Result<(), Vec<Failure>> {
        self.without_leftover_of(key)?;
        match self.scene.target.file.lease_namespace() {
            Some(namespace) => self.hold_among_runs(namespace, key).await,
            None => Ok(()),
        }
    }

    /// What another case of this run could not put back is not the old state of anything.
    fn without_leftover_of(&self, key: &str) -> Result<(), Vec<Failure>> {
        if self.scene.left.contains(key) {
            let why = "what an earlier run changed of it could not be put back";
            return Err(vec![self.doubt("shared.leftover", &unheld(key, why))]);
        }
        let open = self.scene.journal.open_all();
        let left = open.iter().find(|change| change.key.as_deref() == Some(key) && change.case != self.case);
        let Some(left) = left else { return Ok(()) };
        let why = format!("what `{}` changed of it could not be put back", left.case);
        Err(vec![self.doubt("shared.leftover", &unheld(key, &why))])
    }

    async fn hold_among_runs(&self, namespace: &str, key: &str) -> Result<(), Vec<Failure>> {
        let kube =
            self.scene.kube().await.map_err(|why| vec![self.doubt("shared.lease", &unheld(key, &why))])?;
        let lease = lease_of(key);
        let undo = Undo::Lease { lease: lease.clone(), namespace: namespace.to_owned() };
        let number = self.will_change("lease", undo, Some(key.to_owned()))?;
        let mut claim = kube.claim(namespace, &lease, self.scene.run, SAID_TO_LAST);
        let patience = self.scene.target.paced(PATIENCE).max(PATIENCE_AT_LEAST);
        let why = match taken(&mut claim, patience, self.scene.now).await {
            Ok(()) => return Ok(()),
            Err(Untaken::Held(why)) => {
                noted(self.scene.journal.undone(number), self)?;
                why
            }
            // It may have been taken: the entry stays, and the case's end gives back what is there.
            Err(Untaken::Unknown(why)) => why,
        };
        let text = format!("{}; its lease is {namespace}/{lease}", unheld(key, &why));
        Err(vec![self.doubt("shared.lease", &text)])
    }
}

/// Why a lease was not taken.
enum Untaken {
    /// Another run holds it.
    Held(String),
    /// The cluster did not say: it may have been taken.
    Unknown(String),
}

/// Takes a lease as soon as nobody holds it. Why not, if that is not soon enough.
async fn taken(claim: &mut Claim, patience: Duration, now: &dyn Fn() -> Timestamp) -> Result<(), Untaken> {
    let asked = tokio::time::Instant::now();
    loop {
        match claim.acquire_if_free(now()).await.map_err(|error| Untaken::Unknown(error.to_string()))? {
            Hold::Mine => return Ok(()),
            Hold::Other { holder, since } if asked.elapsed() >= patience => {
                return Err(Untaken::Held(told(&holder, since)));
            }
            Hold::Other { .. } => tokio::time::sleep(ASKS_EVERY).await,
        }
    }
}

fn told(holder: &str, since: Option<Timestamp>) -> String {
    let since = since.map(|since| format!(" since {since:.0}")).unwrap_or_default();
    format!(
        "run {holder} has held it{since}; if that run is over, `muster cleanup` with its state folder puts it back"
    )
}

fn unheld(key: &str, why: &str) -> String {
    format!("nothing was changed: `{key}` must be held alone: {why}")
}

/// The name of the lease on a shared thing: what can be read of its key, and enough of a hash to tell keys apart.
fn lease_of(key: &str) -> String {
    let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '-' };
    let readable: String = key.chars().map(plain).take(MOST_OF_A_KEY).collect();
    let hash = Sha256::digest(key.as_bytes());
    let hash: String = hash.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    format!("muster-holds-{}-{hash}", readable.trim_matches('-'))
}

/// What came of a line of the journal: one that could not be written is a doubt of the step.
pub(super) fn noted<E: std::fmt::Display>(
    written: Result<(), E>,
    stage: &Stage<'_>,
) -> Result<(), Vec<Failure>> {
    written.map_err(|error| vec![stage.doubt("ledger.disk", &error.to_string())])
}

#[cfg(test)]
mod tests {
    use super::lease_of;

    #[test]
    fn a_lease_is_named_after_its_key_as_kubernetes_names_things() {
        assert_eq!(lease_of("config:micro"), "muster-holds-config-micro-1ac71f5d");
        let long = lease_of(&format!("config:{}", "Ä_x/".repeat(50)));
        assert!(long.len() <= 63 && long.starts_with("muster-holds-config"), "{long}");
        assert!(
            long.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'),
            "{long}"
        );
    }

    #[test]
    fn keys_that_read_alike_have_leases_of_their_own() {
        assert_ne!(lease_of("config:a.b"), lease_of("config:a-b"));
    }
}
