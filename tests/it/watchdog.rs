//! What ends a run before its last case: `--fail-fast`, and an engine that has stopped turning.

use crate::program::{Bench, code, stderr, stdout, summary};
use std::process::Command;
use std::time::Duration;

/// Two cases that fail, whichever of them comes first.
const FAILING: &str = "title: Failing
cases:
  - id: fails-one
    why: the first failure is enough to know
    steps: [{ call: { get: /, expect: { status: 299 } } }]
  - id: fails-two
    why: the first failure is enough to know
    steps: [{ call: { get: /, expect: { status: 299 } } }]
";

#[test]
fn after_a_failure_nothing_more_is_run_if_that_is_asked_for() {
    let bench = Bench::new();
    std::fs::write(bench.suites_without_cases().join("failing.yaml"), FAILING).unwrap();
    for (options, failed, not_run) in [(vec!["--fail-fast"], 1, 1), (vec![], 2, 0)] {
        let arguments = [vec!["run", "--suites", "suites", "--jobs", "1"], options].concat();
        let output = bench.muster(&arguments).output().unwrap();
        assert_eq!(code(&output), 1, "{}{}", stdout(&output), stderr(&output));
        let totals = &summary(&bench.path("reports"))["totals"];
        assert_eq!(
            (&totals["failed"], &totals["not_run"]),
            (&failed.into(), &not_run.into()),
            "{arguments:?}"
        );
        let junit = std::fs::read_to_string(bench.path("reports/junit.xml")).unwrap();
        let why = "not run to its end: the run was stopped early: a case failed, and --fail-fast was given";
        assert_eq!(junit.contains(why), not_run == 1, "{junit}");
        assert!(!junit.contains("muster.run"), "the cases tell it by themselves: {junit}");
    }
}

/// What a process is told that shall be the stuck one.
const IS_STUCK: &str = "MUSTER_TEST_IS_STUCK";

#[test]
fn a_process_whose_engine_is_stuck_is_ended_with_the_code_of_what_is_left_behind() {
    if std::env::var_os(IS_STUCK).is_some() {
        return be_stuck();
    }
    let own = std::env::current_exe().unwrap();
    let name = "watchdog::a_process_whose_engine_is_stuck_is_ended_with_the_code_of_what_is_left_behind";
    let output =
        Command::new(own).args(["--exact", name, "--nocapture"]).env(IS_STUCK, "1").output().unwrap();
    assert_eq!(code(&output), 5, "{}{}", stdout(&output), stderr(&output));
    assert!(stdout(&output).contains("it turned"), "an engine that turns is left alone: {}", stderr(&output));
    assert!(stderr(&output).contains("the engine has not moved"), "{}", stderr(&output));
}

/// A runtime that turns for longer than a watchdog waits, and then no more: what was seen of it is told on the way.
fn be_stuck() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let code = muster::outcome::Ending::LeftBehind.code();
        let _watchdog =
            muster::host::end_if_stuck(Duration::from_secs(2), code, "the engine has not moved\n");
        tokio::time::sleep(Duration::from_secs(4)).await;
        std::io::Write::write_all(&mut std::io::stdout(), b"it turned\n").unwrap();
        std::thread::sleep(Duration::from_secs(60));
    });
}
