//! The platform's pods as processes of their own: they come, serve, and go well or badly.

use crate::program::{muster, operator_secret};
use muster::fake::{self, Addresses, Fake, Options, Profile};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Hang guard.
const GUARD: Duration = Duration::from_secs(60);

/// A platform's state, and processes that come to it.
struct Platform {
    fake: Fake,
    pods: BTreeMap<&'static str, Child>,
}

impl Platform {
    fn with(services: &[&'static str], further: &[&str]) -> Self {
        let fake = fake::start(Options {
            seed: 7,
            pace: 1.0,
            defects: vec![],
            profile: Profile::Runbook,
            now: muster::host::now(),
            secrets_file: "/somewhere/secrets".into(),
            operator_secret: Some("open sesame".to_owned()),
            addresses: Addresses { pods: Some("127.0.0.1:0".parse().unwrap()), ..Addresses::default() },
        })
        .unwrap();
        assert_eq!(operator_secret(&fake.secrets), "open sesame");
        let state = fake.addresses.pods.unwrap().to_string();
        let pods = services.iter().map(|service| (*service, pod(service, &state, further))).collect();
        let platform = Self { fake, pods };
        platform.until("all pods are there", |state| count(&state["pods"]) == services.len());
        platform
    }

    fn state(&self) -> Value {
        ask(&format!("http://{}/state", self.fake.addresses.admin), "", &json!(null)).1
    }

    fn until(&self, what: &str, holds: impl Fn(&Value) -> bool) {
        let began = Instant::now();
        while !holds(&self.state()) {
            assert!(began.elapsed() < GUARD, "never: {what}: {:#}", self.state());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The operator's token; signing in needs the store, for that is where refresh tokens go.
    fn token(&self) -> String {
        let asked = json!({ "id": "muster", "secret": "open sesame", "options": { "namespace": "micro" } });
        let (_, told) = ask(&format!("http://{}/auth/Auth/Token", self.fake.addresses.api), "", &asked);
        told["token"]["access_token"].as_str().unwrap().to_owned()
    }

    fn health(&self, service: &str, token: &str) -> (u16, Value) {
        ask(&format!("http://{}/{service}/Debug/Health", self.fake.addresses.api), token, &json!({}))
    }

    fn is_listed(&self, service: &str) -> bool {
        self.state()["registry"].to_string().contains(&format!("/{service}\""))
    }

    fn tell(&self, service: &str, signal: &str) {
        let pid = self.pods[service].id().to_string();
        assert!(std::process::Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        for pod in self.pods.values_mut() {
            pod.kill().ok();
            pod.wait().ok();
        }
    }
}

/// Services of the run list, of those that are started here; the others are core.
const OUTER: [&str; 4] = ["customers", "emails", "invite", "signup"];

fn pod(service: &str, state: &str, further: &[&str]) -> Child {
    let namespace = if OUTER.contains(&service) { "micro" } else { "core" };
    let mut command = muster();
    command.args([
        "fake",
        "--service",
        service,
        "--uid",
        service,
        "--namespace",
        namespace,
        "--state",
        state,
    ]);
    command.args(["--listen", "127.0.0.1:0"]).args(further).stdout(Stdio::piped()).stderr(Stdio::null());
    command.spawn().unwrap()
}

/// What a pod writes, line by line, until it has ended.
fn lines_of(pod: &mut Child) -> mpsc::Receiver<String> {
    let out = BufReader::new(pod.stdout.take().unwrap());
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| tell.send(line)));
    told
}

fn count(value: &Value) -> usize {
    value.as_array().map_or_else(|| value.as_object().map_or(0, serde_json::Map::len), Vec::len)
}

/// A request by a client that shares no code with those under test.
fn ask(url: &str, token: &str, body: &Value) -> (u16, Value) {
    let rest = url.strip_prefix("http://").unwrap();
    let (address, path) = rest.split_at(rest.find('/').unwrap());
    let token = if token.is_empty() { String::new() } else { format!("Authorization: Bearer {token}\r\n") };
    let (method, body) = if body.is_null() { ("GET", String::new()) } else { ("POST", body.to_string()) };
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\n{token}Content-Type: application/json\r\nContent-Length: {}\r\n",
        body.len()
    );
    let head = format!("{head}\r\n{body}");
    let told = crate::contract::exchange::exchange(address.parse().unwrap(), head.as_bytes(), false).unwrap();
    let text = told.messages.first().cloned().unwrap_or_default();
    (told.status.unwrap(), serde_json::from_slice(&text).unwrap_or_default())
}

#[test]
fn a_pod_that_dies_leaves_a_ghost_and_one_that_is_told_to_end_does_not() {
    let platform = Platform::with(&["auth", "debug", "network", "registry", "store"], &[]);
    let token = platform.token();
    assert_eq!(platform.health("store", &token), (200, json!({ "status": "ok" })));
    platform.tell("store", "-KILL");
    platform.until("the death is seen", |state| count(&state["pods"]) == 4);
    let (status, told) = platform.health("store", &token);
    assert!(status == 500 && told["Detail"].to_string().contains("connection refused"), "{status} {told}");
    assert!(platform.is_listed("store"), "its node stays as a ghost");
    platform.tell("debug", "-TERM");
    platform.until("it has left", |state| count(&state["pods"]) == 3);
    assert!(!platform.is_listed("debug"), "it takes its node along");
    let (status, told) = platform.health("debug", &token);
    assert!(status == 500 && told["Detail"].to_string().contains("route not found"), "{told}");
}

#[test]
fn a_pod_that_does_not_deregister_leaves_a_ghost_however_it_ends() {
    let platform = Platform::with(&["auth", "network", "registry", "store"], &["--no-deregister"]);
    platform.tell("store", "-QUIT");
    platform.until("it has ended", |state| count(&state["pods"]) == 3);
    assert!(platform.is_listed("store"));
    platform.tell("auth", "-TERM");
    platform.until("it has ended too", |state| count(&state["pods"]) == 2);
    assert!(platform.is_listed("auth"));
}

#[test]
fn a_pod_writes_the_log_of_its_service_and_a_code_only_if_the_switch_says_so() {
    let core = ["auth", "config", "network", "registry", "store"];
    let mut platform = Platform::with(&[core.as_slice(), &OUTER].concat(), &[]);
    let (api, token) = (platform.fake.addresses.api, platform.token());
    let send = |email: &str| {
        ask(&format!("http://{api}/signup/sendVerificationEmail"), "", &json!({ "email": email }))
    };
    assert_eq!(send("quiet@example.test").0, 200);
    let switch =
        json!({ "namespace": "micro", "path": "micro.signup.test_env", "value": { "data": "true" } });
    assert_eq!(ask(&format!("http://{api}/config/Config/Set"), &token, &switch).0, 200);
    assert_eq!(send("loud@example.test").0, 200);
    let lines = lines_of(platform.pods.get_mut("signup").unwrap());
    let first = lines.recv_timeout(GUARD).unwrap();
    let code = first.strip_prefix("Sending verification token '").and_then(|rest| rest.split('\'').next());
    assert!(first.ends_with("' to loud@example.test") && code.unwrap().len() == 8, "{first}");
    platform.tell("signup", "-TERM");
    assert_eq!(lines.recv_timeout(GUARD).ok(), None, "one code was written, and to one log");
}
