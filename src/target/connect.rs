//! From a target file to connections. Nothing is sent yet.

use super::file::{KubernetesPlace, Via};
use super::mailbox::{MailPlace, Tls};
use super::{Secrets, TargetFile};
use crate::client::bucket::Bucket;
use crate::client::kube::{Kube, Place, forms};
use crate::client::mail::{Mail, Protection, Server};
use crate::client::postgres::Postgres;
use crate::client::{Grpc, Http, Unusable};
use crate::files;
use crate::secret::{Mask, Secret};
use crate::source::At;
use jiff::SignedDuration;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

const BEAT: Duration = Duration::from_millis(20);
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// A target that can be spoken to.
pub struct Target {
    /// Its file.
    pub file: TargetFile,
    /// Its secrets.
    pub secrets: Secrets,
    /// The HTTP API.
    pub http: Http,
    /// The gRPC proxy.
    pub rpc: Option<Grpc>,
    /// The admin address of a fake.
    pub admin: Option<Http>,
    /// Its mailboxes that are read as mail, by name.
    pub mail: BTreeMap<String, Mail>,
    /// The databases, by name.
    pub databases: BTreeMap<String, Postgres>,
    /// The buckets, by name.
    pub buckets: BTreeMap<String, Bucket>,
    clock: Clock,
}

/// How much time has passed for a target: ours, and what the clock of a fake was moved by.
struct Clock {
    connected_at: Instant,
    moved: Cell<Duration>,
    /// How far it was ahead of ours when it was last heard of.
    ahead: Cell<Option<SignedDuration>>,
}

/// Why a target cannot be spoken to.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// An address cannot be used.
    #[error("`{key}` of target `{target}`: {why}")]
    Address {
        /// The target.
        target: String,
        /// The key of the target file.
        key: &'static str,
        /// What is wrong.
        why: Unusable,
    },
    /// The certificates that a mailbox trusts cannot be read.
    #[error("`ca` of mailbox `{mailbox}`: {why}")]
    Certificates {
        /// The mailbox.
        mailbox: String,
        /// What the disk says.
        why: files::FileError,
    },
    /// The way to a database cannot be made.
    #[error("the database `{name}` of target `{target}`: {why}")]
    Database {
        /// The target.
        target: String,
        /// The database.
        name: String,
        /// What is wrong.
        why: String,
    },
}

/// Makes the connections that a target file describes; they are opened when they are first used.
///
/// # Errors
/// If an address of the file, or a certificate that it names, cannot be used.
pub fn connect(file: TargetFile, secrets: Secrets) -> Result<Target, ConnectError> {
    let wrong = |key| {
        let target = file.name.value.clone();
        move |why| ConnectError::Address { target, key, why }
    };
    let networks = file.networks();
    let http = Http::in_networks(&file.api, &networks).map_err(wrong("api"))?;
    let proxy = |at: &At<String>| Grpc::in_networks(&as_url(at), &networks).map_err(wrong("proxy"));
    let admin = |at: &At<String>| Http::in_networks(at, &networks).map_err(wrong("admin"));
    let rpc = file.proxy.as_ref().map(proxy).transpose()?;
    let admin = file.admin.as_ref().map(admin).transpose()?;
    let mut mail = BTreeMap::new();
    for (name, mailbox) in &file.mailbox {
        if let Some(place) = &mailbox.mail {
            let trusted = trusted(&name.value, place)?;
            let door = door(place, secrets.of_mailbox(name), trusted).map_err(wrong("mailbox"))?;
            mail.insert(name.value.clone(), door);
        }
    }
    let databases = databases(&file, &secrets)?;
    let buckets = buckets(&file, &secrets).map_err(wrong("buckets"))?;
    let clock = Clock { connected_at: Instant::now(), moved: Cell::default(), ahead: Cell::default() };
    Ok(Target { http, rpc, admin, mail, databases, buckets, file, secrets, clock })
}

/// The certificates that a mailbox names, as PEM.
fn trusted(mailbox: &str, place: &MailPlace) -> Result<Option<String>, ConnectError> {
    let read = place.ca.as_ref().map(|path| files::read_text(Path::new(&path.value))).transpose();
    read.map_err(|why| ConnectError::Certificates { mailbox: mailbox.to_owned(), why })
}

/// The way to a mailbox; without a password it can only be one over HTTP.
fn door(place: &MailPlace, secret: Option<&Secret>, trusted: Option<String>) -> Result<Mail, Unusable> {
    let user = place.user.as_ref().map(|user| user.value.as_str());
    match (&place.imap, user, secret) {
        (Some(address), Some(user), Some(password)) => {
            let protection = match place.tls.unwrap_or_default() {
                Tls::Implicit => Protection::Implicit,
                Tls::Starttls => Protection::StartTls,
                Tls::None => Protection::Clear,
            };
            let folder = place.folder.as_ref().map_or("INBOX", |folder| folder.value.as_str());
            let (address, user, folder) = (address.value.clone(), user.to_owned(), folder.to_owned());
            Mail::over_imap(Server { address, protection, trusted, user, folder }, password)
        }
        _ => {
            let url = place.http.as_ref().map_or("", |url| url.value.as_str());
            Mail::over_http(url, user.zip(secret))
        }
    }
}

fn databases(file: &TargetFile, secrets: &Secrets) -> Result<BTreeMap<String, Postgres>, ConnectError> {
    let named = file.databases.iter().map(|(name, database)| {
        let wrong =
            |why| ConnectError::Database { target: file.name.value.clone(), name: name.value.clone(), why };
        Ok((name.value.clone(), database.connect(name, secrets, answer_within(file)).map_err(wrong)?))
    });
    named.collect()
}

fn buckets(file: &TargetFile, secrets: &Secrets) -> Result<BTreeMap<String, Bucket>, Unusable> {
    let named = file.buckets.iter();
    named.map(|(name, bucket)| Ok((name.value.clone(), bucket.connect(secrets.of_bucket(name))?))).collect()
}

fn answer_within(file: &TargetFile) -> Duration {
    file.answer_within.map_or(ANSWER_WITHIN, |within| within.0)
}

/// The URL of a proxy's address: `host:port` means TLS.
pub fn as_url(address: &str) -> String {
    if address.contains("://") { address.to_owned() } else { format!("https://{address}") }
}

impl Target {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.file.name
    }

    /// A time of the suites at this target's pace.
    pub fn paced(&self, time: Duration) -> Duration {
        time.mul_f64(self.file.pace.value)
    }

    /// The time that has passed for it since it was connected: by this, lives that a caller can see end.
    pub fn passed(&self) -> Duration {
        self.clock.connected_at.elapsed() + self.clock.moved.get()
    }

    /// Notes that its clock was moved forward.
    pub fn was_moved(&self, by: Duration) {
        self.clock.moved.set(self.clock.moved.get() + by);
    }

    /// Notes how far its clock is ahead of ours.
    pub fn was_heard(&self, ahead: SignedDuration) {
        self.clock.ahead.set(Some(ahead));
    }

    /// How far its clock was ahead of ours when it was last heard of; `None` if it never was.
    pub fn ahead(&self) -> Option<SignedDuration> {
        self.clock.ahead.get()
    }

    /// The beat of probes.
    pub fn beat(&self) -> Duration {
        self.file.beat.map_or(BEAT, |beat| beat.0)
    }

    /// The longest wait for one answer.
    pub fn answer_within(&self) -> Duration {
        answer_within(&self.file)
    }

    /// Which way operations are called unless a step says otherwise.
    pub fn via(&self) -> Via {
        self.file.via
    }

    /// Whether a need is provided (`Some(true)`), lacked (`Some(false)`), or not mentioned.
    pub fn meets(&self, need: &str) -> Option<bool> {
        let names = |list: &[crate::source::At<String>]| list.iter().any(|one| one.value == need);
        if names(&self.file.provides) {
            Some(true)
        } else if names(&self.file.lacks) {
            Some(false)
        } else {
            None
        }
    }

    /// Where its cluster is.
    pub fn kubernetes(&self) -> Option<&KubernetesPlace> {
        self.file.kubernetes.as_ref()
    }

    /// The file that freezes all disruption, if the target names one and it is there, be it a link that leads nowhere.
    pub fn freeze_file(&self) -> Option<&str> {
        let named = self.kubernetes()?.freeze_file.as_deref()?;
        files::is_taken(Path::new(named)).then_some(named)
    }
}

impl KubernetesPlace {
    /// A connection to the cluster; nothing is sent yet. Whether it is the one that is meant is not known before
    /// [`KubernetesPlace::compare`].
    ///
    /// # Errors
    /// Why there is none.
    pub async fn connect(&self, call_within: Duration) -> Result<Kube, String> {
        let place = match (&self.server, &self.config, &self.context) {
            (Some(server), _, _) => Place::Url(server.value.clone()),
            (None, Some(config), Some(context)) => {
                Place::File { kubeconfig: config.into(), context: context.clone() }
            }
            (None, None, None) => Place::InCluster,
            (None, _, _) => return Err("`kubernetes` needs both `config` and `context`, or `server`".into()),
        };
        Kube::connect(&place, call_within).await.map_err(|error| error.to_string())
    }

    /// Has a mask learn what is shown to a cluster. Tokens in files are renewed now and then: so they are read each time.
    ///
    /// # Errors
    /// That a file of the configuration cannot be read.
    pub fn teach(&self, kube: &Kube, mask: &Mask) -> Result<(), String> {
        let credentials = kube.credentials();
        credentials.secrets.iter().for_each(|secret| mask.learn(secret.reveal()));
        for path in &credentials.files {
            let text = files::read_text(path).map_err(|error| error.to_string())?;
            forms(&text).iter().for_each(|secret| mask.learn(secret.reveal()));
        }
        Ok(())
    }

    /// Asks a cluster whether it is the one that is pinned; what is not pinned is not asked.
    ///
    /// # Errors
    /// That it is another one, or did not say.
    pub async fn compare(&self, kube: &Kube) -> Result<(), String> {
        let Some(pinned) = self.pinned() else { return Ok(()) };
        let found = kube.cluster_uid().await.map_err(|error| error.to_string())?;
        if found == pinned {
            return Ok(());
        }
        Err(format!("this is another cluster: `cluster_uid` is {pinned}, found {found}"))
    }
}
