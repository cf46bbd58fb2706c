//! muster: *does this release pass muster?* A regression and resiliency test harness for a service platform on
//! Kubernetes. Its suites are text; its first platform is M3O (the Micro platform of November 2020).
//!
//! ```text
//!  suites/**/*.yaml  operations.yaml  flows/*.yaml              target.yaml (live)  |  fake::start() → a target file
//!             │                                                            │
//!             ▼  suite::load                                               ▼  target::connect
//!         Vec<Case> ─────────► run::plan(cases, target, selection, seed) ─► Plan ─► run::execute(plan, target, journal, sink)
//!  (or every problem at once)                (pure)                                        │  Event, Event, Event …
//!                                                                         console (live) ◄─┼─► run.jsonl (the one truth)
//!                                                                                          ▼
//!                                               report::write(kind, &outcome, out) ◄── outcome::fold(events)   (pure)
//! ```
//!
//! One direction of data: `text → cases → plan → events → outcome → reports`. `ARCHITECTURE.md` holds the table of
//! which module may use which, and a test reads it.

pub mod cli;
pub mod client;
pub mod fake;
pub mod fault;
pub mod files;
pub mod host;
pub mod judge;
pub mod ledger;
pub mod outcome;
pub mod probe;
pub mod report;
pub mod run;
pub mod scan;
pub mod secret;
pub mod source;
pub mod step;
pub mod suite;
pub mod target;
