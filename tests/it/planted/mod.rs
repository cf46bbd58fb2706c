//! No secret stands in anything that a run writes: not in its messages, its reports, its journals, its snapshots.
//!
//! What is secret is not asked of muster: a recorder between it and the platform keeps every byte that passed, and this
//! side reads the secrets from there (`wire`). They are then searched for in every encoding that a text could carry them in
//! (`encodings`). Neither shares code with `scan` and `secret`.

mod channels;
mod encodings;
mod shown;
mod wire;

use crate::program::{Bench, code, get, stderr, stdout};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use wire::Wire;

/// Defects that put secrets where they should not be, and the families that notice.
const SHOWING: [&str; 7] = [
    "store-error-shows-value",
    "accounts-list-shows-secrets",
    "code-in-error",
    "recover-shows-secret",
    "log-shows-codes",
    "secret-in-error",
    "config-secret-in-plain",
];
const FAMILIES: [&str; 4] = ["signup-flow", "permission-leak", "service-call", "platform-setup"];

fn admin_of(bench: &Bench) -> String {
    let target = std::fs::read_to_string(bench.path("target.yaml")).unwrap();
    target.lines().find_map(|line| line.strip_prefix("admin: http://")).unwrap().to_owned()
}

/// What stands in a suite is no secret: a wrong password, a wrong code, a token that is made up of words and an address.
fn without_literals(secrets: Vec<String>) -> Vec<String> {
    let suites = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("suites"));
    let texts: Vec<String> = suites.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    let made_up: Vec<&str> = texts.iter().flat_map(|text| beginnings(text)).collect();
    let is_written = |secret: &str| {
        texts.iter().any(|text| text.contains(secret))
            || made_up.iter().any(|words| secret.starts_with(words))
    };
    secrets.into_iter().filter(|secret| !is_written(secret)).collect()
}

/// The words, of twelve letters or more, that stand right before a value of a template.
fn beginnings(text: &str) -> impl Iterator<Item = &str> {
    let pieces: Vec<&str> = text.split("$(").collect();
    let before = pieces.len().saturating_sub(1);
    let words = |piece: &'_ str| {
        piece.rfind(|sign: char| !sign.is_ascii_alphanumeric() && sign != '-').map_or(0, |at| at + 1)
    };
    let all = pieces.into_iter().take(before).map(move |piece| &piece[words(piece)..]);
    all.filter(|words| words.len() >= 12)
}

fn set_defects(bench: &Bench, defects: &[&str]) {
    let on = serde_json::json!({ "on": defects }).to_string();
    let address = admin_of(bench);
    let mut stream = std::net::TcpStream::connect(&address).unwrap();
    let head = format!("POST /defects HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    write!(stream, "{head}Content-Length: {}\r\n\r\n{on}", on.len()).unwrap();
    let mut told = String::new();
    stream.read_to_string(&mut told).unwrap();
    assert!(told.starts_with("HTTP/1.1 200"), "{told}");
    assert!(get(&address, "/defects").contains("\"on\": true"));
}

/// A bench whose API is reached through a recorder.
fn recorded(defects: &[&str]) -> (Bench, Wire) {
    let bench = Bench::new();
    set_defects(&bench, defects);
    let target = std::fs::read_to_string(bench.path("target.yaml")).unwrap();
    let api = target.lines().find_map(|line| line.strip_prefix("api: http://")).unwrap().to_owned();
    let wire = Wire::to(&api);
    bench.rewrite_target(|text| text.replace(&api, &wire.address));
    (bench, wire)
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

/// Where each secret stands in what was written, and in which encoding.
fn found_in(secrets: &[String], texts: &[(String, Vec<u8>)]) -> Vec<String> {
    let searcher = encodings::Searcher::of(secrets);
    let hits =
        texts.iter().flat_map(|(name, bytes)| searcher.hits(bytes).into_iter().map(move |hit| (name, hit)));
    hits.map(|(name, hit)| format!("{name}: {hit}")).collect()
}

fn written(bench: &Bench, folders: &[&str]) -> Vec<(String, Vec<u8>)> {
    let all = folders.iter().flat_map(|folder| files(&bench.path(folder)));
    all.map(|path| (path.display().to_string(), std::fs::read(&path).unwrap())).collect()
}

#[test]
fn a_run_whose_platform_shows_secrets_everywhere_writes_none_of_them() {
    let secrets = none_is_written(&SHOWING);
    assert!(secrets > 100, "only {secrets} secrets passed by");
}

#[test]
fn a_code_that_a_suite_sends_in_other_letters_is_not_written_when_it_is_accepted() {
    let secrets = none_is_written_by(&["wrong-code-accepted"], &["a-code-keeps-its-letter-case"]);
    assert!(secrets > 3, "only {secrets} secrets passed by");
}

/// The night asks for the defects, in a variable of the environment.
#[test]
#[ignore = "a run for each defect takes minutes: ci/night.sh planted"]
fn each_chosen_defect_has_a_run_write_no_secret() {
    let chosen = std::env::var("MUSTER_PLANTED").unwrap();
    let counts: Vec<usize> = chosen.split_whitespace().map(|defect| none_is_written(&[defect])).collect();
    let (least, all) = (counts.iter().min().unwrap(), counts.iter().sum::<usize>());
    assert!(*least > 0, "only {least} secrets passed by with one of {chosen}");
    println!("searched for {all} secrets, {least} or more with each of {} defects: none found", counts.len());
}

/// No secret stands in what a run of most cases writes while the platform has these defects. How many secrets passed by.
fn none_is_written(defects: &[&str]) -> usize {
    none_is_written_by(defects, &FAMILIES)
}

/// The same of the cases that these filters choose.
fn none_is_written_by(defects: &[&str], filters: &[&str]) -> usize {
    let (bench, wire) = recorded(defects);
    let mut arguments = vec!["run", "--snapshots", "no-snapshots"];
    arguments.extend(filters);
    let output = bench.muster(&arguments).output().unwrap();
    let secrets = without_literals(wire.secrets());
    let mut texts = written(&bench, &["reports", "state"]);
    // Also what was taken down before muster could know that it is a secret is masked when reports are written.
    let is_there = |name: &str| texts.iter().any(|(path, _)| path.ends_with(name));
    assert!(is_there("junit.xml") && is_there("run.jsonl"), "{}", stderr(&output));
    assert_ne!(code(&output), 6, "{}", stderr(&output));
    texts.push(("standard output".into(), stdout(&output).into_bytes()));
    texts.push(("standard error".into(), stderr(&output).into_bytes()));
    let hits = found_in(&secrets, &texts);
    assert!(
        hits.is_empty(),
        "{defects:?}: {} of {} secrets: {:#?}",
        hits.len(),
        secrets.len(),
        &hits[..hits.len().min(12)]
    );
    secrets.len()
}

#[test]
fn a_killed_run_leaves_none_in_its_journal() {
    let (bench, wire) = recorded(&SHOWING);
    let mut command = bench.muster(&["run", "signup-flow"]);
    let mut run = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let journal = || {
        let journals = files(&bench.path("state")).into_iter().filter(|path| path.ends_with("journal"));
        journals.map(|path| std::fs::metadata(path).map_or(0, |it| it.len())).sum::<u64>()
    };
    while journal() < 4_000 {
        assert!(run.try_wait().unwrap().is_none(), "it ended before it had written much");
    }
    run.kill().unwrap();
    run.wait().unwrap();
    let secrets = without_literals(wire.secrets());
    assert!(!secrets.is_empty());
    let hits = found_in(&secrets, &written(&bench, &["reports", "state"]));
    assert!(hits.is_empty(), "{:#?}", &hits[..hits.len().min(12)]);
}

#[test]
fn hashes_of_secrets_that_a_platform_lists_are_told_and_not_shown() {
    let bench = Bench::with_defects(&["accounts-list-shows-secrets"]);
    let output = bench.muster(&["run", "listed-accounts-show-no-secrets"]).output().unwrap();
    assert_eq!(code(&output), 1, "{}{}", stdout(&output), stderr(&output));
    let junit = std::fs::read_to_string(bench.path("reports/junit.xml")).unwrap();
    assert!(junit.contains("$..['secret']: wanted nothing, found") && junit.contains("«secret»"), "{junit}");
    for (name, bytes) in written(&bench, &["reports", "state"]) {
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains("$2a$10$"), "{name}: {text}");
    }
}

/// One case is told something in an error; another one says later that it is a secret.
const LATE: &str = "title: Too late
cases:
  - id: it-is-shown
    why: nobody knows yet that it is a secret
    alone: true
    steps:
      - call:
          op: config.get
          as: operator
          json: { namespace: micro, path: micro.signup.sendgrid.template_id }
          expect: { body: { $.value.data: another } }
  - id: it-is-a-secret
    why: from here on it is known
    alone: true
    steps:
      - call:
          op: config.get
          as: operator
          json: { namespace: micro, path: micro.signup.sendgrid.template_id }
          capture: { found: { path: $.value.data, secret: true } }
";

#[test]
fn what_turns_out_to_be_a_secret_later_is_masked_in_every_report() {
    let bench = Bench::new();
    std::fs::write(bench.suites_without_cases().join("late.yaml"), LATE).unwrap();
    // The seed has the first case come first.
    let output = bench.muster(&["run", "--suites", "suites", "--seed", "3"]).output().unwrap();
    let record = std::fs::read_to_string(bench.path("reports/run.jsonl")).unwrap();
    let began = |case: &str| record.find(&format!(r#""case-started":{{"case":"{case}"}}"#)).unwrap();
    assert!(began("it-is-shown") < began("it-is-a-secret"), "another seed is wanted");
    assert_eq!(code(&output), 1, "{}", stderr(&output));
    let secret = ["d-240bf196257143569539b3b6b82127c0".to_owned()];
    let hits = found_in(&secret, &written(&bench, &["reports"]));
    assert!(hits.is_empty(), "{hits:#?}");
    let junit = std::fs::read_to_string(bench.path("reports/junit.xml")).unwrap();
    assert!(junit.contains("wanted &quot;another&quot;, found"), "{junit}");
}
