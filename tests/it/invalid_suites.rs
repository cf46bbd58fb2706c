//! Every invalid suite, flow, operation and target file has its exact message.
//!
//! Each folder of `fixtures/invalid-suites` holds one or more files that stand beside, or take the place of, those of
//! `base`; `message.txt` is what muster says of it. `MUSTER_UPDATE=1` writes the messages anew, for a person to read.

use muster::source::Source;
use muster::{suite, target};
use std::path::{Path, PathBuf};

fn folders() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/invalid-suites");
    let all = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    let mut all: Vec<PathBuf> = all.filter(|path| path.is_dir() && !path.ends_with("base")).collect();
    all.sort();
    all
}

fn files(folder: &Path) -> Vec<(String, String)> {
    let mut found = vec![];
    for path in muster::files::list(folder).unwrap() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            found.extend(files(&path).into_iter().map(|(inner, text)| (format!("{name}/{inner}"), text)));
        } else if name.ends_with(".yaml") {
            found.push((name, muster::files::read_text(&path).unwrap()));
        }
    }
    found
}

/// What muster says of a folder.
fn message(folder: &Path) -> String {
    let own = files(folder);
    let base = files(&folder.parent().unwrap().join("base"));
    let kept = base.into_iter().filter(|(name, _)| own.iter().all(|(own, _)| own != name));
    let sources: Vec<Source> = own
        .iter()
        .cloned()
        .chain(kept)
        .filter(|(name, _)| name != "target.yaml")
        .map(|(name, text)| Source::new(format!("suites/{name}"), text))
        .collect();
    let suites = match suite::load(&sources) {
        Ok(suites) => suites,
        Err(invalid) => return invalid.to_string(),
    };
    let Some((_, text)) = own.iter().find(|(name, _)| name == "target.yaml") else {
        return "no problem".into();
    };
    let source = Source::new("target.yaml", text.as_str());
    match target::read_target(&source) {
        Err(invalid) => invalid.to_string(),
        Ok(file) => suite::lint_target(&suites, &file, &source)
            .or(())
            .err()
            .map_or("no problem".into(), |it| it.to_string()),
    }
}

#[test]
fn every_invalid_file_has_its_exact_message() {
    let folders = folders();
    assert!(folders.len() >= 120, "{} invalid files", folders.len());
    let is_updating = std::env::var_os("MUSTER_UPDATE").is_some();
    let mut wrong = vec![];
    for folder in folders {
        let said = format!("{}\n", message(&folder));
        let golden = folder.join("message.txt");
        if is_updating {
            muster::files::write_whole(&golden, said.as_bytes()).unwrap();
        }
        let expected = muster::files::read_text(&golden).unwrap_or_default();
        if said != expected || said.starts_with("no problem") {
            wrong.push(format!("{}: said\n{said}\nwanted\n{expected}", folder.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
