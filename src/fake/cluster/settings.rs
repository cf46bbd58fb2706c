//! What a fake cluster is started with, and the ways in which it can be told to misbehave.
//!
//! Lives here: data. Does not: what is done with it (`controller`).

use crate::fake::pod::Deployment;
use jiff::Timestamp;
use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;

/// What a fake cluster is started with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Every random choice (names, UIDs, start times) comes from this number; equal seeds give equal pods.
    pub seed: u64,
    /// Multiplies the times that pods take to start and to end; 1 is as slow as the real world.
    pub pace: f64,
    /// Where the API listens; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// The wall clock at the start; it only dates objects and goes on with the monotonic clock.
    pub started_at: Timestamp,
    /// Namespaces beside those of the deployments, with their labels.
    pub namespaces: Vec<(String, Vec<(String, String)>)>,
    /// What runs from the start; these first pods start without delay.
    pub deployments: Vec<Deployment>,
    /// What runs by the clock.
    pub cron_jobs: Vec<CronJob>,
    /// Disruption budgets that evictions must respect.
    pub budgets: Vec<Budget>,
    /// Objects that are there from the start and do nothing: secrets, ingresses, certificates. What each must have
    /// (UID, date) is added.
    pub objects: Vec<Value>,
    /// How long a container takes to start: least and most, in seconds of the real world.
    pub start_seconds: (f64, f64),
    /// How long a pod takes to go when it is deleted with grace: least and most, in seconds of the real world.
    pub end_seconds: (f64, f64),
    /// The beat of bookmarks on watches that ask for them; not scaled by `pace`.
    pub bookmark_every: Duration,
    /// How the cluster misbehaves from the start.
    pub defects: Defects,
}

impl Settings {
    /// An orderly cluster on a free local port: the namespaces `default`, `micro` (both labelled `owner=micro`) and
    /// `kube-system`, no pods, the pace of the real world.
    pub fn new(seed: u64, started_at: Timestamp) -> Settings {
        let owned = vec![("owner".to_owned(), "micro".to_owned())];
        Settings {
            seed,
            pace: 1.0,
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            started_at,
            namespaces: vec![
                ("default".to_owned(), owned.clone()),
                ("micro".to_owned(), owned),
                ("kube-system".to_owned(), Vec::new()),
            ],
            deployments: Vec::new(),
            cron_jobs: Vec::new(),
            budgets: Vec::new(),
            objects: Vec::new(),
            start_seconds: (1.0, 8.0),
            end_seconds: (0.5, 2.0),
            bookmark_every: Duration::from_secs(1),
            defects: Defects::default(),
        }
    }
}

/// A job that runs by the clock; the fakes have no pods for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CronJob {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The image of its one container.
    pub image: String,
    /// It runs with each hour of the day (UTC) that is a multiple of this; at least 1.
    pub every_hours: u32,
    /// Whether it no longer runs.
    pub is_suspended: bool,
    /// Whether it runs and no longer succeeds.
    pub fails: bool,
}

/// How many of some pods must stay healthy when pods are evicted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// The namespace of the budget and its pods.
    pub namespace: String,
    /// The budget's name.
    pub name: String,
    /// Labels that a pod must have, all of them, to be covered.
    pub labels: Vec<(String, String)>,
    /// How many covered pods must stay Ready.
    pub min_available: u32,
}

/// Named misbehaviour. Services are named as in `Deployment::service`; the pods of [`Settings::deployments`] always
/// become Ready, so that there is a steady state to be broken: later pods, replacements above all, are what suffers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Defects {
    /// Later pods of these services run but never become Ready.
    pub never_ready: Vec<String>,
    /// Later pods of these services become Ready, and a moment later they are not any more.
    pub ready_for_a_moment: Vec<String>,
    /// Pods of these services are not replaced once they are deleted.
    pub never_replaced: Vec<String>,
    /// Later pods of these services are called Ready before they serve.
    pub ready_too_early: Vec<String>,
    /// Later pods of these services take this long to start, in seconds of the real world.
    pub slow_start_seconds: Vec<(String, f64)>,
    /// Watches stay open and say nothing: no event, no bookmark, no end.
    pub silent_watches: bool,
    /// The last node is not heard of any more, from the start.
    pub node_not_ready: bool,
    /// Deployments end their older pods before the new ones are Ready.
    pub ends_pods_first: bool,
    /// Deployments say for ever that they have not seen what was changed of them.
    pub never_done: bool,
    /// Evictions are refused as if a disruption budget forbade them, and none does.
    pub refuses_evictions: bool,
    /// Whoever asks may not evict pods.
    pub denies_evictions: bool,
}
