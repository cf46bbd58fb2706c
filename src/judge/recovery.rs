//! Outages and recoveries: when a probe's target stopped being served, when it was served again for good, and where
//! nobody can tell.
//!
//! Lives here: samples in, outages with their error bars and blind windows out. Does not: budgets and verdicts, nor the
//! clocks that need no samples (Ready, registry).

use super::sample::{Reading, Sample};
use std::borrow::Cow;
use std::time::Duration;

/// How samples are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reader {
    /// The beat of the probe.
    pub every: Duration,
    /// A sample that starts later than this proves nothing for the time at which it was due.
    pub late_by: Duration,
    /// How long no sample may fail before an outage counts as over; shorter pauses belong to it.
    pub stable_for: Duration,
}

/// A moment that lies between two samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge {
    /// It happened after this.
    pub after: Duration,
    /// It happened at this time or before: the time by which it is dated.
    pub at: Duration,
}

impl Edge {
    /// How much earlier than `at` it may have happened.
    pub fn error(&self) -> Duration {
        self.at.saturating_sub(self.after)
    }
}

/// A time in which samples failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outage {
    /// Its start: after the last sample that was served, no later than the first that failed.
    pub from: Edge,
    /// Its end: after the last sample that failed was due, no later than the end of the first that was served. None
    /// if no sample was served after it.
    pub until: Option<Edge>,
    /// The end of the last sample that failed in it.
    pub last_failed: Duration,
    /// How many samples failed in it.
    pub failed: usize,
    /// The first failure's kind.
    pub kind: Cow<'static, str>,
    /// The longest part of it that no sample leaves in doubt: a request that could not be judged, such as a 401, is no
    /// outage, even between two that failed.
    pub proven: Duration,
}

impl Outage {
    /// How long it lasted, as it is dated: to the end, or as far as it was watched.
    pub fn length(&self) -> Duration {
        self.until.map_or(self.last_failed, |until| until.at).saturating_sub(self.from.at)
    }

    /// The longest that it can have been: from the last sample that was served before.
    pub fn length_at_most(&self) -> Duration {
        self.length() + self.from.error()
    }
}

/// A time in which an outage could have gone unseen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blind {
    /// The last sample before it that proves something, or the start of the observation.
    pub from: Duration,
    /// The first sample after it that proves something, or the end of the observation.
    pub until: Duration,
    /// Why: the reason of its first sample, or what muster itself did.
    pub why: Cow<'static, str>,
}

/// What the samples of one probe say of a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// How many samples there were.
    pub samples: usize,
    /// How many failed.
    pub failed: usize,
    /// How many could not be judged.
    pub unjudged: usize,
    /// The outages, in order.
    pub outages: Vec<Outage>,
    /// The blind windows, in order.
    pub blind: Vec<Blind>,
    /// Since when it is served for good: the end of the last outage, or the start of the observation if there was none.
    /// None if the samples do not show it served, without a blind window, for `stable_for` some time after that, or if a
    /// blind window lasts to the end.
    pub served_since: Option<Duration>,
}

impl Observation {
    /// The longest outage.
    pub fn longest_outage(&self) -> Option<&Outage> {
        self.outages.iter().max_by_key(|outage| outage.length())
    }

    /// The longest time for which it was certainly not served; zero if there was no outage.
    pub fn longest_proven(&self) -> Duration {
        self.outages.iter().map(|outage| outage.proven).max().unwrap_or_default()
    }

    /// The longest time for which it may not have been served, as far as outages are dated; zero if there was none.
    pub fn longest_possible(&self) -> Duration {
        self.outages.iter().map(Outage::length_at_most).max().unwrap_or_default()
    }

    /// The first blind window that ends after a moment.
    pub fn blind_after(&self, moment: Duration) -> Option<&Blind> {
        self.blind.iter().find(|blind| blind.until > moment)
    }

    /// How long the longest blind window is; zero if there is none.
    pub fn longest_blind(&self) -> Duration {
        let lengths = self.blind.iter().map(|blind| blind.until.saturating_sub(blind.from));
        lengths.max().unwrap_or_default()
    }
}

/// Reads the samples of a time that begins with `from` (a fault, say) and ends with `until`. Samples are in the order
/// of their due times. A sample that was due before and failed after `from` belongs to it; its failure is dated by
/// `from`.
pub fn observe(samples: &[Sample], from: Duration, until: Duration, reader: &Reader) -> Observation {
    let is_in = |sample: &&Sample| {
        (sample.due >= from && sample.due <= until)
            || (sample.due < from && sample.is_failed() && sample.ended > from)
    };
    let inside: Vec<&Sample> = samples.iter().filter(is_in).collect();
    let mut outages = join(outages(&inside, from, reader), reader.stable_for);
    outages.iter_mut().for_each(|outage| outage.proven = proven(outage, &inside, reader));
    let blind = blind_windows(&inside, from, until, reader);
    Observation {
        samples: inside.len(),
        failed: inside.iter().filter(|sample| sample.is_failed()).count(),
        unjudged: inside.iter().filter(|sample| sample.is_unjudged()).count(),
        served_since: served_since(&outages, &blind, &inside, from, reader)
            .filter(|_| blind.last().is_none_or(|window| window.until < until)),
        blind,
        outages,
    }
}

/// Each row of failures between two samples that were served, however short.
fn outages(samples: &[&Sample], from: Duration, reader: &Reader) -> Vec<Outage> {
    let mut outages: Vec<Outage> = Vec::new();
    let mut open: Option<Outage> = None;
    let mut proven = from;
    let mut last_failed_due = from;
    for sample in samples {
        let due = sample.due.max(from);
        match &sample.reading {
            Reading::Failed(kind) => {
                let outage = open.get_or_insert_with(|| Outage {
                    from: Edge { after: proven, at: due },
                    until: None,
                    last_failed: due,
                    failed: 0,
                    kind: kind.clone(),
                    proven: Duration::ZERO,
                });
                outage.failed += 1;
                outage.last_failed = outage.last_failed.max(sample.ended);
                last_failed_due = due;
            }
            Reading::Served => {
                let edge = Edge { after: last_failed_due, at: sample.ended.max(due) };
                outages.extend(open.take().map(|outage| Outage { until: Some(edge), ..outage }));
                proven = if sample.late_by() > reader.late_by { proven } else { due };
            }
            Reading::Unjudged(_) => {}
        }
    }
    outages.extend(open);
    outages
}

/// Makes one of outages with less than `stable_for` between them.
fn join(outages: Vec<Outage>, stable_for: Duration) -> Vec<Outage> {
    let mut joined: Vec<Outage> = Vec::new();
    for next in outages {
        match joined.last_mut() {
            Some(last) if last.until.is_some_and(|until| next.from.at < until.at + stable_for) => {
                last.until = next.until;
                last.last_failed = last.last_failed.max(next.last_failed);
                last.failed += next.failed;
            }
            _ => joined.push(next),
        }
    }
    joined
}

/// The longest row of samples within an outage that prove something. One that got no answer proves it for as long as it
/// waited.
fn proven(outage: &Outage, samples: &[&Sample], reader: &Reader) -> Duration {
    let start = outage.from.at;
    let end = start + outage.length();
    let mut longest = Duration::ZERO;
    let mut row: Option<(Duration, Duration)> = None;
    for sample in samples.iter().filter(|sample| sample.due.max(start) <= end && sample.ended >= start) {
        let due = sample.due.max(start);
        if proves(sample, reader) {
            let (first, last) = row.unwrap_or((due, due));
            row = Some((first, last.max(sample.ended.min(end))));
        } else if row.is_some_and(|(_, last)| due > last) {
            row = None;
        }
        longest = longest.max(row.map_or(longest, |(first, last)| last - first));
    }
    longest
}

fn proves(sample: &Sample, reader: &Reader) -> bool {
    sample.is_failed() || (sample.is_served() && sample.late_by() <= reader.late_by)
}

fn served_since(
    outages: &[Outage],
    blind: &[Blind],
    samples: &[&Sample],
    from: Duration,
    reader: &Reader,
) -> Option<Duration> {
    let since = match outages.last() {
        None => from,
        Some(outage) => outage.until?.at,
    };
    let served = samples.iter().filter(|sample| sample.is_served());
    let seen_until = served.map(|sample| sample.due).max()? + reader.every;
    let mut start = since;
    let mut is_stable = false;
    for window in blind.iter().filter(|window| window.until > since) {
        is_stable |= window.from + reader.every >= start + reader.stable_for;
        start = start.max(window.until);
    }
    (is_stable || seen_until >= start + reader.stable_for).then_some(since)
}

/// The times between two samples that prove something, where they are more than a beat and a half apart.
fn blind_windows(samples: &[&Sample], from: Duration, until: Duration, reader: &Reader) -> Vec<Blind> {
    let longest_gap = reader.every.saturating_mul(3) / 2;
    let mut windows = Vec::new();
    let mut proven = from;
    let mut why: Option<Cow<'static, str>> = None;
    let mut close = |proven: Duration, next: Duration, why: Option<Cow<'static, str>>| {
        if next.saturating_sub(proven) > longest_gap {
            windows.push(Blind {
                from: proven,
                until: next,
                why: why.unwrap_or("no sample was taken".into()),
            });
        }
    };
    for sample in samples {
        if proves(sample, reader) {
            close(proven, sample.due, why.take());
            proven = sample.due.max(proven);
        } else {
            why.get_or_insert_with(|| reason(sample));
        }
    }
    close(proven, until, why);
    windows
}

fn reason(sample: &Sample) -> Cow<'static, str> {
    match &sample.reading {
        Reading::Unjudged(why) => why.clone(),
        Reading::Served | Reading::Failed(_) => "muster itself was late".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EVERY: Duration = Duration::from_millis(4);
    const LATENCY: Duration = Duration::from_micros(500);
    const READER: Reader = Reader { every: EVERY, late_by: EVERY, stable_for: Duration::from_millis(40) };

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn sample(due: Duration, reading: Reading) -> Sample {
        Sample { due, started_late_us: 90, ended: due + LATENCY, reading }
    }

    fn failed() -> Reading {
        Reading::Failed("refused".into())
    }

    /// What a probe sees of a service that is down in these times (start inclusive, end exclusive).
    fn sampled(until: Duration, phase: Duration, down: &[(Duration, Duration)]) -> Vec<Sample> {
        let dues = (0_u32..).map(|beat| phase + EVERY * beat).take_while(|due| *due < until);
        let is_down = |due: Duration| down.iter().any(|(from, until)| *from <= due && due < *until);
        dues.map(|due| sample(due, if is_down(due) { failed() } else { Reading::Served })).collect()
    }

    fn drawn(letters: &str) -> Vec<Sample> {
        let read = |(beat, letter): (usize, char)| {
            let due = EVERY * u32::try_from(beat).unwrap();
            match letter {
                'x' => sample(due, failed()),
                '?' => sample(due, Reading::Unjudged("status 401".into())),
                'l' => Sample { started_late_us: 20_000, ..sample(due, Reading::Served) },
                _ => sample(due, Reading::Served),
            }
        };
        letters.chars().enumerate().map(read).collect()
    }

    #[test]
    fn a_steady_time_has_no_outage_and_is_served_from_its_start() {
        let seen = observe(&sampled(ms(200), ms(0), &[]), ms(0), ms(200), &READER);
        assert_eq!((seen.outages.len(), seen.blind.len(), seen.served_since), (0, 0, Some(ms(0))));
    }

    #[test]
    fn pauses_shorter_than_stable_for_belong_to_the_outage() {
        let samples = sampled(ms(300), ms(0), &[(ms(40), ms(60)), (ms(80), ms(100)), (ms(180), ms(200))]);
        let seen = observe(&samples, ms(0), ms(300), &READER);
        assert_eq!(seen.outages.len(), 2, "{seen:?}");
        assert_eq!(seen.outages[0].length(), ms(60) + LATENCY);
        assert_eq!(seen.served_since, Some(ms(200) + LATENCY));
        assert_eq!(seen.longest_outage(), Some(&seen.outages[0]));
    }

    #[test]
    fn what_is_down_at_the_end_or_up_too_shortly_is_not_served() {
        let open = observe(&drawn("ooooxxxx"), ms(0), ms(32), &READER);
        assert_eq!((open.served_since, open.outages[0].until), (None, None));
        assert_eq!(open.outages[0].length(), ms(12) + LATENCY);
        let short = observe(&drawn("ooooxxxxooo"), ms(0), ms(44), &READER);
        assert_eq!(short.served_since, None);
        assert_eq!(observe(&[], ms(0), ms(100), &READER).served_since, None);
    }

    #[test]
    fn an_outage_is_proven_as_far_as_no_sample_leaves_it_in_doubt() {
        for (letters, proven, possible) in [
            ("oooo", ms(0), ms(0)),
            ("ooxxxo", ms(12) + LATENCY, ms(16) + LATENCY),
            ("ooxx?xxxo", ms(12) + LATENCY, ms(28) + LATENCY),
            ("ooxx????o", ms(4) + LATENCY, ms(28) + LATENCY),
            ("ooxx????", ms(4) + LATENCY, ms(8) + LATENCY),
            ("oo???xo", ms(4) + LATENCY, ms(20) + LATENCY),
            ("ooxoxxo", ms(16) + LATENCY, ms(20) + LATENCY),
        ] {
            let samples = drawn(letters);
            let seen = observe(&samples, ms(0), samples.last().unwrap().ended, &READER);
            assert_eq!((seen.longest_proven(), seen.longest_possible()), (proven, possible), "{letters}");
        }
    }

    #[test]
    fn a_request_that_waits_in_vain_proves_an_outage_for_as_long_as_it_waits() {
        let mut samples = drawn("ooxxx????????o");
        samples.iter_mut().filter(|it| it.is_failed()).for_each(|it| it.ended = it.due + ms(40));
        let seen = observe(&samples, ms(0), ms(60), &READER);
        assert_eq!(seen.longest_proven(), ms(44) + LATENCY);
    }

    #[test]
    fn a_request_in_flight_when_the_fault_strikes_counts_from_the_fault() {
        let hanging = Sample { ended: ms(30), ..sample(ms(8), failed()) };
        let mut samples = drawn("oo");
        samples.extend([hanging, sample(ms(12), Reading::Served)]);
        let seen = observe(&samples, ms(10), ms(12), &READER);
        assert_eq!(seen.outages[0].from, Edge { after: ms(10), at: ms(10) });
    }

    #[test]
    fn the_unjudged_is_neither_an_outage_nor_its_end() {
        let seen = observe(&drawn("ooxx???ooooooooooooo"), ms(0), ms(80), &READER);
        assert_eq!(seen.outages.len(), 1);
        assert_eq!(seen.outages[0].until, Some(Edge { after: ms(12), at: ms(28) + LATENCY }));
        let window = Blind { from: ms(12), until: ms(28), why: "status 401".into() };
        assert_eq!(seen.blind, [window]);
        let seen = observe(&drawn("oollloo"), ms(0), ms(28), &READER);
        assert_eq!(seen.blind[0].why, "muster itself was late");
        let mut gap = drawn("oo");
        gap.push(sample(ms(60), Reading::Served));
        assert_eq!(observe(&gap, ms(0), ms(60), &READER).blind[0].why, "no sample was taken");
    }

    #[test]
    fn a_recovery_seen_with_closed_eyes_is_none() {
        for (after, expected) in [
            ("ooooooooooo", true),
            ("oooooo?????oooooo", false),
            ("oooooo?????ooooooooooo", true),
            ("ooooooooooooo?????oo", true),
            ("ooooooooooooo?????", false),
            ("ooooooooooooo?", true),
        ] {
            let samples = drawn(&format!("ooxx{after}"));
            let seen = observe(&samples, ms(0), samples.last().unwrap().due, &READER);
            assert_eq!(seen.served_since, expected.then_some(ms(16) + LATENCY), "{after}");
        }
    }

    #[test]
    fn nothing_but_blindness_is_one_blind_window() {
        let seen = observe(&[], ms(10), ms(100), &READER);
        assert_eq!(seen.longest_blind(), ms(90));
        assert!(seen.outages.is_empty());
    }

    /// Outages of at least two beats, far enough apart not to be one.
    fn schedules() -> impl Strategy<Value = Vec<(Duration, Duration)>> {
        let pair = (60_000_u64..400_000, 8_000_u64..300_000);
        prop::collection::vec(pair, 0..6).prop_map(|pairs| {
            let mut at = 0;
            let place = |(pause, length): (u64, u64)| {
                let from = at + pause;
                at = from + length;
                (Duration::from_micros(from), Duration::from_micros(at))
            };
            pairs.into_iter().map(place).collect()
        })
    }

    proptest! {
        #[test]
        fn every_outage_is_found_and_each_edge_is_right_to_one_beat(
            down in schedules(),
            phase_us in 0_u64..4_000,
        ) {
            let end = down.last().map_or(ms(0), |(_, until)| *until) + ms(100);
            let samples = sampled(end, Duration::from_micros(phase_us), &down);
            let seen = observe(&samples, ms(0), end, &READER);
            prop_assert_eq!(seen.outages.len(), down.len());
            for (outage, (from, until)) in seen.outages.iter().zip(&down) {
                prop_assert_eq!(outage.proven, outage.length());
                let end = outage.until.unwrap();
                prop_assert!(*from <= outage.from.at && outage.from.at < *from + EVERY);
                prop_assert!(outage.from.after <= *from && outage.from.error() <= EVERY);
                prop_assert!(*until <= end.at && end.at < *until + EVERY + LATENCY);
                prop_assert!(end.after < *until && end.error() <= EVERY + LATENCY);
                prop_assert!(outage.length_at_most() >= *until - *from);
            }
            prop_assert!(seen.blind.is_empty(), "{:?}", seen.blind);
            prop_assert_eq!(seen.served_since, Some(seen.outages.last().map_or(ms(0), |o| o.until.unwrap().at)));
        }

        #[test]
        fn a_sample_that_proves_nothing_lies_in_a_blind_window(letters in "[ox?l]{3,120}") {
            let samples = drawn(&letters);
            let end = samples.last().unwrap().due;
            let seen = observe(&samples, ms(0), end, &READER);
            prop_assert_eq!(seen.outages.iter().map(|outage| outage.failed).sum::<usize>(), seen.failed);
            prop_assert!(seen.outages.iter().all(|outage| outage.proven <= outage.length()));
            for sample in &samples[1..samples.len() - 1] {
                let proves_nothing = sample.is_unjudged() || sample.late_by() > READER.late_by;
                let is_marked = seen.blind.iter().any(|b| b.from < sample.due && sample.due < b.until);
                prop_assert_eq!(proves_nothing, is_marked, "{:?} {:?}", sample, seen.blind);
            }
        }
    }
}
