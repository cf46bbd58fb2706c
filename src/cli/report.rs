//! `muster report KIND --from RUN`.

use super::args::ReportArguments;
use super::{Ended, Refusal};
use crate::outcome::{self, Ending};
use crate::report::Told;
use crate::{files, host, report};
use std::collections::BTreeSet;

/// Renders a report of an earlier run, from its record alone.
pub(super) fn report(arguments: &ReportArguments) -> Ended {
    let path =
        if arguments.from.is_dir() { arguments.from.join("run.jsonl") } else { arguments.from.clone() };
    let records = outcome::read_record(&files::read_text(&path)?)?;
    let outcome = outcome::fold(&records)
        .ok_or_else(|| Refusal::new(format!("{} does not tell how a run started", path.display())))?;
    let text = report::render(
        &arguments.kind,
        &Told { outcome: &outcome, records: &records, further: &BTreeSet::new() },
    )
    .ok_or_else(|| {
        let all = report::KINDS.iter().map(|kind| kind.name).collect::<Vec<_>>().join(", ");
        Refusal::new(format!("there is no report `{}`\nhint: reports are {all}", arguments.kind))
    })?;
    host::print(&text);
    Ok(Ending::Passed)
}
