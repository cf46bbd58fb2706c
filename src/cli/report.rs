//! `muster report KIND --from RUN`.

use super::args::ReportArguments;
use super::{Ended, Refusal};
use crate::outcome::{self, Ending};
use crate::report::Told;
use crate::{files, host, report};

/// Renders a report of an earlier run, from its record alone.
pub(super) fn report(arguments: &ReportArguments) -> Ended {
    let run = arguments.run.as_ref().unwrap_or(&arguments.from);
    let path = if run.is_dir() { run.join("run.jsonl") } else { run.clone() };
    let records = outcome::read_record(&files::read_text(&path)?)?;
    let outcome = outcome::fold(&records)
        .ok_or_else(|| Refusal::new(format!("{} does not tell how a run started", path.display())))?;
    let kind = report::kind(&arguments.kind).ok_or_else(|| no_report(&arguments.kind))?;
    host::print(&report::render(kind, &Told { outcome: &outcome, records: &records })?);
    Ok(Ending::Passed)
}

/// There is no such kind of report.
pub(super) fn no_report(name: &str) -> Refusal {
    let all = report::KINDS.iter().map(|kind| kind.name).collect::<Vec<_>>().join(", ");
    Refusal::new(format!("there is no report `{name}`\nhint: reports are {all}"))
}
