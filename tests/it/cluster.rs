//! The fake cluster over real HTTP: asked by the `kube` crate.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on panics")]

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use k8s_openapi::api::policy::v1::Eviction;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions, WatchParams};
use kube::core::WatchEvent;
use kube::{Client, Config, ResourceExt};
use muster::fake::cluster::{Budget, Cluster, Defects, Settings};
use muster::fake::pod::{Deployment, PodChange};
use serde_json::{Value, json};
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;

/// Hang guard: a hundred times what these tests take.
const GUARD: Duration = Duration::from_secs(60);

/// A cluster at one hundredth of the real world's time, whose pods are served by a platform that always answers.
pub(crate) struct Stage {
    pub(crate) cluster: Cluster,
    lives: Arc<Mutex<Vec<String>>>,
}

impl Stage {
    pub(crate) async fn set() -> Stage {
        Stage::with(|_| ()).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Settings)) -> Stage {
        let mut settings = Settings::new(7, "2020-11-20T10:00:00Z".parse().unwrap());
        settings.pace = 0.01;
        settings.bookmark_every = Duration::from_millis(100);
        settings.deployments = ["store", "auth", "api"].map(core).into();
        change(&mut settings);
        let (changes, received) = mpsc::unbounded_channel();
        let lives = Arc::new(Mutex::new(Vec::new()));
        tokio::spawn(serve(received, lives.clone()));
        let cluster = Cluster::start(settings, changes).await.unwrap();
        guarded(cluster.settled()).await;
        Stage { cluster, lives }
    }

    fn client(&self) -> Client {
        let mut config = Config::new(format!("http://{}", self.cluster.address).parse().unwrap());
        config.default_retry = false;
        Client::try_from(config).unwrap()
    }

    fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client(), "default")
    }

    pub(crate) async fn pod_of(&self, service: &str) -> Pod {
        let selector = ListParams::default().labels(&format!("name=micro-{service}"));
        guarded(self.pods().list(&selector)).await.unwrap().items.remove(0)
    }

    fn lives(&self) -> Vec<String> {
        self.lives.lock().unwrap().clone()
    }
}

async fn serve(mut changes: mpsc::UnboundedReceiver<PodChange>, lives: Arc<Mutex<Vec<String>>>) {
    while let Some(change) = changes.recv().await {
        match change {
            PodChange::Started { pod, ready } => {
                lives.lock().unwrap().push(format!("start {}", pod.service));
                ready.send(()).ok();
            }
            PodChange::Ended { pod, graceful } => {
                lives.lock().unwrap().push(format!("end {} graceful={graceful}", pod.service));
            }
        }
    }
}

fn core(service: &str) -> Deployment {
    Deployment {
        namespace: "default".into(),
        name: format!("micro-{service}"),
        service: service.into(),
        labels: vec![("name".into(), format!("micro-{service}")), ("micro".into(), "runtime".into())],
        replicas: 1,
        image: "ghcr.io/m3o/platform:test".into(),
    }
}

pub(crate) async fn guarded<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(GUARD, work).await.expect("the hang guard: this takes a hundredth of its limit")
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.into_iter().flatten().any(|c| c.type_ == "Ready" && c.status == "True")
}

#[track_caller]
fn refusal<T: Debug>(answer: kube::Result<T>) -> (u16, String, String) {
    match answer {
        Err(kube::Error::Api(status)) => (status.code, status.reason, status.message),
        other => panic!("not a refusal: {other:?}"),
    }
}

#[tokio::test]
async fn a_list_shows_the_pods_that_the_labels_select() {
    let stage = Stage::set().await;
    let all = guarded(stage.pods().list(&ListParams::default().labels("micro=runtime"))).await.unwrap();
    assert_eq!(all.items.len(), 3);
    assert!(all.items.iter().all(is_ready));
    let some = ListParams::default().labels("name in (micro-store, micro-auth),!owner");
    assert_eq!(guarded(stage.pods().list(&some)).await.unwrap().items.len(), 2);
    let one = ListParams::default().fields(&format!("metadata.name={}", all.items[0].name_any()));
    assert_eq!(guarded(stage.pods().list(&one)).await.unwrap().items.len(), 1);
}

#[tokio::test]
async fn a_watch_sees_a_pod_go_and_its_replacement_become_ready() {
    let stage = Stage::set().await;
    let old = stage.pod_of("store").await;
    let version = guarded(stage.pods().list(&ListParams::default())).await.unwrap().metadata.resource_version;
    guarded(stage.pods().delete(&old.name_any(), &DeleteParams::default())).await.unwrap();
    let seen = guarded(watch_until(
        &stage.pods(),
        &version.unwrap(),
        |seen| {
            seen.iter().any(|line| line.starts_with("DELETED old"))
                && seen.iter().any(|line| line == "MODIFIED new Running ready")
        },
        &old,
    ))
    .await;
    let at =
        |what: &str| seen.iter().position(|line| line == what).unwrap_or_else(|| panic!("{what}: {seen:?}"));
    assert!(at("MODIFIED old Running ready leaving") < at("ADDED new Pending"));
    assert!(at("ADDED new Pending") < at("MODIFIED new Running"));
    assert!(at("MODIFIED new Running") < at("MODIFIED new Running ready"));
    guarded(stage.cluster.settled()).await;
    assert!(stage.lives().ends_with(&["end store graceful=true", "start store"].map(str::to_owned)));
}

async fn watch_until(
    pods: &Api<Pod>,
    version: &str,
    is_enough: impl Fn(&[String]) -> bool,
    old: &Pod,
) -> Vec<String> {
    use futures_util::{StreamExt, TryStreamExt};
    let params = WatchParams::default().labels("name=micro-store").timeout(30);
    let mut events = pods.watch(&params, version).await.unwrap().boxed();
    let mut seen = Vec::new();
    while !is_enough(&seen) {
        match events.try_next().await.unwrap() {
            Some(WatchEvent::Added(pod)) => seen.push(told("ADDED", &pod, old)),
            Some(WatchEvent::Modified(pod)) => seen.push(told("MODIFIED", &pod, old)),
            Some(WatchEvent::Deleted(pod)) => seen.push(told("DELETED", &pod, old)),
            Some(WatchEvent::Bookmark(_)) => {}
            other => panic!("unexpected: {other:?} after {seen:?}"),
        }
    }
    seen
}

fn told(event: &str, pod: &Pod, old: &Pod) -> String {
    let who = if pod.uid() == old.uid() { "old" } else { "new" };
    let phase = pod.status.as_ref().and_then(|status| status.phase.clone()).unwrap_or_default();
    let ready = if is_ready(pod) { " ready" } else { "" };
    let leaving = if pod.metadata.deletion_timestamp.is_some() { " leaving" } else { "" };
    format!("{event} {who} {phase}{ready}{leaving}")
}

#[tokio::test]
async fn a_watch_from_a_forgotten_version_is_told_that_it_is_too_old() {
    use futures_util::{StreamExt, TryStreamExt};
    let stage = Stage::set().await;
    let pods = stage.pods();
    let mut events = guarded(pods.watch(&WatchParams::default(), "5")).await.unwrap().boxed();
    match guarded(events.try_next()).await.unwrap() {
        Some(WatchEvent::Error(status)) => {
            assert_eq!((status.code, status.reason.as_str()), (410, "Expired"));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_deletion_that_means_another_uid_is_a_conflict() {
    let stage = Stage::set().await;
    let pod = stage.pod_of("auth").await;
    let other = Preconditions { uid: Some("not-this-one".into()), resource_version: None };
    let params = DeleteParams { preconditions: Some(other), ..DeleteParams::default() };
    let (code, reason, message) = refusal(guarded(stage.pods().delete(&pod.name_any(), &params)).await);
    assert_eq!((code, reason.as_str()), (409, "Conflict"));
    assert!(message.contains("UID in the precondition (not-this-one)"), "{message}");
    assert_eq!(stage.pod_of("auth").await.uid(), pod.uid());
}

#[tokio::test]
async fn a_pod_killed_without_grace_is_gone_at_once_and_says_so_to_the_platform() {
    let stage = Stage::set().await;
    let pod = stage.pod_of("api").await;
    let params = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
    guarded(stage.pods().delete(&pod.name_any(), &params)).await.unwrap();
    let (code, reason, _) = refusal(guarded(stage.pods().get(&pod.name_any())).await);
    assert_eq!((code, reason.as_str()), (404, "NotFound"));
    assert!(stage.lives().contains(&"end api graceful=false".to_owned()), "{:?}", stage.lives());
    guarded(stage.cluster.settled()).await;
    assert_ne!(stage.pod_of("api").await.uid(), pod.uid());
}

#[tokio::test]
async fn an_eviction_goes_through_unless_a_budget_refuses_it() {
    let budget = Budget {
        namespace: "default".into(),
        name: "store".into(),
        labels: vec![("name".into(), "micro-store".into())],
        min_available: 1,
    };
    let stage = Stage::with(|settings| settings.budgets = vec![budget]).await;
    let (code, reason, message) = refusal(evict(&stage, "store").await);
    assert_eq!((code, reason.as_str()), (429, "TooManyRequests"));
    assert!(message.contains("disruption budget"), "{message}");
    let old = stage.pod_of("auth").await;
    evict(&stage, "auth").await.unwrap();
    guarded(stage.cluster.settled()).await;
    assert!(stage.lives().contains(&"end auth graceful=true".to_owned()), "{:?}", stage.lives());
    guarded(until_gone(&stage, &old.name_any())).await;
}

async fn until_gone(stage: &Stage, name: &str) {
    while stage.pods().get_opt(name).await.unwrap().is_some() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn evict(stage: &Stage, service: &str) -> kube::Result<Value> {
    let name = stage.pod_of(service).await.name_any();
    let eviction = Eviction {
        metadata: kube::api::ObjectMeta { name: Some(name.clone()), ..Default::default() },
        delete_options: None,
    };
    guarded(stage.pods().create_subresource("eviction", &name, &PostParams::default(), &eviction)).await
}

#[tokio::test]
async fn a_lease_can_be_taken_by_one_only() {
    let stage = Stage::set().await;
    let leases: Api<Lease> = Api::namespaced(stage.client(), "default");
    let lease: Lease = serde_json::from_value(json!({
        "metadata": { "name": "muster" }, "spec": { "holderIdentity": "one", "leaseDurationSeconds": 15 },
    }))
    .unwrap();
    let made = guarded(leases.create(&PostParams::default(), &lease)).await.unwrap();
    let (code, reason, _) = refusal(guarded(leases.create(&PostParams::default(), &lease)).await);
    assert_eq!((code, reason.as_str()), (409, "AlreadyExists"));
    let mut mine = made.clone();
    mine.spec.as_mut().unwrap().holder_identity = Some("two".into());
    guarded(leases.replace("muster", &PostParams::default(), &mine)).await.unwrap();
    let (code, reason, _) = refusal(guarded(leases.replace("muster", &PostParams::default(), &made)).await);
    assert_eq!((code, reason.as_str()), (409, "Conflict"));
    assert_eq!(stage.cluster.dump()["leases"]["default/muster"], "two");
    guarded(leases.delete("muster", &DeleteParams::default())).await.unwrap();
    assert_eq!(stage.cluster.dump()["leases"], json!({}));
}

#[tokio::test]
async fn labels_and_annotations_of_a_namespace_can_be_patched() {
    let stage = Stage::set().await;
    let namespaces: Api<Namespace> = Api::all(stage.client());
    let patch = json!({ "metadata": { "labels": { "owner": null, "seen": "yes" }, "annotations": { "freeze": "on" } } });
    guarded(namespaces.patch("micro", &PatchParams::default(), &Patch::Merge(patch))).await.unwrap();
    let micro = guarded(namespaces.get("micro")).await.unwrap();
    assert_eq!(micro.labels().get("owner"), None);
    assert_eq!(micro.labels()["seen"], "yes");
    assert_eq!(micro.annotations()["freeze"], "on");
    let system = guarded(namespaces.get("kube-system")).await.unwrap();
    assert_eq!(system.uid(), Some(stage.cluster.uid_of_kube_system.clone()));
}

#[tokio::test]
async fn the_state_after_a_replacement_is_the_state_before() {
    let stage = Stage::set().await;
    let before = stage.cluster.dump();
    let old = stage.pod_of("store").await;
    guarded(stage.pods().delete(&old.name_any(), &DeleteParams::default())).await.unwrap();
    guarded(stage.cluster.settled()).await;
    assert_eq!(stage.cluster.dump(), before);
    assert_eq!(before["deployments"]["default/micro-store"]["pods"], 1);
}

#[tokio::test]
async fn a_changed_image_replaces_the_pod_and_a_removed_deployment_ends_it() {
    let stage = Stage::set().await;
    let old = stage.pod_of("store").await;
    stage.cluster.apply(&Deployment { image: "ghcr.io/m3o/platform:next".into(), ..core("store") });
    guarded(stage.cluster.settled()).await;
    let pods = ListParams::default().labels("name=micro-store");
    let pods = guarded(stage.pods().list(&pods)).await.unwrap();
    let new = pods.items.iter().find(|pod| pod.metadata.deletion_timestamp.is_none()).unwrap();
    assert_ne!(new.uid(), old.uid());
    assert!(stage.cluster.remove("default", "micro-store"));
    assert!(!stage.cluster.remove("default", "micro-store"));
    assert!(stage.cluster.dump()["deployments"].get("default/micro-store").is_none());
}

#[tokio::test]
async fn equal_seeds_make_equal_pods() {
    let (one, two) = (Stage::set().await, Stage::set().await);
    for service in ["store", "auth"] {
        let (one, two) = (one.pod_of(service).await, two.pod_of(service).await);
        assert_eq!((one.name_any(), one.uid()), (two.name_any(), two.uid()));
    }
}

#[tokio::test]
async fn a_pod_that_never_becomes_ready_stays_unready_and_a_pod_not_replaced_stays_away() {
    let stage = Stage::with(|settings| {
        settings.defects = Defects {
            never_ready: vec!["store".into()],
            never_replaced: vec!["auth".into()],
            ..Defects::default()
        };
    })
    .await;
    for service in ["store", "auth"] {
        let name = stage.pod_of(service).await.name_any();
        let params = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
        guarded(stage.pods().delete(&name, &params)).await.unwrap();
    }
    guarded(until(|| stage.lives().iter().filter(|life| *life == "start store").count() == 2)).await;
    assert!(!is_ready(&stage.pod_of("store").await));
    assert_eq!(stage.cluster.dump()["deployments"]["default/micro-auth"]["pods"], 0);
}

#[tokio::test]
async fn a_pod_called_ready_too_early_is_ready_before_the_platform_answers() {
    let mut settings = Settings::new(7, "2020-11-20T10:00:00Z".parse().unwrap());
    settings.pace = 0.01;
    settings.deployments = vec![core("store")];
    settings.defects.ready_too_early = vec!["store".into()];
    let (changes, mut received) = mpsc::unbounded_channel();
    let cluster = Cluster::start(settings, changes).await.unwrap();
    let first = guarded(received.recv()).await.unwrap();
    let PodChange::Started { pod, ready } = first else { panic!("{first:?}") };
    ready.send(()).unwrap();
    guarded(cluster.settled()).await;
    let mut config = Config::new(format!("http://{}", cluster.address).parse().unwrap());
    config.default_retry = false;
    let pods: Api<Pod> = Api::namespaced(Client::try_from(config).unwrap(), "default");
    let at_once = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
    let only_asked = DeleteParams { dry_run: true, ..DeleteParams::default() };
    assert_eq!(refusal(guarded(pods.delete(&pod.name, &only_asked)).await).0, 400);
    guarded(pods.delete(&pod.name, &at_once)).await.unwrap();
    assert!(matches!(guarded(received.recv()).await, Some(PodChange::Ended { graceful: false, .. })));
    let unanswered = guarded(received.recv()).await;
    guarded(cluster.settled()).await;
    assert!(matches!(unanswered, Some(PodChange::Started { .. })));
}

async fn until(is_so: impl Fn() -> bool) {
    while !is_so() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
