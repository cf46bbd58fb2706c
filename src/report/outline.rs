//! `outline`: the whole run as one snapshot: every case, its verdict, its kinds of failure, and no times. The same
//! release gives the same outline.

use super::{Rendered, Told};
use crate::outcome::CaseOutcome;

pub(super) fn render(told: &Told<'_>) -> Rendered {
    let mut lines: Vec<String> = told.outcome.cases.iter().map(line).collect();
    lines.sort();
    // A JSON text is a YAML text too, whatever the target is called.
    let about = serde_json::Value::from(format!("outline of a run on {}", told.outcome.start.target));
    Ok(format!("---\nsource: muster\ndescription: {about}\n---\n{}\n", lines.join("\n")))
}

fn line(case: &CaseOutcome) -> String {
    let kinds: Vec<String> =
        case.failures.iter().map(|failure| format!("{} at `{}`", failure.kind, failure.step)).collect();
    let kinds = if kinds.is_empty() { String::new() } else { format!("  {}", kinds.join(", ")) };
    format!("{}/{}: {}{kinds}", case.planned.family, case.planned.case, case.word())
}
