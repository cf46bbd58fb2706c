//! The fake cluster asked by the real `kubectl`.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on panics")]
#![expect(clippy::print_stdout, reason = "a test says what it could not run")]

use crate::cluster::{Stage, guarded};
use kube::ResourceExt;
use serde_json::{Value, json};
use std::process::Stdio;

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
