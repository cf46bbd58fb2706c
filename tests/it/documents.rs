//! What the documents say, against what is there.

use muster::outcome::Ending;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn document(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap()
}

#[test]
fn the_readme_has_the_exit_codes_of_the_program() {
    let readme = document("README.md");
    let rows: Vec<&str> = readme.lines().filter(|line| is_code_row(line)).collect();
    let expected: Vec<String> = Ending::ALL
        .iter()
        .map(|ending| format!("| {} | `{}` | {} |", ending.code(), ending.word(), ending.meaning()))
        .collect();
    assert_eq!(rows, expected);
}

fn is_code_row(line: &str) -> bool {
    line.strip_prefix("| ").is_some_and(|rest| rest.starts_with(|letter: char| letter.is_ascii_digit()))
}

/// What stands between single backquotes, code blocks left out.
fn quoted(text: &str) -> BTreeSet<String> {
    let prose: String = text.split("```").step_by(2).collect();
    prose.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn every_test_that_a_document_names_exists() {
    let sources: String =
        files(&["src", "tests"]).iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    for name in ["ARCHITECTURE.md", "SECURITY.md", "CONTRIBUTING.md"] {
        let named: Vec<String> =
            quoted(&document(name)).into_iter().filter(|word| is_sentence(word)).collect();
        let missing: Vec<&String> =
            named.iter().filter(|test| !sources.contains(&format!("fn {test}("))).collect();
        assert!(!named.is_empty(), "{name} names no test");
        assert!(missing.is_empty(), "{name} names tests that do not exist: {missing:?}");
    }
}

/// Tests are sentences: at least three words.
fn is_sentence(word: &str) -> bool {
    word.matches('_').count() >= 2
        && word.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_')
}

#[test]
fn every_path_that_a_document_names_exists() {
    for name in ["README.md", "ARCHITECTURE.md", "SECURITY.md", "CONTRIBUTING.md"] {
        let paths: Vec<String> = quoted(&document(name)).into_iter().filter(|word| is_path(word)).collect();
        let missing: Vec<&String> = paths.iter().filter(|path| !root().join(path).exists()).collect();
        assert!(!paths.is_empty(), "{name} names no path");
        assert!(missing.is_empty(), "{name} names paths that do not exist: {missing:?}");
    }
}

/// A path of the repository without a place holder.
fn is_path(word: &str) -> bool {
    let folders = ["src/", "suites/", "fixtures/", "tests/", "ci/", ".ci/"];
    let is_plain = |letter: char| letter.is_ascii_lowercase() || "/._-".contains(letter);
    folders.iter().any(|folder| word.starts_with(folder)) && word.chars().all(is_plain)
}

#[test]
fn every_link_to_a_document_leads_somewhere() {
    for name in ["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md", "SECURITY.md", "CHANGELOG.md"] {
        let text = document(name);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            assert!(link.starts_with("https://") || root().join(link).exists(), "{name} links to {link}");
        }
    }
}

#[test]
fn no_document_names_a_place_of_the_machine_it_was_written_on() {
    for name in ["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md", "SECURITY.md", "CHANGELOG.md"] {
        let text = document(name);
        for place in ["/home/", "/root/", "/tmp/", "/work/", "../"] {
            assert!(!text.contains(place), "{name} holds {place}");
        }
    }
}

fn files(folders: &[&str]) -> Vec<PathBuf> {
    let mut waiting: Vec<PathBuf> = folders.iter().map(|folder| root().join(folder)).collect();
    let mut found = vec![];
    while let Some(folder) = waiting.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                found.push(path);
            }
        }
    }
    found
}
