//! Who may call what, judged as triplets.
//!
//! A refusal proves something only if the same call works for its owner just before and just after: otherwise the
//! service may simply be down, or the data gone. A write cannot be made as the owner just to see that it works; in its
//! place stands the read that shows what it would change. Lives here: the verdict on one cell (call × identity) from what
//! was seen. Does not: sending the calls (`step::access`).

use super::Mismatch;

/// What one reply showed, as far as access is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// The call was carried out.
    Granted,
    /// It was refused in one of the platform's forms.
    Refused,
    /// The call was carried out, and its answer does not show what it must.
    Otherwise,
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

/// What the owner saw just before and just after a call that must be refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Around {
    /// The same call, made by the owner.
    OwnCalls {
        /// Before.
        before: Seen,
        /// After.
        after: Seen,
    },
    /// A read of what the call would change.
    WatchedReads {
        /// Before.
        before: Seen,
        /// After.
        after: Seen,
        /// Whether the two show the same.
        is_same: bool,
    },
}

impl Around {
    /// Whether both reads worked, and show that something has changed between them.
    fn shows_change(self) -> bool {
        matches!(self, Self::WatchedReads { before: Seen::Granted, after: Seen::Granted, is_same: false })
    }

    /// Why nothing is proved by a refusal, if it is so.
    fn gap(self) -> Option<Cell> {
        let (kind, what, before, after) = match self {
            Self::OwnCalls { before, after } => ("access.no-owner", "the owner's own call", before, after),
            Self::WatchedReads { before, after, .. } => {
                ("access.unwatched", "the read that shows whether anything changed", before, after)
            }
        };
        let works = before == Seen::Granted && after == Seen::Granted;
        let message = format!("{what} did not work around it (before: {before}, after: {after})");
        (!works).then(|| Cell::unjudged(kind, message))
    }
}

/// The verdict on a call that must be refused to `who`. `shows_canary`: the reply held what only the owner may see.
pub fn denied(who: &str, seen: Seen, around: Around, shows_canary: bool) -> Cell {
    if shows_canary {
        return Cell::broken("leak.canary", format!("{who} was shown the canary"));
    }
    if around.shows_change() {
        return Cell::broken("leak.changed", format!("{who} was able to change what is not theirs"));
    }
    match (seen, around.gap()) {
        (Seen::Granted | Seen::Otherwise, _) => {
            Cell::broken("access.granted", format!("{who} was not refused"))
        }
        (_, Some(gap)) => gap,
        (Seen::Refused, None) => Cell::Kept,
        (Seen::Error(_) | Seen::Nothing, None) => {
            Cell::unjudged("access.error", format!("{who} got {seen}, which is no form of refusal"))
        }
    }
}

/// The verdict on a call that `who` must be able to make.
pub fn allowed(who: &str, seen: Seen) -> Cell {
    match seen {
        Seen::Granted | Seen::Otherwise => Cell::Kept,
        Seen::Refused => Cell::broken("access.refused", format!("{who} was refused")),
        Seen::Error(_) | Seen::Nothing => Cell::unjudged("access.error", format!("{who} got {seen}")),
    }
}

impl std::fmt::Display for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Granted => f.write_str("granted"),
            Self::Otherwise => f.write_str("granted, without what it must show"),
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
    fn a_denied_read_is_judged_by_its_triplet() {
        for (before, seen, after, canary, verdict) in [
            (Granted, Refused, Granted, false, "kept"),
            (Granted, Granted, Granted, false, "access.granted"),
            (Error(500), Granted, Error(500), false, "access.granted"),
            (Granted, Refused, Granted, true, "leak.canary"),
            (Error(500), Error(500), Error(500), true, "leak.canary"),
            (Granted, Error(500), Granted, false, "access.error"),
            (Granted, Nothing, Granted, false, "access.error"),
            (Error(500), Refused, Granted, false, "access.no-owner"),
            (Granted, Refused, Refused, false, "access.no-owner"),
            (Granted, Refused, Nothing, false, "access.no-owner"),
        ] {
            let cell = denied("bob", seen, Around::OwnCalls { before, after }, canary);
            assert_eq!(kind(&cell), verdict, "{before:?} {seen:?} {after:?} {canary}");
        }
    }

    #[test]
    fn a_denied_write_is_judged_by_what_the_owner_reads_around_it() {
        for (before, seen, after, is_same, verdict) in [
            (Granted, Refused, Granted, true, "kept"),
            (Granted, Refused, Granted, false, "leak.changed"),
            (Granted, Error(500), Granted, false, "leak.changed"),
            (Granted, Granted, Granted, true, "access.granted"),
            (Granted, Granted, Error(500), false, "access.granted"),
            (Granted, Error(500), Granted, true, "access.error"),
            (Granted, Refused, Error(500), false, "access.unwatched"),
            (Granted, Refused, Nothing, false, "access.unwatched"),
            (Error(500), Refused, Granted, false, "access.unwatched"),
            (Error(500), Refused, Error(500), true, "access.unwatched"),
            (Nothing, Error(500), Granted, false, "access.unwatched"),
            (Otherwise, Refused, Otherwise, true, "access.unwatched"),
            (Granted, Refused, Otherwise, false, "access.unwatched"),
        ] {
            let around = Around::WatchedReads { before, after, is_same };
            let cell = denied("bob", seen, around, false);
            assert_eq!(kind(&cell), verdict, "{before:?} {seen:?} {after:?} {is_same}");
            let is_unjudged = matches!(verdict, "access.unwatched" | "access.error");
            assert_eq!(matches!(cell, Cell::Unjudged(_)), is_unjudged);
        }
    }

    #[test]
    fn an_allowed_cell_must_be_granted() {
        assert_eq!(allowed("operator", Granted), Cell::Kept);
        assert_eq!(kind(&allowed("operator", Refused)), "access.refused");
        assert!(matches!(allowed("operator", Error(500)), Cell::Unjudged(_)));
    }
}
