//! Any secret in any text: after masking it is nowhere, neither as it is, nor in hexadecimal.
#![no_main]

use libfuzzer_sys::fuzz_target;
use muster::secret::{MASK, Mask, SHORTEST_SECRET_BYTES};

fuzz_target!(|input: (&str, &str, &str)| {
    let (secret, before, after) = input;
    let mask = Mask::new();
    mask.learn(secret);
    // What the mark itself is made of, such as the word in it, cannot be hidden by it.
    if secret.len() < SHORTEST_SECRET_BYTES || secret.contains(['«', '»']) || mask.finds_in(MASK.as_bytes())
    {
        return;
    }
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let masked = mask.mask(&format!("{before}{secret}{after} {hex}"));
    assert!(!mask.finds_in(masked.as_str().as_bytes()), "{masked}");
    assert!(!masked.as_str().contains(secret) && !masked.as_str().contains(&hex));
});
