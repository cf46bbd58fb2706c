//! invite: who may sign up, and into which namespace.
//!
//! Lives here: Invite.*. Does not: signing up (`signup`).

use super::{call_as, config, emails, is_micro, unknown};
use crate::fake::defect::Defect;
use crate::fake::platform::token::Claims;
use crate::fake::platform::wire::{Refusal, Reply, Request, empty, flag, message};
use crate::fake::platform::{MICRO, State};
use serde::{Deserialize, Serialize};
use serde_json::json;

const TABLE: &str = "invite";
/// How many addresses one user may invite.
const LIMIT: usize = 5;

/// An invitation, as the store keeps it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Invite {
    email: String,
    deleted: bool,
    namespaces: Vec<String>,
    created: i64,
}

pub(super) fn answer(state: &mut State, request: &Request) -> Reply {
    match request.endpoint.as_str() {
        "Invite.User" => invite(state, request),
        "Invite.Delete" => delete(state, request),
        "Invite.Validate" => validate(state, request),
        _ => Err(unknown(request)),
    }
}

fn unauthorized() -> Refusal {
    Refusal::micro("invite", 401, "Unauthorized request")
}

fn invite(state: &mut State, request: &Request) -> Reply {
    let (email, namespace) = (request.text("email"), request.text("namespace"));
    if !email.contains('@') {
        return Err(Refusal::micro("invite.user.validation", 400, "Valid email is required"));
    }
    let caller = request.caller.clone().ok_or_else(unauthorized)?;
    let is_foreign = !namespace.is_empty() && caller.iss != MICRO && caller.iss != namespace;
    if is_foreign && !state.has(Defect::InviteToForeignNamespace) {
        return Err(unauthorized());
    }
    let known: Option<Invite> = state.records.load(MICRO, TABLE, email);
    if known.is_some_and(|invite| !invite.deleted) && !flag(&request.body, "resend") {
        let line = format!("Invite already sent for user {email}. Skipping ");
        state.log(MICRO, "invite", line);
        return empty();
    }
    within_limit(state, &caller, email)?;
    let namespaces = if namespace.is_empty() { Vec::new() } else { vec![namespace.to_owned()] };
    let invite = Invite { email: email.to_owned(), deleted: false, namespaces, created: state.clock.now_s() };
    state.records.save(MICRO, TABLE, email, &invite);
    mail(state, email)
}

fn within_limit(state: &mut State, caller: &Claims, email: &str) -> Result<(), Refusal> {
    if caller.iss == MICRO {
        return Ok(());
    }
    let prefix = format!("user-count/{}/", caller.sub);
    let count = state.records.keys(MICRO, TABLE, &prefix).len();
    if count >= LIMIT && !state.has(Defect::InviteLimitIgnored) {
        return Err(Refusal::micro("invite", 400, "user invite limit reached"));
    }
    state.records.save(MICRO, TABLE, &format!("{prefix}{email}"), &json!({}));
    Ok(())
}

fn mail(state: &mut State, email: &str) -> Reply {
    let template = config::text_at(state, "micro.invite.sendgrid.invite_template_id");
    let letter = emails::letter(email, &template.unwrap_or_else(|| "d-invite".to_owned()), &json!({}));
    let sent = call_as(state, "invite", "emails", "Emails.Send", letter);
    sent.map_err(|refusal| {
        Refusal::micro("invite", 500, format!("Failed to send email: {}", refusal.to_json()))
    })?;
    empty()
}

fn delete(state: &mut State, request: &Request) -> Reply {
    if !is_micro(request) {
        return Err(unauthorized());
    }
    let email = request.text("email");
    if email.is_empty() {
        return Err(Refusal::micro("store.Store.Write", 500, "key required"));
    }
    let known: Option<Invite> = state.records.load(MICRO, TABLE, email);
    let created = state.clock.now_s();
    let blank = Invite { email: email.to_owned(), deleted: true, namespaces: Vec::new(), created };
    let invite = Invite { deleted: true, ..known.unwrap_or(blank) };
    state.records.save(MICRO, TABLE, email, &invite);
    empty()
}

fn validate(state: &mut State, request: &Request) -> Reply {
    let invalid = || Refusal::micro("invite", 400, "invalid email");
    let is_strict = config::is_on(state, "micro.invite.invite_only") && !state.has(Defect::UninvitedAccepted);
    match state.records.load::<Invite>(MICRO, TABLE, request.text("email")) {
        Some(invite) if invite.deleted && !state.has(Defect::UninvitedAccepted) => Err(invalid()),
        Some(invite) => message(json!({ "namespaces": invite.namespaces })),
        None if is_strict => Err(invalid()),
        None => empty(),
    }
}
