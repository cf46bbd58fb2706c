//! `muster help`.

use super::args::{Arguments, HelpArguments};
use super::{Ended, Refusal};
use crate::host;
use crate::outcome::Ending;
use clap::CommandFactory;

/// Explains a topic, or prints the usual help.
pub(super) fn help(arguments: &HelpArguments) -> Ended {
    let text = match arguments.topic.as_deref() {
        None => Arguments::command().render_long_help().to_string(),
        Some("exit-codes") => exit_codes(),
        Some(topic) => match Arguments::command().find_subcommand_mut(topic) {
            Some(command) => command.render_long_help().to_string(),
            None => {
                let text =
                    format!("there is no topic `{topic}`\nhint: topics are exit-codes, and every command");
                return Err(Refusal::new(text));
            }
        },
    };
    host::print(&text);
    Ok(Ending::Passed)
}

fn exit_codes() -> String {
    let line =
        |ending: &Ending| format!("{:>3}  {:<16}  {}\n", ending.code(), ending.word(), ending.meaning());
    let codes: String = Ending::ALL.iter().map(line).collect();
    format!(
        "{codes}\n2, 4 and 7 stand alone; else 101, 5, 6, 129/130/143, 1, 3, 0 in this order. All that applied stand by \
         word in summary.json.\n"
    )
}
