//! The way to a database, without one: what is wrong with its entry of the target file, and what servers that are none do.
//! A real PostgreSQL is asked by `ci/database/run.sh`.

use muster::client::postgres::{Login, NoRows, Postgres, Trust};
use muster::source::Source;
use muster::target::{TlsPlace, connect, read_secrets, read_target};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const AUTHORITY: &str = include_str!("../../fixtures/certificates/authority.pem");
/// Where a test waits for the end of a wait that is meant to end.
const SOON: Duration = Duration::from_millis(100);
const LONG: Duration = Duration::from_secs(60);

/// A server that reads what comes first, answers that, and closes.
async fn server(answer: &'static [u8]) -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut bytes = [0; 1024];
            if stream.read(&mut bytes).await.is_ok_and(|count| count > 0) {
                stream.write_all(answer).await.ok();
            }
        }
    });
    port
}

async fn asked(port: u16, has_tls: bool, within: Duration) -> NoRows {
    let trust = has_tls.then_some(Trust { ca: AUTHORITY.as_bytes(), own: None, name: None });
    let login = Login {
        host: "127.0.0.1",
        port,
        database: "a",
        user: "b",
        password: Some("secret-word"),
        trust,
        within,
    };
    let why = Postgres::new(&login).unwrap().ask("select 1", &[], within).await.unwrap_err();
    assert!(!format!("{why} {why:?}").contains("secret-word"));
    why
}

#[tokio::test]
async fn what_is_no_database_is_told_by_what_it_does() {
    let of = async |answer, has_tls| {
        let why = asked(server(answer).await, has_tls, LONG).await;
        (why.kind(), why.to_string().lines().next().unwrap().to_owned())
    };
    let (kind, text) = of(b"N", true).await;
    assert_eq!((kind, text.as_str()), ("sql.tls", "no TLS with the database: it offers none"));
    let (kind, text) = of(b"S this is no handshake", true).await;
    assert_eq!(kind, "sql.tls", "{text}");
    let (kind, text) = of(b"", false).await;
    assert_eq!(kind, "sql.unreachable", "{text}");
    let (kind, text) = of(b"HTTP/1.1 400 Bad Request\r\n\r\n", false).await;
    assert_eq!(kind, "sql.unreachable", "{text}");
    let (kind, text) = of(b"E\0\0\0\x26SFATAL\0C28P01\0Mpassword is wrong\0\0", false).await;
    assert_eq!(
        (kind, text.as_str()),
        ("sql.login", "the database refuses the login: password is wrong (SQLSTATE 28P01)")
    );
}

#[tokio::test]
async fn nobody_and_a_silent_server_are_unreachable() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let silent = asked(port, false, SOON).await;
    assert_eq!(silent.kind(), "sql.unreachable");
    assert!(silent.to_string().contains("it accepts connections and says nothing within 100ms"), "{silent}");
    drop(listener);
    let nobody = asked(port, false, LONG).await;
    assert_eq!(nobody.kind(), "sql.unreachable");
    assert!(nobody.to_string().contains(&format!("127.0.0.1:{port}: ")), "{nobody}");
}

/// What is said of a target file whose one database has these keys beside the usual ones.
fn said(tls: &str) -> String {
    let text = format!(
        "name: staging\napi: http://127.0.0.1:9\ndatabases:\n  main: {{ postgres: 'db.example.test:5432', database: a, user: b, tls: {tls} }}\n"
    );
    let file = read_target(&Source::new("target.yaml", text.as_str())).unwrap();
    let secrets = read_secrets(&file, &|_| None).unwrap();
    match connect(file, secrets) {
        Ok(target) => format!("{} databases", target.databases.len()),
        Err(error) => error.to_string(),
    }
}

#[test]
fn the_files_that_tls_needs_are_read_before_anything_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("ca.pem"), AUTHORITY).unwrap();
    std::fs::write(path("empty.pem"), "nothing\n").unwrap();
    let (ca, empty) = (path("ca.pem"), path("empty.pem"));
    let wrong = |why: &str| format!("the database `main` of target `staging`: {why}");
    assert_eq!(said(&format!("{{ ca: {ca} }}")), "1 databases");
    assert_eq!(said("off"), "1 databases");
    assert_eq!(said(&format!("{{ ca: {empty} }}")), wrong("`ca` holds no certificate in PEM"));
    assert_eq!(
        said(&format!("{{ ca: {ca}, certificate: {empty}, key: {empty} }}")),
        wrong("`certificate` holds no certificate in PEM")
    );
    assert_eq!(
        said(&format!("{{ ca: {ca}, certificate: {ca}, key: {empty} }}")),
        wrong("`key` holds no private key in PEM")
    );
    assert_eq!(said(&format!("{{ ca: {ca}, name: 'a name' }}")), wrong("`a name` is no name of a server"));
    assert!(said(&format!("{{ ca: {} }}", path("absent.pem"))).contains("absent.pem"));
}

#[test]
fn the_password_of_a_database_is_a_secret_like_any_other() {
    let text = "name: staging\napi: http://127.0.0.1:9\ndatabases:\n  main: { postgres: 'db:5432', database: a, user: b, \
                secret: { env: PASSWORD }, tls: off }\n";
    let file = read_target(&Source::new("target.yaml", text)).unwrap();
    assert!(matches!(file.databases.values().next().unwrap().tls, TlsPlace::Off));
    let secrets = read_secrets(&file, &|name| (name == "PASSWORD").then(|| "word-of-mine".into())).unwrap();
    assert_eq!(secrets.all().map(muster::secret::Secret::reveal).collect::<Vec<_>>(), ["word-of-mine"]);
    let missing = read_secrets(&file, &|_| None).err().unwrap().to_string();
    assert!(missing.contains("which holds the secret of `database main`, is not set"), "{missing}");
}
