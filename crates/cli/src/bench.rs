//! `lodgepole bench`: measures what the documentation claims.
//!
//! Each benchmark is a file in `bench/` that runs real work on this machine, on a folder it makes
//! and removes, and prints a table; with `--write FILE` the table replaces the block of that name
//! in a Markdown page. Figures without a command that repeats them are not published.

mod api;
mod backup;
mod fill;
mod http1;
mod http2;
mod machine;
mod namespaces;
mod page;
mod process;
mod records;
mod rig;
mod search;
mod target;
mod vectors;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Arg, ArgMatches, Command, value_parser};

/// Describes the subcommand.
pub(crate) fn command() -> Command {
    Command::new("bench")
        .about("Measure this machine")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(api_command())
        .subcommand(backup_command())
        .subcommand(namespaces::command().args(common_flags()))
        .subcommand(fill::command())
        .subcommand(search::command())
}

/// Flags that all benchmarks have.
fn common_flags() -> [Arg; 2] {
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
    [folder, write]
}

fn api_command() -> Command {
    let connections = Arg::new("connections")
        .long("connections")
        .value_name("N,N,..")
        .default_value("1,16,128")
        .value_delimiter(',')
        .value_parser(value_parser!(usize))
        .help("Connections at once, one table row for each");
    let seconds = Arg::new("seconds")
        .long("seconds")
        .value_name("N")
        .default_value("2")
        .value_parser(value_parser!(u64).range(1..))
        .help("Length of one measurement");
    let rounds = Arg::new("rounds")
        .long("rounds")
        .value_name("N")
        .default_value("7")
        .value_parser(value_parser!(usize))
        .help("Measurements of each case; the median is shown");
    let only = Arg::new("only")
        .long("only")
        .value_name("KIND,..")
        .value_delimiter(',')
        .value_parser(api::Kind::ALL.map(api::Kind::name))
        .help("Kinds of request [default: all]");
    Command::new("api")
        .about("Requests a second and their cost, over REST and gRPC")
        .long_about(
            "Starts the server as a process of its own with default settings, and sends it small \
             requests over kept connections from one thread: upserts of one record with 8 \
             dimensions, and queries for the nearest of 100 records. Shows requests a second, \
             their time, and the processor time that the server spent on each. The whole table \
             takes about three minutes. The number of the server's process is shown, for a \
             profiler.",
        )
        .args([connections, seconds, rounds, only])
        .args(common_flags())
}

fn backup_command() -> Command {
    let sizes = Arg::new("sizes")
        .long("sizes")
        .value_name("N,N,..")
        .default_value("1000,10000,100000,1000000")
        .value_delimiter(',')
        .value_parser(value_parser!(usize))
        .help("Records of the index, one table row for each");
    let states = Arg::new("states")
        .long("states")
        .value_name("STATE,..")
        .value_delimiter(',')
        .value_parser(backup::Before::NAMES)
        .help("States of the index to measure in [default: all]");
    Command::new("backup")
        .about("Times of backup, an index from a backup, and a restart, by size of the index")
        .long_about(
            "Measures, on indexes of 384 dimensions: create backup; from the create-index call \
             until the new index is described as ready and a fetch by id from it answers rightly; \
             until its first correct query answer; and from a restart to the first correct query \
             answer. In four states: idle, all rows in segments (indexed), right after a bulk load \
             (bulk), and after 5,000 single upserts (singles). Medians of 20 runs, of 5 from a \
             million records on. The whole table takes about 15 minutes and 10 GB of disk; what \
             the goals are about, --sizes 10000,1000000 --states indexed, takes about five.",
        )
        .args([sizes, states])
        .args(common_flags())
}

/// Runs a benchmark.
///
/// # Errors
/// When the folder cannot be used, or an answer is wrong: wrong answers are not timed.
pub(crate) fn run(arguments: &ArgMatches) -> anyhow::Result<ExitCode> {
    let Some((name, arguments)) = arguments.subcommand() else {
        return Ok(ExitCode::from(2));
    };
    let table = match name {
        "api" => run_api(arguments),
        "backup" => run_backup(arguments),
        "namespaces" => {
            let plan = namespaces::Plan::read(arguments)?;
            let text = all_threads()?.block_on(namespaces::run(&plan))?;
            if plan.is_part() {
                crate::output::say(&text);
                return Ok(ExitCode::SUCCESS);
            }
            Ok(text)
        }
        // These are for programs: one line of JSON.
        _ => {
            crate::output::say(&run_load(name, arguments)?);
            return Ok(ExitCode::SUCCESS);
        }
    }?;
    let text = format!("{}\n\n{table}", machine::describe());
    crate::output::say(&text);
    if let Some(path) = arguments.get_one::<PathBuf>("write") {
        page::replace(path, name, &text)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn run_api(arguments: &ArgMatches) -> anyhow::Result<String> {
    let only = arguments.get_many::<String>("only").unwrap_or_default();
    let plan = api::Plan {
        parent: arguments.get_one("dir").cloned(),
        connections: arguments.get_many("connections").context("none")?.copied().collect(),
        duration: Duration::from_secs(*arguments.get_one("seconds").context("no duration")?),
        rounds: *arguments.get_one("rounds").context("no rounds")?,
        only: only.cloned().collect(),
    };
    one_thread()?.block_on(api::run(&plan))
}

fn run_load(name: &str, arguments: &ArgMatches) -> anyhow::Result<String> {
    if name == "fill" {
        let plan = fill::Plan::read(arguments)?;
        return one_thread()?.block_on(fill::run(&plan));
    }
    let plan = search::Plan::read(arguments)?;
    one_thread()?.block_on(search::run(&plan))
}

/// For load: more threads would take the processors that the server needs.
fn one_thread() -> anyhow::Result<tokio::runtime::Runtime> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("the load cannot be started")
}

fn run_backup(arguments: &ArgMatches) -> anyhow::Result<String> {
    let states = arguments.get_many::<String>("states").unwrap_or_default();
    let plan = backup::Plan {
        sizes: arguments.get_many("sizes").context("no sizes")?.copied().collect(),
        states: states.cloned().collect(),
        parent: arguments.get_one::<PathBuf>("dir").map(PathBuf::as_path),
    };
    let runtime = all_threads()?;
    let table = runtime.block_on(backup::run(&plan))?;
    runtime.shutdown_background();
    Ok(table)
}

/// For a whole service in this process.
fn all_threads() -> anyhow::Result<tokio::runtime::Runtime> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.context("the threads of the benchmark cannot be started")
}
