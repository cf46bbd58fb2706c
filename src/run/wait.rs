//! Waiting for a target that is still coming up.

use super::stop::{Level, Stop};
use crate::client::{Connection, Request};
use crate::target::Target;
use std::time::{Duration, Instant};

/// How often a target is asked.
const ASK_EVERY: Duration = Duration::from_millis(250);
/// The longest wait for one answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// What a proxy answers whose platform is not there.
const NOBODY_BEHIND: [u16; 3] = [502, 503, 504];

/// What came of waiting for a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waited {
    /// It answers.
    Answered,
    /// It did not, for as long as was asked for.
    InVain,
    /// It did not until the run was told to stop.
    Stopped,
}

/// Waits until the API of a target answers anything but that nobody is behind it: at most so long, and no longer than
/// until the run is told to stop. Cancel safe.
pub async fn wait_for(target: &Target, within: Duration, stop: &Stop) -> Waited {
    let began = Instant::now();
    while stop.level() == Level::GoOn {
        if answers(target).await {
            return Waited::Answered;
        }
        let left = within.saturating_sub(began.elapsed());
        if left.is_zero() {
            return Waited::InVain;
        }
        tokio::select! {
            () = tokio::time::sleep(left.min(ASK_EVERY)) => {}
            () = stop.until(Level::Undo) => {}
        }
    }
    Waited::Stopped
}

async fn answers(target: &Target) -> bool {
    let request = Request { method: "GET".into(), path: "/".into(), ..Request::default() };
    let answer = target.http.send(&request, Connection::New, ANSWER_WITHIN).await;
    answer.is_ok_and(|answer| !NOBODY_BEHIND.contains(&answer.status))
}
