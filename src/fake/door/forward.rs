//! From the gateway or the proxy through the network to a pod, over real HTTP.
//!
//! Lives here: choosing a node, the connections to pods, and what is said when nobody answers. Does not: serving
//! (`pods`), rules (`gateway`, `proxy`).

use super::Shared;
use crate::fake::platform::serve::{self, Forwarded, Served};
use crate::fake::platform::wire::Refusal;
use crate::fake::platform::{MICRO, State};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rand::RngExt as _;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use tokio::net::TcpStream;

/// Idle connections to pods, by address.
#[derive(Debug, Default)]
pub(super) struct Lines(Mutex<BTreeMap<String, Vec<SendRequest<Full<Bytes>>>>>);

impl Lines {
    fn take(&self, address: &str) -> Option<SendRequest<Full<Bytes>>> {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = idle.get_mut(address)?;
        lines.retain(|line| !line.is_closed());
        lines.pop()
    }

    fn give_back(&self, address: &str, line: SendRequest<Full<Bytes>>) {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        idle.entry(address.to_owned()).or_default().push(line);
    }

    /// Nobody answers there any more.
    pub(super) fn forget(&self, address: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(address);
    }
}

/// Sends a call to a node of its service. The outer error is the network's, not the service's.
pub(super) async fn forward(shared: &Shared, call: &Forwarded) -> Result<Served, Refusal> {
    let address = shared.with(|state| choose(state, &call.namespace, &call.service))?;
    let body = serde_json::to_vec(call).unwrap_or_default();
    let answer = exchange(&shared.lines, &address, Bytes::from(body)).await?;
    serde_json::from_slice(&answer).map_err(|_| serve::broken_stream(&address))
}

/// Any node of the service, ghosts included: the real selector knows no better.
fn choose(state: &mut State, namespace: &str, service: &str) -> Result<String, Refusal> {
    state.tick();
    if !state.nodes.is_up(MICRO, "network") {
        return Err(serve::refused_connection(&state.nodes.last_seen(MICRO, "network")));
    }
    let count = state.nodes.of(namespace, service).len();
    if count == 0 {
        return Err(serve::route_not_found(service));
    }
    let chosen = state.rng.random_range(0..count);
    Ok(state.nodes.of(namespace, service)[chosen].door.clone())
}

async fn exchange(lines: &Lines, address: &str, body: Bytes) -> Result<Bytes, Refusal> {
    let mut line = match lines.take(address) {
        Some(line) => line,
        None => connect(address).await?,
    };
    if line.ready().await.is_err() {
        line = connect(address).await?;
    }
    let broken = || serve::broken_stream(address);
    let request =
        http::Request::post("/").header("host", address).body(Full::new(body)).map_err(|_| broken())?;
    let reply = line.send_request(request).await.map_err(|_| broken())?;
    let answer = reply.into_body().collect().await.map_err(|_| broken())?.to_bytes();
    lines.give_back(address, line);
    Ok(answer)
}

async fn connect(address: &str) -> Result<SendRequest<Full<Bytes>>, Refusal> {
    let refused = || serve::refused_connection(address);
    let stream = TcpStream::connect(address).await.map_err(|_| refused())?;
    // A line that cannot be hurried serves all the same.
    let _ = stream.set_nodelay(true);
    let (line, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|_| refused())?;
    tokio::spawn(connection);
    Ok(line)
}
