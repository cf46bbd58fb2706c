//! Any bytes as a journal: what is read of it is never more than what was whole, and open changes are among its entries.
#![no_main]

use libfuzzer_sys::fuzz_target;
use muster::ledger::{open_changes, read_journal};

fuzz_target!(|data: &[u8]| {
    let reading = read_journal(data);
    let open = open_changes(&reading.entries);
    assert!(open.len() <= reading.entries.len());
});
