//! The record of a run is taken away or changed while it is written, or nothing more can be opened: never is it said
//! that nothing was run, nor that all is well.

use crate::damaged::killed;
use crate::interrupt::{send, started, waiting_suites};
use crate::program::{Bench, code, stderr, stdout, summary};
use crate::unwritable::reports_are_whole;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output};

/// Something done to the folder of reports, and its name.
type Loss = (&'static str, fn(&Path));

/// The waiting case, with this done in the middle of it, stopped.
fn stopped_after(bench: &Bench, loss: fn(&Path)) {
    waiting_suites(bench);
    let before = bench.state();
    std::fs::remove_dir_all(bench.path("reports")).ok();
    let mut child = started(bench);
    loss(&bench.path("reports"));
    let mut told = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    send(&child, "-TERM");
    assert!(told.any(|line| line.contains("nothing more is started")));
    send(&child, "-TERM");
    let rest: Vec<String> = told.collect();
    assert_eq!(child.wait().unwrap().code(), Some(6), "{rest:?}");
    assert!(rest.concat().contains("reports/run.jsonl"), "{rest:?}");
    assert_eq!(bench.state(), before);
}

#[test]
fn a_record_that_was_lost_ends_in_6_and_is_written_anew_with_every_report() {
    let losses: [Loss; 4] = [
        ("removed", |reports| std::fs::remove_file(reports.join("run.jsonl")).unwrap()),
        ("emptied", |reports| std::fs::write(reports.join("run.jsonl"), "").unwrap()),
        ("with its folder", |reports| std::fs::remove_dir_all(reports).unwrap()),
        ("added to", |reports| {
            let path = reports.join("run.jsonl");
            let text = std::fs::read_to_string(&path).unwrap();
            std::fs::write(path, text + "and more\n").unwrap();
        }),
    ];
    let bench = Bench::new();
    for (name, loss) in losses {
        stopped_after(&bench, loss);
        let summary = summary(&bench.path("reports"));
        assert_eq!((&summary["exit_code"], &summary["totals"]["planned"]), (&6.into(), &1.into()), "{name}");
        reports_are_whole(&bench);
    }
}

#[test]
fn a_record_in_whose_place_a_folder_stands_ends_in_6_with_every_other_report() {
    let bench = Bench::new();
    stopped_after(&bench, |reports| {
        std::fs::remove_file(reports.join("run.jsonl")).unwrap();
        std::fs::create_dir(reports.join("run.jsonl")).unwrap();
    });
    assert_eq!(summary(&bench.path("reports"))["exit_code"], 6);
}

#[test]
fn a_record_in_whose_place_something_without_an_end_stands_is_not_read() {
    let bench = Bench::new();
    stopped_after(&bench, |reports| {
        std::fs::remove_file(reports.join("run.jsonl")).unwrap();
        assert!(Command::new("mkfifo").arg(reports.join("run.jsonl")).status().unwrap().success());
    });
    assert_eq!(summary(&bench.path("reports"))["exit_code"], 6);
    reports_are_whole(&bench);
}

#[test]
fn a_folder_into_which_another_run_reports_is_left_to_it() {
    let (bench, other) = (Bench::new(), Bench::new());
    waiting_suites(&bench);
    let mut run = started(&bench);
    let theirs = bench.path("reports").display().to_string();
    let output =
        other.muster(&["run", "--report-dir", &theirs, "--exact", "store-is-healthy"]).output().unwrap();
    let told = format!(
        "error: another run writes its reports into {theirs}\nhint: --report-dir names another folder\n"
    );
    assert_eq!((code(&output), stderr(&output)), (2, told));
    (0..2).for_each(|_| send(&run, "-TERM"));
    assert_eq!(run.wait().unwrap().code(), Some(143));
    assert_eq!(summary(&bench.path("reports"))["exit_code"], 143);
    reports_are_whole(&bench);
}

#[test]
fn an_outline_that_cannot_be_written_ends_in_6() {
    let bench = Bench::new();
    let case = "title: One
cases:
  - id: one
    why: its outline is new
    steps: [{ call: { get: /health, expect: { status: 401 } } }]
";
    std::fs::write(bench.suites_without_cases().join("one.yaml"), case).unwrap();
    std::fs::create_dir_all(bench.path("kept/outline-on-built-in.snap.new")).unwrap();
    std::fs::write(bench.path("kept/outline-on-built-in.snap"), "---\nsource: muster\n---\nother\n").unwrap();
    let output = bench.muster(&["run", "--suites", "suites", "--snapshots", "kept"]).output().unwrap();
    assert_eq!(code(&output), 6, "{}{}", stdout(&output), stderr(&output));
    assert!(stderr(&output).contains("outline-on-built-in.snap.new"), "{}", stderr(&output));
    assert_eq!(summary(&bench.path("reports"))["exit_code"], 6);
    reports_are_whole(&bench);
}

/// `muster ARGUMENTS` in the folder of a bench, where it may have only so many files open.
fn with_few_files(bench: &Bench, files: u32, arguments: &[&str]) -> Output {
    with_limit(bench, &format!("-n {files}"), arguments)
}

/// `muster ARGUMENTS` in the folder of a bench, after `ulimit LIMIT`.
pub(crate) fn with_limit(bench: &Bench, limit: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new("bash");
    command.current_dir(bench.folder.path()).env("NO_COLOR", "1").env("CI", "1");
    let limited = format!("ulimit {limit}; exec \"$@\"");
    command.args(["-c", &limited, "bash", env!("CARGO_BIN_EXE_muster")]).args(arguments).output().unwrap()
}

#[test]
fn a_limit_that_may_be_raised_is_no_obstacle() {
    let on_fakes = ["run", "--exact", "health-answers-both-ways", "--report-dir", "other"];
    let output = with_limit(&Bench::new(), "-S -n 64", &on_fakes);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
}

#[test]
fn a_run_that_may_open_few_files_never_says_that_nothing_was_run() {
    for files in [8, 12, 16, 20, 24, 30] {
        let bench = Bench::new();
        let before = bench.state();
        let own = ["--target", "target.yaml", "--state-dir", "state", "--report-dir", "reports"];
        let output = with_few_files(&bench, files, &[&["run", "signup-flow"], &own[..]].concat());
        let told = stderr(&output);
        assert!(!told.contains("panicked"), "{files}: {told}");
        if code(&output) == 2 {
            assert!(told.contains("more files and connections, found room for"), "{files}: {told}");
            assert_eq!(bench.state(), before, "{files}: {told}");
            assert_eq!(std::fs::read_dir(bench.path("state/built-in/runs")).map_or(0, Iterator::count), 0);
            assert!(!bench.path("reports/run.jsonl").exists(), "{files}: nothing was run");
        } else {
            assert!(files > 20, "{files}: {told}");
        }
        let cleaned = bench.muster(&["cleanup"]).output().unwrap();
        assert_eq!(code(&cleaned), 0, "{files}: {}", stderr(&cleaned));
        assert_eq!(bench.state(), before, "{files}: {told}");
    }
}

#[test]
fn cleanup_that_may_open_few_files_leaves_all_as_it_is_and_ends_in_5() {
    let bench = Bench::new();
    let (journal, before) = killed(&bench);
    let (standing, kept) = (bench.state(), std::fs::read(&journal).unwrap());
    let cleanup = ["cleanup", "--target", "target.yaml", "--state-dir", "state"];
    for files in [8, 9, 10, 11, 12, 13, 14, 16, 20] {
        for asked in [&cleanup[..], &[&cleanup[..], &["--dry-run"]].concat()] {
            let output = with_few_files(&bench, files, asked);
            let told = stderr(&output);
            assert_eq!((code(&output), stdout(&output).as_str()), (5, ""), "{files}: {told}");
            let named = journal.parent().unwrap().file_name().unwrap().to_str().unwrap();
            let said = format!("error: run {named} cannot be put back: wanted room for ");
            assert!(
                told.starts_with(&said) && told.contains("\nhint: allow more of them: ulimit -n "),
                "{told}"
            );
            assert_eq!((bench.state(), std::fs::read(&journal).unwrap()), (standing.clone(), kept.clone()));
        }
    }
    let output = with_few_files(&bench, 64, &cleanup);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert_eq!(bench.state(), before);
    let nothing = with_few_files(&bench, 8, &cleanup);
    assert_eq!(code(&nothing), 2, "nothing stands: {}", stderr(&nothing));
}

#[test]
fn whoever_may_open_few_files_is_told_so_before_anything_is_begun() {
    let bench = Bench::new();
    let before = bench.state();
    let passing = bench.muster(&["run", "--exact", "health-answers-both-ways"]).output().unwrap();
    assert_eq!(code(&passing), 0, "{}", stderr(&passing));
    let doctor = &["doctor", "--target", "target.yaml", "--state-dir", "state"][..];
    let on_fakes = &["run", "--exact", "health-answers-both-ways", "--report-dir", "other"][..];
    for files in [8, 9, 12, 16, 20] {
        for asked in [doctor, on_fakes, &["libtest", "--exact", "health-answers-both-ways"], &["fake"]] {
            let output = with_few_files(&bench, files, asked);
            let told = stderr(&output);
            assert_eq!(code(&output), 2, "{files} {asked:?}: {}{told}", stdout(&output));
            assert!(told.starts_with("error: wanted room for "), "{files} {asked:?}: {told}");
            assert!(!bench.path("other").exists(), "{files} {asked:?}");
        }
        let rendered = with_few_files(&bench, files, &["report", "junit", "--from", "reports"]);
        assert_eq!(code(&rendered), 0, "{files}: {}", stderr(&rendered));
    }
    assert_eq!(bench.state(), before);
    let left = std::fs::read_dir(bench.path("state/built-in/runs")).map_or(0, Iterator::count);
    assert_eq!(left, 0, "what a doctor tried is gone");
}
