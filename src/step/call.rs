//! `call`: one request, its expectations, what to capture.

use super::Expect;
use super::expect::{self, Captures};
use super::look::Look;
use super::request::with_request;
use super::send::Prepared;
use super::stage::Stage;
use crate::judge::Reply;
use crate::outcome::{Evidence, Failure};
use crate::source::Place;

with_request! {
    /// One request, its expectations, what to capture.
    pub struct Call {
        /// What the reply must be; a success if absent.
        expect: Option<Expect>,
        /// What is taken from the reply: name to JSON path.
        #[serde(default)]
        capture: Captures,
    }
}

impl Call {
    pub(crate) fn label(&self) -> String {
        format!("call {}", self.request().subject())
    }

    pub(crate) fn look(&self, look: &mut Look<'_>, at: Place) {
        self.request().look(look, at);
        if let Some(expect) = &self.expect {
            expect.look(look, at);
        }
        expect::look_captures(&self.capture, look);
    }

    pub(crate) async fn run(&self, stage: &mut Stage<'_>) -> Result<(), Vec<Failure>> {
        let secret = expect::secret_paths(&self.capture, stage);
        let prepared = Prepared { secret, ..self.request().prepared(stage)? };
        let reply = stage.exchange(&prepared).await?;
        let expectation =
            self.expect.as_ref().map(|expect| expect.rendered(stage)).transpose()?.unwrap_or_default();
        stage.clocks_go_together(expectation.compares_instants())?;
        let broken = expectation.broken_by(&reply, stage.scene.mask);
        let leaked = leaked(stage, &prepared, &reply, &expectation, None);
        if leaked.is_some() || !broken.is_empty() {
            let broken = stage.failures(broken, shown(stage, &prepared.shown(), &reply));
            return Err(leaked.into_iter().chain(broken).collect());
        }
        expect::capture_or_show(&self.capture, reply.read_json().as_ref(), stage, |stage| {
            shown(stage, &prepared.shown(), &reply)
        })
    }
}

/// That an answer shows what somebody else has planted, with both as evidence. What `shared_by` has planted may be seen too.
pub(crate) fn leaked(
    stage: &Stage<'_>,
    asked: &Prepared,
    reply: &Reply,
    wanted: &dyn std::fmt::Debug,
    shared_by: Option<&str>,
) -> Option<Failure> {
    let failure = stage.leaked(asked, reply, wanted, shared_by)?;
    Some(Failure { evidence: shown(stage, &asked.shown(), reply), ..failure })
}

/// Request and reply as evidence.
pub(crate) fn shown(stage: &Stage<'_>, request: &str, reply: &Reply) -> Vec<Evidence> {
    let status = match reply.grpc_status {
        Some(grpc) => format!("status {} (gRPC {grpc})", reply.status),
        None => format!("status {}", reply.status),
    };
    let text = format!("{status} after {:.1?}\n{}", reply.took, reply.shown_text());
    vec![stage.evidence("request", request), stage.evidence("reply", &text)]
}
