//! Secrets by which muster itself is known to a cluster: they are hidden like those of the target file.

use crate::program::{Bench, code, stdout};
use muster::client::kube::{Kube, Place};
use serde_json::{Value, json};

const TOKEN: &str = "q7Zk92xVw8Tt5rBnL0pQ";

/// A kubeconfig for the bench's cluster with this user, in place of the address in its target file.
fn use_kubeconfig(bench: &Bench, user: &Value) {
    let server = format!("http://{}", bench.fakes.as_ref().unwrap().addresses.kubernetes);
    let config = json!({
        "kind": "Config", "apiVersion": "v1",
        "clusters": [{ "name": "fake", "cluster": { "server": server } }],
        "contexts": [{ "name": "fake", "context": { "cluster": "fake", "user": "bob" } }],
        "users": [{ "name": "bob", "user": user }],
    });
    std::fs::write(bench.path("kubeconfig"), config.to_string()).unwrap();
    bench.rewrite_target(|text| {
        text.replace(&format!("server: \"{server}\""), "config: kubeconfig, context: fake")
    });
}

/// Somebody has written the secret where it can be read.
fn show(bench: &Bench, text: &str) {
    let place = Place::Url(format!("http://{}", bench.fakes.as_ref().unwrap().addresses.kubernetes));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let kube = runtime.block_on(Kube::connect(&place, std::time::Duration::from_secs(20))).unwrap();
    runtime.block_on(kube.annotate("default", "shown", Some(text))).unwrap();
}

const CASE: &str = "title: Cluster
cases:
  - id: shows-it
    why: what a cluster shows stands in the reports of a case that fails
    steps:
      - call:
          kube: /api/v1/namespaces/default
          expect: { body: { $.metadata.annotations.shown: nothing } }
";

#[test]
fn what_muster_shows_to_a_cluster_is_in_no_report() {
    for (user, is_known) in [
        (json!({ "token": TOKEN }), true),
        (json!({ "tokenFile": "token" }), true),
        (json!({ "username": "bob", "password": TOKEN }), true),
        (json!({}), false),
    ] {
        let bench = Bench::new();
        std::fs::write(bench.path("token"), TOKEN).unwrap();
        use_kubeconfig(&bench, &user);
        show(&bench, TOKEN);
        std::fs::write(bench.suites_without_cases().join("shows.yaml"), CASE).unwrap();
        let output = bench.muster(&["run", "shows-it", "--suites", "suites"]).output().unwrap();
        assert_eq!(code(&output), 1, "{}", stdout(&output));
        let record = std::fs::read_to_string(bench.path("reports/run.jsonl")).unwrap();
        let is_told = [record.as_str(), &stdout(&output)].iter().any(|text| text.contains(TOKEN));
        assert_eq!(is_told, !is_known, "only what muster does not know is shown: {user} {record}");
    }
}
