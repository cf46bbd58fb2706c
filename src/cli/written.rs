//! What a run has written, searched for secrets before the exit.
//!
//! Lives here: which files those are, and that one with a secret is removed, or, where that is
//! impossible, emptied. Does not: other files that lie beside them; they are
//! somebody's own, and may well hold secrets.

use crate::files;
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

    /// The files among them that hold a secret, or of which nobody can tell: each is removed or emptied, and named with the reason.
    pub(super) fn unfit(&self, mask: &Mask) -> Vec<(PathBuf, String)> {
        let mut written = self.0.borrow_mut();
        let files = written.iter().filter(|path| path.is_file());
        let unfit: Vec<_> = files.filter_map(|path| Some((path.clone(), unfit(path, mask)?))).collect();
        written.retain(|path| !unfit.iter().any(|(one, _)| one == path));
        unfit
    }
}

/// Why a file must not stay, if it must not.
fn unfit(path: &Path, mask: &Mask) -> Option<String> {
    let why = match files::read_bytes(path) {
        Ok(bytes) if !holds_secret(path, &bytes, mask) => return None,
        Ok(_) => format!("{} held a secret", path.display()),
        Err(error) => format!("{error}, to search it for secrets"),
    };
    let removed = files::remove(path).map(|()| "removed");
    Some(match removed.or_else(|stays| files::empty(path).map(|()| "emptied").map_err(|_| stays)) {
        Ok(done) => format!("{why} and was {done}"),
        Err(stays) => format!("{why}, and it stays: {stays}"),
    })
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
        let told = format!("{} held a secret and was removed", path("bad.txt").display());
        assert_eq!(written.unfit(&mask), [(path("bad.txt"), told)]);
        assert!(!path("bad.txt").exists() && path("good.txt").exists() && path("target.env").exists());
        assert_eq!(written.unfit(&mask), []);
    }

    /// A folder in which nothing can be made or removed, until this is dropped.
    struct Fixed<'a>(&'a Path);

    impl<'a> Fixed<'a> {
        /// `None` where we may not fix it.
        fn new(folder: &'a Path) -> Option<Self> {
            chattr("+i", folder).then_some(Self(folder))
        }
    }

    impl Drop for Fixed<'_> {
        fn drop(&mut self) {
            assert!(chattr("-i", self.0), "{} stays", self.0.display());
        }
    }

    fn chattr(change: &str, folder: &Path) -> bool {
        let mut command = std::process::Command::new("chattr");
        command.arg(change).arg(folder).output().is_ok_and(|output| output.status.success())
    }

    #[test]
    fn a_written_file_that_holds_a_secret_and_cannot_be_removed_is_emptied() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bad.txt");
        files::write_whole(&path, b"token=hunter22").unwrap();
        // Only the superuser can fix a folder so that he himself cannot remove what is in it.
        let Some(_fixed) = Fixed::new(folder.path()) else { return };
        let (mask, written) = (Mask::new(), Written::default());
        mask.learn("hunter22");
        written.note(path.clone());
        let told = format!("{} held a secret and was emptied", path.display());
        assert_eq!(written.unfit(&mask), [(path.clone(), told)]);
        assert_eq!(files::read_bytes(&path).unwrap(), b"");
    }
}
