//! `muster list`.

use super::args::ListArguments;
use super::{Ended, open};
use crate::host;
use crate::outcome::Ending;
use crate::run::Selection;
use crate::suite::Members;

/// Lists cases: family, id, tags, and the promise.
pub(super) fn list(arguments: &ListArguments) -> Ended {
    let suites = open::suites(&arguments.suites)?;
    let asked = &arguments.selection;
    let selection =
        Selection { filters: asked.filters.clone(), is_exact: asked.exact, tags: asked.tags.clone() };
    if let Some(told) = open::unmatched(&suites, None, &selection) {
        host::tell(&told);
        return Ok(Ending::NothingSelected);
    }
    let mut count = 0;
    for case in suites.cases.iter().filter(|case| selection.chooses(case, &case.id)) {
        let members = match &case.for_each {
            Some((_, Members::Group(group))) => format!("[each of {}]", group.value),
            Some((_, Members::List(list))) => format!("[{} members]", list.len()),
            None => String::new(),
        };
        let tags: Vec<&str> = case.tags.iter().map(|tag| tag.value.as_str()).collect();
        let tags = if tags.is_empty() { String::new() } else { format!("  ({})", tags.join(", ")) };
        host::print(&format!("{}/{}{members}{tags}\n    {}\n", case.family, case.id.value, case.why.value));
        count += 1;
    }
    host::print(&format!("{count} cases\n"));
    Ok(if count == 0 { Ending::NothingSelected } else { Ending::Passed })
}
