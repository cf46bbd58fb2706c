//! `muster libtest`, and the suites as `cargo test` runs them: the plan runs once, each case is one test.

use super::args::{RunArguments, SelectionArguments, SuitesArguments};
use super::run::{Performed, perform};
use super::{Refusal, open};
use crate::host;
use crate::outcome::{CaseOutcome, Ending, Verdict};
use crate::run::STOOD_STILL;
use clap::Parser;
use libtest_mimic::{Arguments, Completion, Trial};
use std::collections::BTreeMap;

/// What a case says to the test runner.
enum Said {
    Passed,
    Ignored(String),
    Failed(String),
}

/// Runs the cases that the arguments choose, on the built-in fakes, and reports each as one test. What could not be judged
/// because this machine was too busy is asked a second time. Gives the exit code:
/// 0, 101 if a test failed, 4 if no case was chosen, 2 for unusable arguments.
pub fn libtest(arguments: &[String]) -> u8 {
    let all = std::iter::once("muster".to_owned()).chain(arguments.iter().cloned());
    let mut arguments = match Arguments::try_parse_from(all) {
        Ok(arguments) => arguments,
        Err(told) => return super::refused(&told),
    };
    // Tests only report what has already happened: in the order of the plan.
    arguments.test_threads = Some(1);
    match reported(&arguments) {
        Ok(code) => code,
        Err(refusal) => super::misused(&super::harmless(&refusal.0)),
    }
}

fn reported(arguments: &Arguments) -> Result<u8, Refusal> {
    let folder = tempfile::Builder::new().prefix("muster-libtest-").tempdir()?;
    let names = names(&run_arguments(vec![], folder.path()))?;
    let chosen: Vec<String> = names
        .iter()
        .filter(|(family, name)| {
            let trial = trial(family, name, None);
            !arguments.is_filtered_out(&trial) && !arguments.is_ignored(&trial)
        })
        .map(|(_, name)| name.clone())
        .collect();
    let mut said = BTreeMap::new();
    if !arguments.list && !chosen.is_empty() {
        let starved = asked(chosen, folder.path(), &mut said)?;
        if !starved.is_empty() {
            host::tell(&format!(
                "asked again, for this machine was too busy to judge: {}\n",
                starved.join(", ")
            ));
            asked(starved, folder.path(), &mut said)?;
        }
    }
    let trials = names.iter().map(|(family, name)| trial(family, name, said.remove(name))).collect();
    let conclusion = libtest_mimic::run(arguments, trials);
    Ok(if conclusion.has_failed() { Ending::Panicked.code() } else { 0 })
}

/// Failures that say something of the machine muster runs on, and nothing of the platform.
const OF_OUR_OWN: [&str; 2] = ["probe.blind", STOOD_STILL];

/// Runs cases, notes what each says, and gives the names of those that this machine kept from being judged.
fn asked(
    cases: Vec<String>,
    folder: &std::path::Path,
    said: &mut BTreeMap<String, Said>,
) -> Result<Vec<String>, Refusal> {
    let Performed::Run(outcome) = perform(&run_arguments(cases, folder), false)? else { return Ok(vec![]) };
    said.extend(outcome.cases.iter().map(|case| (case.planned.case.clone(), said_of(case))));
    let is_starved = |case: &&CaseOutcome| {
        let mut kinds = case.failures.iter().map(|failure| failure.kind.as_str());
        case.verdict == Some(Verdict::Inconclusive) && kinds.all(|kind| OF_OUR_OWN.contains(&kind))
    };
    Ok(outcome.cases.iter().filter(is_starved).map(|case| case.planned.case.clone()).collect())
}

fn run_arguments(filters: Vec<String>, folder: &std::path::Path) -> RunArguments {
    RunArguments {
        suites: SuitesArguments::default(),
        selection: SelectionArguments { exact: true, filters, ..SelectionArguments::default() },
        jobs: 16,
        timeout: None,
        fail_fast: false,
        wait_for_target: None,
        dry_run: false,
        reports: vec![],
        report_dir: folder.to_path_buf(),
        state_dir: None,
        snapshots: "fixtures/snapshots".into(),
        update_snapshots: false,
        pace: 0.05,
    }
}

/// Family and name of every case on the built-in fakes, without starting them for long.
fn names(arguments: &RunArguments) -> Result<Vec<(String, String)>, Refusal> {
    let suites = open::suites(&arguments.suites)?;
    let state = super::state::State::passing()?;
    let opened = open::target(&arguments.selection, arguments.pace, 0, &state)?;
    let plan = crate::run::plan(&suites, &opened.file, &crate::run::Selection::default(), 0, true);
    let mut names: Vec<(String, String)> =
        plan.cases.iter().map(|planned| (planned.case.family.clone(), planned.name.clone())).collect();
    names.sort();
    Ok(names)
}

fn trial(family: &str, name: &str, said: Option<Said>) -> Trial {
    Trial::ignorable_test(name, move || match said {
        Some(Said::Passed) => Ok(Completion::Completed),
        Some(Said::Ignored(why)) => Ok(Completion::ignored_with(why)),
        Some(Said::Failed(text)) => Err(text.into()),
        None => Err("not run".into()),
    })
    .with_kind(family)
}

fn said_of(case: &CaseOutcome) -> Said {
    let failures = || {
        let one = |failure: &crate::outcome::Failure| {
            let spot = failure.spot.as_ref().map(|spot| format!("  at {spot}\n")).unwrap_or_default();
            let shown: String =
                failure.evidence.iter().map(|it| format!("  {}:\n{}\n", it.label, it.text)).collect();
            format!(
                "{} ({}) in step `{}`: {}\n{spot}{shown}",
                failure.verdict, failure.kind, failure.step, failure.message
            )
        };
        case.failures.iter().map(one).collect::<String>()
    };
    match (case.verdict, &case.known) {
        (Some(Verdict::Pass), _) => Said::Passed,
        (Some(Verdict::Skip), _) => {
            Said::Ignored(case.skipped.as_ref().map(ToString::to_string).unwrap_or_default())
        }
        (Some(Verdict::Fail), Some(known)) => {
            Said::Ignored(format!("known: {} until {}", known.ticket, known.until))
        }
        (Some(Verdict::Fail | Verdict::Inconclusive), _) => Said::Failed(failures()),
        (None, _) => Said::Failed("not run".into()),
    }
}
