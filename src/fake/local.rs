//! The stand-in for a cluster: services run as if they were processes of one server, without pods to be seen.
//!
//! Lives here: carrying out orders at once. Does not: a Kubernetes API (`cluster`), doors (`door::pods`).

use super::pod::{Deployment, Order, Pod, PodChange};
use std::collections::BTreeMap;
use tokio::sync::{mpsc, oneshot};

/// Which pods there are, by namespace and name of their Deployment.
#[derive(Debug, Default)]
struct Processes {
    pods: BTreeMap<(String, String), Vec<Pod>>,
    started: u64,
}

/// Carries out orders until nobody gives any. The order of changes is the order of the orders. A line for a log is given
/// to `write`, with the platform's namespace and the service.
pub(crate) async fn run(
    mut orders: mpsc::UnboundedReceiver<Order>,
    changes: mpsc::UnboundedSender<PodChange>,
    write: impl Fn(&str, &str, &str),
) {
    let mut processes = Processes::default();
    while let Some(order) = orders.recv().await {
        if let Order::Write { namespace, service, line } = &order {
            write(namespace, service, line);
        }
        for change in processes.carry_out(order) {
            if changes.send(change).is_err() {
                return;
            }
        }
    }
}

impl Processes {
    fn carry_out(&mut self, order: Order) -> Vec<PodChange> {
        match order {
            Order::Apply(deployment) => {
                let mut changes = self.end(&deployment.namespace, &deployment.name);
                changes.extend(self.start(&deployment));
                changes
            }
            Order::Remove { namespace, name } => self.end(&namespace, &name),
            Order::MakeNamespace(_) | Order::Misbehave(_) | Order::Write { .. } => Vec::new(),
            Order::RemoveNamespace(namespace) => {
                let names: Vec<String> = self
                    .pods
                    .keys()
                    .filter(|(owner, _)| *owner == namespace)
                    .map(|(_, name)| name.clone())
                    .collect();
                names.iter().flat_map(|name| self.end(&namespace, name)).collect()
            }
        }
    }

    fn start(&mut self, deployment: &Deployment) -> Vec<PodChange> {
        let pods: Vec<Pod> = (0..deployment.replicas).map(|_| self.pod(deployment)).collect();
        self.pods.insert((deployment.namespace.clone(), deployment.name.clone()), pods.clone());
        pods.into_iter().map(|pod| PodChange::Started { pod, ready: oneshot::channel().0 }).collect()
    }

    fn pod(&mut self, deployment: &Deployment) -> Pod {
        self.started += 1;
        Pod {
            namespace: deployment.namespace.clone(),
            name: format!("{}-{}", deployment.name, self.started),
            uid: format!("process-{}", self.started),
            service: deployment.service.clone(),
        }
    }

    fn end(&mut self, namespace: &str, name: &str) -> Vec<PodChange> {
        let ended = self.pods.remove(&(namespace.to_owned(), name.to_owned())).unwrap_or_default();
        ended.into_iter().map(|pod| PodChange::Ended { pod, graceful: true }).collect()
    }
}
