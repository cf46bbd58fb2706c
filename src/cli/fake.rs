//! `muster fake`: the built-in fakes as a process.

use super::Ended;
use super::args::FakeArguments;
use crate::fake::{self, Addresses, Options, Profile};
use crate::outcome::Ending;
use crate::{files, host};

/// Serves until it is told to stop.
pub(super) fn fake(arguments: &FakeArguments) -> Ended {
    let secrets_file = std::path::absolute(&arguments.secrets)?;
    let fakes = fake::start(Options {
        seed: arguments.seed.unwrap_or_else(host::random_seed),
        pace: arguments.pace,
        defects: arguments.defects.clone(),
        profile: Profile::Runbook,
        now: host::now(),
        secrets_file: secrets_file.clone(),
        addresses: Addresses {
            api: arguments.api,
            proxy: arguments.proxy,
            kubernetes: arguments.kubernetes,
            admin: arguments.admin,
        },
    })?;
    files::write_private(&secrets_file, fakes.secrets.as_bytes())?;
    match &arguments.write {
        Some(path) => files::write_whole(path, fakes.target.as_bytes())?,
        None => host::print(&fakes.target),
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let stop = super::signals::listen()?;
        host::tell("serving; press Ctrl-C to stop\n");
        stop.until(crate::run::Level::Undo).await;
        Ok::<(), std::io::Error>(())
    })?;
    fakes.stop();
    files::remove(&secrets_file)?;
    Ok(Ending::Passed)
}
