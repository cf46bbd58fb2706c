//! The databases of a target file, and the way to them.
//!
//! Lives here: what is written under `databases`, what may be wrong with it, and a connection made from it. Does not:
//! what is asked of a database (`step`).

use super::Secrets;
use super::file::SecretPlace;
use crate::client::postgres::{Login, Postgres, Trust};
use crate::files;
use crate::source::{At, Problem, What, Whole, read};
use serde::Deserialize;
use std::path::Path;
use std::time::Duration;

/// A database that is asked directly, and only ever read.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
pub struct Database {
    /// Where PostgreSQL, or what speaks like it, listens: `host:port`.
    pub postgres: At<String>,
    /// The database's name there.
    pub database: String,
    /// Who asks. Give it the right to read and no other.
    pub user: String,
    /// Where its password is; absent if a certificate is enough.
    pub secret: Option<SecretPlace>,
    /// TLS, or `off`.
    pub tls: TlsPlace,
}

/// TLS to a database.
#[derive(Debug, Clone)]
pub enum TlsPlace {
    /// None: passwords and rows go over the wire as they are.
    Off,
    /// With these files.
    With(TlsFiles),
}

/// The files that TLS needs, all in PEM.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
pub struct TlsFiles {
    /// The certificates of whoever may sign the server's.
    pub ca: String,
    /// Our own certificate; with `key`.
    pub certificate: Option<String>,
    /// Its key.
    pub key: Option<String>,
    /// The name that the server's certificate must bear; its host if absent.
    pub name: Option<String>,
}

impl<'de> Deserialize<'de> for TlsPlace {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let node = Whole::deserialize(deserializer)?.0;
        match &node.what {
            What::Text(text) if text == "off" => return Ok(Self::Off),
            What::Map(_) => {}
            _ => {
                return Err(D::Error::custom(format!(
                    "wanted `off` or a map of files, found {}",
                    node.described()
                )));
            }
        }
        let problems = crate::source::Problems::default();
        let files: Option<TlsFiles> = read(&node, &problems);
        match (files, problems.into_inner().into_iter().next()) {
            (Some(files), None) if files.certificate.is_some() != files.key.is_some() => {
                Err(D::Error::custom("`certificate` and `key` stand together"))
            }
            (Some(files), None) => Ok(Self::With(files)),
            (_, problem) => Err(D::Error::custom(problem.map(|it| it.text).unwrap_or_default())),
        }
    }
}

impl schemars::JsonSchema for TlsPlace {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "TlsPlace".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let files = generator.subschema_for::<TlsFiles>();
        schemars::json_schema!({ "description": "TLS, or `off`", "oneOf": [{ "const": "off" }, files] })
    }
}

impl Database {
    /// What is wrong with it as it is written.
    pub(super) fn problems(&self, name: &At<String>) -> Vec<Problem> {
        let mut found = vec![];
        if host_and_port(&self.postgres).is_none() {
            let text = format!("wanted host:port, found `{}`", self.postgres.value);
            found.push(Problem::new(self.postgres.at, text).hint("PostgreSQL's usual port is 5432"));
        }
        found.extend(self.secret.iter().filter_map(|place| place.problem(name.at)));
        found
    }

    /// The way to it, on which a connection may take `within`; nothing is sent yet.
    ///
    /// # Errors
    /// A file that cannot be read, or does not hold what it should.
    pub(super) fn connect(
        &self,
        name: &str,
        secrets: &Secrets,
        within: Duration,
    ) -> Result<Postgres, String> {
        let (host, port) = host_and_port(&self.postgres).ok_or_else(|| "it has no address".to_owned())?;
        let texts = match &self.tls {
            TlsPlace::Off => None,
            TlsPlace::With(files) => Some(Texts::read(files)?),
        };
        let password = secrets.of_database(name).map(crate::secret::Secret::reveal);
        let trust = texts.as_ref().map(Texts::trust);
        Postgres::new(&Login {
            host,
            port,
            database: &self.database,
            user: &self.user,
            password,
            trust,
            within,
        })
    }
}

/// `db.example.test:5432`, `[::1]:5432`.
fn host_and_port(text: &str) -> Option<(&str, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']')?,
        None if host.contains([':', '/', '@']) => return None,
        None => host,
    };
    let port = port.parse().ok().filter(|port| *port > 0)?;
    (!host.is_empty()).then_some((host, port))
}

/// The texts of the files.
struct Texts<'f> {
    ca: Vec<u8>,
    own: Option<(Vec<u8>, Vec<u8>)>,
    name: Option<&'f str>,
}

impl<'f> Texts<'f> {
    fn read(named: &'f TlsFiles) -> Result<Self, String> {
        let text = |path: &String| files::read_bytes(Path::new(path)).map_err(|error| error.to_string());
        let own = match named.certificate.as_ref().zip(named.key.as_ref()) {
            Some((certificate, key)) => Some((text(certificate)?, text(key)?)),
            None => None,
        };
        Ok(Self { ca: text(&named.ca)?, own, name: named.name.as_deref() })
    }

    fn trust(&self) -> Trust<'_> {
        let own = self.own.as_ref().map(|(certificate, key)| (certificate.as_slice(), key.as_slice()));
        Trust { ca: &self.ca, own, name: self.name }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_host_and_a_port() {
        assert_eq!(host_and_port("db.example.test:5432"), Some(("db.example.test", 5432)));
        assert_eq!(host_and_port("[::1]:5432"), Some(("::1", 5432)));
        for wrong in
            ["db", "db:", ":5432", "db:0", "db:70000", "::1:5432", "postgres://u@db:5432", "[::1:5432"]
        {
            assert_eq!(host_and_port(wrong), None, "{wrong}");
        }
    }
}
