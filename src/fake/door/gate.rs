//! A door with a fixed address that can be closed and opened again.
//!
//! Lives here: listening, serving connections, dropping them all when the pod dies. Does not: what is answered
//! (`gateway`, `proxy`).

use super::{Outer, Shared, gateway, listen, proxy};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// How often a port that is still held is tried again, and after which pause.
const TRIES: u32 = 500;
const PAUSE: Duration = Duration::from_millis(2);

/// The gateway's or the proxy's door.
#[derive(Debug)]
pub(crate) struct Gate {
    /// Where it is, open or not.
    pub(crate) address: SocketAddr,
    kind: Outer,
    shared: Arc<Shared>,
    waiting: Option<TcpListener>,
    open: Option<watch::Sender<()>>,
}

impl Gate {
    /// Takes the address; nobody is served before [`Gate::open`].
    pub(crate) fn new(kind: Outer, address: SocketAddr, shared: Arc<Shared>) -> std::io::Result<Self> {
        let listener = listen(address)?;
        let address = listener.local_addr()?;
        Ok(Self { address, kind, shared, waiting: Some(listener), open: None })
    }

    /// Serves from now on, if it does not already for another pod; the port may still be held for a moment by the door
    /// that was closed.
    pub(crate) async fn open(&mut self) {
        if self.open.is_some() {
            return;
        }
        if let Some(listener) = self.listener().await {
            let (closer, closed) = watch::channel(());
            tokio::spawn(accept(listener, self.kind, self.shared.clone(), closed));
            self.open = Some(closer);
        }
    }

    async fn listener(&mut self) -> Option<TcpListener> {
        if let Some(listener) = self.waiting.take() {
            return Some(listener);
        }
        for _ in 0..TRIES {
            match listen(self.address) {
                Ok(listener) => return Some(listener),
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
        None
    }

    /// Stops listening and drops every connection.
    pub(crate) fn close(&mut self) {
        self.open = None;
    }
}

async fn accept(listener: TcpListener, kind: Outer, shared: Arc<Shared>, mut closed: watch::Receiver<()>) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = closed.changed() => return,
        };
        if let Ok((stream, _)) = accepted {
            tokio::spawn(connection(stream, kind, shared.clone(), closed.clone()));
        }
    }
}

async fn connection(stream: TcpStream, kind: Outer, shared: Arc<Shared>, mut closed: watch::Receiver<()>) {
    // A connection that cannot be hurried is served all the same.
    let _ = stream.set_nodelay(true);
    let serve = async {
        match kind {
            Outer::Gateway => serve_gateway(stream, shared).await,
            Outer::Proxy => serve_proxy(stream, shared).await,
        }
    };
    tokio::select! {
        () = serve => {}
        _ = closed.changed() => {}
    }
}

async fn serve_gateway(stream: TcpStream, shared: Arc<Shared>) {
    let service = hyper::service::service_fn(move |request| gateway::answer(shared.clone(), request));
    let mut http = hyper::server::conn::http1::Builder::new();
    http.title_case_headers(true).auto_date_header(false);
    // A broken connection concerns its client, who sees it.
    let _ = http.serve_connection(TokioIo::new(stream), service).await;
}

async fn serve_proxy(stream: TcpStream, shared: Arc<Shared>) {
    let service = hyper::service::service_fn(move |request| proxy::answer(shared.clone(), request));
    let mut http = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    http.auto_date_header(false);
    // A broken connection concerns its client, who sees it.
    let _ = http.serve_connection(TokioIo::new(stream), service).await;
}
