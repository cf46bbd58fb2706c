//! What a dead run has left is damaged, taken away, or not one's own: nobody says that all is put back.

use crate::interrupt::{send, started, started_with, waiting_suites};
use crate::program::{Bench, code, stderr, stdout, summary};
use std::path::{Path, PathBuf};

/// Something done to a journal, and its name.
type Damage = (&'static str, fn(&Path));

/// A run that was killed with something of its own standing: its journal, and what stood before.
pub(crate) fn killed(bench: &Bench) -> (PathBuf, serde_json::Value) {
    waiting_suites(bench);
    let before = bench.state();
    let mut child = started(bench);
    send(&child, "-KILL");
    child.wait().unwrap();
    assert_ne!(bench.state(), before, "something stands that must be put back");
    let runs = std::fs::read_dir(bench.path("state/built-in/runs")).unwrap();
    let runs: Vec<PathBuf> = runs.map(|run| run.unwrap().path()).collect();
    assert_eq!(runs.len(), 1);
    (runs[0].join("journal"), before)
}

/// The journal with another checksum in its lines of these indexes.
fn flip(journal: &Path, lines: &[usize]) {
    let mut all: Vec<Vec<u8>> =
        std::fs::read(journal).unwrap().split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    lines.iter().for_each(|line| all[*line][0] = if all[*line][0] == b'0' { b'1' } else { b'0' });
    std::fs::write(journal, all.concat()).unwrap();
}

/// Cleanup and the next run end in 5 and say this, and the folder stays.
fn is_told_and_stays(bench: &Bench, journal: &Path, said: &str) {
    for command in [&["cleanup"][..], &["run", "--exact", "health-answers-both-ways"], &["cleanup"]] {
        let output = bench.muster(command).output().unwrap();
        assert_eq!(code(&output), 5, "{command:?}: {}{}", stdout(&output), stderr(&output));
        assert!(stderr(&output).contains(said), "{command:?}: {}", stderr(&output));
        assert!(stderr(&output).contains("to let go of this run, remove the folder"), "{}", stderr(&output));
        assert!(!stdout(&output).contains("everything is put back"), "{}", stdout(&output));
        assert!(journal.parent().unwrap().is_dir(), "{command:?} has forgotten the run");
    }
    std::fs::remove_dir_all(journal.parent().unwrap()).unwrap();
    let output = bench.muster(&["cleanup"]).output().unwrap();
    assert_eq!((code(&output), stdout(&output).contains("nothing is left")), (0, true));
}

#[test]
fn changes_whose_lines_are_damaged_are_told_and_the_others_are_put_back() {
    let bench = Bench::new();
    let (journal, _) = killed(&bench);
    let dry = bench.muster(&["cleanup", "--dry-run"]).output().unwrap();
    assert_eq!((code(&dry), stdout(&dry).contains(": 2 changes would be")), (0, true));
    let text = std::fs::read_to_string(&journal).unwrap();
    let changing: Vec<usize> = text
        .lines()
        .enumerate()
        .filter(|(_, line)| line.contains("\"changing\""))
        .map(|(at, _)| at)
        .collect();
    flip(&journal, &changing[1..]);
    let dry = bench.muster(&["cleanup", "--dry-run"]).output().unwrap();
    assert_eq!((code(&dry), stdout(&dry).contains(": 1 changes would be")), (5, true), "{}", stderr(&dry));
    let standing = bench.state();
    let cleaned = bench.muster(&["cleanup"]).output().unwrap();
    assert_eq!(code(&cleaned), 5, "{}", stdout(&cleaned));
    assert_ne!(bench.state(), standing, "what can be read is put back");
    let dry = bench.muster(&["cleanup", "--dry-run"]).output().unwrap();
    assert_eq!((code(&dry), stdout(&dry).contains(": 0 changes would be")), (5, true), "{}", stdout(&dry));
    is_told_and_stays(&bench, &journal, "1 lines of the journal of run");
}

#[test]
fn a_journal_without_its_first_line_is_left_as_it_is_and_told() {
    let damages: [Damage; 5] = [
        ("flipped", |journal| flip(journal, &[0])),
        ("emptied", |journal| std::fs::write(journal, "").unwrap()),
        ("cut", |journal| {
            let bytes = std::fs::read(journal).unwrap();
            std::fs::write(journal, &bytes[..40]).unwrap();
        }),
        ("zeroed", |journal| {
            let length = std::fs::read(journal).unwrap().len();
            std::fs::write(journal, vec![0; length]).unwrap();
        }),
        ("headless", |journal| {
            let text = std::fs::read_to_string(journal).unwrap();
            std::fs::write(journal, text.split_once('\n').unwrap().1).unwrap();
        }),
    ];
    let bench = Bench::new();
    for (name, damage) in damages {
        let (journal, _) = killed(&bench);
        damage(&journal);
        let (bytes, standing) = (std::fs::read(&journal).unwrap(), bench.state());
        let output = bench.muster(&["cleanup"]).output().unwrap();
        assert_eq!(code(&output), 5, "{name}: {}", stdout(&output));
        assert_eq!(bench.state(), standing, "{name}: nobody knows that this is the platform it changed");
        assert_eq!(std::fs::read(&journal).unwrap(), bytes, "{name}");
        is_told_and_stays(&bench, &journal, "which platform it changed cannot be known");
    }
}

#[test]
fn a_journal_that_cannot_be_read_keeps_no_other_run_from_being_put_back() {
    let bench = Bench::new();
    let (journal, before) = killed(&bench);
    let lost = bench.path("state/built-in/runs/00000000-000000-lost/journal");
    std::fs::create_dir_all(&lost).unwrap();
    let cleaned = bench.muster(&["cleanup"]).output().unwrap();
    assert_eq!(code(&cleaned), 5, "{}{}", stdout(&cleaned), stderr(&cleaned));
    assert!(stdout(&cleaned).contains("everything is put back"), "{}", stdout(&cleaned));
    assert!(!journal.exists());
    assert_eq!(bench.state(), before);
    is_told_and_stays(&bench, &lost, "run 00000000-000000-lost cannot be put back: cannot read");
}

#[test]
fn a_run_whose_journal_is_gone_is_told() {
    let bench = Bench::new();
    let (journal, _) = killed(&bench);
    std::fs::remove_file(&journal).unwrap();
    is_told_and_stays(&bench, &journal, "No such file or directory");
}

#[test]
fn a_run_that_died_before_it_had_a_journal_or_while_it_was_forgotten_is_no_damage() {
    let bench = Bench::new();
    for left in ["book/suites", "book"] {
        let aside = bench.path("state/built-in/aside/19700101-000000-dead").join(left);
        std::fs::create_dir_all(&aside).unwrap();
        let output = bench.muster(&["run", "--exact", "health-answers-both-ways"]).output().unwrap();
        assert_eq!(code(&output), 0, "{}{}", stdout(&output), stderr(&output));
        assert!(!aside.exists(), "what is aside goes with the next run");
    }
}

#[test]
fn cleanup_on_a_full_disk_puts_everything_back_and_ends_in_5() {
    let bench = Bench::new();
    let (journal, before) = killed(&bench);
    let mut command = std::process::Command::new("bash");
    command.current_dir(bench.folder.path()).env("NO_COLOR", "1").env("CI", "1");
    command.args(["-c", "ulimit -f 0; trap '' XFSZ; exec \"$@\" 2>&1 | cat; exit ${PIPESTATUS[0]}", "bash"]);
    command.args([
        env!("CARGO_BIN_EXE_muster"),
        "cleanup",
        "--target",
        "target.yaml",
        "--state-dir",
        "state",
    ]);
    let output = command.output().unwrap();
    assert_eq!(code(&output), 5, "{}{}", stdout(&output), stderr(&output));
    assert!(stdout(&output).contains("File too large"), "{}", stdout(&output));
    assert_eq!(bench.state(), before, "what was put back and could not be noted");
    assert!(journal.exists());
    let cleaned = bench.muster(&["cleanup"]).output().unwrap();
    assert_eq!(code(&cleaned), 0, "{}", stderr(&cleaned));
}

#[test]
fn a_lock_whose_file_somebody_has_removed_still_keeps_others_out() {
    let bench = Bench::new();
    waiting_suites(&bench);
    let before = bench.state();
    let mut child = started(&bench);
    // Whoever has signed up becomes active by an event, which may be late.
    while bench.state().to_string().contains("\"verified\"") {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let standing = bench.state();
    for command in [&["cleanup"][..], &["run", "store-is-healthy", "--report-dir", "other"]] {
        std::fs::remove_file(bench.path("state/built-in/lock")).unwrap();
        let other = bench.muster(command).output().unwrap();
        assert_eq!(code(&other), 2, "{command:?}: {}{}", stdout(&other), stderr(&other));
        assert!(stderr(&other).contains("another muster is at work on target `built-in`: run 2"));
        assert_eq!(bench.state(), standing, "{command:?}");
    }
    send(&child, "-KILL");
    child.wait().unwrap();
    let cleaned = bench.muster(&["cleanup"]).output().unwrap();
    assert_eq!(code(&cleaned), 0, "its lock ends with it: {}", stderr(&cleaned));
    assert_eq!(bench.state(), before);
}

/// Two cases of this kind, one after the other: in the first one somebody takes the state folder away.
const SIGNS_UP: &str = "
  - id: signs-up-NAME
    why: the second one has no journal any more
    identities: { me: newcomer }
    steps:
      - call: { op: signup.send_code, json: { email: $(me.email) } }
      - poll:
          op: customers.read
          as: operator
          json: { email: $(me.email) }
          until: { body: { $.customer.status: never-this } }
          within: 100s
";

#[test]
fn without_its_state_folder_a_run_changes_nothing_more_and_puts_back_what_it_has_changed() {
    let losses: [Damage; 2] = [
        ("removed", |state| std::fs::remove_dir_all(state).unwrap()),
        ("moved", |state| std::fs::rename(state, state.with_extension("elsewhere")).unwrap()),
    ];
    for (name, loss) in losses {
        let bench = Bench::new();
        waiting_suites(&bench);
        let cases = ["one", "two"].map(|name| SIGNS_UP.replace("NAME", name)).concat();
        std::fs::write(bench.path("suites/waiting.yaml"), format!("title: Two\ncases:{cases}")).unwrap();
        let before = bench.state();
        let child = started_with(&bench, &["--jobs", "1"]);
        loss(&bench.path("state"));
        let output = child.wait_with_output().unwrap();
        assert_eq!(code(&output), 6, "{name}: {}{}", stdout(&output), stderr(&output));
        let cases = summary(&bench.path("reports"))["cases"].to_string();
        assert_eq!(cases.matches("poll.unmet").count(), 1, "{name}: {cases}");
        assert_eq!(cases.matches("ledger.disk").count(), 1, "{name}: {cases}");
        assert!(cases.contains("nothing was changed: cannot append to"), "{name}: {cases}");
        assert_eq!(bench.state(), before, "{name}");
    }
}
