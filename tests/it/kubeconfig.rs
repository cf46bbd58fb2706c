//! Secrets by which muster itself is known to a cluster: they are hidden like those of the target file.

use crate::program::{Bench, code, muster, stderr, stdout};
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

/// A cluster that says back what it was shown, with what steers a terminal, and refuses everything.
fn telltale() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut head = [0; 4096];
            let length = std::io::Read::read(&mut stream, &mut head).unwrap_or(0);
            let head = String::from_utf8_lossy(&head[..length]).to_lowercase();
            let shown =
                head.lines().find_map(|line| line.strip_prefix("authorization: ")).unwrap_or_default();
            let message = format!("dump: {shown} {TOKEN} \u{1b}]52;c;aGk=\u{7}");
            let status = json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Forbidden", "code": 403,
                                 "message": message });
            let body = status.to_string();
            let answer = format!(
                "HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: \
                                  close\r\n\r\n{body}",
                body.len()
            );
            std::io::Write::write_all(&mut stream, answer.as_bytes()).ok();
        }
    });
    format!("http://{address}")
}

#[test]
fn what_a_cluster_says_back_is_told_without_secrets_and_without_what_steers_a_terminal() {
    let bench = Bench::new();
    let real = format!("http://{}", bench.fakes.as_ref().unwrap().addresses.kubernetes);
    use_kubeconfig(&bench, &json!({ "token": TOKEN }));
    let config = std::fs::read_to_string(bench.path("kubeconfig")).unwrap();
    std::fs::write(bench.path("kubeconfig"), config.replace(&real, &telltale())).unwrap();
    let init = [
        "init",
        "--kubeconfig",
        "kubeconfig",
        "--context",
        "fake",
        "--api",
        "http://127.0.0.1:9",
        "--write",
        "new.yaml",
    ];
    let mut asked = muster();
    asked.current_dir(bench.folder.path()).args(init);
    for mut command in [asked, bench.muster(&["doctor"])] {
        let output = command.output().unwrap();
        let told = [stdout(&output), stderr(&output)].concat();
        assert!(told.contains("dump: ") && told.contains("«secret»"), "{told}");
        assert!(!told.contains(TOKEN) && !told.contains('\u{1b}'), "{told}");
    }
}

#[test]
fn a_malformed_kubeconfig_and_a_plugin_that_fails_are_not_quoted() {
    let exec = |script: &str| {
        json!({ "exec": { "apiVersion": "client.authentication.k8s.io/v1", "command": "bash", "args": ["-c", script],
                          "interactiveMode": "Never" } })
    };
    let says = format!("echo {TOKEN}; echo {TOKEN} >&2; exit 3");
    for user in [json!({ "token": TOKEN, "as": { "a": 1 } }), exec(&says), exec(&format!("echo {TOKEN}"))] {
        let bench = Bench::new();
        use_kubeconfig(&bench, &user);
        if user["token"].is_string() {
            std::fs::write(
                bench.path("kubeconfig"),
                format!("users:\n- name: bob\n  user:\n    token: {TOKEN}\n  oops\n"),
            )
            .unwrap();
        }
        std::fs::write(bench.suites_without_cases().join("shows.yaml"), CASE).unwrap();
        let output = bench.muster(&["run", "shows-it", "--suites", "suites"]).output().unwrap();
        let record = std::fs::read_to_string(bench.path("reports/run.jsonl")).unwrap_or_default();
        let told = [stdout(&output), stderr(&output), record].concat();
        assert_eq!(code(&output), 3, "{told}");
        assert!(told.contains("the kubeconfig is malformed") || told.contains("plugin"), "{told}");
        assert!(!told.contains(TOKEN), "{told}");
    }
}

#[test]
fn a_proxy_of_the_environment_is_not_asked_for_the_cluster() {
    let bench = Bench::new();
    use_kubeconfig(&bench, &json!({}));
    let mut command = bench.muster(&["run", "--exact", "pods-are-running[default]"]);
    let proxied = ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY"];
    let output = command.envs(proxied.map(|name| (name, "http://127.0.0.1:9"))).output().unwrap();
    assert_eq!(code(&output), 0, "{}{}", stdout(&output), stderr(&output));
}
