//! Opening suites and a target: a file, or the built-in fakes; and the runtime that speaks with it.

use super::Refusal;
use super::args::{SelectionArguments, SuitesArguments};
use super::state::State;
use crate::fake::{self, Fake};
use crate::run::{self, Selection};
use crate::source::Source;
use crate::suite::{self, Folder, Suites};
use crate::target::{self, Target, TargetFile};
use crate::{files, host};
use std::path::Path;
use tokio::runtime::{Builder, Runtime};

/// What a command opens that speaks with a target: its runtime, the lock, the journal, the record, a connection or two, and
/// folders that it reads or removes.
const FILES_OF_A_COMMAND: usize = 20;
/// What the fakes open, most of it for their pods, and a run of every case beside them: at most 385 were seen on a quiet machine,
/// and 1,492 on a busy one, where more requests are under way. Fakes that come short answer wrongly, and cases fail for it.
const FILES_OF_FAKES: usize = 2_000;

/// What drives a command that speaks with a target, and room for what it opens.
pub(super) fn runtime() -> Result<Runtime, Refusal> {
    files::room_for(FILES_OF_A_COMMAND)?;
    Ok(Builder::new_current_thread().enable_all().build()?)
}

/// Starts the fakes, if there is room for what they open.
pub(super) fn fakes(options: fake::Options) -> Result<Fake, Refusal> {
    if !(options.pace > 0.0 && options.pace <= 1.0) {
        return Err(Refusal::new(format!("wanted a pace above 0 and up to 1, found {}", options.pace)));
    }
    files::room_for(FILES_OF_FAKES)?;
    Ok(fake::start(options)?)
}

/// The suites that were asked for.
pub(super) fn suites(arguments: &SuitesArguments) -> Result<Suites, Refusal> {
    Ok(suite::load(&sources(arguments)?)?)
}

/// Their files.
pub(super) fn sources(arguments: &SuitesArguments) -> Result<Vec<Source>, Refusal> {
    let folder = arguments.suites.clone().map_or(Folder::Embedded, Folder::Disk);
    let sources = suite::sources(&folder)?;
    if sources.is_empty() {
        return Err(Refusal::new("the folder of suites holds no YAML file"));
    }
    Ok(sources)
}

/// What to tell if something that was asked for matches no case: then nothing is done for the rest either.
pub(super) fn unmatched(
    suites: &Suites,
    target: Option<&TargetFile>,
    selection: &Selection,
) -> Option<String> {
    let found = run::unmatched(suites, target, selection);
    if found.is_empty() {
        return None;
    }
    let asked: Vec<&str> = found.iter().map(|one| one.asked.as_str()).collect();
    let mut told = format!("error: no case was selected: none matches {}\n", asked.join(", nor "));
    for one in &found {
        let hint = one.hint.as_deref().unwrap_or("`muster list` shows all cases");
        told.push_str(&match found.len() {
            1 => format!("hint: {hint}\n"),
            _ => format!("hint: {}: {hint}\n", one.asked),
        });
    }
    Some(told)
}

/// A target file with its text.
pub(super) struct Opened {
    pub(super) source: Source,
    pub(super) file: TargetFile,
    /// The fakes behind it, if muster itself started them; they end when this is dropped.
    pub(super) fakes: Option<Fake>,
}

/// The target file at a path.
pub(super) fn target_file(path: &Path) -> Result<Opened, Refusal> {
    let source = Source::new(path.display().to_string(), files::read_written(path)?);
    Ok(Opened { file: target::read_target(&source)?, source, fakes: None })
}

/// The target that was asked for: its file, or fakes that are started now with their secrets in the state folder.
pub(super) fn target(
    arguments: &SelectionArguments,
    pace: f64,
    seed: u64,
    state: &State,
) -> Result<Opened, Refusal> {
    match &arguments.target {
        Some(path) if arguments.defects.is_empty() => target_file(path),
        Some(_) => {
            Err(Refusal::new("`--defect` is for the built-in fakes, and `--target` names another target"))
        }
        None => built_in(arguments, pace, seed, state),
    }
}

fn built_in(arguments: &SelectionArguments, pace: f64, seed: u64, state: &State) -> Result<Opened, Refusal> {
    let options = fake::Options {
        seed,
        pace,
        defects: arguments.defects.clone(),
        profile: fake::Profile::Runbook,
        now: host::now(),
        secrets_file: state.secrets_file(),
        operator_secret: None,
        addresses: fake::Addresses::default(),
    };
    let fakes = fakes(options)?;
    files::write_private(&state.secrets_file(), fakes.secrets.as_bytes())?;
    let source = Source::new("built-in target", fakes.target.as_str());
    Ok(Opened { file: target::read_target(&source)?, source, fakes: Some(fakes) })
}

/// Checks a target against the suites, and connects to it.
pub(super) fn connect(opened: &Opened, suites: &Suites) -> Result<Target, Refusal> {
    suite::lint_target(suites, &opened.file, &opened.source).or(())?;
    connect_alone(opened)
}

/// Connects to a target whose suites do not matter.
pub(super) fn connect_alone(opened: &Opened) -> Result<Target, Refusal> {
    let secrets = target::read_secrets(&opened.file, &host::variable)?;
    Ok(target::connect(opened.file.clone(), secrets)?)
}
