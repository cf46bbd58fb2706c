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
pub use terminal::harmless;

use crate::files::{self, FileError};
use crate::outcome::{Failure, Outcome, Record};
use std::path::{Path, PathBuf};

/// All that a report is rendered from.
pub struct Told<'a> {
    /// The outcome.
    pub outcome: &'a Outcome,
    /// The records it was folded from.
    pub records: &'a [Record],
}

/// A kind of report.
pub struct Kind {
    /// Its name.
    pub name: &'static str,
    /// Its file.
    pub file: &'static str,
    render: fn(&Told<'_>) -> Rendered,
}

/// The text of a report, or why its format cannot hold what is told.
type Rendered = Result<String, Box<dyn std::error::Error>>;

/// A report could not be rendered.
#[derive(Debug, thiserror::Error)]
#[error("cannot render the report `{kind}`: {why}")]
pub struct Unrendered {
    kind: &'static str,
    why: String,
}

/// A report could not be rendered or written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// Not rendered.
    #[error(transparent)]
    Unrendered(#[from] Unrendered),
    /// Not written.
    #[error(transparent)]
    Unwritten(#[from] FileError),
}

/// Every kind, one line each.
pub const KINDS: &[Kind] = &[
    Kind { name: "junit", file: "junit.xml", render: junit::render },
    Kind { name: "outline", file: "outline.snap", render: outline::render },
    Kind { name: "console", file: "console.txt", render: console::render },
    Kind { name: "jsonl", file: "run.jsonl", render: jsonl::render },
    Kind { name: "summary", file: "summary.json", render: summary::render },
];

/// The kind of that name.
pub fn kind(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name)
}

/// Renders a report.
///
/// # Errors
/// If its format cannot hold what is told.
pub fn render(kind: &Kind, told: &Told<'_>) -> Result<String, Unrendered> {
    (kind.render)(told).map_err(|why| Unrendered { kind: kind.name, why: why.to_string() })
}

/// Writes a report into a folder, whole.
///
/// # Errors
/// If it cannot be rendered or written.
pub fn write(kind: &Kind, told: &Told<'_>, folder: &Path) -> Result<PathBuf, ReportError> {
    let path = folder.join(kind.file);
    files::write_whole(&path, render(kind, told)?.as_bytes())?;
    Ok(path)
}

/// The failure that decides: the first of the worst.
fn worst(failures: &[Failure]) -> Option<&Failure> {
    failures.iter().rev().max_by_key(|failure| failure.verdict)
}
