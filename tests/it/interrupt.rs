//! Deaths in the middle of a run: nothing is left behind.

use crate::own_platform::Own;
use crate::program::{Bench, code, stderr, stdout, summary};
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A case that has signed somebody up and then waits for what never comes.
const WAITING: &str = "title: Waiting
cases:
  - id: waits-after-a-signup
    why: a run can be interrupted while something of its own stands
    identities: { me: newcomer, alice: tenant }
    steps:
      - call:
          op: signup.send_code
          json: { email: $(me.email) }
      - poll:
          op: customers.read
          as: operator
          json: { email: $(me.email) }
          until: { body: { $.customer.status: never-this } }
          every: 1s
          within: 20m
";

/// The suites of the repository with the waiting case instead of the others.
pub(crate) fn waiting_suites(bench: &Bench) {
    std::fs::write(bench.suites_without_cases().join("waiting.yaml"), WAITING).unwrap();
}

/// Starts the waiting case and returns when its poll has begun: its record holds the steps before it.
pub(crate) fn started(bench: &Bench) -> Child {
    started_with(bench, &[])
}

/// The same, with more arguments.
pub(crate) fn started_with(bench: &Bench, arguments: &[&str]) -> Child {
    let mut child = bench
        .muster(&["run", "--suites", "suites"])
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let record = bench.path("reports/run.jsonl");
    while !std::fs::read_to_string(&record).unwrap_or_default().contains("call signup.send_code") {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it waited");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    child
}

pub(crate) fn send(child: &Child, signal: &str) {
    let sent = std::process::Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

#[test]
fn a_killed_run_is_cleaned_up_by_cleanup() {
    let bench = Bench::new();
    waiting_suites(&bench);
    let before = bench.state();
    let mut child = started(&bench);
    send(&child, "-KILL");
    child.wait().unwrap();
    assert_ne!(bench.state(), before, "something stands that must be put back");

    let dry = bench.muster(&["cleanup", "--dry-run"]).output().unwrap();
    assert!(stdout(&dry).contains("2 changes would be put back"), "{}", stdout(&dry));
    assert_ne!(bench.state(), before, "a dry run changes nothing");

    let cleaned = bench.muster(&["cleanup"]).output().unwrap();
    assert_eq!(code(&cleaned), 0, "{}", stderr(&cleaned));
    assert_eq!(bench.state(), before);
    let again = bench.muster(&["cleanup", "--all"]).output().unwrap();
    assert!(stdout(&again).contains("nothing is left"), "{}", stdout(&again));
}

#[test]
fn a_killed_run_is_cleaned_up_by_the_next_run() {
    let bench = Bench::new();
    waiting_suites(&bench);
    let before = bench.state();
    let mut child = started(&bench);
    send(&child, "-KILL");
    child.wait().unwrap();
    let next = bench.muster(&["run", "store-is-healthy"]).output().unwrap();
    assert_eq!(code(&next), 0, "{}{}", stdout(&next), stderr(&next));
    assert_eq!(bench.state(), before);
}

/// After the first signal what runs is waited for; the second drops it. Both undo.
fn stopped_by(signal: &str, expected: i32) {
    let bench = Bench::new();
    waiting_suites(&bench);
    let before = bench.state();
    let mut child = started(&bench);
    let mut told = BufReader::new(child.stderr.take().unwrap()).lines();
    send(&child, signal);
    assert!(
        told.any(|line| line.unwrap().contains("nothing more is started")),
        "the first signal is answered"
    );
    send(&child, signal);
    let rest: Vec<String> = told.map(Result::unwrap).collect();
    let ended = child.wait().unwrap();
    assert_eq!(ended.code(), Some(expected), "{rest:?}");
    assert_eq!(bench.state(), before);
    let summary = crate::program::summary(&bench.path("reports"));
    assert_eq!(summary["totals"]["not_run"], 1, "{summary}");
    assert_eq!(summary["exit_code"], expected);
    let reports = bench.path("reports");
    let junit = std::fs::read_to_string(reports.join("junit.xml")).unwrap();
    let error = format!(r#"<error type={} message="exit code {expected}: "#, summary["ending"]);
    assert!(junit.contains(&error), "{error}\n{junit}");
    assert!(junit.contains("not run to its end: the run was stopped early: a signal"), "{junit}");
    let again =
        crate::program::muster().args(["report", "summary", "--from"]).arg(&reports).output().unwrap();
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&stdout(&again)).unwrap(),
        summary,
        "the record tells all"
    );
}

#[test]
fn sigint_undoes_and_ends_in_130() {
    stopped_by("-INT", 130);
}

#[test]
fn sigterm_undoes_and_ends_in_143() {
    stopped_by("-TERM", 143);
}

#[test]
fn sighup_undoes_and_ends_in_129() {
    stopped_by("-HUP", 129);
}

#[test]
fn a_run_whose_time_is_up_undoes_and_ends_in_3() {
    let bench = Bench::new();
    waiting_suites(&bench);
    let before = bench.state();
    let output = bench.muster(&["run", "--suites", "suites", "--timeout", "700ms"]).output().unwrap();
    assert_eq!(code(&output), 3, "{}{}", stdout(&output), stderr(&output));
    assert!(stdout(&output).contains("the run's time was up"), "{}", stdout(&output));
    assert_eq!(bench.state(), before);
}

#[test]
fn a_second_muster_on_the_same_target_is_refused() {
    let bench = Bench::new();
    waiting_suites(&bench);
    let mut child = started(&bench);
    let second = bench.muster(&["run", "store-is-healthy", "--report-dir", "other"]).output().unwrap();
    assert_eq!(code(&second), 2);
    assert!(
        stderr(&second).contains("another muster is at work on target `built-in`"),
        "{}",
        stderr(&second)
    );
    send(&child, "-KILL");
    child.wait().unwrap();
}

#[test]
fn what_cannot_be_put_back_is_told_and_ends_in_5() {
    let mut bench = Bench::new();
    waiting_suites(&bench);
    let mut child = started(&bench);
    send(&child, "-KILL");
    child.wait().unwrap();
    bench.fakes.take().unwrap().stop();
    let output = bench.muster(&["cleanup"]).output().unwrap();
    assert_eq!(code(&output), 5, "{}", stderr(&output));
    assert!(stderr(&output).contains("could not be put back") && stderr(&output).contains("forget-customer"));
}

/// Reads what a process tells until it says so.
fn hears(told: &mut impl Iterator<Item = std::io::Result<String>>, said: &str) {
    assert!(told.any(|line| line.unwrap().contains(said)), "it never said `{said}`");
}

#[test]
fn a_third_signal_leaves_at_once_and_cleanup_still_puts_everything_back() {
    let (bench, mut fakes) = Bench::beside_fakes();
    waiting_suites(&bench);
    let before = bench.state();
    let mut child = started(&bench);
    let mut told = BufReader::new(child.stderr.take().unwrap()).lines();
    send(&child, "-INT");
    hears(&mut told, "nothing more is started");
    send(&fakes.0, "-STOP");
    send(&child, "-INT");
    hears(&mut told, "what runs is dropped");
    send(&child, "-INT");
    hears(&mut told, "leaving at once: changes stay, `muster cleanup` puts them back");
    assert_eq!(child.wait().unwrap().code(), Some(5), "what stays outweighs the signal");
    send(&fakes.0, "-CONT");
    assert_ne!(bench.state(), before, "changes stay");
    let cleaned = bench.muster(&["cleanup"]).output().unwrap();
    assert_eq!(code(&cleaned), 0, "{}", stderr(&cleaned));
    assert_eq!(bench.state(), before);
    send(&fakes.0, "-TERM");
    assert!(fakes.0.wait().unwrap().success());
}

#[test]
fn a_target_that_stands_still_for_a_while_and_goes_on_is_put_back_all_the_same() {
    let (bench, fakes) = Bench::beside_fakes();
    waiting_suites(&bench);
    let before = bench.state();
    let mut child = started(&bench);
    send(&fakes.0, "-STOP");
    send(&child, "-TERM");
    let mut told = BufReader::new(child.stderr.take().unwrap()).lines();
    hears(&mut told, "nothing more is started");
    send(&child, "-TERM");
    hears(&mut told, "what runs is dropped");
    send(&fakes.0, "-CONT");
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert_eq!(bench.state(), before);
}

/// `muster run` of these cases where no file may grow beyond so many KiB: what a full disk does, without one.
fn run_on_a_full_disk(bench: &Bench, kib: u32, cases: &[&str]) -> std::process::Output {
    let mut command = std::process::Command::new("bash");
    command.current_dir(bench.folder.path()).env("NO_COLOR", "1").env("CI", "1");
    let limited = format!("ulimit -f {kib}; trap '' XFSZ; exec \"$@\"");
    command.args(["-c", &limited, "bash", env!("CARGO_BIN_EXE_muster"), "run", "--target", "target.yaml"]);
    command.args(["--state-dir", "state", "--report-dir", "reports"]).args(cases).output().unwrap()
}

#[test]
fn a_record_that_cannot_be_written_whole_ends_in_6_and_everything_is_put_back() {
    let bench = Bench::new();
    let before = bench.state();
    let output = run_on_a_full_disk(&bench, 32, &["signup-flow"]);
    assert_eq!(code(&output), 6, "{}{}", stdout(&output), stderr(&output));
    assert!(
        stderr(&output).contains("cannot append to reports/run.jsonl: File too large"),
        "{}",
        stderr(&output)
    );
    assert_eq!(bench.state(), before);
    let record = std::fs::read_to_string(bench.path("reports/run.jsonl")).unwrap();
    let outcome = muster::outcome::fold(&muster::outcome::read_record(&record).unwrap()).unwrap();
    assert_eq!(outcome.ending().code(), 6, "as much of it is kept as leaves room for saying so");
}

#[test]
fn a_change_whose_undo_cannot_be_written_down_is_not_sent() {
    let bench = Bench::new();
    let before = bench.state();
    let output = run_on_a_full_disk(&bench, 32, &["signup-flow", "permission-leak"]);
    let told = stderr(&output);
    assert_eq!(code(&output), 5, "what was put back could not be noted either: {told}");
    assert!(told.contains("nothing was changed: cannot append to state/built-in/runs/"), "{told}");
    let cleaned = bench.muster(&["cleanup"]).output().unwrap();
    assert_eq!(code(&cleaned), 0, "{}", stderr(&cleaned));
    assert_eq!(bench.state(), before);
}

#[test]
fn a_run_killed_in_the_middle_of_a_disruption_leaves_no_lease_after_cleanup() {
    let bench = Bench::new();
    let mut child = bench.muster(&["run", "--allow-disruption", "service-pod-comes-back"]).spawn().unwrap();
    let holds = |state: &serde_json::Value| state["cluster"]["leases"] != serde_json::json!({});
    while !holds(&bench.state()) {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it held a lease");
    }
    send(&child, "-KILL");
    child.wait().unwrap();
    assert!(holds(&bench.state()), "its holder is dead");
    let cleaned = bench.muster(&["cleanup"]).output().unwrap();
    assert_eq!(code(&cleaned), 0, "{}", stderr(&cleaned));
    assert!(!holds(&bench.state()));
}

#[test]
fn a_run_on_another_platform_of_the_same_name_is_left_as_it_is() {
    let (bench, other) = (Bench::new(), Bench::new());
    waiting_suites(&bench);
    let before = bench.state();
    let mut child = started(&bench);
    send(&child, "-KILL");
    child.wait().unwrap();
    std::fs::copy(bench.path("target.yaml"), bench.path("first.yaml")).unwrap();
    std::fs::copy(other.path("target.yaml"), bench.path("target.yaml")).unwrap();
    let elsewhere = bench.muster(&["cleanup"]).output().unwrap();
    assert_eq!(code(&elsewhere), 5, "{}", stdout(&elsewhere));
    assert!(
        stderr(&elsewhere)
            .contains("it is left as it is\nhint: muster cleanup with the target file of that run\n")
    );
    std::fs::copy(bench.path("first.yaml"), bench.path("target.yaml")).unwrap();
    let cleaned = bench.muster(&["cleanup"]).output().unwrap();
    assert_eq!(code(&cleaned), 0, "{}", stderr(&cleaned));
    assert_eq!(bench.state(), before);
}

/// A door before the API: it hangs up on everybody until it is told to open.
fn shut_door(bench: &Bench) -> Arc<AtomicBool> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let door = listener.local_addr().unwrap();
    let target = std::fs::read_to_string(bench.path("target.yaml")).unwrap();
    let api = target.split("api: http://").nth(1).unwrap().lines().next().unwrap().to_owned();
    bench.rewrite_target(|text| text.replace(&format!("api: http://{api}"), &format!("api: http://{door}")));
    let is_open = Arc::new(AtomicBool::new(false));
    let told = is_open.clone();
    std::thread::spawn(move || {
        let callers = listener.incoming().map_while(Result::ok);
        callers.filter(|_| told.load(Ordering::Relaxed)).for_each(|caller| relay(caller, &api));
    });
    is_open
}

fn relay(caller: TcpStream, api: &str) {
    let server = TcpStream::connect(api).unwrap();
    let ways = [(caller.try_clone().unwrap(), server.try_clone().unwrap()), (server, caller)];
    for (mut from, mut to) in ways {
        std::thread::spawn(move || {
            std::io::copy(&mut from, &mut to).ok();
            to.shutdown(std::net::Shutdown::Write).ok();
        });
    }
}

#[test]
fn a_target_that_never_answers_is_not_judged_at_all() {
    let bench = Bench::new();
    shut_door(&bench);
    let output = bench.muster(&["run", "--wait-for-target", "600ms", "health"]).output().unwrap();
    assert_eq!(code(&output), 3, "{}", stdout(&output));
    let summary = summary(&bench.path("reports"));
    let totals = &summary["totals"];
    assert!(totals["not_run"].as_u64() > Some(0) && totals["not_run"] == totals["planned"], "{totals}");
    let told = "target.down: the target's API did not answer within 600ms";
    assert!(stdout(&output).contains(told), "{}", stdout(&output));
    assert!(summary.to_string().contains(told), "{summary}");
}

#[test]
fn a_wait_for_the_target_that_was_cut_short_says_by_what() {
    for (more, is_told, code_wanted, why) in
        [(&[][..], true, 143, "a signal"), (&["--timeout", "1s"], false, 3, "the run's time was up")]
    {
        let bench = Bench::new();
        shut_door(&bench);
        let mut run = bench.muster(&[&["run", "--wait-for-target", "20m", "health"][..], more].concat());
        let run = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        if is_told {
            std::thread::sleep(std::time::Duration::from_secs(1));
            send(&run, "-TERM");
        }
        let output = run.wait_with_output().unwrap();
        assert_eq!(code(&output), code_wanted, "{why}: {}{}", stdout(&output), stderr(&output));
        let summary = summary(&bench.path("reports")).to_string();
        assert!(summary.contains(why) && !summary.contains("did not answer within"), "{why}: {summary}");
    }
}

/// How a program ended that is given a minute for it.
pub(crate) fn within_a_minute(mut child: Child) -> std::process::Output {
    for _ in 0..600 {
        if child.try_wait().unwrap().is_some() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    child.kill().ok();
    child.wait_with_output().unwrap()
}

#[test]
fn nobody_waits_for_a_sign_in_that_is_not_answered_once_the_run_is_over() {
    for (more, signals, wanted, why) in [
        (&["--timeout", "1s"][..], 0, 3, "the run's time was up"),
        (&[][..], 1, 143, "a signal"),
        (&[][..], 3, 143, "a signal"),
    ] {
        let own = Own::answering(|_, state| {
            state.lock().unwrap().asked.push("anything".into());
            loop {
                std::thread::park();
            }
        });
        own.target("answer_within: 10m\n");
        own.cases(&[("reads", "", "      - call: { op: item.read, as: operator, with: { id: one } }")]);
        let mut run = own.command(&[&["run"][..], more].concat());
        let run = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        while own.asked("anything") == 0 {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        for _ in 0..signals {
            send(&run, "-TERM");
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        let output = within_a_minute(run);
        assert_eq!(output.status.code(), Some(wanted), "{why}: {}{}", stdout(&output), stderr(&output));
        assert!(summary(&own.path("reports")).to_string().contains(why), "{why}");
    }
}

#[test]
fn a_target_that_comes_up_late_is_waited_for() {
    let bench = Bench::new();
    let is_open = shut_door(&bench);
    let mut run = bench.muster(&["run", "--wait-for-target", "2m", "--exact", "health-answers-both-ways"]);
    let mut run = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(700));
    assert!(run.try_wait().unwrap().is_none(), "it did not wait");
    is_open.store(true, Ordering::Relaxed);
    let output = run.wait_with_output().unwrap();
    assert_eq!(code(&output), 0, "{}{}", stdout(&output), stderr(&output));
}

/// Stops a process until its poll's deadline of 2 s is long over, and lets it go on.
fn stood_still(child: &Child) {
    send(child, "-STOP");
    std::thread::sleep(std::time::Duration::from_secs(4));
    send(child, "-CONT");
}

#[test]
fn a_deadline_that_passed_while_the_run_stood_still_is_no_failure() {
    let bench = Bench::new();
    waiting_suites(&bench);
    let waiting = bench.path("suites/waiting.yaml");
    std::fs::write(&waiting, WAITING.replace("within: 20m", "within: 40s")).unwrap();
    let before = bench.state();
    for (is_stopped, verdict, kind, expected) in
        [(false, "fail", "poll.unmet", 1), (true, "inconclusive", "muster.stood-still", 3)]
    {
        std::fs::remove_dir_all(bench.path("reports")).ok();
        let mut child = started(&bench);
        if is_stopped {
            stood_still(&child);
        }
        assert_eq!(child.wait().unwrap().code(), Some(expected));
        let case = &summary(&bench.path("reports"))["cases"][0];
        assert_eq!(
            (&case["outcome"], &case["failures"][0]["kind"]),
            (&verdict.into(), &kind.into()),
            "{case}"
        );
        assert_eq!(bench.state(), before, "it is undone");
    }
}

#[test]
fn a_standard_error_that_nobody_reads_keeps_no_run_from_being_stopped_and_undone() {
    let bench = Bench::new();
    waiting_suites(&bench);
    let before = bench.state();
    // As much as a pipe holds: whoever writes one byte more waits for a reader.
    let (unread, mut full) = std::io::pipe().unwrap();
    std::io::Write::write_all(&mut full, &[b' '; 1 << 16]).unwrap();
    let mut child =
        bench.muster(&["run", "--suites", "suites"]).stdout(Stdio::null()).stderr(full).spawn().unwrap();
    while bench.state() == before {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it changed anything");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    // The second one drops the step that runs; two in the same instant may count as one.
    send(&child, "-TERM");
    std::thread::sleep(std::time::Duration::from_millis(300));
    send(&child, "-TERM");
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert_eq!(bench.state(), before);
    drop(unread);
}
