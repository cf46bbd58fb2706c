//! Pods that are processes of their own: they are here as long as their connection is, and ask for what to answer.
//!
//! Lives here: `POST /pods` (a pod is there until this request ends), `/leave` (it goes as it should), `/serve` (what
//! it shall answer). Does not: the processes themselves (`alone`).

use super::{NoAnswer, Shared};
use crate::fake::platform::serve::{self, Forwarded};
use crate::fake::pod::Pod;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpListener;

/// What a process says of itself when it comes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Arrival {
    /// The platform's namespace.
    pub(crate) namespace: String,
    /// Its name.
    pub(crate) name: String,
    /// Its UID, never used twice.
    pub(crate) uid: String,
    /// The service it is a pod of.
    pub(crate) service: String,
    /// Where it is reached: host and port.
    pub(crate) address: String,
}

impl Arrival {
    /// The platform knows its own core by the namespace in which Kubernetes usually has it.
    fn pod(&self) -> Pod {
        let is_core = self.namespace == "core";
        Pod {
            namespace: if is_core { "default".to_owned() } else { self.namespace.clone() },
            name: self.name.clone(),
            uid: self.uid.clone(),
            service: self.service.clone(),
        }
    }
}

/// Who is there, and who has said goodbye.
struct Hall {
    shared: Arc<Shared>,
    leaving: Mutex<BTreeSet<String>>,
}

impl Hall {
    fn leaving(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.leaving.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A pod that is there; when this is dropped it is gone.
struct Presence {
    hall: Arc<Hall>,
    arrival: Arrival,
}

impl Presence {
    fn of(hall: &Arc<Hall>, arrival: Arrival) -> Self {
        hall.shared.with(|state| state.pod_started(arrival.pod(), arrival.address.clone()));
        Self { hall: hall.clone(), arrival }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        let graceful = self.hall.leaving().remove(&self.arrival.uid);
        self.hall.shared.lines.forget(&self.arrival.address);
        self.hall.shared.with(|state| state.pod_ended(&self.arrival.pod(), graceful));
    }
}

/// Serves until its task is dropped.
pub(crate) async fn run(listener: TcpListener, shared: Arc<Shared>) {
    let hall = Arc::new(Hall { shared, leaving: Mutex::default() });
    while let Ok((stream, _)) = listener.accept().await {
        // A connection that cannot be hurried is served all the same.
        let _ = stream.set_nodelay(true);
        let hall = hall.clone();
        let service = hyper::service::service_fn(move |request| answer(hall.clone(), request));
        tokio::spawn(async move {
            // A broken connection is how a pod ends.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(hall: Arc<Hall>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, NoAnswer> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| NoAnswer)?.to_bytes();
    match head.uri.path() {
        "/pods" => {
            let arrival: Arrival = serde_json::from_slice(&body).map_err(|_| NoAnswer)?;
            let _present = Presence::of(&hall, arrival);
            std::future::pending().await
        }
        "/leave" => {
            hall.leaving().insert(String::from_utf8_lossy(&body).into_owned());
            Ok(Response::new(Full::default()))
        }
        "/serve" => {
            let call: Forwarded = serde_json::from_slice(&body).map_err(|_| NoAnswer)?;
            let served = hall.shared.with(|state| serve::serve(state, &call));
            Ok(Response::new(Full::new(serde_json::to_vec(&served).unwrap_or_default().into())))
        }
        _ => {
            let mut lost = Response::new(Full::default());
            *lost.status_mut() = StatusCode::NOT_FOUND;
            Ok(lost)
        }
    }
}
