//! `access`: calls × identities, each allowed or denied, judged as triplets.

use super::Expect;
use super::call::{leaked, shown};
use super::look::Look;
use super::request::with_request;
use super::send::Prepared;
use super::stage::Stage;
use crate::judge::{self, Around, Cell, Refusals, Reply, Seen};
use crate::outcome::{Evidence, Failure};
use crate::source::{At, Place, Problem};
use crate::target::Via;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;

with_request! {
    /// One call of an access matrix; `as` is filled in.
    pub(crate) struct Asked {}
}

with_request! {
    /// A read that shows what a denied write would change.
    pub(crate) struct Watched {
        /// What it must show, before and after: a read that may show nothing proves nothing.
        expect: Option<Expect>,
    }
}

/// Who may call what.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
pub struct Access {
    /// Whose data it is: must succeed before and after each refusal, by the call itself or, for a write, by `watch`.
    owner: At<String>,
    /// Which way all calls go.
    via: Option<Via>,
    /// The calls, by name.
    calls: BTreeMap<At<String>, Asked>,
    /// Who may make them too.
    #[serde(default)]
    allow: Vec<At<String>>,
    /// Who may not.
    #[serde(default)]
    deny: Vec<At<String>>,
    /// A read that proves that a denied write changed nothing. The owner makes it before and after; if it does not work
    /// both times, or does not show what it must, the refusal proves nothing.
    watch: Option<Watched>,
}

impl Access {
    pub(crate) fn label(&self) -> String {
        let calls = self.calls.keys().map(|name| name.value.as_str()).collect::<Vec<_>>().join(", ");
        format!("access {calls}")
    }

    pub(crate) fn look(&self, look: &mut Look<'_>, at: Place) {
        for identity in std::iter::once(&self.owner).chain(&self.allow).chain(&self.deny) {
            look.identity(identity);
        }
        if self.calls.is_empty() || self.deny.is_empty() {
            look.problem(Problem::new(at, "a matrix without a denied call").hint("name `calls` and `deny`"));
        }
        self.look_identities(look, at);
        for (name, asked) in &self.calls {
            self.look_call(name, asked, look);
        }
        if let Some(watch) = &self.watch {
            watch.request().look(look, at);
            if let Some(op) = watch.request().op {
                look.reading_operation(op);
            }
            match &watch.expect {
                Some(expect) => expect.look(look, at),
                None => {
                    look.problem(Problem::new(at, "a `watch` that may show nothing").hint(
                        "say in its `expect` what it must show, or `status: 200` where that is nothing",
                    ))
                }
            }
        }
    }

    fn look_identities(&self, look: &mut Look<'_>, at: Place) {
        let named: Vec<&str> = std::iter::once(&self.owner)
            .chain(&self.allow)
            .chain(&self.deny)
            .map(|it| it.value.as_str())
            .collect();
        let unnamed: Vec<String> =
            look.identities.keys().filter(|name| !named.contains(&name.as_str())).cloned().collect();
        for name in unnamed {
            look.problem(Problem::new(at, format!("`{name}` is neither owner, allowed nor denied")));
        }
        let twice = named.iter().enumerate().find(|(index, name)| named[..*index].contains(name));
        if let Some((_, name)) = twice {
            look.problem(Problem::new(at, format!("`{name}` is named twice")));
        }
    }

    fn look_call(&self, name: &At<String>, asked: &Asked, look: &mut Look<'_>) {
        let mut request = asked.request();
        if let Some(identity) = request.identity {
            look.problem(Problem::new(identity.at, "`as` is filled in from `owner`, `allow` and `deny`"));
        }
        request.via = request.via.or(self.via);
        request.look(look, name.at);
        let is_write = request
            .op
            .and_then(|op| look.book.operations.get(&op.value))
            .is_some_and(super::Operation::is_write);
        if is_write && self.watch.is_none() {
            look.problem(
                Problem::new(name.at, "a denied write without a read that proves that nothing changed")
                    .hint("add `watch:`"),
            );
        }
    }

    pub(crate) async fn run(&self, stage: &mut Stage<'_>) -> Result<(), Vec<Failure>> {
        let mut failures = vec![];
        for (name, asked) in &self.calls {
            failures.extend(self.all_denied(name, asked, stage).await?);
            for identity in &self.allow {
                failures.extend(self.allowed(name, asked, identity, stage).await?);
            }
        }
        if failures.is_empty() { Ok(()) } else { Err(failures) }
    }

    async fn denied(
        &self,
        name: &At<String>,
        asked: &Asked,
        identity: &At<String>,
        stage: &mut Stage<'_>,
    ) -> Result<Vec<Failure>, Vec<Failure>> {
        let before = self.proof(asked, stage).await?;
        let prepared = Prepared { is_asked_once: true, ..self.prepared(asked, identity, stage)? };
        let reply = stage.exchange(&prepared).await;
        let after = self.proof(asked, stage).await?;
        let shows_canary = reply.as_ref().is_ok_and(|reply| stage.shows_canary(reply));
        let seen = seen(&reply, &stage.scene.book.refusals);
        let cell = judge::denied(&identity.value, seen, around(&before, &after), shows_canary);
        Ok(self.failure(name, cell, &prepared, reply.ok().as_ref(), stage))
    }

    /// All who may not make a call; a write that is refused may be carried out all the same, and be seen only as long after as
    /// its operation says that it settles.
    async fn all_denied(
        &self,
        name: &At<String>,
        asked: &Asked,
        stage: &mut Stage<'_>,
    ) -> Result<Vec<Failure>, Vec<Failure>> {
        let settles = self.settles(asked, stage);
        // Nobody else changes it between the proofs.
        stage.hold_for(&self.prepared(asked, &self.owner, stage)?).await?;
        let before = if settles.is_some() { Some(self.proof(asked, stage).await?) } else { None };
        let mut failures = vec![];
        for identity in &self.deny {
            failures.extend(self.denied(name, asked, identity, stage).await?);
        }
        if let (Some(before), Some(settles), true) = (before, settles, failures.is_empty()) {
            tokio::time::sleep(stage.scene.target.paced(settles)).await;
            let after = self.proof(asked, stage).await?;
            let cell = judge::denied("one who was refused", Seen::Refused, around(&before, &after), false);
            failures = self.failure(name, cell, &self.prepared(asked, &self.owner, stage)?, None, stage);
        }
        Ok(failures)
    }

    async fn allowed(
        &self,
        name: &At<String>,
        asked: &Asked,
        identity: &At<String>,
        stage: &mut Stage<'_>,
    ) -> Result<Vec<Failure>, Vec<Failure>> {
        let prepared = self.prepared(asked, identity, stage)?;
        let reply = stage.exchange(&prepared).await;
        self.shown_to(&prepared, &reply, stage)?;
        let seen = seen(&reply, &stage.scene.book.refusals);
        let cell = judge::allowed(&identity.value, seen);
        Ok(self.failure(name, cell, &prepared, reply.ok().as_ref(), stage))
    }

    fn prepared(
        &self,
        asked: &Asked,
        identity: &At<String>,
        stage: &Stage<'_>,
    ) -> Result<Prepared, Vec<Failure>> {
        let mut request = asked.request();
        request.identity = Some(identity);
        request.via = request.via.or(self.via);
        request.prepared(stage)
    }

    /// The owner's proof that a refusal means something. A write cannot be made as the owner just to see that it works:
    /// its watched read stands for it.
    async fn proof(&self, asked: &Asked, stage: &mut Stage<'_>) -> Result<Proof, Vec<Failure>> {
        if !self.is_write(asked, stage) {
            let prepared = self.prepared(asked, &self.owner, stage)?;
            let reply = stage.exchange(&prepared).await;
            self.shown_to(&prepared, &reply, stage)?;
            return Ok(Proof::OwnCall(seen(&reply, &stage.scene.book.refusals)));
        }
        let Some(watch) = &self.watch else { return Ok(Proof::WatchedRead(Seen::Nothing, vec![])) };
        let prepared = self.watching(watch, stage)?;
        let reply = stage.exchange(&prepared).await;
        self.shown_to(&prepared, &reply, stage)?;
        let seen = watched(watch, &reply, stage)?;
        Ok(Proof::WatchedRead(seen, reply.map(|reply| reply.body).unwrap_or_default()))
    }

    /// That whoever may make the call is shown what somebody else than the owner has planted.
    fn shown_to(
        &self,
        asked: &Prepared,
        reply: &Result<Reply, Vec<Failure>>,
        stage: &Stage<'_>,
    ) -> Result<(), Vec<Failure>> {
        let Ok(reply) = reply else { return Ok(()) };
        leaked(stage, asked, reply, &"", Some(&self.owner.value)).map_or(Ok(()), |failure| Err(vec![failure]))
    }

    fn watching(&self, watch: &Watched, stage: &Stage<'_>) -> Result<Prepared, Vec<Failure>> {
        let mut request = watch.request();
        request.identity = request.identity.or(Some(&self.owner));
        request.via = request.via.or(self.via);
        request.prepared(stage)
    }

    /// How long what a write does may take to be seen.
    fn settles(&self, asked: &Asked, stage: &Stage<'_>) -> Option<Duration> {
        let operation = asked.request().op.filter(|_| self.is_write(asked, stage))?;
        stage.scene.book.settles(operation)
    }

    fn is_write(&self, asked: &Asked, stage: &Stage<'_>) -> bool {
        let operation = asked.request().op.and_then(|op| stage.scene.book.operations.get(&op.value));
        operation.is_some_and(super::Operation::is_write)
    }

    fn failure(
        &self,
        name: &At<String>,
        cell: Cell,
        prepared: &Prepared,
        reply: Option<&Reply>,
        stage: &Stage<'_>,
    ) -> Vec<Failure> {
        let evidence: Vec<Evidence> =
            reply.map(|reply| shown(stage, &prepared.shown(), reply)).unwrap_or_default();
        let (mismatch, is_broken) = match cell {
            Cell::Kept => return vec![],
            Cell::Broken(mismatch) => (mismatch, true),
            Cell::Unjudged(mismatch) => (mismatch, false),
        };
        let message = format!("{}: {}", name.value, mismatch.message);
        let mut failure = if is_broken {
            stage.fail(mismatch.kind, &message)
        } else {
            stage.doubt(mismatch.kind, &message)
        };
        failure.evidence = evidence;
        vec![failure]
    }
}

/// What the owner did to prove that a refusal means something, and what came of it.
enum Proof {
    OwnCall(Seen),
    WatchedRead(Seen, Vec<u8>),
}

impl Proof {
    fn seen(&self) -> Seen {
        match self {
            Self::OwnCall(seen) | Self::WatchedRead(seen, _) => *seen,
        }
    }
}

fn around(before: &Proof, after: &Proof) -> Around {
    match (before, after) {
        (Proof::WatchedRead(seen, shown), Proof::WatchedRead(seen_after, shown_after)) => {
            Around::WatchedReads { before: *seen, after: *seen_after, is_same: shown == shown_after }
        }
        _ => Around::OwnCalls { before: before.seen(), after: after.seen() },
    }
}

/// What came of a watched read: whether it shows what it must.
fn watched(
    watch: &Watched,
    reply: &Result<Reply, Vec<Failure>>,
    stage: &Stage<'_>,
) -> Result<Seen, Vec<Failure>> {
    let seen = seen(reply, &stage.scene.book.refusals);
    let (Seen::Granted, Ok(reply), Some(expect)) = (seen, reply, &watch.expect) else { return Ok(seen) };
    let broken = expect.rendered(stage)?.broken_by(reply, stage.scene.mask);
    Ok(if broken.is_empty() { Seen::Granted } else { Seen::Otherwise })
}

fn seen(reply: &Result<Reply, Vec<Failure>>, refusals: &Refusals) -> Seen {
    reply.as_ref().map_or(Seen::Nothing, |reply| judged(reply, refusals))
}

fn judged(reply: &Reply, refusals: &Refusals) -> Seen {
    if reply.is_success() {
        Seen::Granted
    } else if refusals.recognise(reply) {
        Seen::Refused
    } else {
        Seen::Error(reply.status)
    }
}
