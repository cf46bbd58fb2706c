//! How an outcome looks: one file per kind.
//!
//! Lives here: pure renderings of an outcome, and the console that follows a run. Does not: judging, or deciding.

mod console;
mod follow;
mod jsonl;
mod junit;
mod outline;
mod summary;
mod terminal;

pub use console::console_summary;
pub use follow::Console;

use crate::files::{self, FileError};
use crate::outcome::{Ending, Failure, Outcome, Record};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// All that a report is rendered from.
pub struct Told<'a> {
    /// The outcome.
    pub outcome: &'a Outcome,
    /// The records it was folded from.
    pub records: &'a [Record],
    /// What applied besides what the outcome knows.
    pub further: &'a BTreeSet<Ending>,
}

/// A kind of report.
pub struct Kind {
    /// Its name.
    pub name: &'static str,
    /// Its file.
    pub file: &'static str,
    render: fn(&Told<'_>) -> String,
}

/// Every kind, one line each.
pub const KINDS: &[Kind] = &[
    Kind { name: "junit", file: "junit.xml", render: junit::render },
    Kind { name: "outline", file: "outline.snap", render: outline::render },
    Kind { name: "summary", file: "summary.json", render: summary::render },
    Kind { name: "console", file: "console.txt", render: console::render },
    Kind { name: "jsonl", file: "run.jsonl", render: jsonl::render },
];

/// Renders a report; `None` for an unknown kind.
pub fn render(kind: &str, told: &Told<'_>) -> Option<String> {
    KINDS.iter().find(|known| known.name == kind).map(|known| (known.render)(told))
}

/// Writes a report into a folder, whole.
///
/// # Errors
/// If it cannot be written.
pub fn write(kind: &Kind, told: &Told<'_>, folder: &Path) -> Result<PathBuf, FileError> {
    let path = folder.join(kind.file);
    files::write_whole(&path, (kind.render)(told).as_bytes())?;
    Ok(path)
}

/// The failure that decides: the first of the worst.
fn worst(failures: &[Failure]) -> Option<&Failure> {
    failures.iter().rev().max_by_key(|failure| failure.verdict)
}
