//! Very many tiny namespaces in one index: what each costs, and what stays quick.
//!
//! One process writes them; another one, started on the folder that the first has left, does the
//! reading: what it holds in memory is then what a server holds after a start, and the first query
//! of a namespace finds nothing of it in memory. Every answer is checked.

mod reader;

use std::path::{Path, PathBuf};
use std::process::{Command as Process, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::{Arg, ArgMatches, Command, value_parser};
use lodgepole_types::Index;

use super::rig::Rig;
use super::{process, records};
use crate::output::complain;

/// Namespaces that are written one after the other, and how many at once after those.
const ALONE: usize = 500;
const WRITERS: usize = 32;
/// Rest after the load, in which the storage merges what was written.
const SETTLE: Duration = Duration::from_secs(10);

/// How many there are, and where.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    count: usize,
    /// Records of each.
    records: usize,
    /// Where the data goes; a temporary folder when absent.
    parent: Option<PathBuf>,
    /// The folder of another run of this program: read what that has written.
    written: Option<PathBuf>,
}

/// Describes the subcommand.
pub(super) fn command() -> Command {
    let count = Arg::new("count").long("count").value_name("N").default_value("100000");
    let records = Arg::new("records").long("records").value_name("N").default_value("5");
    let written = Arg::new("written").long("written").value_name("DIR").hide(true);
    Command::new("namespaces")
        .about("What very many tiny namespaces of one index cost")
        .long_about(
            "Writes namespaces of a few records with 384 dimensions, one upsert each. Shows the \
             time to write one, its bytes on disk and in memory, and the times of a query (the \
             first of a namespace, and a second one), a page of list_namespaces, \
             describe_index_stats, a backup, an index from it, and a restart. 100,000 of them \
             take a few minutes and 3 GB of disk.",
        )
        .args([
            count.value_parser(value_parser!(usize)).help("Namespaces"),
            records.value_parser(value_parser!(usize)).help("Records of each"),
            written.value_parser(value_parser!(PathBuf)),
        ])
}

impl Plan {
    /// Reads the arguments.
    pub(super) fn read(arguments: &ArgMatches) -> anyhow::Result<Self> {
        let number = |name: &str| arguments.get_one::<usize>(name).copied().context("no number");
        let (count, records) = (number("count")?, number("records")?);
        ensure!(count > 0 && records > 0, "at least one namespace with one record is needed");
        let (parent, written) = (arguments.get_one("dir"), arguments.get_one("written"));
        Ok(Self { count, records, parent: parent.cloned(), written: written.cloned() })
    }

    /// What the benchmark prints is a part of another one's table.
    pub(super) fn is_part(&self) -> bool {
        self.written.is_some()
    }
}

/// Name of a namespace.
fn name(number: usize) -> String {
    format!("namespace-{number:07}")
}

/// Measures, and returns the table.
///
/// # Errors
/// When the service fails or an answer is wrong.
pub(super) async fn run(plan: &Plan) -> anyhow::Result<String> {
    if let Some(folder) = &plan.written {
        return reader::run(plan, folder).await;
    }
    let rig = Rig::open(plan.parent.as_deref()).await?;
    let index = records::create_index(&rig, "bench").await?;
    let idle = process::anonymous_bytes()?;
    let written = write_all(plan, &rig, &index).await?;
    let anonymous = process::anonymous_bytes()?.saturating_sub(idle);
    rig.clock.sleep(SETTLE).await;
    let disk = process::disk_bytes(rig.folder())?;
    let folder = rig.stop().await?;
    let read = read_all(plan, &folder);
    let removed = std::fs::remove_dir_all(&folder);
    let read = read?;
    removed.with_context(|| format!("cannot remove {}", folder.display()))?;
    let bytes = plan.records * records::DIMENSION * 4;
    Ok(format!(
        "{} namespaces of {} records with {} dimensions, {bytes} bytes of vectors each.\n\n\
         | | |\n|---|--:|\n\
         | write one, one after the other (median of {}) | {:.2} ms |\n\
         | write one, {WRITERS} at once, over all | {:.3} ms |\n\
         | disk | {} bytes each |\n\
         | memory after writing them | {} bytes each |\n{read}",
        plan.count,
        plan.records,
        records::DIMENSION,
        written.alone,
        written.alone_ms,
        written.together_ms,
        disk / plan.count as u64,
        anonymous / plan.count as u64,
    ))
}

struct Written {
    /// How many were written one after the other.
    alone: usize,
    alone_ms: f64,
    together_ms: f64,
}

async fn write_all(plan: &Plan, rig: &Rig, index: &Arc<Index>) -> anyhow::Result<Written> {
    let alone = ALONE.min(plan.count.div_ceil(2));
    let mut times = Vec::with_capacity(alone);
    for number in 0..alone {
        let begun = rig.elapsed();
        write_one(plan, rig, index, number).await?;
        times.push(rig.elapsed() - begun);
    }
    let begun = rig.elapsed();
    let mut tasks = tokio::task::JoinSet::new();
    for number in alone..plan.count {
        if tasks.len() == WRITERS {
            tasks.join_next().await.context("a writer is gone")???;
        }
        let (service, context) = (rig.service.clone(), rig.context.clone());
        let (index, each) = (Arc::clone(index), plan.records);
        tasks.spawn(async move {
            let numbers = number * each..(number + 1) * each;
            records::upsert(&service, &context, &index, (&name(number), numbers)).await
        });
        if (number + 1) % 10_000 == 0 {
            complain(&format!("{} of {} namespaces", number + 1, plan.count));
        }
    }
    while let Some(finished) = tasks.join_next().await {
        finished??;
    }
    let together = rig.elapsed() - begun;
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53 namespaces")]
    let count = (plan.count - alone).max(1) as f64;
    let together_ms = together.as_secs_f64() * 1_000.0 / count;
    Ok(Written { alone, alone_ms: reader::median_ms(&mut times), together_ms })
}

async fn write_one(plan: &Plan, rig: &Rig, index: &Index, number: usize) -> anyhow::Result<()> {
    let numbers = number * plan.records..(number + 1) * plan.records;
    records::upsert(&rig.service, &rig.context, index, (&name(number), numbers)).await
}

/// Runs this program again, to read.
fn read_all(plan: &Plan, folder: &Path) -> anyhow::Result<String> {
    let program = std::env::current_exe().context("this program cannot be found")?;
    let done = Process::new(program)
        .args(["bench", "namespaces", "--count", &plan.count.to_string()])
        .args(["--records", &plan.records.to_string(), "--written"])
        .arg(folder)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("the reader cannot be started")?;
    ensure!(done.status.success(), "the reader has failed");
    Ok(String::from_utf8(done.stdout)?.trim_end().to_owned())
}
