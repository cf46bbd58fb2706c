//! Starting and stopping the fakes.
//!
//! Lives here: the thread and the runtime in which all doors live. Does not: what they answer.

use super::bucket::{self, Bucket};
use super::cluster::Cluster;
use super::clustered::{self, Wanted};
use super::defect::{Defect, Defects};
use super::door::admin::{self, Backstage};
use super::door::elsewhere::Hall;
use super::door::gate::Gate;
use super::door::{Outer, Shared, elsewhere, listen, pods};
use super::local;
use super::platform::{State, profile};
use super::pod::{Order, PodChange};
use super::post;
use super::target::{self, Places};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// How long all pods may take to start before the fake is said to have failed.
const START_WITHIN: Duration = Duration::from_secs(60);

/// In which state the platform begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// As the runbook leaves it: free tier, its rules, its services, one operator.
    Runbook,
    /// As a local server is when it has just become ready.
    Fresh,
}

/// Fixed addresses; port 0 stands for any free one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// The HTTP gateway.
    pub api: SocketAddr,
    /// The gRPC proxy.
    pub proxy: SocketAddr,
    /// The Kubernetes API.
    pub kubernetes: SocketAddr,
    /// The admin door.
    pub admin: SocketAddr,
    /// If given, the platform's own pods are other processes (see [`super::serve_alone`]), which come to this address;
    /// there is no Kubernetes API then.
    pub pods: Option<SocketAddr>,
    /// If given, the platform's mails are sent by SMTP to this server.
    pub mail_to: Option<SocketAddr>,
}

impl Default for Addresses {
    fn default() -> Self {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self { api: any, proxy: any, kubernetes: any, admin: any, pods: None, mail_to: None }
    }
}

/// How a fake shall be.
#[derive(Debug, Clone)]
pub struct Options {
    /// All chance comes from it.
    pub seed: u64,
    /// What unseen timers are multiplied by; 1 is as slow as the real platform.
    pub pace: f64,
    /// The names of the defects that are on.
    pub defects: Vec<String>,
    /// In which state it begins.
    pub profile: Profile,
    /// What its clock shows at the start.
    pub now: jiff::Timestamp,
    /// The file that the target text names for the secrets; it is not written here.
    pub secrets_file: PathBuf,
    /// Where its doors are.
    pub addresses: Addresses,
    /// The operator's secret; drawn if absent.
    pub operator_secret: Option<String>,
}

/// Why a fake did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A door's address could not be had.
    #[error("cannot open a door of the fake platform: {0}")]
    Door(std::io::Error),
    /// A defect that nobody knows.
    #[error("no defect is called `{0}`")]
    UnknownDefect(String),
    /// Its pods did not start.
    #[error("the fake platform's pods did not start within {} s", START_WITHIN.as_secs())]
    Pods,
    /// Its thread ended early.
    #[error("the fake platform ended before it was ready")]
    Ended,
}

/// A running fake. It ends when it is stopped or dropped.
#[derive(Debug)]
pub struct Fake {
    /// The text of the target file that describes it.
    pub target: String,
    /// Lines `KEY=value` for the secrets file that the target file names.
    pub secrets: String,
    /// Where its doors are.
    pub addresses: Addresses,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Fake {
    /// Ends it and waits until its doors are closed.
    pub fn stop(self) {}
}

impl Drop for Fake {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // Its thread may have ended on its own.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            // A panic in there has been shown already.
            let _ = thread.join();
        }
    }
}

/// What the fake's thread tells whoever started it.
struct Ready {
    target: String,
    secrets: String,
    addresses: Addresses,
}

/// Starts a fake and returns when all its doors listen and all its pods run. Blocks; not for async code.
///
/// # Errors
/// An address that is taken, a defect that nobody knows, pods that do not start.
pub fn start(options: Options) -> Result<Fake, StartError> {
    let defects = Defects::named(&options.defects).map_err(StartError::UnknownDefect)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("fake")
        .enable_all()
        .build()
        .map_err(StartError::Door)?;
    let (stop, stopped) = oneshot::channel();
    let (tell, told) = std::sync::mpsc::channel();
    let thread = std::thread::Builder::new()
        .name("fake-platform".to_owned())
        .spawn(move || {
            runtime.block_on(live(&options, defects, &tell, stopped));
            runtime.shutdown_timeout(Duration::from_secs(1));
        })
        .map_err(StartError::Door)?;
    let Ready { target, secrets, addresses } = told.recv().map_err(|_| StartError::Ended)??;
    Ok(Fake { target, secrets, addresses, stop: Some(stop), thread: Some(thread) })
}

async fn live(
    options: &Options,
    defects: Defects,
    tell: &std::sync::mpsc::Sender<Result<Ready, StartError>>,
    stopped: oneshot::Receiver<()>,
) {
    let outcome = open(options, defects).await;
    let is_open = outcome.is_ok();
    // Whoever started it may have gone; then there is nothing to live for.
    if tell.send(outcome).is_ok() && is_open {
        let _ = stopped.await;
    }
}

async fn open(options: &Options, defects: Defects) -> Result<Ready, StartError> {
    let (orders, to_do) = mpsc::unbounded_channel();
    let state = State::new(options.seed, options.pace, defects.clone(), options.now);
    let post = options.addresses.mail_to.map(|to| {
        let (post, mails) = mpsc::unbounded_channel();
        tokio::spawn(post::run(to, mails));
        post
    });
    let shared = Shared::new(state, orders, post);
    let secrets = shared.with(|state| match options.profile {
        Profile::Runbook => {
            let secret = profile::after_runbook(state, options.operator_secret.clone());
            format!("MUSTER_OPERATOR={secret}\n")
        }
        Profile::Fresh => {
            profile::fresh(state);
            String::new()
        }
    });
    let bucket_secret = shared.with(State::uuid);
    let secrets = format!("{secrets}MUSTER_BACKUPS={bucket_secret}\n");
    let mut gates = gates(options, &shared)?;
    let bucket_door = listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).map_err(StartError::Door)?;
    let bucket_at = bucket_door.local_addr().map_err(StartError::Door)?;
    let clock = shared.clone();
    let now = move || clock.with(|state| (state.clock.now_s(), state.defects.clone()));
    tokio::spawn(bucket::run(bucket_door, Bucket { secret: bucket_secret, now: Box::new(now) }));
    let admin_door = listen(options.addresses.admin).map_err(StartError::Door)?;
    let mut addresses = Addresses {
        api: gates["api"].address,
        proxy: gates["proxy"].address,
        kubernetes: options.addresses.kubernetes,
        admin: admin_door.local_addr().map_err(StartError::Door)?,
        pods: None,
        mail_to: options.addresses.mail_to,
    };
    let hall = options.addresses.pods.map(|_| Hall::new(shared.clone()));
    if let Some((address, hall)) = options.addresses.pods.zip(hall.clone()) {
        let door = listen(address).map_err(StartError::Door)?;
        addresses.pods = Some(door.local_addr().map_err(StartError::Door)?);
        tokio::spawn(elsewhere::run(door, hall));
        for gate in gates.values_mut() {
            gate.open().await;
        }
    }
    let (changed, changes) = mpsc::unbounded_channel();
    tokio::spawn(pods::run(shared.clone(), gates, changes));
    let cluster = host(options, defects, to_do, changed, hall).await?;
    if let Some(cluster) = &cluster {
        addresses.kubernetes = cluster.address;
    }
    let target = text(options, &addresses, bucket_at, cluster.as_deref());
    if options.addresses.pods.is_none() {
        let all_up = all_up(&shared, options.profile, cluster.as_deref());
        tokio::time::timeout(START_WITHIN, all_up).await.map_err(|_| StartError::Pods)?;
    }
    shared.with(profile::read_rules);
    tokio::spawn(admin::run(admin_door, Backstage { shared, cluster, target: target.clone() }));
    Ok(Ready { target, secrets, addresses })
}

/// Whatever carries out the platform's orders: a cluster, or its stand-in.
async fn host(
    options: &Options,
    defects: Defects,
    mut orders: mpsc::UnboundedReceiver<Order>,
    changes: mpsc::UnboundedSender<PodChange>,
    hall: Option<Arc<Hall>>,
) -> Result<Option<Arc<Cluster>>, StartError> {
    if hall.is_some() {
        // The orders given so far are those pods that are other processes.
        while orders.try_recv().is_ok() {}
    }
    if options.profile == Profile::Fresh || hall.is_some() {
        let write = move |namespace: &str, service: &str, line: &str| {
            hall.iter().for_each(|hall| hall.write(namespace, service, line));
        };
        tokio::spawn(local::run(orders, changes, write));
        return Ok(None);
    }
    let Options { seed, pace, now, .. } = *options;
    let wanted = Wanted { seed, pace, now, listen: options.addresses.kubernetes, defects };
    clustered::start(wanted, orders, changes).await.map(Some).map_err(StartError::Door)
}

fn gates(options: &Options, shared: &Arc<Shared>) -> Result<BTreeMap<&'static str, Gate>, StartError> {
    let api = Gate::new(Outer::Gateway, options.addresses.api, shared.clone()).map_err(StartError::Door)?;
    let proxy = Gate::new(Outer::Proxy, options.addresses.proxy, shared.clone()).map_err(StartError::Door)?;
    Ok(BTreeMap::from([("api", api), ("proxy", proxy)]))
}

fn text(options: &Options, addresses: &Addresses, bucket: SocketAddr, cluster: Option<&Cluster>) -> String {
    target::text(&Places {
        api: addresses.api,
        proxy: addresses.proxy,
        kubernetes: cluster.map(|cluster| (cluster.address, cluster.uid_of_kube_system.as_str())),
        bucket,
        admin: addresses.admin,
        pace: options.pace,
        secrets_file: &options.secrets_file.to_string_lossy(),
    })
}

/// Waits until every pod of the profile runs, and the cluster calls it Ready.
async fn all_up(shared: &Shared, profile: Profile, cluster: Option<&Cluster>) {
    let wanted = match profile {
        Profile::Runbook => profile::CORE.len() + profile::RUN_LIST.len(),
        Profile::Fresh => profile::CORE.len(),
    };
    let is_missing = |defect: &Defect| shared.with(|state| state.has(*defect));
    let missing = [Defect::CoreDeploymentMissing, Defect::RunListServiceMissing]
        .iter()
        .filter(|it| is_missing(it))
        .count();
    let wanted = wanted - missing;
    while shared.with(|state| state.nodes.pods().count()) < wanted {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    if let Some(cluster) = cluster {
        cluster.settled().await;
    }
}
