//! From events to one outcome. Pure: the same events give the same outcome, live or years later.

use super::{Ending, Event, Failure, KnownFailure, PlannedCase, Record, Recovery, RunEnd, RunStart, Verdict};
use crate::secret::Masked;
use std::collections::{BTreeMap, BTreeSet};

/// All that is known of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// What was to be run, and where.
    pub start: RunStart,
    /// Every case of the plan, in its order.
    pub cases: Vec<CaseOutcome>,
    /// What could not be put back: case, what, why.
    pub leftovers: Vec<(String, Masked, Masked)>,
    /// What stays as declared: case, where, why.
    pub residue: Vec<(String, Masked, Masked)>,
    /// Where the target would have led although its file does not name it: case, where to, by what. One for each time.
    pub led_elsewhere: Vec<(String, Masked, Masked)>,
    /// How it ended; `None` if the record ends before the run did.
    pub end: Option<RunEnd>,
    /// What decides besides the cases, and why.
    pub applied: Vec<(Ending, Masked)>,
}

/// All that is known of a case.
#[derive(Debug, Clone, PartialEq)]
pub struct CaseOutcome {
    /// What was planned.
    pub planned: PlannedCase,
    /// Its verdict; `None` if it was not run to its end.
    pub verdict: Option<Verdict>,
    /// How long it took, in microseconds.
    pub took_us: u64,
    /// What went wrong.
    pub failures: Vec<Failure>,
    /// Why it was skipped.
    pub skipped: Option<Masked>,
    /// What went wrong in earlier attempts.
    pub retried: Vec<Failure>,
    /// The entry that forgives its failures, if one does.
    pub known: Option<KnownFailure>,
    /// Faults injected and watched.
    pub recoveries: Vec<Recovery>,
    /// How many steps ended.
    pub steps: usize,
}

impl CaseOutcome {
    /// Whether it passed only after a retry.
    pub fn is_flaky(&self) -> bool {
        self.verdict == Some(Verdict::Pass) && !self.retried.is_empty()
    }

    /// The word for a list: a verdict, `known`, or `not run`.
    pub fn word(&self) -> &'static str {
        match (self.verdict, &self.known) {
            (Some(_), Some(_)) => "known",
            (Some(verdict), None) => verdict.word(),
            (None, _) => "not run",
        }
    }
}

/// The sums of a run. `planned` is the sum of all the others but `flaky`, which is a part of `passed`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Totals {
    /// Cases of the plan.
    pub planned: usize,
    /// Cases that passed, flaky ones included.
    pub passed: usize,
    /// Cases that failed and are not forgiven.
    pub failed: usize,
    /// Cases that could not be judged.
    pub inconclusive: usize,
    /// Cases skipped for a declared reason.
    pub skipped: usize,
    /// Cases whose failure is known and accepted.
    pub known: usize,
    /// Cases that were not run to their end.
    pub not_run: usize,
    /// Cases that passed only after a retry.
    pub flaky: usize,
}

impl Totals {
    /// Whether the parts make up the whole.
    pub fn are_whole(&self) -> bool {
        self.planned
            == self.passed + self.failed + self.inconclusive + self.skipped + self.known + self.not_run
    }
}

impl Outcome {
    /// The sums.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals { planned: self.cases.len(), ..Totals::default() };
        for case in &self.cases {
            totals.flaky += usize::from(case.is_flaky());
            *match (case.verdict, &case.known) {
                (None, _) => &mut totals.not_run,
                (Some(Verdict::Fail), Some(_)) => &mut totals.known,
                (Some(Verdict::Fail), None) => &mut totals.failed,
                (Some(Verdict::Inconclusive), _) => &mut totals.inconclusive,
                (Some(Verdict::Skip), _) => &mut totals.skipped,
                (Some(Verdict::Pass), _) => &mut totals.passed,
            } += 1;
        }
        totals
    }

    /// Everything that applied: from the verdicts, the leftovers, the end of the run and what came after. `Passed`
    /// stands alone.
    pub fn endings(&self) -> BTreeSet<Ending> {
        let totals = self.totals();
        let mut endings = self.end.as_ref().map(|end| end.endings.clone()).unwrap_or_default();
        let undecided = totals.inconclusive + totals.not_run > 0 || totals.passed == 0 || self.end.is_none();
        let found = [
            (totals.planned == 0, Ending::NothingSelected),
            (totals.failed > 0, Ending::Failed),
            (undecided && totals.planned > 0, Ending::Undecided),
            (totals.planned > 0, Ending::Passed),
            (!self.leftovers.is_empty(), Ending::LeftBehind),
            (!totals.are_whole(), Ending::Unrecorded),
        ];
        endings.extend(found.into_iter().filter(|(applies, _)| *applies).map(|(_, ending)| ending));
        endings.extend(self.applied.iter().map(|(ending, _)| *ending));
        if endings.len() > 1 {
            endings.remove(&Ending::Passed);
        }
        endings
    }

    /// The ending that decides the exit code.
    pub fn ending(&self) -> Ending {
        Ending::strongest(&self.endings())
    }
}

/// Folds the records of a run. `None` without a run's start.
pub fn fold(records: &[Record]) -> Option<Outcome> {
    let start = records.iter().find_map(|record| match &record.event {
        Event::RunStarted(start) => Some(start.as_ref().clone()),
        _ => None,
    })?;
    let mut folding = Folding::of(start);
    records.iter().for_each(|record| folding.take(&record.event));
    Some(folding.outcome)
}

struct Folding {
    outcome: Outcome,
    index: BTreeMap<String, usize>,
}

impl Folding {
    fn of(start: RunStart) -> Self {
        let index = start.cases.iter().enumerate().map(|(at, planned)| (planned.case.clone(), at)).collect();
        let cases = start.cases.iter().map(not_yet_run).collect();
        let outcome = Outcome {
            start,
            cases,
            leftovers: vec![],
            residue: vec![],
            led_elsewhere: vec![],
            end: None,
            applied: vec![],
        };
        Self { outcome, index }
    }

    fn case(&mut self, name: &str) -> Option<&mut CaseOutcome> {
        self.outcome.cases.get_mut(*self.index.get(name)?)
    }

    fn take(&mut self, event: &Event) {
        match event {
            Event::RunStarted(_) | Event::CaseStarted { .. } => {}
            Event::StepEnded(step) => {
                if let Some(case) = self.case(&step.case) {
                    case.steps += 1;
                }
            }
            Event::Recovered(recovery) => {
                if let Some(case) = self.case(&recovery.case) {
                    case.recoveries.push(recovery.clone());
                }
            }
            Event::CaseEnded(end) => self.end_case(end),
            Event::Leftover { case, what, why } => {
                self.outcome.leftovers.push((case.clone(), what.clone(), why.clone()));
            }
            Event::Residue { case, at, why } => {
                self.outcome.residue.push((case.clone(), at.clone(), why.clone()));
            }
            Event::LedElsewhere { case, to, why } => {
                self.outcome.led_elsewhere.push((case.clone(), to.clone(), why.clone()));
            }
            Event::RunEnded(end) => self.outcome.end = Some(end.clone()),
            Event::Applied { ending, why } => self.outcome.applied.push((*ending, why.clone())),
        }
    }

    fn end_case(&mut self, end: &super::CaseEnd) {
        let known = self.outcome.start.forgives(end).cloned();
        if let Some(case) = self.case(&end.case) {
            case.verdict = Some(end.verdict);
            case.took_us = end.took_us;
            case.failures.clone_from(&end.failures);
            case.skipped.clone_from(&end.skipped);
            case.retried.clone_from(&end.retried);
            case.known = known;
        }
    }
}

fn not_yet_run(planned: &PlannedCase) -> CaseOutcome {
    CaseOutcome {
        planned: planned.clone(),
        verdict: None,
        took_us: 0,
        failures: vec![],
        skipped: None,
        retried: vec![],
        known: None,
        recoveries: vec![],
        steps: 0,
    }
}

impl RunStart {
    /// The entry that forgives a failed case: each of its failures is of that step and kind, and the entry has not
    /// expired when the run starts.
    pub fn forgives(&self, end: &super::CaseEnd) -> Option<&KnownFailure> {
        let day = self.started.get(..10)?;
        let is_of = |known: &KnownFailure, failure: &Failure| {
            failure.step == known.step && failure.kind == known.failure && failure.verdict == Verdict::Fail
        };
        self.known_failures
            .iter()
            .filter(|known| {
                end.verdict == Verdict::Fail && known.case == end.case && known.until.as_str() >= day
            })
            .find(|known| !end.failures.is_empty() && end.failures.iter().all(|it| is_of(known, it)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{CaseEnd, line, read_record};

    fn planned(case: &str) -> PlannedCase {
        PlannedCase {
            case: case.into(),
            family: "service-call".into(),
            suite: "Suite".into(),
            file: "suites/service-call/a.yaml".into(),
            line: 3,
            why: "because".into(),
            tags: vec![],
        }
    }

    fn started(cases: &[&str], known_failures: Vec<KnownFailure>) -> Event {
        Event::RunStarted(Box::new(RunStart {
            run: "r1".into(),
            seed: 1,
            target: "t".into(),
            muster: "0".into(),
            started: "2026-11-25T10:00:00Z".into(),
            cases: cases.iter().map(|case| planned(case)).collect(),
            known_failures,
            disruptive_left_out: 0,
        }))
    }

    fn ended(case: &str, verdict: Verdict, kind: Option<&str>) -> Event {
        let failure = |kind: &str| Failure {
            verdict,
            kind: kind.into(),
            step: "call x.y".into(),
            message: Masked::fixed("broken"),
            spot: None,
            evidence: vec![],
        };
        Event::CaseEnded(Box::new(CaseEnd {
            case: case.into(),
            verdict,
            took_us: 5,
            failures: kind.map(failure).into_iter().collect(),
            skipped: (verdict == Verdict::Skip).then(|| Masked::fixed("lacked")),
            retried: vec![],
        }))
    }

    fn run_ended() -> Event {
        Event::RunEnded(RunEnd { took_us: 9, endings: BTreeSet::new(), stopped_by: None })
    }

    fn folded(events: Vec<Event>) -> Outcome {
        let records: Vec<Record> = events.into_iter().map(|event| Record { at_us: 0, event }).collect();
        let text: String = records.iter().map(|record| line(record).unwrap()).collect();
        assert_eq!(read_record(&text).unwrap(), records, "a record survives its text");
        fold(&records).unwrap()
    }

    fn known_until(until: &str) -> KnownFailure {
        KnownFailure {
            case: "a".into(),
            step: "call x.y".into(),
            failure: "expect.status".into(),
            because: "slow fix".into(),
            ticket: "T-1".into(),
            until: until.into(),
        }
    }

    #[test]
    fn all_passed_is_passed() {
        let outcome = folded(vec![started(&["a"], vec![]), ended("a", Verdict::Pass, None), run_ended()]);
        assert_eq!(outcome.ending(), Ending::Passed);
        assert!(outcome.totals().are_whole());
    }

    #[test]
    fn a_case_without_an_end_is_not_run_and_undecides_the_run() {
        let outcome =
            folded(vec![started(&["a", "b"], vec![]), ended("a", Verdict::Pass, None), run_ended()]);
        assert_eq!(outcome.totals().not_run, 1);
        assert_eq!(outcome.ending(), Ending::Undecided);
    }

    #[test]
    fn a_run_in_which_nothing_passed_is_undecided() {
        let outcome = folded(vec![started(&["a"], vec![]), ended("a", Verdict::Skip, None), run_ended()]);
        assert_eq!(outcome.ending(), Ending::Undecided);
    }

    #[test]
    fn a_record_that_stops_early_is_undecided() {
        let outcome = folded(vec![started(&["a"], vec![]), ended("a", Verdict::Pass, None)]);
        assert_eq!(outcome.ending(), Ending::Undecided);
    }

    #[test]
    fn only_the_known_failure_is_forgiven_and_only_until_its_day() {
        let run = |known: KnownFailure, kind: &str| {
            folded(vec![
                started(&["a", "b"], vec![known]),
                ended("a", Verdict::Fail, Some(kind)),
                ended("b", Verdict::Pass, None),
                run_ended(),
            ])
        };
        assert_eq!(run(known_until("2026-11-25"), "expect.status").ending(), Ending::Passed);
        assert_eq!(run(known_until("2026-11-25"), "expect.status").totals().known, 1);
        assert_eq!(run(known_until("2026-11-24"), "expect.status").ending(), Ending::Failed);
        assert_eq!(run(known_until("2026-11-25"), "expect.body").ending(), Ending::Failed);
    }

    #[test]
    fn a_leftover_outweighs_a_failure() {
        let leftover =
            Event::Leftover { case: "a".into(), what: Masked::fixed("customer"), why: Masked::fixed("down") };
        let outcome = folded(vec![
            started(&["a"], vec![]),
            ended("a", Verdict::Fail, Some("x")),
            leftover,
            run_ended(),
        ]);
        assert_eq!(outcome.ending(), Ending::LeftBehind);
        assert!(outcome.endings().contains(&Ending::Failed));
    }

    #[test]
    fn what_applies_after_the_end_decides_too() {
        let trouble = Event::Applied { ending: Ending::Unrecorded, why: Masked::fixed("disk full") };
        let outcome =
            folded(vec![started(&["a"], vec![]), ended("a", Verdict::Pass, None), run_ended(), trouble]);
        assert_eq!(outcome.endings(), [Ending::Unrecorded].into());
    }

    #[test]
    fn a_torn_last_line_is_left_out() {
        let whole = line(&Record { at_us: 0, event: started(&["a"], vec![]) }).unwrap();
        assert_eq!(read_record(&format!("{whole}{{\"at_us\":1")).unwrap().len(), 1);
        assert!(matches!(read_record("{\n"), Err(RecordError::Damaged { line: 1, .. })));
    }

    use crate::outcome::RecordError;
}
