//! The doors of pods: a wiremock server each, which really dies with its pod.
//!
//! Lives here: opening, closing and replacing them, and the gates of `api` and `proxy`. Does not: when pods start and
//! end (`cluster`, `local`), what they answer (`platform::serve`).

use super::Shared;
use super::gate::Gate;
use crate::fake::defect::Defect;
use crate::fake::platform::nodes::namespace_of;
use crate::fake::platform::serve::{self, Forwarded};
use crate::fake::platform::{MICRO, State};
use crate::fake::pod::{Pod, PodChange};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use wiremock::{Mock, MockServer, ResponseTemplate};

/// A wiremock server keeps some 3.5 KiB of every request: after so many it is replaced, unseen.
const WORN_OUT_AFTER: u32 = 1500;
/// How long a server may finish what it has begun.
const FINISH_WITHIN: Duration = Duration::from_millis(200);
/// How long the registry lists the live nodes alone before a dead one is back.
const A_MOMENT: Duration = Duration::from_millis(20);
/// Longer than any budget of a pod, before `pace`.
const TOO_LONG_MS: f64 = 130_000.0;

/// All doors of pods.
#[derive(Debug)]
pub(crate) struct PodDoors {
    shared: Arc<Shared>,
    open: BTreeMap<String, MockServer>,
    /// By UID of the pod: the address at which its container served that has ended. A container that is started anew
    /// has the address of its pod again.
    left: BTreeMap<String, SocketAddr>,
    gates: BTreeMap<&'static str, Gate>,
    worn_out: mpsc::UnboundedSender<Pod>,
}

/// Opens and closes doors as pods start and end, until nothing can change any more. `gates` are those of `api` and
/// `proxy`.
pub(crate) async fn run(
    shared: Arc<Shared>,
    gates: BTreeMap<&'static str, Gate>,
    mut changes: mpsc::UnboundedReceiver<PodChange>,
) {
    let (worn_out, mut to_replace) = mpsc::unbounded_channel();
    let mut doors = PodDoors { shared, open: BTreeMap::new(), left: BTreeMap::new(), gates, worn_out };
    loop {
        tokio::select! {
            change = changes.recv() => match change {
                Some(PodChange::Started { pod, ready }) => doors.started(pod, ready).await,
                Some(PodChange::Ended { pod, graceful }) => doors.ended(&pod, graceful),
                None => return,
            },
            Some(pod) = to_replace.recv() => doors.replace(&pod).await,
        }
    }
}

impl PodDoors {
    async fn started(&mut self, pod: Pod, ready: oneshot::Sender<()>) {
        let is_replacement = self.shared.with(|state| is_replacement(state, &pod));
        let shared = self.shared.clone();
        let has = |defect| is_replacement && shared.with(|state| state.has(defect));
        if has(Defect::PodNeverReady) {
            self.open_door(pod).await;
            return;
        }
        if has(Defect::PodNotServed) {
            self.open_late(pod.clone()).await;
        } else {
            self.open_door(pod.clone()).await;
        }
        if has(Defect::NodeListedAgain) {
            tokio::spawn(listed_again(self.shared.clone(), pod));
        }
        let delay = if has(Defect::PodSlow) { self.too_long() } else { Duration::ZERO };
        tokio::spawn(say_ready(ready, delay));
    }

    async fn serve(&mut self, pod: &Pod) -> MockServer {
        let at = self.left.remove(pod_uid(pod));
        // Another process may have taken the port meanwhile: then the pod moves, which a restart seldom does.
        let listener = at.and_then(|at| std::net::TcpListener::bind(at).ok());
        serve_pod(&self.shared, pod, &self.worn_out, listener).await
    }

    fn too_long(&self) -> Duration {
        let pace = self.shared.with(|state| state.pace);
        Duration::from_secs_f64(TOO_LONG_MS * pace / 1000.0)
    }

    async fn open_door(&mut self, pod: Pod) {
        let server = self.serve(&pod).await;
        let address = server.address().to_string();
        self.open.insert(pod.uid.clone(), server);
        let is_core = namespace_of(&pod) == MICRO;
        let service = pod.service.clone();
        self.shared.with(|state| state.pod_started(pod, address));
        if let Some(gate) = self.gates.get_mut(service.as_str()).filter(|_| is_core) {
            gate.open().await;
        }
    }

    /// Registered and ready, and yet nobody listens until it is too late.
    async fn open_late(&mut self, pod: Pod) {
        let server = self.serve(&pod).await;
        let (uid, address) = (pod.uid.clone(), server.address().to_string());
        self.open.insert(uid.clone(), server);
        self.shared.with(|state| state.pod_started(pod, "127.0.0.1:9".to_owned()));
        let (shared, delay) = (self.shared.clone(), self.too_long());
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            shared.with(|state| state.nodes.moved(&uid, &address));
        });
    }

    fn ended(&mut self, pod: &Pod, graceful: bool) {
        if let Some(server) = self.open.remove(&pod.uid) {
            self.shared.lines.forget(&server.address().to_string());
            self.left.insert(pod_uid(pod).to_owned(), *server.address());
            if graceful {
                finish(server);
            }
        }
        let others = self.shared.with(|state| {
            state.pod_ended(pod, graceful);
            state.nodes.is_up(&namespace_of(pod), &pod.service)
        });
        if let Some(gate) = self.gates.get_mut(pod.service.as_str()).filter(|_| !others) {
            gate.close();
        }
    }

    async fn replace(&mut self, pod: &Pod) {
        if !self.open.contains_key(&pod.uid) {
            return;
        }
        let server = self.serve(pod).await;
        let address = server.address().to_string();
        self.shared.with(|state| state.nodes.moved(&pod.uid, &address));
        if let Some(old) = self.open.insert(pod.uid.clone(), server) {
            self.shared.lines.forget(&old.address().to_string());
            finish(old);
        }
    }
}

/// Who is told to end takes nothing new (its node is out of the registry), and finishes what it has begun.
fn finish(server: MockServer) {
    tokio::spawn(async move {
        tokio::time::sleep(FINISH_WITHIN).await;
        drop(server);
    });
}

fn is_replacement(state: &mut State, pod: &Pod) -> bool {
    state.replaced.contains_key(&(namespace_of(pod), pod.service.clone()))
}

async fn listed_again(shared: Arc<Shared>, pod: Pod) {
    tokio::time::sleep(A_MOMENT).await;
    shared.with(|state| state.nodes.listed_again(&pod));
}

async fn say_ready(ready: oneshot::Sender<()>, delay: Duration) {
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    // Nobody waits in the local stand-in.
    let _ = ready.send(());
}

/// The UID of a container's pod: without the count of its starts.
fn pod_uid(pod: &Pod) -> &str {
    pod.uid.split('.').next().unwrap_or(&pod.uid)
}

async fn serve_pod(
    shared: &Arc<Shared>,
    pod: &Pod,
    worn_out: &mpsc::UnboundedSender<Pod>,
    listener: Option<std::net::TcpListener>,
) -> MockServer {
    let mut builder = MockServer::builder().disable_request_recording();
    if let Some(listener) = listener {
        builder = builder.listener(listener);
    }
    let server = builder.start().await;
    let (shared, pod, worn_out) = (shared.clone(), pod.clone(), worn_out.clone());
    let served = AtomicU32::new(0);
    let respond = move |request: &wiremock::Request| {
        if served.fetch_add(1, Ordering::Relaxed) == WORN_OUT_AFTER {
            // Doors that are being closed need no replacement.
            let _ = worn_out.send(pod.clone());
        }
        respond(&shared, &request.body)
    };
    Mock::given(wiremock::matchers::any()).respond_with(respond).mount(&server).await;
    server
}

fn respond(shared: &Shared, body: &[u8]) -> ResponseTemplate {
    match serde_json::from_slice::<Forwarded>(body) {
        Ok(call) => {
            let served = shared.with(|state| serve::serve(state, &call));
            ResponseTemplate::new(200).set_body_bytes(serde_json::to_vec(&served).unwrap_or_default())
        }
        Err(_) => ResponseTemplate::new(400),
    }
}
