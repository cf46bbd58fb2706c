//! The seeds of fuzzing, read by the functions that are fuzzed: an input that once made trouble and was kept as a seed makes
//! none at any landing. New inputs are looked for by `ci/fuzz.sh`, whose targets say more of each function.

use muster::outcome::{fold, read_record};
use muster::report::{KINDS, Told, kind, render};
use muster::source::{Place, Source};
use serde_json::json;
use std::collections::BTreeSet;
use std::path::PathBuf;

const RUN: &str = include_str!("../../fixtures/reports/every-verdict.jsonl");

/// A function that is fuzzed, by the name of its target.
type Target = (&'static str, fn(&[u8]));

const TARGETS: [Target; 9] = [
    ("event_log", event_log),
    ("grpc_frames", grpc_frames),
    ("journal", journal),
    ("json_path", json_path),
    ("junit", junit),
    ("mask", mask),
    ("suites", suites),
    ("target_file", target_file),
    ("template", template),
];

fn text(seed: &[u8]) -> String {
    String::from_utf8_lossy(seed).into_owned()
}

fn event_log(seed: &[u8]) {
    let Ok(records) = read_record(&text(seed)) else { return };
    let Some(outcome) = fold(&records) else { return };
    for kind in KINDS {
        render(kind, &Told { outcome: &outcome, records: &records }).unwrap();
    }
}

fn grpc_frames(seed: &[u8]) {
    if let Ok(message) = muster::client::only_message(bytes::BytesMut::from(seed)) {
        assert!(message.is_empty() || seed[5..].starts_with(&message));
    }
}

fn journal(seed: &[u8]) {
    let reading = muster::ledger::read_journal(seed);
    assert!(muster::ledger::open_changes(&reading.entries).len() <= reading.entries.len());
}

fn json_path(seed: &[u8]) {
    if let Ok(path) = muster::step::json_path(&text(seed)) {
        path.query(&json!({ "records": [{ "key": "a" }, { "key": [null, true] }] })).all();
    }
}

/// The text in every place in which the made-up run has one from outside.
fn junit(seed: &[u8]) {
    let inside = serde_json::to_string(&text(seed)).unwrap();
    let records = read_record(&RUN.replace("REPLACED", &inside[1..inside.len() - 1])).unwrap();
    let outcome = fold(&records).unwrap();
    let xml = render(kind("junit").unwrap(), &Told { outcome: &outcome, records: &records }).unwrap();
    let mut reader = quick_xml::Reader::from_str(&xml);
    while reader.read_event().unwrap() != quick_xml::events::Event::Eof {}
}

fn mask(seed: &[u8]) {
    let secret: String = text(seed).chars().filter(|letter| !['«', '»', '\0'].contains(letter)).collect();
    let mask = muster::secret::Mask::new();
    mask.learn(&secret);
    let masked = mask.mask(&format!("before {secret} after"));
    assert!(!mask.finds_in(masked.as_str().as_bytes()), "{masked}");
}

fn suites(seed: &[u8]) {
    let operations = "a.read:\n  http: GET /a\n  open_to: [anyone]\n  effect: read\n";
    let sources = [
        Source::new("suites/operations.yaml", operations),
        Source::new("suites/needs.yaml", "mailbox: messages can be received\n"),
        Source::new("suites/family/any.yaml", text(seed)),
    ];
    assert!(muster::suite::load(&sources).err().is_none_or(|invalid| !invalid.to_string().is_empty()));
}

fn target_file(seed: &[u8]) {
    let read = muster::target::read_target(&Source::new("target.yaml", text(seed)));
    assert!(read.err().is_none_or(|invalid| !invalid.to_string().is_empty()));
}

fn template(seed: &[u8]) {
    let Ok(template) = muster::step::Template::new(&text(seed), Place::default()) else { return };
    let mut names = muster::step::Names::new();
    names.insert("me".into(), json!({ "email": "a@b", "n": 7, "secret": "hunter22hunter22" }));
    template.uses();
    if let Err(error) = template.render(&names) {
        assert!(!error.to_string().contains("hunter22hunter22"));
    }
}

/// What lies in a folder of `tests/fuzz/seeds`, sorted.
fn within(folder: &str) -> Vec<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/seeds").join(folder);
    let mut found: Vec<PathBuf> =
        std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

#[test]
fn every_kept_seed_is_read_without_trouble() {
    let folders = within("").into_iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned());
    let known = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect::<BTreeSet<_>>();
    crate::program::same_names(&folders.collect(), &known, "a function for each folder of seeds");
    for (name, read) in TARGETS {
        let seeds = within(name);
        assert!(!seeds.is_empty(), "{name} has no seed");
        for seed in seeds {
            println!("{}", seed.display());
            read(&std::fs::read(seed).unwrap());
        }
    }
}
