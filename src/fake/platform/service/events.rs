//! events: the stream that services publish to; for namespace micro only.
//!
//! Lives here: Stream.* and Store.*. Does not: the platform's own events (`platform::events`).

use super::{authorize, unknown};
use crate::fake::platform::wire::{Answer, Refusal, Reply, Request, empty, message, number};
use crate::fake::platform::{MICRO, State};
use serde_json::{Value, json};

pub(super) fn answer(state: &mut State, request: &Request) -> Reply {
    match request.endpoint.as_str() {
        "Stream.Publish" => publish(state, request),
        "Stream.Consume" => consume(request),
        "Store.Read" => read(state, request),
        "Store.Write" => {
            let detail = "Writing to the store directly is not supported";
            Err(Refusal::micro(request.error_id(), 501, detail))
        }
        _ => Err(unknown(request)),
    }
}

fn missing_topic(request: &Request, code: u16) -> Refusal {
    Refusal::micro(request.error_id(), code, "Missing topic")
}

fn publish(state: &mut State, request: &Request) -> Reply {
    authorize(request, MICRO, &request.error_id())?;
    if request.text("topic").is_empty() {
        return Err(missing_topic(request, 400));
    }
    let mut event = request.body.clone();
    event.insert("id".to_owned(), Value::from(state.uuid()));
    event.shift_remove("timestamp");
    state.published.push(Value::Object(event));
    empty()
}

/// What is consumed never ends; what was published before is not shown, for no suite asks for it.
fn consume(request: &Request) -> Reply {
    authorize(request, MICRO, "events.Stream.Publish")?;
    if request.text("topic").is_empty() {
        return Err(missing_topic(request, 500));
    }
    Ok(Answer::Endless)
}

fn read(state: &State, request: &Request) -> Reply {
    authorize(request, MICRO, &request.error_id())?;
    let topic = request.text("topic");
    if topic.is_empty() {
        return Err(missing_topic(request, 400));
    }
    let limit = usize::try_from(number(&request.body, "limit")).ok().filter(|limit| *limit > 0);
    let of_topic = state.published.iter().filter(|event| event["topic"] == topic);
    let events: Vec<&Value> = of_topic.take(limit.unwrap_or(usize::MAX)).collect();
    message(json!({ "events": events }))
}
