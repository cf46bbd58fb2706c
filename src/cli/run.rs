//! `muster run`.

use super::args::RunArguments;
use super::sink::Sink;
use super::snapshots::Stored;
use super::state::{State, keep_book};
use super::{Ended, Refusal, cleanup, open, signals};
use crate::ledger::{Journal, Keys};
use crate::outcome::{self, Ending, Outcome, Record};
use crate::report::{self, Console, Told};
use crate::run::{self, Accounts, Plan, Selection, Settings, Stop};
use crate::secret::Mask;
use crate::source::Source;
use crate::step::Scene;
use crate::suite::{self, Suites};
use crate::target::Target;
use crate::{files, host};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::Path;

/// Runs what was asked for.
pub(super) fn run(arguments: &RunArguments) -> Ended {
    Ok(match perform(arguments, true)? {
        Performed::Shown => Ending::Passed,
        Performed::NothingSelected => Ending::NothingSelected,
        Performed::Run(done) => done.ending(),
    })
}

/// What came of a command to run.
pub(super) enum Performed {
    /// A dry run: the plan was shown.
    Shown,
    /// No case was selected.
    NothingSelected,
    /// A run.
    Run(Box<Done>),
}

/// A run that was carried out.
pub(super) struct Done {
    pub(super) outcome: Outcome,
    /// What applied besides what the outcome knows.
    pub(super) further: BTreeSet<Ending>,
}

impl Done {
    /// The ending that decides.
    pub(super) fn ending(&self) -> Ending {
        let mut all = self.outcome.endings();
        all.extend(&self.further);
        if all.len() > 1 {
            all.remove(&Ending::Passed);
        }
        Ending::strongest(&all)
    }
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
    let plan = run::plan(&suites, &target.file, &chosen(arguments), seed, may_disrupt);
    if plan.cases.is_empty() {
        host::tell(&nothing_selected(&plan));
        return Ok(Performed::NothingSelected);
    }
    if arguments.dry_run {
        host::print(&shown(&plan, &target, seed));
        return Ok(Performed::Shown);
    }
    let prepared =
        Prepared { arguments, sources: &sources, suites: &suites, target: &target, plan, seed, may_disrupt };
    prepared.carried_out(&state, tells).map(|done| Performed::Run(Box::new(done)))
}

fn check_reports(asked: &[String]) -> Result<(), Refusal> {
    let known = || report::KINDS.iter().map(|kind| kind.name);
    match asked.iter().find(|kind| !known().any(|name| name == kind.as_str())) {
        None => Ok(()),
        Some(kind) => {
            let all = known().collect::<Vec<_>>().join(", ");
            Err(Refusal::new(format!("there is no report `{kind}`\nhint: reports are {all}")))
        }
    }
}

fn chosen(arguments: &RunArguments) -> Selection {
    let asked = &arguments.selection;
    Selection { filters: asked.filters.clone(), is_exact: asked.exact, tags: asked.tags.clone() }
}

fn nothing_selected(plan: &Plan<'_>) -> String {
    let hint = match plan.disruptive_left_out {
        0 => "`muster list` shows all cases".to_owned(),
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
}

impl Prepared<'_> {
    fn carried_out(&self, state: &State, tells: bool) -> Result<Done, Refusal> {
        let run = run_id();
        let folder = &self.arguments.report_dir;
        let _lock = state.lock(self.target.name(), &run)?;
        let accounts = Accounts::new(&state.key()?);
        let console = tells.then(|| Console::new(host::is_watched(), host::tell));
        let sink = Sink::new(folder, console)?;
        let mut further = BTreeSet::new();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let stop = runtime.block_on(async { signals::listen() })?;
        let mask = Mask::new();
        self.target.secrets.all().for_each(|secret| mask.learn(secret.reveal()));
        for earlier in state.open_runs(self.target.name())? {
            let leftovers =
                runtime.block_on(cleanup::recover(state, self.target, &earlier, &mask, &stop, self.seed))?;
            if !leftovers.is_empty() {
                further.insert(Ending::LeftBehind);
                host::tell(&cleanup::told(&leftovers, &earlier));
            }
        }
        let run_folder = state.run(self.target.name(), &run);
        keep_book(&run_folder, self.sources)?;
        let journal = Journal::open(&run_folder.join("journal"))?;
        journal.begin(&run, self.target.name())?;
        let lent = Lent { run: &run, mask: &mask, journal: &journal, accounts: &accounts, sink: &sink };
        runtime.block_on(self.executed(&lent, stop.clone()));
        if journal.close()? {
            files::remove_folder(&run_folder)?;
        }
        if let Some(number) = stop.signal() {
            further.insert(Ending::of_signal(number));
        }
        let (records, trouble) = sink.finish();
        self.reported(&records, trouble, further, &mask, tells)
    }

    async fn executed(&self, lent: &Lent<'_>, stop: Stop) {
        let keys = Keys::default();
        let folder = &self.arguments.snapshots;
        let snapshots = Stored {
            folder: (folder.is_dir() || self.arguments.update_snapshots).then(|| folder.clone()),
            reports: self.arguments.report_dir.clone(),
            is_updating: self.arguments.update_snapshots,
        };
        let scene = Scene {
            target: self.target,
            book: &self.suites.book,
            mask: lent.mask,
            journal: lent.journal,
            keys: &keys,
            events: &|event| lent.sink.take(event),
            snapshots: &snapshots,
            run: lent.run,
            seed: self.seed,
            may_disrupt: self.may_disrupt,
            operator: RefCell::default(),
            kubernetes: tokio::sync::OnceCell::new(),
            residue_seen: RefCell::default(),
            own_pod: host::variable("HOSTNAME"),
            unrecovered: RefCell::default(),
            now: &host::now,
        };
        let settings = Settings {
            jobs: usize::from(self.arguments.jobs),
            timeout: self.arguments.timeout,
            fail_fast: self.arguments.fail_fast,
            stop,
            version: env!("CARGO_PKG_VERSION").into(),
        };
        run::execute(&self.plan, &scene, lent.accounts, &settings).await;
    }

    /// Folds the events, writes the reports, and searches them for secrets.
    fn reported(
        &self,
        records: &[Record],
        trouble: Option<files::FileError>,
        mut further: BTreeSet<Ending>,
        mask: &Mask,
        tells: bool,
    ) -> Result<Done, Refusal> {
        let folder = &self.arguments.report_dir;
        let outcome = outcome::fold(records).ok_or_else(|| Refusal::new("the run was not recorded"))?;
        if let Some(trouble) = trouble {
            host::tell(&format!("error: {trouble}\n"));
            further.insert(Ending::Unrecorded);
        }
        let asked = |kind: &str| {
            self.arguments.reports.is_empty() || self.arguments.reports.iter().any(|it| it == kind)
        };
        for kind in report::KINDS.iter().filter(|kind| asked(kind.name)) {
            let told = Told { outcome: &outcome, records, further: &further };
            if let Err(error) = report::write(kind, &told, folder) {
                host::tell(&format!("error: {error}\n"));
                further.insert(Ending::Unrecorded);
            }
        }
        for path in leaking(folder, mask)? {
            host::tell(&format!("error: {} held a secret and was removed\n", path.display()));
            further.insert(Ending::Unrecorded);
        }
        let done = Done { outcome, further };
        if tells {
            let told = Told { outcome: &done.outcome, records, further: &done.further };
            host::print(&report::console_summary(&told, host::wants_colors()));
            host::print(&format!("reports: {}\n", folder.display()));
        }
        Ok(done)
    }
}

/// Files of the output folder that hold a secret: each is removed.
fn leaking(folder: &Path, mask: &Mask) -> Result<Vec<std::path::PathBuf>, files::FileError> {
    let mut found = vec![];
    for path in files::list(folder)?.into_iter().filter(|path| path.is_file()) {
        if mask.finds_in(&files::read_bytes(&path)?) {
            files::remove(&path)?;
            found.push(path);
        }
    }
    Ok(found)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_that_holds_a_secret_is_removed_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let (bad, good) = (folder.path().join("bad.txt"), folder.path().join("good.txt"));
        files::write_whole(&bad, b"token=aHVudGVyMjJ4").unwrap();
        files::write_whole(&good, b"nothing here").unwrap();
        let mask = Mask::new();
        mask.learn("hunter22");
        assert_eq!(leaking(folder.path(), &mask).unwrap(), std::slice::from_ref(&bad));
        assert!(!bad.exists() && good.exists());
    }
}
