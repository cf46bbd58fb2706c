//! Any text as a target file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use muster::source::Source;
use muster::target::read_target;

fuzz_target!(|text: &str| {
    if let Err(invalid) = read_target(&Source::new("target.yaml", text)) {
        assert!(!invalid.to_string().is_empty());
    }
});
