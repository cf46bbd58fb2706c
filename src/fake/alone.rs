//! A pod of the platform as a process of its own: a door that asks the platform's state for what to answer.
//!
//! Lives here: coming, serving, writing and going of such a process. Does not: the state, and what is answered
//! (`door::elsewhere`).

use super::door::elsewhere::Arrival;
use super::door::{NoAnswer, listen};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;

/// How long a process waits before it comes again to a state that went away.
const COME_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// How long a process that was told to end finishes what it has begun; its node is out of the registry by then.
const FINISH_WITHIN: Duration = Duration::from_millis(300);

/// What a process is to be.
#[derive(Debug, Clone)]
pub struct Alone {
    /// The service, such as `store`.
    pub service: String,
    /// The platform's namespace; `core` for the platform's own services.
    pub namespace: String,
    /// The pod's name.
    pub name: String,
    /// The pod's UID, never used twice.
    pub uid: String,
    /// Where others reach it, host and port; where it listens if absent.
    pub address: Option<String>,
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where the state is asked: host and port.
    pub state: String,
    /// For the pods `api` and `proxy`: where their outer door listens, and where the state answers for it.
    pub relay: Option<(SocketAddr, String)>,
    /// Whether it takes its node out of the registry when it is told to end.
    pub deregisters: bool,
}

/// Serves until `told` says so; then leaves as it should, if it does so at all. Each line of its log is given to `write`,
/// with the line feed that ends it.
///
/// # Errors
/// If its address cannot be had.
pub async fn serve_alone(
    alone: Alone,
    write: impl Fn(&str) + Send + Sync + 'static,
    told: impl Future<Output = ()>,
) -> std::io::Result<()> {
    let listener = listen(alone.listen)?;
    let address = alone.address.clone().unwrap_or(listener.local_addr()?.to_string());
    let presence = tokio::spawn(stay(arrival(&alone, address), alone.state.clone(), write));
    let doors = tokio::spawn(serve(listener, alone.state.clone()));
    let outer = match alone.relay.clone() {
        Some((at, to)) => Some(tokio::spawn(relay(listen(at)?, to))),
        None => None,
    };
    told.await;
    if alone.deregisters {
        // A state that does not hear it will miss the connection soon enough.
        let _ = ask(&alone.state, "/leave", Bytes::from(alone.uid.clone())).await;
    }
    // Nothing new comes to it from here on; what it has begun it finishes.
    presence.abort();
    tokio::time::sleep(FINISH_WITHIN).await;
    doors.abort();
    outer.inspect(tokio::task::JoinHandle::abort);
    Ok(())
}

fn arrival(alone: &Alone, address: String) -> Arrival {
    Arrival {
        namespace: alone.namespace.clone(),
        name: alone.name.clone(),
        uid: alone.uid.clone(),
        service: alone.service.clone(),
        address,
    }
}

/// Is there for the state as long as the process lives, and comes again after the state was away.
async fn stay(arrival: Arrival, state: String, write: impl Fn(&str)) {
    let arrival = Bytes::from(serde_json::to_vec(&arrival).unwrap_or_default());
    loop {
        // It ends when the state does.
        let _ = be_there(arrival.clone(), &state, &write).await;
        tokio::time::sleep(COME_AGAIN_AFTER).await;
    }
}

/// Is there until the state goes away, and writes the lines that it is told.
async fn be_there(arrival: Bytes, state: &str, write: &impl Fn(&str)) -> Result<(), NoAnswer> {
    let mut way = connect(state).await?;
    let mut told = sent(&mut way, "/pods", arrival).await?;
    let mut begun = Vec::new();
    while let Some(frame) = told.frame().await {
        begun.extend(frame.map_err(|_| NoAnswer)?.into_data().unwrap_or_default());
        while let Some(end) = begun.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = begun.drain(..=end).collect();
            write(&String::from_utf8_lossy(&line));
        }
    }
    Ok(())
}

async fn relay(listener: TcpListener, to: String) {
    while let Ok((mut caller, _)) = listener.accept().await {
        let to = to.clone();
        tokio::spawn(async move {
            if let Ok(mut state) = TcpStream::connect(&to).await {
                // Connections that cannot be hurried pass bytes all the same; a broken one concerns its ends.
                let _ = caller.set_nodelay(true);
                let _ = state.set_nodelay(true);
                let _ = tokio::io::copy_bidirectional(&mut caller, &mut state).await;
            }
        });
    }
}

/// Each connection has one of its own to the state, so that calls of one connection wait for each other only.
async fn serve(listener: TcpListener, state: String) {
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        let line = Arc::new(Line { state: state.clone(), open: Mutex::new(None) });
        let service = hyper::service::service_fn(move |request| answer(line.clone(), request));
        tokio::spawn(async move {
            // A broken connection concerns its client, who sees it.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

/// A way to the state.
struct Line {
    state: String,
    open: Mutex<Option<SendRequest<Full<Bytes>>>>,
}

async fn answer(line: Arc<Line>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, NoAnswer> {
    let call = request.into_body().collect().await.map_err(|_| NoAnswer)?.to_bytes();
    let mut open = line.open.lock().await;
    let mut way = match open.take().filter(|way| !way.is_closed()) {
        Some(way) => way,
        None => connect(&line.state).await?,
    };
    let served = exchange(&mut way, "/serve", call).await?;
    *open = Some(way);
    Ok(Response::new(Full::new(served)))
}

async fn ask(state: &str, path: &str, body: Bytes) -> Result<Bytes, NoAnswer> {
    exchange(&mut connect(state).await?, path, body).await
}

async fn connect(state: &str) -> Result<SendRequest<Full<Bytes>>, NoAnswer> {
    let stream = TcpStream::connect(state).await.map_err(|_| NoAnswer)?;
    let _ = stream.set_nodelay(true);
    let (way, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|_| NoAnswer)?;
    tokio::spawn(connection);
    Ok(way)
}

async fn exchange(way: &mut SendRequest<Full<Bytes>>, path: &str, body: Bytes) -> Result<Bytes, NoAnswer> {
    let reply = sent(way, path, body).await?;
    Ok(reply.collect().await.map_err(|_| NoAnswer)?.to_bytes())
}

async fn sent(way: &mut SendRequest<Full<Bytes>>, path: &str, body: Bytes) -> Result<Incoming, NoAnswer> {
    let request = Request::post(path).header("host", "state").body(Full::new(body)).map_err(|_| NoAnswer)?;
    Ok(way.send_request(request).await.map_err(|_| NoAnswer)?.into_body())
}
