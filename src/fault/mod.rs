//! Faults: what is broken on purpose, whom it hits, and what must hold before anything is broken.
//!
//! Lives here: the choice of a victim (`victim`, pure and seeded), the guards (`guard`, pure), one file per fault. Does
//! not: probes and recovery (`step::disrupt`).

mod delete_pod;
pub mod guard;
pub mod victim;

pub use delete_pod::{Injected, delete_pod};

/// The faults, by key, each with a sentence.
pub const FAULTS: &[(&str, &str)] = &[(
    "delete_pod",
    "deletes one Ready pod of a member, by name and UID, with the grace that its manifest gives it",
)];
