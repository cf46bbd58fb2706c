//! What muster writes to is closed, full, or not there: what it cannot write is said, and nothing stays behind.

use crate::interrupt::{started, waiting_suites};
use crate::lost::with_limit;
use crate::program::{Bench, code, stderr, stdout, summary};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Output};

const PASSING: [&str; 2] = ["--exact", "health-answers-both-ways"];

/// `muster run ARGUMENTS` by bash, with what stands after it: `>&-`, `| head -1`.
fn by_bash(bench: &Bench, arguments: &[&str], after: &str) -> Output {
    let mut command = Command::new("bash");
    command.current_dir(bench.folder.path()).env("NO_COLOR", "1").env("CI", "1");
    let script = format!("\"$@\" {after}\nexit ${{PIPESTATUS[0]}}");
    command.args(["-c", &script, "bash", env!("CARGO_BIN_EXE_muster"), "run", "--target", "target.yaml"]);
    command.args(["--state-dir", "state", "--report-dir", "reports"]).args(arguments).output().unwrap()
}

/// Every report is there and whole: rendered again from the record, each is what was written.
pub(crate) fn reports_are_whole(bench: &Bench) {
    reports_but("").for_each(|kind| is_whole(bench, kind));
}

/// Every kind of report but one.
fn reports_but(lost: &str) -> impl Iterator<Item = &'static muster::report::Kind> {
    muster::report::KINDS.iter().filter(move |kind| kind.name != lost)
}

/// A report is what is rendered again from the record.
fn is_whole(bench: &Bench, kind: &muster::report::Kind) {
    let again = ["report", kind.name, "--from"];
    let again = crate::program::muster().args(again).arg(bench.path("reports")).output().unwrap();
    let written = std::fs::read_to_string(bench.path("reports").join(kind.file)).unwrap();
    assert_eq!(stdout(&again), written, "{}", kind.name);
}

#[test]
fn a_closed_or_short_standard_output_changes_neither_the_reports_nor_the_exit_code() {
    for (after, said) in
        [(">&-", 0), ("2>&-", 1), (">&- 2>&-", 0), ("| head -1", 1), ("2>&1 >&- | head -1", 1)]
    {
        let bench = Bench::new();
        let output = by_bash(&bench, &PASSING, after);
        assert_eq!(code(&output), 0, "{after}: {}{}", stdout(&output), stderr(&output));
        assert_eq!(usize::from(!output.stdout.is_empty()), said, "{after}: {}", stdout(&output));
        assert!(!stderr(&output).contains("panicked"), "{after}: {}", stderr(&output));
        reports_are_whole(&bench);
    }
}

#[test]
fn a_run_whose_output_is_lost_ends_in_6_and_every_report_says_so() {
    let told = "error: cannot write to the standard output: No space left on device (os error 28)\n";
    for (more, ending) in [(&["--seed", "1"][..], "passed"), (&["--timeout", "1ms"], "undecided")] {
        let bench = Bench::new();
        let output = by_bash(&bench, &[&PASSING[..], more].concat(), ">/dev/full");
        assert_eq!(code(&output), 6, "{ending}: {}", stderr(&output));
        assert_eq!(stderr(&output).matches(told).count(), 1, "{ending}: {}", stderr(&output));
        assert_eq!(summary(&bench.path("reports"))["exit_code"], 6, "{ending}");
        reports_are_whole(&bench);
    }
}

/// A pipe that is full as long as its reader, who reads nothing, is there.
fn full_pipe() -> (std::io::PipeReader, std::io::PipeWriter) {
    let (reader, writer) = std::io::pipe().unwrap();
    let mut filling = writer.try_clone().unwrap();
    std::thread::spawn(move || while filling.write_all(&[b'x'; 4096]).is_ok() {});
    (reader, writer)
}

#[test]
fn a_reader_who_reads_nothing_keeps_no_run_from_ending_at_a_signal() {
    let bench = Bench::new();
    let (reader, writer) = full_pipe();
    let mut run = bench.muster(&["run", "--exact", "health-answers-both-ways"]);
    let mut run = run.stdout(writer).stderr(std::process::Stdio::piped()).spawn().unwrap();
    while !bench.path("reports/summary.json").exists() {
        assert!(run.try_wait().unwrap().is_none(), "it ended before it wrote its reports");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    std::fs::remove_file(bench.path("reports/run.jsonl")).unwrap();
    assert!(Command::new("kill").args(["-TERM", &run.id().to_string()]).status().unwrap().success());
    let output = run.wait_with_output().unwrap();
    assert_eq!(code(&output), 6, "{}", stderr(&output));
    let told = "error: cannot write to the standard output: nobody reads it\n";
    assert_eq!(stderr(&output).matches(told).count(), 1, "{}", stderr(&output));
    let summary = summary(&bench.path("reports"));
    assert_eq!(
        (&summary["exit_code"], &summary["endings"]),
        (&6.into(), &serde_json::json!(["terminated", "unrecorded"]))
    );
    assert!(stderr(&output).contains("cannot append to reports/run.jsonl"), "{}", stderr(&output));
    reports_are_whole(&bench);
    drop(reader);
}

/// A server that answers everything with the end of a CDATA section, which takes five times the room in XML, and so many letters
/// more.
fn sections(more: usize) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut told = BufReader::new(stream.try_clone().unwrap()).lines();
            while told.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            let body = "]]>".repeat(1_000) + &"x".repeat(more);
            let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        }
    });
    format!("name: sections\napi: http://{address}\n")
}

const WANTS_JSON: &str = "title: Sections
cases:
  - id: sections
    why: the reply is shown, and takes more room in one report than in the record
    steps: [{ call: { get: /, expect: { body: { $.a: 1 } } } }]
";

/// A run of the one case against that server, after some words to a shell.
fn run_on_sections(bench: &Bench, more: usize, before: &str) -> Output {
    std::fs::write(bench.path("target.yaml"), sections(more)).unwrap();
    std::fs::create_dir_all(bench.path("suites")).unwrap();
    std::fs::write(bench.path("suites/sections.yaml"), WANTS_JSON).unwrap();
    let mut command = Command::new("bash");
    command.current_dir(bench.folder.path()).env("NO_COLOR", "1").env("CI", "1");
    let script = format!("{before} exec \"$@\"");
    command.args(["-c", &script, "bash", env!("CARGO_BIN_EXE_muster"), "run", "--target", "target.yaml"]);
    command.args(["--suites", "suites", "--state-dir", "state", "--report-dir", "reports"]).output().unwrap()
}

fn empty_bench() -> Bench {
    Bench { folder: tempfile::tempdir().unwrap(), fakes: None }
}

#[test]
fn a_disk_that_is_full_when_reports_are_written_ends_in_6_with_the_record_whole() {
    let bench = empty_bench();
    let output = run_on_sections(&bench, 0, "ulimit -f 5;");
    assert_eq!(code(&output), 6, "{}{}", stdout(&output), stderr(&output));
    assert!(stderr(&output).contains("junit.xml: File too large"), "{}", stderr(&output));
    assert!(!bench.path("reports/junit.xml").exists(), "half a report is none");
    let record = std::fs::read_to_string(bench.path("reports/run.jsonl")).unwrap();
    let outcome = muster::outcome::fold(&muster::outcome::read_record(&record).unwrap()).unwrap();
    assert_eq!(outcome.totals().failed, 1);
    assert_eq!(outcome.ending().code(), 6, "the record says so itself");
    assert_eq!(summary(&bench.path("reports"))["exit_code"], 6);
}

#[test]
fn a_report_that_cannot_be_replaced_by_the_true_one_does_not_stay() {
    let bench = empty_bench();
    std::fs::create_dir_all(bench.path("reports/summary.json/in-the-way")).unwrap();
    // The summary is lost, which junit.xml is told of after it was written: then it needs more room, and just finds none.
    let wanted = run_on_sections(&bench, 0, "");
    assert_eq!(code(&wanted), 6, "{}", stderr(&wanted));
    let length = std::fs::metadata(bench.path("reports/junit.xml")).unwrap().len();
    let kib = length.div_ceil(1024);
    let more = usize::try_from(kib * 1024 + 100 - length).unwrap();
    let output = run_on_sections(&bench, more, &format!("ulimit -f {kib};"));
    assert_eq!(code(&output), 6, "{}{}", stdout(&output), stderr(&output));
    assert!(stderr(&output).contains("junit.xml: File too large"), "{}", stderr(&output));
    assert!(!bench.path("reports/junit.xml").exists(), "it said less than how the run ended");
    let console = std::fs::read_to_string(bench.path("reports/console.txt")).unwrap();
    assert!(console.contains("exit code 6"), "{console}");
}

#[test]
fn a_report_that_cannot_be_written_is_told_by_every_other() {
    for lost in muster::report::KINDS {
        let bench = Bench::new();
        std::fs::create_dir_all(bench.path("reports").join(lost.file).join("in-the-way")).unwrap();
        let output = bench.muster(&[&["run"][..], &PASSING].concat()).output().unwrap();
        if lost.name == "jsonl" {
            assert_eq!(code(&output), 2, "nothing is run without a record: {}", stderr(&output));
            continue;
        }
        assert_eq!(code(&output), 6, "{}: {}{}", lost.name, stdout(&output), stderr(&output));
        for kind in reports_but(lost.name) {
            is_whole(&bench, kind);
            let text = std::fs::read_to_string(bench.path("reports").join(kind.file)).unwrap();
            let says_so = kind.name == "outline" || text.contains("unrecorded");
            assert!(says_so, "{} does not tell that {} is lost", kind.name, lost.name);
        }
    }
}

#[test]
fn a_process_that_may_write_nothing_says_so() {
    let bench = Bench::new();
    let output = with_limit(&bench, "-f 0", &["run", "--target", "target.yaml", "--state-dir", "state"]);
    assert_eq!(code(&output), 2, "{:?} {}", output.status, stderr(&output));
    assert!(stderr(&output).contains("File too large"), "{}", stderr(&output));
    let (_, before) = crate::damaged::killed(&bench);
    let output = with_limit(&bench, "-f 0", &["cleanup", "--target", "target.yaml", "--state-dir", "state"]);
    assert_eq!(code(&output), 5, "{:?} {}", output.status, stderr(&output));
    assert!(stderr(&output).contains("File too large"), "{}", stderr(&output));
    let output = bench.muster(&["cleanup"]).output().unwrap();
    assert_eq!((code(&output), bench.state()), (0, before), "{}", stderr(&output));
}

/// Folders in which nothing can be made: one of the system, and a closed one unless we are whoever may write there all
/// the same.
fn closed_folders(bench: &Bench) -> Vec<String> {
    let closed = bench.path("closed");
    std::fs::create_dir(&closed).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o555);
    std::fs::set_permissions(&closed, mode).unwrap();
    let is_closed = std::fs::write(closed.join("try"), "").is_err();
    let own = is_closed.then(|| closed.display().to_string());
    [Some("/proc/muster".to_owned()), own].into_iter().flatten().collect()
}

#[test]
fn folders_that_cannot_be_written_to_are_known_before_anything_is_sent() {
    let bench = Bench::new();
    let before = bench.state();
    for folder in closed_folders(&bench) {
        for option in ["--report-dir", "--state-dir"] {
            let mut command = crate::program::muster();
            command.current_dir(bench.folder.path()).args(["run", "--target", "target.yaml", "signup"]);
            let other = if option == "--report-dir" { "--state-dir" } else { "--report-dir" };
            let output = command.args([option, &folder, other, "other"]).output().unwrap();
            assert_eq!(code(&output), 2, "{option} {folder}: {}{}", stdout(&output), stderr(&output));
            assert!(stderr(&output).contains(&folder), "{option} {folder}: {}", stderr(&output));
            assert_eq!(bench.state(), before, "{option} {folder}");
        }
    }
}

#[test]
fn a_report_folder_that_is_gone_in_the_middle_ends_in_6_and_everything_is_put_back() {
    let bench = Bench::new();
    waiting_suites(&bench);
    let before = bench.state();
    let run = started(&bench);
    let reports = bench.path("reports");
    std::fs::remove_dir_all(&reports).unwrap();
    std::fs::write(&reports, "a file stands here now").unwrap();
    end(&run.id().to_string());
    let output = run.wait_with_output().unwrap();
    assert_eq!(code(&output), 6, "{}{}", stdout(&output), stderr(&output));
    assert!(stderr(&output).contains("reports"), "{}", stderr(&output));
    assert_eq!(bench.state(), before);
    assert!(Path::new(&reports).is_file());
}

#[test]
fn a_summary_that_cannot_be_written_is_told_by_junit() {
    let bench = Bench::new();
    std::fs::create_dir_all(bench.path("reports/summary.json/in-the-way")).unwrap();
    let output = bench.muster(&["run", "store-is-healthy"]).output().unwrap();
    assert_eq!(code(&output), 6, "{}{}", stdout(&output), stderr(&output));
    let junit = std::fs::read_to_string(bench.path("reports/junit.xml")).unwrap();
    let told = r#"<error type="unrecorded" message="exit code 6: unrecorded: cannot "#;
    assert!(junit.contains(told) && junit.contains("summary.json"), "{junit}");
    assert!(junit.contains(r#"<testsuites name="muster" tests="2" failures="0" errors="1""#), "{junit}");
}

/// Asks a process to end, and then not to wait for what runs.
fn end(id: &str) {
    for _ in 0..2 {
        assert!(Command::new("kill").args(["-TERM", id]).status().unwrap().success());
        std::thread::sleep(std::time::Duration::from_millis(300));
    }
}

#[test]
fn what_is_printed_to_a_full_disk_is_not_taken_for_the_whole() {
    let bench = Bench::new();
    let ended = bench.muster(&["run", "--exact", "store-is-healthy"]).output().unwrap();
    assert_eq!(code(&ended), 0, "{}", stderr(&ended));
    for command in
        [&["report", "junit"][..], &["list"], &["rbac", "chaos"], &["--version"], &["help", "exit-codes"]]
    {
        let mut muster = crate::program::muster();
        muster.current_dir(bench.folder.path()).args(command);
        if command[0] == "report" {
            muster.arg("--from").arg(bench.path("reports"));
        }
        if command[0] == "rbac" {
            muster.args(["--target", "target.yaml"]);
        }
        let output = muster.stdout(std::fs::File::create("/dev/full").unwrap()).output().unwrap();
        let told = "error: cannot write to the standard output: No space left on device (os error 28)\n";
        assert_eq!((code(&output), stderr(&output)), (6, told.to_owned()), "{command:?}");
    }
}
