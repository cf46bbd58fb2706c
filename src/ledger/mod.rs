//! What muster changes on a target, and how each change is put back.
//!
//! Lives here: changes and their undo as data, the journal that makes them durable before anything is sent, and which
//! of them are still open. Does not: carrying an undo out (`run::undo`).

mod change;
mod journal;
mod keys;
mod reading;

pub use change::{Change, FormerImage, Undo};
pub use journal::{Entry, Journal};
pub use keys::{Deadlock, Keys, stands_for_many};
pub use reading::{Reading, open_changes, read_journal};
