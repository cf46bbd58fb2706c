//! `muster run`.

use super::args::RunArguments;
use super::cleanup::{Earlier, Put};
use super::report::no_report;
use super::reports::{self, Reports};
use super::sink::Sink;
use super::snapshots::Stored;
use super::state::State;
use super::written::Written;
use super::{Ended, Refusal, open, signals};
use crate::host;
use crate::ledger::{Journal, Keys};
use crate::outcome::{Ending, Event, Outcome};
use crate::report::{self, Console, Told};
use crate::run::{self, Accounts, Plan, Selection, Settings, Stop, Waited};
use crate::secret::Mask;
use crate::source::Source;
use crate::step::Scene;
use crate::suite::{self, Suites};
use crate::target::Target;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

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
    if !arguments.dry_run {
        reports::forget_earlier(&arguments.report_dir)?;
    }
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
        reports::forget_earlier(folder)?;
        let stop = signals::listen()?;
        let mask = Mask::new();
        self.target.secrets.all().for_each(|secret| mask.learn(secret.reveal()));
        let earlier = state.open_runs(self.target.name())?;
        // From here on something is sent: nothing below refuses any more, it ends the run in 5 or 6.
        let journal = state.begin(self.target, &run, self.sources)?;
        let waiting = Instant::now();
        let waited = runtime.block_on(self.waited(&stop));
        let waited_for = waiting.elapsed();
        let keys = RefCell::default();
        for earlier in earlier {
            let left = match waited {
                Waited::InVain | Waited::Stopped => {
                    Some(format!("run {earlier} cannot be put back while the target does not answer"))
                }
                Waited::Answered => runtime.block_on(self.put_back((state, &keys), &earlier, &mask, &stop)),
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
        runtime.block_on(self.executed(&lent, stop.clone(), (waited, waited_for)));
        let reports = Reports::new((folder, &self.arguments.reports), &self.stored.written, (&sink, &mask));
        // What was put back and could not be noted is put back once more by `muster cleanup`.
        match journal.close().map_err(|error| format!("{error}; `muster cleanup` looks again")) {
            Ok(true) => state
                .forget(self.target.name(), &run)
                .unwrap_or_else(|error| reports.unrecorded(&error.to_string())),
            Ok(false) => {}
            Err(told) => reports.unrecorded(&told),
        }
        reports.note_signal(stop.signal());
        sink.end_console();
        self.reported(&reports, &stop)
    }

    /// Writes the reports and prints the summary. What comes in between, such as that it is lost, the reports say too.
    fn reported(&self, reports: &Reports<'_>, stop: &Stop) -> Result<Outcome, Refusal> {
        reports.keep_record();
        let differs = self.outline_differs(&reports.recorded()?.outcome).unwrap_or_else(|refusal| {
            reports.unrecorded(refusal.said());
            None
        });
        let outcome = reports.write()?;
        if !self.tells {
            return Ok(outcome);
        }
        host::print(&report::console_summary(&outcome, host::wants_colors()));
        host::print(&differs.unwrap_or_default());
        host::print(&format!("reports: {}\n", self.arguments.report_dir.display()));
        if let Some(told) = super::lost_output() {
            reports.unrecorded(&told);
        }
        reports.note_signal(stop.signal());
        reports.renewed(outcome)
    }

    /// Waits for the target, if that was asked for, and no longer than the run may take.
    async fn waited(&self, stop: &Stop) -> Waited {
        let Some(within) = self.arguments.wait_for_target else { return Waited::Answered };
        let cut = self.arguments.timeout.filter(|most| *most < within);
        match run::wait_for(self.target, cut.unwrap_or(within), stop).await {
            Waited::InVain if cut.is_some() => Waited::Stopped,
            waited => waited,
        }
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

    async fn executed(&self, lent: &Lent<'_>, stop: Stop, (waited, waited_for): (Waited, Duration)) {
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
            timeout: self.arguments.timeout.map(|most| most.saturating_sub(waited_for)),
            fail_fast: self.arguments.fail_fast,
            waited_in_vain: self.arguments.wait_for_target.filter(|_| waited == Waited::InVain),
            stop,
            version: env!("CARGO_PKG_VERSION").into(),
        };
        let _watchdog = signals::watch_over();
        run::execute(&self.plan, &scene, lent.accounts, &settings).await;
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

/// Unique on its target: the second, and four letters of chance.
fn run_id() -> String {
    let now = host::now().strftime("%Y%m%d-%H%M%S").to_string();
    let chance = host::random_seed();
    let letters: String = (0..4)
        .map(|index| char::from(b'a' + u8::try_from((chance >> (index * 8)) % 26).unwrap_or(0)))
        .collect();
    format!("{now}-{letters}")
}
