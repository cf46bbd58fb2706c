//! Who may call what, judged as triplets.
//!
//! A refusal proves something only if the same call works for its owner just before and just after: otherwise the
//! service may simply be down, or the data gone. Lives here: the verdict on one cell (call × identity) from what was
//! seen. Does not: sending the calls (`step::access`).

use super::Mismatch;

/// What one reply showed, as far as access is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// The call was carried out.
    Granted,
    /// It was refused in one of the platform's forms.
    Refused,
    /// Another error, which says nothing about access.
    Error(u16),
    /// No answer at all.
    Nothing,
}

/// The verdict on one cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// As it should be.
    Kept,
    /// A promise was broken.
    Broken(Mismatch),
    /// It cannot be said.
    Unjudged(Mismatch),
}

impl Cell {
    fn broken(kind: &'static str, message: String) -> Self {
        Self::Broken(Mismatch { kind, message })
    }

    fn unjudged(kind: &'static str, message: String) -> Self {
        Self::Unjudged(Mismatch { kind, message })
    }
}

/// The verdict on a call that must be refused to `who`. `before` and `after` are the owner's own calls around it;
/// `shows_canary`: the reply held what only the owner may see; `changed`: a watched value was not what it was.
pub fn denied(who: &str, before: Seen, seen: Seen, after: Seen, shows_canary: bool, changed: bool) -> Cell {
    if shows_canary {
        return Cell::broken("leak.canary", format!("{who} was shown the canary"));
    }
    if changed {
        return Cell::broken("leak.changed", format!("{who} was able to change what is not theirs"));
    }
    if seen == Seen::Granted {
        return Cell::broken("access.granted", format!("{who} was not refused"));
    }
    if before != Seen::Granted || after != Seen::Granted {
        let message =
            format!("the owner's own call did not work around it (before: {before}, after: {after})");
        return Cell::unjudged("access.no-owner", message);
    }
    match seen {
        Seen::Refused => Cell::Kept,
        _ => Cell::unjudged("access.error", format!("{who} got {seen}, which is no form of refusal")),
    }
}

/// The verdict on a call that `who` must be able to make.
pub fn allowed(who: &str, seen: Seen) -> Cell {
    match seen {
        Seen::Granted => Cell::Kept,
        Seen::Refused => Cell::broken("access.refused", format!("{who} was refused")),
        Seen::Error(_) | Seen::Nothing => Cell::unjudged("access.error", format!("{who} got {seen}")),
    }
}

impl std::fmt::Display for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Granted => f.write_str("granted"),
            Self::Refused => f.write_str("refused"),
            Self::Error(status) => write!(f, "error {status}"),
            Self::Nothing => f.write_str("no answer"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Seen::*;
    use super::*;

    fn kind(cell: &Cell) -> &'static str {
        match cell {
            Cell::Kept => "kept",
            Cell::Broken(it) | Cell::Unjudged(it) => it.kind,
        }
    }

    #[test]
    fn a_denied_cell_is_judged_by_its_triplet() {
        for (before, seen, after, canary, changed, verdict) in [
            (Granted, Refused, Granted, false, false, "kept"),
            (Granted, Granted, Granted, false, false, "access.granted"),
            (Granted, Refused, Granted, true, false, "leak.canary"),
            (Error(500), Error(500), Error(500), true, false, "leak.canary"),
            (Granted, Refused, Granted, false, true, "leak.changed"),
            (Granted, Error(500), Granted, false, false, "access.error"),
            (Granted, Nothing, Granted, false, false, "access.error"),
            (Error(500), Refused, Granted, false, false, "access.no-owner"),
            (Granted, Refused, Refused, false, false, "access.no-owner"),
        ] {
            let cell = denied("bob", before, seen, after, canary, changed);
            assert_eq!(kind(&cell), verdict, "{before:?} {seen:?} {after:?} {canary} {changed}");
        }
    }

    #[test]
    fn an_allowed_cell_must_be_granted() {
        assert_eq!(allowed("operator", Granted), Cell::Kept);
        assert_eq!(kind(&allowed("operator", Refused)), "access.refused");
        assert!(matches!(allowed("operator", Error(500)), Cell::Unjudged(_)));
    }
}
