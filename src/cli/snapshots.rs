//! Stored snapshots: on disk in a checkout, else the copy built into the program.

use crate::files;
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

    fn keep(&self, name: &str, source: &str, text: &str) -> Result<Option<String>, String> {
        let folder = self.folder.as_ref().unwrap_or(&self.reports);
        let end = if self.is_updating { "snap" } else { "snap.new" };
        let path = folder.join(format!("{name}.{end}"));
        files::write_whole(&path, format!("---\nsource: {source}\n---\n{text}\n").as_bytes())
            .map_err(|error| error.to_string())?;
        Ok((!self.is_updating).then(|| path.display().to_string()))
    }
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
        let stored =
            Stored { folder: Some(folder.path().into()), reports: folder.path().into(), is_updating: true };
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
    fn what_is_new_is_pending_beside_the_old() {
        let folder = tempfile::tempdir().unwrap();
        let stored =
            Stored { folder: Some(folder.path().into()), reports: folder.path().into(), is_updating: false };
        let pending = stored.keep("a.reply", "suites/a.yaml", "x").unwrap().unwrap();
        assert!(pending.ends_with("a.reply.snap.new"), "{pending}");
        assert_eq!(stored.stored("a.reply"), None);
    }
}
