//! What it costs to hide secrets and to write a change down: by hand, without any other work.
//!
//! ```text
//! masking texts             hides 1,000 secrets in 16 MiB each of log lines and of base64 noise
//! masking journal FOLDER    writes 1,000 changes into a journal, beside as many bare fdatasync of a file there
//! ```
//!
//! Each line that is printed is a name, a tab and a number: bytes of text in a second of one core, or microseconds.

use base64::prelude::*;
use muster::ledger::{Change, Journal};
use muster::secret::Mask;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

type Failed = Box<dyn std::error::Error>;

const SECRETS: usize = 1_000;
const TEXT_BYTES: usize = 16 << 20;
const REPEATS: usize = 5;
const CHANGES: usize = 1_000;

fn main() -> Result<(), Failed> {
    #[expect(clippy::disallowed_methods, reason = "an example has no other door for its arguments")]
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["texts"] => texts(),
        ["journal", folder] => journal(Path::new(folder)),
        _ => Err("usage: masking texts | masking journal FOLDER".into()),
    }
}

/// How fast a mask that knows many secrets hides them, and how fast it looks for them.
fn texts() -> Result<(), Failed> {
    let mut chance = ChaCha8Rng::seed_from_u64(1);
    let secrets: Vec<String> = (0..SECRETS).map(|_| word(&mut chance, 24)).collect();
    let mask = Mask::new();
    secrets.iter().for_each(|secret| mask.learn(secret));
    let began = Instant::now();
    mask.finds_in(b"");
    told("learning 1,000 secrets, ms", began.elapsed().as_secs_f64() * 1e3)?;
    let (lines, noise) = (log_lines(&mut chance, &secrets), noise(&mut chance));
    assert!(mask.finds_in(lines.as_bytes()) && !mask.finds_in(noise.as_bytes()));
    let per_second =
        |text: &str, work: &dyn Fn()| Ok::<_, Failed>(text.len() as f64 / fastest(work)?.as_secs_f64());
    told("hiding in log lines, bytes a second", per_second(&lines, &|| drop(mask.mask(&lines)))?)?;
    told("hiding in base64 noise, bytes a second", per_second(&noise, &|| drop(mask.mask(&noise)))?)?;
    let search = || assert!(!mask.finds_in(noise.as_bytes()));
    told("searching base64 noise, bytes a second", per_second(&noise, &search)?)
}

fn word(chance: &mut ChaCha8Rng, letters: usize) -> String {
    (0..letters).map(|_| char::from(chance.sample(rand::distr::Alphanumeric))).collect()
}

/// What a service writes: words, numbers, and in every fiftieth line a secret.
fn log_lines(chance: &mut ChaCha8Rng, secrets: &[String]) -> String {
    let mut text = String::with_capacity(TEXT_BYTES + 256);
    for line in 0.. {
        if text.len() >= TEXT_BYTES {
            break;
        }
        let shown = if line % 50 == 0 { secrets[line % secrets.len()].as_str() } else { "none" };
        let (place, took) = (chance.random_range(100..999), chance.random_range(1..9_999));
        text.push_str(&format!(
            "2026-11-26T02:17:{:02}Z file=server/grpc.go:{place} level=info service=store request served in {took} us \
             for namespace {} with token {shown}\n",
            line % 60,
            word(chance, 12)
        ));
    }
    text
}

fn noise(chance: &mut ChaCha8Rng) -> String {
    let bytes: Vec<u8> = (0..TEXT_BYTES / 4 * 3).map(|_| chance.random()).collect();
    BASE64_STANDARD.encode(bytes)
}

/// The least time on a processor, of several times: a busy machine makes it no longer.
fn fastest(work: &dyn Fn()) -> Result<Duration, Failed> {
    let once = |_| {
        let began = on_processor()?;
        work();
        Ok(on_processor()? - began)
    };
    let times: Result<Vec<Duration>, Failed> = (0..REPEATS).map(once).collect();
    Ok(times?.into_iter().min().unwrap_or_default())
}

/// For how long this thread has been on a processor so far, as Linux counts it.
fn on_processor() -> Result<Duration, Failed> {
    let told = muster::files::read_text(Path::new("/proc/thread-self/schedstat"))?;
    Ok(Duration::from_nanos(told.split(' ').next().unwrap_or_default().parse()?))
}

/// A change written down durably, beside what the disk itself needs for as many bytes: in turn, so that a busy disk is as
/// busy for both.
fn journal(folder: &Path) -> Result<(), Failed> {
    let journal = Journal::open(&folder.join("journal"))?;
    journal.begin("run", "bench", "http://127.0.0.1:9")?;
    let mut bare = std::fs::OpenOptions::new().create(true).append(true).open(folder.join("bare"))?;
    let (mut ours, mut disk) = (vec![], vec![]);
    for _ in 0..CHANGES {
        let began = Instant::now();
        journal.changing(change())?;
        ours.push(began.elapsed());
        let began = Instant::now();
        bare.write_all(&[b'x'; 128])?;
        bare.sync_data()?;
        disk.push(began.elapsed());
    }
    told("a change written down, us", median(ours).as_secs_f64() * 1e6)?;
    told("128 bytes and fdatasync, us", median(disk).as_secs_f64() * 1e6)
}

fn change() -> Change {
    let (case, operation) = ("a-case-that-writes".into(), "store.write".into());
    Change { number: 0, case, operation, undo: None, key: None }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn told(name: &str, number: f64) -> Result<(), Failed> {
    Ok(writeln!(std::io::stdout(), "{name}\t{number:.1}")?)
}
