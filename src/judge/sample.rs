//! Samples: single readings of whether something is served, and how far muster itself kept its beat.
//!
//! Lives here: the record of one reading, the measure of our own lateness. Does not: taking samples (`probe`), what
//! they say (`steady`, `recovery`). All times count from the probe's zero, by the monotonic clock.

use std::borrow::Cow;
use std::time::Duration;

/// One reading of a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// When it was meant to start: every sample is dated by this.
    pub due: Duration,
    /// How much later it did start, in microseconds: muster's own fault, not the target's.
    pub started_late_us: u64,
    /// When its answer was there, or its failure certain. Not before `due`.
    pub ended: Duration,
    /// What was seen.
    pub reading: Reading,
}

/// What one sample saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// An answer as it should be.
    Served,
    /// No answer, or a wrong one: the kind of failure, short, such as `refused` or `status 500`.
    Failed(Cow<'static, str>),
    /// Nothing that says whether it is served, such as a 401 or a request that muster did not send: the reason.
    Unjudged(Cow<'static, str>),
}

impl Sample {
    /// Whether it failed.
    pub fn is_failed(&self) -> bool {
        matches!(self.reading, Reading::Failed(_))
    }

    /// Whether it was served.
    pub fn is_served(&self) -> bool {
        self.reading == Reading::Served
    }

    /// Whether it could not be judged.
    pub fn is_unjudged(&self) -> bool {
        matches!(self.reading, Reading::Unjudged(_))
    }

    /// How much later than meant it started.
    pub fn late_by(&self) -> Duration {
        Duration::from_micros(self.started_late_us)
    }
}

/// How well muster kept its beat for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Its start, inclusive.
    pub from: Duration,
    /// Its end, exclusive.
    pub until: Duration,
    /// How many samples were due in it.
    pub samples: usize,
    /// The lateness that 99 of 100 samples did not pass, in microseconds.
    pub late_p99_us: u64,
    /// The worst lateness, in microseconds.
    pub late_worst_us: u64,
    /// Whether the worst lateness passed what was allowed: outages in it cannot be told from our own.
    pub is_bad: bool,
}

/// Muster's lateness in windows of `width`, counted from zero; windows without samples are left out. `samples` are in
/// the order of their due times. A window whose worst lateness is above `late_by` is bad.
pub fn jitter(samples: &[Sample], width: Duration, late_by: Duration) -> Vec<Window> {
    let width_us = width.as_micros().max(1);
    let number = |sample: &Sample| sample.due.as_micros() / width_us;
    samples
        .chunk_by(|one, next| number(one) == number(next))
        .filter_map(|chunk| chunk.first().map(|first| window(chunk, number(first), width, late_by)))
        .collect()
}

fn window(chunk: &[Sample], number: u128, width: Duration, late_by: Duration) -> Window {
    let mut late: Vec<u64> = chunk.iter().map(|sample| sample.started_late_us).collect();
    late.sort_unstable();
    let worst = late.last().copied().unwrap_or_default();
    let from = width.saturating_mul(u32::try_from(number).unwrap_or(u32::MAX));
    Window {
        from,
        until: from + width,
        samples: chunk.len(),
        late_p99_us: late.get((late.len() * 99).div_ceil(100).saturating_sub(1)).copied().unwrap_or(worst),
        late_worst_us: worst,
        is_bad: Duration::from_micros(worst) > late_by,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(due_ms: u64, started_late_us: u64) -> Sample {
        let due = Duration::from_millis(due_ms);
        Sample { due, started_late_us, ended: due, reading: Reading::Served }
    }

    #[test]
    fn a_late_start_spoils_its_own_window_only() {
        let samples =
            [sample(0, 100), sample(50, 200), sample(100, 9_000), sample(150, 100), sample(310, 50)];
        let windows = jitter(&samples, Duration::from_millis(100), Duration::from_millis(4));
        assert_eq!(windows.iter().map(|window| window.is_bad).collect::<Vec<_>>(), [false, true, false]);
        assert_eq!(windows[1].late_worst_us, 9_000);
        assert_eq!((windows[2].from, windows[2].samples), (Duration::from_millis(300), 1));
    }

    #[test]
    fn the_99th_of_a_hundred_is_not_the_worst() {
        let mut samples: Vec<Sample> = (0..99).map(|at| sample(at, 10)).collect();
        samples.push(sample(99, 5_000));
        let windows = jitter(&samples, Duration::from_secs(1), Duration::from_millis(1));
        assert_eq!((windows[0].late_p99_us, windows[0].late_worst_us), (10, 5_000));
    }
}
