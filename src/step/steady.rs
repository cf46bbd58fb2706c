//! The steady state before a disruption: every probe has been served for the stable time.
//!
//! Lives here: waiting for it, and why it did not come. Does not: judging a window of samples (`judge::steady`), or what
//! happens afterwards (`watching`).

use super::stage::Stage;
use super::watching::{LATE_BY, LOOK_EVERY, Watching};
use crate::judge::sample::Sample;
use crate::judge::steady::{Steady, Tolerance, steady};
use crate::outcome::Failure;
use std::time::Instant;

impl Watching {
    /// Waits until every probe has been served for the stable time.
    pub(super) async fn await_steady(&self, stage: &Stage<'_>) -> Result<(), Vec<Failure>> {
        let started = Instant::now();
        while let Some((name, state)) = self.unsteady() {
            if started.elapsed() > self.within {
                let (kind, why) = why_unsteady(&state);
                return Err(vec![
                    stage.doubt(kind, &format!("probe {name} was not seen steady before: {why}")),
                ]);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// The first probe that is not steady by now, and how it is.
    fn unsteady(&self) -> Option<(&str, Steady)> {
        let wanted = self.stable_for.as_micros() / self.beat.as_micros().max(1);
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX).max(3);
        let mut states = self.probes.iter().map(|one| (&*one.name, last_window(&one.probe.so_far(), wanted)));
        states.find(|(_, state)| *state != Steady::Yes)
    }
}

fn last_window(samples: &[Sample], wanted: usize) -> Steady {
    let tolerance =
        Tolerance { judged_at_least: wanted / 2, failed_at_most: 0, blind_at_most: wanted, late_by: LATE_BY };
    match samples.len().checked_sub(wanted) {
        Some(from) => steady(&samples[from..], &tolerance),
        None => Steady::Unknown { judged: samples.len(), blind: 0, why: None },
    }
}

/// The kind and the words of a state that is not steady. Where samples could not be judged nothing is known of the platform.
fn why_unsteady(state: &Steady) -> (&'static str, String) {
    match state {
        Steady::Yes => ("steady.before", "steady".into()),
        Steady::No { failed, of, kind, .. } => {
            ("steady.before", format!("{failed} of {of} samples failed ({kind})"))
        }
        Steady::Unknown { judged, blind, why } => {
            let kind = if *blind > 0 { "probe.blind" } else { "steady.before" };
            let why = why.as_ref().map_or(String::new(), |why| format!(" ({why})"));
            (kind, format!("{judged} samples could be judged and {blind} could not{why}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::sample::Reading;
    use std::time::Duration;

    /// `o` is served, `x` is refused, `?` was not sent, `l` was sent too late.
    fn samples(readings: &str) -> Vec<Sample> {
        let read = |letter| Sample {
            due: Duration::ZERO,
            started_late_us: if letter == 'l' { 20_001 } else { 20_000 },
            ended: Duration::ZERO,
            reading: match letter {
                'x' => Reading::Failed("refused".into()),
                '?' => Reading::Unjudged("too many requests in flight".into()),
                _ => Reading::Served,
            },
        };
        readings.chars().map(read).collect()
    }

    #[test]
    fn what_failed_is_the_platform_s_and_what_could_not_be_judged_is_not() {
        for (readings, kind, why) in [
            ("ooox", "steady.before", "1 of 4 samples failed (refused)"),
            ("???x", "steady.before", "1 of 1 samples failed (refused)"),
            ("ooo", "steady.before", "3 samples could be judged and 0 could not"),
            (
                "????",
                "probe.blind",
                "0 samples could be judged and 4 could not (too many requests in flight)",
            ),
            ("olll", "probe.blind", "1 samples could be judged and 3 could not"),
        ] {
            let state = last_window(&samples(readings), 4);
            assert_eq!(why_unsteady(&state), (kind, why.to_owned()), "{readings}");
        }
        assert_eq!(last_window(&samples("xooll"), 4), Steady::Yes);
    }
}
