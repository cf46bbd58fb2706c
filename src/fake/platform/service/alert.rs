//! alert: events for people, open to everybody by the runbook's rules.
//!
//! Lives here: Alert.ReportEvent. Does not: Slack.

use crate::fake::platform::wire::{Refusal, Reply, Request, empty};
use crate::fake::platform::{MICRO, State};

pub(super) fn answer(state: &mut State, request: &Request) -> Reply {
    let Some(event) = request.message("event") else {
        return Err(Refusal::plain("event can't be empty"));
    };
    let key = format!("events/{}", state.uuid());
    state.records.save(MICRO, "alert", &key, event);
    empty()
}
