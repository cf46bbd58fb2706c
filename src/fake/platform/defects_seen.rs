//! Whether each defect of the platform can be seen by somebody who asks the right questions.
//!
//! Lives here: the questions, one list for each defect, asked of a good platform and of a bad one. Does not: defects of
//! doors and pods, which are seen over sockets (`tests/it/fake.rs`).

use super::nodes::namespace_of;
use super::serve::{Codec, Forwarded, serve};
use super::token::{Claims, mint};
use super::{State, profile};
use crate::fake::defect::{Defect, Defects};
use crate::fake::pod::{Order, Pod};
use serde_json::{Value, json};

/// One question: who asks, which service and endpoint, what.
type Question = (&'static str, &'static str, Value);

fn platform(defects: &[Defect]) -> State {
    let names: Vec<String> = defects.iter().map(|defect| defect.name().to_owned()).collect();
    let now = jiff::Timestamp::from_second(1_606_000_000).unwrap();
    let mut state = State::new(3, 1.0, Defects::named(&names).unwrap(), now);
    state.clock.stop();
    profile::after_runbook(&mut state, None);
    carry_out(&mut state);
    state
}

/// Starts what was ordered.
fn carry_out(state: &mut State) {
    for order in std::mem::take(&mut state.orders) {
        if let Order::Apply(deployment) = order {
            start(state, &deployment.namespace, &deployment.service);
        }
    }
}

fn start(state: &mut State, namespace: &str, service: &str) {
    let (namespace, service) = (namespace.to_owned(), service.to_owned());
    let uid = format!("{namespace}-{service}");
    state.pod_started(Pod { namespace, name: uid.clone(), uid, service }, "127.0.0.1:9".to_owned());
}

/// The pod of a core service is replaced.
fn restart(state: &mut State, service: &str) {
    let (namespace, uid) = ("default".to_owned(), format!("default-{service}"));
    let pod = Pod { namespace, name: uid.clone(), uid, service: service.to_owned() };
    assert_eq!(namespace_of(&pod), "micro");
    state.pod_ended(&pod, true);
    start(state, "default", service);
}

fn token(state: &State, who: &str) -> Option<String> {
    let namespace = match who {
        "nobody" => return None,
        "garbage" => return Some("Bearer nonsense".to_owned()),
        "operator" | "late" => "micro",
        "alice" => "ns-a",
        "twin" => "ns-a-2",
        _ => "ns-b",
    };
    let mut claims = Claims::of_service(who);
    "user".clone_into(&mut claims.kind);
    who.clone_into(&mut claims.sub);
    namespace.clone_into(&mut claims.iss);
    claims.exp = state.clock.now_s() + if who == "late" { -10 } else { 3600 };
    Some(format!("Bearer {}", mint(&state.token_key, &claims)))
}

/// Asks; `$code`, `$old`, `$namespace` and `$customer` stand for what the platform has made by then.
fn ask(state: &mut State, (who, what, body): &Question) -> Value {
    let (service, endpoint) = what.split_once('.').unwrap();
    match *what {
        "clock.advance" => {
            state.clock.advance_ms(body.as_i64().unwrap());
            return Value::Null;
        }
        "pod.restart" => {
            restart(state, body.as_str().unwrap());
            return Value::Null;
        }
        _ => {}
    }
    let call = Forwarded {
        service: service.to_owned(),
        endpoint: endpoint.to_owned(),
        namespace: "micro".to_owned(),
        authorization: token(state, who),
        over_http: false,
        codec: Codec::Json,
        messages: vec![filled(state, &body.to_string())],
    };
    let served = serve(state, &call);
    carry_out(state);
    serde_json::to_value(served.reply).unwrap()
}

fn filled(state: &State, text: &str) -> String {
    let code: Option<Value> = state.records.load("micro", "signup", "c@d.e");
    let code = code.unwrap_or_default();
    let old = state
        .records
        .keys("micro", "signup", "")
        .into_iter()
        .find(|key| key.len() <= 8 && code["token"] != **key);
    let made = state.records.keys("micro", "namespaces", "namespace/");
    let made = made.first().map(|key| key.replace("namespace/", "")).unwrap_or_default();
    let customer: Option<Value> = state.records.load("micro", "customers", "email/c@d.e");
    text.replace("$code", code["token"].as_str().unwrap_or_default())
        .replace("$ann", &ann_s_token(state))
        .replace("$old", &old.unwrap_or_default())
        .replace("$namespace", &made)
        .replace("$customer", customer.unwrap_or_default()["id"].as_str().unwrap_or_default())
}

fn ann_s_token(state: &State) -> String {
    let mut claims = Claims::of_service("ann");
    "user".clone_into(&mut claims.kind);
    "ann".clone_into(&mut claims.sub);
    "ns-a".clone_into(&mut claims.iss);
    claims.exp = 1_700_000_000;
    mint(&state.token_key, &claims)
}

/// Whether the platforms answer differently.
fn differ(one: &mut State, other: &mut State, questions: &[Question]) -> bool {
    let answers: Vec<(Value, Value)> =
        questions.iter().map(|question| (ask(one, question), ask(other, question))).collect();
    answers.iter().any(|(one, other)| one != other)
}

/// Whether the defect can be seen, and nothing can be seen without it.
fn is_seen(defect: Defect, questions: &[Question]) -> bool {
    let good = || platform(&[]);
    differ(&mut good(), &mut platform(&[defect]), questions) && !differ(&mut good(), &mut good(), questions)
}

fn place(database: &str) -> Value {
    json!({ "database": database, "table": "t" })
}

fn write(who: &'static str, database: &str) -> Question {
    (
        who,
        "store.Store.Write",
        json!({ "record": { "key": "k", "value": "aGk=", "expiry": 60 }, "options": place(database) }),
    )
}

fn read(who: &'static str, database: &str) -> Question {
    (who, "store.Store.Read", json!({ "key": "k", "options": place(database) }))
}

fn namespace(name: &str) -> Value {
    json!({ "options": { "namespace": name } })
}

fn account() -> Question {
    (
        "operator",
        "auth.Auth.Generate",
        json!({ "id": "ann", "secret": "pw", "options": { "namespace": "ns-a" } }),
    )
}

fn log_in(secret: &str) -> Question {
    (
        "nobody",
        "auth.Auth.Token",
        json!({ "id": "ann", "secret": secret, "options": { "namespace": "ns-a" } }),
    )
}

fn signup(method: &'static str, body: Value) -> Question {
    let mut body = body;
    body["email"] = Value::from("c@d.e");
    ("nobody", method, body)
}

fn send() -> Question {
    signup("signup.Signup.SendVerificationEmail", json!({}))
}

fn verify(code: &str) -> Question {
    signup("signup.Signup.Verify", json!({ "token": code }))
}

fn complete(code: &str) -> Question {
    signup("signup.Signup.CompleteSignup", json!({ "token": code, "secret": "pw" }))
}

fn later(ms: i64) -> Question {
    ("nobody", "clock.advance", json!(ms))
}

fn customer() -> Question {
    ("operator", "customers.Customers.Read", json!({ "email": "c@d.e" }))
}

fn namespaces() -> Question {
    ("operator", "namespaces.Namespaces.List", json!({ "user": "$customer" }))
}

fn config(who: &'static str, method: &'static str, path: &str, data: &str) -> Question {
    let mut body = json!({ "namespace": "micro", "path": path });
    if !data.is_empty() {
        body["value"] = json!({ "data": data });
    }
    (who, method, body)
}

fn set(path: &str, data: &str) -> Question {
    config("operator", "config.Config.Set", path, data)
}

fn get(who: &'static str, path: &str) -> Question {
    config(who, "config.Config.Get", path, "")
}

fn run(who: &'static str, method: &'static str, name: &str) -> Question {
    let service = json!({ "name": name, "source": format!("github.com/micro/services/{name}") });
    (who, method, json!({ "resource": { "service": service } }))
}

fn invite(who: &'static str, email: &str) -> Question {
    (who, "invite.Invite.User", json!({ "email": email }))
}

fn post(title: &str) -> Question {
    ("operator", "posts.Posts.Save", json!({ "id": "p", "title": title, "tags": ["x"] }))
}

fn blog() -> Vec<Question> {
    vec![
        run("operator", "runtime.Runtime.Create", "tags"),
        run("operator", "runtime.Runtime.Create", "posts"),
    ]
}

fn posts() -> Question {
    ("operator", "posts.Posts.Query", json!({}))
}

fn tags() -> Question {
    ("operator", "tags.Tags.List", json!({ "type": "post-tag" }))
}

fn store_questions(defect: Defect) -> Option<Vec<Question>> {
    let blob = json!({ "key": "k", "blob": "aGk=", "options": { "namespace": "ns-a" } });
    let blob_key = json!({ "key": "k", "options": { "namespace": "ns-a" } });
    Some(match defect {
        Defect::StoreReadsAnyNamespace => vec![write("alice", "ns-a"), read("bob", "ns-a")],
        Defect::StoreWritesAnyNamespace => vec![write("bob", "ns-a")],
        Defect::StoreReadIgnoresPrefixBoundary => vec![write("alice", "ns-a"), read("twin", "ns-a")],
        Defect::StoreErrorShowsValue | Defect::StoreErrorShowsExistence => {
            vec![write("alice", "ns-a"), read("bob", "ns-a")]
        }
        Defect::StoreListShowsForeignKeys => {
            let list = json!({ "options": place("ns-b") });
            vec![write("alice", "ns-a"), ("bob", "store.Store.List", list)]
        }
        Defect::BlobReadsAnyNamespace => {
            vec![("alice", "store.BlobStore.Write", blob), ("bob", "store.BlobStore.Read", blob_key)]
        }
        Defect::LostWrite | Defect::HttpRpcDiffer => vec![write("alice", "ns-a"), read("alice", "ns-a")],
        Defect::DeletedRecordStays => {
            let delete = json!({ "key": "k", "options": place("ns-a") });
            vec![write("alice", "ns-a"), ("alice", "store.Store.Delete", delete), read("alice", "ns-a")]
        }
        Defect::RecordNeverExpires => vec![write("alice", "ns-a"), later(61_000), read("alice", "ns-a")],
        Defect::StoreForgetsOnRestart => {
            vec![write("alice", "ns-a"), ("nobody", "pod.restart", json!("store")), read("alice", "ns-a")]
        }
        Defect::HealthLies => vec![read("operator", "micro")],
        _ => return None,
    })
}

fn auth_questions(defect: Defect) -> Option<Vec<Question>> {
    let rule =
        json!({ "rule": { "id": "r", "access": 1, "resource": {} }, "options": { "namespace": "ns-a" } });
    let ann = json!({ "id": "ann", "options": { "namespace": "ns-a" } });
    let changed = json!({
        "id": "ann", "old_secret": "pw", "new_secret": "new", "options": { "namespace": "ns-a" },
    });
    let inspect = |who| (who, "auth.Accounts.List", json!({}));
    let micro_rules = ("operator", "auth.Rules.List", json!({}));
    Some(match defect {
        Defect::AccountsListOpen => vec![("bob", "auth.Accounts.List", namespace("ns-a"))],
        Defect::AccountsListShowsSecrets => vec![("operator", "auth.Accounts.List", json!({}))],
        Defect::AccountsDeleteOpen => vec![account(), ("bob", "auth.Accounts.Delete", ann)],
        Defect::RulesListOpen => vec![("bob", "auth.Rules.List", namespace("ns-a"))],
        Defect::RulesCreateOpen => vec![("bob", "auth.Rules.Create", rule)],
        Defect::GenerateOpen => vec![("bob", "auth.Auth.Generate", ann)],
        Defect::DefaultAdminBack => {
            vec![("nobody", "auth.Auth.Token", json!({ "id": "admin", "secret": "micro" }))]
        }
        Defect::DefaultAdminInTenants => {
            let admin = json!({ "id": "admin", "secret": "micro", "options": { "namespace": "ns-a" } });
            vec![("nobody", "auth.Auth.Token", admin)]
        }
        Defect::DefaultRuleBack => vec![micro_rules],
        Defect::ExpiredTokenAccepted => vec![inspect("late")],
        Defect::GarbageTokenAccepted => vec![inspect("garbage")],
        Defect::TokenForOtherNamespace => vec![account(), log_in("pw")],
        Defect::WrongPasswordAccepted | Defect::SecretInError => vec![account(), log_in("no")],
        Defect::OldPasswordAccepted => {
            vec![account(), ("alice", "auth.Accounts.ChangeSecret", changed), log_in("pw")]
        }
        Defect::DeletedAccountLogsIn => vec![account(), ("alice", "auth.Accounts.Delete", ann), log_in("pw")],
        Defect::DeletedAccountRefreshes => {
            let refresh = json!({ "refresh_token": "$ann", "options": { "namespace": "ns-a" } });
            vec![account(), ("alice", "auth.Accounts.Delete", ann), ("nobody", "auth.Auth.Token", refresh)]
        }
        Defect::RulesForgottenOnRestart => vec![("nobody", "pod.restart", json!("auth")), micro_rules],
        Defect::AccountsForgottenOnRestart => {
            vec![account(), ("nobody", "pod.restart", json!("auth")), log_in("pw")]
        }
        _ => return None,
    })
}

fn signup_questions(defect: Defect) -> Option<Vec<Question>> {
    let active = || vec![send(), verify("$code"), complete("$code"), later(60_000), customer()];
    let recover = signup("signup.Signup.Recover", json!({}));
    let code = ("operator", "store.Store.Read", json!({ "key": "c@d.e", "options": { "table": "signup" } }));
    let join = signup(
        "signup.Signup.CompleteSignup",
        json!({ "token": "$code", "secret": "pw", "namespace": "shared" }),
    );
    let shared = ("operator", "namespaces.Namespaces.Create", json!({ "owners": ["x"], "id": "shared" }));
    let invited = ("operator", "invite.Invite.User", json!({ "email": "c@d.e", "namespace": "shared" }));
    Some(match defect {
        Defect::CodeNeverExpires => vec![send(), later(301_000), verify("$code")],
        Defect::ExpiredCodeCompletes => vec![send(), later(301_000), complete("$code")],
        Defect::CodeReusable => [active(), vec![code]].concat(),
        Defect::OldCodeAccepted => vec![send(), send(), verify("$old")],
        Defect::WrongCodeAccepted | Defect::CodeInError => vec![send(), verify("AAAAAAAA")],
        Defect::CodeTooShort | Defect::CodeNotSent => vec![send(), code],
        Defect::LogShowsCodes => vec![send(), ("operator", "signup.Debug.Log", json!({}))],
        Defect::UninvitedAccepted => vec![set("micro.invite.invite_only", "true"), send()],
        Defect::SecondSignupAccepted => [active(), vec![send()]].concat(),
        Defect::SignupWrongNamespace | Defect::NamespaceBadName => vec![send(), complete("$code")],
        Defect::JoinGivesWrongNamespace => vec![shared, invited, send(), join],
        Defect::CustomerNeverActive => active(),
        Defect::AccountMissingAfterSignup => {
            [active(), vec![("operator", "auth.Accounts.List", namespace("$namespace"))]].concat()
        }
        Defect::CustomerDeleteKeepsAccount => {
            let delete = ("operator", "customers.Customers.Delete", json!({ "id": "$customer" }));
            [active(), vec![delete, namespaces()]].concat()
        }
        Defect::RecoverShowsSecret => [active(), vec![recover.clone(), recover]].concat(),
        _ => return None,
    })
}

fn other_questions(defect: Defect) -> Option<Vec<Question>> {
    let hello = ("operator", "helloworld.Helloworld.Call", json!({ "name": "Ann" }));
    let services = |who| (who, "runtime.Runtime.Read", json!({}));
    let created = || run("operator", "runtime.Runtime.Create", "helloworld");
    let secret = json!({
        "namespace": "micro", "path": "s", "value": { "data": "\"x\"" }, "options": { "secret": true },
    });
    let domain = json!({ "options": { "domain": "ns-a" } });
    let foreign = json!({ "email": "e@f.g", "namespace": "ns-a" });
    Some(match defect {
        Defect::InviteToForeignNamespace => vec![open_invite(), ("bob", "invite.Invite.User", foreign)],
        Defect::InviteLimitIgnored => {
            let invites = ["1@a.b", "2@a.b", "3@a.b", "4@a.b", "5@a.b", "6@a.b"];
            [vec![open_invite()], invites.iter().map(|email| invite("bob", email)).collect()].concat()
        }
        Defect::CustomersReadOpen => vec![open("customers"), ("bob", "customers.Customers.List", json!({}))],
        Defect::NamespacesListOpen => {
            vec![open("namespaces"), ("bob", "namespaces.Namespaces.List", json!({}))]
        }
        Defect::HelloworldWrongAnswer | Defect::ServiceNotRunning => {
            vec![created(), services("operator"), hello]
        }
        Defect::PostsNotListed => [blog(), vec![post("One"), posts()]].concat(),
        Defect::PostUpdateLost => [blog(), vec![post("One"), post("Two"), posts()]].concat(),
        Defect::DeletedPostStays => {
            [blog(), vec![post("One"), ("operator", "posts.Posts.Delete", json!({ "id": "p" })), posts()]]
                .concat()
        }
        Defect::TagsCountWrong => [blog(), vec![post("One"), tags()]].concat(),
        Defect::TagsRemoveIgnored => {
            let remove = json!({ "resourceID": "p", "type": "post-tag", "title": "x" });
            [blog(), vec![post("One"), ("operator", "tags.Tags.Remove", remove), tags()]].concat()
        }
        Defect::DebugOpenToAnonymous => vec![("nobody", "customers.Debug.Health", json!({}))],
        Defect::HealthWrong => vec![("operator", "registry.Debug.Health", json!({}))],
        Defect::StatusLies => vec![("nobody", "status.Status.Call", json!({}))],
        Defect::ConfigSecretInPlain => vec![("operator", "config.Config.Set", secret), get("operator", "s")],
        Defect::ConfigReadsAnyNamespace => vec![get("bob", "micro.signup")],
        Defect::ConfigSetLost => vec![set("a", "1"), get("operator", "a")],
        Defect::ConfigMergeReplaces => {
            vec![set("a", r#"{"b":1}"#), set("a", r#"{"c":1}"#), get("operator", "a")]
        }
        Defect::RuntimeReadOpen => vec![services("bob")],
        Defect::RuntimeWriteOpen => vec![run("bob", "runtime.Runtime.Create", "helloworld")],
        Defect::ServiceNotDeleted => {
            vec![created(), run("operator", "runtime.Runtime.Delete", "helloworld"), services("operator")]
        }
        Defect::RegistryListsAnyNamespace => vec![("bob", "registry.Registry.ListServices", domain)],
        _ => return None,
    })
}

/// A rule that lets everybody reach a service of namespace micro.
fn open(service: &str) -> Question {
    let resource = json!({ "type": "service", "name": service, "endpoint": "*" });
    let rule = json!({ "rule": { "id": format!("a-{service}"), "access": 1, "resource": resource } });
    ("operator", "auth.Rules.Create", rule)
}

fn open_invite() -> Question {
    open("invite")
}

/// Seen over sockets only.
fn is_of_doors_or_pods(defect: Defect) -> bool {
    matches!(
        defect,
        Defect::AnonymousHeaderMakesRules
            | Defect::TenantHeaderMisroutes
            | Defect::GatewayErrorLowercaseKeys
            | Defect::GatewayRulesIgnored
            | Defect::UnknownServiceAnswers
            | Defect::UnknownMethodAnswers
            | Defect::UnknownFieldIgnored
            | Defect::PreflightRefused
            | Defect::CoreDeploymentMissing
            | Defect::RunListServiceMissing
            | Defect::StatsEmpty
            | Defect::RpcIgnoresRules
            | Defect::PodNeverReady
            | Defect::PodSlow
            | Defect::PodNotServed
            | Defect::PodNeverReplaced
            | Defect::WatchSilent
            | Defect::GhostNodeStays
            | Defect::NamespaceLabelMissing
    )
}

#[test]
fn each_defect_of_the_platform_can_be_seen() {
    let mut unseen = Vec::new();
    for defect in Defect::ALL.iter().copied().filter(|defect| !is_of_doors_or_pods(*defect)) {
        let questions = store_questions(defect)
            .or_else(|| auth_questions(defect))
            .or_else(|| signup_questions(defect))
            .or_else(|| other_questions(defect));
        if !questions.is_some_and(|questions| is_seen(defect, &questions)) {
            unseen.push(defect.name());
        }
    }
    assert!(unseen.is_empty(), "not seen: {unseen:?}");
}
