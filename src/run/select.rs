//! Which cases are chosen.

use crate::suite::Case;

/// What was asked for. Nothing asked for means everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Parts of a case's family and full name, as `FAMILY/NAME`; one of them must be found.
    pub filters: Vec<String>,
    /// Full names only, with their family or without it, instead of parts of them.
    pub is_exact: bool,
    /// Tags; one of them must be there.
    pub tags: Vec<String>,
}

impl Selection {
    /// Whether a case of this full name is chosen.
    pub fn chooses(&self, case: &Case, name: &str) -> bool {
        let path = format!("{}/{name}", case.family);
        let is_named = |filter: &String| {
            if self.is_exact { name == filter || path == *filter } else { path.contains(filter.as_str()) }
        };
        let has_tag = |tag: &String| case.tags.iter().any(|one| one.value == *tag);
        (self.filters.is_empty() || self.filters.iter().any(is_named))
            && (self.tags.is_empty() || self.tags.iter().any(has_tag))
    }
}
