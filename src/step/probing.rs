//! Probes of a disruption: a prepared read, sent on the beat of the target by clients of its own.
//!
//! Lives here: starting one, and what one answer of it means. Does not: the beat (`probe`), or what many answers show
//! (`judge`).

use super::send::Prepared;
use super::stage::Stage;
use super::watching::PROBE_WITHIN;
use crate::client::{Connection, Grpc, Http, SendError};
use crate::judge::Expectation;
use crate::judge::sample::Reading;
use crate::outcome::Failure;
use crate::probe::{self, Probe};
use crate::secret::Mask;

/// Requests of a probe in flight.
const IN_FLIGHT: usize = 64;

/// Starts a probe with clients of its own.
pub(super) fn started(
    name: &str,
    asked: (Prepared, Expectation),
    stage: &Stage<'_>,
) -> Result<Probe, Vec<Failure>> {
    let target = stage.scene.target;
    let own = |error: crate::client::Unusable| vec![stage.doubt("probe.start", &error.to_string())];
    let http = target.http.anew().map_err(own)?;
    let rpc = target.rpc.as_ref().map(Grpc::anew).transpose().map_err(own)?;
    let plan = probe::Plan {
        name: name.to_owned(),
        every: target.beat(),
        answer_within: PROBE_WITHIN,
        in_flight_limit: IN_FLIGHT,
    };
    let clients = std::sync::Arc::new((http, rpc, asked));
    probe::start(plan, move |turn| {
        let clients = clients.clone();
        async move { reading(&clients.0, clients.1.as_ref(), &clients.2, turn).await }
    })
    .map_err(|error| vec![stage.doubt("probe.start", &error.to_string())])
}

/// What one request of a probe saw. A 401 says something about its token, nothing about the service.
async fn reading(
    http: &Http,
    rpc: Option<&Grpc>,
    (prepared, wanted): &(Prepared, Expectation),
    turn: probe::Turn,
) -> Reading {
    let connection = match turn.connection {
        probe::Connection::New => Connection::New,
        probe::Connection::Reused => Connection::Reused,
    };
    match prepared.send(http, rpc, connection, PROBE_WITHIN).await {
        Ok(reply) if reply.status == 401 => Reading::Unjudged("status 401".into()),
        Ok(reply) => match wanted.broken_by(&reply, &Mask::new()).first() {
            None => Reading::Served,
            Some(broken) if reply.is_success() => Reading::Failed(broken.kind.into()),
            Some(_) => Reading::Failed(format!("status {}", reply.status).into()),
        },
        Err(error @ SendError::Elsewhere(_)) => Reading::Unjudged(error.kind().into()),
        Err(error) => Reading::Failed(error.kind().into()),
    }
}
