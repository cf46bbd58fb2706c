//! Pods that are processes of their own: they are here as long as their connection is, and ask for what to answer.
//!
//! Lives here: `POST /pods` (a pod is there until this request ends; it is answered by the lines that the pod shall
//! write), `/leave` (it goes as it should), `/serve` (what it shall answer). Does not: the processes themselves (`alone`).

use super::{NoAnswer, Shared};
use crate::fake::platform::MICRO;
use crate::fake::platform::serve::{self, Forwarded};
use crate::fake::pod::Pod;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Either, Full};
use hyper::body::{Body, Frame, Incoming};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

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
    fn is_core(&self) -> bool {
        self.namespace == "core"
    }

    /// The platform knows its own core by the namespace in which Kubernetes usually has it.
    fn pod(&self) -> Pod {
        Pod {
            namespace: if self.is_core() { "default".to_owned() } else { self.namespace.clone() },
            name: self.name.clone(),
            uid: self.uid.clone(),
            service: self.service.clone(),
        }
    }
}

/// Who is there, and who has said goodbye.
pub(crate) struct Hall {
    shared: Arc<Shared>,
    leaving: Mutex<BTreeSet<String>>,
    logs: Mutex<Vec<Log>>,
}

/// Where the lines of a pod's log go.
struct Log {
    /// The platform's namespace.
    namespace: String,
    service: String,
    lines: UnboundedSender<Bytes>,
}

impl Hall {
    /// A hall in which nobody is yet.
    pub(crate) fn new(shared: Arc<Shared>) -> Arc<Self> {
        Arc::new(Self { shared, leaving: Mutex::default(), logs: Mutex::default() })
    }

    /// Has one pod of a service write a line. Without a pod nobody writes it.
    pub(crate) fn write(&self, namespace: &str, service: &str, line: &str) {
        let mut logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        logs.retain(|log| !log.lines.is_closed());
        let of_service = logs.iter().find(|log| log.service == service && log.namespace == namespace);
        // A pod that ends at this very moment writes it no more.
        of_service.iter().for_each(|log| drop(log.lines.send(Bytes::from(format!("{line}\n")))));
    }

    fn leaving(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.leaving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lines that a pod shall write from now on.
    fn log_of(&self, arrival: &Arrival) -> UnboundedReceiver<Bytes> {
        let (lines, coming) = mpsc::unbounded_channel();
        let namespace = if arrival.is_core() { MICRO } else { &arrival.namespace };
        let log = Log { namespace: namespace.to_owned(), service: arrival.service.clone(), lines };
        self.logs.lock().unwrap_or_else(PoisonError::into_inner).push(log);
        coming
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

/// The answer to a pod that has come: the lines that it shall write. The pod is there as long as this is.
struct Stay {
    lines: UnboundedReceiver<Bytes>,
    _presence: Presence,
}

impl Body for Stay {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.lines.poll_recv(context).map(|line| line.map(|line| Ok(Frame::data(line))))
    }
}

type Answer = Response<Either<Full<Bytes>, Stay>>;

/// Serves until its task is dropped.
pub(crate) async fn run(listener: TcpListener, hall: Arc<Hall>) {
    super::serve(listener, move |request| answer(hall.clone(), request)).await;
}

async fn answer(hall: Arc<Hall>, request: Request<Incoming>) -> Result<Answer, NoAnswer> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| NoAnswer)?.to_bytes();
    match head.uri.path() {
        "/pods" => {
            let arrival: Arrival = serde_json::from_slice(&body).map_err(|_| NoAnswer)?;
            let lines = hall.log_of(&arrival);
            Ok(Response::new(Either::Right(Stay { lines, _presence: Presence::of(&hall, arrival) })))
        }
        "/leave" => {
            hall.leaving().insert(String::from_utf8_lossy(&body).into_owned());
            Ok(whole(Bytes::new()))
        }
        "/serve" => {
            let call: Forwarded = serde_json::from_slice(&body).map_err(|_| NoAnswer)?;
            let served = hall.shared.with(|state| serve::serve(state, &call));
            Ok(whole(serde_json::to_vec(&served).unwrap_or_default().into()))
        }
        _ => {
            let mut lost = whole(Bytes::new());
            *lost.status_mut() = StatusCode::NOT_FOUND;
            Ok(lost)
        }
    }
}

fn whole(body: Bytes) -> Answer {
    Response::new(Either::Left(Full::new(body)))
}
