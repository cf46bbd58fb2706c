//! Watching pods, with proof that the watch is alive.
//!
//! Lives here: list, watch from there, list again when the watch breaks; each sight dated by the monotonic clock.
//! Does not: what a change means for a recovery.

use super::{Kube, KubeError, PodFact};
use ::kube::api::{ListParams, WatchParams};
use ::kube::core::WatchEvent;
use futures_util::{StreamExt, TryStream, TryStreamExt};
use k8s_openapi::api::core::v1::Pod;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// The pause before a cluster that refused or broke is asked again.
const AGAIN_AFTER: Duration = Duration::from_millis(100);
/// So many sights wait to be read; a cluster that shows more meanwhile is not listened to until one of them was.
const UNREAD_AT_MOST: usize = 10_000;

/// Something that a watch saw, and when.
#[derive(Debug)]
pub struct Seen {
    /// When muster read it, which is after it happened.
    pub at: Instant,
    /// What it was.
    pub sight: Sight,
}

/// What a watch can see.
#[derive(Debug)]
pub enum Sight {
    /// All pods as they are: the first sight, and the first after [`Sight::Silent`] or [`Sight::Broken`]. What
    /// happened in between was not seen.
    Listed(Vec<PodFact>),
    /// A pod is new or has changed.
    Changed(PodFact),
    /// A pod is gone (or no longer selected); this was its last state.
    Gone(PodFact),
    /// Nothing changed, and the server said so: up to here everything was seen.
    Alive,
    /// The server said nothing for too long: what happened since is not known.
    Silent {
        /// The last sign of life.
        since: Instant,
    },
    /// The watch broke or was refused; it is opened again. What happened since the last sign of life is not known.
    Broken {
        /// The last sign of life; none if there never was one.
        since: Option<Instant>,
        /// The reason.
        why: KubeError,
    },
}

/// A running watch. Dropping it ends it.
pub struct PodWatch {
    seen: mpsc::Receiver<Seen>,
    task: JoinHandle<()>,
}

impl PodWatch {
    /// The next sight; none only if the runtime is shutting down. Cancel safe.
    pub async fn next(&mut self) -> Option<Seen> {
        self.seen.recv().await
    }
}

impl Drop for PodWatch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Kube {
    /// Watches the pods of a namespace that a label selector selects, on a task of the running tokio runtime.
    ///
    /// A server is asked to end each watch after half of `silent_after` (whole seconds, at least one), so that it
    /// shows signs of life even where it sends no bookmarks; one that says nothing for `silent_after` is reported as
    /// [`Sight::Silent`]. A value below two seconds therefore relies on bookmarks.
    pub fn watch_pods(&self, namespace: &str, selector: &str, silent_after: Duration) -> PodWatch {
        let (told, seen) = mpsc::channel(UNREAD_AT_MOST);
        let watcher = Watcher {
            kube: self.clone(),
            namespace: namespace.to_owned(),
            selector: selector.to_owned(),
            silent_after,
            told,
            alive_at: None,
        };
        PodWatch { seen, task: tokio::spawn(watcher.run()) }
    }
}

struct Watcher {
    kube: Kube,
    namespace: String,
    selector: String,
    silent_after: Duration,
    told: mpsc::Sender<Seen>,
    alive_at: Option<Instant>,
}

/// How one watch, or the line of watches after one list, came to its end.
enum End {
    /// The server ended it in good order: it goes on from the same version.
    Due,
    Silence,
    /// Its version is too old: only a list helps.
    Expired,
    Broken(KubeError),
}

impl Watcher {
    async fn run(mut self) {
        while !self.told.is_closed() {
            match self.list().await {
                Ok(version) => self.follow(version).await,
                Err(error) => self.report(End::Broken(error)).await,
            }
        }
    }

    async fn list(&mut self) -> Result<String, KubeError> {
        let selected = ListParams::default().labels(&self.selector);
        let pods = self.kube.pods_in(&self.namespace);
        let list = self.kube.listed(&self.what(), pods.list(&selected)).await?;
        self.tell(Sight::Listed(list.items.iter().map(PodFact::of).collect())).await;
        Ok(list.metadata.resource_version.unwrap_or_default())
    }

    async fn follow(&mut self, mut version: String) {
        loop {
            let opened = Instant::now();
            let end = self.watch(&mut version).await;
            // A server that ends each watch at once is not asked over and over.
            if matches!(end, End::Due | End::Expired) {
                sleep(AGAIN_AFTER.saturating_sub(opened.elapsed())).await;
            }
            match end {
                End::Due => self.tell(Sight::Alive).await,
                end => return self.report(end).await,
            }
        }
    }

    async fn watch(&mut self, version: &mut String) -> End {
        let pods = self.kube.pods_in(&self.namespace);
        let parameters = self.parameters();
        let opened = self.kube.call(&self.what(), pods.watch(&parameters, version)).await;
        match opened {
            Ok(events) => self.read(events.boxed(), version).await,
            Err(KubeError::Refused { code: 410, .. }) => End::Expired,
            Err(error) => End::Broken(error),
        }
    }

    async fn read(
        &mut self,
        mut events: impl TryStream<Ok = WatchEvent<Pod>, Error = ::kube::Error> + Unpin,
        version: &mut String,
    ) -> End {
        loop {
            match timeout(self.silent_after, events.try_next()).await {
                Err(_) => return End::Silence,
                Ok(Ok(None)) => return End::Due,
                Ok(Ok(Some(event))) => {
                    if let Some(end) = self.take(event, version).await {
                        return end;
                    }
                }
                Ok(Err(error)) => return End::Broken(KubeError::of(&self.what(), error)),
            }
        }
    }

    async fn take(&mut self, event: WatchEvent<Pod>, version: &mut String) -> Option<End> {
        let (newer, sight) = match event {
            WatchEvent::Added(pod) | WatchEvent::Modified(pod) => {
                (pod.metadata.resource_version.clone(), Sight::Changed(PodFact::of(&pod)))
            }
            WatchEvent::Deleted(pod) => {
                (pod.metadata.resource_version.clone(), Sight::Gone(PodFact::of(&pod)))
            }
            WatchEvent::Bookmark(bookmark) => (Some(bookmark.metadata.resource_version), Sight::Alive),
            WatchEvent::Error(status) if status.code == 410 => return Some(End::Expired),
            WatchEvent::Error(status) => {
                return Some(End::Broken(KubeError::of(&self.what(), ::kube::Error::Api(status))));
            }
        };
        if let Some(newer) = newer {
            *version = newer;
        }
        self.tell(sight).await;
        None
    }

    /// Tells of an end that leaves a gap; an expired version is no gap in time, for the list follows at once, but what
    /// happened before it was not seen one by one.
    async fn report(&mut self, end: End) {
        let since = self.alive_at;
        match (end, since) {
            (End::Silence, Some(since)) => self.send(Sight::Silent { since }).await,
            (End::Broken(why), since) => {
                self.send(Sight::Broken { since, why }).await;
                sleep(AGAIN_AFTER).await;
            }
            (End::Due | End::Expired | End::Silence, _) => {}
        }
    }

    /// Sends a sight that is a sign of life.
    async fn tell(&mut self, sight: Sight) {
        self.alive_at = Some(Instant::now());
        self.send(sight).await;
    }

    async fn send(&self, sight: Sight) {
        // A watch that nobody reads any more is about to be aborted.
        self.told.send(Seen { at: Instant::now(), sight }).await.ok();
    }

    fn parameters(&self) -> WatchParams {
        let seconds = u32::try_from((self.silent_after / 2).as_secs()).unwrap_or(u32::MAX).max(1);
        WatchParams::default().labels(&self.selector).timeout(seconds.min(290))
    }

    fn what(&self) -> String {
        format!("watch pods in {}", self.namespace)
    }
}
