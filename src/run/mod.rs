//! From cases to events.
//!
//! Lives here: which cases are chosen (`select`; what is not there, `unmatched`), in which order (`plan`, pure), how they are run (`execute`), how
//! identities come to be (`sign_in`), and how changes are put back (`undo`), waiting for a target that comes up
//! (`wait`). Does not: what a step does (`step`), where
//! events go (`cli`).

mod execute;
mod plan;
mod select;
mod sign_in;
mod stall;
mod stop;
mod undo;
mod unmatched;
mod wait;

pub use execute::{ASKED_NOTHING, Settings, execute};
pub use plan::{Lane, Plan, Planned, Unrun, plan};
pub use select::Selection;
pub use sign_in::{Accounts, sign_in_operator};
pub use stall::STOOD_STILL;
pub use stop::{Level, Stop};
pub use undo::{Leftover, PATIENCE, put_back};
pub use unmatched::{Unmatched, unmatched};
pub use wait::{Waited, wait_for};
