//! Any text as a JSON path over a reply.
#![no_main]

use libfuzzer_sys::fuzz_target;
use muster::step::json_path;
use serde_json::json;

fuzz_target!(|text: &str| {
    let Ok(path) = json_path(text) else { return };
    let reply = json!({ "records": [{ "key": "a", "value": 1 }, { "key": "b", "value": [null, true] }], "é": { "x": "y" } });
    let _ = path.query(&reply).all();
});
