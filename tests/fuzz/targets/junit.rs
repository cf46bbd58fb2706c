//! Any texts in a run: its JUnit is well-formed for another parser, and holds every case and the run itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use muster::outcome::{fold, read_record};
use muster::report::{Told, kind, render};
use serde_json::Value;

const RUN: &str = include_str!("../../../fixtures/reports/every-verdict.jsonl");
/// Texts that a platform, a suite or a person can choose.
const CHOSEN: [&str; 8] = ["message", "why", "step", "kind", "text", "title", "file", "target"];

fuzz_target!(|text: &str| {
    let mut pieces = text.split('\u{1}').cycle();
    let lines = RUN.lines().map(|line| {
        let mut record: Value = serde_json::from_str(line).unwrap();
        put(&mut record, &mut pieces);
        record.to_string() + "\n"
    });
    // A kind or verdict that is none is refused by the reader.
    let Ok(records) = read_record(&lines.collect::<String>()) else { return };
    let Some(outcome) = fold(&records) else { return };
    let told = Told { outcome: &outcome, records: &records };
    let xml = render(kind("junit").unwrap(), &told).unwrap();
    let parsed = roxmltree::Document::parse(&xml).unwrap();
    let cases = parsed.descendants().filter(|node| node.has_tag_name("testcase")).count();
    // The run of the fixture leaves something behind, which is a case of its own.
    assert_eq!(cases, outcome.cases.len() + 1);
    for other in ["console", "summary", "outline"] {
        render(kind(other).unwrap(), &told).unwrap();
    }
});

fn put<'a>(value: &mut Value, pieces: &mut impl Iterator<Item = &'a str>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                match field {
                    Value::String(text) if CHOSEN.contains(&name.as_str()) => {
                        *text = pieces.next().unwrap_or_default().to_owned();
                    }
                    other => put(other, pieces),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| put(item, pieces)),
        _ => {}
    }
}
