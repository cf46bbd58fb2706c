//! `console`: a run as a person reads it when it is over.
//!
//! Not here: following a run that goes on (`follow`).

use super::terminal::{harmless, harmless_line};
use super::{Rendered, Told};
use crate::outcome::{CaseOutcome, Ending, Failure, Outage, Outcome, Recovery, Verdict};

/// Evidence is shown up to this many lines each.
const EVIDENCE_LINES: usize = 12;

pub(super) fn render(told: &Told<'_>) -> Rendered {
    Ok(console_summary(told.outcome, false))
}

/// The end of a run, as a person reads it.
pub fn console_summary(outcome: &Outcome, has_colors: bool) -> String {
    let paint = Paint { has_colors };
    let mut text = String::new();
    for case in outcome.cases.iter().filter(|case| needs_telling(case)) {
        text.push_str(&failed_case(case, &paint));
    }
    text.push_str(&known(outcome));
    text.push_str(&recoveries(outcome));
    text.push_str(&families(outcome, &paint));
    text.push_str(&led_elsewhere(outcome));
    text.push_str(&left(outcome));
    text.push_str(&last_lines(outcome, &paint));
    text
}

fn needs_telling(case: &CaseOutcome) -> bool {
    matches!(case.verdict, Some(Verdict::Fail | Verdict::Inconclusive)) && case.known.is_none()
}

fn failed_case(case: &CaseOutcome, paint: &Paint) -> String {
    let verdict = case.verdict.unwrap_or(Verdict::Inconclusive);
    let head = format!("{} {}/{}", verdict.word(), case.planned.family, case.planned.case);
    let mut text = format!(
        "\n{}\n  {}\n  {}:{}\n",
        paint.verdict(verdict, &head),
        case.planned.why,
        case.planned.file,
        case.planned.line
    );
    for failure in &case.failures {
        text.push_str(&shown(failure));
    }
    text
}

fn shown(failure: &Failure) -> String {
    let spot = failure.spot.as_ref().map(|spot| format!(" ({spot})")).unwrap_or_default();
    let (step, message) = (harmless_line(&failure.step), harmless_line(failure.message.as_str()));
    let mut text = format!("  step `{step}`{spot}\n    {}: {message}\n", failure.kind);
    for evidence in &failure.evidence {
        text += &format!("    {}:\n", evidence.label);
        let shown = harmless(evidence.text.as_str());
        let lines: Vec<&str> = shown.lines().collect();
        for line in lines.iter().take(EVIDENCE_LINES) {
            text += &format!("      {line}\n");
        }
        if lines.len() > EVIDENCE_LINES {
            text += &format!("      … {} lines more\n", lines.len() - EVIDENCE_LINES);
        }
    }
    text
}

/// Failures that are forgiven, and entries that forgave nothing: those should go.
fn known(outcome: &Outcome) -> String {
    let mut text = String::new();
    for case in &outcome.cases {
        if let Some(known) = &case.known {
            text += &format!(
                "known failure {}: {} until {}: {}\n",
                known.ticket, known.case, known.until, known.because
            );
        }
    }
    for entry in &outcome.start.known_failures {
        if outcome
            .cases
            .iter()
            .any(|case| case.planned.case == entry.case && case.verdict == Some(Verdict::Pass))
        {
            text += &format!("passes again: {}; its entry for {} can go\n", entry.case, entry.ticket);
        }
    }
    text
}

/// The table of faults: three clocks and the longest outage of each probe.
fn recoveries(outcome: &Outcome) -> String {
    let all: Vec<&Recovery> = outcome.cases.iter().flat_map(|case| &case.recoveries).collect();
    if all.is_empty() {
        return String::new();
    }
    let mut text =
        format!("\n{:<42} {:>16} {:>9} {:>9}  longest outage\n", "killed", "Ready", "served", "registry");
    for one in all {
        let outages: Vec<String> = one.outages.iter().map(outage).collect();
        text += &format!(
            "{:<42} {:>16} {:>9} {:>9}  {}\n",
            one.victim,
            ready(one),
            time(one.served_us),
            time(one.registry_us),
            outages.join(", ")
        );
    }
    text
}

fn ready(one: &Recovery) -> String {
    match one.ready_us.and(one.ready_error_us) {
        Some(error) => format!("{} ± {}", time(one.ready_us), time(Some(error))),
        None => time(one.ready_us),
    }
}

fn outage(one: &Outage) -> String {
    format!("{} {} ± {}", one.probe, time(Some(one.longest_us)), time(Some(one.error_us)))
}

fn time(micros: Option<u64>) -> String {
    match micros {
        None => "-".into(),
        Some(micros) if micros < 1_000_000 => format!("{} ms", micros / 1_000),
        Some(micros) => format!("{}.{:02} s", micros / 1_000_000, micros % 1_000_000 / 10_000),
    }
}

fn families(outcome: &Outcome, paint: &Paint) -> String {
    let mut names: Vec<&str> = outcome.cases.iter().map(|case| case.planned.family.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let mut text = String::from("\n");
    for name in names {
        let cases: Vec<&CaseOutcome> =
            outcome.cases.iter().filter(|case| case.planned.family == name).collect();
        let good = cases.iter().filter(|case| case.verdict == Some(Verdict::Pass)).count();
        let worst = cases.iter().filter_map(|case| case.verdict).max().unwrap_or(Verdict::Inconclusive);
        text += &format!(
            "  {:<18} {}\n",
            name,
            paint.verdict(worst, &format!("{good} of {} passed", cases.len()))
        );
    }
    text
}

/// How often the target would have led elsewhere, and where to.
fn led_elsewhere(outcome: &Outcome) -> String {
    let mut counts: std::collections::BTreeMap<(String, String), usize> = Default::default();
    for (_, to, why) in &outcome.led_elsewhere {
        *counts.entry((harmless_line(to.as_str()), harmless_line(why.as_str()))).or_default() += 1;
    }
    let line = |((to, why), count): (&(String, String), &usize)| {
        format!("led to {to}, which the target file does not name, and not followed: {count} × {why}\n")
    };
    counts.iter().map(line).collect()
}

fn left(outcome: &Outcome) -> String {
    let mut text = String::new();
    for (case, what, why) in &outcome.leftovers {
        let (what, why) = (harmless_line(what.as_str()), harmless_line(why.as_str()));
        text += &format!("LEFT BEHIND by {case}: {what}: {why}\n");
    }
    if !outcome.leftovers.is_empty() {
        text.push_str("put it back with: muster cleanup --target FILE\n");
    }
    let places: std::collections::BTreeSet<&str> =
        outcome.residue.iter().map(|(_, at, _)| at.as_str()).collect();
    if !places.is_empty() {
        let places: Vec<String> = places.into_iter().map(harmless_line).collect();
        text += &format!("stays, as declared: {}\n", places.join(", "));
    }
    text
}

fn last_lines(outcome: &Outcome, paint: &Paint) -> String {
    let totals = outcome.totals();
    let counts = [
        (totals.passed, "passed"),
        (totals.failed, "failed"),
        (totals.inconclusive, "inconclusive"),
        (totals.skipped, "skipped"),
        (totals.known, "known"),
        (totals.not_run, "not run"),
        (totals.flaky, "flaky"),
    ];
    let counts: Vec<String> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    let ending = outcome.ending();
    let took = outcome.end.as_ref().map_or_else(|| "not ended".into(), |end| time(Some(end.took_us)));
    let verdict = if ending == Ending::Passed { Verdict::Pass } else { Verdict::Fail };
    let line = format!("{} ({took}): {}, exit code {}", counts.join(", "), ending.word(), ending.code());
    let mut text = format!("{}\n", paint.verdict(verdict, &line));
    if let Some(why) = outcome.end.as_ref().and_then(|end| end.stopped_by.as_ref()) {
        text += &format!("stopped early: {}\n", harmless_line(why.as_str()));
    }
    for (ending, why) in &outcome.applied {
        text += &format!("{}: {}\n", ending.word(), harmless_line(why.as_str()));
    }
    if outcome.start.disruptive_left_out > 0 {
        text += &format!(
            "{} disruptive cases were left out: --allow-disruption\n",
            outcome.start.disruptive_left_out
        );
    }
    text + &skipped(outcome)
}

/// Each reason why cases were skipped, with their number: what was asked for and not done is seen where people look.
fn skipped(outcome: &Outcome) -> String {
    let mut counts: std::collections::BTreeMap<String, usize> = Default::default();
    for why in outcome.cases.iter().filter_map(|case| case.skipped.as_ref()) {
        *counts.entry(harmless_line(why.as_str())).or_default() += 1;
    }
    counts.iter().map(|(why, count)| format!("skipped: {count} × {why}\n")).collect()
}

struct Paint {
    has_colors: bool,
}

impl Paint {
    fn verdict(&self, verdict: Verdict, text: &str) -> String {
        let color = match verdict {
            Verdict::Pass => 32,
            Verdict::Fail => 31,
            Verdict::Inconclusive => 33,
            Verdict::Skip => 36,
        };
        if self.has_colors { format!("\u{1b}[{color}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}
