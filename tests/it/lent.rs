//! A run within this process, so that a test can lend it what no real process has: a clock that is set back, snapshots
//! that panic.

use crate::program::Bench;
use muster::host;
use muster::ledger::{Journal, Keys};
use muster::outcome::{Event, Outcome, Record, fold, read_record};
use muster::report::{KINDS, Told, write};
use muster::run::{Accounts, Level, Selection, Settings, Stop, execute, plan};
use muster::secret::Mask;
use muster::source::Source;
use muster::step::{Scene, Snapshots};
use muster::suite::{self, Folder};
use muster::target;
use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::time::Instant;

/// What a run is lent by its test.
struct Lent<'a> {
    suites: Folder,
    filters: &'a [&'a str],
    snapshots: &'a dyn Snapshots,
    now: &'a dyn Fn() -> jiff::Timestamp,
    hears: &'a dyn Fn(&Event),
}

/// Runs chosen cases on the fakes of a bench; everything that was told, and whether the journal is closed.
fn run(bench: &Bench, lent: &Lent<'_>) -> (Vec<Record>, bool) {
    let suites =
        suite::load(&suite::sources(&lent.suites).unwrap()).unwrap_or_else(|_| panic!("invalid suites"));
    let text = std::fs::read_to_string(bench.path("target.yaml")).unwrap();
    let file = target::read_target(&Source::new("target.yaml", text.as_str()));
    let file = file.unwrap_or_else(|_| panic!("an invalid target file"));
    let secrets = target::read_secrets(&file, &host::variable).unwrap();
    let target = target::connect(file, secrets).unwrap();
    let filters = lent.filters.iter().map(|filter| (*filter).to_owned()).collect();
    let selection = Selection { filters, is_exact: false, tags: vec![] };
    let (began, records) = (Instant::now(), RefCell::new(vec![]));
    let events = |event: Event| {
        (lent.hears)(&event);
        let at_us = u64::try_from(began.elapsed().as_micros()).unwrap();
        records.borrow_mut().push(Record { at_us, event });
    };
    let mask = Mask::new();
    target.secrets.all().for_each(|secret| mask.learn(secret.reveal()));
    let journal = Journal::open(&bench.path("journal")).unwrap();
    let scene = Scene {
        target: &target,
        book: &suites.book,
        mask: &mask,
        journal: &journal,
        keys: &Keys::default(),
        events: &events,
        snapshots: lent.snapshots,
        run: "20260101-120000-lent",
        seed: 1,
        may_disrupt: true,
        operator: RefCell::default(),
        kubernetes: tokio::sync::OnceCell::new(),
        left: std::collections::BTreeSet::new(),
        residue_seen: RefCell::default(),
        own_pod: None,
        unrecovered: RefCell::default(),
        now: lent.now,
    };
    let (_levels, levels) = tokio::sync::watch::channel(Level::GoOn);
    let (_first, first) = tokio::sync::watch::channel(None);
    let settings = Settings {
        jobs: 1,
        timeout: None,
        fail_fast: false,
        waited_in_vain: None,
        stop: Stop::new(levels, first),
        version: "0".into(),
    };
    let chosen = plan(&suites, &target.file, &selection, 1, true);
    assert!(!chosen.cases.is_empty());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(execute(&chosen, &scene, &Accounts::new(b"key"), &settings));
    drop(scene);
    (records.into_inner(), journal.close().unwrap())
}

/// No snapshot is stored, and none is kept as pending.
struct NoSnapshots;

impl Snapshots for NoSnapshots {
    fn stored(&self, _: &str) -> Option<String> {
        None
    }

    fn agree(&self, _: &str) {}

    fn keep(&self, _: &str, _: &str, _: &str) -> Result<Option<String>, String> {
        Ok(None)
    }
}

/// Looking at a stored snapshot is a defect of muster.
struct Panicking;

impl Snapshots for Panicking {
    fn stored(&self, _: &str) -> Option<String> {
        panic!("as a test wants it")
    }

    fn agree(&self, _: &str) {}

    fn keep(&self, _: &str, _: &str, _: &str) -> Result<Option<String>, String> {
        Ok(None)
    }
}

/// A case that has signed somebody up when muster panics, beside one that has nothing to do with it.
const PANICS: &str = "title: Panics
cases:
  - id: it-panics
    why: what it has written is put back all the same
    identities: { me: newcomer, alice: tenant }
    steps:
      - call:
          op: signup.send_code
          json: { email: $(me.email) }
      - snapshot: { name: reply, op: debug.health, as: operator, with: { service: store } }
  - id: it-passes
    why: a defect of muster in one case is none in another
    steps: [{ call: { op: debug.health, as: operator, with: { service: store } } }]
";

fn ended<'a>(outcome: &'a Outcome, case: &str) -> (&'static str, &'a str) {
    let found = outcome.cases.iter().find(|it| it.planned.case == case).unwrap();
    (found.word(), found.failures.first().map_or("", |failure| failure.kind.as_str()))
}

/// Every report of a run is written, and the one that is the record says what was told.
fn are_whole(records: &[Record], outcome: &Outcome, folder: PathBuf) {
    for kind in KINDS {
        let path = write(kind, &Told { outcome, records }, &folder).unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        assert!(!text.is_empty(), "{}", kind.name);
        if kind.name == "jsonl" {
            assert_eq!(fold(&read_record(&text).unwrap()).as_ref(), Some(outcome));
        }
    }
}

#[test]
fn a_panic_in_the_middle_of_a_case_that_has_written_is_undone_and_ends_in_101() {
    let bench = Bench::new();
    std::fs::write(bench.suites_without_cases().join("panics.yaml"), PANICS).unwrap();
    let before = bench.state();
    let stood = Cell::new(false);
    let hears = |event: &Event| {
        if matches!(event, Event::StepEnded(step) if step.step.contains("signup.send_code")) {
            stood.set(bench.state() != before);
        }
    };
    let lent = Lent {
        suites: Folder::Disk(bench.path("suites")),
        filters: &[],
        snapshots: &Panicking,
        now: &host::now,
        hears: &hears,
    };
    let (records, is_closed) = run(&bench, &lent);
    let outcome = fold(&records).unwrap();
    assert!(stood.get(), "something stood when it panicked");
    assert_eq!(ended(&outcome, "it-panics"), ("inconclusive", "muster.panic"));
    assert_eq!(ended(&outcome, "it-passes"), ("pass", ""));
    assert_eq!(outcome.ending().code(), 101);
    assert!(is_closed && outcome.leftovers.is_empty(), "{:?}", outcome.leftovers);
    assert_eq!(bench.state(), before);
    are_whole(&records, &outcome, bench.path("reports"));
}

/// Cases that write, each in its own way: what a person makes, a setting, a canary, a rule, a service.
const WRITING: [&str; 5] = [
    "signup-gives-a-namespace",
    "config-is-set-merged",
    "store-keeps-namespaces-apart",
    "rules-are-made-at-home-only",
    "a-service-is-updated",
];

/// The writing cases, with a panic when the n-th step has ended; how many steps ended before it.
fn panicked_after(bench: &Bench, last: usize) -> usize {
    let steps = Cell::new(0);
    let hears = |event: &Event| {
        steps.set(steps.get() + usize::from(matches!(event, Event::StepEnded(_))));
        assert!(steps.get() != last || !matches!(event, Event::StepEnded(_)), "as a test wants it");
    };
    let lent = Lent {
        suites: Folder::Embedded,
        filters: &WRITING,
        snapshots: &NoSnapshots,
        now: &host::now,
        hears: &hears,
    };
    let (records, is_closed) = run(bench, &lent);
    std::fs::remove_file(bench.path("journal")).unwrap();
    let outcome = fold(&records).unwrap();
    assert!(is_closed && outcome.leftovers.is_empty(), "{last}: {:?}", outcome.leftovers);
    let panicked =
        outcome.cases.iter().filter(|case| ended(&outcome, &case.planned.case).1 == "muster.panic").count();
    let expected = usize::from(steps.get() >= last);
    assert_eq!(
        (panicked, outcome.ending().code()),
        (expected, if expected == 1 { 101 } else { 0 }),
        "{last}"
    );
    steps.get()
}

/// The state but for what `config.set` declares: the empty map above a setting that it made.
fn state(bench: &Bench) -> serde_json::Value {
    let mut state = bench.state();
    let settings = state.pointer_mut("/databases/micro/config/micro").and_then(|it| it.as_object_mut());
    settings.unwrap().retain(|_, setting| *setting != serde_json::json!({}));
    state
}

#[test]
fn a_panic_after_any_step_of_cases_that_write_is_undone_and_ends_in_101() {
    let bench = Bench::new();
    let before = state(&bench);
    let all = panicked_after(&bench, usize::MAX);
    assert!(all > 20, "{all} steps");
    for last in (1..=all).step_by(4) {
        panicked_after(&bench, last);
        // What the fakes do of their own accord, such as the end of a pod, may take a moment.
        let is_back = (0..50).any(|look| {
            std::thread::sleep(std::time::Duration::from_millis(20 * u64::from(look > 0)));
            state(&bench) == before
        });
        assert!(is_back, "something is left of a panic after step {last}");
    }
}

/// Cases with a token, a code, a journal, a lease, and an instant that must not be too old.
const BY_THE_CLOCK: [&str; 4] = ["signup-gives-a-namespace", "a-config", "service-pod-comes-back", "backup"];

#[test]
fn a_clock_that_is_set_back_an_hour_in_the_middle_fails_nothing_and_leaves_nothing() {
    let bench = Bench::new();
    let before = bench.state();
    let (steps, asked_after) = (Cell::new(0), Cell::new(0));
    let now = || {
        let is_back = steps.get() > 0;
        asked_after.set(asked_after.get() + usize::from(is_back));
        host::now() - jiff::SignedDuration::from_hours(i64::from(is_back))
    };
    let hears = |event: &Event| steps.set(steps.get() + usize::from(matches!(event, Event::StepEnded(_))));
    let lent = Lent {
        suites: Folder::Embedded,
        filters: &BY_THE_CLOCK,
        snapshots: &NoSnapshots,
        now: &now,
        hears: &hears,
    };
    let (records, is_closed) = run(&bench, &lent);
    let outcome = fold(&records).unwrap();
    let totals = outcome.totals();
    assert!(steps.get() > 12 && asked_after.get() > 6, "{} steps, {} later", steps.get(), asked_after.get());
    let wrong: Vec<_> = outcome.cases.iter().flat_map(|case| &case.failures).collect();
    assert!(
        totals.planned >= 6 && totals.passed == totals.planned && wrong.is_empty(),
        "{totals:?} {wrong:?}"
    );
    assert!(is_closed && outcome.leftovers.is_empty(), "{:?}", outcome.leftovers);
    assert_eq!(bench.state(), before);
}
