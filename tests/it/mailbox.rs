//! Messages received through each kind of mailbox, by the built program, over real sockets.

use crate::program::{Bench, code, muster, stderr, stdout, summary};
use serde_json::Value;

/// A suite that has a code sent and receives it; the code must be the one that the store holds.
const SENT_AND_RECEIVED: &str = r"
title: Codes by another way
cases:
  - id: a-code-comes
    why: a code that was sent can be received
    tags: [smoke]
    identities: { me: newcomer }
    steps:
      - call: { op: signup.send_code, json: { email: $(me.email) } }
      - receive: { what: signup-code, to: $(me.email), within: 4s, capture: first }
      - call: { op: signup.send_code, json: { email: $(me.email) } }
      - receive: { what: signup-code, to: $(me.email), within: 4s, capture: second, other_than: $(first) }
      - name: the code is accepted
        call: { op: signup.verify, json: { email: $(me.email), token: $(second) } }
";

/// The target file with another mailbox.
fn with_mailbox(bench: &Bench, entry: &str) {
    bench.rewrite_target(|text| {
        let (before, rest) = text.split_once("mailbox:\n").unwrap();
        let (_, groups) = rest.split_once("groups:\n").unwrap();
        format!("{before}mailbox:\n  signup-code: {entry}\ngroups:\n{groups}")
    });
}

/// Runs a suite; the exit code, the one case of the summary, and all that was printed.
fn run(bench: &Bench, suite: &str) -> (i32, Value, String) {
    let suites = bench.suites_without_cases();
    std::fs::create_dir_all(suites.join("mail")).unwrap();
    std::fs::write(suites.join("mail/mail.yaml"), suite).unwrap();
    let output = bench.muster(&["run", "--suites", "suites"]).output().unwrap();
    let told = stdout(&output) + &stderr(&output);
    let case = summary(&bench.path("reports"))["cases"][0].clone();
    (code(&output), case, told)
}

#[test]
fn the_log_that_an_operation_answers_with_is_a_mailbox() {
    let bench = Bench::with_defects(&["log-shows-codes"]);
    with_mailbox(
        &bench,
        "{ log: { op: debug.log, with: { service: signup }, lines: '$.records[*].message' }, pattern: \"token '([A-Za-z]{8})'\" }",
    );
    let (code, case, told) = run(&bench, SENT_AND_RECEIVED);
    assert_eq!((code, &case["outcome"]), (0, &"pass".into()), "{told}");
}

#[test]
fn a_log_without_a_line_for_the_address_fails_and_one_that_cannot_be_read_does_not() {
    let bench = Bench::new();
    let entry = |service: &str| {
        format!(
            "{{ log: {{ op: debug.log, with: {{ service: {service} }}, lines: '$.records[*].message' }}, pattern: \"token '([A-Za-z]{{8}})'\" }}"
        )
    };
    with_mailbox(&bench, &entry("signup"));
    let (code, case, told) = run(&bench, SENT_AND_RECEIVED);
    assert_eq!((code, &case["outcome"]), (1, &"fail".into()), "{told}");
    assert_eq!(case["failures"][0]["kind"], "receive.nothing", "{case:#}");
    with_mailbox(&bench, &entry("nobody"));
    let (code, case, told) = run(&bench, SENT_AND_RECEIVED);
    assert_eq!((code, &case["outcome"]), (3, &"inconclusive".into()), "{told}");
    assert_eq!(case["failures"][0]["kind"], "mailbox.unreadable", "{case:#}");
}

#[test]
fn the_log_of_pods_is_a_mailbox() {
    let bench = Bench::with_defects(&["log-shows-codes"]);
    let entry = |name: &str| {
        format!(
            "{{ log: {{ pods: {{ namespace: micro, selector: name={name} }} }}, pattern: \"token '([A-Za-z]{{8}})'\" }}"
        )
    };
    with_mailbox(&bench, &entry("signup"));
    let (code, case, told) = run(&bench, SENT_AND_RECEIVED);
    assert_eq!((code, &case["outcome"]), (0, &"pass".into()), "{told}");
    with_mailbox(&bench, &entry("signup").replace("name=signup", "micro=service"));
    let (code, case, told) = run(&bench, SENT_AND_RECEIVED);
    assert_eq!((code, &case["outcome"]), (0, &"pass".into()), "among thirteen pods: {told}");
    with_mailbox(&bench, &entry("status"));
    let (_, case, told) = run(&bench, SENT_AND_RECEIVED);
    assert_eq!(case["failures"][0]["kind"], "receive.nothing", "{told}");
    with_mailbox(&bench, &entry("nobody"));
    let (_, case, told) = run(&bench, SENT_AND_RECEIVED);
    assert_eq!(case["outcome"], "inconclusive", "{told}");
    assert_eq!(
        case["failures"][0]["message"],
        "0 pods in micro fit `name=nobody`, and none has written a line"
    );
}

#[test]
fn doctor_and_rbac_know_the_logs_of_pods() {
    let bench = Bench::new();
    with_mailbox(&bench, "{ log: { pods: { namespace: micro, selector: name=signup } }, pattern: '(.)' }");
    let told = stdout(&bench.muster(&["doctor"]).output().unwrap());
    assert!(told.contains("ok      mailbox signup-code        the log of 1 pods can be read\n"), "{told}");
    let mut rbac = muster();
    rbac.current_dir(bench.folder.path()).args(["rbac", "--target", "target.yaml", "signup-flow"]);
    let told = stdout(&rbac.output().unwrap());
    assert!(
        told.contains("- apiGroups: [\"\"]\n    resources: [\"pods/log\"]\n    verbs: [\"get\"]\n"),
        "{told}"
    );
    bench.rewrite_target(|text| text.replace("selector: name=signup", "selector: name=nobody"));
    let output = bench.muster(&["doctor"]).output().unwrap();
    assert_eq!(code(&output), 3);
    let told = stdout(&output);
    assert!(told.contains("NOT OK  mailbox signup-code        no pod fits `name=nobody`\n"), "{told}");
    assert!(told.contains("→ kubectl -n micro logs -l 'name=nobody'\n"), "{told}");
}

/// A log may hold what was sent to others, which no mask knows.
#[test]
fn the_lines_of_a_log_stand_in_no_report() {
    let bench = Bench::with_defects(&["log-shows-codes"]);
    with_mailbox(
        &bench,
        "{ log: { op: debug.log, with: { service: signup }, lines: '$.records[*].message' }, pattern: 'never (.)' }",
    );
    let (_, case, told) = run(&bench, SENT_AND_RECEIVED);
    assert_eq!(case["failures"][0]["kind"], "receive.nothing", "{told}");
    let record = std::fs::read_to_string(bench.path("reports/run.jsonl")).unwrap();
    assert!(record.contains("lines were read; 1 of them hold "), "{record}");
    for entry in std::fs::read_dir(bench.path("reports")).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        assert!(!text.contains("Sending verification token"), "{text}");
    }
}
