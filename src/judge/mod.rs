//! Records in, failures out: pure functions, tested without sockets or sleeps.
//!
//! Lives here: what a reply must be (`reply`), which bytes are JSON (`json`), what stands at a path (`found`), what rows must be (`rows`), which
//! replies are refusals (`refusal`), who may
//! call what (`access`), which message is meant (`message`), what samples say of a service (`sample`, `steady`,
//! `recovery`), the verdicts on a recovery (`clock`), whether clocks go together (`skew`). Does not:
//! anything that sends, waits or masks.

mod access;
mod check;
pub mod clock;
mod decimal;
mod found;
mod json;
pub mod message;
pub mod recovery;
mod refusal;
mod reply;
mod rows;
pub mod sample;
pub mod skew;
pub mod steady;

pub use access::{Around, Cell, Seen, allowed, denied};
pub use check::{Check, JsonType, instant};
pub use decimal::{as_written, unkept};
pub use found::found;
pub use json::{MOST_VALUES, NoJson, read as read_json};
pub use refusal::{Form, Refusals};
pub use reply::{Expectation, Mismatch, NOT_SHOWN, Reply, Transport, select};
pub use rows::RowsExpectation;
