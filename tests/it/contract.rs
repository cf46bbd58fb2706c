//! The contract: the fake platform answers as the real one was recorded to answer.
//!
//! Lives here: replaying `fixtures/captures` over real sockets and comparing. Does not: the fake; what it is known to do
//! otherwise stands in `fixtures/contract-differences.yaml`.

#![expect(clippy::unwrap_used, reason = "what a test cannot do without may panic")]

mod compare;
pub(crate) mod exchange;
mod recording;

use exchange::Wire;
use muster::fake::{Addresses, Defect, Fake, Options, Profile, start};
use recording::{Difference, Recording, Step};
use std::collections::BTreeMap;
use std::time::Duration;

macro_rules! replays {
    ($($name:ident: $file:literal,)*) => {$(
        #[test]
        fn $name() {
            replay($file);
        }
    )*

    const REPLAYED: &[&str] = &[$($file),*];
    };
}

#[test]
fn every_recording_is_replayed() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/captures");
    let mut found: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .filter_map(|entry| Some(entry.unwrap().file_name().to_str()?.strip_suffix(".json")?.to_owned()))
        .collect();
    found.sort();
    let mut known = REPLAYED.to_vec();
    known.sort_unstable();
    assert_eq!(found, known);
}

replays! {
    accounts_are_kept_as_recorded: "auth-accounts",
    rules_are_kept_as_recorded: "auth-rules-crud",
    debug_answers_as_recorded: "debug-endpoints",
    paths_lead_where_they_led: "gateway-paths",
    the_proxy_answers_as_recorded: "grpc-proxy",
    services_run_as_recorded: "helloworld-runtime",
    invitations_go_as_recorded: "m3o-invite",
    an_expired_code_is_treated_as_recorded: "m3o-signup-expired-token",
    signup_goes_as_recorded: "m3o-signup-free",
    namespaces_are_chosen_as_recorded: "ns-routing",
    the_store_is_divided_as_recorded: "ns-store-isolation",
    posts_and_tags_answer_as_recorded: "posts-tags",
    rules_have_the_priorities_recorded: "rules-priorities",
    the_runbook_s_rules_do_what_they_did: "rules-runbook",
    a_tenant_s_rules_do_what_they_did: "rules-tenant",
    databases_come_into_being_as_recorded: "store-databases",
    records_expire_as_recorded: "store-expiry",
    lists_are_ordered_as_recorded: "store-list",
    config_values_are_kept_as_recorded: "config-values",
    bodies_are_read_as_recorded: "gateway-bodies",
    queries_are_read_as_recorded: "gateway-query",
    small_services_answer_as_recorded: "m3o-small-services",
    usage_and_billing_answer_as_recorded: "m3o-usage-billing",
    config_runtime_and_registry_are_divided_as_recorded: "ns-config-runtime-registry",
    the_runtime_refuses_as_recorded: "runtime-errors",
    broker_and_events_answer_as_recorded: "broker-and-events",
    large_and_slow_calls_are_answered_as_recorded: "gateway-large-and-slow",
}

/// A fresh fake with every misbehaviour that the real platform had.
fn fresh_fake() -> Fake {
    let real = Defect::ALL.iter().filter(|defect| defect.is_real());
    let options = Options {
        seed: 7,
        pace: 1.0,
        defects: real.map(|defect| defect.name().to_owned()).collect(),
        profile: Profile::Fresh,
        now: jiff::Timestamp::from_second(1_795_594_000).unwrap(),
        secrets_file: "none".into(),
        operator_secret: None,
        addresses: Addresses::default(),
    };
    start(options).unwrap()
}

fn replay(file: &str) {
    let recording = Recording::read(file);
    let known = Difference::of_file(file);
    let fake = fresh_fake();
    let wire = Wire::to(&fake.addresses);
    let mut bound = BTreeMap::new();
    let mut wrong = Vec::new();
    for (index, step) in recording.steps.iter().enumerate() {
        let differs = play(&wire, step, &mut bound).err();
        let expected = known.iter().find(|one| one.step == index);
        match (differs, expected) {
            (Some(how), None) => wrong.push(format!("step {index} `{}`: {how}", step.name)),
            (None, Some(one)) => {
                wrong.push(format!("step {index} `{}` no longer differs: {}", step.name, one.reason))
            }
            _ => {}
        }
    }
    let count = recording.steps.len();
    assert!(wrong.is_empty(), "{} of {count} steps of {file}:\n{}", wrong.len(), wrong.join("\n"));
}

/// Plays one step; what differs is the error.
fn play(wire: &Wire, step: &Step, bound: &mut BTreeMap<String, String>) -> Result<(), String> {
    if step.wait_ms > 0 {
        wire.advance_ms(step.wait_ms);
    }
    let (every_ms, max_ms) = step.poll.as_ref().map_or((1, 0), |poll| (poll.every_ms, poll.max_ms));
    let mut waited_ms = 0;
    loop {
        let answer = wire.ask(step, bound);
        let outcome = compare::compare(step, &answer, bound);
        if outcome.is_ok() || waited_ms >= max_ms {
            compare::bind(step, &answer, bound);
            return outcome;
        }
        waited_ms += every_ms;
        wire.advance_ms(every_ms);
        std::thread::park_timeout(Duration::from_millis(5));
    }
}
