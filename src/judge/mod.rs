//! Records in, failures out: pure functions, tested without sockets or sleeps.
//!
//! Lives here: what samples say of a service (`sample`, `steady`, `recovery`). Does not: anything that sends or waits.

pub mod recovery;
pub mod sample;
pub mod steady;
