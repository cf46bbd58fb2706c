//! The secrets that a target file names: from the environment or from files, never from the file itself.

use super::TargetFile;
use super::file::SecretPlace;
use crate::files;
use crate::secret::{SHORTEST_SECRET_BYTES, Secret};
use std::collections::BTreeMap;
use std::path::Path;

/// The secrets of a target's accounts by identity kind, and of its mailboxes, databases and buckets by name.
#[derive(Default)]
pub struct Secrets {
    accounts: BTreeMap<String, Secret>,
    mailboxes: BTreeMap<String, Secret>,
    databases: BTreeMap<String, Secret>,
    buckets: BTreeMap<String, Secret>,
}

impl Secrets {
    /// The secret of an identity kind.
    pub fn of(&self, kind: &str) -> Option<&Secret> {
        self.accounts.get(kind)
    }

    /// The password of a mailbox.
    pub fn of_mailbox(&self, name: &str) -> Option<&Secret> {
        self.mailboxes.get(name)
    }

    /// The password of a database.
    pub fn of_database(&self, name: &str) -> Option<&Secret> {
        self.databases.get(name)
    }

    /// The secret of a bucket's key.
    pub fn of_bucket(&self, name: &str) -> Option<&Secret> {
        self.buckets.get(name)
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Secret> {
        let places = [&self.accounts, &self.mailboxes, &self.databases, &self.buckets];
        places.into_iter().flat_map(BTreeMap::values)
    }
}

/// Why a secret is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum MissingSecret {
    /// The variable is not set, or is empty.
    #[error(
        "the environment variable {variable}, which holds the secret of `{kind}`, is not set\nhint: export {variable}=… before muster is started"
    )]
    Variable {
        /// The identity kind; or `mailbox`, `database` or `bucket` and its name.
        kind: String,
        /// The variable.
        variable: String,
    },
    /// The file cannot be read.
    #[error("the secret of `{kind}` is not to be had: {why}")]
    File {
        /// The identity kind; or `mailbox`, `database` or `bucket` and its name.
        kind: String,
        /// What the disk says.
        why: files::FileError,
    },
    /// The file has no such line.
    #[error("the secret of `{kind}` is not to be had: {path} has no line `{key}=…`")]
    Line {
        /// The identity kind; or `mailbox`, `database` or `bucket` and its name.
        kind: String,
        /// The file.
        path: String,
        /// The key.
        key: String,
    },
    /// It is too short to be hidden.
    #[error(
        "the secret of `{kind}` is shorter than {SHORTEST_SECRET_BYTES} bytes: it could not be hidden in reports"
    )]
    Short {
        /// The identity kind; or `mailbox`, `database` or `bucket` and its name.
        kind: String,
    },
}

/// Reads every secret that a target file names. `environment` gives the value of a variable.
///
/// # Errors
/// The first secret that is not to be had.
pub fn read_secrets(
    file: &TargetFile,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Secrets, MissingSecret> {
    let mut secrets = Secrets::default();
    for (name, kind) in &file.identities {
        if let Some(place) = &kind.secret {
            secrets.accounts.insert(name.value.clone(), secret(&name.value, place, environment)?);
        }
    }
    for (name, mailbox) in &file.mailbox {
        if let Some(place) = mailbox.mail.as_ref().and_then(|mail| mail.secret.as_ref()) {
            let whose = format!("mailbox {}", name.value);
            secrets.mailboxes.insert(name.value.clone(), secret(&whose, place, environment)?);
        }
    }
    for (name, database) in &file.databases {
        if let Some(place) = &database.secret {
            let told = format!("database {}", name.value);
            secrets.databases.insert(name.value.clone(), secret(&told, place, environment)?);
        }
    }
    for (name, bucket) in &file.buckets {
        if let Some(place) = &bucket.secret {
            let told = format!("bucket {}", name.value);
            secrets.buckets.insert(name.value.clone(), secret(&told, place, environment)?);
        }
    }
    Ok(secrets)
}

fn secret(
    kind: &str,
    place: &SecretPlace,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Secret, MissingSecret> {
    let kind = kind.to_owned();
    let text = match (&place.env, &place.file) {
        (Some(variable), _) => environment(variable).filter(|value| !value.is_empty()).ok_or_else(|| {
            MissingSecret::Variable { kind: kind.clone(), variable: variable.value.clone() }
        })?,
        (None, Some(path)) => in_file(&kind, path, place.key.as_deref())?,
        (None, None) => String::new(),
    };
    if text.len() < SHORTEST_SECRET_BYTES {
        Err(MissingSecret::Short { kind })
    } else {
        Ok(Secret::new(text))
    }
}

fn in_file(kind: &str, path: &str, key: Option<&str>) -> Result<String, MissingSecret> {
    let text =
        files::read_text(Path::new(path)).map_err(|why| MissingSecret::File { kind: kind.into(), why })?;
    let Some(key) = key else { return Ok(text.trim_end_matches(['\r', '\n']).to_owned()) };
    text.lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
        .map(str::to_owned)
        .ok_or_else(|| MissingSecret::Line { kind: kind.into(), path: path.into(), key: key.into() })
}
