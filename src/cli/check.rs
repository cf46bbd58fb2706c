//! `muster check`.

use super::args::CheckArguments;
use super::{Ended, open};
use crate::outcome::Ending;
use crate::{host, suite};

/// Reads everything, and tells every problem.
pub(super) fn check(arguments: &CheckArguments) -> Ended {
    let suites = open::suites(&arguments.suites)?;
    if let Some(path) = &arguments.target {
        let opened = open::target_file(path)?;
        suite::lint_target(&suites, &opened.file, &opened.source).or(())?;
    }
    let (cases, operations) = (suites.cases.len(), suites.book.operations.len());
    host::print(&format!(
        "{cases} cases, {operations} operations, {} flows: no problem\n",
        suites.book.flows.len()
    ));
    Ok(Ending::Passed)
}
