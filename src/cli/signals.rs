//! What each signal says to whoever sent it, and what it means to a run.

use crate::host;
use crate::run::{Level, Stop};

/// Listens from when this returns: the first signal says undo, the second drop what runs, the third leave.
pub(super) fn listen() -> std::io::Result<Stop> {
    let signals = host::signals(
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
    )?;
    Ok(Stop::new(signals.levels(), signals.first()))
}
