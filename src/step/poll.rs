//! `poll`: a read repeated until it meets its expectations, or for as long as it must keep meeting them.

use super::Expect;
use super::call::{leaked, shown};
use super::expect::{self, Captures};
use super::look::Look;
use super::request::with_request;
use super::send::Prepared;
use super::stage::Stage;
use crate::judge::{Expectation, Mismatch, Reply};
use crate::outcome::Failure;
use crate::source::{Place, Problem, Span};
use std::time::Duration;
use tokio::time::Instant;

/// The beat if none is written.
pub(super) const EVERY: Duration = Duration::from_millis(500);
/// A beat is never shorter than this, whatever the pace.
pub(super) const SHORTEST_BEAT: Duration = Duration::from_millis(2);

with_request! {
    /// A read repeated until it meets its expectations.
    pub struct Poll {
        /// What the reply must become.
        until: Expect,
        /// For how long it must then stay so.
        #[serde(rename = "for")]
        stays: Option<Span>,
        /// The beat; 500 ms if absent. Scaled by the target's pace.
        every: Option<Span>,
        /// The deadline, inclusive: by then the answer is whole. Scaled by the target's pace.
        within: Span,
        /// What is taken from the reply that met them.
        #[serde(default)]
        capture: Captures,
    }
}

impl Poll {
    pub(crate) fn label(&self) -> String {
        format!("poll {}", self.request().subject())
    }

    pub(crate) fn look(&self, look: &mut Look<'_>, at: Place) {
        let request = self.request();
        if let Some(op) = request.op {
            look.reading_operation(op);
        }
        request.look(look, at);
        self.until.look(look, at);
        if self.stays.is_some_and(|stays| stays.0 >= self.within.0) {
            look.problem(Problem::new(at, "`for` is not shorter than `within`: it can never be met"));
        }
        if self.every.is_some_and(|every| every.0.is_zero()) {
            look.problem(Problem::new(at, "`every` wants a time above 0").hint("leave it out for 500ms"));
        }
        expect::look_captures(&self.capture, look);
    }

    pub(crate) async fn run(&self, stage: &mut Stage<'_>) -> Result<(), Vec<Failure>> {
        let secret = expect::secret_paths(&self.capture, stage);
        let prepared = Prepared { secret, ..self.request().prepared(stage)? };
        let expectation = self.until.rendered(stage)?;
        let target = stage.scene.target;
        let polling = Polling {
            every: target.paced(self.every.map_or(EVERY, |every| every.0)).max(SHORTEST_BEAT),
            within: target.paced(self.within.0),
            stays: self.stays.map(|stays| target.paced(stays.0)),
        };
        let reply = polling.until(&prepared, &expectation, stage).await?;
        expect::capture(&self.capture, reply.read_json().as_ref(), stage)
    }
}

/// The times of a poll, at the target's pace.
pub(crate) struct Polling {
    pub(crate) every: Duration,
    pub(crate) within: Duration,
    pub(crate) stays: Option<Duration>,
}

impl Polling {
    /// Asks until the expectation is met, and stays met.
    pub(crate) async fn until(
        &self,
        prepared: &Prepared,
        expectation: &Expectation,
        stage: &mut Stage<'_>,
    ) -> Result<Reply, Vec<Failure>> {
        let started = Instant::now();
        let mut met_at: Option<Instant> = None;
        loop {
            let reply = stage.exchange(prepared).await?;
            let took = started.elapsed();
            stage.clocks_go_together(expectation.compares_instants())?;
            let broken = expectation.broken_by(&reply, stage.scene.mask);
            if let Some(failure) = leaked(stage, prepared, &reply, &expectation, None) {
                return Err(vec![failure]);
            }
            match (broken.is_empty(), met_at, self.stays) {
                (true, None, _) if took > self.within => {
                    let text = format!("met only after {took:.1?}, and not within {:.1?}", self.within);
                    return Err(unmet("poll.unmet", &text, &prepared.shown(), &reply, stage));
                }
                (true, _, None) => return Ok(reply),
                (true, Some(since), Some(stays)) if since.elapsed() >= stays => return Ok(reply),
                (true, since, Some(_)) => met_at = since.or_else(|| Some(Instant::now())),
                (false, Some(since), Some(stays)) => {
                    let text = format!("held for {:.1?} of {stays:.1?}, then no more", since.elapsed());
                    return Err(unmet(
                        "poll.did-not-stay",
                        &told(&text, broken),
                        &prepared.shown(),
                        &reply,
                        stage,
                    ));
                }
                (false, ..) => {}
            }
            if started.elapsed() + self.every > self.within && !(met_at.is_some() && broken.is_empty()) {
                let text = format!("not met within {:.1?}", self.within);
                return Err(unmet("poll.unmet", &told(&text, broken), &prepared.shown(), &reply, stage));
            }
            tokio::time::sleep(self.every).await;
        }
    }
}

fn told(text: &str, broken: Vec<Mismatch>) -> String {
    let last = broken.into_iter().map(|it| it.message).collect::<Vec<_>>().join("; ");
    format!("{text}: {last}")
}

fn unmet(kind: &str, text: &str, request: &str, reply: &Reply, stage: &Stage<'_>) -> Vec<Failure> {
    let mut failure = stage.fail(kind, text);
    failure.evidence = shown(stage, request, reply);
    vec![failure]
}
