//! Being told to stop.

use tokio::sync::watch;

/// How urgently a run was told to stop.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Not at all.
    #[default]
    GoOn,
    /// Start nothing more; finish what runs, undo, report.
    Undo,
    /// Wait for no running step; undo, report.
    DropSteps,
    /// Leave at once.
    Leave,
}

/// Hears when a run is told to stop.
#[derive(Debug, Clone)]
pub struct Stop {
    levels: watch::Receiver<Level>,
    first: watch::Receiver<Option<u8>>,
}

impl Stop {
    /// Hears what is sent to these channels: how urgent it is, and the number of the first signal.
    pub fn new(levels: watch::Receiver<Level>, first: watch::Receiver<Option<u8>>) -> Self {
        Self { levels, first }
    }

    /// The number of the first signal, if there was one.
    pub fn signal(&self) -> Option<u8> {
        *self.first.borrow()
    }

    /// How urgently it was told so far.
    pub fn level(&self) -> Level {
        *self.levels.borrow()
    }

    /// Waits until it is told this urgently. Never returns if nobody can tell any more. Cancel safe.
    pub async fn until(&self, level: Level) {
        let mut levels = self.levels.clone();
        if levels.wait_for(|told| *told >= level).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
