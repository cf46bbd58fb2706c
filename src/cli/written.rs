//! What a run has written, searched for secrets before the exit.
//!
//! Lives here: which files those are, and that one with a secret is removed. Does not: other files that lie beside them; they are
//! somebody's own, and may well hold secrets.

use crate::files::{self, FileError};
use crate::secret::Mask;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The files that a run has written, or has begun to write.
#[derive(Default)]
pub(super) struct Written(RefCell<BTreeSet<PathBuf>>);

impl Written {
    /// This file is about to be written.
    pub(super) fn note(&self, path: PathBuf) {
        self.0.borrow_mut().insert(path);
    }

    /// The files among them that hold a secret: each is removed.
    pub(super) fn leaking(&self, mask: &Mask) -> Result<Vec<PathBuf>, FileError> {
        let mut found = vec![];
        for path in self.0.borrow().iter().filter(|path| path.is_file()) {
            if holds_secret(path, &files::read_bytes(path)?, mask) {
                files::remove(path)?;
                found.push(path.clone());
            }
        }
        Ok(found)
    }
}

/// Snapshots hold no times of ours: what looks like a code there is one.
fn holds_secret(path: &Path, bytes: &[u8], mask: &Mask) -> bool {
    let name = path.to_string_lossy();
    let is_snapshot = [".snap", ".snap.new"].iter().any(|end| name.ends_with(end));
    is_snapshot && mask.finds_in(bytes) || mask.surely_finds_in(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_file_that_holds_a_secret_is_removed_and_named_and_no_other_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let written = Written::default();
        for (name, text) in [("bad.txt", "token=aHVudGVyMjJ4"), ("good.txt", "nothing here")] {
            written.note(path(name));
            files::write_whole(&path(name), text.as_bytes()).unwrap();
        }
        written.note(path("never-written.txt"));
        files::write_whole(&path("target.env"), b"token=hunter22").unwrap();
        let mask = Mask::new();
        mask.learn("hunter22");
        assert_eq!(written.leaking(&mask).unwrap(), [path("bad.txt")]);
        assert!(!path("bad.txt").exists() && path("good.txt").exists() && path("target.env").exists());
        assert!(written.leaking(&mask).unwrap().is_empty());
    }
}
