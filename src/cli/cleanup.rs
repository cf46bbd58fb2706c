//! `muster cleanup`: puts back what an earlier run could not, and what every run does first.

use super::args::CleanupArguments;
use super::snapshots::Stored;
use super::state::State;
use super::written::Written;
use super::{Ended, Refusal, open, signals};
use crate::ledger::{Entry, Journal, Keys, open_changes, read_journal};
use crate::outcome::Ending;
use crate::run::{self, Leftover, Stop};
use crate::secret::Mask;
use crate::step::Scene;
use crate::suite::{self, Folder};
use crate::target::Target;
use crate::{files, host};
use std::cell::RefCell;

/// Puts back what earlier runs on a target left open.
pub(super) fn cleanup(arguments: &CleanupArguments) -> Ended {
    let opened = open::target_file(&arguments.target)?;
    let state = State::lasting(arguments.state_dir.as_deref());
    let target = open::connect_alone(&opened)?;
    let mut runs = state.open_runs(target.name())?;
    if let Some(asked) = &arguments.run {
        runs.retain(|run| run == asked);
        if runs.is_empty() {
            return Err(Refusal::new(format!("run {asked} has left nothing on target `{}`", target.name())));
        }
    }
    if arguments.dry_run {
        return dry(&state, &target, &runs);
    }
    let _lock = state.lock(target.name(), "cleanup")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let stop = runtime.block_on(async { signals::listen() })?;
    let mask = Mask::new();
    target.secrets.all().for_each(|secret| mask.learn(secret.reveal()));
    let mut ending = Ending::Passed;
    for run in &runs {
        if let Some(elsewhere) = elsewhere(&state, &target, run)? {
            host::tell(&elsewhere);
            ending = Ending::LeftBehind;
            continue;
        }
        let recovered = runtime.block_on(recover(&state, &target, run, &mask, &stop, 0))?;
        if recovered.is_whole() {
            host::print(&format!("run {run}: everything is put back\n"));
        } else {
            host::tell(&recovered.told(run));
            ending = Ending::LeftBehind;
        }
    }
    if runs.is_empty() {
        host::print(&format!("nothing is left on target `{}`\n", target.name()));
    }
    Ok(ending)
}

fn dry(state: &State, target: &Target, runs: &[String]) -> Ended {
    for run in runs {
        if let Some(elsewhere) = elsewhere(state, target, run)? {
            host::tell(&elsewhere);
            continue;
        }
        let bytes = files::read_bytes(&state.run(target.name(), run).join("journal"))?;
        let changes = open_changes(&read_journal(&bytes).entries);
        host::print(&format!("run {run}: {} changes would be put back\n", changes.len()));
        for change in changes.iter().rev() {
            host::print(&format!("  {}: {change}\n", change.case));
        }
    }
    Ok(Ending::Passed)
}

/// Puts back what a run left open, with the operations and flows that were kept beside its journal. A run of which
/// nothing is left is forgotten.
pub(super) async fn recover(
    state: &State,
    target: &Target,
    run: &str,
    mask: &Mask,
    stop: &Stop,
    seed: u64,
) -> Result<Recovered, Refusal> {
    let folder = state.run(target.name(), run);
    let journal_path = folder.join("journal");
    let journal = Journal::open(&journal_path)?;
    let changes = journal.open_all();
    if changes.is_empty() {
        files::remove_folder(&folder)?;
        return Ok(Recovered { leftovers: vec![] });
    }
    let book = suite::load_book(&suite::sources(&Folder::Disk(folder.join("book")))?)?;
    let (keys, clock) = (Keys::default(), host::Clock::start());
    let snapshots =
        Stored { folder: None, reports: folder.clone(), is_updating: false, written: Written::default() };
    let scene = Scene {
        target,
        book: &book,
        mask,
        journal: &journal,
        keys: &keys,
        events: &|_| {},
        snapshots: &snapshots,
        run,
        seed,
        may_disrupt: false,
        operator: RefCell::default(),
        kubernetes: tokio::sync::OnceCell::new(),
        residue_seen: RefCell::default(),
        own_pod: None,
        unrecovered: RefCell::default(),
        now: &|| clock.now(),
    };
    let _watchdog = signals::watch_over();
    run::sign_in_operator(&scene).await;
    let leftovers = run::put_back(&scene, &changes, stop).await;
    if journal.close()? {
        files::remove_folder(&folder)?;
    }
    Ok(Recovered { leftovers })
}

/// What to tell of a run that changed another platform of the same name: it is left as it is.
///
/// # Errors
/// If its journal cannot be read.
pub(super) fn elsewhere(state: &State, target: &Target, run: &str) -> Result<Option<String>, Refusal> {
    let path = state.run(target.name(), run).join("journal");
    if !files::exists(&path) {
        return Ok(None);
    }
    let reading = read_journal(&files::read_bytes(&path)?);
    let changed = reading.entries.iter().find_map(|entry| match entry {
        Entry::Run { api, .. } => api.clone(),
        _ => None,
    });
    let here = &target.file.api.value;
    Ok(changed.filter(|changed| changed != here).map(|changed| {
        format!(
            "run {run} changed the target `{}` at {changed}, and this one is at {here}: it is left as it is\n\
             hint: muster cleanup with the target file of that run\n",
            target.name()
        )
    }))
}

/// What came of putting a run's changes back.
pub(super) struct Recovered {
    /// What could not be put back.
    leftovers: Vec<Leftover>,
}

impl Recovered {
    /// Whether nothing is left.
    pub(super) fn is_whole(&self) -> bool {
        self.leftovers.is_empty()
    }

    /// What is left, in one line.
    pub(super) fn summary(&self, run: &str) -> String {
        format!("{} changes of run {run} could not be put back", self.leftovers.len())
    }

    /// What is left, and what to do.
    pub(super) fn told(&self, run: &str) -> String {
        let mut text = format!("error: {}\n", self.summary(run));
        for leftover in &self.leftovers {
            text.push_str(&format!("  {}: {}: {}\n", leftover.change.case, leftover.change, leftover.why));
        }
        text + "hint: muster cleanup --target FILE, once the target answers\n"
    }
}
