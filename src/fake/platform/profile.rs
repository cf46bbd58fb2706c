//! In which state a platform begins: as a runbook leaves it, or fresh.
//!
//! Lives here: accounts, rules, config and services of the beginning, and what a restart loses by defect. Does not:
//! anything that happens later.

use super::rules::{GRANTED, Resource, Rule};
use super::service::{auth, config, rules, runtime};
use super::{MICRO, State};
use super::{provider, serve};
use crate::fake::defect::Defect;
use crate::fake::pod::{Deployment, Order};
use rand::RngExt as _;
use serde_json::{Value, json};

/// The id of the operator's account.
pub(crate) const OPERATOR: &str = "muster";

/// The core on a cluster, as the runbook lists it.
pub(crate) const CORE: [&str; 11] = [
    "api", "auth", "broker", "config", "debug", "network", "proxy", "registry", "router", "runtime", "store",
];

/// The core of a local server, as the recordings have it.
const LOCAL_CORE: [&str; 11] = [
    "api", "auth", "broker", "config", "events", "network", "proxy", "registry", "runtime", "server", "store",
];

/// The services that the runbook runs.
pub(crate) const RUN_LIST: [&str; 13] = [
    "alert",
    "build",
    "client",
    "customers",
    "emails",
    "gitops",
    "invite",
    "namespaces",
    "payments",
    "platform",
    "signup",
    "status",
    "subscriptions",
];

const STATUS: &str = "api,auth,broker,config,network,proxy,registry,runtime,status,store,signup,platform,invite,\
                      customers,namespaces,subscriptions,emails,alert";

/// The platform after the runbook; the operator's secret, the given one or a drawn one, is the answer.
pub(crate) fn after_runbook(state: &mut State, secret: Option<String>) -> String {
    start_core(state, &CORE);
    for (path, value) in settings() {
        config::put(state, path, &value);
    }
    let key = if state.has(Defect::ProviderKeyWrong) { "sk_test_none" } else { provider::ACCEPTED_KEY };
    config::put_secret(state, "micro.payments.stripe.api_key", &json!(key));
    for service in ["alert", "auth", "signup", "status"] {
        rules::add(state, MICRO, &rule(service, "", "service", service));
    }
    let left = [(Defect::UsageRuleLeft, "usage"), (Defect::SubscriptionsRuleLeft, "subscriptions")];
    for (_, service) in left.into_iter().filter(|(defect, _)| state.has(*defect)).collect::<Vec<_>>() {
        rules::add(state, MICRO, &rule(service, "", "service", service));
    }
    rules::add(state, MICRO, &rule("onlyloggedin", "*", "*", "*"));
    let drawn: String = (0..32)
        .map(|_| char::from(b"abcdefghijkmnpqrstuvwxyz23456789"[state.rng.random_range(0..32)]))
        .collect();
    let secret = secret.unwrap_or(drawn);
    let mut operator = auth::plain_user(OPERATOR, OPERATOR, MICRO, &secret);
    operator.scopes = vec!["admin".to_owned()];
    auth::create(state, operator);
    let is_missing = |service: &str| service == "gitops" && state.has(Defect::RunListServiceMissing);
    let wanted: Vec<&str> = RUN_LIST.iter().copied().filter(|service| !is_missing(service)).collect();
    for service in wanted {
        run(state, service);
    }
    secret
}

/// A local server that has just become ready.
pub(crate) fn fresh(state: &mut State) {
    start_core(state, &LOCAL_CORE);
    rules::add(state, MICRO, &Rule::default_rule());
}

/// The outer doors have read the rules of namespace micro once, so that changes take their time.
pub(crate) fn read_rules(state: &mut State) {
    for process in ["api", "proxy"] {
        // What cannot be read now is read with the first request.
        let _ = serve::rules_of(state, process, MICRO);
    }
}

/// What a replaced pod has lost, by defect.
pub(crate) fn after_restart(state: &mut State, service: &str) {
    match service {
        "store" if state.has(Defect::StoreForgetsOnRestart) => state.records.keep_only(MICRO),
        "auth" if state.has(Defect::RulesForgottenOnRestart) => {
            rules::forget_all(state, MICRO);
            rules::add(state, MICRO, &Rule::default_rule());
        }
        "auth" if state.has(Defect::AccountsForgottenOnRestart) => state.token_key.rotate_left(1),
        _ => {}
    }
}

fn rule(id: &str, scope: &str, kind: &str, name: &str) -> Rule {
    let resource = Resource { name: name.to_owned(), kind: kind.to_owned(), endpoint: "*".to_owned() };
    Rule { id: id.to_owned(), scope: scope.to_owned(), resource, access: GRANTED, priority: 0 }
}

/// What the runbook sets, but for the key of the payment provider. People sign up without paying; what paying needs is
/// set all the same: the key [`provider::ACCEPTED_KEY`], which the pretend provider and nobody else accepts, and its
/// plan and prices. Whoever sets `micro.signup.no_payment` to false has a platform where people pay.
fn settings() -> [(&'static str, Value); 13] {
    [
        ("micro.alert.slack.enabled", json!(false)),
        ("micro.emails.enabled", json!(false)),
        ("micro.emails.email_from", json!("Micro Team <support@m3o.com>")),
        ("micro.signup.sendgrid.template_id", json!("d-240bf196257143569539b3b6b82127c0")),
        ("micro.signup.sendgrid.recovery_template_id", json!("d-08c2330ae2824de5b2730e49e298e97e")),
        ("micro.invite.sendgrid.invite_template_id", json!("d-2d107482af6d47f8a721315906ada753")),
        ("micro.status.services", json!(STATUS)),
        ("micro.signup.no_payment", json!(true)),
        ("micro.signup.message", json!("Finishing signup for %s")),
        ("micro.subscriptions.plan_id", json!(provider::PLAN)),
        ("micro.subscriptions.additional_users_price_id", json!(provider::USERS_PRICE)),
        ("micro.subscriptions.additional_services_price_id", json!(provider::SERVICES_PRICE)),
        ("micro.billing.max_included_services", json!(3)),
    ]
}

fn start_core(state: &mut State, members: &[&str]) {
    for member in members {
        let label = |key: &str, value: String| (key.to_owned(), value);
        state.orders.push(Order::Apply(Deployment {
            namespace: "default".to_owned(),
            name: format!("micro-{member}"),
            service: (*member).to_owned(),
            labels: vec![
                label("name", format!("micro-{member}")),
                label("version", "latest".to_owned()),
                label("micro", "runtime".to_owned()),
            ],
            replicas: 1,
            image: "ghcr.io/m3o/platform:v3.0.1".to_owned(),
        }));
    }
}

fn run(state: &mut State, service: &str) {
    let folder = if service == "client" { "api/client" } else { service };
    let running = runtime::Running {
        name: service.to_owned(),
        version: "latest".to_owned(),
        source: format!("github.com/m3o/services/{folder}"),
        owner: OPERATOR.to_owned(),
        group: MICRO.to_owned(),
        started: state.clock.now_text(),
        builds: 0,
    };
    runtime::run(state, MICRO, &running);
}
