//! Any text as the record of a run, and a real one cut and changed: it is read or refused, and what is read renders.
#![no_main]

use libfuzzer_sys::fuzz_target;
use muster::outcome::{fold, read_record};
use muster::report::{KINDS, Told, render};

const RUN: &str = include_str!("../../../fixtures/reports/every-verdict.jsonl");

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let cut = data.first().map_or(0, |first| RUN.len() * usize::from(*first) / 255);
    let started: String = RUN.chars().take(cut).collect::<String>() + &text;
    for record in [text.as_ref(), started.as_str()] {
        let Ok(records) = read_record(record) else { continue };
        let Some(outcome) = fold(&records) else { continue };
        for kind in KINDS {
            render(kind, &Told { outcome: &outcome, records: &records }).unwrap();
        }
    }
});
