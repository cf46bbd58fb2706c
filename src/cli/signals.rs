//! What each signal says to whoever sent it, and what it means to a run.

use crate::host;
use crate::outcome::Ending;
use crate::run::{Level, Stop};
use std::time::Duration;

/// How long the engine may stand still.
const STUCK_AFTER: Duration = Duration::from_secs(120);

/// Watches over the runtime in which this is called, while it is driven: one that is stuck would not even hear signals.
pub(super) fn watch_over() -> host::Watchdog {
    let said = "error: muster itself has not moved for two minutes: leaving, and changes stay\nhint: muster cleanup\n";
    host::end_if_stuck(STUCK_AFTER, Ending::LeftBehind.code(), said)
}

/// Listens from when this returns: the first signal says undo, the second drop what runs, the third leave.
pub(super) fn listen() -> std::io::Result<Stop> {
    told([
        "stopping: nothing more is started, changes are put back (again: drop what runs)\n",
        "stopping: what runs is dropped, changes are put back (again: leave at once)\n",
        "leaving at once: changes stay, `muster cleanup` puts them back\n",
    ])
}

/// The same for what serves and has nothing to put back.
pub(super) fn listen_while_serving() -> std::io::Result<Stop> {
    told(["stopping\n"; 3])
}

fn told(sentences: [&'static str; 3]) -> std::io::Result<Stop> {
    let [first, second, third] = sentences;
    let levels = [(Level::Undo, first), (Level::DropSteps, second), (Level::Leave, third)];
    let signals = host::signals(Level::GoOn, levels)?;
    Ok(Stop::new(signals.levels(), signals.first()))
}
