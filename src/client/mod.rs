//! The wire doors: how muster speaks to what it tests.
//!
//! Lives here: one client per protocol, each thin over a proven library, without retries of its own. Does not: what is
//! asked, nor whether the answer is right.

pub mod kube;
