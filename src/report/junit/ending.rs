//! How the run ended, for readers of JUnit: they know cases only, so what no case tells is a case of its own.

use super::{clean, one_line};
use crate::outcome::{Ending, Outcome};
use junit_report::{Duration, TestCase, TestCaseBuilder, TestSuite, TestSuiteBuilder};

/// The suite and the classname of the case that stands for the run.
const SUITE: &str = "muster.run";
/// Its name, which no case of a suite can have.
const NAME: &str = "the run";

/// Whether the verdicts of the cases say by themselves how the run ended.
pub(super) fn is_told_by_cases(outcome: &Outcome) -> bool {
    let totals = outcome.totals();
    match outcome.ending() {
        Ending::Passed => true,
        Ending::Failed => totals.failed > 0,
        Ending::Undecided => totals.inconclusive + totals.not_run > 0,
        _ => false,
    }
}

/// The suite with the case that stands for the run, if its ending is told by no other.
pub(super) fn suite(outcome: &Outcome) -> Option<TestSuite> {
    let is_told = is_told_by_cases(outcome);
    (!is_told).then(|| TestSuiteBuilder::new(SUITE).add_testcase(case(outcome)).build())
}

fn case(outcome: &Outcome) -> TestCase {
    let (ending, reasons) = (outcome.ending(), reasons(outcome));
    let message = format!("exit code {}: {}", ending.code(), reasons.first().map_or("", String::as_str));
    let mut case = TestCaseBuilder::error(NAME, Duration::ZERO, ending.word(), &one_line(&message));
    case.set_classname(SUITE);
    case.set_trace(&clean(&(reasons.join("\n") + "\n")));
    case.build()
}

/// Why the run ended as it did, what belongs to its ending first, and last what the ending means.
fn reasons(outcome: &Outcome) -> Vec<String> {
    let ending = outcome.ending();
    let left = outcome.leftovers.iter().map(|(case, what, why)| {
        (Ending::LeftBehind, format!("left behind by {case}: {}: {}", what.as_str(), why.as_str()))
    });
    let applied = outcome.applied.iter().map(|(it, why)| (*it, format!("{}: {}", it.word(), why.as_str())));
    let (own, others): (Vec<_>, Vec<_>) = left.chain(applied).partition(|(of, _)| *of == ending);
    let early = (outcome.totals().not_run > 0 || outcome.end.is_none()).then(|| why_not_run(outcome));
    let own = own.into_iter().chain(others).map(|(_, told)| told);
    own.chain(early).chain([ending.meaning().to_owned()]).collect()
}

/// Why cases that were not run to their end were not.
pub(super) fn why_not_run(outcome: &Outcome) -> String {
    match &outcome.end {
        None => "the record ends before the run did: muster was killed, or the record was cut".into(),
        Some(end) => match &end.stopped_by {
            Some(why) => format!("the run was stopped early: {}", why.as_str()),
            None => format!("the run ended before: {}", outcome.ending().word()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{CaseEnd, Event, PlannedCase, Record, RunEnd, RunStart, Verdict, fold};
    use crate::report::Told;
    use crate::secret::Masked;

    /// The JUnit of a run of one case with that verdict, that ended so.
    fn junit(verdict: Option<Verdict>, after: Vec<Event>) -> String {
        let planned = PlannedCase {
            case: "one".into(),
            family: "signup-flow".into(),
            suite: "Suite".into(),
            file: "suites/signup-flow/a.yaml".into(),
            line: 3,
            why: "because".into(),
            tags: vec![],
        };
        let start = RunStart {
            run: "20260101-120000-abcd".into(),
            seed: 1,
            target: "target".into(),
            muster: "0.1.0".into(),
            started: "2026-01-01T12:00:00Z".into(),
            cases: vec![planned],
            known_failures: vec![],
            disruptive_left_out: 0,
        };
        let ended = verdict.map(|verdict| {
            let (case, failures) = ("one".into(), vec![]);
            let end = CaseEnd { case, verdict, took_us: 1, failures, skipped: None, retried: vec![] };
            Event::CaseEnded(Box::new(end))
        });
        let events = [Event::RunStarted(Box::new(start))].into_iter().chain(ended).chain(after);
        let records: Vec<Record> = events.map(|event| Record { at_us: 0, event }).collect();
        let outcome = fold(&records).unwrap();
        super::super::render(&Told { outcome: &outcome, records: &records }).unwrap()
    }

    fn end(endings: &[Ending], stopped_by: Option<&'static str>) -> Event {
        let endings = endings.iter().copied().collect();
        Event::RunEnded(RunEnd { took_us: 1, endings, stopped_by: stopped_by.map(Masked::fixed) })
    }

    fn applied(ending: Ending) -> Event {
        Event::Applied { ending, why: Masked::fixed("it had to") }
    }

    fn left() -> Event {
        let (what, why) = (Masked::fixed("account of mary"), Masked::fixed("status 500"));
        Event::Leftover { case: "one".into(), what, why }
    }

    /// What is told of a run whose only case passed or was skipped: its ending, and how its message begins.
    fn untold() -> Vec<(Option<Verdict>, Vec<Event>, Ending, &'static str)> {
        let pass = Some(Verdict::Pass);
        let stopped = |ending| vec![end(&[], None), applied(ending)];
        vec![
            (pass, vec![left(), end(&[], None)], Ending::LeftBehind, "left behind by one: account of mary"),
            (pass, stopped(Ending::Unrecorded), Ending::Unrecorded, "unrecorded: it had to"),
            (pass, stopped(Ending::HungUp), Ending::HungUp, "hung-up: it had to"),
            (pass, stopped(Ending::Interrupted), Ending::Interrupted, "interrupted: it had to"),
            (pass, stopped(Ending::Terminated), Ending::Terminated, "terminated: it had to"),
            (pass, stopped(Ending::Panicked), Ending::Panicked, "panicked: it had to"),
            (pass, vec![], Ending::Undecided, "the record ends before the run did"),
            (Some(Verdict::Skip), vec![end(&[], None)], Ending::Undecided, "nothing failed, but"),
        ]
    }

    #[test]
    fn an_ending_that_no_case_tells_is_an_error_of_its_own() {
        for (verdict, after, ending, message) in untold() {
            let xml = junit(verdict, after);
            let error =
                format!(r#"<error type="{}" message="exit code {}: {message}"#, ending.word(), ending.code());
            assert!(xml.contains(&error), "{error}\n{xml}");
            assert!(xml.contains(r#"<testsuites name="muster" tests="2" failures="0" errors="1""#), "{xml}");
            assert!(xml.contains(r#"name="the run" time="0" classname="muster.run""#), "{xml}");
        }
    }

    #[test]
    fn an_ending_that_the_cases_tell_is_in_the_properties_only() {
        let told = [
            (Some(Verdict::Pass), vec![], Ending::Passed),
            (Some(Verdict::Fail), vec![], Ending::Failed),
            (Some(Verdict::Inconclusive), vec![], Ending::Undecided),
            (None, vec![Ending::Undecided], Ending::Undecided),
        ];
        for (verdict, endings, ending) in told {
            let xml = junit(verdict, vec![end(&endings, None)]);
            assert!(!xml.contains("the run\""), "{xml}");
            assert!(
                xml.contains(&format!(r#"<property name="ending" value="{}"/>"#, ending.word())),
                "{xml}"
            );
            assert!(
                xml.contains(&format!(r#"<property name="exit-code" value="{}"/>"#, ending.code())),
                "{xml}"
            );
        }
    }

    #[test]
    fn a_case_that_was_not_run_says_why() {
        let whys = [
            (vec![end(&[], Some("a case did not pass"))], "the run was stopped early: a case did not pass"),
            (vec![end(&[Ending::Panicked], None)], "the run ended before: panicked"),
            (vec![], "the record ends before the run did: muster was killed, or the record was cut"),
        ];
        for (after, why) in whys {
            let xml = junit(None, after);
            let error = format!(r#"<error type="not-run" message="not run to its end: {why}"/>"#);
            assert!(xml.contains(&error), "{error}\n{xml}");
        }
    }
}
