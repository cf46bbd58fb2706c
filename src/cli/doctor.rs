//! `muster doctor`: whether a target file leads somewhere, in plain words, before anything is run against it.
//!
//! Lives here: the order of the examination and how its findings are told. What is examined has a file each:
//! addresses and clocks (`network`), the cluster (`cluster`), databases (`database`), buckets (`bucket`), mail and
//! the logs of pods
//! (`mailboxes`), identities and what else is asked of the platform (`requests`).

mod bucket;
mod cluster;
mod database;
mod mailboxes;
mod network;
mod requests;

use super::args::DoctorArguments;
use super::state::State;
use super::{Ended, open, rbac};
use crate::outcome::Ending;
use crate::report::harmless;
use crate::run::Selection;
use crate::secret::Mask;
use crate::{files, host, suite};

/// What one look has shown.
struct Finding {
    /// What was looked at.
    what: String,
    /// What was seen, in plain words.
    seen: String,
    /// What to do about it, if it is not as it should be.
    advice: Option<String>,
}

impl Finding {
    fn good(what: impl Into<String>, seen: impl Into<String>) -> Self {
        Self { what: what.into(), seen: seen.into(), advice: None }
    }

    fn bad(what: impl Into<String>, seen: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { what: what.into(), seen: seen.into(), advice: Some(advice.into()) }
    }

    /// An error, whose hint is the advice.
    fn of_error(what: impl Into<String>, error: &dyn std::error::Error, otherwise: &str) -> Self {
        let told = error.to_string();
        let (seen, advice) = told.split_once("\nhint: ").unwrap_or((&told, otherwise));
        Self::bad(what, seen, advice)
    }

    /// Without secrets in what others have said, and harmless to a terminal.
    fn seemly(&self, mask: &Mask) -> Self {
        let (what, advice) = (self.what.clone(), self.advice.clone());
        Self { what, seen: harmless(mask.mask(&self.seen).as_str()), advice }
    }

    fn line(&self) -> String {
        match &self.advice {
            None => format!("ok      {:<26} {}\n", self.what, self.seen),
            Some(advice) => {
                format!("NOT OK  {:<26} {}\n        {:<26} → {advice}\n", self.what, self.seen, "")
            }
        }
    }
}

/// Examines a target from the outside in: what cannot be reached is not asked further.
pub(super) fn doctor(arguments: &DoctorArguments) -> Ended {
    let opened = open::target_file(&arguments.target)?;
    let sources = open::sources(&arguments.suites)?;
    let suites = suite::load(&sources)?;
    let state = State::lasting(arguments.state_dir.as_deref());
    let target = open::connect(&opened, &suites)?;
    let needed = rbac::needed(&suites, &target.file, &Selection::default());
    let runtime = open::runtime()?;
    let mask = Mask::new();
    target.secrets.all().for_each(|secret| mask.learn(secret.reveal()));
    let mut findings = vec![state_folder(&state, target.name())];
    findings.extend(runtime.block_on(network::examined(&target.file)));
    let is_reached = findings.iter().all(|finding| finding.advice.is_none());
    findings.extend(runtime.block_on(cluster::examined(&target, &needed, &mask)));
    findings.extend(runtime.block_on(mailboxes::examined(&target)));
    findings.extend(runtime.block_on(bucket::examined(&target)));
    let changed = suites.cases.iter().flat_map(|case| &case.uses.databases_changed).collect();
    findings.extend(runtime.block_on(database::examined(&target, &changed)));
    drop(runtime);
    if is_reached {
        findings.extend(requests::examined(arguments, &target.file, &sources)?);
    } else {
        let why = "not asked: something above is in the way";
        findings.push(Finding::bad("identities, mailbox", why, "put that right and ask again"));
    }
    let lines = findings.iter().map(|finding| finding.seemly(&mask).line()).collect::<String>();
    let bad = findings.iter().filter(|finding| finding.advice.is_some()).count();
    Ok(told(target.name(), &next(arguments), &lines, bad))
}

/// A text as one word of a command that a person pastes into a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// The run that this examination was for.
fn next(arguments: &DoctorArguments) -> String {
    let suites = arguments.suites.suites.as_ref();
    let suites = suites.map(|folder| format!(" --suites {}", folder.display())).unwrap_or_default();
    format!("muster run{suites} --target {}", arguments.target.display())
}

fn told(target: &str, next: &str, lines: &str, bad: usize) -> Ending {
    let (sum, ending) = match bad {
        0 => (format!("{target} is ready: {next}\n"), Ending::Passed),
        1 => (format!("1 thing of {target} is not as it should be\n"), Ending::Undecided),
        more => (format!("{more} things of {target} are not as they should be\n"), Ending::Undecided),
    };
    host::print(&format!("{lines}{sum}"));
    ending
}

/// Whether undo can be remembered.
fn state_folder(state: &State, target: &str) -> Finding {
    let probe = state.run(target, "doctor").join("probe");
    let tried = files::write_whole(&probe, b"muster doctor")
        .and_then(|()| files::remove_folder(&state.run(target, "doctor")));
    match tried {
        Ok(()) => Finding::good("state folder", "changes can be written down before they are made"),
        Err(error) => Finding::bad("state folder", error.to_string(), "name another with --state-dir"),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_word_of_a_command_is_one_word() {
        assert_eq!(super::quoted("app in (a, b)"), "'app in (a, b)'");
        assert_eq!(super::quoted("a'b"), r"'a'\''b'");
    }
}
