//! auth: accounts and tokens.
//!
//! Lives here: Auth.* and Accounts.*. Does not: Rules.* (`rules`), how tokens are signed (`token`).

use super::{authorize, named_namespace, unknown};
use crate::fake::defect::Defect;
use crate::fake::platform::token::{self, Claims};
use crate::fake::platform::wire::{Refusal, Reply, Request, empty, message, number, texts};
use crate::fake::platform::{MICRO, State};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const TABLE: &str = "auth";
/// Life of an access token that says nothing else, in seconds.
const LIFE_S: i64 = 900;

/// An account, as the store keeps it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Account {
    /// Unique in its namespace.
    pub(crate) id: String,
    /// `user`, `service` or any other text.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// Any metadata.
    pub(crate) metadata: BTreeMap<String, String>,
    /// Its scopes.
    pub(crate) scopes: Vec<String>,
    /// The namespace.
    pub(crate) issuer: String,
    /// The hash of its secret.
    pub(crate) secret: String,
    /// Unique in its namespace as well.
    pub(crate) name: String,
}

pub(super) fn answer(state: &mut State, request: &Request) -> Reply {
    match request.endpoint.as_str() {
        "Auth.Generate" => generate(state, request),
        "Auth.Inspect" => inspect(state, request),
        "Auth.Token" => token(state, request),
        "Accounts.List" => list(state, request),
        "Accounts.Delete" => delete(state, request),
        "Accounts.ChangeSecret" => change_secret(state, request),
        _ => Err(unknown(request)),
    }
}

/// Makes an account, its secret in clear.
pub(crate) fn create(state: &mut State, mut account: Account) {
    let place = (account.issuer.clone(), account.id.clone());
    state.clear.insert(place, account.secret.clone());
    account.secret = hash(state, &account.id, &account.secret);
    let refresh = state.uuid();
    let (issuer, id) = (account.issuer.clone(), account.id.clone());
    save(state, &account);
    state.records.save(MICRO, TABLE, &format!("refresh/{issuer}/{id}/{refresh}"), &json!({ "id": id }));
}

/// A user account without scopes.
pub(crate) fn plain_user(id: &str, name: &str, namespace: &str, secret: &str) -> Account {
    Account {
        id: id.to_owned(),
        kind: "user".to_owned(),
        metadata: BTreeMap::new(),
        scopes: Vec::new(),
        issuer: namespace.to_owned(),
        secret: secret.to_owned(),
        name: name.to_owned(),
    }
}

/// Whether a namespace has any account.
pub(crate) fn has_accounts(state: &State, namespace: &str) -> bool {
    !state.records.keys(MICRO, TABLE, &format!("account/{namespace}/")).is_empty()
}

/// How many accounts of people a namespace has.
pub(crate) fn count_users(state: &State, namespace: &str) -> usize {
    accounts(state, namespace).iter().filter(|account| account.kind == "user").count()
}

/// Whether a namespace has an account of this id.
pub(crate) fn exists(state: &State, namespace: &str, id: &str) -> bool {
    state.records.get(MICRO, TABLE, &format!("account/{namespace}/{id}")).is_some()
}

/// Deletes an account by id, if it is there.
pub(crate) fn forget(state: &mut State, namespace: &str, id: &str) {
    let Some(account) = state.records.load::<Account>(MICRO, TABLE, &format!("account/{namespace}/{id}"))
    else {
        return;
    };
    for key in state.records.keys(MICRO, TABLE, &format!("refresh/{namespace}/{id}/")) {
        state.records.remove(MICRO, TABLE, &key);
    }
    state.records.remove(MICRO, TABLE, &format!("accountByName/{namespace}/{}", account.name));
    state.records.remove(MICRO, TABLE, &format!("account/{namespace}/{id}"));
}

/// Deletes all accounts of a namespace.
pub(crate) fn forget_all(state: &mut State, namespace: &str) {
    for account in accounts(state, namespace) {
        forget(state, namespace, &account.id);
    }
}

fn save(state: &mut State, account: &Account) {
    let by_id = format!("account/{}/{}", account.issuer, account.id);
    let by_name = format!("accountByName/{}/{}", account.issuer, account.name);
    state.records.save(MICRO, TABLE, &by_id, account);
    state.records.save(MICRO, TABLE, &by_name, account);
}

fn accounts(state: &State, namespace: &str) -> Vec<Account> {
    let keys = state.records.keys(MICRO, TABLE, &format!("account/{namespace}/"));
    keys.iter().filter_map(|key| state.records.load(MICRO, TABLE, key)).collect()
}

fn find(state: &State, namespace: &str, id_or_name: &str) -> Option<Account> {
    let by = |table: &str| state.records.load(MICRO, TABLE, &format!("{table}/{namespace}/{id_or_name}"));
    by("account").or_else(|| by("accountByName"))
}

fn hash(state: &State, id: &str, secret: &str) -> String {
    use base64::Engine as _;
    let hash = token::keyed_hash(&state.key, format!("{id}\n{secret}").as_bytes());
    format!("$2a$10${}", base64::engine::general_purpose::STANDARD_NO_PAD.encode(hash))
}

fn shown(account: &Account, secret: Option<&str>) -> Value {
    json!({
        "id": account.id, "type": account.kind, "metadata": account.metadata, "scopes": account.scopes,
        "issuer": account.issuer, "secret": secret.unwrap_or_default(), "name": account.name,
    })
}

fn generate(state: &mut State, request: &Request) -> Reply {
    let own = request.inner("options", "namespace");
    let namespace = if own.is_empty() { request.namespace.clone() } else { own.to_owned() };
    let id = request.error_id();
    if !state.has(Defect::GenerateOpen) {
        authorize(request, &namespace, &id)?;
    }
    let account_id = request.text("id");
    if account_id.is_empty() {
        return Err(Refusal::micro(id, 400, "ID required"));
    }
    let name = if request.text("name").is_empty() { account_id } else { request.text("name") };
    if state.records.get(MICRO, TABLE, &format!("account/{namespace}/{account_id}")).is_some() {
        return Err(Refusal::micro("auth", 400, "Account with this ID already exists"));
    }
    if state.records.get(MICRO, TABLE, &format!("accountByName/{namespace}/{name}")).is_some() {
        return Err(Refusal::micro(id, 400, "Account with this Name already exists"));
    }
    let secret =
        if request.text("secret").is_empty() { state.uuid() } else { request.text("secret").to_owned() };
    let mut account = plain_user(account_id, name, &namespace, &secret);
    if !request.text("type").is_empty() {
        request.text("type").clone_into(&mut account.kind);
    }
    account.scopes = texts(&request.body, "scopes");
    account.metadata = metadata(request);
    create(state, account.clone());
    message(json!({ "account": shown(&account, Some(&secret)) }))
}

fn metadata(request: &Request) -> BTreeMap<String, String> {
    let given = request.message("metadata").into_iter().flatten();
    given.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

fn inspect(state: &State, request: &Request) -> Reply {
    let Some(claims) = state.account(request.text("token")) else {
        return Err(Refusal::micro(request.error_id(), 400, "invalid token provided"));
    };
    message(json!({ "account": {
        "id": claims.sub, "type": claims.kind, "metadata": claims.metadata, "scopes": claims.scopes,
        "issuer": claims.iss, "name": claims.name,
    }}))
}

/// Namespace micro gets the account admin/micro whenever it has no user account.
fn ensure_default_admin(state: &mut State, namespace: &str) {
    let is_missing = find(state, namespace, "admin").is_none();
    let by_defect = (state.has(Defect::DefaultAdminBack) && namespace == MICRO)
        || state.has(Defect::DefaultAdminInTenants);
    let has_user = || accounts(state, namespace).iter().any(|account| account.kind == "user");
    if is_missing && (by_defect || (namespace == MICRO && !has_user())) {
        let mut admin = plain_user("admin", "admin", namespace, "micro");
        admin.scopes = vec!["admin".to_owned()];
        create(state, admin);
    }
}

fn token(state: &mut State, request: &Request) -> Reply {
    let namespace = named_namespace(request);
    ensure_default_admin(state, &namespace);
    let (claims, refresh) = if request.text("refresh_token").is_empty() {
        by_secret(state, request, &namespace)?
    } else {
        by_refresh_token(state, request, &namespace)?
    };
    let life_s = match number(&request.body, "token_expiry") {
        0 => LIFE_S,
        given => given,
    };
    message(json!({ "token": issue(state, claims, &refresh, life_s) }))
}

/// Signs a token that lives for `life_s` seconds.
pub(super) fn issue(state: &State, mut claims: Claims, refresh: &str, life_s: i64) -> Value {
    let now_s = state.clock.now_s();
    claims.exp = now_s + life_s;
    if state.has(Defect::TokenForOtherNamespace) {
        MICRO.clone_into(&mut claims.iss);
    }
    let mut access = token::mint(&state.token_key, &claims);
    if claims.iss != MICRO && state.has(Defect::TenantTokensSpoiled) {
        access.insert(0, 'x');
    }
    let is_renamed = claims.iss != MICRO && state.has(Defect::TokenRenamed);
    let name = if is_renamed { "jwt" } else { "access_token" };
    json!({ name: access, "refresh_token": refresh, "created": now_s, "expiry": claims.exp })
}

/// What a token says of an account; its end is set when it is issued.
pub(super) fn claims_of(account: &Account) -> Claims {
    Claims {
        kind: account.kind.clone(),
        scopes: account.scopes.clone(),
        metadata: account.metadata.clone(),
        name: account.name.clone(),
        exp: 0,
        iss: account.issuer.clone(),
        sub: account.id.clone(),
    }
}

/// The refresh token of an account.
pub(super) fn refresh_token_of(state: &State, account: &Account) -> String {
    let prefix = format!("refresh/{}/{}/", account.issuer, account.id);
    let keys = state.records.keys(MICRO, TABLE, &prefix);
    keys.first().map(|key| key[prefix.len()..].to_owned()).unwrap_or_default()
}

fn by_secret(state: &mut State, request: &Request, namespace: &str) -> Result<(Claims, String), Refusal> {
    let refuse = |detail: &str| Refusal::micro("auth.Auth.Token", 400, detail);
    let (id, secret) = (request.text("id"), request.text("secret"));
    if id.is_empty() || secret.is_empty() {
        return Err(refuse("Credentials or a refresh token required"));
    }
    if let Some(claims) = state.account(secret).filter(|claims| claims.kind == "service") {
        return Ok((claims, secret.to_owned()));
    }
    let account = find(state, namespace, id).or_else(|| deleted(state, namespace, id));
    let account = account.ok_or_else(|| refuse("Account not found with this ID"))?;
    if hash(state, &account.id, secret) != account.secret && !state.has(Defect::WrongPasswordAccepted) {
        let clear = state.clear.get(&(account.issuer.clone(), account.id.clone()));
        let shown = clear.filter(|_| state.has(Defect::SecretInError));
        let detail = shown
            .map_or("Secret not correct".to_owned(), |clear| format!("Secret not correct, it is {clear}"));
        return Err(refuse(&detail));
    }
    Ok((claims_of(&account), refresh_token_of(state, &account)))
}

/// An account that was deleted, while the defect keeps it.
fn deleted(state: &State, namespace: &str, id: &str) -> Option<Account> {
    let key = format!("deleted/{namespace}/{id}");
    if state.has(Defect::DeletedAccountLogsIn) { state.records.load(MICRO, TABLE, &key) } else { None }
}

fn by_refresh_token(state: &State, request: &Request, namespace: &str) -> Result<(Claims, String), Refusal> {
    let invalid = || Refusal::micro("auth.Auth.Token", 400, "invalid token provided");
    let given = request.text("refresh_token");
    if let Some(claims) = state.account(given) {
        let lives = claims.kind == "service" || find(state, &claims.iss, &claims.sub).is_some();
        let accepted = lives || state.has(Defect::DeletedAccountRefreshes);
        return accepted.then(|| (claims, given.to_owned())).ok_or_else(invalid);
    }
    let keys = state.records.keys(MICRO, TABLE, &format!("refresh/{namespace}/"));
    let key = keys.iter().find(|key| key.ends_with(&format!("/{given}"))).ok_or_else(invalid)?;
    let id = key
        .strip_prefix(&format!("refresh/{namespace}/"))
        .and_then(|rest| rest.strip_suffix(&format!("/{given}")));
    let account = id.and_then(|id| find(state, namespace, id)).ok_or_else(invalid)?;
    Ok((claims_of(&account), given.to_owned()))
}

fn list(state: &mut State, request: &Request) -> Reply {
    let namespace = named_namespace(request);
    if !state.has(Defect::AccountsListOpen) {
        authorize(request, &namespace, &request.error_id())?;
    }
    ensure_default_admin(state, &namespace);
    let with_secrets = state.has(Defect::AccountsListShowsSecrets);
    let show = |account: &Account| shown(account, with_secrets.then_some(account.secret.as_str()));
    let accounts: Vec<Value> = accounts(state, &namespace).iter().map(show).collect();
    message(json!({ "accounts": accounts }))
}

fn delete(state: &mut State, request: &Request) -> Reply {
    let (namespace, id) = (named_namespace(request), request.error_id());
    let given = request.text("id");
    if given.is_empty() {
        return Err(Refusal::micro(id, 400, "Missing ID"));
    }
    if !state.has(Defect::AccountsDeleteOpen) {
        authorize(request, &namespace, &id)?;
    }
    if request.caller.as_ref().is_some_and(|caller| caller.sub == given || caller.name == given) {
        return Err(Refusal::micro(id, 400, "Can't delete your own account"));
    }
    let found = find(state, &namespace, given);
    let account = found.ok_or_else(|| Refusal::micro(id, 400, "Account not found with this ID"))?;
    if state.has(Defect::DeletedAccountLogsIn) {
        for name in [&account.id, &account.name] {
            state.records.save(MICRO, TABLE, &format!("deleted/{namespace}/{name}"), &account);
        }
    }
    forget(state, &namespace, &account.id);
    empty()
}

fn change_secret(state: &mut State, request: &Request) -> Reply {
    let namespace = named_namespace(request);
    if request.text("new_secret").is_empty() {
        return Err(Refusal::micro("auth.Auth.ChangeSecret", 400, "New secret should not be blank"));
    }
    authorize(request, &namespace, &request.error_id())?;
    let refuse = |detail: &str| Refusal::micro("auth.Accounts.ChangeSecret", 400, detail);
    let found = find(state, &namespace, request.text("id"));
    let mut account = found.ok_or_else(|| refuse("Account not found with this ID"))?;
    if hash(state, &account.id, request.text("old_secret")) != account.secret {
        return Err(refuse("Secret not correct"));
    }
    if !state.has(Defect::OldPasswordAccepted) {
        account.secret = hash(state, &account.id, request.text("new_secret"));
        state.clear.insert((namespace, account.id.clone()), request.text("new_secret").to_owned());
        save(state, &account);
    }
    empty()
}
