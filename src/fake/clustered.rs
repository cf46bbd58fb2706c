//! Platform and cluster joined: what the platform orders, the fake cluster does.
//!
//! Lives here: passing orders and defects on. Does not: what the cluster makes of them (`cluster`), nor how pods serve
//! (`door::pods`).

use super::cluster::{Cluster, Defects as Misbehaviour, Settings};
use super::defect::{Defect, Defects};
use super::infrastructure;
use super::platform::nodes::namespace_of;
use super::pod::{Deployment, Order, Pod, PodChange};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::mpsc;

/// How long a container takes to start: least and most, before `pace`; on a real cluster of one node pods served again
/// 0.2 to 0.8 s after they were killed. The two dozen pods of the runbook are killed one after the other, so this is much
/// of the time of a run.
const START_SECONDS: (f64, f64) = (0.2, 0.8);

/// With the defect, what a Deployment runs that an update has passed over.
const OLD_IMAGE: &str = "ghcr.io/m3o/platform:v3.0.0";

/// How the cluster shall be.
pub(crate) struct Wanted {
    /// All chance comes from it.
    pub(crate) seed: u64,
    /// What its timers are multiplied by.
    pub(crate) pace: f64,
    /// What its clock shows at the start.
    pub(crate) now: jiff::Timestamp,
    /// Where its API listens.
    pub(crate) listen: SocketAddr,
    /// What it does wrong from the start.
    pub(crate) defects: Defects,
}

/// Starts a cluster in which everything runs that has been ordered so far, and has it carry out later orders.
pub(crate) async fn start(
    wanted: Wanted,
    mut orders: mpsc::UnboundedReceiver<Order>,
    changes: mpsc::UnboundedSender<PodChange>,
) -> std::io::Result<Arc<Cluster>> {
    let mut settings = Settings::new(wanted.seed, wanted.now);
    settings.pace = wanted.pace;
    settings.listen = wanted.listen;
    settings.start_seconds = START_SECONDS;
    while let Ok(order) = orders.try_recv() {
        let is_missing = |deployment: &Deployment| {
            deployment.service == "debug" && wanted.defects.has(Defect::CoreDeploymentMissing)
        };
        if let Order::Apply(deployment) = order
            && !is_missing(&deployment)
        {
            settings.deployments.push(deployment);
        }
    }
    if wanted.defects.has(Defect::OldImage)
        && let Some(first) = settings.deployments.first_mut()
    {
        first.image = OLD_IMAGE.into();
    }
    settings.objects = infrastructure::objects(&wanted.defects, wanted.now);
    settings.defects = misbehaviour(&wanted.defects, &settings.deployments);
    if wanted.defects.has(Defect::NamespaceLabelMissing) {
        settings.namespaces.iter_mut().for_each(|(_, labels)| labels.clear());
    }
    settings.cron_jobs = infrastructure::cron_jobs(&wanted.defects);
    let first = settings.deployments.clone();
    let cluster = Arc::new(Cluster::start(settings, changes).await?);
    tokio::spawn(carry_out(cluster.clone(), first, orders));
    Ok(cluster)
}

async fn carry_out(
    cluster: Arc<Cluster>,
    first: Vec<Deployment>,
    mut orders: mpsc::UnboundedReceiver<Order>,
) {
    while let Some(order) = orders.recv().await {
        match order {
            Order::Apply(deployment) => cluster.apply(&deployment),
            Order::Remove { namespace, name } => {
                cluster.remove(&namespace, &name);
            }
            Order::MakeNamespace(name) => cluster.create_namespace(&name, &[]),
            Order::RemoveNamespace(name) => {
                cluster.remove_namespace(&name);
            }
            Order::Write { namespace, service, line } => {
                let is_of = |pod: &Pod| pod.service == service && namespace_of(pod) == namespace;
                cluster.write_log_of(is_of, &line);
            }
            Order::Misbehave(defects) => cluster.set_defects(misbehaviour(&defects, &first)),
        }
    }
}

/// The cluster's own part of the defects; it concerns the pods of the beginning, once they are replaced.
fn misbehaviour(defects: &Defects, first: &[Deployment]) -> Misbehaviour {
    let all = |defect| {
        let concerned = first.iter().filter(|_| defects.has(defect));
        concerned.map(|deployment| deployment.service.clone()).collect()
    };
    Misbehaviour {
        never_replaced: all(Defect::PodNeverReplaced),
        ready_for_a_moment: all(Defect::PodReadyForAMoment),
        node_not_ready: defects.has(Defect::NodeNotReady),
        silent_watches: defects.has(Defect::WatchSilent),
        refuses_evictions: defects.has(Defect::EvictionRefused),
        denies_evictions: defects.has(Defect::EvictionDenied),
        ends_pods_first: defects.has(Defect::PodsEndFirst),
        never_done: defects.has(Defect::RolloutNeverDone),
        ..Misbehaviour::default()
    }
}
