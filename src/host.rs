//! The process door: arguments, environment, standard streams, the wall clock, chance, signals.
//!
//! Lives here: everything that muster asks of its process. Does not: files (`files`) or the wire (`client`).
#![expect(clippy::disallowed_methods, reason = "this is the door through which they enter")]

use crate::run::Level;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// The arguments, the program's name first.
pub fn arguments() -> Vec<std::ffi::OsString> {
    std::env::args_os().collect()
}

/// The value of an environment variable, if it is set and is UTF-8.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The wall clock. Its differences are never taken.
pub fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// A number that nobody can foresee.
pub fn random_seed() -> u64 {
    rand::random()
}

/// Writes to standard output; a reader that has gone away is no error.
pub fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).ok();
}

/// Writes to standard error; a reader that has gone away is no error.
pub fn tell(text: &str) {
    std::io::stderr().lock().write_all(text.as_bytes()).ok();
}

/// Whether someone watches standard error.
pub fn is_watched() -> bool {
    std::io::stderr().is_terminal() && variable("CI").is_none()
}

/// Whether standard output wants colours: `NO_COLOR`, then `CLICOLOR_FORCE`, then whether it is a terminal.
pub fn wants_colors() -> bool {
    let is_set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
    let is_capable = std::io::stdout().is_terminal() && variable("TERM").as_deref() != Some("dumb");
    !is_set("NO_COLOR") && (is_set("CLICOLOR_FORCE") || is_capable)
}

/// Where state is kept unless something else is asked for.
pub fn state_folder() -> PathBuf {
    let home = || variable("HOME").map(|home| PathBuf::from(home).join(".local/state"));
    let base = variable("XDG_STATE_HOME").filter(|it| !it.is_empty()).map(PathBuf::from).or_else(home);
    base.map_or_else(|| PathBuf::from(".muster"), |base| base.join("muster"))
}

/// Lets panics pass without their text: it may hold a value. Where it happened is told.
pub fn quiet_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let at = panic.location().map(ToString::to_string).unwrap_or_default();
        tell(&format!("muster panicked at {at}: this is a defect of muster\n"));
    }));
}

/// Signals that tell muster to stop.
pub struct Signals {
    heard: watch::Receiver<(Level, u8)>,
    levels: watch::Receiver<Level>,
}

impl Signals {
    /// How urgently it was told to stop, now and later.
    pub fn levels(&self) -> watch::Receiver<Level> {
        self.levels.clone()
    }

    /// The number of the first signal, if there was one.
    pub fn first(&self) -> Option<u8> {
        Some(self.heard.borrow().1).filter(|number| *number > 0)
    }
}

/// Listens to SIGINT, SIGTERM and SIGHUP from when this returns. The first says undo, the second drop what runs, the
/// third leave.
///
/// # Errors
/// If the system refuses.
pub fn signals() -> std::io::Result<Signals> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let (tell_heard, heard) = watch::channel((Level::GoOn, 0));
    let (tell_level, levels) = watch::channel(Level::GoOn);
    tokio::spawn(async move {
        loop {
            let number = tokio::select! {
                _ = interrupt.recv() => 2,
                _ = terminate.recv() => 15,
                _ = hang_up.recv() => 1,
            };
            let (level, first) = *tell_heard.borrow();
            let next = match level {
                Level::GoOn => Level::Undo,
                Level::Undo => Level::DropSteps,
                Level::DropSteps | Level::Leave => Level::Leave,
            };
            tell(said(next));
            tell_heard.send_replace((next, if first == 0 { number } else { first }));
            tell_level.send_replace(next);
        }
    });
    Ok(Signals { heard, levels })
}

fn said(level: Level) -> &'static str {
    match level {
        Level::GoOn => "",
        Level::Undo => "stopping: nothing more is started, changes are put back (again: drop what runs)\n",
        Level::DropSteps => "stopping: what runs is dropped, changes are put back (again: leave at once)\n",
        Level::Leave => "leaving at once: changes stay, `muster cleanup` puts them back\n",
    }
}
