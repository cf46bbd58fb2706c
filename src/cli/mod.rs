//! The command line: arguments in, exit code out.
//!
//! Lives here: one file per command, and what they share: opening a target (`open`), the state folder (`state`), where
//! events go (`sink`). Does not: anything that could be tested without a command line.

mod args;
mod check;
mod cleanup;
mod doctor;
mod explain;
mod fake;
mod help;
mod init;
mod libtest;
mod list;
mod open;
mod rbac;
mod report;
mod reports;
mod run;
mod schema;
mod signals;
mod sink;
mod snapshots;
mod state;
mod written;

pub use libtest::libtest;

use crate::outcome::Ending;
use crate::{files, host};
use args::{Arguments, Command};
use clap::Parser;

/// So many files a runtime opens to listen to signals.
const FILES_TO_LISTEN: usize = 8;

/// Runs the program and gives its exit code.
pub fn main() -> u8 {
    host::quiet_panics();
    // Whoever may open too few files to listen is told so by the command.
    if files::room_for(FILES_TO_LISTEN).is_ok() {
        host::hear_of_full_files().unwrap_or_default();
    }
    let code = carried_out();
    host::end_telling();
    code
}

fn carried_out() -> u8 {
    let arguments = match Arguments::try_parse_from(host::arguments()) {
        Ok(arguments) => arguments,
        Err(told) => return refused(&told),
    };
    let ended = match arguments.command {
        Command::Run(arguments) => run::run(&arguments),
        Command::List(arguments) => list::list(&arguments),
        Command::Check(arguments) => check::check(&arguments),
        Command::Explain(arguments) => explain::explain(&arguments),
        Command::Schema(arguments) => schema::schema(&arguments),
        Command::Report(arguments) => report::report(&arguments),
        Command::Cleanup(arguments) => cleanup::cleanup(&arguments),
        Command::Init(arguments) => init::init(&arguments),
        Command::Rbac(arguments) => rbac::rbac(&arguments),
        Command::Doctor(arguments) => doctor::doctor(&arguments),
        Command::Fake(arguments) => fake::fake(&arguments),
        Command::Libtest(arguments) => return libtest(&arguments.arguments),
        Command::Help(arguments) => help::help(&arguments),
    };
    match ended {
        Ok(ending) => told_whole(ending).code(),
        Err(refusal) => misused(&harmless(&refusal.0)),
    }
}

/// Tells why nothing was done.
fn misused(told: &str) -> u8 {
    host::tell(told);
    Ending::Misused.code()
}

/// clap's own answers: help and version are no errors, everything else is usage.
fn refused(told: &clap::Error) -> u8 {
    if told.use_stderr() {
        return misused(&told.to_string());
    }
    host::print(&told.to_string());
    told_whole(Ending::Passed).code()
}

/// What was printed and has got lost was not told: whoever reads a part of it must not take it for the whole. A run says so
/// itself, in its reports too.
fn told_whole(ending: Ending) -> Ending {
    match lost_output().filter(|_| ending < Ending::Unrecorded) {
        None => ending,
        Some(told) => {
            host::tell(&format!("error: {told}\n"));
            Ending::Unrecorded
        }
    }
}

/// What to say of what was printed and not read, if anything.
fn lost_output() -> Option<String> {
    host::lost_output().map(|why| format!("cannot write to the standard output: {why}"))
}

/// Why a command did nothing: usage, configuration, or an invalid file. The text is whole, with its hints.
pub(crate) struct Refusal(String);

impl Refusal {
    pub(crate) fn new(text: impl std::fmt::Display) -> Self {
        let text = text.to_string();
        if text.starts_with("error") { Self(format!("{text}\n")) } else { Self(format!("error: {text}\n")) }
    }

    /// What it says, as the reason of something else.
    pub(crate) fn said(&self) -> &str {
        self.0.trim_start_matches("error: ").trim_end()
    }
}

impl<E: std::error::Error> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::new(error)
    }
}

/// Lines that may hold what others have said, made harmless to a terminal.
fn harmless(text: &str) -> String {
    format!("{}\n", crate::report::harmless(text))
}

/// What a command ends with.
pub(crate) type Ended = Result<Ending, Refusal>;
