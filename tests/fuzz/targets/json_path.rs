//! Any text as a JSON path over a reply.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::json;
use serde_json_path::JsonPath;

fuzz_target!(|text: &str| {
    let Ok(path) = JsonPath::parse(text) else { return };
    let reply = json!({ "records": [{ "key": "a", "value": 1 }, { "key": "b", "value": [null, true] }], "é": { "x": "y" } });
    let _ = path.query(&reply).all();
});
