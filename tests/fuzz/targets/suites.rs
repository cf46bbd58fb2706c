//! Any text as a suite, beside a flow and an operation that it may use: cases, or every problem with its line.
#![no_main]

use libfuzzer_sys::fuzz_target;
use muster::source::Source;
use muster::suite::load;

const OPERATIONS: &str = "a.read:\n  http: GET /a\n  open_to: [anyone]\n  effect: read\n";
const NEEDS: &str = "mailbox: messages can be received\n";

fuzz_target!(|text: &str| {
    let sources = [
        Source::new("suites/operations.yaml", OPERATIONS),
        Source::new("suites/needs.yaml", NEEDS),
        Source::new("suites/family/any.yaml", text),
    ];
    if let Err(invalid) = load(&sources) {
        assert!(!invalid.to_string().is_empty());
    }
});
