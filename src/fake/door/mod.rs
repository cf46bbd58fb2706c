//! The sockets of the fake platform.
//!
//! Lives here: what all doors share. Does not: what is answered (`platform`).

pub(crate) mod admin;
mod body;
pub(crate) mod elsewhere;
mod forward;
mod frames;
pub(crate) mod gate;
mod gateway;
mod path;
pub(crate) mod pods;
mod proxy;

use super::platform::{Mail, State};
use super::pod::Order;
use bytes::Bytes;
use forward::Lines;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;

/// What every door holds: the state, the way to the cluster, and the lines to the pods.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    orders: mpsc::UnboundedSender<Order>,
    post: Option<mpsc::UnboundedSender<Mail>>,
    lines: Lines,
}

impl Shared {
    /// Doors over a state, whose orders go to the cluster, and whose mails to the post if there is one.
    pub(crate) fn new(
        state: State,
        orders: mpsc::UnboundedSender<Order>,
        post: Option<mpsc::UnboundedSender<Mail>>,
    ) -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(state), orders, post, lines: Lines::default() })
    }

    /// Does something with the state; orders and mails that come of it are given at once.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = act(&mut state);
        for order in state.orders.drain(..) {
            // Without a cluster nobody is there to carry it out, and nobody to tell.
            let _ = self.orders.send(order);
        }
        for mail in state.outbox.drain(..) {
            // The post ends with the fake.
            self.post.iter().for_each(|post| drop(post.send(mail.clone())));
        }
        outcome
    }
}

/// Which of the two outer doors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outer {
    /// The HTTP API gateway: the pod `api`.
    Gateway,
    /// The gRPC proxy: the pod `proxy`.
    Proxy,
}

/// A service went away without a word, or the caller did.
#[derive(Debug, thiserror::Error)]
#[error("no answer")]
pub(crate) struct NoAnswer;

/// Answers every request of every connection over HTTP/1.1, until its task is dropped.
pub(crate) async fn serve<A, F, B, E>(listener: tokio::net::TcpListener, answer: A)
where
    A: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Result<Response<B>, E>> + Send,
    B: hyper::body::Body<Data = Bytes, Error: Into<Failed>> + Send + 'static,
    E: Into<Failed> + 'static,
{
    while let Ok((stream, _)) = listener.accept().await {
        // A connection that cannot be hurried is served all the same.
        let _ = stream.set_nodelay(true);
        let service = hyper::service::service_fn(answer.clone());
        tokio::spawn(async move {
            // A broken connection concerns its client, who sees it; it is how a pod ends.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

type Failed = Box<dyn std::error::Error + Send + Sync>;

/// A listener that may take over a port which was in use a moment ago.
pub(crate) fn listen(address: SocketAddr) -> std::io::Result<tokio::net::TcpListener> {
    let opened = || {
        let socket = match address.is_ipv4() {
            true => tokio::net::TcpSocket::new_v4(),
            false => tokio::net::TcpSocket::new_v6(),
        }?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(1024)
    };
    opened().map_err(|why: std::io::Error| std::io::Error::new(why.kind(), format!("{address}: {why}")))
}
