//! `lodgepole verify`: looks for damage in everything that is stored.
//!
//! A server that uses the data folder is asked to look, and goes on serving; without one the folder is
//! opened here. Nothing that a user can see is changed.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Arg, ArgAction, ArgMatches, Command};
use lodgepole_server::operator::{FindingLine, Question, Reply, Verification, ask};

use crate::output::say;
use crate::{data, settings};

const HELP: &str = "\
Looks through all indexes, and through all backups as if they were restored. Nothing is changed, and a
server that uses the data goes on serving.

Without --deep everything that a search needs is opened, and what is there is counted: records against
the counts, segments against the records. That takes some milliseconds for each namespace and backup.
With --deep every record is read, every checksum compared, and every row of a segment compared with its
record. That takes as long as reading the data folder, and memory for about 32 bytes a record.

Exit code 0: nothing is wrong. 1: damage was found, and is listed, or the data cannot be opened.

What to do with what is found:
  - \"built anew by itself\": nothing. Searches go on over the records meanwhile.
  - everything else: make an index from a backup that is in order, and keep the data folder for a report.

Examples:
  lodgepole verify
  lodgepole verify --deep --data-dir /var/lib/lodgepole";

/// The settings that matter here.
const NAMES: &[&str] = &["data_dir"];

/// Describes the subcommand.
pub(crate) fn command() -> Command {
    Command::new("verify")
        .about("Look for damage in indexes and backups")
        .after_help(HELP)
        .arg(
            Arg::new("deep")
                .long("deep")
                .action(ArgAction::SetTrue)
                .help("Read everything, instead of opening and counting"),
        )
        .args(settings::flags(settings::some(NAMES)))
}

/// Looks for damage, and lists it.
///
/// # Errors
/// When the data cannot be opened.
pub(crate) fn run(arguments: &ArgMatches) -> anyhow::Result<ExitCode> {
    let settings = settings::read(arguments, settings::some(NAMES))?;
    let (data_dir, deep) = (&settings.data_dir, arguments.get_flag("deep"));
    if !data_dir.is_dir() {
        bail!("{} does not exist; name the data folder with --data-dir", data_dir.display());
    }
    let asked = ask(data_dir, &Question::Verify { deep }).context("the server does not answer")?;
    let found = match asked {
        Some(Reply::Verified(found)) => found,
        Some(Reply::Refused(why)) => bail!(why),
        Some(_) => bail!("the server is of another release"),
        None => look(data_dir, deep)?,
    };
    Ok(print(&found))
}

fn print(found: &Verification) -> ExitCode {
    for finding in &found.findings {
        say(&line(finding));
    }
    if found.more_findings > 0 {
        say(&format!("and {} more", found.more_findings));
    }
    let Verification { indexes, backups, namespaces, records, segments, .. } = found;
    let looked = format!(
        "{indexes} indexes, {backups} backups, {namespaces} namespaces, {records} records, {segments} segments"
    );
    let problems = found.findings.len() as u64 + found.more_findings;
    if problems == 0 {
        say(&format!("{looked}: nothing is wrong"));
        return ExitCode::SUCCESS;
    }
    say(&format!("{looked}: {problems} problems"));
    ExitCode::FAILURE
}

fn line(finding: &FindingLine) -> String {
    let FindingLine { whose, subject, problem, is_repaired } = finding;
    let what = if *is_repaired { " (built anew by itself)" } else { "" };
    format!("{whose}, {subject}: {problem}{what}")
}

fn look(data_dir: &Path, deep: bool) -> anyhow::Result<Verification> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let service = data::open(data_dir).await?;
        let found = data::verify(&service, deep).await;
        service.shutdown().await;
        found
    })
}
