//! PostgreSQL: one statement at a time, each on a connection of its own; questions, which only read, and changes.
//!
//! Lives here: how a connection is opened, what keeps a question from changing anything, and rows as JSON. What may go
//! wrong has its own file (`error`), and so have changes (`change`), TLS (`tls`), values (`cell`) and moments
//! (`moment`). Does not: which databases there are (`target`), or what rows must be (`judge`).
//!
//! Three things keep a question from changing anything: the session is opened with `default_transaction_read_only`, the
//! question runs in a transaction that is `READ ONLY` and has begun to read, so that it cannot be turned around, and
//! the extended protocol takes one statement only. The transaction is never committed.

mod cell;
mod change;
mod error;
mod moment;
mod tls;

pub use error::NoRows;
pub use tls::Trust;

use super::BODY_LIMIT_BYTES;
use cell::{Bound, Cell};
use futures_util::future::{Either, select};
use futures_util::{StreamExt, pin_mut};
use serde_json::{Map, Value};
use std::future::Future;
use std::time::{Duration, Instant};
use tls::{Handshake, Tls};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage, Statement};

/// The server is asked to give up by itself; this much later it counts as silent.
const GRACE: Duration = Duration::from_secs(2);
/// Begins to read, so that nothing can make the transaction a writing one, and asks whether it is none.
const BEGIN: &str = "START TRANSACTION READ ONLY; SELECT current_setting('transaction_read_only')";

/// Where a database is, and who asks.
pub struct Login<'l> {
    /// The host's name or address.
    pub host: &'l str,
    /// The port.
    pub port: u16,
    /// The database's name there.
    pub database: &'l str,
    /// Who asks.
    pub user: &'l str,
    /// By which password.
    pub password: Option<&'l str>,
    /// TLS; `None` for none.
    pub trust: Option<Trust<'l>>,
    /// The longest wait for a connection, and then for the login.
    pub within: Duration,
}

/// A database that can be asked.
pub struct Postgres {
    host: String,
    port: u16,
    config: Config,
    tls: Option<Tls>,
    within: Duration,
}

/// What a question has brought.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    /// A list of maps: column name to value.
    pub json: Value,
    /// How long it took, from the question to the last row.
    pub took: Duration,
    /// When the server's certificate ends, in seconds since the Unix epoch; `None` without TLS.
    pub certificate_ends_s: Option<i64>,
}

impl Postgres {
    /// A database at a place; nothing is sent yet.
    ///
    /// # Errors
    /// What is wrong with a certificate, a key or a name.
    pub fn new(login: &Login<'_>) -> Result<Self, String> {
        let mut config = Config::new();
        config.user(login.user).dbname(login.database).application_name("muster");
        if let Some(password) = login.password {
            config.password(password);
        }
        let tls = login.trust.as_ref().map(|trust| Tls::new(trust, login.host)).transpose()?;
        config.ssl_mode(if tls.is_some() { SslMode::Require } else { SslMode::Disable });
        Ok(Self { host: login.host.into(), port: login.port, config, tls, within: login.within })
    }

    /// When our own certificate ends, in seconds since the Unix epoch.
    pub fn own_certificate_ends_s(&self) -> Option<i64> {
        self.tls.as_ref()?.own_ends_s
    }

    /// Asks one question, with values for its `$1`, `$2`, …. The statement may take `within`, and the server keeps to that
    /// too. Cancel safe: the connection is closed, and the server gives up after `within` at the latest.
    ///
    /// # Errors
    /// Why there are no rows.
    pub async fn ask(&self, query: &str, values: &[Value], within: Duration) -> Result<Rows, NoRows> {
        self.tell(&Told { statement: query, values, within, is_change: false }).await
    }

    /// Carries out one statement that changes something, with values for its `$1`, `$2`, …, and commits it. It waits
    /// until every change that was begun in this way before has ended. Not cancel safe: what has become of it is not known then.
    ///
    /// # Errors
    /// Why there are no rows. After [`NoRows::Lost`] and [`NoRows::Timeout`] it may have been carried out all the same.
    pub async fn change(&self, statement: &str, values: &[Value], within: Duration) -> Result<Rows, NoRows> {
        self.tell(&Told { statement, values, within, is_change: true }).await
    }

    async fn tell(&self, told: &Told<'_>) -> Result<Rows, NoRows> {
        let stream = self.reached().await?;
        let mut config = self.config.clone();
        let most_ms = told.within.as_millis().clamp(1, 2_000_000_000);
        let only_reads = if told.is_change { "off" } else { "on" };
        config
            .options(format!("-c default_transaction_read_only={only_reads} -c statement_timeout={most_ms}"));
        match &self.tls {
            None => {
                let opened = opened(config.connect_raw(stream, NoTls), None, self.within).await?;
                driven(opened, told).await
            }
            Some(tls) => {
                let (handshake, shown): (Handshake, _) = tls.handshake();
                let opened = opened(config.connect_raw(stream, handshake), Some(&shown), self.within).await?;
                let rows = driven(opened, told).await?;
                Ok(Rows { certificate_ends_s: shown.ends_s(), ..rows })
            }
        }
    }

    async fn reached(&self) -> Result<TcpStream, NoRows> {
        let (place, within) = (format!("{}:{}", self.host, self.port), self.within);
        let tried = timeout(within, TcpStream::connect((self.host.as_str(), self.port))).await;
        let silent = |_| NoRows::Unreachable(format!("{place} does not answer within {within:?}"));
        tried.map_err(silent)?.map_err(|error| NoRows::Unreachable(format!("{place}: {error}")))
    }
}

/// One statement, and what it is for.
struct Told<'t> {
    statement: &'t str,
    values: &'t [Value],
    within: Duration,
    is_change: bool,
}

type Opened<S, T> = (Client, tokio_postgres::Connection<S, T>);

/// A session, or why there is none.
async fn opened<S, T>(
    connecting: impl Future<Output = Result<Opened<S, T>, tokio_postgres::Error>>,
    shown: Option<&tls::Shown>,
    within: Duration,
) -> Result<Opened<S, T>, NoRows> {
    let silent =
        |_| NoRows::Unreachable(format!("it accepts connections and says nothing within {within:?}"));
    let connected = timeout(within, connecting).await.map_err(silent)?;
    connected.map_err(|error| NoRows::connecting(&error, shown.map(tls::Shown::began)))
}

/// Asks or changes, while the connection is driven beside it.
async fn driven<S, T>((client, connection): Opened<S, T>, told: &Told<'_>) -> Result<Rows, NoRows>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let (started, within) = (Instant::now(), told.within);
    let reading = async {
        let read = match told.is_change {
            false => read(&client, told).await,
            true => change::carried_out(&client, told).await,
        };
        drop(client);
        read.map(|json| Rows { json, took: started.elapsed(), certificate_ends_s: None })
    };
    // Owned, so that its end drops it: only then does a question that waits for it end too.
    let connection = Box::pin(connection);
    pin_mut!(reading);
    let first = timeout(within + GRACE, select(reading, connection)).await;
    match first.map_err(|_| NoRows::silent(within))? {
        Either::Left((read, connection)) => {
            if read.is_ok() {
                // The rows are here: how the server takes our leave changes nothing.
                drop(timeout(GRACE, connection).await);
            }
            read
        }
        Either::Right((ended, reading)) => {
            let read = timeout(GRACE, reading).await.map_err(|_| NoRows::silent(within))?;
            match (ended, read) {
                // What the connection says of its end is nearer to the cause.
                (Err(error), Err(NoRows::Lost(_))) if !error.is_closed() => Err(NoRows::asking(&error)),
                (_, read) => read,
            }
        }
    }
}

async fn read(client: &Client, told: &Told<'_>) -> Result<Value, NoRows> {
    let begun = client.simple_query(BEGIN).await.map_err(|error| NoRows::asking(&error))?;
    let is_reading =
        |it: &SimpleQueryMessage| matches!(it, SimpleQueryMessage::Row(row) if row.get(0) == Some("on"));
    if !begun.iter().any(is_reading) {
        return Err(NoRows::ReadOnly("the server did not make the transaction one that only reads".into()));
    }
    let (columns, rows) = rows_of(client, told).await?;
    if columns == 0 {
        return Err(NoRows::Statement("it asks for nothing: wanted a query that has columns".into()));
    }
    Ok(rows)
}

/// How many columns a statement has, and its rows.
async fn rows_of(client: &Client, told: &Told<'_>) -> Result<(usize, Value), NoRows> {
    let refused = |error: tokio_postgres::Error| NoRows::asking(&error);
    let statement = client.prepare(told.statement).await.map_err(refused)?;
    look_over(&statement, told.values)?;
    let values: Vec<Bound<'_>> = told.values.iter().map(Bound).collect();
    let rows = client.query_raw(&statement, &values).await.map_err(told_of_values)?;
    pin_mut!(rows);
    let (mut found, mut bytes) = (vec![], 0);
    while let Some(row) = rows.next().await {
        let row = row.map_err(refused)?;
        bytes += row.raw_size_bytes();
        if bytes > BODY_LIMIT_BYTES {
            return Err(NoRows::TooMany(BODY_LIMIT_BYTES));
        }
        found.push(as_json(&row)?);
    }
    Ok((statement.columns().len(), Value::Array(found)))
}

/// A value that cannot be bound is told by us, everything else by the server.
fn told_of_values(error: tokio_postgres::Error) -> NoRows {
    match std::error::Error::source(&error) {
        Some(why) if error.as_db_error().is_none() && !why.is::<std::io::Error>() => {
            NoRows::Values(why.to_string())
        }
        _ => NoRows::asking(&error),
    }
}

/// Whether the values are as many as are wanted, and each column can be shown under a name of its own.
fn look_over(statement: &Statement, values: &[Value]) -> Result<(), NoRows> {
    let (wanted, given) = (statement.params().len(), values.len());
    if wanted != given {
        return Err(NoRows::Values(format!("it wants {wanted}, and {given} are given")));
    }
    let columns = statement.columns();
    for (index, column) in columns.iter().enumerate() {
        let name = column.name();
        if !cell::is_read(column.type_()) {
            let kind = column.type_();
            let text = format!(
                "the column `{name}` has the type {kind}, which is not read\nhint: write {name}::text"
            );
            return Err(NoRows::Column(text));
        }
        if columns[..index].iter().any(|other| other.name() == name) {
            let text =
                format!("two columns are called `{name}`\nhint: give one of them another name with `as`");
            return Err(NoRows::Column(text));
        }
    }
    Ok(())
}

fn as_json(row: &tokio_postgres::Row) -> Result<Value, NoRows> {
    let mut map = Map::new();
    for (index, column) in row.columns().iter().enumerate() {
        let cell: Cell = row.try_get(index).map_err(|error| {
            let why = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            NoRows::Column(format!("a value of the column `{}` cannot be shown: {why}", column.name()))
        })?;
        map.insert(column.name().to_owned(), cell.0);
    }
    Ok(Value::Object(map))
}
