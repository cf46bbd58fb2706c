//! Following a run while it goes on: a progress bar where someone watches, else lines and a heartbeat.

use super::terminal::harmless_line;
use super::worst;
use crate::outcome::{CaseEnd, Event, Record, RunStart, Verdict};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Without a terminal, a line this often says that the run is alive: CI kills what is silent.
const HEARTBEAT: Duration = Duration::from_secs(60);

type Tell = Arc<dyn Fn(&str) + Send + Sync>;

/// Follows a run, one event after the other.
pub struct Console {
    bar: ProgressBar,
    tell: Tell,
    heartbeat: Option<Heartbeat>,
    done: usize,
    start: Option<Box<RunStart>>,
}

impl Console {
    /// A console that writes lines with `tell`; `is_watched` says whether a person looks on.
    pub fn new(is_watched: bool, tell: impl Fn(&str) + Send + Sync + 'static) -> Self {
        let tell: Tell = Arc::new(tell);
        let target = if is_watched { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        let heartbeat = (!is_watched).then(|| Heartbeat::start(HEARTBEAT, tell.clone()));
        Self { bar, tell, heartbeat, done: 0, start: None }
    }

    /// Takes one event.
    pub fn take(&mut self, record: &Record) {
        match &record.event {
            Event::RunStarted(start) => {
                self.bar.set_length(start.cases.len() as u64);
                let (run, target, seed) = (&start.run, &start.target, start.seed);
                self.line(&format!("run {run} on {target} with seed {seed}: {} cases", start.cases.len()));
                self.start = Some(start.clone());
            }
            Event::CaseStarted { case } => self.started(case),
            Event::CaseEnded(end) => self.ended(end),
            Event::Leftover { case, what, why } => {
                self.line(&format!("LEFT BEHIND by {case}: {what}: {why}"))
            }
            Event::Applied { ending, why } => self.line(&format!("{}: {why}", ending.word())),
            Event::LedElsewhere { .. }
            | Event::StepEnded(_)
            | Event::Recovered(_)
            | Event::Residue { .. }
            | Event::RunEnded(_) => {}
        }
    }

    /// Clears the progress and ends the heartbeat.
    pub fn finish(&mut self) {
        self.bar.finish_and_clear();
        if let Some(heartbeat) = self.heartbeat.take() {
            heartbeat.stop();
        }
    }

    fn started(&self, case: &str) {
        self.bar.set_message(case.to_owned());
        if let Some(heartbeat) = &self.heartbeat {
            let planned = self.start.as_ref().map_or(0, |start| start.cases.len());
            heartbeat.pulse().now = Now::At { done: self.done, planned, begun: case.to_owned() };
        }
    }

    fn ended(&mut self, end: &CaseEnd) {
        self.done += 1;
        self.bar.inc(1);
        if end.verdict >= Verdict::Inconclusive {
            let why = worst(&end.failures).map(|failure| failure.message.to_string()).unwrap_or_default();
            let known = self.start.as_ref().and_then(|start| start.forgives(end));
            let word = if known.is_some() { "known" } else { end.verdict.word() };
            self.line(&format!("{word} {}: {why}", end.case));
        }
    }

    fn line(&self, text: &str) {
        self.bar.suspend(|| (self.tell)(&format!("{}\n", harmless_line(text))));
        if let Some(heartbeat) = &self.heartbeat {
            heartbeat.pulse().told_at = Instant::now();
        }
    }
}

/// How far a run is.
#[derive(Debug)]
enum Now {
    Begins,
    At { done: usize, planned: usize, begun: String },
}

impl std::fmt::Display for Now {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Begins => f.write_str("the run begins"),
            Self::At { done, planned, begun } => {
                write!(f, "{done} of {planned} cases so far, last begun: {begun}")
            }
        }
    }
}

/// What the heartbeat looks at when it is due. It is only written to as things happen: waking a thread for each event
/// would cost more than the event.
#[derive(Debug)]
struct Pulse {
    now: Now,
    /// When a line was last told: the next beat is a whole interval away.
    told_at: Instant,
}

/// A thread that tells how far the run is when nothing else was told for a while.
struct Heartbeat {
    pulse: Arc<Mutex<Pulse>>,
    /// Dropped to end the thread.
    living: Sender<()>,
    thread: JoinHandle<()>,
}

impl Heartbeat {
    fn start(every: Duration, tell: Tell) -> Self {
        let (living, ends) = mpsc::channel();
        let pulse = Arc::new(Mutex::new(Pulse { now: Now::Begins, told_at: Instant::now() }));
        let seen = pulse.clone();
        let thread = std::thread::spawn(move || beats(&ends, &seen, every, &*tell));
        Self { pulse, living, thread }
    }

    fn pulse(&self) -> MutexGuard<'_, Pulse> {
        self.pulse.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stop(self) {
        drop(self.living);
        self.thread.join().ok();
    }
}

/// Until its other end is gone.
fn beats(ends: &Receiver<()>, pulse: &Mutex<Pulse>, every: Duration, tell: &(dyn Fn(&str) + Send + Sync)) {
    let mut wait = every;
    while let Err(RecvTimeoutError::Timeout) = ends.recv_timeout(wait) {
        let mut pulse = pulse.lock().unwrap_or_else(PoisonError::into_inner);
        let silent = pulse.told_at.elapsed();
        if silent >= every {
            tell(&format!("{}\n", pulse.now));
            pulse.told_at = Instant::now();
        }
        wait = every.saturating_sub(pulse.told_at.elapsed()).max(Duration::from_millis(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::read_record;

    const RUN: &str = include_str!("../../fixtures/reports/every-verdict.jsonl");
    /// Hang guard.
    const GUARD: Duration = Duration::from_secs(60);

    #[test]
    fn only_what_is_not_good_has_a_line() {
        let (told, lines) = mpsc::channel();
        let mut console = Console::new(false, move |line| drop(told.send(line.to_owned())));
        read_record(RUN).unwrap().iter().for_each(|record| console.take(record));
        console.finish();
        drop(console);
        let lines: Vec<String> = lines.iter().collect();
        insta::with_settings!({ snapshot_path => "../../fixtures/reports", prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!("console-lines", lines.concat().trim_end());
        });
    }

    #[test]
    fn a_silent_run_has_a_heartbeat_that_ends_with_it() {
        let (told, lines) = mpsc::channel();
        let heartbeat = Heartbeat::start(
            Duration::from_millis(1),
            Arc::new(move |line: &str| drop(told.send(line.to_owned()))),
        );
        heartbeat.pulse().now = Now::At { done: 3, planned: 7, begun: "a".into() };
        while lines.recv_timeout(GUARD).unwrap() != "3 of 7 cases so far, last begun: a\n" {}
        heartbeat.stop();
        assert!(
            lines.iter().all(|line| line == "3 of 7 cases so far, last begun: a\n"),
            "the channel closes with the thread"
        );
    }
}
