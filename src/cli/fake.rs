//! `muster fake`: the built-in fakes as a process.

use super::args::{FakeArguments, FakeMailArguments, OtherFake, PodArguments};
use super::{Ended, Refusal, open};
use crate::fake::{self, Addresses, Alone, Options, Profile};
use crate::outcome::Ending;
use crate::{files, host};
use std::path::Path;

/// Serves until it is told to stop.
pub(super) fn fake(arguments: &FakeArguments) -> Ended {
    match (&arguments.other, &arguments.service) {
        (Some(OtherFake::Mail(arguments)), _) => mail(arguments),
        (None, Some(service)) => pod(service, &arguments.pod),
        (None, None) => platform(arguments),
    }
}

/// A mail server; its addresses are printed with the entry that reads it.
fn mail(arguments: &FakeMailArguments) -> Ended {
    let options = fake::mail::Options { smtp: arguments.smtp, http: arguments.http, now: host::now() };
    let runtime = open::runtime()?;
    runtime.block_on(async {
        let stop = super::signals::listen_while_serving()?;
        let server = fake::mail::start(&options).await?;
        let (smtp, http) = (server.smtp, server.http);
        host::print(&format!("# SMTP at {smtp}, HTTP at http://{http}\n{}", fake::mail::entry(http)));
        host::tell("serving; press Ctrl-C to stop\n");
        stop.until(crate::run::Level::Undo).await;
        Ok::<(), std::io::Error>(())
    })?;
    Ok(Ending::Passed)
}

/// One pod, as a process of its own.
fn pod(service: &str, arguments: &PodArguments) -> Ended {
    let known = |given: &Option<String>| given.clone().unwrap_or_else(|| service.to_owned());
    let alone = Alone {
        service: service.to_owned(),
        namespace: arguments.namespace.clone(),
        name: known(&arguments.pod_name),
        uid: known(&arguments.uid),
        address: arguments.address.clone(),
        listen: arguments.listen,
        state: known(&arguments.state),
        relay: arguments.relay_to.clone().map(|to| (arguments.relay_at, to)),
        deregisters: !arguments.no_deregister,
    };
    let runtime = open::runtime()?;
    runtime.block_on(async {
        let stop = super::signals::listen_while_serving()?;
        host::quit_at_once()?;
        host::tell("serving\n");
        fake::serve_alone(alone, host::print, stop.until(crate::run::Level::Undo)).await
    })?;
    Ok(Ending::Passed)
}

/// Two fakes that share a file of secrets would each sign in with the other's.
fn held(lock_file: &Path, secrets_file: &Path) -> Result<files::Lock, Refusal> {
    let lock = files::try_lock(lock_file, "muster fake\n")?;
    lock.ok_or_else(|| {
        let path = secrets_file.display();
        Refusal::new(format!("another `muster fake` keeps its secrets in {path}\nhint: --secrets OTHER-FILE"))
    })
}

/// The platform, with its pods or without.
fn platform(arguments: &FakeArguments) -> Ended {
    let secrets_file = std::path::absolute(&arguments.secrets)?;
    let lock_file = secrets_file.with_added_extension("lock");
    let _lock = held(&lock_file, &secrets_file)?;
    let fakes = open::fakes(Options {
        seed: arguments.seed.unwrap_or_else(host::random_seed),
        pace: arguments.pace,
        defects: arguments.defects.clone(),
        profile: Profile::Runbook,
        now: host::now(),
        secrets_file: secrets_file.clone(),
        operator_secret: arguments.pods_at.and_then(|_| host::variable("MUSTER_OPERATOR")),
        addresses: Addresses {
            api: arguments.api,
            proxy: arguments.proxy,
            kubernetes: arguments.kubernetes,
            admin: arguments.admin,
            pods: arguments.pods_at,
            mail_to: arguments.mail_to,
        },
    })?;
    files::write_private(&secrets_file, fakes.secrets.as_bytes())?;
    match &arguments.write {
        Some(path) => files::write_whole(path, fakes.target.as_bytes())?,
        None => host::print(&fakes.target),
    }
    let runtime = open::runtime()?;
    runtime.block_on(async {
        let stop = super::signals::listen_while_serving()?;
        host::tell("serving; press Ctrl-C to stop\n");
        stop.until(crate::run::Level::Undo).await;
        Ok::<(), std::io::Error>(())
    })?;
    fakes.stop();
    files::remove(&secrets_file)?;
    files::remove(&lock_file)?;
    Ok(Ending::Passed)
}
