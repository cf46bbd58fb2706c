//! Identities that live long: signed in anew before their token ends, and shared by the cases of a run.

use crate::program::{Bench, code, stderr, stdout, summary};
use serde_json::Value;

/// The suites of the repository with other cases instead of theirs, and with further flows.
fn suites_of(bench: &Bench, cases: &str, flows: &[(&str, &str)]) {
    let to = bench.suites_without_cases();
    for (name, text) in flows {
        std::fs::write(to.join("flows").join(name), text).unwrap();
    }
    std::fs::write(to.join("cases.yaml"), format!("title: Long lives\ncases:\n{cases}")).unwrap();
}

/// Runs the cases one after the other; gives the outcome of each.
fn outcomes(bench: &Bench) -> Vec<(String, String)> {
    let output = bench.muster(&["run", "--suites", "suites", "--jobs", "1"]).output().unwrap();
    assert!(matches!(code(&output), 0 | 1 | 3), "{}{}", stdout(&output), stderr(&output));
    let summary = summary(&bench.path("reports"));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let cases = summary["cases"].as_array().unwrap().iter();
    let told =
        cases.map(|case| (text(&case["case"]), format!("{} {}", text(&case["outcome"]), case["failures"])));
    told.collect()
}

fn all_passed(bench: &Bench, count: usize) {
    let outcomes = outcomes(bench);
    assert_eq!(outcomes.len(), count, "{outcomes:?}");
    assert!(outcomes.iter().all(|(_, outcome)| outcome == "pass []"), "{outcomes:?}");
}

const LATER: &str = "      - pause: { for: 5h, why: a token ends by the clock }\n";
const OPERATOR_ASKS: &str =
    "      - call: { op: auth.accounts, as: operator, json: { options: { namespace: micro } } }\n";

fn case(id: &str, rest: &str) -> String {
    format!("  - id: {id}\n    why: whoever works for long stays signed in\n{rest}")
}

#[test]
fn the_operator_is_signed_in_anew_before_its_token_ends() {
    let bench = Bench::new();
    let steps = |steps: &str| format!("    steps:\n{steps}");
    let cases = [
        case("within-a-case", &steps(&format!("{OPERATOR_ASKS}{LATER}{OPERATOR_ASKS}"))),
        case("a-pause-at-the-end", &steps(&format!("{OPERATOR_ASKS}{LATER}"))),
        case("with-the-next-case", &steps(OPERATOR_ASKS)),
    ];
    suites_of(&bench, &cases.concat(), &[]);
    all_passed(&bench, 3);
}

#[test]
fn what_was_changed_is_put_back_by_an_operator_who_is_signed_in_anew() {
    let bench = Bench::new();
    let before = bench.state();
    let steps = format!("    identities: {{ alice: tenant }}\n    steps:\n{OPERATOR_ASKS}{LATER}");
    suites_of(&bench, &case("a-pause-at-the-end", &steps), &[]);
    all_passed(&bench, 1);
    assert_eq!(bench.state(), before);
}

const SIGN_IN_BY_ADDRESS: &str = "flow: sign-in-by-address
why: a customer gets a token
inputs: { email: text, secret: secret, namespace: text }
steps:
  - call:
      op: auth.token
      json: { id: $(email), secret: $(secret), token_expiry: \"14400\", options: { namespace: $(namespace) } }
      capture: { access: { path: $.token.access_token, secret: true } }
outputs: { token: $(access), lives: 4h }
secret: [token]
";

/// Cases that share Alice: she signs up once, and is known by her namespace.
fn shared_cases(between: &str) -> String {
    let asks = "      - call:
          op: auth.accounts
          via: rpc
          as: alice
          json: { options: { namespace: $(alice.namespace) } }
";
    let identities = "    identities: { alice: tenant }\n    steps:\n";
    [
        case("the-first-asks", &format!("{identities}{asks}")),
        case("the-second-asks", &format!("{identities}{asks}{between}{asks}")),
        case("the-third-asks", &format!("    alone: true\n{identities}{asks}")),
    ]
    .concat()
}

fn signups(bench: &Bench) -> usize {
    let record = std::fs::read_to_string(bench.path("reports/run.jsonl")).unwrap();
    assert!(!record.is_empty());
    let address = bench.fakes.as_ref().unwrap().addresses.admin.to_string();
    let state = crate::program::get(&address, "/state");
    let state: Value = serde_json::from_str(&state).unwrap();
    state["mails"].as_array().map_or(0, Vec::len)
}

#[test]
fn an_identity_of_the_run_is_made_once_for_all_its_cases_and_put_back_at_the_end() {
    for (life, expected) in [("run", 1), ("case", 3)] {
        let bench = Bench::new();
        let before = bench.state();
        suites_of(&bench, &shared_cases(""), &[]);
        if life == "run" {
            bench.rewrite_target(|text| text.replace("life: case", "life: run"));
        }
        all_passed(&bench, 3);
        assert_eq!(signups(&bench), expected, "life: {life}");
        assert_eq!(bench.state(), before, "life: {life}");
    }
}

#[test]
fn an_identity_of_the_run_is_signed_in_anew_before_its_token_ends() {
    let bench = Bench::new();
    suites_of(&bench, &shared_cases(LATER), &[("sign-in-by-address.yaml", SIGN_IN_BY_ADDRESS)]);
    let new_tenant = bench.path("suites/flows/new-tenant.yaml");
    let text = std::fs::read_to_string(&new_tenant).unwrap();
    std::fs::write(new_tenant, text.replace("outputs: {", "outputs: { lives: 4h,")).unwrap();
    bench.rewrite_target(|text| text.replace("life: case", "life: run, signed_in_by: sign-in-by-address"));
    all_passed(&bench, 3);
    assert_eq!(signups(&bench), 1, "she is signed in anew, not made anew");
}
