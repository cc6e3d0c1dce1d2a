//! `lodgepole config`: what can be set.

use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Command};
use lodgepole_server::Settings;

use crate::output::say;

/// Describes the subcommand.
pub(crate) fn command() -> Command {
    Command::new("config").about("Show what can be set").arg(
        Arg::new("defaults")
            .long("defaults")
            .action(ArgAction::SetTrue)
            .required(true)
            .help("Print a settings file with every setting, its default and when to change it"),
    )
}

/// Prints the documented settings file.
#[expect(clippy::unnecessary_wraps, reason = "every subcommand has this shape")]
pub(crate) fn run(_arguments: &ArgMatches) -> anyhow::Result<ExitCode> {
    say(Settings::documented_defaults().trim_end());
    Ok(ExitCode::SUCCESS)
}
