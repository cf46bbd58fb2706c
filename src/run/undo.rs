//! Putting changes back: the same flows whether a case has ended, a run was stopped, or a later process cleans up.

use super::sign_in::{is_rejected, renew_operator, retry_operator};
use super::stall::watched;
use super::stop::{Level, Stop};
use crate::client::kube::{DeploymentFact, KubeError, Meant, Redeployment, is_image};
use crate::fault::guard;
use crate::files::FileError;
use crate::ledger::{Change, FormerImage, Undo};
use crate::outcome::Failure;
use crate::step::{Scene, Stage};
use futures_util::FutureExt;
use serde_json::{Map, Value};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::time::Duration;
use tokio::time::Instant;

/// How long one undo may take, before the target's pace.
const UNDO_WITHIN: Duration = Duration::from_secs(180);
/// And never less than this.
const UNDO_AT_LEAST: Duration = Duration::from_secs(15);

/// How long a statement that puts something back may take, before the target's pace.
const STATEMENT_WITHIN: Duration = Duration::from_secs(60);
/// And never less than this.
const STATEMENT_AT_LEAST: Duration = Duration::from_secs(10);

/// How long a run tries again to put back what could not be, before the target's pace.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// An undo that failed is made again after this time, before the target's pace: what is broken may come back.
const AGAIN_AFTER: Duration = Duration::from_secs(2);
/// And never earlier.
const AGAIN_AT_LEAST: Duration = Duration::from_millis(100);

/// How long a request may be under way that nobody waits for any more, before `pace`: Micro's own clients give up after as long.
const LASTS_AT_MOST: Duration = Duration::from_secs(5);
/// The same, whatever the pace: a busy machine is no faster for it.
const LASTS_AT_LEAST: Duration = Duration::from_millis(500);

/// The process may stand still for so long within an attempt.
const STALL_AT_MOST: Duration = Duration::from_secs(2);
/// How often an undo is made again at once because the process stood still.
const MOST_ATTEMPTS: usize = 3;

/// How often a rollout that goes back is looked at.
const ROLLOUT_LOOK_EVERY: Duration = Duration::from_millis(100);

/// A change that could not be put back, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Leftover {
    /// The change.
    pub change: Change,
    /// Why it could not be put back. Not masked.
    pub why: String,
}

/// Puts changes back in the order given, which is the last one first. What cannot be put back does not keep the others
/// from being put back; it is tried again and again for `patience`, before the target's pace, which all of them share. Told to
/// leave, it leaves the rest. Keys of shared things whose later changes are left, those of later runs too, stand in `left`, before
/// and after.
pub async fn put_back(
    scene: &Scene<'_>,
    changes: &[Change],
    stop: &Stop,
    (patience, left): (Duration, &RefCell<BTreeSet<String>>),
) -> Vec<Leftover> {
    let (mut leftovers, began) = (vec![], Instant::now());
    let term = Term { began, ends: began + scene.target.paced(patience), stop };
    for change in changes {
        let done = tokio::select! {
            biased;
            () = stop.until(Level::Leave) => Err("muster was told to leave at once".into()),
            () = std::future::ready(()), if stands_below(change, &left.borrow()) => Err(STANDS_BELOW.into()),
            done = undone_for_good(scene, change, &term) => done,
        };
        let noted = done.and_then(|()| noted(scene.journal.undone(change.number)));
        if let Err(why) = noted {
            left.borrow_mut().extend(change.key.clone());
            leftovers.push(Leftover { change: change.clone(), why });
        }
    }
    leftovers
}

/// Why a change is left that could be put back.
const STANDS_BELOW: &str = "a later change of the same thing is not put back";

/// Whether a shared thing has a later change that is left: put back after this one, that would bring back what this one made. Its
/// lease stays too: others shall not take what stands there for its old state.
fn stands_below(change: &Change, left: &BTreeSet<String>) -> bool {
    change.key.as_ref().is_some_and(|key| left.contains(key))
}

fn noted(written: Result<(), FileError>) -> Result<(), String> {
    written.map_err(|error| error.to_string())
}

/// When undoing began, and until when what failed is tried again, if nobody asks to stop.
struct Term<'a> {
    began: Instant,
    ends: Instant,
    stop: &'a Stop,
}

impl Term<'_> {
    /// Whether there is time for another attempt after a wait.
    fn has_room_for(&self, wait: Duration) -> bool {
        self.stop.level() == Level::GoOn && Instant::now() + wait < self.ends
    }
}

/// A request without an answer may be carried out after its change was put back: as long as its operation says that it `settles`,
/// from when undoing began, or else as long as a request may last. It is put back once more then.
async fn undone_for_good(scene: &Scene<'_>, change: &Change, term: &Term<'_>) -> Result<(), String> {
    undone(scene, change, term).await?;
    let is_request = scene.book.operations.contains_key(&change.operation);
    if !is_request || scene.journal.is_answered(change.number) {
        return Ok(());
    }
    let settles = scene.book.settles(&change.operation).unwrap_or(LASTS_AT_MOST);
    tokio::time::sleep_until(term.began + scene.target.paced(settles).max(LASTS_AT_LEAST)).await;
    undone(scene, change, term).await
}

/// An undo may be repeated. An attempt in which the whole process stood still says nothing, and is made again at once; one that
/// failed is made again until the term is over. A request without an answer may have been carried out in the middle of the first
/// attempt, between its look-up and its last look: the second one finds what is there.
async fn undone(scene: &Scene<'_>, change: &Change, term: &Term<'_>) -> Result<(), String> {
    let again_after = scene.target.paced(AGAIN_AFTER).max(AGAIN_AT_LEAST);
    let (mut stood_still, mut may_have_crossed) = (1, !scene.journal.is_answered(change.number));
    loop {
        match watched(STALL_AT_MOST, attempted(scene, change)).await {
            (Err(_), true) if stood_still < MOST_ATTEMPTS => stood_still += 1,
            (Err(_), _) if (may_have_crossed || term.has_room_for(again_after)) && !is_rejected(scene) => {
                may_have_crossed = false;
                tokio::time::sleep(again_after).await;
            }
            (done, _) => return done,
        }
    }
}

async fn attempted(scene: &Scene<'_>, change: &Change) -> Result<(), String> {
    let within = scene.target.paced(UNDO_WITHIN).max(UNDO_AT_LEAST);
    let undone = async {
        match &change.undo {
            None => Ok(()),
            Some(Undo::Flow { flow, with }) => undone_by_flow(scene, change, flow, with).await,
            Some(Undo::Statement { database, statement, values }) => {
                changed_back(scene, database, statement, values).await
            }
            Some(Undo::Lease { lease, namespace }) => lease_given_back(scene, namespace, lease).await,
            Some(Undo::Image(former)) => image_given_back(scene, former).await,
        }
    };
    match tokio::time::timeout(within, AssertUnwindSafe(undone).catch_unwind()).await {
        Ok(Ok(done)) => done,
        Ok(Err(_)) => Err("muster panicked while putting it back".into()),
        Err(_) => Err(format!("it was not put back within {within:.0?}")),
    }
}

/// Has a database carry out what puts a change back.
async fn changed_back(
    scene: &Scene<'_>,
    database: &str,
    statement: &str,
    values: &[Value],
) -> Result<(), String> {
    let named = scene.target.databases.get(database);
    let named = named.ok_or_else(|| format!("the target file names no database `{database}`"))?;
    let within = scene.target.paced(STATEMENT_WITHIN).max(STATEMENT_AT_LEAST);
    named.change(statement, values, within).await.map(drop).map_err(|why| why.to_string())
}

async fn lease_given_back(scene: &Scene<'_>, namespace: &str, lease: &str) -> Result<(), String> {
    let kube = scene.kube().await?;
    let mut claim = kube.claim(namespace, lease, scene.run, Duration::from_secs(1));
    claim.release().await.map_err(|error| error.to_string())
}

/// Gives a Deployment its old image again, and waits until only pods of it are left. One that is gone or made anew by now, or that
/// somebody else has given a third image, holds nothing of this run's. One that somebody else has changed otherwise is not
/// changed again: what of it is meant to stay is not known here.
async fn image_given_back(scene: &Scene<'_>, former: &FormerImage) -> Result<(), String> {
    let kube = scene.kube().await?;
    let FormerImage { namespace, deployment, image, .. } = former;
    let told = |error: KubeError| error.to_string();
    let fact = match kube.deployment(namespace, deployment).await {
        Err(error) if error.code() == Some(404) => return Ok(()),
        found => found.map_err(told)?,
    };
    if former.uid.as_ref().is_some_and(|uid| *uid != fact.uid) {
        return Ok(());
    }
    let container = guard::container_of(&fact, former.container.as_deref())?;
    let current = fact.image_of(container).unwrap_or_default();
    if current != image {
        if former.given.as_ref().is_some_and(|given| !is_image(current, given)) {
            return Ok(());
        }
        if former.template.as_ref().is_some_and(|before| *before != fact.rest(container)) {
            return Err(changed_otherwise(former, container));
        }
        let meant = Meant { namespace, name: deployment, uid: &fact.uid };
        if let Redeployment::Conflict(_) = kube.set_image(meant, container, image).await.map_err(told)? {
            return Ok(());
        }
    }
    while !is_settled(&kube.deployment(namespace, deployment).await.map_err(told)?) {
        tokio::time::sleep(ROLLOUT_LOOK_EVERY).await;
    }
    Ok(())
}

/// A paused Deployment has nothing to wait for.
fn is_settled(fact: &DeploymentFact) -> bool {
    fact.is_rolled_out || fact.is_paused
}

fn changed_otherwise(former: &FormerImage, container: &str) -> String {
    let FormerImage { namespace, deployment, image, .. } = former;
    format!(
        "somebody else has changed the template of the deployment since, so nothing was put back; its image still is the one \
         that this run gave. `kubectl -n {namespace} set image deployment/{deployment} {container}={image}` gives it back; if it \
         is to stay, remove the folder of this run"
    )
}

async fn undone_by_flow(
    scene: &Scene<'_>,
    change: &Change,
    flow: &str,
    with: &Map<String, Value>,
) -> Result<(), String> {
    renew_operator(scene, UNDO_WITHIN).await;
    retry_operator(scene).await;
    let mut stage = Stage::new(scene, &change.case, "");
    stage.is_undoing = true;
    stage.enter_identity("operator", "undo", crate::source::Place::default());
    stage.run_flow(flow, with.clone()).await.map(drop).map_err(|failures| said(&failures))
}

fn said(failures: &[Failure]) -> String {
    failures.iter().map(|failure| failure.message.to_string()).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(undo: Undo, key: Option<&str>) -> Change {
        Change {
            number: 1,
            case: "c".into(),
            operation: "o".into(),
            undo: Some(undo),
            key: key.map(Into::into),
        }
    }

    #[test]
    fn what_stands_below_a_change_that_is_left_is_left_too() {
        let lease = || Undo::Lease { lease: "l".into(), namespace: "n".into() };
        let flow = Undo::Flow { flow: "f".into(), with: Map::new() };
        let left = BTreeSet::from(["config:a".to_owned()]);
        for (undo, key, expected) in [
            (lease(), Some("config:a"), true),
            (lease(), Some("config:b"), false),
            (lease(), None, false),
            (flow.clone(), Some("config:a"), true),
            (flow, Some("config:b"), false),
        ] {
            assert_eq!(stands_below(&change(undo.clone(), key), &left), expected, "{undo} {key:?}");
        }
        assert!(!stands_below(&change(lease(), Some("config:a")), &BTreeSet::new()));
    }
}
