//! Stored snapshots: on disk in a checkout, else the copy built into the program.

use super::written::Written;
use crate::files::{self, FileError};
use crate::step::Snapshots;
use include_dir::{Dir, include_dir};
use std::path::PathBuf;

static EMBEDDED: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/fixtures/snapshots");

/// Snapshots in insta's `.snap` format.
pub(super) struct Stored {
    /// The folder, if it is there.
    pub(super) folder: Option<PathBuf>,
    /// Where pending snapshots go without a folder.
    pub(super) reports: PathBuf,
    /// Whether new texts take the place of the stored ones.
    pub(super) is_updating: bool,
    /// What this run has written so far: its snapshots, and its reports.
    pub(super) written: Written,
}

impl Snapshots for Stored {
    fn stored(&self, name: &str) -> Option<String> {
        let file = format!("{name}.snap");
        let text = match &self.folder {
            Some(folder) => files::read_text(&folder.join(file)).ok()?,
            None => EMBEDDED.get_file(&file)?.contents_utf8()?.to_owned(),
        };
        Some(body(&text).to_owned())
    }

    fn agree(&self, name: &str) {
        if let Some(folder) = &self.folder {
            // One that cannot be removed is seen in the checkout.
            files::remove(&folder.join(format!("{name}.snap.new"))).ok();
        }
    }

    fn keep(&self, name: &str, source: &str, text: &str) -> Result<Option<String>, String> {
        let path = self.path(name);
        self.written.note(path.clone());
        files::write_whole(&path, format!("---\nsource: {source}\n---\n{text}\n").as_bytes())
            .map_err(|error| error.to_string())?;
        Ok((!self.is_updating).then(|| path.display().to_string()))
    }
}

/// How many lines of a difference are shown.
const DIFFERENCE_LINES: usize = 12;

impl Stored {
    /// Compares the outline of a run of every case with the stored one of its target, which `--update-snapshots` makes.
    /// What differs, and where the new one is pending, as lines to print.
    ///
    /// # Errors
    /// If the new one cannot be written.
    pub(super) fn outline_differs(&self, target: &str, outline: &str) -> Result<Option<String>, FileError> {
        let (name, new) = (format!("outline-on-{target}"), body(outline));
        let stored = self.stored(&name);
        let is_kept = stored.as_deref() == Some(new) || (stored.is_none() && !self.is_updating);
        if is_kept {
            self.agree(&name);
            return Ok(None);
        }
        let path = self.path(&name);
        self.written.note(path.clone());
        files::write_whole(&path, outline.as_bytes())?;
        let old = stored.unwrap_or_default();
        Ok((!self.is_updating).then(|| {
            let hint = "accept it with --update-snapshots";
            format!(
                "the outline is not the stored one:\n{}{} is pending: {hint}\n",
                differing(&old, new),
                path.display()
            )
        }))
    }

    fn path(&self, name: &str) -> PathBuf {
        let end = if self.is_updating { "snap" } else { "snap.new" };
        self.folder.as_ref().unwrap_or(&self.reports).join(format!("{name}.{end}"))
    }
}

/// The lines that are only in one of two texts, the first of them.
fn differing(old: &str, new: &str) -> String {
    let difference = similar::TextDiff::from_lines(old, new);
    let lines: Vec<String> = difference
        .iter_all_changes()
        .filter(|change| change.tag() != similar::ChangeTag::Equal)
        .map(|change| format!("  {} {}\n", change.tag(), change.value().trim_end()))
        .collect();
    let more = lines.len().saturating_sub(DIFFERENCE_LINES);
    let more = if more > 0 { format!("  … {more} lines more\n") } else { String::new() };
    lines.into_iter().take(DIFFERENCE_LINES).collect::<String>() + &more
}

/// What stands below the second line of dashes.
fn body(text: &str) -> &str {
    let rest = text.strip_prefix("---\n").and_then(|rest| rest.split_once("\n---\n"));
    rest.map_or(text, |(_, body)| body).trim_end_matches('\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_what_insta_and_we_read() {
        let folder = tempfile::tempdir().unwrap();
        let stored = Stored {
            folder: Some(folder.path().into()),
            reports: folder.path().into(),
            is_updating: true,
            written: Written::default(),
        };
        assert_eq!(stored.keep("a-case.reply", "suites/a.yaml", "status: 200\n{}"), Ok(None));
        assert_eq!(stored.stored("a-case.reply").as_deref(), Some("status: 200\n{}"));
        let read = insta::Snapshot::from_file(&folder.path().join("a-case.reply.snap")).unwrap();
        assert_eq!(read.metadata().source(), Some("suites/a.yaml"));
        assert_eq!(
            read.as_text().map(|text| text.to_string().trim_end().to_owned()).as_deref(),
            Some("status: 200\n{}")
        );
    }

    #[test]
    fn an_outline_is_compared_once_one_is_stored() {
        let folder = tempfile::tempdir().unwrap();
        let mut stored = Stored {
            folder: Some(folder.path().into()),
            reports: folder.path().into(),
            is_updating: false,
            written: Written::default(),
        };
        let outline = |line: &str| format!("---\nsource: muster\n---\na: pass\n{line}\n");
        assert_eq!(stored.outline_differs("here", &outline("b: pass")).unwrap(), None, "none is stored");
        stored.is_updating = true;
        assert_eq!(stored.outline_differs("here", &outline("b: pass")).unwrap(), None);
        stored.is_updating = false;
        assert_eq!(stored.outline_differs("here", &outline("b: pass")).unwrap(), None);
        let told = stored.outline_differs("here", &outline("b: fail")).unwrap().unwrap();
        let pending = folder.path().join("outline-on-here.snap.new");
        let hint = "accept it with --update-snapshots";
        assert_eq!(
            told,
            format!(
                "the outline is not the stored one:\n  - b: pass\n  + b: fail\n{} is pending: {hint}\n",
                pending.display()
            )
        );
        assert!(files::exists(&pending));
        assert_eq!(stored.outline_differs("here", &outline("b: pass")).unwrap(), None);
        assert!(!files::exists(&pending), "what agrees again is pending no more");
    }

    #[test]
    fn what_is_new_is_pending_beside_the_old() {
        let folder = tempfile::tempdir().unwrap();
        let stored = Stored {
            folder: Some(folder.path().into()),
            reports: folder.path().into(),
            is_updating: false,
            written: Written::default(),
        };
        let pending = stored.keep("a.reply", "suites/a.yaml", "x").unwrap().unwrap();
        assert!(pending.ends_with("a.reply.snap.new"), "{pending}");
        assert_eq!(stored.stored("a.reply"), None);
    }
}
