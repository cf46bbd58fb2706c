//! Following a run while it goes on: a progress bar where someone watches, else lines and a heartbeat.

use super::terminal::harmless_line;
use super::worst;
use crate::outcome::{CaseEnd, Event, Record, RunStart, Verdict};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
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
            Event::StepEnded(_) | Event::Recovered(_) | Event::Residue { .. } | Event::RunEnded(_) => {}
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
        let planned = self.start.as_ref().map_or(0, |start| start.cases.len());
        self.beat(Pulse::Now(format!("{} of {planned} cases so far, last begun: {case}", self.done)));
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
        self.beat(Pulse::Told);
    }

    fn beat(&self, pulse: Pulse) {
        if let Some(heartbeat) = &self.heartbeat {
            heartbeat.pulses.send(pulse).ok();
        }
    }
}

/// What the heartbeat hears.
enum Pulse {
    /// A line was told: the next beat is a whole interval away.
    Told,
    /// This is how far the run is.
    Now(String),
}

/// A thread that tells how far the run is when nothing else was told for a while.
struct Heartbeat {
    pulses: Sender<Pulse>,
    thread: JoinHandle<()>,
}

impl Heartbeat {
    fn start(every: Duration, tell: Tell) -> Self {
        let (pulses, hears) = mpsc::channel();
        let thread = std::thread::spawn(move || beats(&hears, every, &*tell));
        Self { pulses, thread }
    }

    fn stop(self) {
        drop(self.pulses);
        self.thread.join().ok();
    }
}

/// Until its sender is gone.
fn beats(hears: &Receiver<Pulse>, every: Duration, tell: &(dyn Fn(&str) + Send + Sync)) {
    let (mut now, mut due) = ("the run begins".to_owned(), Instant::now() + every);
    loop {
        match hears.recv_timeout(due.saturating_duration_since(Instant::now())) {
            Ok(Pulse::Now(said)) => now = said,
            Ok(Pulse::Told) => due = Instant::now() + every,
            Err(RecvTimeoutError::Timeout) => {
                tell(&format!("{now}\n"));
                due = Instant::now() + every;
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
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
        heartbeat.pulses.send(Pulse::Now("3 of 7 cases so far".into())).unwrap();
        while lines.recv_timeout(GUARD).unwrap() != "3 of 7 cases so far\n" {}
        heartbeat.stop();
        assert!(
            lines.iter().all(|line| line == "3 of 7 cases so far\n"),
            "the channel closes with the thread"
        );
    }
}
