//! store: records and blobs, a database for each namespace.
//!
//! Lives here: Store.* and BlobStore.*. Does not: the data itself (`records`).

use super::{authorize, or_micro, unknown};
use crate::fake::defect::Defect;
use crate::fake::platform::records::Record;
use crate::fake::platform::wire::{
    Answer, Message, Refusal, Reply, Request, empty, flag, message, number, text,
};
use crate::fake::platform::{MICRO, State};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

pub(super) fn answer(state: &mut State, request: &Request) -> Reply {
    match request.endpoint.as_str() {
        "Store.Read" => read(state, request),
        "Store.Write" => write(state, request),
        "Store.Delete" => delete(state, request),
        "Store.List" => list(state, request),
        "Store.Databases" => databases(state, request),
        "Store.Tables" => tables(state, request),
        "BlobStore.Read" => blob_read(state, request),
        "BlobStore.Write" => blob_write(state, request),
        "BlobStore.Delete" => blob_delete(state, request),
        _ => Err(unknown(request)),
    }
}

/// Database, table and options of a request.
fn place(request: &Request) -> (String, String, Message) {
    let options = request.message("options").cloned().unwrap_or_default();
    (or_micro(text(&options, "database")), or_micro(text(&options, "table")), options)
}

fn may_read(state: &State, request: &Request, database: &str) -> Result<(), Refusal> {
    if state.has(Defect::StoreReadsAnyNamespace) && request.caller.is_some() {
        return Ok(());
    }
    let is_twin = |issuer: &str| database.starts_with(issuer) || issuer.starts_with(database);
    let caller = request.caller.as_ref().map(|caller| caller.iss.as_str());
    if state.has(Defect::StoreReadIgnoresPrefixBoundary) && database != MICRO && caller.is_some_and(is_twin) {
        return Ok(());
    }
    authorize(request, database, &request.error_id())
}

fn may_write(state: &State, request: &Request, database: &str) -> Result<(), Refusal> {
    if state.has(Defect::StoreWritesAnyNamespace) && request.caller.is_some() {
        return Ok(());
    }
    authorize(request, database, &request.error_id())
}

/// The first use of a table is noted in table `store`.
fn note_use(state: &mut State, database: &str, table: &str) {
    for key in [format!("databases/{database}"), format!("tables/{database}/{table}")] {
        if state.records.get(MICRO, "store", &key).is_none() {
            state.records.put(MICRO, "store", &key, Record::default());
        }
    }
}

fn read(state: &mut State, request: &Request) -> Reply {
    let (database, table, options) = place(request);
    if let Err(refusal) = may_read(state, request, &database) {
        return Err(talkative(state, refusal, (&database, &table), request.text("key")));
    }
    note_use(state, &database, &table);
    let key = request.text("key");
    let keys = if flag(&options, "prefix") {
        page(state.records.keys(&database, &table, key), &options)
    } else if state.records.get(&database, &table, key).is_some() {
        vec![key.to_owned()]
    } else {
        return Err(Refusal::micro(request.error_id(), 404, "not found"));
    };
    let found = keys
        .iter()
        .filter_map(|key| Some(shown(state, request, key, state.records.get(&database, &table, key)?)));
    message(json!({ "records": found.collect::<Vec<_>>() }))
}

/// A refusal that says too much, if a defect wants it so.
fn talkative(state: &State, refusal: Refusal, (database, table): (&str, &str), key: &str) -> Refusal {
    let Refusal::Micro { id, code, detail } = refusal else { return refusal };
    let Some(record) = state.records.get(database, table, key) else {
        return Refusal::micro(id, code, detail);
    };
    let more = if state.has(Defect::StoreErrorShowsValue) {
        format!("{detail}: {}", String::from_utf8_lossy(&record.value))
    } else if state.has(Defect::StoreErrorShowsExistence) {
        format!("{detail}: {key} exists")
    } else {
        detail
    };
    Refusal::micro(id, code, more)
}

fn shown(state: &State, request: &Request, key: &str, record: &Record) -> Value {
    let left_ms = record.expires_ms.map_or(0, |at| at - state.clock.now_ms());
    let mut value = record.value.clone();
    if state.has(Defect::HttpRpcDiffer) && !request.over_http {
        value.pop();
    }
    json!({
        "key": key, "value": STANDARD.encode(value), "expiry": left_ms.max(0) / 1000, "metadata": record.metadata,
    })
}

fn page(keys: Vec<String>, options: &Message) -> Vec<String> {
    let skip = usize::try_from(number(options, "offset")).unwrap_or(0);
    let limit = match usize::try_from(number(options, "limit")).unwrap_or(0) {
        0 => usize::MAX,
        some => some,
    };
    keys.into_iter().skip(skip).take(limit).collect()
}

fn write(state: &mut State, request: &Request) -> Reply {
    let (database, table, _) = place(request);
    let Some(given) = request.message("record") else {
        return Err(Refusal::micro(request.error_id(), 400, "no record specified"));
    };
    may_write(state, request, &database)?;
    note_use(state, &database, &table);
    let key = text(given, "key");
    if key.is_empty() {
        return Err(Refusal::micro(request.error_id(), 500, "key required"));
    }
    let life_s = number(given, "expiry");
    let record = Record {
        value: STANDARD.decode(text(given, "value")).unwrap_or_default(),
        expires_ms: (life_s != 0).then(|| state.clock.now_ms() + life_s.saturating_mul(1000)),
        metadata: std::collections::BTreeMap::new(),
    };
    if !state.has(Defect::LostWrite) {
        state.records.put(&database, &table, key, record);
    }
    empty()
}

fn delete(state: &mut State, request: &Request) -> Reply {
    let (database, table, _) = place(request);
    may_write(state, request, &database)?;
    note_use(state, &database, &table);
    if !state.has(Defect::DeletedRecordStays) {
        state.records.remove(&database, &table, request.text("key"));
    }
    empty()
}

fn list(state: &mut State, request: &Request) -> Reply {
    let (database, table, options) = place(request);
    may_read(state, request, &database)?;
    note_use(state, &database, &table);
    let mut keys = state.records.keys(&database, &table, text(&options, "prefix"));
    if state.has(Defect::StoreListShowsForeignKeys) {
        let foreign = state.records.tables().filter(|((owner, _), _)| *owner != database && owner != MICRO);
        keys.extend(foreign.flat_map(|(_, table)| table.keys().cloned()));
    }
    Ok(Answer::Stream(vec![json!({ "keys": page(keys, &options) })]))
}

fn databases(state: &State, request: &Request) -> Reply {
    authorize(request, MICRO, &request.error_id())?;
    message(json!({ "databases": noted(state, "databases/") }))
}

fn tables(state: &State, request: &Request) -> Reply {
    let database = or_micro(request.text("database"));
    if !(state.has(Defect::TablesListOpen) && request.caller.is_some()) {
        authorize(request, &database, &request.error_id())?;
    }
    message(json!({ "tables": noted(state, &format!("tables/{database}/")) }))
}

fn noted(state: &State, prefix: &str) -> Vec<String> {
    let keys = state.records.keys(MICRO, "store", prefix);
    keys.iter().filter_map(|key| key.strip_prefix(prefix)).map(str::to_owned).collect()
}

/// Namespace and key of a blob, once the caller may have it.
fn blob_place(state: &State, request: &Request) -> Result<(String, String), Refusal> {
    let id = request.error_id().replace("BlobStore", "Blob");
    let namespace = or_micro(request.inner("options", "namespace"));
    let is_open = state.has(Defect::BlobReadsAnyNamespace) && request.caller.is_some();
    if !is_open {
        authorize(request, &namespace, &id)?;
    }
    if request.text("key").is_empty() {
        return Err(Refusal::micro(id, 400, "Missing key"));
    }
    Ok((namespace, request.text("key").to_owned()))
}

fn blob_read(state: &State, request: &Request) -> Reply {
    let place = blob_place(state, request)?;
    match state.records.blobs.get(&place) {
        Some(blob) => Ok(Answer::Stream(vec![json!({ "blob": STANDARD.encode(blob) })])),
        None => Err(Refusal::micro("store.Blob.Read", 404, "Blob not found")),
    }
}

fn blob_write(state: &mut State, request: &Request) -> Reply {
    let place = blob_place(state, request)?;
    let blob = STANDARD.decode(request.text("blob")).unwrap_or_default();
    state.records.blobs.insert(place, blob);
    empty()
}

fn blob_delete(state: &mut State, request: &Request) -> Reply {
    let place = blob_place(state, request)?;
    state.records.blobs.remove(&place);
    empty()
}
