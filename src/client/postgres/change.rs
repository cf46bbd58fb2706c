//! A change: one statement in a transaction that is committed.
//!
//! Lives here: how it is begun and ended, so that what puts a change back never overtakes it. Does not: what puts it back
//! (`run::undo`), or when a change is allowed (`step::sql`).

use super::{NoRows, Told, rows_of};
use serde_json::Value;
use tokio_postgres::Client;

/// Every change of every muster waits for the one before it to be committed or rolled back: a statement of a process that
/// died may still be on its way when its undo comes. The number is the word `muster` in bytes, which nobody else
/// would lock by chance.
const BEGIN: &str = "START TRANSACTION READ WRITE; SELECT pg_advisory_xact_lock(120351215609202)";

/// The rows of a statement that was carried out and committed; a list without any if it returns none.
pub(super) async fn carried_out(client: &Client, told: &Told<'_>) -> Result<Value, NoRows> {
    let refused = |error: tokio_postgres::Error| not_about_reading(NoRows::asking(&error));
    client.simple_query(BEGIN).await.map_err(refused)?;
    let (_, rows) = rows_of(client, told).await.map_err(not_about_reading)?;
    client.simple_query("COMMIT").await.map_err(refused)?;
    Ok(rows)
}

/// A server that only reads refuses a change as it refuses anybody's; a suite is not to blame for it.
fn not_about_reading(why: NoRows) -> NoRows {
    match why {
        NoRows::ReadOnly(said) => NoRows::Refused(said),
        other => other,
    }
}
