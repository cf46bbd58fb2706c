//! The state folder: what must outlive a process.
//!
//! ```text
//! STATE/key                          derives the secrets of minted identities
//! STATE/TARGET/lock                  one muster at a time
//! STATE/TARGET/runs/RUN/journal      what was changed
//! STATE/TARGET/runs/RUN/book/…       the operations and flows that put it back
//! STATE/TARGET/aside/RUN             a run's folder before anything was sent, and after everything is put back
//! ```

use super::Refusal;
use crate::files::{self, FileError, Lock};
use crate::host;
use crate::ledger::Journal;
use crate::source::Source;
use crate::suite;
use crate::target::Target;
use std::path::{Path, PathBuf};

/// A state folder.
pub(super) struct State {
    folder: PathBuf,
    /// For runs on built-in fakes, which end with the process: so may their state.
    _temporary: Option<tempfile::TempDir>,
}

impl State {
    /// The folder that was asked for, or the usual one.
    pub(super) fn lasting(asked: Option<&Path>) -> Self {
        Self { folder: asked.map_or_else(host::state_folder, Path::to_path_buf), _temporary: None }
    }

    /// A folder that goes with the process.
    pub(super) fn passing() -> Result<Self, Refusal> {
        let folder = tempfile::Builder::new().prefix("muster-").tempdir()?;
        Ok(Self { folder: folder.path().to_path_buf(), _temporary: Some(folder) })
    }

    /// Where it is.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the secrets of built-in fakes stand.
    pub(super) fn secrets_file(&self) -> PathBuf {
        self.folder.join("secrets")
    }

    /// The key from which secrets are derived; made when it is first asked for.
    pub(super) fn key(&self) -> Result<Vec<u8>, FileError> {
        let path = self.folder.join("key");
        match files::read_bytes(&path) {
            Err(error) if error.is_absent() => {
                let key: Vec<u8> = (0..4).flat_map(|_| host::random_seed().to_le_bytes()).collect();
                files::write_private(&path, &key)?;
                Ok(key)
            }
            read => read,
        }
    }

    /// Takes the lock of a target. Somebody may have removed the file of a lock that is held: whoever has a journal of the
    /// target open is at work on it too.
    pub(super) fn lock(&self, target: &str, run: &str) -> Result<Lock, Refusal> {
        let path = self.folder.join(target).join("lock");
        let Some(lock) = files::try_lock(&path, run)? else {
            return Err(at_work(target, &files::read_text(&path).unwrap_or_default()));
        };
        let is_open = |run: &&String| files::is_locked(&self.run(target, run).join("journal"));
        match self.open_runs(target)?.iter().find(is_open) {
            None => Ok(lock),
            Some(holder) => Err(at_work(target, holder)),
        }
    }

    /// The folder of a run.
    pub(super) fn run(&self, target: &str, run: &str) -> PathBuf {
        self.runs(target).join(run)
    }

    /// The runs that have left something, the last one first: what a later run found may be what an earlier one left.
    pub(super) fn open_runs(&self, target: &str) -> Result<Vec<String>, FileError> {
        match files::list(&self.runs(target)) {
            Err(error) if error.is_absent() => Ok(vec![]),
            listed => Ok(listed?
                .iter()
                .rev()
                .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
                .collect()),
        }
    }

    /// Makes the folder of a run on a target: under its name it stands with the book and the first line of the journal,
    /// or not at all, whenever this process dies.
    pub(super) fn begin(&self, target: &Target, run: &str, sources: &[Source]) -> Result<Journal, FileError> {
        let aside = self.aside(target.name());
        files::remove_folder(&aside)?;
        let made = aside.join(run);
        keep_book(&made, sources)?;
        let journal = Journal::open(&made.join("journal"))?;
        journal.begin_at(run, target.name(), &target.file.api, target.file.places())?;
        drop(journal);
        let folder = self.run(target.name(), run);
        files::rename_folder(&made, &folder)?;
        Journal::open(&folder.join("journal"))
    }

    /// Forgets a run of which nothing is left: its folder is gone from under its name at once, whenever this process
    /// dies.
    pub(super) fn forget(&self, target: &str, run: &str) -> Result<(), FileError> {
        let aside = self.aside(target).join(run);
        files::rename_folder(&self.run(target, run), &aside)?;
        files::remove_folder(&aside)
    }

    fn aside(&self, target: &str) -> PathBuf {
        self.folder.join(target).join("aside")
    }

    fn runs(&self, target: &str) -> PathBuf {
        self.folder.join(target).join("runs")
    }
}

fn at_work(target: &str, holder: &str) -> Refusal {
    Refusal::new(format!(
        "another muster is at work on target `{target}`: run {holder}\nhint: wait for it, or stop it; its lock ends with it"
    ))
}

/// Copies what undoing needs beside the journal, so that it does not depend on tomorrow's suites.
fn keep_book(run: &Path, sources: &[Source]) -> Result<(), FileError> {
    // Suites without operations and flows have changes to put back too.
    files::make_folder(&run.join("book"))?;
    for source in sources.iter().filter(|source| suite::is_book(source)) {
        files::write_whole(&run.join("book").join(&*source.name), source.text.as_bytes())?;
    }
    Ok(())
}
