//! The fake cluster over real HTTP: asked by the `kube` crate and by the real `kubectl`.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on panics")]
#![expect(clippy::print_stdout, reason = "a test says what it could not run")]

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
use std::process::Stdio;
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

    async fn pod_of(&self, service: &str) -> Pod {
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

/// The real `kubectl` against a stage, with a home and a configuration of its own.
struct Kubectl {
    home: tempfile::TempDir,
}

impl Kubectl {
    fn for_stage(stage: &Stage) -> Option<Kubectl> {
        let home = tempfile::tempdir().unwrap();
        let config = json!({
            "kind": "Config", "apiVersion": "v1", "current-context": "fake",
            "clusters": [{ "name": "fake", "cluster": { "server": format!("http://{}", stage.cluster.address) } }],
            "contexts": [{ "name": "fake", "context": { "cluster": "fake", "user": "fake" } }],
            "users": [{ "name": "fake", "user": {} }],
        });
        std::fs::File::create(home.path().join("config"))
            .and_then(|file| serde_json::to_writer(file, &config).map_err(Into::into))
            .unwrap();
        let kubectl = Kubectl { home };
        let is_there = std::process::Command::new("kubectl")
            .args(["version", "--client"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        if !is_there {
            println!("NOT RUN: kubectl is not installed");
        }
        is_there.then_some(kubectl)
    }

    fn command(&self, arguments: &[&str]) -> tokio::process::Command {
        let mut command = tokio::process::Command::new("kubectl");
        command
            .args(arguments)
            .env("HOME", self.home.path())
            .env("KUBECONFIG", self.home.path().join("config"));
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    async fn says(&self, arguments: &[&str]) -> String {
        let output = guarded(self.command(arguments).output()).await.unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "kubectl {arguments:?}: {error}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

#[tokio::test]
async fn kubectl_prints_pods_as_a_table_and_as_json() {
    let stage = Stage::set().await;
    let Some(kubectl) = Kubectl::for_stage(&stage) else { return };
    let table = kubectl.says(&["get", "pods"]).await;
    let header: Vec<&str> = table.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(header, ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]);
    assert_eq!(table.lines().filter(|line| line.contains("1/1     Running")).count(), 3, "{table}");
    let list: Value = serde_json::from_str(&kubectl.says(&["get", "pods", "-o", "json"]).await).unwrap();
    assert_eq!(list["items"].as_array().unwrap().len(), 3);
    let wide = kubectl.says(&["get", "deploy,pods,ns,lease,pdb", "-A", "-o", "wide"]).await;
    assert!(wide.contains("deployment.apps/micro-store"), "{wide}");
    assert!(kubectl.says(&["auth", "can-i", "delete", "pods"]).await.contains("yes"));
    kubectl.says(&["label", "ns", "micro", "seen=yes"]).await;
    kubectl.says(&["annotate", "ns", "micro", "freeze=on"]).await;
    stage.cluster.create_namespace("foo-bar-baz", &[]);
    kubectl.says(&["delete", "ns", "foo-bar-baz"]).await;
    assert!(kubectl.says(&["describe", "pods"]).await.contains("micro-store"));
    assert!(kubectl.says(&["get", "all", "-A"]).await.contains("deployment.apps/micro-api"));
    assert_eq!(stage.cluster.dump()["namespaces"]["micro"]["labels"]["seen"], "yes");
}

#[tokio::test]
async fn kubectl_deletes_a_pod_and_waits_while_another_watches() {
    let stage = Stage::with(|settings| settings.pace = 0.1).await;
    let Some(kubectl) = Kubectl::for_stage(&stage) else { return };
    let mut watching = kubectl.command(&["get", "pods", "-w", "-l", "name=micro-store"]).spawn().unwrap();
    let mut lines = Lines::of(&mut watching);
    guarded(lines.until("Running")).await;
    let old = stage.pod_of("store").await.name_any();
    let said = kubectl.says(&["delete", "pod", &old, "--wait=true"]).await;
    assert!(said.contains("deleted"), "{said}");
    guarded(lines.until("Terminating")).await;
    guarded(lines.until("ContainerCreating")).await;
    guarded(lines.until("1/1     Running")).await;
    watching.kill().await.unwrap();
    kubectl.says(&["wait", "--for=condition=Ready", "pod", "--all"]).await;
    kubectl.says(&["rollout", "status", "deploy/micro-store", "--timeout=50s"]).await;
}

struct Lines(tokio::io::Lines<tokio::io::BufReader<tokio::process::ChildStdout>>);

impl Lines {
    fn of(child: &mut tokio::process::Child) -> Lines {
        use tokio::io::AsyncBufReadExt;
        Lines(tokio::io::BufReader::new(child.stdout.take().unwrap()).lines())
    }

    async fn until(&mut self, wanted: &str) {
        loop {
            let line = self.0.next_line().await.unwrap().expect("kubectl ended its watch");
            if line.contains(wanted) {
                return;
            }
        }
    }
}

#[tokio::test]
async fn kubectl_scales_and_changes_the_image_of_a_deployment() {
    let stage = Stage::set().await;
    let Some(kubectl) = Kubectl::for_stage(&stage) else { return };
    kubectl.says(&["scale", "deploy/micro-auth", "--replicas=2"]).await;
    kubectl.says(&["set", "image", "deploy/micro-api", "micro=ghcr.io/m3o/platform:next"]).await;
    guarded(stage.cluster.settled()).await;
    kubectl.says(&["rollout", "restart", "deploy/micro-store"]).await;
    kubectl.says(&["rollout", "status", "deploy/micro-store", "--timeout=50s"]).await;
    let deployments = &stage.cluster.dump()["deployments"];
    assert_eq!(deployments["default/micro-auth"]["pods"], 2);
    assert_eq!(deployments["default/micro-api"]["images"], json!(["ghcr.io/m3o/platform:next"]));
    assert!(kubectl.says(&["logs", "deploy/micro-auth"]).await.contains("Starting [service] auth"));
}

#[tokio::test]
async fn kubectl_drains_a_node_whose_pods_come_back_elsewhere() {
    let stage = Stage::set().await;
    let Some(kubectl) = Kubectl::for_stage(&stage) else { return };
    let node = stage.pod_of("store").await.spec.unwrap().node_name.unwrap();
    let table = kubectl.says(&["get", "nodes"]).await;
    assert!(
        table.starts_with("NAME     STATUS   ROLES    AGE   VERSION\nnode-1   Ready    <none>"),
        "{table}"
    );
    let said = kubectl.says(&["drain", &node, "--timeout=50s"]).await;
    assert!(said.contains(&format!("node/{node} cordoned")), "{said}");
    assert!(said.contains("evicted") && said.trim_end().ends_with(&format!("node/{node} drained")), "{said}");
    guarded(stage.cluster.settled()).await;
    assert_ne!(stage.pod_of("store").await.spec.unwrap().node_name.unwrap(), node);
    assert!(kubectl.says(&["get", "nodes", &node]).await.contains("Ready,SchedulingDisabled"));
    kubectl.says(&["uncordon", &node]).await;
    assert!(!kubectl.says(&["get", "nodes", &node]).await.contains("SchedulingDisabled"));
}

#[tokio::test]
async fn kubectl_shows_what_stands_around_the_pods() {
    let object = |kind: &str, version: &str, more: Value| {
        let mut object = json!({ "kind": kind, "apiVersion": version, "metadata": { "name": "one", "namespace": "micro" } });
        object.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        object
    };
    let stage = Stage::with(|settings| {
        settings.objects = vec![
            object("Secret", "v1", json!({ "type": "Opaque", "data": { "a": "bm9uZQ==", "b": "" } })),
            object("Ingress", "networking.k8s.io/v1", json!({ "spec": { "rules": [{ "host": "x.test" }] } })),
            object("Certificate", "cert-manager.io/v1", json!({ "spec": { "secretName": "tls" } })),
        ];
    })
    .await;
    let Some(kubectl) = Kubectl::for_stage(&stage) else { return };
    for (kind, expected) in
        [("secrets", "one    Opaque   2"), ("ing", "x.test"), ("certs", "one    False   tls")]
    {
        let table = kubectl.says(&["get", kind, "-n", "micro"]).await;
        assert!(table.contains(expected), "{kind}: {table}");
    }
}
