//! `summary`: what a program wants to know of a run, as JSON.

use super::{Rendered, Told};
use crate::outcome::CaseOutcome;
use serde_json::{Value, json};

pub(super) fn render(told: &Told<'_>) -> Rendered {
    let outcome = told.outcome;
    let (endings, ending) = (outcome.endings(), outcome.ending());
    let summary = json!({
        "run": outcome.start.run,
        "target": outcome.start.target,
        "seed": outcome.start.seed,
        "muster": outcome.start.muster,
        "started": outcome.start.started,
        "took_us": outcome.end.as_ref().map(|end| end.took_us),
        "ending": ending.word(),
        "exit_code": ending.code(),
        "endings": endings.iter().map(|ending| ending.word()).collect::<Vec<_>>(),
        "applied": outcome.applied.iter().map(|(ending, why)| json!({ "ending": ending.word(), "why": why })).collect::<Vec<_>>(),
        "stopped_by": outcome.end.as_ref().and_then(|end| end.stopped_by.clone()),
        "totals": outcome.totals(),
        "disruptive_left_out": outcome.start.disruptive_left_out,
        "leftovers": places(&outcome.leftovers, "what"),
        "residue": places(&outcome.residue, "at"),
        "led_elsewhere": places(&outcome.led_elsewhere, "to"),
        "cases": outcome.cases.iter().map(case).collect::<Vec<_>>(),
    });
    Ok(format!("{}\n", serde_json::to_string_pretty(&summary)?))
}

/// What stays, each with its case and the reason.
fn places<T: serde::Serialize>(list: &[(String, T, T)], what: &str) -> Vec<Value> {
    list.iter().map(|(case, at, why)| json!({ "case": case, what: at, "why": why })).collect()
}

fn case(case: &CaseOutcome) -> Value {
    json!({
        "family": case.planned.family,
        "case": case.planned.case,
        "outcome": case.word(),
        "took_us": case.took_us,
        "flaky": case.is_flaky(),
        "skipped": case.skipped,
        "failures": case.failures.iter().map(|it| json!({ "kind": it.kind, "step": it.step, "message": it.message })).collect::<Vec<_>>(),
        "recoveries": case.recoveries,
    })
}
