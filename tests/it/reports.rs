//! Every kind of report of one made-up run, against the text that it must be, character by character.
//!
//! The run has every verdict, and texts that break formats: control characters, quotes, the end of a CDATA section, a
//! character beyond the basic plane. What a report was instead is written beside the tests' other output.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use crate::program::{code, muster, stderr, stdout};
use muster::outcome::{Outcome, Record, fold, read_record};
use muster::report::{KINDS, Told, console_summary, kind, render, write};
use std::path::Path;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/reports");

fn run() -> (Outcome, Vec<Record>) {
    let text = std::fs::read_to_string(Path::new(FOLDER).join("every-verdict.jsonl")).unwrap();
    let records = read_record(&text).unwrap();
    (fold(&records).unwrap(), records)
}

#[test]
fn every_kind_is_what_it_was() {
    let (outcome, records) = run();
    let told = Told { outcome: &outcome, records: &records };
    let found = Path::new(env!("CARGO_TARGET_TMPDIR")).join("reports");
    let mut differing = vec![];
    for kind in KINDS {
        let golden = match kind.name {
            "jsonl" => "every-verdict.jsonl".to_owned(),
            _ => format!("every-verdict.{}", kind.file),
        };
        let text = std::fs::read_to_string(write(kind, &told, &found).unwrap()).unwrap();
        assert_eq!(text, render(kind, &told).unwrap(), "written and rendered are the same");
        if std::fs::read_to_string(Path::new(FOLDER).join(&golden)).ok().as_deref() != Some(&text) {
            differing.push(format!("cp {} fixtures/reports/{golden}", found.join(kind.file).display()));
        }
    }
    assert!(
        differing.is_empty(),
        "reports differ from fixtures/reports; if they should:\n{}",
        differing.join("\n")
    );
}

#[test]
fn a_record_whose_verdict_was_changed_gives_no_report() {
    let whole = std::fs::read_to_string(Path::new(FOLDER).join("every-verdict.jsonl")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.jsonl");
    let reported = |text: &str| {
        std::fs::write(&path, text).unwrap();
        let output = muster().args(["report", "summary", "--from"]).arg(&path).output().unwrap();
        (code(&output), stdout(&output), stderr(&output))
    };
    assert_eq!(reported(&whole).0, 0);
    let (ended, green) = (r#""store-is-shown","verdict":"fail""#, r#""store-is-shown","verdict":"pass""#);
    let changed = whole.replace(&format!(r#""case":{ended}"#), &format!(r#""case":{green}"#));
    let line =
        1 + whole.lines().position(|line| line.contains("case-ended") && line.contains(ended)).unwrap();
    let expected = format!(
        "error: line {line} of the run record was changed after it was written: `store-is-shown` has the verdict pass, and \
         the worst of its failures (2) is fail\n"
    );
    assert_eq!(reported(&changed), (2, String::new(), expected));
}

#[test]
fn a_record_cut_anywhere_is_rendered_as_far_as_it_goes_and_says_so() {
    let whole = std::fs::read(Path::new(FOLDER).join("every-verdict.jsonl")).unwrap();
    let first = 1 + whole.iter().position(|byte| *byte == b'\n').unwrap();
    // What was applied after the run's end is the last line.
    let end = 1 + whole[..whole.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap();
    for cut in first..whole.len() {
        let records = read_record(&String::from_utf8_lossy(&whole[..cut])).unwrap();
        let outcome = fold(&records).unwrap();
        assert!(outcome.totals().are_whole(), "cut at {cut}");
        let told = Told { outcome: &outcome, records: &records };
        let junit = render(kind("junit").unwrap(), &told).unwrap();
        let says_so =
            junit.contains("the record ends before the run did: muster was killed, or the record was cut");
        assert_eq!(says_so, outcome.end.is_none(), "cut at {cut}: {junit}");
        assert_eq!(outcome.end.is_none(), cut < end, "cut at {cut}");
        assert_ne!(outcome.ending(), muster::outcome::Ending::Passed, "cut at {cut}");
    }
}

#[test]
fn an_unknown_kind_has_no_report() {
    assert!(kind("pdf").is_none());
}

#[test]
fn insta_reads_the_outline() {
    let path = Path::new(FOLDER).join("every-verdict.outline.snap");
    let snapshot = insta::Snapshot::from_file(&path).unwrap();
    assert_eq!(snapshot.metadata().source(), Some("muster"));
    assert_eq!(snapshot.metadata().description(), Some("outline of a run on made \"by\" hand"));
    let lines = snapshot.as_text().unwrap().to_string();
    assert_eq!(lines.trim().lines().count(), run().0.cases.len());
}

#[test]
fn totals_and_cases_of_the_summary_agree() {
    let (outcome, records) = run();
    let told = Told { outcome: &outcome, records: &records };
    let summary: serde_json::Value =
        serde_json::from_str(&render(kind("summary").unwrap(), &told).unwrap()).unwrap();
    let count = |word: &str| {
        summary["cases"].as_array().unwrap().iter().filter(|case| case["outcome"] == word).count()
    };
    assert_eq!(summary["totals"]["passed"], count("pass"));
    assert_eq!(summary["totals"]["failed"], count("fail"));
    assert_eq!(summary["totals"]["inconclusive"], count("inconclusive"));
    assert_eq!(summary["exit_code"], 5, "a leftover outweighs the signal and the failure");
    assert_eq!(
        summary["endings"],
        serde_json::json!(["undecided", "failed", "interrupted", "unrecorded", "left-behind"])
    );
}

#[test]
fn colours_are_only_added_and_only_if_wanted() {
    let (outcome, _) = run();
    let (plain, colored) = (console_summary(&outcome, false), console_summary(&outcome, true));
    assert!(!plain.contains('\u{1b}'), "what the platform sent never reaches the terminal as it is");
    assert!(colored.contains("\u{1b}[31mfail "));
    let codes = regex::Regex::new("\u{1b}\\[[0-9]+m").unwrap();
    assert_eq!(codes.replace_all(&colored, ""), plain);
}
