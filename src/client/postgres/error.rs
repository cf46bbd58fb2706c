//! What can go wrong between us and a database, each with a kind of its own and what to do about it.
//!
//! Lives here: the kinds, and how an error of the wire or a SQLSTATE becomes one. Does not: asking (`postgres`).

use std::error::Error;
use std::time::Duration;
use tokio_postgres::error::{DbError, ErrorPosition};

/// Why there are no rows.
#[derive(Debug, thiserror::Error)]
pub enum NoRows {
    /// Nothing answers at its address, or it takes nobody in now.
    #[error(
        "the database cannot be reached: {0}\nhint: see that it runs, and that this machine may go there"
    )]
    Unreachable(String),
    /// It does not speak TLS, or none that we speak.
    #[error("no TLS with the database: {0}\nhint: turn it on there, or say `tls: off` in the target file")]
    Tls(String),
    /// A certificate does not hold: its own, or ours.
    #[error("{0}")]
    Certificate(String),
    /// It does not let us in.
    #[error(
        "the database refuses the login: {0}\nhint: look at `user`, `secret` and `database` in the target file"
    )]
    Login(String),
    /// The connection ended in the middle.
    #[error(
        "the connection to the database was lost: {0}\nhint: see why it went away, and run the case again"
    )]
    Lost(String),
    /// It did not answer in time.
    #[error("{0}\nhint: give the step a longer `within`, or make the query ask for less")]
    Timeout(String),
    /// The statement would change something.
    #[error(
        "a query only reads, and this one would change something: {0}\nhint: only reading is possible here"
    )]
    ReadOnly(String),
    /// The user may not read this.
    #[error("the user of the target file may not read this: {0}\nhint: GRANT SELECT to that user")]
    Denied(String),
    /// The statement is wrong.
    #[error("the query is wrong: {0}")]
    Statement(String),
    /// The values do not fit the statement.
    #[error("the values do not fit the query: {0}")]
    Values(String),
    /// A column cannot be shown as JSON.
    #[error("{0}")]
    Column(String),
    /// More rows than can be judged.
    #[error("the rows are more than {0} bytes\nhint: ask for less, with `limit` or a count")]
    TooMany(usize),
    /// Something else that the server refuses.
    #[error("the database refuses: {0}")]
    Refused(String),
}

impl NoRows {
    /// The stable name of what went wrong.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "sql.unreachable",
            Self::Tls(_) => "sql.tls",
            Self::Certificate(_) => "sql.certificate",
            Self::Login(_) => "sql.login",
            Self::Lost(_) => "sql.lost",
            Self::Timeout(_) => "sql.timeout",
            Self::ReadOnly(_) => "sql.read-only",
            Self::Denied(_) => "sql.denied",
            Self::Statement(_) => "sql.statement",
            Self::Values(_) => "sql.values",
            Self::Column(_) => "sql.column",
            Self::TooMany(_) => "sql.too-many",
            Self::Refused(_) => "sql.refused",
        }
    }

    /// Why there is no connection.
    pub(super) fn connecting(error: &tokio_postgres::Error, tls_began: Option<bool>) -> Self {
        if let Some(server) = error.as_db_error() {
            return Self::refused_entry(server);
        }
        if let Some(tls) = cause::<rustls::Error>(error) {
            return of_tls(tls);
        }
        match cause::<std::io::Error>(error) {
            Some(broken) => Self::Unreachable(format!("it accepts the connection and breaks off ({broken})")),
            None if error.is_closed() => Self::Unreachable("it accepts the connection and closes it".into()),
            None if tls_began == Some(false) => Self::Tls("it offers none".into()),
            // What has no cause is no refusal: something else speaks there.
            None if error.source().is_none() => Self::Unreachable(error.to_string()),
            None => Self::Login(with_causes(error)),
        }
    }

    fn refused_entry(server: &DbError) -> Self {
        match server.code().code() {
            // It starts, ends or recovers; it has no place left.
            "57P03" | "57P01" | "57P02" | "53300" => Self::Unreachable(said(server)),
            _ => Self::Login(said(server)),
        }
    }

    /// Why a statement gave no rows.
    pub(super) fn asking(error: &tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(server) => Self::of_statement(server),
            None => match (cause::<rustls::Error>(error), cause::<std::io::Error>(error)) {
                (Some(tls), _) => of_tls(tls),
                // Under TLS a connection that just ends is an end that was not expected.
                (None, Some(ended)) if ended.kind() == std::io::ErrorKind::UnexpectedEof => {
                    Self::Lost("the server closed it".into())
                }
                (None, Some(_)) => Self::Lost(with_causes(error)),
                (None, None) if error.is_closed() => Self::Lost("the server closed it".into()),
                (None, None) => Self::Refused(with_causes(error)),
            },
        }
    }

    fn of_statement(server: &DbError) -> Self {
        match server.code().code() {
            "57014" => Self::Timeout(format!("the database gave up: {}", said(server))),
            "25006" | "25001" => Self::ReadOnly(said(server)),
            "42501" => Self::Denied(said(server)),
            code if code.starts_with("42") => Self::Statement(said(server)),
            code if code.starts_with("22") => Self::Values(said(server)),
            code if code.starts_with("57P") || code.starts_with("08") => Self::Lost(said(server)),
            _ => Self::Refused(said(server)),
        }
    }

    /// Nothing was heard in time.
    pub(super) fn silent(within: Duration) -> Self {
        Self::Timeout(format!("the database said nothing within {within:?}"))
    }
}

/// The server's words: its message, its hint, where it points, and its code.
fn said(server: &DbError) -> String {
    let place = match server.position() {
        Some(ErrorPosition::Original(place)) => format!(", at character {place} of the query"),
        _ => String::new(),
    };
    let hint = server.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
    format!("{}{hint}{place} (SQLSTATE {})", server.message(), server.code().code())
}

/// What does not hold, in whose certificate, and what to do.
fn of_tls(error: &rustls::Error) -> NoRows {
    use rustls::CertificateError as Theirs;
    let certificate = |text: &str| NoRows::Certificate(text.into());
    match error {
        rustls::Error::InvalidCertificate(why) => match why {
            Theirs::Expired | Theirs::ExpiredContext { .. } => {
                certificate("the database's certificate has expired\nhint: have it renewed")
            }
            Theirs::NotValidYet | Theirs::NotValidYetContext { .. } => {
                certificate("the database's certificate is not valid yet\nhint: look at both clocks")
            }
            Theirs::UnknownIssuer => certificate(
                "the database's certificate is not signed by `ca` of the target file\nhint: name the authority that signs it",
            ),
            Theirs::NotValidForName | Theirs::NotValidForNameContext { .. } => certificate(
                "the database's certificate bears another name\nhint: say in `tls: { name: … }` which name it should bear",
            ),
            other => NoRows::Certificate(format!(
                "the database's certificate does not hold: {other}\nhint: have it made anew"
            )),
        },
        rustls::Error::AlertReceived(alert) if is_about_ours(*alert) => NoRows::Certificate(format!(
            "the database does not take our certificate ({alert:?})\nhint: look at `certificate` of the target file, and until when it is good"
        )),
        other => NoRows::Tls(other.to_string()),
    }
}

fn is_about_ours(alert: rustls::AlertDescription) -> bool {
    use rustls::AlertDescription as Alert;
    matches!(
        alert,
        Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::CertificateRequired
            | Alert::AccessDenied
    )
}

/// The first cause of a type. What an I/O error wraps is no source of it, so it is looked into.
fn cause<'e, T: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e T> {
    if let Some(found) = error.downcast_ref::<T>() {
        return Some(found);
    }
    let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    match inner {
        Some(inner) => cause::<T>(inner),
        None => cause::<T>(error.source()?),
    }
}

fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        text = format!("{text}: {error}");
        next = error.source();
    }
    text
}
