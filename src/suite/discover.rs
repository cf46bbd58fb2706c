//! Where suites come from: a folder, or the copy that was built into the program.

use crate::files::{self, FileError};
use crate::source::Source;
use include_dir::{Dir, include_dir};
use std::path::{Path, PathBuf};

static EMBEDDED: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/suites");

/// A folder of suites.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Folder {
    /// The copy built into the program.
    Embedded,
    /// A folder on disk.
    Disk(PathBuf),
}

/// Every YAML file of a folder and those below it, sorted by path. Names begin with the folder's own name.
///
/// # Errors
/// If a folder or file on disk cannot be read.
pub fn sources(folder: &Folder) -> Result<Vec<Source>, FileError> {
    let mut found = vec![];
    match folder {
        Folder::Embedded => embedded(&EMBEDDED, &mut found),
        Folder::Disk(path) => {
            let name =
                path.file_name().map_or_else(|| "suites".into(), |name| name.to_string_lossy().into_owned());
            on_disk(path, &name, &mut found)?;
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

fn embedded(folder: &'static Dir<'static>, found: &mut Vec<Source>) {
    for file in folder.files().filter(|file| is_yaml(file.path())) {
        if let Some(text) = file.contents_utf8() {
            found.push(Source::new(format!("suites/{}", file.path().display()), text));
        }
    }
    folder.dirs().for_each(|inner| embedded(inner, found));
}

fn on_disk(path: &Path, name: &str, found: &mut Vec<Source>) -> Result<(), FileError> {
    for entry in files::list(path)? {
        let inner = format!("{name}/{}", entry.file_name().unwrap_or_default().to_string_lossy());
        if entry.is_dir() {
            on_disk(&entry, &inner, found)?;
        } else if is_yaml(&entry) {
            found.push(Source::new(inner, files::read_written(&entry)?));
        }
    }
    Ok(())
}

fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}
