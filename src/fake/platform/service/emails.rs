//! emails: sends mail from templates.
//!
//! Lives here: Emails.Send. Does not: a mail server; what was sent is kept in the state.

use super::is_micro;
use crate::fake::defect::Defect;
use crate::fake::platform::wire::{Refusal, Reply, Request, empty};
use crate::fake::platform::{Mail, State};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

pub(super) fn answer(state: &mut State, request: &Request) -> Reply {
    if !is_micro(request) && !state.has(Defect::MailsOpen) {
        return Err(Refusal::micro("emails.send.unauthorized", 401, "Not authorized"));
    }
    let invalid = |detail: &str| Err(Refusal::micro("emails.send.validation", 400, detail));
    if request.text("template_id").is_empty() {
        return invalid("Missing template ID");
    }
    if request.text("to").is_empty() && !state.has(Defect::MailUnchecked) {
        return invalid("Missing to address");
    }
    let data = STANDARD.decode(request.text("template_data")).unwrap_or_default();
    if !data.is_empty() && serde_json::from_slice::<Value>(&data).is_err() {
        return Err(Refusal::micro("emails.send.templatedata", 400, "Unable to unmarshal template data"));
    }
    let mail = Mail {
        to: request.text("to").to_owned(),
        template: request.text("template_id").to_owned(),
        data: String::from_utf8_lossy(&data).into_owned(),
    };
    state.outbox.push(mail.clone());
    state.mails.push(mail);
    empty()
}

/// The body of a request to send.
pub(super) fn letter(to: &str, template: &str, data: &Value) -> Value {
    json!({
        "from": "Micro Team <support@m3o.com>", "to": to, "template_id": template,
        "template_data": STANDARD.encode(data.to_string()),
    })
}
