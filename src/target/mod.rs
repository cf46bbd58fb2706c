//! The platform under test, live or fake: where it is, who may speak to it, what it has, and what may be done to it.
//!
//! Lives here: the target file (`file`, its mailboxes in `mailbox`, its databases in `database`, its buckets in
//! `bucket`, what no address may hold in `addresses`), its secrets (`secrets`), and the connections made from it (`connect`). Does not: what is asked of a
//! target (`step`), or how a fake comes to be (`fake`).

mod addresses;
mod bucket;
mod connect;
mod database;
mod file;
mod mailbox;
mod secrets;

pub use bucket::BucketPlace;
pub use connect::{ConnectError, Target, as_url, connect};
pub use database::{Database, TlsFiles, TlsPlace};
pub use file::{
    Group, IdentityKind, KubernetesPlace, Life, Permits, Registry, SecretPlace, TargetFile, Via, WritePermit,
    read_target,
};
pub use mailbox::{Decode, LogPlace, LoggingPods, MailPlace, Mailbox, Tls, Way};
pub use secrets::{MissingSecret, Secrets, read_secrets};
