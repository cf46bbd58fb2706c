//! What a step `sql` that writes keeps in the ledger: the statement that puts its change back.
//!
//! Lives here: how that statement is written, what can be wrong with it, and its entry. Does not: sending either statement
//! (`sql`, `client::postgres`), or putting back (`run::undo`).

use super::Data;
use super::look::Look;
use super::stage::Stage;
use crate::ledger::Undo;
use crate::outcome::Failure;
use crate::source::{At, Place, Problem};
use crate::target::WritePermit;
use serde::Deserialize;
use serde_json::Value;

/// The statement that puts a change back. It is kept before the change is sent, with its values, so that `muster cleanup`
/// can carry it out too. It is carried out whether the change was or not, and may be carried out more than once: it must
/// then do nothing.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
pub(super) struct PutBack {
    /// One statement. Values stand in it as `$1`, `$2`, …, and never as `$(…)`.
    query: At<String>,
    /// The values, in their order. None of them may be a secret.
    #[serde(default)]
    values: Vec<Data>,
}

/// A statement as it is written: not empty, and without expressions.
pub(super) fn look_statement(query: &At<String>, look: &mut Look<'_>) {
    if query.trim().is_empty() {
        look.problem(Problem::new(query.at, "nothing is asked"));
    }
    if query.contains("$(") {
        look.problem(
            Problem::new(query.at, "a query takes no `$(…)`: a value in it could become part of it")
                .hint("write `$1` in its place, and the value under `values`"),
        );
    }
}

/// Looks over `write` and `undo`, which stand together.
pub(super) fn look(on: &str, is_write: bool, undo: Option<&PutBack>, at: Place, look: &mut Look<'_>) {
    if is_write {
        look.uses.write = look.uses.write.max(WritePermit::Shared);
        look.uses.databases_changed.insert(on.to_owned());
    }
    match (is_write, undo) {
        (true, None) => look.problem(
            Problem::new(at, "a statement that writes, and nothing puts its change back")
                .hint("add `undo: { query: …, values: […] }`"),
        ),
        (false, Some(undo)) => look.problem(Problem::new(
            undo.query.at,
            "`undo` stands with `write: true`: a query that only reads needs none",
        )),
        _ => {}
    }
    if let Some(undo) = undo {
        look_statement(&undo.query, look);
        undo.values.iter().for_each(|value| look.data(value));
    }
}

/// Makes it durable how a change in a database is put back, before it is sent; no other case changes that database until
/// then. While something is put back, nothing is announced.
pub(super) async fn announce(on: &str, undo: &PutBack, stage: &Stage<'_>) -> Result<(), Vec<Failure>> {
    if stage.is_undoing {
        return Ok(());
    }
    stage.may_write(WritePermit::Shared)?;
    let values: Result<Vec<Value>, _> = undo.values.iter().map(|value| stage.rendered(value)).collect();
    let undo =
        Undo::Statement { database: on.to_owned(), statement: undo.query.value.clone(), values: values? };
    stage.without_secret(&format!("statement on {on}"), &Value::String(undo.to_string()))?;
    let key = format!("database:{on}");
    stage.hold(&key).await?;
    stage.will_change(&format!("sql on {on}"), undo, Some(key)).map(drop)
}
