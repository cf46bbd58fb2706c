//! What each signal says to whoever sent it, and what it means to a run.

use crate::host;
use crate::run::{Level, Stop};

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
