//! Names and passwords in addresses (`http://name:password@host`): a target file holds no secret, so they are refused.
//!
//! Lives here: every address of a target file, and where its secret goes instead. Does not: whether it is an address.

use super::file::TargetFile;
use crate::source::{At, Place, Problem};

const OF_AN_IDENTITY: &str =
    "who calls stands under `identities`, with `secret: { env: NAME }` or `{ file: PATH }`";
const OF_A_CLUSTER: &str =
    "name a kubeconfig with `config` and `context`: it holds what the cluster wants to see";
const OF_A_USER: &str = "give `user`, and `secret: { env: NAME }` or `{ file: PATH }`";
const OF_A_BUCKET: &str = "give `access_key`, and `secret: { env: NAME }` or `{ file: PATH }`";

/// A problem for each address that holds a name or a password; the line is told and not shown.
pub(super) fn with_user_info(file: &TargetFile) -> Vec<Problem> {
    let with_user_info = all(file).into_iter().filter(|(_, address, _)| address.value.contains('@'));
    let told = with_user_info.map(|(whose, address, hint)| {
        let text = format!("line {}: {whose} must not hold a name or a password", address.at.line);
        Problem::new(Place::default(), text).hint(hint)
    });
    told.collect()
}

/// Every address: whose it is, and where a secret for it goes.
fn all(file: &TargetFile) -> Vec<(String, &At<String>, &'static str)> {
    let server = file.kubernetes.as_ref().and_then(|place| place.server.as_ref());
    let named = [
        ("`api`", Some(&file.api), OF_AN_IDENTITY),
        ("`proxy`", file.proxy.as_ref(), OF_AN_IDENTITY),
        ("`admin`", file.admin.as_ref(), OF_AN_IDENTITY),
        ("`server` of `kubernetes`", server, OF_A_CLUSTER),
    ];
    let named = named.into_iter().filter_map(|(key, address, hint)| Some((key.to_owned(), address?, hint)));
    let of_mail = file.mailbox.iter().filter_map(|(name, mailbox)| Some((name, mailbox.mail.as_ref()?)));
    let of_mail = of_mail.flat_map(|(name, mail)| {
        let addresses = [&mail.http, &mail.imap].into_iter().flatten();
        addresses.map(|it| (format!("the address of the mailbox `{}`", name.value), it, OF_A_USER))
    });
    let databases = file.databases.iter();
    let of_databases = databases
        .map(|(name, it)| (format!("the address of the database `{}`", name.value), &it.postgres, OF_A_USER));
    let buckets = file.buckets.iter();
    let of_buckets = buckets
        .map(|(name, it)| (format!("the address of the bucket `{}`", name.value), &it.s3, OF_A_BUCKET));
    named.chain(of_mail).chain(of_databases).chain(of_buckets).collect()
}
