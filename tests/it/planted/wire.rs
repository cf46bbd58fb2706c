//! A recorder between muster and the platform's API, and the secrets that passed it.

use base64::Engine as _;
use regex::bytes::Regex;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

type Recording = Arc<Mutex<Vec<u8>>>;

/// A recorder. Each direction of each connection is kept whole, so that nothing is cut by the order of chunks.
pub(super) struct Wire {
    pub(super) address: String,
    recordings: Arc<Mutex<Vec<Recording>>>,
}

impl Wire {
    /// Records what passes on the way to an address.
    pub(super) fn to(platform: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let recordings = Arc::new(Mutex::new(vec![]));
        let (kept, platform) = (recordings.clone(), platform.to_owned());
        std::thread::spawn(move || {
            for caller in listener.incoming().flatten() {
                if let Ok(server) = TcpStream::connect(&platform) {
                    pass(&caller, &server, &kept);
                    pass(&server, &caller, &kept);
                }
            }
        });
        Self { address, recordings }
    }

    /// Every secret that passed: tokens of headers, and the values of members that only secrets have; also where they stand
    /// in a record's base64.
    pub(super) fn secrets(&self) -> Vec<String> {
        let mut found = BTreeSet::new();
        for recording in self.recordings.lock().unwrap().iter() {
            let bytes = recording.lock().unwrap();
            found.extend(taken(&bytes));
            for value in all(r#""value"\s*:\s*"([A-Za-z0-9+/]{16,}={0,2})""#, &bytes) {
                let value = base64::prelude::BASE64_STANDARD.decode(value).unwrap_or_default();
                found.extend(taken(&value));
            }
        }
        found.into_iter().collect()
    }
}

fn taken(bytes: &[u8]) -> Vec<String> {
    const MEMBERS: &str = r#""(?:secret|new_?[sS]ecret|old_?[sS]ecret|access_token|refresh_token|authToken|token|jwt)"\s*:\s*"([^"\\]{8,})""#;
    let mut found = all(r"[Bb]earer ([A-Za-z0-9._~+/=-]{8,})", bytes);
    found.extend(all(MEMBERS, bytes));
    found
}

fn all(pattern: &str, bytes: &[u8]) -> Vec<String> {
    let pattern = Regex::new(pattern).unwrap();
    let found = pattern.captures_iter(bytes).map(|found| String::from_utf8_lossy(&found[1]).into_owned());
    found.collect()
}

fn pass(from: &TcpStream, to: &TcpStream, kept: &Arc<Mutex<Vec<Recording>>>) {
    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
    let recording = Recording::default();
    kept.lock().unwrap().push(recording.clone());
    std::thread::spawn(move || {
        let mut chunk = vec![0; 16 * 1024];
        while let Ok(count @ 1..) = from.read(&mut chunk) {
            recording.lock().unwrap().extend_from_slice(&chunk[..count]);
            if to.write_all(&chunk[..count]).is_err() {
                break;
            }
        }
        to.shutdown(Shutdown::Write).ok();
    });
}
