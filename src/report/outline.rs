//! `outline`: the whole run as one snapshot: every case, its verdict, its kinds of failure, and no times. The same
//! release gives the same outline.

use super::Told;
use crate::outcome::CaseOutcome;

pub(super) fn render(told: &Told<'_>) -> String {
    let mut lines: Vec<String> = told.outcome.cases.iter().map(line).collect();
    lines.sort();
    format!("---\nsource: muster\ndescription: outline of a run on {}\n---\n{}\n", told.outcome.start.target, lines.join("\n"))
}

fn line(case: &CaseOutcome) -> String {
    let kinds: Vec<String> =
        case.failures.iter().map(|failure| format!("{} at `{}`", failure.kind, failure.step)).collect();
    let kinds = if kinds.is_empty() { String::new() } else { format!("  {}", kinds.join(", ")) };
    format!("{}/{}: {}{kinds}", case.planned.family, case.planned.case, case.word())
}
