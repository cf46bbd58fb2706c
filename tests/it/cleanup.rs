//! `muster cleanup` of one run of several, from a place that the run did not know, and of what was never there.

use crate::between::way_to;
use crate::faults::cluster;
use crate::interrupt::{send, started, waiting_suites, within_a_minute};
use crate::program::{Bench, code, get, muster, patched, stderr, stdout, summary};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A run that was killed after it had changed something. Its id.
fn killed(bench: &Bench) -> String {
    std::fs::remove_dir_all(bench.path("reports")).ok();
    let mut child = started(bench);
    send(&child, "-KILL");
    child.wait().unwrap();
    let runs = std::fs::read_dir(runs_of(&bench.path("state"))).unwrap();
    let ids: Vec<String> = runs.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    ids[0].clone()
}

fn runs_of(state: &Path) -> PathBuf {
    state.join("built-in").join("runs")
}

fn cleanup(bench: &Bench, state: &str, more: &[&str]) -> Output {
    let mut command = muster();
    command.current_dir(bench.folder.path()).args([
        "cleanup",
        "--target",
        "target.yaml",
        "--state-dir",
        state,
    ]);
    command.args(more).output().unwrap()
}

#[test]
fn one_run_of_two_is_put_back_if_it_is_asked_for_by_its_id() {
    let bench = Bench::new();
    waiting_suites(&bench);
    let before = bench.state();
    let first = killed(&bench);
    let (kept, runs) = (bench.path("kept"), runs_of(&bench.path("state")));
    // The next run would put the first one back.
    std::fs::rename(runs.join(&first), &kept).unwrap();
    let second = killed(&bench);
    std::fs::rename(&kept, runs.join(&first)).unwrap();
    let both = bench.state();

    let output = cleanup(&bench, "state", &["--run", &first]);
    assert_eq!((code(&output), stdout(&output)), (0, format!("run {first}: everything is put back\n")));
    let one = bench.state();
    assert!(one != both && one != before, "the first is put back, and the second is not");
    let again = cleanup(&bench, "state", &["--run", &first]);
    let refused = format!("error: run {first} has left nothing on target `built-in`\n");
    assert_eq!((code(&again), stderr(&again)), (2, refused));
    assert_eq!(bench.state(), one);

    let rest = cleanup(&bench, "state", &[]);
    assert_eq!((code(&rest), stdout(&rest)), (0, format!("run {second}: everything is put back\n")));
    assert_eq!(bench.state(), before);
}

#[test]
fn cleanup_that_is_told_to_leave_waits_for_no_sign_in() {
    let bench = Bench::new();
    waiting_suites(&bench);
    let before = bench.state();
    let real = bench.fakes.as_ref().unwrap().addresses.api.to_string();
    let (is_silent, is_asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (silent, asked) = (is_silent.clone(), is_asked.clone());
    let way = way_to(&real, move |request| {
        while silent.load(Ordering::Relaxed) {
            asked.store(true, Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(20));
        }
        request
    });
    let patient = |text: &str| format!("answer_within: 10m\n{}", text.replace(&real, &way.to_string()));
    bench.rewrite_target(patient);
    killed(&bench);
    is_silent.store(true, Ordering::Relaxed);
    let cleanup = bench.muster(&["cleanup"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut cleanup = cleanup.unwrap();
    while !is_asked.load(Ordering::Relaxed) {
        assert!(cleanup.try_wait().unwrap().is_none(), "it asked nothing");
    }
    for _ in 0..3 {
        send(&cleanup, "-TERM");
        std::thread::sleep(Duration::from_millis(50));
    }
    let output = within_a_minute(cleanup);
    assert_eq!(code(&output), 5, "{}", stderr(&output));
    assert!(stderr(&output).contains("muster was told to leave at once"), "{}", stderr(&output));
    is_silent.store(false, Ordering::Relaxed);
    assert_eq!(code(&bench.muster(&["cleanup"]).output().unwrap()), 0);
    assert_eq!(bench.state(), before);
}

/// What another machine is given: the key, and the runs.
fn shared(bench: &Bench, name: &str) {
    let (from, to) = (bench.path("state"), bench.path(name));
    std::fs::create_dir_all(to.join("built-in")).unwrap();
    std::fs::rename(from.join("key"), to.join("key")).unwrap();
    std::fs::rename(runs_of(&from), runs_of(&to)).unwrap();
    std::fs::remove_dir_all(from).unwrap();
}

#[test]
fn a_run_is_put_back_from_another_place_that_has_its_key_and_its_journal() {
    let bench = Bench::new();
    waiting_suites(&bench);
    let before = bench.state();
    let run = killed(&bench);
    assert_ne!(bench.state(), before);
    shared(&bench, "elsewhere");
    // Not even the suites are there any more.
    std::fs::remove_dir_all(bench.path("suites")).unwrap();
    let nothing = cleanup(&bench, "state", &[]);
    assert_eq!(
        (code(&nothing), stdout(&nothing)),
        (0, "nothing is left on target `built-in`, as the state folder state has it\n".into())
    );
    let output = cleanup(&bench, "elsewhere", &["--all"]);
    assert_eq!(
        (code(&output), stdout(&output)),
        (0, format!("run {run}: everything is put back\n")),
        "{}",
        stderr(&output)
    );
    assert_eq!(bench.state(), before);
}

#[test]
fn a_setting_that_never_came_to_be_is_not_deleted_and_leaves_no_name() {
    let bench = Bench::new();
    let before = bench.state();
    let suite = "title: Never there
cases:
  - id: never-there
    why: a platform keeps the first name of what is deleted though it was never set
    steps:
      - call: { op: config.get, as: operator, json: { namespace: micro, path: never.there }, expect: { body: { $.value.data: 'null' } } }
      - flow: { use: put-config-back, with: { namespace: micro, path: never.there, old: null } }
";
    std::fs::write(bench.suites_without_cases().join("never.yaml"), suite).unwrap();
    let output = bench.muster(&["run", "--suites", "suites"]).output().unwrap();
    assert_eq!(code(&output), 0, "{}{}", stdout(&output), stderr(&output));
    assert_eq!(bench.state(), before);
}

#[test]
fn a_folder_that_holds_the_journal_of_another_run_is_left_as_it_is() {
    let bench = Bench::new();
    waiting_suites(&bench);
    let before = bench.state();
    let run = killed(&bench);
    let runs = runs_of(&bench.path("state"));
    std::fs::rename(runs.join(&run), runs.join("another")).unwrap();
    let left = bench.state();
    let output = cleanup(&bench, "state", &[]);
    assert_eq!((code(&output), bench.state()), (5, left), "{}", stderr(&output));
    let told = format!(
        "the folder of run another holds the journal of run {run}: it is a copy, or was given another name"
    );
    assert!(stderr(&output).contains(&told), "{}", stderr(&output));
    std::fs::rename(runs.join("another"), runs.join(&run)).unwrap();
    assert_eq!((code(&cleanup(&bench, "state", &[])), bench.state()), (0, before));
}

/// Scales the Deployment of the customers, and waits until the platform knows of it.
fn customers_scaled_to(bench: &Bench, replicas: u64) {
    let deployment = "/apis/apps/v1/namespaces/micro/deployments/customers-latest";
    patched(&cluster(bench), deployment, &format!(r#"{{"spec":{{"replicas":{replicas}}}}}"#));
    let target = std::fs::read_to_string(bench.path("target.yaml")).unwrap();
    let admin = target.lines().find_map(|line| line.strip_prefix("admin: http://")).unwrap();
    let nodes = || -> serde_json::Value { serde_json::from_str(&get(admin, "/state")).unwrap() };
    while nodes()["registry"]["micro/customers"].as_u64().unwrap_or_default() != replicas {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
fn a_service_that_is_away_does_not_say_that_what_it_keeps_is_gone() {
    let bench = Bench::new();
    waiting_suites(&bench);
    let kept = || bench.state()["databases"].clone();
    let before = kept();
    let run = killed(&bench);
    customers_scaled_to(&bench, 0);
    let output = cleanup(&bench, "state", &[]);
    assert_eq!(code(&output), 5, "{}{}", stdout(&output), stderr(&output));
    let told = ["service not found", "route not found"].iter().any(|it| stderr(&output).contains(it));
    assert!(told, "{}", stderr(&output));
    assert_ne!(kept(), before);
    customers_scaled_to(&bench, 1);
    let output = cleanup(&bench, "state", &[]);
    assert_eq!((code(&output), stdout(&output)), (0, format!("run {run}: everything is put back\n")));
    assert_eq!(kept(), before);
}

#[test]
fn an_undo_that_was_confirmed_and_not_done_is_a_leftover() {
    for (defect, case) in [
        ("deleted-rule-stays", "rules-agree-both-ways"),
        ("deleted-setting-stays", "config-is-set-merged-and-deleted"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut run = muster();
        run.current_dir(folder.path()).args(["run", "--defect", defect, "--report-dir", "reports", case]);
        let output = run.output().unwrap();
        let leftovers = summary(&folder.path().join("reports"))["leftovers"].clone();
        assert_ne!(leftovers, serde_json::json!([]), "{defect}: {}", stdout(&output));
        assert_eq!(code(&output), 5, "{defect}: {}", stdout(&output));
    }
}
