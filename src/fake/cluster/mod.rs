//! The fake cluster: a Kubernetes API over real HTTP, whose deployments replace their pods.
//!
//! Lives here: starting and stopping it, and carrying out what is due. Does not: what happens (`controller`), how it
//! is asked (`door`, `request`) and told (`table`, `watch`). It says when pods start and end ([`PodChange`]); what a
//! pod serves is not its business.

mod controller;
mod door;
mod exec;
mod jobs;
mod kind;
mod object;
mod object_door;
mod patch;
mod pods;
mod refusal;
mod request;
mod selector;
mod settings;
mod store;
mod table;
mod watch;

pub use settings::{Budget, CronJob, Defects, Settings};

use super::pod::{Deployment, Pod, PodChange};
use controller::State;
use jiff::Timestamp;
use kind::Kind;
use pods::{Due, When};
use refusal::Refusal;
use serde_json::Value;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use store::Change;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch as channel};
use tokio::task::JoinHandle;

/// A running fake cluster. Dropping it closes its door and every connection; nothing happens in it any more.
pub struct Cluster {
    /// Where its API answers, over plain HTTP.
    pub address: SocketAddr,
    /// The UID of the namespace `kube-system`, by which a cluster is known.
    pub uid_of_kube_system: String,
    shared: Arc<Shared>,
    door: JoinHandle<()>,
}

impl Cluster {
    /// Starts a cluster inside the running tokio runtime. Each change in the life of a pod is sent through `changes`;
    /// a pod becomes Ready only after its `ready` was answered there, so do not await [`Cluster::settled`] before
    /// something receives them.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub async fn start(settings: Settings, changes: mpsc::UnboundedSender<PodChange>) -> io::Result<Cluster> {
        let listener = TcpListener::bind(settings.listen).await?;
        let address = listener.local_addr()?;
        let bookmark_every = settings.bookmark_every;
        let state = State::new(settings, changes);
        let uid = state.store.get(Kind::Namespace, "", "kube-system");
        let uid_of_kube_system =
            uid.map(|namespace| object::text(&namespace, "/metadata/uid").to_owned()).unwrap_or_default();
        let (news, _) = channel::channel(state.store.version());
        let shared = Arc::new(Shared { state: Mutex::new(state), news, bookmark_every });
        shared.change(|_| ());
        let door = tokio::spawn(door::serve(listener, shared.clone()));
        Ok(Cluster { address, uid_of_kube_system, shared, door })
    }

    /// Creates or changes a deployment. Its namespace is created if it is new; pods of a changed image or changed
    /// labels replace the older ones once they are Ready.
    pub fn apply(&self, deployment: &Deployment) {
        self.shared.change(|state| state.apply(deployment));
    }

    /// Removes a deployment; its pods end with grace. Whether it was there.
    pub fn remove(&self, namespace: &str, name: &str) -> bool {
        self.shared.change(|state| state.remove_deployment(namespace, name))
    }

    /// Creates a namespace, or leaves the one that is there as it is.
    pub fn create_namespace(&self, name: &str, labels: &[(String, String)]) {
        self.shared.change(|state| state.create_namespace(name, labels));
    }

    /// Removes a namespace with everything in it; its pods are killed. Whether it was there.
    pub fn remove_namespace(&self, name: &str) -> bool {
        self.shared.change(|state| state.remove_namespace(name).is_some())
    }

    /// Adds a line to the log of the pod with this UID, as its container would write it.
    pub fn write_log(&self, uid: &str, line: &str) {
        self.shared.change(|state| state.log(uid, line));
    }

    /// Adds a line to the log of the first pod of those meant whose container runs.
    pub(crate) fn write_log_of(&self, is_meant: impl Fn(&Pod) -> bool, line: &str) {
        self.shared.change(|state| {
            let meant = state.containers.iter().find(|(_, pod)| is_meant(pod)).map(|(uid, _)| uid.clone());
            meant.iter().for_each(|uid| state.log(uid, line));
        });
    }

    /// Changes how the cluster misbehaves from now on.
    pub fn set_defects(&self, defects: Defects) {
        self.shared.change(|state| state.set_defects(defects));
    }

    /// Its state as ordered JSON, without what differs from pod to pod: deployments (replicas, images, number of
    /// pods), namespaces (labels, annotations), budgets, leases (holder). Equal before and after a run that left
    /// nothing behind.
    pub fn dump(&self) -> Value {
        self.shared.state().dump()
    }

    /// Waits until every deployment has all its pods Ready. Cancel safe.
    pub async fn settled(&self) {
        let mut news = self.shared.news.subscribe();
        while !self.shared.state().is_settled() {
            if news.changed().await.is_err() {
                return;
            }
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.door.abort();
    }
}

/// What the door, the watches and the timers of one cluster have in common.
struct Shared {
    state: Mutex<State>,
    /// The version of the newest change.
    news: channel::Sender<u64>,
    bookmark_every: Duration,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, lets it settle, and sees to what is due because of it.
    fn change<T>(self: &Arc<Self>, change: impl FnOnce(&mut State) -> T) -> T {
        let (answer, due, version) = {
            let mut state = self.state();
            let answer = change(&mut state);
            state.settle();
            (answer, state.take_due(), state.store.version())
        };
        for due in due {
            self.see_to(due);
        }
        self.news.send_if_modified(|told| std::mem::replace(told, version.max(*told)) < version);
        answer
    }

    fn see_to(self: &Arc<Self>, Due { when, act, place, uid }: Due) {
        let cluster = Arc::downgrade(self);
        tokio::spawn(async move {
            if wait_for(when).await
                && let Some(cluster) = cluster.upgrade()
            {
                cluster.change(|state| state.carry_out(act, &place, &uid));
            }
        });
    }

    fn bookmark_every(&self) -> Duration {
        self.bookmark_every
    }

    fn is_mute(&self) -> bool {
        self.state().is_mute()
    }

    fn timestamp(&self) -> Timestamp {
        self.state().timestamp()
    }

    /// The objects of a kind and the version at which they are that.
    fn list(&self, kind: Kind, namespace: Option<&str>) -> (Vec<Arc<Value>>, u64) {
        let state = self.state();
        (state.store.list(kind, namespace), state.store.version())
    }

    /// The changes after a version and the version that they lead to.
    fn since(&self, version: u64) -> Result<(Vec<Change>, u64), Refusal> {
        let state = self.state();
        let changes = state.store.since(version).map(|changes| changes.cloned().collect());
        let oldest = state.store.oldest();
        changes
            .map(|changes| (changes, state.store.version()))
            .ok_or_else(|| Refusal::expired(version, oldest))
    }
}

/// Waits for the moment; false if it will never come.
async fn wait_for(when: When) -> bool {
    match when {
        When::After(wait) => {
            tokio::time::sleep(wait).await;
            true
        }
        When::Answered(answer) => answer.await.is_ok(),
    }
}
