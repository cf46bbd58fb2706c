//! `crash_pod`: a process that ends without having been told to. The pod stays, and its container is started anew.
//!
//! The first process of a container is not hurt by SIGKILL from inside its own namespace, so the command that a pod
//! group names (`crash_with`) sends one that it acts on: QUIT ends a Go program at once, without its clean-up.

use super::rights::right;
use super::{Blow, Injected, Traits};
use crate::client::kube::{Execution, Kube, KubeError};
use std::time::Instant;

pub(super) const TRAITS: Traits = Traits {
    rights: &[right("", "pods", "get"), right("", "pods/exec", "get"), right("", "pods/exec", "create")],
    takes_grace: false,
    restarts_in_place: true,
    ..Traits::REMOVAL
};

/// Runs the group's command in the victim.
pub(super) async fn inject(kube: &Kube, blow: &Blow<'_>) -> Result<Injected, KubeError> {
    let victim = blow.victim()?;
    let at = Instant::now();
    Ok(match kube.execute(victim, blow.container, blow.crash_with).await? {
        Execution::Done => Injected::At(at),
        Execution::Failed(why) => Injected::Missed(format!("pod {} was not crashed: {why}", victim.name)),
        Execution::Gone => Injected::Missed(format!("pod {} was gone already", victim.name)),
    })
}
