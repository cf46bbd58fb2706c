//! signup: from an address to an account in a namespace, by a one-time code.
//!
//! Lives here: Signup.*. Does not: what happens later, when the signup's event arrives (`events`).

use super::{auth, call_as, config, emails, unknown};
use crate::fake::defect::Defect;
use crate::fake::platform::events::{Event, publish};
use crate::fake::platform::nodes::scaled;
use crate::fake::platform::wire::{Message, Refusal, Reply, Request, empty, message, text, texts};
use crate::fake::platform::{MICRO, State};
use rand::RngExt as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

const TABLE: &str = "signup";
/// How long a code is good, in seconds; seen by callers, hence not scaled.
const CODE_LIFE_S: i64 = 300;
/// Life of the token that a signup answers with, in seconds.
const TOKEN_LIFE_S: i64 = 60;
const INTERNAL: &str =
    "An error occurred during signup. Contact #m3o-support at slack.m3o.com if the issue persists";
const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// A one-time code, as the store keeps it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Code {
    email: String,
    token: String,
    created: i64,
    #[serde(rename = "customerID")]
    customer_id: String,
}

pub(super) fn answer(state: &mut State, request: &Request) -> Reply {
    match request.endpoint.as_str() {
        "Signup.SendVerificationEmail" => send(state, request),
        "Signup.Verify" => verify(state, request),
        "Signup.SetPaymentMethod" => set_payment_method(state, request),
        "Signup.HasPaymentMethod" => has_payment_method(state, request),
        "Signup.CompleteSignup" => complete(state, request),
        "Signup.Recover" => recover(state, request),
        _ => Err(unknown(request)),
    }
}

/// A signup has been completed: its codes are used up.
pub(crate) fn forget_codes(state: &mut State, email: &str) {
    if let Some(code) = state.records.load::<Code>(MICRO, TABLE, email) {
        state.records.remove(MICRO, TABLE, &code.token);
    }
    state.records.remove(MICRO, TABLE, email);
    state.records.remove(MICRO, TABLE, &format!("payment-method/{email}"));
}

fn internal(id: &str) -> Refusal {
    Refusal::micro(id, 500, INTERNAL)
}

fn invited(state: &mut State, email: &str) -> Result<Vec<String>, Refusal> {
    let told = call_as(state, "signup", "invite", "Invite.Validate", json!({ "email": email }))?;
    Ok(texts(&told, "namespaces"))
}

fn send(state: &mut State, request: &Request) -> Reply {
    let email = request.text("email");
    let not_allowed = "You have not been invited to the service. Please request an invite on m3o.com";
    invited(state, email).map_err(|_| Refusal::micro("signup.notallowed", 403, not_allowed))?;
    let created = call_as(state, "signup", "customers", "Customers.Create", json!({ "email": email }));
    let customer = created.map_err(|refusal| match refusal.as_micro() {
        (id, ..) if id == "customers.create.exists" => {
            Refusal::micro("signup", 400, "Customer with this email address already exists")
        }
        _ => internal("signup.SendVerificationEmail"),
    })?;
    let id = customer.get("customer").and_then(|customer| customer.get("id")).and_then(Value::as_str);
    let code = new_code(state, email, id.unwrap_or_default());
    if state.has(Defect::CodeNotSent) {
        forget_codes(state, email);
        return empty();
    }
    if config::is_on(state, "micro.signup.test_env") || state.has(Defect::LogShowsCodes) {
        state.log(MICRO, "signup", format!("Sending verification token '{}' to {email}", code.token));
    }
    let template =
        config::text_at(state, "micro.signup.sendgrid.template_id").unwrap_or_else(|| "d-code".to_owned());
    let letter = emails::letter(email, &template, &json!({ "token": code.token }));
    let sent = call_as(state, "signup", "emails", "Emails.Send", letter);
    sent.map_err(|_| internal("signup.SendVerificationEmail"))?;
    empty()
}

fn new_code(state: &mut State, email: &str, customer_id: &str) -> Code {
    let length = if state.has(Defect::CodeTooShort) { 4 } else { 8 };
    let token = (0..length).map(|_| char::from(LETTERS[state.rng.random_range(0..LETTERS.len())])).collect();
    let created = state.clock.now_s();
    let code = Code { email: email.to_owned(), token, created, customer_id: customer_id.to_owned() };
    state.records.save(MICRO, TABLE, email, &code);
    state.records.save(MICRO, TABLE, &code.token, &code);
    code
}

/// Whether the code that was typed is the one that was sent.
fn fits(state: &State, code: &Code, typed: &str) -> bool {
    let is_old =
        || state.records.load::<Code>(MICRO, TABLE, typed).is_some_and(|old| old.email == code.email);
    code.token == typed
        || state.has(Defect::WrongCodeAccepted)
        || (state.has(Defect::OldCodeAccepted) && is_old())
}

fn is_expired(state: &State, code: &Code) -> bool {
    state.clock.now_s() - code.created > CODE_LIFE_S && !state.has(Defect::CodeNeverExpires)
}

fn wrong_code(state: &State, id: &str, code: &Code, detail: &str) -> Refusal {
    let more =
        if state.has(Defect::CodeInError) { format!(", expected {}", code.token) } else { String::new() };
    Refusal::micro(id, 403, format!("{detail}{more}"))
}

fn verify(state: &mut State, request: &Request) -> Reply {
    let (email, id) = (request.text("email"), "signup.Verify");
    let found: Option<Code> = state.records.load(MICRO, TABLE, email);
    let code = found.filter(|_| !email.is_empty()).ok_or_else(|| internal(id))?;
    if !fits(state, &code, request.text("token")) {
        return Err(wrong_code(state, id, &code, "The token you provided is invalid"));
    }
    if is_expired(state, &code) {
        return Err(Refusal::micro(id, 403, "The token you provided has expired"));
    }
    let verified = call_as(state, "signup", "customers", "Customers.MarkVerified", json!({ "email": email }));
    verified.map_err(|_| internal(id))?;
    let not_allowed = "You have not been invited to the service. Please request an invite on m3o.com";
    let namespaces =
        invited(state, email).map_err(|_| Refusal::micro("signup.Verify.NotAllowed", 403, not_allowed))?;
    message(json!({
        "customerID": code.customer_id, "message": greeting(state, email),
        "payment_required": !config::is_on(state, "micro.signup.no_payment"), "namespaces": namespaces,
    }))
}

fn greeting(state: &State, email: &str) -> String {
    let usual = "Please complete signup at https://m3o.com/subscribe?email=%s. This command will now wait for you to finish.";
    let pattern = config::text_at(state, "micro.signup.message").unwrap_or_else(|| usual.to_owned());
    pattern.replace("%s", email)
}

fn set_payment_method(state: &mut State, request: &Request) -> Reply {
    let invalid = |detail: &str| Err(Refusal::micro("signup.SetPaymentMethod", 400, detail));
    let (email, method) = (request.text("email"), request.text("payment_method"));
    if email.is_empty() {
        return invalid("No email provided");
    }
    if method.is_empty() && !state.has(Defect::CardUnchecked) {
        return invalid("No payment method provided");
    }
    if !method.is_empty() && !state.has(Defect::UnknownCardAccepted) {
        let method = json!({ "payment_method": method });
        call_as(state, "signup", "payments", "Provider.VerifyPaymentMethod", method)?;
    }
    let key = format!("payment-method/{email}");
    let stays = state.has(Defect::FirstCardStays) && state.records.get(MICRO, TABLE, &key).is_some();
    if !stays {
        state.records.save(MICRO, TABLE, &key, &json!(method));
    }
    empty()
}

fn has_payment_method(state: &State, request: &Request) -> Reply {
    let found: Option<Code> = state.records.load(MICRO, TABLE, request.text("token"));
    let code = found.ok_or_else(|| Refusal::plain("not found"))?;
    message(json!({ "has": has_card(state, &code.email) }))
}

fn has_card(state: &State, email: &str) -> bool {
    state.records.get(MICRO, TABLE, &format!("payment-method/{email}")).is_some()
}

fn complete(state: &mut State, request: &Request) -> Reply {
    let (email, id) = (request.text("email"), "signup.CompleteSignup");
    let namespaces = invited(state, email).map_err(|_| {
        let detail = format!("Email '{email}' has not been invited to sign up");
        Refusal::micro("signup.CompleteSignup.NotAllowed", 403, detail)
    })?;
    let found: Option<Code> = state.records.load(MICRO, TABLE, email);
    let code = found.filter(|_| !email.is_empty()).ok_or_else(|| internal(id))?;
    let bad = "signup.CompleteSignup.invalid_token";
    if !fits(state, &code, request.text("token")) {
        return Err(wrong_code(state, bad, &code, "The token you provided is incorrect"));
    }
    if is_expired(state, &code) && !state.has(Defect::ExpiredCodeCompletes) {
        return Err(Refusal::micro(bad, 403, "The token you provided has expired"));
    }
    let namespace = settle(state, request.text("namespace"), &namespaces, &code)?;
    let secret =
        if request.text("secret").is_empty() { state.uuid() } else { request.text("secret").to_owned() };
    let account = auth::plain_user(&code.customer_id, email, &namespace, &secret);
    open_account(state, &account)?;
    publish(state, &Event::SignupCompleted { email: email.to_owned(), customer: code.customer_id });
    let claims = auth::claims_of(&account);
    let token = auth::issue(state, claims, &auth::refresh_token_of(state, &account), TOKEN_LIFE_S);
    let shown =
        if state.has(Defect::SignupWrongNamespace) { "other-lost-place".to_owned() } else { namespace };
    message(json!({ "authToken": token, "namespace": shown }))
}

fn open_account(state: &mut State, account: &auth::Account) -> Result<(), Refusal> {
    if state.has(Defect::AccountMissingAfterSignup) {
        return Ok(());
    }
    super::reachable(state, MICRO, "auth").map_err(|_| internal("signup.CompleteSignup"))?;
    if auth::exists(state, &account.issuer, &account.id) {
        return Err(internal("signup.CompleteSignup"));
    }
    auth::create(state, account.clone());
    Ok(())
}

/// The namespace of the new account: the one that was invited to and asked for, else a new one.
fn settle(state: &mut State, wanted: &str, invited: &[String], code: &Code) -> Result<String, Refusal> {
    let joins = !wanted.is_empty() && invited.first().is_some_and(|first| first == wanted);
    let is_paid = !config::is_on(state, "micro.signup.no_payment");
    if joins && !state.has(Defect::JoinGivesWrongNamespace) {
        return join(state, wanted, code, is_paid);
    }
    if is_paid {
        subscribe(state, code)?;
    }
    let owners = json!({ "owners": [code.customer_id] });
    let made = call_as(state, "signup", "namespaces", "Namespaces.Create", owners);
    let made: Message = made.map_err(|_| internal("signup.CompleteSignup.join.subscription"))?;
    let namespace = made.get("namespace").and_then(Value::as_object);
    Ok(namespace.map(|namespace| text(namespace, "id").to_owned()).unwrap_or_default())
}

/// The new account joins a namespace; where people pay, its owner pays for one more.
fn join(state: &mut State, wanted: &str, code: &Code, is_paid: bool) -> Result<String, Refusal> {
    let failed = |_| internal("signup.CompleteSignup.join_namespace");
    if is_paid {
        let read = call_as(state, "signup", "namespaces", "Namespaces.Read", json!({ "id": wanted }));
        let read = read.map_err(failed)?;
        let owner = read.get("namespace").and_then(|namespace| namespace.get("owners")?.get(0)).cloned();
        let both = json!({ "ownerID": owner.unwrap_or_default(), "newUserID": code.customer_id });
        let added = call_as(state, "signup", "subscriptions", "Subscriptions.AddUser", both);
        added.map_err(|_| internal("signup.CompleteSignup.join_amespace"))?;
    }
    let user = json!({ "user": code.customer_id, "namespace": wanted });
    call_as(state, "signup", "namespaces", "Namespaces.AddUser", user).map_err(failed)?;
    Ok(wanted.to_owned())
}

/// Who has a card pays by it from now on; nobody else gets a namespace of their own.
fn subscribe(state: &mut State, code: &Code) -> Result<(), Refusal> {
    let key = format!("payment-method/{}", code.email);
    let card = match state.records.load::<String>(MICRO, TABLE, &key) {
        Some(card) => card,
        None if state.has(Defect::CardNotRequired) => return Ok(()),
        None => return Err(internal("signup.CompleteSignup")),
    };
    if state.has(Defect::PaidSignupNotBilled) {
        return Ok(());
    }
    let wanted = json!({
        "customerID": code.customer_id, "type": "developer", "paymentMethodID": card, "email": code.email,
    });
    let made = call_as(state, "signup", "subscriptions", "Subscriptions.Create", wanted);
    made.map(drop).map_err(|_| internal("signup.CompleteSignup.new_namespace"))
}

fn recover(state: &mut State, request: &Request) -> Reply {
    let (email, id) = (request.text("email"), "signup.recover");
    let now_ms = state.clock.now_ms();
    let wait_ms = scaled(60_000, state.pace);
    if state.recoveries.get(email).is_some_and(|last_ms| now_ms - last_ms < wait_ms) {
        return Err(Refusal::micro(id, 400, recovered_recently(state, email)));
    }
    let read = call_as(state, "signup", "customers", "Customers.Read", json!({ "email": email }));
    let customer = read.map_err(|refusal| match refusal.as_micro() {
        (_, 404, _) => Refusal::micro(id, 404, "Could not find an account with that email address"),
        _ => Refusal::micro(id, 500, "Error looking up account"),
    })?;
    let user = customer.get("customer").and_then(|customer| customer.get("id")).cloned().unwrap_or_default();
    let listed = call_as(state, "signup", "namespaces", "Namespaces.List", json!({ "user": user }));
    let listed = listed.map_err(|_| internal(id))?;
    let names: Vec<Value> = listed.get("namespaces").and_then(Value::as_array).cloned().unwrap_or_default();
    if names.is_empty() {
        return Err(Refusal::micro(id, 400, "We don't recognize this account"));
    }
    let template = config::text_at(state, "micro.signup.sendgrid.recovery_template_id");
    let letter = emails::letter(
        email,
        &template.unwrap_or_else(|| "d-recover".to_owned()),
        &json!({ "namespaces": names }),
    );
    call_as(state, "signup", "emails", "Emails.Send", letter).map_err(|_| internal(id))?;
    state.recoveries.insert(email.to_owned(), now_ms);
    empty()
}

/// The refusal of a second recovery; with a defect it shows what was mailed to the address before.
fn recovered_recently(state: &State, email: &str) -> String {
    let detail = "We have issued a recovery email recently. Please check that.";
    if !state.has(Defect::RecoverShowsSecret) {
        return detail.to_owned();
    }
    let mailed = state.mails.iter().filter(|mail| mail.to == email).map(|mail| mail.data.as_str());
    format!("{detail} They said {}", mailed.collect::<Vec<_>>().join(" "))
}
