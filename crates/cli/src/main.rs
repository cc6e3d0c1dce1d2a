//! The program `lodgepole`.
//!
//! Each subcommand is a file with a `command` that describes it and a `run` that does it. Output
//! meant for other programs goes to stdout, everything else to stderr. Exit codes: 0 for success, 1
//! for a failure that stderr explains, 2 for wrong usage.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Command;

mod bench;
mod cert;
mod config;
mod data;
mod doctor;
mod keys;
mod no_ports;
mod output;
mod serve;
mod settings;
mod sync_times;
mod verify;

/// WHY not the system's: glibc keeps what a load has freed, in pieces of every thread, and the server
/// stays at several times of what it holds. This one gives free pages back.
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let matches = command().get_matches();
    let outcome = match matches.subcommand() {
        Some(("serve", arguments)) => serve::run(arguments),
        Some(("keys", arguments)) => keys::run(arguments),
        Some(("cert", arguments)) => cert::run(arguments),
        Some(("bench", arguments)) => bench::run(arguments),
        Some(("config", arguments)) => config::run(arguments),
        Some(("verify", arguments)) => verify::run(arguments),
        Some(("doctor", arguments)) => doctor::run(arguments),
        // clap has refused everything else already.
        _ => Ok(ExitCode::from(2)),
    };
    outcome.unwrap_or_else(|error| {
        output::complain(&format!("lodgepole: {error:#}"));
        ExitCode::FAILURE
    })
}

fn command() -> Command {
    Command::new("lodgepole")
        .version(env!("CARGO_PKG_VERSION"))
        .about("A vector database server that speaks the Pinecone API")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(serve::command())
        .subcommand(keys::command())
        .subcommand(cert::command())
        .subcommand(config::command())
        .subcommand(verify::command())
        .subcommand(doctor::command())
        .subcommand(bench::command())
}

#[cfg(test)]
mod tests {
    //! Goal: the command line is sound and teaches. Method: clap's own checks, and the help text.
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn the_help_of_serve_explains_every_setting() {
        let help = serve::command().render_long_help().to_string();
        for key in lodgepole_server::KEYS {
            let flag = format!("--{}", key.flag_name());
            assert!(help.contains(&flag), "{flag} is missing");
            assert!(help.contains(&key.environment_name()), "{flag} names its variable");
        }
        assert!(help.contains("127.0.0.1:5080") && help.contains("Examples:"), "{help}");
    }
}
