//! `muster cleanup`: puts back what an earlier run could not, and what every run does first.

use super::args::CleanupArguments;
use super::snapshots::Stored;
use super::state::State;
use super::written::Written;
use super::{Ended, Refusal, open, signals};
use crate::client::origin;
use crate::ledger::{Journal, Keys, Reading, open_changes, read_journal};
use crate::outcome::Ending;
use crate::run::{self, Leftover, Level, Stop};
use crate::secret::Mask;
use crate::step::Scene;
use crate::suite::{self, Folder};
use crate::target::Target;
use crate::{files, host};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long what cannot be put back is tried again, before the target's pace: a run may have died in the middle of a disruption.
const PATIENCE: Duration = Duration::from_secs(120);

/// Puts back what earlier runs on a target left open.
pub(super) fn cleanup(arguments: &CleanupArguments) -> Ended {
    let opened = open::target_file(&arguments.target)?;
    let state = State::lasting(arguments.state_dir.as_deref());
    let target = open::connect_alone(&opened)?;
    let mut runs = state.open_runs(target.name())?;
    let left = RefCell::<BTreeSet<String>>::default();
    if let Some(asked) = &arguments.run {
        let later = runs.iter().take_while(|run| *run != asked);
        later.for_each(|run| left.borrow_mut().extend(keys_of(&state, &target, run)));
        runs.retain(|run| run == asked);
        if runs.is_empty() {
            return Err(Refusal::new(format!("run {asked} has left nothing on target `{}`", target.name())));
        }
    }
    let runtime = match open::runtime() {
        Ok(runtime) => runtime,
        Err(refusal) => return untouched(&runs, refusal),
    };
    if arguments.dry_run {
        return dry(&state, &target, &runs);
    }
    let _lock = state.lock(target.name(), "cleanup")?;
    let stop = signals::listen()?;
    let mask = Mask::new();
    target.secrets.all().for_each(|secret| mask.learn(secret.reveal()));
    let mut ending = Ending::Passed;
    for run in &runs {
        let earlier = Earlier { state: &state, target: &target, run, patience: PATIENCE, left: &left };
        match runtime.block_on(earlier.put_back(&mask, &stop, 0)) {
            Put::Whole => host::print(&format!("run {run}: everything is put back\n")),
            Put::Elsewhere(told) | Put::Left { told, .. } => {
                host::tell(&super::harmless(mask.mask(&told).as_str()));
                ending = Ending::LeftBehind;
            }
        }
    }
    if runs.is_empty() {
        let folder = state.folder().display().to_string();
        host::print(&format!(
            "nothing is left on target `{}`, as the state folder {folder} has it\n",
            target.name()
        ));
    }
    Ok(ending)
}

/// Keys of shared things that a run has changed and not put back.
fn keys_of(state: &State, target: &Target, run: &str) -> Vec<String> {
    let journal = files::read_bytes(&state.run(target.name(), run).join("journal")).unwrap_or_default();
    open_changes(&read_journal(&journal).entries).into_iter().filter_map(|change| change.key).collect()
}

/// Nothing could even be begun: that is a refusal, unless something stands.
fn untouched(runs: &[String], refusal: Refusal) -> Ended {
    if runs.is_empty() {
        return Err(refusal);
    }
    let left =
        |run: &String| Put::left(format!("run {run} cannot be put back: {}", refusal.said()), "").told();
    host::tell(&runs.iter().map(left).collect::<String>());
    Ok(Ending::LeftBehind)
}

fn dry(state: &State, target: &Target, runs: &[String]) -> Ended {
    let (mut ending, left) = (Ending::Passed, RefCell::default());
    for run in runs {
        let earlier = Earlier { state, target, run, patience: PATIENCE, left: &left };
        let reading = match earlier.found() {
            Ok(reading) => reading,
            Err(left) => {
                host::tell(&left.told());
                ending = Ending::LeftBehind;
                continue;
            }
        };
        let changes = open_changes(&reading.entries);
        host::print(&format!("run {run}: {} changes would be put back\n", changes.len()));
        for change in changes.iter().rev() {
            host::print(&format!("  {}: {change}\n", change.case));
        }
        if reading.damaged > 0 {
            host::tell(&earlier.damaged(reading.damaged).told());
            ending = Ending::LeftBehind;
        }
    }
    Ok(ending)
}

/// What came of a run that has left something.
pub(super) enum Put {
    /// Everything is put back, and the run is forgotten.
    Whole,
    /// It changed another platform of the same name, and is left as it is: what to tell.
    Elsewhere(String),
    /// Something is left, or may be.
    Left {
        /// In one line.
        summary: String,
        /// In full, and what to do.
        told: String,
    },
}

impl Put {
    fn left(summary: String, rest: &str) -> Self {
        Self::Left { told: format!("error: {summary}\n{rest}"), summary }
    }

    /// What to tell of it.
    fn told(self) -> String {
        match self {
            Self::Whole => String::new(),
            Self::Elsewhere(told) | Self::Left { told, .. } => told,
        }
    }
}

/// A run of before, and where it was.
pub(super) struct Earlier<'a> {
    /// Where its journal is.
    pub(super) state: &'a State,
    /// The platform that it may have changed.
    pub(super) target: &'a Target,
    /// Its id.
    pub(super) run: &'a str,
    /// How long what cannot be put back is tried again, before the target's pace.
    pub(super) patience: Duration,
    /// Keys of shared things of which runs after it have left changes.
    pub(super) left: &'a RefCell<BTreeSet<String>>,
}

/// Whether two addresses lead to the same scheme, host and port, however they are written.
fn is_same_platform(one: &str, other: &str) -> bool {
    one == other || origin(one, one).is_some_and(|place| Some(place) == origin(other, other))
}

/// A place that a run may have changed and that is another one now, or that nobody names any more: how both are said.
fn moved(reading: &Reading, now: &BTreeMap<String, String>) -> Option<String> {
    let mut moved = reading.places()?.iter().filter(|(name, then)| now.get(*name) != Some(*then));
    moved.next().map(|(name, then)| match now.get(name) {
        Some(now) => format!("its {name} was {then}, and now it is {now}"),
        None => format!("its {name} was {then}, and now the target file names none"),
    })
}

/// How to let go of a run that muster itself never forgets.
fn let_go(folder: &Path) -> String {
    format!("hint: look at the target; to let go of this run, remove the folder {}\n", folder.display())
}

impl Earlier<'_> {
    /// Puts back what the run left open, with the operations and flows that were kept beside its journal. A run of which
    /// nothing is left is forgotten. No trouble with one run keeps others from being put back.
    pub(super) async fn put_back(&self, mask: &Mask, stop: &Stop, seed: u64) -> Put {
        let put = self.put(mask, stop, seed).await;
        if matches!(put, Put::Left { .. }) {
            self.left.borrow_mut().extend(keys_of(self.state, self.target, self.run));
        }
        put
    }

    async fn put(&self, mask: &Mask, stop: &Stop, seed: u64) -> Put {
        if let Err(not_here) = self.found() {
            return not_here;
        }
        match self.recovered(mask, stop, seed).await {
            Err(refusal) => Put::left(format!("run {} cannot be put back: {}", self.run, refusal.said()), ""),
            Ok(recovered) if !recovered.leftovers.is_empty() => recovered.left(self.run),
            Ok(recovered) if recovered.damaged > 0 => self.damaged(recovered.damaged),
            Ok(_) => Put::Whole,
        }
    }

    fn folder(&self) -> PathBuf {
        self.state.run(self.target.name(), self.run)
    }

    fn damaged(&self, lines: u64) -> Put {
        let run = self.run;
        let summary = format!(
            "{lines} lines of the journal of run {run} are damaged or missing: what they said cannot be known"
        );
        Put::left(summary, &let_go(&self.folder()))
    }

    async fn recovered(&self, mask: &Mask, stop: &Stop, seed: u64) -> Result<Recovered, Refusal> {
        let Self { state, target, run, left, patience } = *self;
        let folder = self.folder();
        let journal = Journal::open(&folder.join("journal"))?;
        let (changes, damaged) = (journal.open_all(), journal.damaged());
        if changes.is_empty() {
            if damaged == 0 {
                state.forget(target.name(), run)?;
            }
            return Ok(Recovered { leftovers: vec![], damaged });
        }
        let book = suite::load_book(&suite::sources(&Folder::Disk(folder.join("book")))?);
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
            left: BTreeSet::new(),
            residue_seen: RefCell::default(),
            own_pod: None,
            unrecovered: RefCell::default(),
            now: &|| clock.now(),
        };
        let _watchdog = signals::watch_over();
        tokio::select! {
            biased;
            () = stop.until(Level::Leave) => {}
            () = run::sign_in_operator(&scene) => {}
        }
        let count = changes.len();
        host::tell(&format!(
            "run {run}: putting back {count} changes; that of an image waits for its rollout, others until they have settled\n"
        ));
        let leftovers = run::put_back(&scene, &changes, stop, (patience, left)).await;
        if journal.close()? {
            state.forget(target.name(), run)?;
        }
        Ok(Recovered { leftovers, damaged })
    }

    /// What the journal of a run says, if the run is one on this platform.
    fn found(&self) -> Result<Reading, Put> {
        let (folder, run) = (self.folder(), self.run);
        let reading = match files::read_bytes(&folder.join("journal")) {
            Ok(bytes) => read_journal(&bytes),
            Err(error) => {
                let summary = format!("run {run} cannot be put back: {error}");
                return Err(Put::left(summary, &let_go(&folder)));
            }
        };
        if let Some(other) = reading.run().filter(|other| *other != run) {
            let summary = format!(
                "the folder of run {run} holds the journal of run {other}: it is a copy, or was given another name, and \
                 nothing is put back"
            );
            return Err(Put::left(summary, &let_go(&folder)));
        }
        let (name, here) = (self.target.name(), &self.target.file.api.value);
        match reading.platform() {
            None => Err(Put::left(
                format!(
                    "the first line of the journal of run {run} is damaged or missing: which platform it changed cannot be \
                     known, and nothing is put back"
                ),
                &let_go(&folder),
            )),
            Some(Some(changed)) if !is_same_platform(changed, here) => Err(Put::Elsewhere(format!(
                "run {run} changed the target `{name}` at {changed}, and this one is at {here}: it is left as it is\n\
                 hint: muster cleanup with the target file of that run\n"
            ))),
            Some(_) => match moved(&reading, &self.target.file.places()) {
                Some(moved) => Err(Put::left(
                    format!("run {run} changed the target `{name}` where {moved}: it is left as it is"),
                    &format!("hint: muster cleanup with the target file of that run\n{}", let_go(&folder)),
                )),
                None => Ok(reading),
            },
        }
    }
}

/// What came of undoing a run's open changes.
struct Recovered {
    /// What could not be put back.
    leftovers: Vec<Leftover>,
    /// How many lines of its journal are lost.
    damaged: u64,
}

impl Recovered {
    fn left(&self, run: &str) -> Put {
        let mut rest = String::new();
        for leftover in &self.leftovers {
            rest.push_str(&format!("  {}: {}: {}\n", leftover.change.case, leftover.change, leftover.why));
        }
        if self.damaged > 0 {
            rest.push_str(&format!("  and {} lines of its journal are damaged or missing\n", self.damaged));
        }
        rest.push_str("hint: muster cleanup --target FILE, once the target answers\n");
        Put::left(format!("{} changes of run {run} could not be put back", self.leftovers.len()), &rest)
    }
}
