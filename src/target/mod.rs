//! The platform under test, live or fake: where it is, who may speak to it, what it has, and what may be done to it.
//!
//! Lives here: the target file (`file`), its secrets (`secrets`), its databases (`database`), and the connections made from it (`connect`). Does
//! not: what is asked of a target (`step`), or how a fake comes to be (`fake`).

mod connect;
mod database;
mod file;
mod secrets;

pub use connect::{ConnectError, Target, as_url, connect};
pub use database::{Database, TlsFiles, TlsPlace};
pub use file::{
    Decode, Group, IdentityKind, KubernetesPlace, Life, Mailbox, Permits, Registry, SecretPlace, TargetFile,
    Via, WritePermit, read_target,
};
pub use secrets::{MissingSecret, Secrets, read_secrets};
