//! Any bytes as the body of a gRPC answer: a message that lies within them, or why there is none.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use muster::client::only_message;

fuzz_target!(|data: &[u8]| {
    if let Ok(message) = only_message(BytesMut::from(data)) {
        assert!(message.is_empty() || data[5..].starts_with(&message));
    }
});
