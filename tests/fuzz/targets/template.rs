//! Any text as a template: what it renders to, and what its problems say, holds no name's value that is secret.
#![no_main]

use libfuzzer_sys::fuzz_target;
use muster::source::Place;
use muster::step::{Names, Template};
use serde_json::json;

fuzz_target!(|text: &str| {
    let Ok(template) = Template::new(text, Place::default()) else { return };
    let mut names = Names::new();
    names.insert("me".into(), json!({ "email": "a@b", "n": 7, "list": [1, "two"], "secret": "hunter22hunter22" }));
    names.insert("now".into(), json!("2026-01-02T03:00:00Z"));
    let _ = template.uses();
    if let Err(error) = template.render(&names) {
        assert!(!error.to_string().contains("hunter22hunter22") || text.contains("hunter22hunter22"));
    }
});
