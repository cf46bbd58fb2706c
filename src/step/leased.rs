//! The lease that keeps two harnesses from disrupting one namespace, in the ledger for as long as it is held.
//!
//! Lives here: taking it and giving it back, each with its note. Does not: the lease itself (`client::kube`).

use super::disrupt::Chosen;
use super::stage::Stage;
use crate::client::kube::{Claim, Hold};
use crate::fault::guard;
use crate::ledger::Undo;
use crate::outcome::Failure;
use std::time::Duration;

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
            Ok(Hold::Other { holder }) => {
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

fn noted<E: std::fmt::Display>(written: Result<(), E>, stage: &Stage<'_>) -> Result<(), Vec<Failure>> {
    written.map_err(|error| vec![stage.doubt("ledger.disk", &error.to_string())])
}
