//! `lodgepole bench`: measures what the documentation claims.
//!
//! Each benchmark is a file in `bench/` that runs real work on this machine, on a folder it makes
//! and removes, and prints a table; with `--write FILE` the table replaces the block of that name
//! in a Markdown page. Figures without a command that repeats them are not published.

mod backup;
mod machine;
mod page;
mod rig;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Arg, ArgMatches, Command, value_parser};

/// Describes the subcommand.
pub(crate) fn command() -> Command {
    let sizes = Arg::new("sizes")
        .long("sizes")
        .value_name("N,N,..")
        .default_value("1000,10000,100000,1000000")
        .value_delimiter(',')
        .value_parser(value_parser!(usize))
        .help("Records of the index, one table row for each");
    let folder = Arg::new("dir")
        .long("dir")
        .value_name("DIR")
        .value_parser(value_parser!(PathBuf))
        .help("Folder for the data, on the disk to be measured [default: a temporary folder]");
    let write = Arg::new("write")
        .long("write")
        .value_name("FILE")
        .value_parser(value_parser!(PathBuf))
        .help("Markdown page whose block gets the results");
    let backup = Command::new("backup")
        .about("Times of backup and of an index from a backup, by size of the index")
        .long_about(
            "Measures, on indexes of 384 dimensions: create backup; from the create-index call \
             until the new index is described as ready and a fetch by id from it answers rightly; \
             and until its first correct query answer. In three states: idle, right after a bulk \
             load, and after 5,000 single upserts. Medians of 20 runs, of 5 from a million records \
             on. The whole table takes about ten minutes and 10 GB of disk.",
        )
        .args([sizes, folder, write]);
    Command::new("bench")
        .about("Measure this machine")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(backup)
}

/// Runs a benchmark.
///
/// # Errors
/// When the folder cannot be used, or an answer is wrong: wrong answers are not timed.
pub(crate) fn run(arguments: &ArgMatches) -> anyhow::Result<ExitCode> {
    let Some(("backup", arguments)) = arguments.subcommand() else {
        return Ok(ExitCode::from(2));
    };
    let sizes: Vec<usize> = arguments.get_many("sizes").context("no sizes")?.copied().collect();
    let folder = arguments.get_one::<PathBuf>("dir").cloned();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the threads of the benchmark cannot be started")?;
    let table = runtime.block_on(backup::run(&sizes, folder.as_deref()))?;
    runtime.shutdown_background();
    let text = format!("{}\n\n{table}", machine::describe());
    crate::output::say(&text);
    if let Some(path) = arguments.get_one::<PathBuf>("write") {
        page::replace(path, "backup", &text)?;
    }
    Ok(ExitCode::SUCCESS)
}
