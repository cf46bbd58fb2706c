//! The fake as the runbook leaves it: what suites rely on, over real sockets.
#![expect(clippy::unwrap_used, reason = "what a test cannot do without may panic")]

use crate::contract::exchange::exchange;
use crate::program::operator_secret;
use muster::fake::{Addresses, Defect, Fake, Options, Profile, StartError, start};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Hang guard: far more than anything here takes.
const GUARD: Duration = Duration::from_secs(60);

fn options(defects: &[Defect]) -> Options {
    Options {
        seed: 7,
        pace: 0.01,
        defects: defects.iter().map(|defect| defect.name().to_owned()).collect(),
        profile: Profile::Runbook,
        now: "2020-11-20T10:00:00Z".parse().unwrap(),
        secrets_file: "/somewhere/secrets".into(),
        operator_secret: None,
        addresses: Addresses::default(),
    }
}

fn send(to: SocketAddr, method: &str, path: &str, token: &str, body: &Value) -> Option<(u16, Value)> {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let token = if token.is_empty() { String::new() } else { format!("Authorization: Bearer {token}\r\n") };
    let head = format!("{method} {path} HTTP/1.1\r\nHost: {to}\r\n{token}Content-Length: {}\r\n", body.len());
    let answer = exchange(to, format!("{head}\r\n{body}").as_bytes(), false)?;
    let text = answer.messages.first().cloned().unwrap_or_default();
    let value = serde_json::from_slice(&text).unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&text)));
    Some((answer.status?, value))
}

/// A running fake and its operator's token.
struct Stage {
    fake: Fake,
    token: String,
}

impl Stage {
    fn set(defects: &[Defect]) -> Self {
        Self::at_pace(0.01, defects)
    }

    fn at_pace(pace: f64, defects: &[Defect]) -> Self {
        let fake = start(Options { pace, ..options(defects) }).unwrap();
        let secret = operator_secret(&fake.secrets);
        let mut stage = Self { fake, token: String::new() };
        let asked = json!({ "id": "muster", "secret": secret, "token_expiry": 3600 });
        let (status, told) = stage.call("/auth/Auth/Token", asked);
        assert_eq!(status, 200, "{told}");
        stage.token = told["token"]["access_token"].as_str().unwrap().to_owned();
        stage
    }

    fn call(&self, path: &str, body: Value) -> (u16, Value) {
        self.try_call(path, &body).unwrap()
    }

    fn try_call(&self, path: &str, body: &Value) -> Option<(u16, Value)> {
        send(self.fake.addresses.api, "POST", path, &self.token, body)
    }

    fn anonymous(&self, path: &str, body: Value) -> (u16, Value) {
        send(self.fake.addresses.api, "POST", path, "", &body).unwrap()
    }

    fn kubernetes(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        send(self.fake.addresses.kubernetes, method, path, "", body).unwrap()
    }

    fn pod_of(&self, namespace: &str, name: &str) -> Option<String> {
        let path = format!("/api/v1/namespaces/{namespace}/pods?labelSelector=name={name}");
        let (_, list) = self.kubernetes("GET", &path, &Value::Null);
        let items = list["items"].as_array()?.clone();
        let alive = items.iter().find(|pod| pod["metadata"]["deletionTimestamp"].is_null());
        Some(alive?["metadata"]["name"].as_str()?.to_owned())
    }

    fn kill(&self, namespace: &str, name: &str) {
        let pod = self.pod_of(namespace, name).unwrap();
        let path = format!("/api/v1/namespaces/{namespace}/pods/{pod}");
        let (status, told) = self.kubernetes("DELETE", &path, &Value::Null);
        assert_eq!(status, 200, "{told}");
    }

    fn is_ready(&self, namespace: &str, name: &str) -> bool {
        let Some(pod) = self.pod_of(namespace, name) else { return false };
        let path = format!("/api/v1/namespaces/{namespace}/pods/{pod}");
        let (_, told) = self.kubernetes("GET", &path, &Value::Null);
        let conditions = told["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.iter().any(|one| one["type"] == "Ready" && one["status"] == "True")
    }

    fn is_well(&self, service: &str) -> bool {
        let answer = self.try_call(&format!("/{service}/Debug/Health"), &json!({}));
        answer.is_some_and(|(status, _)| status == 200)
    }
}

/// Waits until something is true.
fn until(what: &str, mut is_true: impl FnMut() -> bool) {
    let since = Instant::now();
    while !is_true() {
        assert!(since.elapsed() < GUARD, "{what} does not come to be");
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

#[test]
fn the_runbook_s_rules_keep_anonymous_callers_out() {
    let stage = Stage::set(&[]);
    assert_eq!(stage.anonymous("/store/Debug/Health", json!({})).0, 401);
    assert_eq!(stage.call("/store/Debug/Health", json!({})), (200, json!({ "status": "ok" })));
    assert_eq!(stage.anonymous("/status", json!({})).0, 200);
    let admin = stage.anonymous("/auth/Auth/Token", json!({ "id": "admin", "secret": "micro" }));
    assert_eq!(admin.0, 400);
}

#[test]
fn a_person_signs_up_and_becomes_active() {
    let stage = Stage::set(&[]);
    let email = json!({ "email": "dev@example.test" });
    assert_eq!(stage.anonymous("/signup/sendVerificationEmail", email.clone()), (200, json!({})));
    let place = json!({ "key": "dev@example.test", "options": { "database": "micro", "table": "signup" } });
    let (_, record) = stage.call("/store/Store/Read", place);
    use base64::Engine as _;
    let value = record["records"][0]["value"].as_str().unwrap();
    let value = base64::engine::general_purpose::STANDARD.decode(value).unwrap();
    let code = serde_json::from_slice::<Value>(&value).unwrap()["token"].clone();
    let typed = json!({ "email": "dev@example.test", "token": code, "secret": "pw" });
    let (status, told) = stage.anonymous("/signup/completeSignup", typed);
    assert_eq!(status, 200, "{told}");
    let namespace = told["namespace"].as_str().unwrap();
    assert_eq!(namespace.split('-').count(), 3, "{namespace}");
    until("an active customer", || {
        stage.call("/customers/read", email.clone()).1["customer"]["status"] == "active"
    });
}

#[test]
fn every_killed_pod_is_missed_and_comes_back() {
    // Slow enough that a busy machine cannot sleep through an outage.
    let stage = Stage::at_pace(0.3, &[]);
    let core = [
        "api", "auth", "broker", "config", "debug", "network", "proxy", "registry", "router", "runtime",
        "store",
    ];
    let services = ["alert", "build", "client", "customers", "emails", "gitops", "invite"];
    let core = core.map(|service| ("default", format!("micro-{service}"), service));
    let services = services.map(|service| ("micro", service.to_owned(), service));
    for (namespace, name, service) in core.into_iter().chain(services) {
        stage.kill(namespace, &name);
        until(&format!("an outage of {service}"), || !stage.is_well(service));
        until(&format!("the return of {service}"), || stage.is_well(service));
        until("only live nodes", || {
            let asked = json!({ "service": service });
            let answer = stage.try_call("/registry/Registry/GetService", &asked);
            answer.is_some_and(|(_, told)| {
                told["services"][0]["nodes"].as_array().is_some_and(|nodes| nodes.len() == 1)
            })
        });
    }
}

#[test]
fn a_pod_that_is_never_ready_is_seen_by_the_cluster() {
    let stage = Stage::set(&[Defect::PodNeverReady]);
    stage.kill("default", "micro-config");
    until("a new pod", || stage.pod_of("default", "micro-config").is_some());
    until("its service", || stage.is_well("config"));
    assert!(!stage.is_ready("default", "micro-config"));
}

#[test]
fn a_service_that_is_run_gets_pods_and_answers() {
    let stage = Stage::set(&[]);
    let service = json!({ "name": "helloworld", "version": "latest", "source": "github.com/micro/services/helloworld" });
    let (status, told) = stage.call("/runtime/Runtime/Create", json!({ "resource": { "service": service } }));
    assert_eq!((status, told), (200, json!({})));
    until("an answer", || {
        stage.call("/helloworld", json!({ "name": "Ann" })).1 == json!({ "msg": "Hello Ann" })
    });
    assert!(stage.pod_of("micro", "helloworld").is_some());
    let pod = stage.pod_of("micro", "helloworld");
    stage.call("/runtime/Runtime/Update", json!({ "resource": { "service": service } }));
    until("another pod", || {
        let other = stage.pod_of("micro", "helloworld");
        other.is_some() && other != pod
    });
    stage.call("/runtime/Runtime/Delete", json!({ "resource": { "service": service } }));
    until("the end of its pod", || stage.pod_of("micro", "helloworld").is_none());
}

#[test]
fn an_unknown_defect_is_refused() {
    let options = Options { defects: vec!["no-such-thing".to_owned()], ..options(&[]) };
    assert!(matches!(start(options), Err(StartError::UnknownDefect(name)) if name == "no-such-thing"));
}

#[test]
fn a_door_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let api = taken.local_addr().unwrap();
    let addresses = Addresses { api, ..options(&[]).addresses };
    let told = start(Options { addresses, ..options(&[]) }).unwrap_err().to_string();
    let wanted =
        format!("cannot open a door of the fake platform: {api}: Address already in use (os error 98)");
    assert_eq!(told, wanted);
}

#[test]
fn the_same_state_is_shown_twice_and_the_target_names_every_door() {
    let stage = Stage::set(&[]);
    let Addresses { api, proxy, kubernetes, admin, .. } = stage.fake.addresses;
    for address in [api, proxy, kubernetes, admin] {
        assert!(stage.fake.target.contains(&address.to_string()), "{address} in {}", stage.fake.target);
    }
    let read: Value = serde_saphyr::from_str(&stage.fake.target).unwrap();
    assert_eq!(read["identities"]["operator"]["secret"]["file"], "/somewhere/secrets");
    assert_eq!(read["groups"]["services"]["members"].as_array().map(Vec::len), Some(13));
    let state = || send(admin, "GET", "/state", "", &Value::Null).unwrap().1;
    assert_eq!(state(), state());
}

#[test]
fn a_pod_answers_more_calls_than_one_of_its_servers_keeps() {
    let stage = Stage::set(&[]);
    let well = || (0..500).all(|_| stage.is_well("store"));
    std::thread::scope(|scope| {
        let askers: Vec<_> = (0..4).map(|_| scope.spawn(well)).collect();
        assert!(askers.into_iter().all(|asker| asker.join().unwrap()));
    });
}
#[test]
fn a_service_without_its_store_says_so_and_stays_healthy() {
    let stage = Stage::at_pace(0.3, &[Defect::PodNeverReplaced]);
    assert!(stage.is_well("customers"), "it has read the rules");
    stage.kill("default", "micro-store");
    until("an outage of the store", || !stage.is_well("store"));
    let (status, told) = stage.call("/customers/read", json!({ "email": "nobody@example.test" }));
    assert_eq!(status, 500);
    assert!(told["Detail"].as_str().unwrap().contains("connection refused"), "{told}");
    assert!(stage.is_well("customers"));
}

#[test]
fn a_pod_killed_without_grace_leaves_a_ghost_until_its_time_is_over() {
    let stage = Stage::at_pace(0.02, &[]);
    let pod = stage.pod_of("micro", "invite").unwrap();
    let path = format!("/api/v1/namespaces/micro/pods/{pod}?gracePeriodSeconds=0");
    assert_eq!(stage.kubernetes("DELETE", &path, &Value::Null).0, 200);
    let nodes = || {
        let (_, told) = stage.call("/registry/Registry/GetService", json!({ "service": "invite" }));
        told["services"][0]["nodes"].as_array().map_or(0, Vec::len)
    };
    until("a ghost beside the new node", || nodes() == 2);
    until("the end of the ghost", || nodes() == 1);
    assert!(stage.is_well("invite"));
}

#[test]
fn a_tenant_s_service_is_open_to_whoever_names_the_tenant() {
    let stage = Stage::set(&[]);
    let account = json!({ "id": "ann", "secret": "pw", "options": { "namespace": "tenant-a" } });
    assert_eq!(stage.call("/auth/Auth/Generate", account).0, 200);
    let service = json!({ "name": "helloworld", "source": "github.com/micro/services/helloworld" });
    let asked = json!({ "resource": { "service": service }, "options": { "namespace": "tenant-a" } });
    assert_eq!(stage.call("/runtime/Runtime/Create", asked).0, 200);
    let request = b"GET /helloworld?name=Ann HTTP/1.1\r\nHost: api\r\nMicro-Namespace: tenant-a\r\n\r\n";
    until("an answer", || {
        exchange(stage.fake.addresses.api, request, false).is_some_and(|answer| answer.status == Some(200))
    });
    assert!(stage.pod_of("tenant-a", "helloworld").is_some());
}

#[test]
fn the_clock_can_be_moved_past_the_life_of_a_token() {
    let stage = Stage::set(&[]);
    let admin = stage.fake.addresses.admin;
    assert_eq!(send(admin, "POST", "/clock", "", &json!({ "advance": "2h" })).unwrap().0, 200);
    assert_eq!(stage.call("/store/Debug/Health", json!({})).0, 401);
}

#[test]
fn defects_can_be_switched_while_it_runs() {
    let stage = Stage::set(&[]);
    let admin = stage.fake.addresses.admin;
    let on = json!({ "on": ["health-wrong"] });
    assert_eq!(send(admin, "POST", "/defects", "", &on).unwrap().0, 200);
    assert!(!stage.is_well("registry"));
    assert_eq!(send(admin, "POST", "/defects", "", &json!({ "on": [] })).unwrap().0, 200);
    assert!(stage.is_well("registry"));
}

#[test]
fn the_gateway_s_defects_can_be_seen() {
    let stage = Stage::set(&[Defect::GatewayErrorLowercaseKeys, Defect::UnknownServiceAnswers]);
    assert_eq!(stage.call("/nosuch/Foo/Bar", json!({})), (200, json!({})));
    let (status, told) = stage.call("/store/Store/Read", json!({ "key": "none" }));
    assert_eq!((status, &told["detail"]), (404, &json!("not found")));
    let stage = Stage::set(&[Defect::GatewayRulesIgnored]);
    assert_eq!(stage.anonymous("/store/Store/List", json!({})).1["Detail"], "An account is required");
}

#[test]
fn the_defects_of_replaced_pods_can_be_seen() {
    let stage = Stage::set(&[Defect::PodSlow]);
    stage.kill("default", "micro-config");
    until("a served pod", || stage.is_well("config"));
    assert!(!stage.is_ready("default", "micro-config"));
    until("a ready pod", || stage.is_ready("default", "micro-config"));

    let stage = Stage::set(&[Defect::PodNotServed]);
    stage.kill("default", "micro-config");
    until("an outage", || !stage.is_well("config"));
    until("a ready pod", || stage.is_ready("default", "micro-config"));
    assert!(!stage.is_well("config"));
    until("a served pod", || stage.is_well("config"));

    let stage = Stage::set(&[Defect::GhostNodeStays, Defect::NamespaceLabelMissing]);
    stage.kill("default", "micro-config");
    until("a ghost beside the new node", || {
        let (_, told) = stage.call("/registry/Registry/GetService", json!({ "service": "config" }));
        told["services"][0]["nodes"].as_array().is_some_and(|nodes| nodes.len() == 2)
    });
    let (_, told) = stage.kubernetes("GET", "/api/v1/namespaces/micro", &Value::Null);
    assert!(told["metadata"]["labels"]["owner"].is_null(), "{told}");
}
