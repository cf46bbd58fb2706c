//! How exactly outages are found: a proxy that lets nobody through by a schedule of its own, and a probe that is not told.
//!
//! ```text
//! outages schedule          eight outages of 50 ms to 10 s: each must be found, at most one beat off at each edge
//! outages steady SECONDS    no outage at all: none may be found
//! outages beat SECONDS      how late 200 requests a second start
//! ```
//!
//! Ends in 1 if something is not as it must be; a late start on a busy machine is printed, and judged by nobody.

use muster::client::{Connection, Http, Request};
use muster::judge::recovery::{Observation, Outage, Reader, observe};
use muster::judge::sample::{Reading, Sample};
use muster::probe::{self, Plan, Probe};
use std::convert::Infallible;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

type Failed = Box<dyn std::error::Error>;

/// The outages, in milliseconds, shortest first.
const OUTAGES_MS: [u64; 8] = [50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000];
const BETWEEN: Duration = Duration::from_secs(1);
const BEAT: Duration = Duration::from_millis(20);
const FAST_BEAT: Duration = Duration::from_millis(5);

fn main() -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    #[expect(clippy::disallowed_methods, reason = "an example has no other door for its arguments")]
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["schedule"] => runtime.block_on(schedule()),
        ["steady", seconds] => runtime.block_on(steady(Duration::from_secs(seconds.parse()?))),
        ["beat", seconds] => runtime.block_on(beat(Duration::from_secs(seconds.parse()?))),
        _ => Err("usage: outages schedule | outages steady SECONDS | outages beat SECONDS".into()),
    }
}

/// When the proxy shut and opened.
struct Real {
    from: Instant,
    until: Instant,
}

async fn schedule() -> Result<(), Failed> {
    let (address, shut) = proxy()?;
    let probe = probe_of(address, BEAT)?;
    let mut real = vec![];
    for outage in OUTAGES_MS.map(Duration::from_millis) {
        tokio::time::sleep(BETWEEN).await;
        let from = Instant::now();
        shut.send(true)?;
        tokio::time::sleep(outage).await;
        let until = Instant::now();
        shut.send(false)?;
        real.push(Real { from, until });
    }
    tokio::time::sleep(BETWEEN).await;
    let zero = probe.zero();
    let (samples, seen) = observed(probe, BEAT).await;
    tell(&format!("{} outages made, {} found", real.len(), seen.outages.len()))?;
    let is_well = seen.outages.len() == real.len()
        && real
            .iter()
            .zip(&seen.outages)
            .map(|(real, found)| compared(real, found, zero))
            .collect::<Result<Vec<_>, _>>()?
            .iter()
            .all(|it| *it);
    tell(&lateness(&samples))?;
    if is_well { Ok(()) } else { Err("an outage was missed, made up, or dated more than a beat off".into()) }
}

/// Whether an outage is dated right: not before it, and at most a beat after it, at both edges.
fn compared(real: &Real, found: &Outage, zero: Instant) -> Result<bool, Failed> {
    let (from, until) = (real.from - zero, real.until - zero);
    let end = found.until.ok_or("an outage has no end")?;
    let late = |found: Duration, real: Duration| found.as_secs_f64() * 1e3 - real.as_secs_f64() * 1e3;
    let (start_late, end_late) = (late(found.from.at, from), late(end.at, until));
    let is_right =
        [start_late, end_late].iter().all(|late| (-1.0..=BEAT.as_secs_f64() * 1e3 + 5.0).contains(late));
    tell(&format!(
        "made {:>8.1} ms, found {:>8.1} ms, start {start_late:+.1} ms, end {end_late:+.1} ms{}",
        (until - from).as_secs_f64() * 1e3,
        found.length().as_secs_f64() * 1e3,
        if is_right { "" } else { "  WRONG" }
    ))?;
    Ok(is_right)
}

async fn steady(time: Duration) -> Result<(), Failed> {
    let (address, _shut) = proxy()?;
    let probe = probe_of(address, BEAT)?;
    tokio::time::sleep(time).await;
    let (samples, seen) = observed(probe, BEAT).await;
    tell(&format!("{} requests in {time:?}, {} outages found", seen.samples, seen.outages.len()))?;
    tell(&lateness(&samples))?;
    if seen.outages.is_empty() { Ok(()) } else { Err("an outage was found where none was".into()) }
}

async fn beat(time: Duration) -> Result<(), Failed> {
    let (address, _shut) = proxy()?;
    let probe = probe_of(address, FAST_BEAT)?;
    tokio::time::sleep(time).await;
    let (samples, _) = observed(probe, FAST_BEAT).await;
    tell(&format!("{} requests, one each {FAST_BEAT:?}", samples.len()))?;
    tell(&lateness(&samples))
}

async fn observed(probe: Probe, every: Duration) -> (Vec<Sample>, Observation) {
    let samples = probe.stop().await;
    let until = samples.last().map_or(Duration::ZERO, |sample| sample.due);
    let reader = Reader { every, late_by: every, stable_for: every * 3 };
    let seen = observe(&samples, Duration::ZERO, until, &reader);
    (samples, seen)
}

fn lateness(samples: &[Sample]) -> String {
    let mut late: Vec<u64> = samples.iter().map(|sample| sample.started_late_us).collect();
    late.sort_unstable();
    let at = |share: usize| late.get(late.len() * share / 1000).copied().unwrap_or_default();
    let worst = late.last().copied().unwrap_or_default();
    format!("requests started late by {} us (median), {} us (p99), {worst} us (worst)", at(500), at(990))
}

/// A probe as a disruption has one: new and reused connections in turn.
fn probe_of(address: SocketAddr, every: Duration) -> Result<Probe, Failed> {
    let http = Http::new(&format!("http://{address}"))?;
    let within = Duration::from_secs(5);
    let plan = Plan { name: "outages".into(), every, answer_within: within, in_flight_limit: 64 };
    Ok(probe::start(plan, move |turn| {
        let http = http.clone();
        async move {
            let connection = match turn.connection {
                probe::Connection::New => Connection::New,
                probe::Connection::Reused => Connection::Reused,
            };
            let request = Request { method: "GET".into(), path: "/".into(), ..Request::default() };
            match http.send(&request, connection, within).await {
                Ok(answer) if answer.status == 200 => Reading::Served,
                Ok(answer) => Reading::Failed(format!("status {}", answer.status).into()),
                Err(error) => Reading::Failed(error.kind().into()),
            }
        }
    })?)
}

/// A server and a proxy before it, on a thread of their own. While it is shut, connections are cut and new ones closed.
fn proxy() -> Result<(SocketAddr, watch::Sender<bool>), Failed> {
    let (shut, is_shut) = watch::channel(false);
    let (told, address) = mpsc::channel();
    std::thread::spawn(move || -> Result<(), std::io::Error> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let (server, proxy) =
                (TcpListener::bind("127.0.0.1:0").await?, TcpListener::bind("127.0.0.1:0").await?);
            let behind = server.local_addr()?;
            // The caller waits for it.
            told.send(proxy.local_addr()?).ok();
            tokio::spawn(serve(server));
            pass(proxy, behind, is_shut).await
        })
    });
    Ok((address.recv()?, shut))
}

async fn pass(
    listener: TcpListener,
    behind: SocketAddr,
    is_shut: watch::Receiver<bool>,
) -> std::io::Result<()> {
    loop {
        let (mut caller, _) = listener.accept().await?;
        let mut is_shut = is_shut.clone();
        if *is_shut.borrow_and_update() {
            continue;
        }
        tokio::spawn(async move {
            let Ok(mut server) = TcpStream::connect(behind).await else { return };
            tokio::select! {
                _ = tokio::io::copy_bidirectional(&mut caller, &mut server) => {}
                _ = is_shut.changed() => {}
            }
        });
    }
}

async fn serve(listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        let answer = |_| async {
            Ok::<_, Infallible>(http::Response::new(http_body_util::Full::new(bytes::Bytes::from("ok"))))
        };
        let service = hyper::service::service_fn(answer);
        tokio::spawn(
            hyper::server::conn::http1::Builder::new()
                .serve_connection(hyper_util::rt::TokioIo::new(stream), service),
        );
    }
}

fn tell(line: &str) -> Result<(), Failed> {
    writeln!(std::io::stdout(), "{line}").map_err(Into::into)
}
