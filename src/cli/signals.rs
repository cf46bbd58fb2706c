//! What each signal says to whoever sent it, and what it means to a run.

use crate::host::{self, Signals};
use crate::run::Level;

/// Listens from when this returns: the first signal says undo, the second drop what runs, the third leave.
pub(super) fn listen() -> std::io::Result<Signals<Level>> {
    host::signals(
        Level::GoOn,
        [
            (
                Level::Undo,
                "stopping: nothing more is started, changes are put back (again: drop what runs)\n",
            ),
            (
                Level::DropSteps,
                "stopping: what runs is dropped, changes are put back (again: leave at once)\n",
            ),
            (Level::Leave, "leaving at once: changes stay, `muster cleanup` puts them back\n"),
        ],
    )
}
