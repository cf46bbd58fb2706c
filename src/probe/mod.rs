//! Probes: is it served, and since when. A request starts on its beat whether or not the last one was answered.
//!
//! Lives here: the beat, the requests in flight, the samples. Does not: what is asked (the caller's `send`), nor what
//! the samples say (`judge`). The beat comes from a thread that only sleeps, and the requests run on a second thread
//! with a runtime of its own: tokio's timers start 1.6 ms late even when idle, and the caller's runtime may be busy.

use crate::judge::sample::{Reading, Sample};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// A beat that comes more than this many beats late is not made up for: a burst would tell nothing about its time.
const MISSED_AFTER_BEATS: u32 = 4;
/// Up to here every beat is made up for, however short: a busy machine must not look like a platform that was not asked.
const MISSED_AT_LEAST: Duration = Duration::from_millis(100);

/// How a probe asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Its name, for threads and reports.
    pub name: String,
    /// The beat.
    pub every: Duration,
    /// A request that is not answered within this time has failed.
    pub answer_within: Duration,
    /// How many requests may be in flight; a beat beyond that is marked as unjudged, not sent.
    pub in_flight_limit: usize,
}

/// What one request is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// The beat's number, from 0.
    pub number: u64,
    /// Which connection it shall use, in turn.
    pub connection: Connection,
}

/// Which connection a request shall use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connection {
    /// One of its own.
    New,
    /// One that earlier requests have used, if there is any.
    Reused,
}

/// A running probe. Dropping it ends it and what is in flight.
pub struct Probe {
    zero: Instant,
    every: Duration,
    taken: Taken,
    stop: oneshot::Sender<()>,
    ended: oneshot::Receiver<()>,
}

/// The samples by beat number; none where a request is in flight.
type Taken = Arc<Mutex<Vec<Option<Sample>>>>;

/// Starts a probe. `send` is called on the probe's own thread and runtime, so clients that keep connections open should
/// be the probe's own.
///
/// # Errors
/// The system has no thread, or no event queue, to give.
pub fn start<S, F>(plan: Plan, send: S) -> io::Result<Probe>
where
    S: Fn(Turn) -> F + Send + 'static,
    F: Future<Output = Reading> + Send + 'static,
{
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let zero = Instant::now();
    let taken = Taken::default();
    let (beats, due) = mpsc::unbounded_channel();
    let (stop, stopped) = oneshot::channel();
    let (end, ended) = oneshot::channel();
    let name = plan.name.clone();
    let every = plan.every;
    let asking = Asking { plan, zero, taken: taken.clone(), send, in_flight: JoinSet::new() };
    thread::Builder::new().name(format!("probe {name}")).spawn(move || {
        run(&runtime, asking, due, stopped);
        // A caller that dropped the probe does not wait for its end.
        end.send(()).ok();
    })?;
    thread::Builder::new().name(format!("beat {name}")).spawn(move || beat(zero, every, &beats))?;
    Ok(Probe { zero, every, taken, stop, ended })
}

impl Probe {
    /// The instant from which the times of its samples count; the first sample is due at it.
    pub fn zero(&self) -> Instant {
        self.zero
    }

    /// The samples so far, in the order of their due times, up to the first request that is still in flight: what comes
    /// after that one cannot be judged yet.
    pub fn so_far(&self) -> Vec<Sample> {
        locked(&self.taken).iter().map_while(Clone::clone).collect()
    }

    /// When the last of those samples was due; none if there is none.
    pub fn known_until(&self) -> Option<Duration> {
        locked(&self.taken).iter().map_while(Option::as_ref).last().map(|sample| sample.due)
    }

    /// Stops the beat, waits for the requests in flight (each has its limit), and returns every sample. If this future
    /// is dropped the requests in flight are still awaited, on the probe's own thread, and nobody sees them.
    pub async fn stop(self) -> Vec<Sample> {
        self.stop.send(()).ok();
        self.ended.await.ok();
        let due = |number: usize| self.every * u32::try_from(number).unwrap_or(u32::MAX);
        let samples = locked(&self.taken);
        let whole = samples.iter().enumerate();
        whole.map(|(number, sample)| sample.clone().unwrap_or_else(|| lost(due(number)))).collect()
    }
}

/// The sample of a request that ended without one: its `send` panicked.
fn lost(due: Duration) -> Sample {
    let reading = Reading::Unjudged("the probe itself failed".into());
    Sample { due, started_late_us: 0, ended: due, reading }
}

fn locked(taken: &Taken) -> MutexGuard<'_, Vec<Option<Sample>>> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The clock of a beat: sleeps, and says that it is time, until nobody listens.
#[expect(clippy::disallowed_methods, reason = "this is the one thread that only sleeps")]
fn beat(zero: Instant, every: Duration, beats: &mpsc::UnboundedSender<Instant>) {
    let mut due = zero;
    loop {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if beats.send(due).is_err() {
            return;
        }
        due += every;
    }
}

fn run<S, F>(
    runtime: &Runtime,
    asking: Asking<S>,
    due: mpsc::UnboundedReceiver<Instant>,
    stopped: oneshot::Receiver<()>,
) where
    S: Fn(Turn) -> F,
    F: Future<Output = Reading> + Send + 'static,
{
    runtime.block_on(asking.ask_on_each(due, stopped));
}

struct Asking<S> {
    plan: Plan,
    zero: Instant,
    taken: Taken,
    send: S,
    in_flight: JoinSet<()>,
}

impl<S, F> Asking<S>
where
    S: Fn(Turn) -> F,
    F: Future<Output = Reading> + Send + 'static,
{
    async fn ask_on_each(
        mut self,
        mut beats: mpsc::UnboundedReceiver<Instant>,
        mut stopped: oneshot::Receiver<()>,
    ) {
        let is_dropped = loop {
            tokio::select! {
                biased;
                stopped = &mut stopped => break stopped.is_err(),
                Some(due) = beats.recv() => self.take_turn(due),
                Some(_) = self.in_flight.join_next() => {}
            }
        };
        drop(beats);
        if !is_dropped {
            while self.in_flight.join_next().await.is_some() {}
        }
    }

    fn take_turn(&mut self, due: Instant) {
        let started = Instant::now();
        let late = started.saturating_duration_since(due);
        let due = due.saturating_duration_since(self.zero);
        let number = self.reserve();
        if late > (self.plan.every * MISSED_AFTER_BEATS).max(MISSED_AT_LEAST) {
            return self.skip(number, due, late, "muster itself was late");
        }
        if self.in_flight.len() >= self.plan.in_flight_limit {
            return self.skip(number, due, late, "too many requests in flight");
        }
        self.ask(number, due, late);
    }

    fn reserve(&self) -> usize {
        let mut taken = locked(&self.taken);
        taken.push(None);
        taken.len() - 1
    }

    fn skip(&self, number: usize, due: Duration, late: Duration, why: &'static str) {
        let reading = Reading::Unjudged(why.into());
        let ended = self.zero.elapsed();
        keep(&self.taken, number, Sample { due, started_late_us: microseconds(late), ended, reading });
    }

    fn ask(&mut self, number: usize, due: Duration, late: Duration) {
        let connection = if number.is_multiple_of(2) { Connection::New } else { Connection::Reused };
        let answer = (self.send)(Turn { number: number as u64, connection });
        let (taken, zero, within) = (self.taken.clone(), self.zero, self.plan.answer_within);
        self.in_flight.spawn(async move {
            let reading = timeout(within, answer).await;
            let reading = reading.unwrap_or_else(|_| Reading::Failed("no answer".into()));
            let ended = zero.elapsed();
            keep(&taken, number, Sample { due, started_late_us: microseconds(late), ended, reading });
        });
    }
}

fn keep(taken: &Taken, number: usize, sample: Sample) {
    if let Some(place) = locked(taken).get_mut(number) {
        *place = Some(sample);
    }
}

fn microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    /// Hang guard: far more than any of these tests takes.
    const GUARD: Duration = Duration::from_secs(60);

    fn plan() -> Plan {
        Plan {
            name: "store".to_owned(),
            every: Duration::from_millis(2),
            answer_within: Duration::from_secs(10),
            in_flight_limit: 1_000,
        }
    }

    async fn until(probe: &Probe, is_enough: impl Fn(&[Sample]) -> bool) {
        let waiting = async {
            while !is_enough(&probe.so_far()) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(GUARD, waiting).await.expect("the hang guard");
    }

    async fn served_once(is_free: bool, release: Arc<AtomicBool>) -> Reading {
        while !is_free && !release.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Reading::Served
    }

    fn reading(is_down: bool) -> Reading {
        if is_down { Reading::Failed("refused".into()) } else { Reading::Served }
    }

    #[tokio::test]
    async fn samples_are_dated_by_the_beat_and_take_connections_in_turn() {
        let turns = Arc::new(Mutex::new(Vec::new()));
        let seen = turns.clone();
        let probe = start(plan(), move |turn: Turn| {
            seen.lock().unwrap().push(turn);
            async { Reading::Served }
        })
        .unwrap();
        until(&probe, |samples| samples.len() >= 20).await;
        let samples = probe.stop().await;
        for (number, sample) in samples.iter().enumerate() {
            assert_eq!(sample.due, Duration::from_millis(2) * u32::try_from(number).unwrap());
            assert!(sample.ended >= sample.due);
        }
        let turns = turns.lock().unwrap();
        assert!(
            turns
                .windows(2)
                .all(|pair| pair[0].connection != pair[1].connection || pair[1].number > pair[0].number + 1)
        );
    }

    #[tokio::test]
    async fn an_unanswered_request_does_not_keep_the_next_from_starting() {
        let release = Arc::new(AtomicBool::new(false));
        let started = Arc::new(Mutex::new(0));
        let (wait, count) = (release.clone(), started.clone());
        let probe = start(plan(), move |turn: Turn| {
            *count.lock().unwrap() += 1;
            let wait = wait.clone();
            async move { served_once(turn.number != 0, wait).await }
        })
        .unwrap();
        let many = async {
            while *started.lock().unwrap() < 20 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(GUARD, many).await.expect("the hang guard");
        assert!(probe.so_far().is_empty(), "what follows a request in flight cannot be judged yet");
        release.store(true, Ordering::Relaxed);
        assert!(probe.stop().await.len() >= 20);
    }

    #[tokio::test]
    async fn what_is_not_answered_fails_and_what_is_not_sent_is_marked() {
        let plan = Plan { in_flight_limit: 3, answer_within: Duration::from_millis(30), ..plan() };
        let probe = start(plan, |_| std::future::pending()).unwrap();
        until(&probe, |samples| samples.len() >= 10).await;
        let samples = probe.stop().await;
        assert!(samples.iter().any(|sample| sample.reading == Reading::Failed("no answer".into())));
        let marked = Reading::Unjudged("too many requests in flight".into());
        assert!(samples.iter().any(|sample| sample.reading == marked));
        assert!(samples.iter().all(|sample| !sample.is_served()));
    }

    #[tokio::test]
    async fn a_request_that_panics_is_unjudged_and_the_beat_goes_on() {
        let reached = Arc::new(AtomicBool::new(false));
        let seen = reached.clone();
        let probe = start(plan(), move |turn: Turn| {
            seen.fetch_or(turn.number > 5, Ordering::Relaxed);
            async move {
                assert!(turn.number != 2, "as the test wants it");
                Reading::Served
            }
        })
        .unwrap();
        let going_on = async {
            while !reached.load(Ordering::Relaxed) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(GUARD, going_on).await.expect("the hang guard");
        let samples = probe.stop().await;
        let unjudged: Vec<usize> =
            (0..samples.len()).filter(|at| samples[*at].reading == lost(GUARD).reading).collect();
        assert_eq!(unjudged, [2]);
    }

    #[tokio::test]
    async fn a_dropped_probe_sends_nothing_more() {
        let held = Arc::new(());
        let kept = held.clone();
        let probe = start(plan(), move |_| {
            let kept = kept.clone();
            async move {
                std::future::pending::<()>().await;
                drop(kept);
                Reading::Served
            }
        })
        .unwrap();
        drop(probe);
        let gone = async {
            while Arc::strong_count(&held) > 1 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(GUARD, gone).await.expect("the hang guard: the threads end and let go of what they hold");
    }

    #[tokio::test]
    async fn a_real_outage_is_seen() {
        let is_down = Arc::new(AtomicBool::new(false));
        let state = is_down.clone();
        let probe = start(plan(), move |_| {
            let is_down = state.load(Ordering::Relaxed);
            async move { reading(is_down) }
        })
        .unwrap();
        until(&probe, |samples| samples.len() >= 5).await;
        is_down.store(true, Ordering::Relaxed);
        until(&probe, |samples| samples.iter().filter(|sample| sample.is_failed()).count() >= 5).await;
        is_down.store(false, Ordering::Relaxed);
        let is_back =
            |samples: &[Sample]| samples.iter().rev().take_while(|sample| sample.is_served()).count() >= 20;
        until(&probe, is_back).await;
        let samples = probe.stop().await;
        let end = samples.last().unwrap().due;
        let reader = crate::judge::recovery::Reader {
            every: Duration::from_millis(2),
            late_by: Duration::from_secs(1),
            stable_for: Duration::from_millis(10),
        };
        let seen = crate::judge::recovery::observe(&samples, Duration::ZERO, end, &reader);
        assert_eq!(seen.outages.len(), 1, "{:?}", seen.outages);
        assert!(seen.served_since.is_some());
    }
}
