//! What cases are given: a flow that is run once before all cases that name it.

use crate::program::{Bench, code, stderr, stdout, summary};
use serde_json::Value;

/// What the platform says as long as nobody is given anything.
const UNTOUCHED: &str = "'\"Finishing signup for %s\"'";

/// Makes a rule, which cannot be made twice, and sets a key that another flow sets too.
fn flow(name: &str, value: &str) -> (String, String) {
    let text = format!(
        "flow: {name}
why: the platform is as these cases want it
steps:
  - call:
      op: auth.create_rule
      as: operator
      json:
        rule: {{ id: {name}, scope: '*', resource: {{ type: service, name: a, endpoint: '*' }}, access: GRANTED }}
        options: {{ namespace: micro }}
  - call:
      op: config.set
      as: operator
      json: {{ namespace: micro, path: micro.signup.message, value: {{ data: '\"{value}\"' }} }}
"
    );
    (format!("{name}.yaml"), text)
}

/// A case that finds the key as it was given.
fn case(id: &str, given: &str, value: &str) -> String {
    format!(
        "  - id: {id}
    why: a case finds what it is given
    {given}
    steps:
      - call:
          op: config.get
          as: operator
          json: {{ namespace: micro, path: micro.signup.message }}
          expect: {{ body: {{ $.value.data: {value} }} }}
"
    )
}

fn run(bench: &Bench, cases: &[String], flows: &[(String, String)]) -> (i32, Value) {
    let to = bench.suites_without_cases();
    for (name, text) in flows {
        std::fs::write(to.join("flows").join(name), text).unwrap();
    }
    std::fs::write(to.join("cases.yaml"), format!("title: Given\ncases:\n{}", cases.concat())).unwrap();
    let output = bench.muster(&["run", "--suites", "suites"]).output().unwrap();
    assert!(matches!(code(&output), 0 | 1 | 3), "{}{}", stdout(&output), stderr(&output));
    (code(&output), summary(&bench.path("reports")))
}

#[test]
fn what_cases_are_given_is_made_once_and_put_back_after_the_last_of_them() {
    let bench = Bench::new();
    let before = bench.state();
    let cases = [
        case("one-is-given-blue", "given: blue", "'\"blue\"'"),
        case("two-is-given-blue", "given: blue", "'\"blue\"'"),
        case("three-is-given-red", "given: red", "'\"red\"'"),
        case("four-is-given-red", "given: red", "'\"red\"'"),
        case("five-is-given-nothing", "tags: [x]", UNTOUCHED),
        case("six-is-alone", "alone: true", UNTOUCHED),
    ];
    let (code, summary) = run(&bench, &cases, &[flow("blue", "blue"), flow("red", "red")]);
    assert_eq!(code, 0, "{}", summary["cases"]);
    assert_eq!(summary["totals"]["passed"], 6);
    assert_eq!(bench.state(), before);
}

#[test]
fn what_cannot_be_given_fails_every_case_that_wants_it_and_is_put_back() {
    let bench = Bench::new();
    let before = bench.state();
    let (name, text) = flow("blue", "blue");
    let refused =
        "  - call: { op: store.read, as: operator, json: { key: nowhere }, expect: { status: 200 } }\n";
    let cases = [
        case("one-is-given-blue", "given: blue", "'\"blue\"'"),
        case("two-is-given-blue", "given: blue", "'\"blue\"'"),
        case("three-is-given-nothing", "tags: [x]", UNTOUCHED),
    ];
    let (code, summary) = run(&bench, &cases, &[(name, text + refused)]);
    assert_eq!(code, 1);
    for case in summary["cases"].as_array().unwrap() {
        let is_given = case["case"].as_str().unwrap().ends_with("blue");
        assert_eq!(case["outcome"], if is_given { "fail" } else { "pass" }, "{case}");
        assert_eq!(case["failures"].as_array().unwrap().len(), usize::from(is_given), "{case}");
        if is_given {
            let told = "in flow blue, step `call store.read`: status: wanted 200, found 404";
            assert_eq!(case["failures"][0]["step"], "given blue", "{case}");
            assert_eq!(case["failures"][0]["message"], told, "{case}");
        }
    }
    assert_eq!(bench.state(), before);
}

#[test]
fn a_case_in_which_nothing_was_asked_is_no_pass() {
    let bench = Bench::new();
    let nothing = ("nothing.yaml".to_owned(), "flow: nothing\nwhy: it does nothing\nsteps: []\n".to_owned());
    let never = "flow: never\nwhy: it never asks\nsteps:\n  - when: $(1 == 2)\n    call: { op: auth.rules, as: operator, \
                 json: { options: { namespace: micro } } }\n";
    let case = |id: &str, step: &str| {
        format!("  - id: {id}\n    why: what asks nothing proves nothing\n    steps:\n      - {step}\n")
    };
    let cases = [
        case("only-a-pause", "pause: { for: 1ms, why: nothing is watched }"),
        case("an-empty-flow", "flow: { use: nothing }"),
        case("a-flow-that-never-asks", "flow: { use: never }"),
    ];
    let (code, summary) = run(&bench, &cases, &[nothing, ("never.yaml".to_owned(), never.to_owned())]);
    assert_eq!(code, 3, "{}", summary["cases"]);
    for case in summary["cases"].as_array().unwrap() {
        assert_eq!(case["outcome"], "inconclusive", "{case}");
        assert_eq!(case["failures"][0]["kind"], "case.asked-nothing", "{case}");
    }
}

#[test]
fn cases_that_are_given_the_same_stand_together_whatever_the_seed() {
    let bench = Bench::new();
    let to = bench.suites_without_cases();
    for (name, text) in [flow("blue", "blue"), flow("red", "red")] {
        std::fs::write(to.join("flows").join(name), text).unwrap();
    }
    let cases = (0..4).flat_map(|number| {
        ["blue", "red"].map(|color| case(&format!("{color}-{number}"), &format!("given: {color}"), UNTOUCHED))
    });
    let cases: Vec<String> = cases.collect();
    std::fs::write(to.join("cases.yaml"), format!("title: Given\ncases:\n{}", cases.concat())).unwrap();
    for seed in ["1", "2", "3", "4"] {
        let plan =
            bench.muster(&["run", "--suites", "suites", "--dry-run", "--seed", seed]).output().unwrap();
        let plan = stdout(&plan);
        let lines = plan.lines().filter_map(|line| line.trim().strip_prefix("given"));
        let colors: Vec<bool> = lines.map(|line| line.contains("blue-")).collect();
        assert_eq!(colors.len(), 8, "{plan}");
        let changes = colors.windows(2).filter(|pair| pair[0] != pair[1]).count();
        assert_eq!(changes, 1, "seed {seed}: {plan}");
    }
}

/// A case after whose pause every cache of rules but that of `customers` is filled anew, and one that finds every service shut.
fn opened_and_shut() -> String {
    let asked = |service: &str, via: &str, expect: &str| {
        format!(
            "      - call: {{ op: debug.health, with: {{ service: {service} }}, via: {via}, as: anonymous, expect: {{ {expect} }} }}\n"
        )
    };
    let others = ["emails", "invite", "namespaces", "subscriptions"];
    let each = |services: &[&str], expect: &str| -> String {
        ["http", "rpc"].iter().flat_map(|via| services.iter().map(|it| asked(it, via, expect))).collect()
    };
    format!(
        "title: Doors
cases:
  - id: opens
    why: services are open while rules say so
    steps:
      - flow: {{ use: open-services }}
      - pause: {{ for: 31s, why: every process forgets the rules that it knows }}
{}  - id: finds-them-shut
    why: what rules opened is shut when they are taken back
    steps:
{}",
        each(&others, "status: 200"),
        each(&[&others[..], &["customers"]].concat(), "refused: true"),
    )
}

#[test]
fn services_that_were_opened_are_shut_by_every_door_when_the_rules_are_taken_back() {
    let bench = Bench::new();
    std::fs::write(bench.suites_without_cases().join("doors.yaml"), opened_and_shut()).unwrap();
    for case in ["opens", "finds-them-shut"] {
        let output = bench.muster(&["run", "--suites", "suites", "--exact", case]).output().unwrap();
        assert_eq!(code(&output), 0, "{}{}", stdout(&output), stderr(&output));
    }
}
