//! What could not be judged: each reason has a kind of its own, none is a Pass, and none is a Fail.

use crate::interrupt::send;
use crate::program::{Bench, code, get, stdout, summary};
use std::process::{Child, Stdio};
use std::time::Duration;

/// A kind, the case that is not judged for it, and what is replaced in the target file.
type Row = (&'static str, &'static str, Option<(&'static str, &'static str)>);

const TABLE: [Row; 4] = [
    ("steady.before", DISRUPTS_WHAT_IS_NOT_SERVED, None),
    ("receive.mailbox", RECEIVES, Some(("signup-code:", "another:"))),
    ("need.undeclared", NEEDS, Some((", payments]", "]"))),
    ("transport.refused", READS, Some(("api: http://127.0.0.1:", "api: http://127.0.0.2:"))),
];

const READS: &str =
    "    steps: [{ call: { op: debug.health, with: { service: alert }, as: operator, via: http } }]\n";
const NEEDS: &str = "    needs: [payments]\n    steps: [{ call: { get: / } }]\n";
const RECEIVES: &str = "    identities: { me: newcomer }
    steps:
      - call: { op: signup.send_code, json: { email: $(me.email) } }
      - receive: { what: signup-code, to: $(me.email), within: 4s, capture: code }
";
const DISRUPTS_WHAT_IS_NOT_SERVED: &str =
    "    for_each: { pod: [{ name: alert, service: alert, group: services }] }
    steps:
      - disrupt:
          fault: { delete_pod: $(pod) }
          probes: { own: { op: debug.health, with: { service: nobody }, as: operator } }
          recovered: { when: [served], stable_for: 1s, within: 20s }
";

/// A bench with one case.
fn bench_of(case: &str) -> Bench {
    let bench = Bench::new();
    write_case(&bench, case);
    bench
}

fn write_case(bench: &Bench, case: &str) {
    let suite = format!("title: Undecided\ncases:\n  - id: undecided\n    why: it cannot be judged\n{case}");
    std::fs::write(bench.suites_without_cases().join("undecided.yaml"), suite).unwrap();
}

const RUN: [&str; 4] = ["run", "--suites", "suites", "--allow-disruption"];

/// The exit code, the outcome of the case, and the kinds of its failures.
fn told(bench: &Bench, code: i32) -> (i32, String, Vec<String>) {
    let case = summary(&bench.path("reports"))["cases"][0].clone();
    let kinds = case["failures"].as_array().unwrap().iter();
    let kinds = kinds.map(|failure| failure["kind"].as_str().unwrap().to_owned()).collect();
    (code, case["outcome"].as_str().unwrap().to_owned(), kinds)
}

fn inconclusive(kind: &str) -> (i32, String, Vec<String>) {
    (3, "inconclusive".into(), vec![kind.into()])
}

#[test]
fn each_reason_not_to_judge_has_its_own_kind_and_ends_in_3() {
    for (kind, case, change) in TABLE {
        let bench = bench_of(case);
        if let Some((from, to)) = change {
            bench.rewrite_target(|text| text.replacen(from, to, 1));
        }
        let output = bench.muster(&RUN).output().unwrap();
        assert_eq!(told(&bench, code(&output)), inconclusive(kind), "{}", stdout(&output));
    }
}

/// A moment of a run that is still under way.
fn go_on(run: &mut Child) {
    assert!(run.try_wait().unwrap().is_none(), "it ended before anything came of it");
    std::thread::sleep(Duration::from_millis(5));
}

#[test]
fn a_target_that_goes_down_in_the_middle_is_not_judged() {
    let (bench, fakes) = Bench::beside_fakes();
    let read = "call: { op: debug.health, with: { service: alert }, via: http, as: operator }";
    write_case(
        &bench,
        &format!(
            "    steps:\n      - {{ {read} }}\n      - {{ pause: {{ for: 4s, why: it goes down meanwhile }} }}\n      - {{ {read} }}\n"
        ),
    );
    bench.rewrite_target(|text| {
        text.replace("admin: ", "# admin: ").replace("clock, ", "").replace("pace: 0.05", "pace: 1")
    });
    let mut run = bench.muster(&RUN).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let record = bench.path("reports/run.jsonl");
    while !std::fs::read_to_string(&record).unwrap_or_default().contains("step-ended") {
        go_on(&mut run);
    }
    drop(fakes);
    let output = run.wait_with_output().unwrap();
    assert_eq!(told(&bench, code(&output)), inconclusive("transport.refused"), "{}", stdout(&output));
}

/// The probe is served all the time but for a short while; it is muster that does not ask.
const DISRUPTS: &str = "    for_each: { pod: [{ name: alert, service: alert, group: services }] }
    steps:
      - disrupt:
          fault: { delete_pod: $(pod) }
          probes: { own: { op: debug.health, with: { service: alert }, as: operator } }
          recovered: { when: [served], stable_for: 60s, within: 900s }
          budget: { own: 40s }
";

#[test]
fn a_probe_that_this_machine_keeps_from_asking_is_blind() {
    let bench = bench_of(DISRUPTS);
    let address = bench.fakes.as_ref().unwrap().addresses.kubernetes.to_string();
    let names = || {
        let pods: serde_json::Value =
            serde_json::from_str(&get(&address, "/api/v1/namespaces/micro/pods?labelSelector=name=alert"))
                .unwrap();
        let pods = pods["items"].as_array().unwrap().iter();
        pods.map(|pod| pod["metadata"]["name"].to_string()).collect::<Vec<_>>()
    };
    let before = names();
    let mut run = bench.muster(&RUN).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while names() == before {
        go_on(&mut run);
    }
    // Its successor serves by now, and must go on doing so for 3 s.
    std::thread::sleep(Duration::from_secs(1));
    send(&run, "-STOP");
    // The budget is 40 s at this pace: 2 s.
    std::thread::sleep(Duration::from_secs(4));
    send(&run, "-CONT");
    let output = run.wait_with_output().unwrap();
    let found = told(&bench, code(&output));
    // A request that was under way when it was stopped may count as one outage of that length: that is told as our own doing.
    let whys = [inconclusive("probe.blind"), inconclusive("muster.stood-still")];
    assert!(whys.contains(&found), "{found:?}: {}", stdout(&output));
}
