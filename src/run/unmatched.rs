//! What was asked for and is not there: a run of the rest would look like a run of everything that was asked for.
//!
//! Lives here: filters and tags that match no case, and what may have been meant. Does not: cases that are there and
//! left out (`plan`).

use super::Selection;
use super::plan::all_names;
use crate::source::did_you_mean;
use crate::suite::{Case, Suites};
use crate::target::TargetFile;
use std::collections::BTreeSet;

/// Something that was asked for and matches no case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmatched {
    /// As it was written.
    pub asked: String,
    /// What may have been meant.
    pub hint: Option<String>,
}

/// Every filter and tag of a selection that matches no case by itself. Without a target the members of its groups are
/// not known, and only ids count.
pub fn unmatched(suites: &Suites, target: Option<&TargetFile>, selection: &Selection) -> Vec<Unmatched> {
    let names = |case: &Case| match target {
        Some(target) => all_names(case, target),
        None => vec![case.id.value.clone()],
    };
    let cases = suites.cases.iter();
    let named: Vec<(&Case, String)> =
        cases.flat_map(|case| names(case).into_iter().map(move |name| (case, name))).collect();
    let is_there = |filter: &String| {
        let alone = Selection { filters: vec![filter.clone()], is_exact: selection.is_exact, tags: vec![] };
        named.iter().any(|(case, name)| alone.chooses(case, name))
    };
    let tags = tags(suites);
    let filters = selection.filters.iter().filter(|filter| !is_there(filter));
    let filters =
        filters.map(|filter| Unmatched { asked: format!("`{filter}`"), hint: meant(filter, &named, &tags) });
    let unknown = selection.tags.iter().filter(|tag| !tags.contains(tag.as_str()));
    let unknown = unknown.map(|tag| Unmatched {
        asked: format!("`--tag {tag}`"),
        hint: did_you_mean(tag, tags.iter().copied()),
    });
    filters.chain(unknown).collect()
}

fn tags(suites: &Suites) -> BTreeSet<&str> {
    suites.cases.iter().flat_map(|case| &case.tags).map(|tag| tag.value.as_str()).collect()
}

fn meant(filter: &str, named: &[(&Case, String)], tags: &BTreeSet<&str>) -> Option<String> {
    if tags.contains(filter) {
        return Some(format!("`{filter}` is a tag: --tag {filter}"));
    }
    let families = named.iter().map(|(case, _)| case.family.as_str());
    did_you_mean(filter, named.iter().map(|(_, name)| name.as_str()).chain(families))
}
