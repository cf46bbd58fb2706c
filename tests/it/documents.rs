//! What the documents say, against what is there.

use muster::outcome::Ending;
use muster::step::Kind;
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

/// The operations of the list, by name.
fn operations() -> Vec<String> {
    let all: serde_json::Map<String, serde_json::Value> =
        serde_saphyr::from_str(&document("suites/operations.yaml")).unwrap();
    all.into_iter().map(|(name, _)| name).filter(|name| name != "refused").collect()
}

/// Every step of a suite that is made as the operator, as its operation and its way.
fn ways(step: &serde_json::Value, found: &mut BTreeSet<(String, String)>) {
    let Some(kinds) = step.as_object() else { return };
    for request in kinds.values().filter(|request| request["as"] == "operator") {
        if let (Some(operation), Some(way)) = (request["op"].as_str(), request["via"].as_str()) {
            found.insert((operation.to_owned(), way.to_owned()));
        }
    }
}

#[test]
fn every_operation_is_called_both_ways_or_says_why_not() {
    let text = document("suites/service-call/both-ways.yaml");
    let suite: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
    let mut called = BTreeSet::new();
    for case in suite["cases"].as_array().unwrap() {
        case["steps"].as_array().unwrap().iter().for_each(|step| ways(step, &mut called));
    }
    let excused: Vec<(&str, &str)> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# one way only: ")?.split_once(": "))
        .filter(|(_, reason)| reason.len() > 20)
        .collect();
    let has = |name: &str, way: &str| called.contains(&(name.to_owned(), way.to_owned()));
    let is_whole = |name: &str| has(name, "http") && has(name, "rpc");
    let missing: Vec<String> = operations()
        .into_iter()
        .filter(|name| !is_whole(name) && !excused.iter().any(|(excuse, _)| excuse == name))
        .collect();
    assert!(missing.is_empty(), "not called both ways as the operator, and no reason given: {missing:?}");
    let stale: Vec<&str> = excused.iter().map(|(name, _)| *name).filter(|name| is_whole(name)).collect();
    assert!(stale.is_empty(), "excused, and called both ways all the same: {stale:?}");
}

/// The texts of all YAML files below a folder.
fn texts(folder: &Path) -> Vec<String> {
    let mut found = vec![];
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(texts(&path));
        } else if path.extension().is_some_and(|end| end == "yaml") {
            found.push(std::fs::read_to_string(path).unwrap());
        }
    }
    found
}

#[test]
fn every_step_kind_is_used_by_a_suite_and_wrongly_by_an_invalid_one() {
    for folder in ["suites", "fixtures/invalid-suites"] {
        let texts = texts(&root().join(folder));
        let is_step =
            |line: &str, kind: &str| line.trim_start_matches([' ', '-']).starts_with(&format!("{kind}:"));
        let is_used =
            |kind: &&&str| texts.iter().flat_map(|text| text.lines()).any(|line| is_step(line, kind));
        let lacking: Vec<&&str> = Kind::KEYS.iter().filter(|kind| !is_used(kind)).collect();
        assert!(lacking.is_empty(), "step kinds that no file below {folder} uses: {lacking:?}");
    }
}
