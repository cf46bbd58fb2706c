//! The fake's own clock.
//!
//! Lives here: the time of the fakes, which can be moved. Does not: what waits for it.

use std::time::Instant;

/// Start + what has really passed + what it was moved by.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    start_ms: i64,
    since: Instant,
    moved_ms: i64,
}

impl Clock {
    /// A clock that shows `start` now.
    pub(crate) fn new(start: jiff::Timestamp) -> Self {
        Self { start_ms: start.as_millisecond(), since: Instant::now(), moved_ms: 0 }
    }

    /// Milliseconds since the Unix epoch.
    pub(crate) fn now_ms(&self) -> i64 {
        let passed = self.since.elapsed().as_millis();
        let passed = i64::try_from(passed).unwrap_or(i64::MAX);
        self.start_ms.saturating_add(passed).saturating_add(self.moved_ms)
    }

    /// Seconds since the Unix epoch.
    pub(crate) fn now_s(&self) -> i64 {
        self.now_ms().div_euclid(1000)
    }

    /// `2026-11-25T08:18:43Z`.
    pub(crate) fn now_text(&self) -> String {
        jiff::Timestamp::from_second(self.now_s()).map(|at| at.to_string()).unwrap_or_default()
    }

    /// Moves the clock forward.
    pub(crate) fn advance_ms(&mut self, by_ms: i64) {
        self.moved_ms = self.moved_ms.saturating_add(by_ms.max(0));
    }
}
