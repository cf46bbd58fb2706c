//! events: the stream that services publish to; for namespace micro only.
//!
//! Lives here: Stream.Publish. Does not: the platform's own events (`platform::events`).

use super::authorize;
use crate::fake::platform::MICRO;
use crate::fake::platform::wire::{Reply, Request, empty};

pub(super) fn answer(request: &Request) -> Reply {
    authorize(request, MICRO, &request.error_id())?;
    empty()
}
