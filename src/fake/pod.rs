//! What the fake cluster tells the fake platform of its pods, and what the platform asks of the cluster.
//!
//! Lives here: the messages between the two. Does not: how pods are scheduled (`cluster`), nor what they answer
//! (`platform`, `door`).

use tokio::sync::oneshot;

/// A pod whose container runs: one replica of one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pod {
    /// The pod's Kubernetes namespace: `default` for the core, `micro` for the services of the run list.
    pub(crate) namespace: String,
    /// The pod's name, unique within its namespace.
    pub(crate) name: String,
    /// The pod's Kubernetes UID, never used twice.
    pub(crate) uid: String,
    /// The platform service that it serves, such as `store`.
    pub(crate) service: String,
}

/// One change in the life of a pod, in the order in which they happen.
#[derive(Debug)]
pub(crate) enum PodChange {
    /// Its container starts. The platform opens its door, registers the node, and answers `ready` once connections
    /// are accepted; only then may the cluster call the pod Ready.
    Started { pod: Pod, ready: oneshot::Sender<()> },
    /// Its container has ended. `graceful`: it was given the time to deregister (SIGTERM); otherwise its node stays
    /// in the registry as a ghost until its time to live has passed.
    Ended { pod: Pod, graceful: bool },
}

/// What the platform's runtime asks of the cluster when a service is run, updated or deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Deployment {
    /// The Kubernetes namespace of the Deployment and its pods.
    pub(crate) namespace: String,
    /// The Deployment's name, such as `micro-store` (core) or `posts-latest` (run list).
    pub(crate) name: String,
    /// The platform service that its pods serve.
    pub(crate) service: String,
    /// Labels of the pods; they are the Deployment's selector as well.
    pub(crate) labels: Vec<(String, String)>,
    /// How many pods there shall be.
    pub(crate) replicas: u32,
    /// The container's image.
    pub(crate) image: String,
}

/// What the platform's runtime wants of the cluster, in the order in which it wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Order {
    /// Make this Deployment, or replace the pods of the one with this namespace and name.
    Apply(Deployment),
    /// Remove the Deployment and its pods.
    Remove {
        /// The Kubernetes namespace.
        namespace: String,
        /// The Deployment's name.
        name: String,
    },
    /// Make a Kubernetes namespace, if it is not there.
    MakeNamespace(String),
    /// Remove a Kubernetes namespace and all that is in it.
    RemoveNamespace(String),
}
