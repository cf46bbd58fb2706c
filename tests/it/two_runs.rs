//! Two runs on one target, each with a state folder of its own, so that only the cluster's leases keep them apart.

use crate::program::{Bench, code, muster, stderr, stdout};
use std::process::{Command, Stdio};

/// A case that sets something shared and finds it as it was set a while later, and one that then waits for what never comes.
const SHARED: &str = "title: Shared
cases:
  - id: has-it-alone
    why: a setting that two runs change at once comes back as neither found it
    steps:
      - call:
          op: config.set
          as: operator
          json: { namespace: micro, path: two-runs, value: { data: '\"$(run.id)\"' } }
      - poll:
          op: config.get
          as: operator
          json: { namespace: micro, path: two-runs }
          until: { status: 200 }
          for: 300ms
          every: 20ms
          within: 5s
      - call:
          op: config.get
          as: operator
          json: { namespace: micro, path: two-runs }
          expect: { body: { $.value.data: '\"$(run.id)\"' } }
  - id: waits-with-it
    why: a run can die while something shared is not as it was
    steps:
      - call:
          op: config.set
          as: operator
          json: { namespace: micro, path: two-runs, value: { data: '\"left\"' } }
      - poll:
          op: config.get
          as: operator
          json: { namespace: micro, path: two-runs }
          until: { body: { $.value.data: never-this } }
          every: 1s
          within: 20m
";

fn shared_suites(bench: &Bench) {
    std::fs::write(bench.suites_without_cases().join("shared.yaml"), SHARED).unwrap();
}

/// `muster COMMAND` with the state folder and the reports of one of two who know nothing of each other.
fn muster_of(bench: &Bench, who: &str, arguments: &[&str]) -> Command {
    let mut command = muster();
    command.current_dir(bench.path("")).arg(arguments[0]).args(["--target", "target.yaml"]);
    command.args(["--state-dir", &format!("state-of-{who}")]);
    if arguments[0] == "run" {
        command.args(["--suites", "suites", "--report-dir", &format!("reports-of-{who}"), "--exact"]);
    }
    command.args(&arguments[1..]);
    command
}

#[test]
fn a_setting_that_two_runs_change_at_once_comes_back() {
    let bench = Bench::new();
    shared_suites(&bench);
    let before = bench.state();
    for _ in 0..3 {
        let run = |who| {
            let mut command = muster_of(&bench, who, &["run", "has-it-alone"]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        };
        for child in [run("one"), run("two")] {
            let output = child.wait_with_output().unwrap();
            assert_eq!(code(&output), 0, "{}{}", stdout(&output), stderr(&output));
        }
        assert_eq!(bench.state(), before);
    }
}

#[test]
fn what_a_dead_run_has_not_put_back_is_changed_by_nobody_until_it_is() {
    let bench = Bench::new();
    shared_suites(&bench);
    let before = bench.state();
    let mut dead = muster_of(&bench, "one", &["run", "waits-with-it"]).stdout(Stdio::null()).spawn().unwrap();
    let record = bench.path("reports-of-one/run.jsonl");
    while !std::fs::read_to_string(&record).unwrap_or_default().contains("call config.set") {
        assert!(dead.try_wait().unwrap().is_none(), "it ended before it waited");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    dead.kill().unwrap();
    dead.wait().unwrap();
    let left = bench.state();
    assert_ne!(left, before, "something stands that must be put back");

    let kept_out = muster_of(&bench, "two", &["run", "has-it-alone"]).output().unwrap();
    assert_eq!(code(&kept_out), 3, "{}{}", stdout(&kept_out), stderr(&kept_out));
    let told = std::fs::read_to_string(bench.path("reports-of-two/summary.json")).unwrap();
    for part in [
        "shared.lease",
        "`config:micro` must be held alone: run ",
        "its lease is default/muster-holds-config-micro-",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert_eq!(bench.state(), left, "nothing was changed");

    let cleaned = muster_of(&bench, "one", &["cleanup"]).output().unwrap();
    assert_eq!(code(&cleaned), 0, "{}", stderr(&cleaned));
    assert_eq!(bench.state(), before);
    let goes_on = muster_of(&bench, "two", &["run", "has-it-alone"]).output().unwrap();
    assert_eq!(code(&goes_on), 0, "{}{}", stdout(&goes_on), stderr(&goes_on));
}

/// An undo that is never content with what it did, as its platform may be broken.
const IN_VAIN: &str = "flow: put-config-back
why: it fails
inputs: { namespace: text, path: text, old: any }
steps:
  - call:
      op: config.set
      as: operator
      json: { namespace: $(namespace), path: $(path), value: { data: $(old) } }
      expect: { status: 418 }
";

#[test]
fn what_one_case_could_not_put_back_is_no_old_state_to_the_next_one() {
    let bench = Bench::new();
    let suites = bench.suites_without_cases();
    let (start, rest) = SHARED.split_once("  - id: has-it-alone\n").unwrap();
    let case = &rest[..rest.find("  - id: ").unwrap()];
    let cases = format!("{start}  - id: one\n{case}  - id: other\n{case}");
    std::fs::write(suites.join("shared.yaml"), cases).unwrap();
    std::fs::write(suites.join("flows/put-config-back.yaml"), IN_VAIN).unwrap();
    let output = bench.muster(&["run", "--suites", "suites"]).output().unwrap();
    assert_eq!(code(&output), 5, "{}{}", stdout(&output), stderr(&output));
    let told = stdout(&output);
    for part in ["1 of 2 passed", "shared.leftover", "changed of it could not be put back"] {
        assert!(told.contains(part), "{part}: {told}");
    }
}
