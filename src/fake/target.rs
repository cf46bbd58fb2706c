//! The target file that describes a running fake.
//!
//! Lives here: filling in `target.yaml`. Does not: reading one.

use std::net::SocketAddr;

/// What differs from fake to fake.
pub(crate) struct Places<'a> {
    /// The HTTP gateway.
    pub(crate) api: SocketAddr,
    /// The gRPC proxy.
    pub(crate) proxy: SocketAddr,
    /// The Kubernetes API and the UID of its `kube-system`, if there is one.
    pub(crate) kubernetes: Option<(SocketAddr, &'a str)>,
    /// The bucket of the backups.
    pub(crate) bucket: SocketAddr,
    /// The admin door.
    pub(crate) admin: SocketAddr,
    /// By how much unseen timers are shorter.
    pub(crate) pace: f64,
    /// The file that holds the secrets.
    pub(crate) secrets_file: &'a str,
}

/// The target file's text.
pub(crate) fn text(places: &Places<'_>) -> String {
    let (kubernetes, provides) = match places.kubernetes {
        Some((server, uid)) => (
            format!("kubernetes: {{ server: \"http://{server}\", cluster_uid: {uid} }}"),
            "kubernetes, backup, backup-bucket, ",
        ),
        None => ("# kubernetes: not part of this fake".to_owned(), ""),
    };
    include_str!("target.yaml")
        .replace("{api}", &places.api.to_string())
        .replace("{proxy}", &places.proxy.to_string())
        .replace("{kubernetes}", &kubernetes)
        .replace("{provides}", provides)
        .replace("{bucket}", &places.bucket.to_string())
        .replace("{bucket_name}", super::bucket::NAME)
        .replace("{bucket_key}", super::bucket::ACCESS_KEY)
        .replace("{admin}", &places.admin.to_string())
        .replace("{pace}", &format!("{:?}", places.pace))
        .replace("{secrets_file}", &serde_json::Value::from(places.secrets_file).to_string())
}
