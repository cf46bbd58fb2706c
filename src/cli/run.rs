//! `muster run`.

use super::args::RunArguments;
use super::cleanup::{Earlier, Put};
use super::report::no_report;
use super::sink::Sink;
use super::snapshots::Stored;
use super::state::State;
use super::written::Written;
use super::{Ended, Refusal, open, signals};
use crate::files::{self, FileError};
use crate::host;
use crate::ledger::{Journal, Keys};
use crate::outcome::{self, Ending, Event, Outcome, Record};
use crate::report::{self, Console, Kind, Told};
use crate::run::{self, Accounts, Plan, Selection, Settings, Stop};
use crate::secret::{Mask, Masked};
use crate::source::Source;
use crate::step::Scene;
use crate::suite::{self, Suites};
use crate::target::Target;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

/// Runs what was asked for.
pub(super) fn run(arguments: &RunArguments) -> Ended {
    Ok(match perform(arguments, true)? {
        Performed::Shown => Ending::Passed,
        Performed::NothingSelected => Ending::NothingSelected,
        Performed::Run(outcome) => outcome.ending(),
    })
}

/// What came of a command to run.
pub(super) enum Performed {
    /// A dry run: the plan was shown.
    Shown,
    /// No case was selected.
    NothingSelected,
    /// A run.
    Run(Box<Outcome>),
}

/// Carries a run out.
pub(super) fn perform(arguments: &RunArguments, tells: bool) -> Result<Performed, Refusal> {
    check_reports(&arguments.reports)?;
    let sources = open::sources(&arguments.suites)?;
    let suites = suite::load(&sources)?;
    let selection = &arguments.selection;
    let seed = selection.seed.unwrap_or_else(host::random_seed);
    let state = match selection.target {
        Some(_) => State::lasting(arguments.state_dir.as_deref()),
        None => State::passing()?,
    };
    let opened = open::target(selection, arguments.pace, seed, &state)?;
    let target = open::connect(&opened, &suites)?;
    let may_disrupt = selection.allow_disruption || opened.fakes.is_some();
    if let Some(told) = open::unmatched(&suites, Some(&target.file), &chosen(arguments)) {
        host::tell(&told);
        return Ok(Performed::NothingSelected);
    }
    let plan = run::plan(&suites, &target.file, &chosen(arguments), seed, may_disrupt);
    if plan.cases.is_empty() {
        host::tell(&nothing_selected(&plan));
        return Ok(Performed::NothingSelected);
    }
    if arguments.dry_run {
        host::print(&shown(&plan, &target, seed));
        return Ok(Performed::Shown);
    }
    let prepared = Prepared {
        arguments,
        sources: &sources,
        suites: &suites,
        target: &target,
        plan,
        seed,
        may_disrupt,
        stored: stored(arguments),
        tells,
    };
    prepared.carried_out(&state).map(|outcome| Performed::Run(Box::new(outcome)))
}

/// The report that is the record itself.
const RECORD: &str = "jsonl";
/// The reports that are written last: they tell how the run ended, so also whether the others were written.
const LAST: [&str; 2] = ["junit", "summary"];

fn check_reports(asked: &[String]) -> Result<(), Refusal> {
    match asked.iter().find(|name| report::kind(name).is_none()) {
        None => Ok(()),
        Some(name) => Err(no_report(name)),
    }
}

fn chosen(arguments: &RunArguments) -> Selection {
    let asked = &arguments.selection;
    Selection { filters: asked.filters.clone(), is_exact: asked.exact, tags: asked.tags.clone() }
}

fn stored(arguments: &RunArguments) -> Stored {
    let folder = &arguments.snapshots;
    Stored {
        folder: (folder.is_dir() || arguments.update_snapshots).then(|| folder.clone()),
        reports: arguments.report_dir.clone(),
        is_updating: arguments.update_snapshots,
        written: Written::default(),
    }
}

/// Everything that was asked for is there, and no case is all of it.
fn nothing_selected(plan: &Plan<'_>) -> String {
    let hint = match plan.disruptive_left_out {
        0 => "`muster list` shows all cases, and the tags of each".to_owned(),
        left => format!("{left} disruptive cases were left out: --allow-disruption"),
    };
    format!("error: no case was selected\nhint: {hint}\n")
}

/// The plan, for readers.
fn shown(plan: &Plan<'_>, target: &Target, seed: u64) -> String {
    let mut text =
        format!("plan for target {} with seed {seed}: {} cases\n", target.name(), plan.cases.len());
    for planned in &plan.cases {
        let unrun = match &planned.unrun {
            Some(run::Unrun::Declared(why)) => format!("  (skipped: {why})"),
            Some(run::Unrun::Undeclared(why)) => format!("  (inconclusive: {why})"),
            None => String::new(),
        };
        let lane = format!("{:?}", planned.lane).to_lowercase();
        text.push_str(&format!("  {lane:<10}  {}/{}{unrun}\n", planned.case.family, planned.name));
    }
    if plan.disruptive_left_out > 0 {
        text.push_str(&format!(
            "{} disruptive cases are left out: --allow-disruption\n",
            plan.disruptive_left_out
        ));
    }
    text
}

/// What is opened for one run.
struct Lent<'a> {
    run: &'a str,
    mask: &'a Mask,
    journal: &'a Journal,
    accounts: &'a Accounts,
    sink: &'a Sink,
    left: BTreeSet<String>,
}

/// Everything that is known before anything is sent.
struct Prepared<'a> {
    arguments: &'a RunArguments,
    sources: &'a [Source],
    suites: &'a Suites,
    target: &'a Target,
    plan: Plan<'a>,
    seed: u64,
    may_disrupt: bool,
    stored: Stored,
    /// Whether what happens is told: a run within another command is silent.
    tells: bool,
}

impl Prepared<'_> {
    fn carried_out(&self, state: &State) -> Result<Outcome, Refusal> {
        let run = run_id();
        let folder = &self.arguments.report_dir;
        let runtime = open::runtime()?;
        let _lock = state.lock(self.target.name(), &run)?;
        let accounts = Accounts::new(&state.key()?);
        let console = self.tells.then(|| {
            Console::new(host::is_watched(), if host::is_watched() { host::tell_at_once } else { host::tell })
        });
        let sink = Sink::new(folder, console)?;
        self.stored.written.note(sink.path().to_owned());
        forget_reports(folder)?;
        let stop = runtime.block_on(async { signals::listen() })?;
        let mask = Mask::new();
        self.target.secrets.all().for_each(|secret| mask.learn(secret.reveal()));
        let earlier = state.open_runs(self.target.name())?;
        // From here on something is sent: nothing below refuses any more, it ends the run in 5 or 6.
        let journal = state.begin(self.target, &run, self.sources)?;
        let in_vain = self
            .arguments
            .wait_for_target
            .filter(|within| !runtime.block_on(run::wait_for(self.target, *within, &stop)));
        let keys = RefCell::default();
        for earlier in earlier {
            let left = match in_vain {
                Some(_) => Some(format!("run {earlier} cannot be put back while the target does not answer")),
                None => runtime.block_on(self.put_back((state, &keys), &earlier, &mask, &stop)),
            };
            if let Some(left) = left {
                sink.take(Event::Applied { ending: Ending::LeftBehind, why: mask.mask(&left) });
            }
        }
        let lent = Lent {
            run: &run,
            mask: &mask,
            journal: &journal,
            accounts: &accounts,
            sink: &sink,
            left: keys.take(),
        };
        runtime.block_on(self.executed(&lent, stop.clone(), in_vain));
        // What was put back and could not be noted is put back once more by `muster cleanup`.
        match journal.close() {
            Ok(true) => self.forgotten(state, &run, &sink, &mask),
            Ok(false) => {}
            Err(error) => unrecorded(&sink, &mask, &format!("{error}; `muster cleanup` looks again")),
        }
        if let Some(number) = stop.signal() {
            let why = Masked::fixed("a signal asked muster to stop");
            sink.take(Event::Applied { ending: Ending::of_signal(number), why });
        }
        sink.end_console();
        let (outcome, differs) = self.reported(&sink, &mask)?;
        if self.tells {
            host::print(&report::console_summary(&outcome, host::wants_colors()));
            host::print(&differs.unwrap_or_default());
            host::print(&format!("reports: {}\n", folder.display()));
        }
        Ok(outcome)
    }

    /// Puts back what an earlier run has left. What is left even so, in one line.
    async fn put_back(
        &self,
        (state, left): (&State, &RefCell<BTreeSet<String>>),
        earlier: &str,
        mask: &Mask,
        stop: &Stop,
    ) -> Option<String> {
        let run = Earlier { state, target: self.target, run: earlier, patience: run::PATIENCE, left };
        match run.put_back(mask, stop, self.seed).await {
            Put::Whole => {
                host::tell(&format!("run {earlier}: everything is put back\n"));
                None
            }
            Put::Elsewhere(told) => {
                host::tell(&told);
                None
            }
            Put::Left { summary, told } => {
                host::tell(&super::harmless(mask.mask(&told).as_str()));
                Some(summary)
            }
        }
    }

    async fn executed(&self, lent: &Lent<'_>, stop: Stop, waited_in_vain: Option<Duration>) {
        let (keys, clock) = (Keys::default(), host::Clock::start());
        let scene = Scene {
            target: self.target,
            book: &self.suites.book,
            mask: lent.mask,
            journal: lent.journal,
            keys: &keys,
            events: &|event| lent.sink.take(event),
            snapshots: &self.stored,
            run: lent.run,
            seed: self.seed,
            may_disrupt: self.may_disrupt,
            operator: RefCell::default(),
            kubernetes: tokio::sync::OnceCell::new(),
            left: lent.left.clone(),
            residue_seen: RefCell::default(),
            own_pod: host::variable("HOSTNAME"),
            unrecovered: RefCell::default(),
            now: &|| clock.now(),
        };
        let settings = Settings {
            jobs: usize::from(self.arguments.jobs),
            timeout: self.arguments.timeout,
            fail_fast: self.arguments.fail_fast,
            waited_in_vain,
            stop,
            version: env!("CARGO_PKG_VERSION").into(),
        };
        let _watchdog = signals::watch_over();
        run::execute(&self.plan, &scene, lent.accounts, &settings).await;
    }

    /// A run of which nothing is left is forgotten.
    fn forgotten(&self, state: &State, run: &str, sink: &Sink, mask: &Mask) {
        if let Err(error) = state.forget(self.target.name(), run) {
            unrecorded(sink, mask, &error.to_string());
        }
    }

    /// Writes the reports. What keeps them from being written is no refusal any more: something was run. With the outcome,
    /// how its outline differs from the stored one.
    fn reported(&self, sink: &Sink, mask: &Mask) -> Result<(Outcome, Option<String>), Refusal> {
        self.report(sink, mask).or_else(|refusal| {
            unrecorded(sink, mask, refusal.said());
            Ok((Recorded::of(sink)?.outcome, None))
        })
    }

    /// The record was written as things happened. If that went wrong, or a secret stands in it, it is written anew from
    /// memory.
    fn keep_record(&self, sink: &Sink, mask: &Mask) {
        match sink.kept() {
            Ok(bytes) if !mask.hides_in(&String::from_utf8_lossy(&bytes)) => return,
            Ok(_) => {}
            Err(refusal) => unrecorded(sink, mask, refusal.said()),
        }
        if let Err(refusal) = sink.write_anew(mask) {
            unrecorded(sink, mask, refusal.said());
        }
    }

    /// Writes the reports and searches what was written for secrets.
    fn report(&self, sink: &Sink, mask: &Mask) -> Result<(Outcome, Option<String>), Refusal> {
        let asked = |kind: &&Kind| {
            self.arguments.reports.is_empty() || self.arguments.reports.iter().any(|it| it == kind.name)
        };
        self.keep_record(sink, mask);
        let recorded = Recorded::of(sink)?;
        let differs = self.outline_differs(&recorded.outcome).unwrap_or_else(|refusal| {
            unrecorded(sink, mask, refusal.said());
            None
        });
        let recorded = recorded.renewed(sink)?;
        let others = report::KINDS.iter().filter(|kind| !(kind.name == RECORD || LAST.contains(&kind.name)));
        for kind in others.filter(asked) {
            self.write(kind, &recorded, sink, mask);
        }
        self.search(sink, mask)?;
        let last: Vec<&Kind> = LAST.iter().filter_map(|name| report::kind(name)).filter(asked).collect();
        let recorded = self.write_last(&last, recorded.renewed(sink)?, sink, mask)?;
        Ok((recorded.outcome, differs))
    }

    /// Writes the reports that tell how the run ended. If one of them changes that, the others are written once more.
    fn write_last(
        &self,
        kinds: &[&Kind],
        recorded: Recorded,
        sink: &Sink,
        mask: &Mask,
    ) -> Result<Recorded, Refusal> {
        let count = recorded.records.len();
        let written: Vec<&&Kind> =
            kinds.iter().filter(|kind| self.write(kind, &recorded, sink, mask)).collect();
        self.search(sink, mask)?;
        let recorded = recorded.renewed(sink)?;
        if recorded.records.len() > count {
            for kind in written {
                self.write(kind, &recorded, sink, mask);
            }
            self.search(sink, mask)?;
        }
        recorded.renewed(sink)
    }

    /// Writes a report, and tells whether that went well.
    fn write(&self, kind: &Kind, recorded: &Recorded, sink: &Sink, mask: &Mask) -> bool {
        let told = Told { outcome: &recorded.outcome, records: &recorded.records };
        let folder = &self.arguments.report_dir;
        self.stored.written.note(folder.join(kind.file));
        let written = report::write(kind, &told, folder);
        if let Err(error) = &written {
            unrecorded(sink, mask, &error.to_string());
        }
        written.is_ok()
    }

    fn search(&self, sink: &Sink, mask: &Mask) -> Result<(), Refusal> {
        for path in self.stored.written.leaking(mask)? {
            unrecorded(sink, mask, &format!("{} held a secret and was removed", path.display()));
        }
        Ok(())
    }

    /// What to tell of a run of every case whose outline is not the stored one of its target.
    fn outline_differs(&self, outcome: &Outcome) -> Result<Option<String>, Refusal> {
        let is_whole = self.tells
            && chosen(self.arguments) == Selection::default()
            && outcome.start.disruptive_left_out == 0
            && outcome.totals().not_run == 0;
        match report::kind("outline").filter(|_| is_whole) {
            None => Ok(None),
            Some(kind) => {
                let outline = report::render(kind, &Told { outcome, records: &[] })?;
                Ok(self.stored.outline_differs(&outcome.start.target, &outline)?)
            }
        }
    }
}

/// All that was taken up to a moment, and what it amounts to.
struct Recorded {
    records: Vec<Record>,
    outcome: Outcome,
}

impl Recorded {
    fn of(sink: &Sink) -> Result<Self, Refusal> {
        let records = sink.records();
        let outcome = outcome::fold(&records).ok_or_else(|| Refusal::new("the run was not recorded"))?;
        Ok(Self { records, outcome })
    }

    /// The same, if nothing was taken since.
    fn renewed(self, sink: &Sink) -> Result<Self, Refusal> {
        if sink.count() == self.records.len() { Ok(self) } else { Self::of(sink) }
    }
}

/// Something was not written whole: the run ends so.
fn unrecorded(sink: &Sink, mask: &Mask, why: &str) {
    let why = mask.mask(why);
    host::tell(&format!("error: {why}\n"));
    sink.take(Event::Applied { ending: Ending::Unrecorded, why });
}

/// Unique on its target: the second, and four letters of chance.
fn run_id() -> String {
    let now = host::now().strftime("%Y%m%d-%H%M%S").to_string();
    let chance = host::random_seed();
    let letters: String = (0..4)
        .map(|index| char::from(b'a' + u8::try_from((chance >> (index * 8)) % 26).unwrap_or(0)))
        .collect();
    format!("{now}-{letters}")
}

/// Removes the reports of an earlier run: what this one does not write, or does not come to write, would be taken for its own.
fn forget_reports(folder: &Path) -> Result<(), FileError> {
    let others = report::KINDS.iter().filter(|kind| kind.name != RECORD);
    let mut reports = others.map(|kind| folder.join(kind.file)).filter(|path| is_ours(path));
    reports.try_for_each(|path| files::remove(&path))
}

/// Whether a file seems to be a report of muster's: other tools have files of these names too.
fn is_ours(path: &Path) -> bool {
    path.is_file()
        && files::read_text(path).is_ok_and(|text| text.contains("muster") || text.contains("exit code"))
}
