//! Noticing that the whole process stood still: stopped by somebody, or starved by its machine. What has a deadline then
//! says nothing of the target.

use std::cell::Cell;
use std::convert::Infallible;
use std::time::{Duration, Instant};

/// How often it is looked whether time passes as it should.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Waits for `work`. Beside what comes of it: whether the process stood still meanwhile, for longer than `longest`. Cancel
/// safe if `work` is.
pub(super) async fn watched<T>(longest: Duration, work: impl Future<Output = T>) -> (T, bool) {
    let (looked_at, stood_still) = (Cell::new(Instant::now()), Cell::new(false));
    let is_late = || looked_at.get().elapsed() > longest;
    let looking = async {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            stood_still.set(stood_still.get() || is_late());
            looked_at.set(Instant::now());
        }
    };
    let done = tokio::select! {
        biased;
        done = work => done,
        never = looking => absurd(never),
    };
    (done, stood_still.get() || is_late())
}

fn absurd<T>(never: Infallible) -> T {
    match never {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn standing_still_is_noticed_whichever_is_looked_at_first() {
        let blocks = async {
            let began = Instant::now();
            while began.elapsed() < Duration::from_millis(60) {
                std::hint::spin_loop();
            }
            7
        };
        assert_eq!(watched(Duration::from_millis(30), blocks).await, (7, true));
        let waits = tokio::time::sleep(LOOK_EVERY * 2);
        assert_eq!(watched(Duration::from_secs(60), waits).await, ((), false));
    }
}
