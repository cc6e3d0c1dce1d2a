//! Throughput of the API itself: what a small request costs, not what searching costs.
//!
//! The server is a process of its own, so that its processor time can be read apart from that of the
//! load. The load comes from one thread here, over connections that are kept; each has one request
//! under way at a time. Upserts hold one record; queries ask for one record of a namespace of a
//! hundred, so that the search is next to nothing. Cases are measured in rounds, one after the
//! other, and medians are shown: a machine that is busy for a while does not spoil one case alone.
//! Every reply is compared with the first of its connection, which is decoded and checked.

mod disk;
mod load;
mod server;

use std::fmt::{self, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use lodgepole_storage::SystemClock;

use super::target::{self, Door};
use super::{http1, process};
use crate::output::complain;
use load::{Load, Sample};
use server::Server;

/// What is measured.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// Where the data goes; a temporary folder when absent.
    pub(super) parent: Option<PathBuf>,
    /// Connections at once, one table row for each.
    pub(super) connections: Vec<usize>,
    /// Length of one measurement.
    pub(super) duration: Duration,
    /// Measurements of each case.
    pub(super) rounds: usize,
    /// Only these kinds of request; all when empty.
    pub(super) only: Vec<String>,
}

/// A kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kind {
    door: Door,
    operation: Operation,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Upsert,
    Query,
}

impl Kind {
    /// All of them, in the order of the table.
    pub(super) const ALL: [Self; 4] = [
        Self { door: Door::Rest, operation: Operation::Upsert },
        Self { door: Door::Grpc, operation: Operation::Upsert },
        Self { door: Door::Rest, operation: Operation::Query },
        Self { door: Door::Grpc, operation: Operation::Query },
    ];

    /// How it is named on the command line and in the table.
    pub(super) fn name(self) -> &'static str {
        match (self.door, self.operation) {
            (Door::Rest, Operation::Upsert) => "rest-upsert",
            (Door::Grpc, Operation::Upsert) => "grpc-upsert",
            (Door::Rest, Operation::Query) => "rest-query",
            (Door::Grpc, Operation::Query) => "grpc-query",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Measures all cases and returns the table.
///
/// # Errors
/// When the server does not start, or an answer is wrong.
pub(super) async fn run(plan: &Plan) -> anyhow::Result<String> {
    ensure!(plan.rounds > 0, "at least one round is needed");
    let clock = SystemClock::new();
    let server = Server::start(plan.parent.as_deref())?;
    complain(&format!("the server is process {}", server.process_id()));
    let sync = disk::sync_time(server.folder(), &clock)?;
    let load = Load::prepare(&server, clock).await?;
    let is_wanted =
        |kind: &Kind| plan.only.is_empty() || plan.only.iter().any(|n| n == kind.name());
    let cases: Vec<(Kind, usize)> = Kind::ALL
        .into_iter()
        .filter(is_wanted)
        .flat_map(|kind| plan.connections.iter().map(move |&connections| (kind, connections)))
        .collect();
    let mut samples: Vec<Vec<Sample>> = vec![Vec::new(); cases.len()];
    for round in 1..=plan.rounds {
        for (&(kind, connections), samples) in cases.iter().zip(&mut samples) {
            let sample = load.measure(kind, connections, plan.duration).await;
            let sample = sample.with_context(|| format!("{kind}, {connections} connections"))?;
            complain(&format!(
                "round {round} of {}: {kind}, {connections} connections: {:.0}/s",
                plan.rounds, sample.per_second
            ));
            samples.push(sample);
        }
    }
    table(&cases, &samples, sync)
}

fn table(
    cases: &[(Kind, usize)],
    samples: &[Vec<Sample>],
    sync: Duration,
) -> anyhow::Result<String> {
    let mut table = format!(
        "Writing 4 KiB and syncing them takes {:.2} ms on this disk (median of {}).\n\n\
         | request | connections | requests/s | p50 | p99 | server CPU per request |\n\
         |---|--:|--:|--:|--:|--:|\n",
        sync.as_secs_f64() * 1_000.0,
        disk::TIMES,
    );
    for ((kind, connections), samples) in cases.iter().zip(samples) {
        let median = |value: fn(&Sample) -> f64| {
            let mut all: Vec<_> = samples.iter().map(value).collect();
            all.sort_unstable_by(f64::total_cmp);
            all.get(all.len() / 2).copied().unwrap_or(0.0)
        };
        writeln!(
            table,
            "| {kind} | {connections} | {:.0} | {:.2} ms | {:.2} ms | {:.0} µs |",
            median(|sample| sample.per_second),
            median(|sample| sample.p50_ms),
            median(|sample| sample.p99_ms),
            median(|sample| sample.server_us),
        )?;
    }
    Ok(table)
}
