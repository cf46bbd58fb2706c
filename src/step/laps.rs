//! How long each part of something took: one clock, read at the end of each part, so that the parts make up the whole.
//!
//! Not here: what the parts are (`disrupt`).

use crate::outcome::Phase;
use std::time::Instant;

/// Parts one after the other, without a gap.
pub(crate) struct Laps {
    last: Instant,
    phases: Vec<Phase>,
}

impl Laps {
    /// The first part begins.
    pub(crate) fn begin() -> Self {
        Self { last: Instant::now(), phases: vec![] }
    }

    /// The part of this name is over, and the next begins.
    pub(crate) fn end(&mut self, name: &str) {
        let now = Instant::now();
        let took_us = u64::try_from((now - self.last).as_micros()).unwrap_or(u64::MAX);
        self.phases.push(Phase { name: name.to_owned(), took_us });
        self.last = now;
    }

    /// The parts so far.
    pub(crate) fn so_far(&self) -> Vec<Phase> {
        self.phases.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_make_up_the_whole() {
        let mut laps = Laps::begin();
        let began = laps.last;
        ["one", "two", "three"].iter().for_each(|name| laps.end(name));
        let whole = u64::try_from((laps.last - began).as_micros()).unwrap();
        let sum: u64 = laps.so_far().iter().map(|phase| phase.took_us).sum();
        assert!(whole - sum <= 3, "each part is cut to a microsecond: {whole} and {sum}");
        assert_eq!(laps.so_far()[1].name, "two");
    }
}
