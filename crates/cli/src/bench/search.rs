//! Queries to an index of a running server: how many a second, how long each takes, and what the
//! server's processors spend on it.
//!
//! Requests are made before the clock starts, replies are not decoded while it runs, and the load
//! is one thread: on a machine with few processors it must leave them to the server.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::{Arg, ArgMatches, Command, value_parser};
use lodgepole_api::wire::vectors::{QueryRequest, QueryResponse};
use lodgepole_storage::SystemClock;
use lodgepole_types::{Clock as _, Struct};
use serde_json::json;
use tokio::task::LocalSet;

use super::process::processor_time;
use super::target::{self, Connection, Target};
use super::vectors::Vectors;

/// Load before a measurement begins.
const WARM_UP: Duration = Duration::from_millis(200);
/// Connections begin with queries that lie so far apart.
const APART: usize = 37;

/// What is asked, and where.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    target: Target,
    /// The file with the vectors to ask for.
    queries: PathBuf,
    /// Only so many of them.
    count: Option<usize>,
    top_k: u32,
    filter: Option<Struct>,
    scan_factor: Option<f32>,
    max_candidates: Option<u32>,
    /// How long; each query once, with the ids of the answers, when absent.
    duration: Option<Duration>,
    /// The server's process, to read its processor time.
    process: Option<u32>,
}

/// Describes the subcommand.
pub(super) fn command() -> Command {
    let option = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    let queries = option("queries", "FILE", "Raw 32-bit floats, one row for each query");
    let count = option("count", "N", "Only the first queries of the file");
    let top_k = option("top-k", "N", "Records wanted");
    let filter = option("filter", "JSON", "Metadata filter");
    let factor = option("scan-factor", "F", "Effort: multiplies how much is looked at");
    let candidates = option("max-candidates", "N", "Records scored exactly, at most");
    let seconds = option("seconds", "S", "How long [default: each query once, and print the ids]");
    let process = option("process", "PID", "The server, to read its processor time");
    Command::new("search")
        .about("Ask an index of a running server for vectors from a file")
        .long_about(
            "Asks over kept connections from one thread, each with one query under way. With \
             --seconds: queries a second, their time, and the server's processor time for each. \
             Without: the ids that each query found, to see how many are right. One line of JSON.",
        )
        .args([
            queries.required(true).value_parser(value_parser!(PathBuf)),
            count.value_parser(value_parser!(usize)),
            top_k.default_value("10").value_parser(value_parser!(u32)),
            filter,
            factor.value_parser(value_parser!(f32)),
            candidates.value_parser(value_parser!(u32)),
            seconds.value_parser(value_parser!(f64)),
            process.value_parser(value_parser!(u32)),
        ])
        .args(target::flags())
}

impl Plan {
    /// Reads the arguments.
    pub(super) fn read(arguments: &ArgMatches) -> anyhow::Result<Self> {
        let filter = arguments.get_one::<String>("filter");
        let filter = filter.map(|text| serde_json::from_str(text)).transpose();
        let seconds = arguments.get_one::<f64>("seconds");
        Ok(Self {
            target: Target::read(arguments)?,
            queries: arguments.get_one("queries").cloned().context("no queries")?,
            count: arguments.get_one("count").copied(),
            top_k: *arguments.get_one("top-k").context("no top-k")?,
            filter: filter.context("the filter is no JSON object")?,
            scan_factor: arguments.get_one("scan-factor").copied(),
            max_candidates: arguments.get_one("max-candidates").copied(),
            duration: seconds.map(|&seconds| Duration::from_secs_f64(seconds)),
            process: arguments.get_one("process").copied(),
        })
    }
}

/// Asks, and gives the figures as JSON.
///
/// # Errors
/// When the file cannot be read, or a query is refused.
pub(super) async fn run(plan: &Plan) -> anyhow::Result<String> {
    let requests = Rc::new(requests(plan)?);
    let index = plan.target.find().await?;
    match plan.duration {
        None => once(plan, index, &requests).await,
        Some(duration) => repeated(plan, index, &requests, duration).await,
    }
}

fn requests(plan: &Plan) -> anyhow::Result<Vec<Vec<u8>>> {
    let vectors = Vectors::read(&plan.queries, plan.target.dimension)?;
    let count = plan.count.unwrap_or(usize::MAX).min(vectors.rows());
    let request = |row| {
        plan.target.door.encode(&QueryRequest {
            vector: vectors.row(row).to_vec(),
            top_k: plan.top_k,
            filter: plan.filter.clone(),
            scan_factor: plan.scan_factor,
            max_candidates: plan.max_candidates,
            ..QueryRequest::default()
        })
    };
    (0..count).map(request).collect()
}

/// Each query once: the ids, and the time.
async fn once(
    plan: &Plan,
    index: SocketAddr,
    requests: &Rc<Vec<Vec<u8>>>,
) -> anyhow::Result<String> {
    let clock = SystemClock::new();
    let mut connection = Connection::open(plan.target.door, index, target::QUERY).await?;
    for request in requests.iter().take(10) {
        connection.exchange(request).await?;
    }
    let used = server_time(plan)?;
    let begun = clock.elapsed();
    let mut replies = Vec::with_capacity(requests.len());
    for request in requests.iter() {
        replies.push(connection.exchange(request).await?.to_vec());
    }
    let seconds = (clock.elapsed() - begun).as_secs_f64();
    let used = (server_time(plan)? - used).as_secs_f64();
    let mut ids = Vec::with_capacity(replies.len());
    for reply in &replies {
        let reply: QueryResponse = plan.target.door.decode(reply)?;
        ids.push(reply.matches.into_iter().map(|hit| hit.id).collect::<Vec<_>>());
    }
    Ok(json!({ "ids": ids, "wall_s": seconds, "cpu_s": used }).to_string())
}

/// For so long, over so many connections.
async fn repeated(
    plan: &Plan,
    index: SocketAddr,
    requests: &Rc<Vec<Vec<u8>>>,
    duration: Duration,
) -> anyhow::Result<String> {
    let clock = Rc::new(SystemClock::new());
    let from = clock.elapsed() + WARM_UP;
    let until = from + duration;
    let tasks = LocalSet::new();
    let mut callers = Vec::new();
    for number in 0..plan.target.connections {
        let connection = Connection::open(plan.target.door, index, target::QUERY).await?;
        let caller = Caller { connection, clock: Rc::clone(&clock), next: number * APART };
        callers.push(tasks.spawn_local(caller.call(Rc::clone(requests), from, until)));
    }
    let measured = tasks.run_until(async {
        clock.sleep(WARM_UP).await;
        let (begun, before) = (clock.elapsed(), server_time(plan)?);
        clock.sleep(until.saturating_sub(begun)).await;
        let (ended, after) = (clock.elapsed(), server_time(plan)?);
        let mut latencies = Vec::new();
        for caller in callers {
            latencies.extend(caller.await.context("a caller is gone")??);
        }
        anyhow::Ok((latencies, ended - begun, after - before))
    });
    let (mut latencies, wall, used) = measured.await?;
    ensure!(!latencies.is_empty(), "no query was answered in time");
    latencies.sort_unstable();
    let ms = |part: usize| {
        let place = (latencies.len() * part / 100).min(latencies.len() - 1);
        latencies[place].as_secs_f64() * 1_000.0
    };
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53 queries")]
    let count = latencies.len() as f64;
    let figures = json!({
        "qps": count / wall.as_secs_f64(),
        "queries": latencies.len(),
        "cpu_us": used.as_secs_f64() * 1e6 / count,
        "p50_ms": ms(50),
        "p95_ms": ms(95),
        "p99_ms": ms(99),
    });
    Ok(figures.to_string())
}

fn server_time(plan: &Plan) -> anyhow::Result<Duration> {
    plan.process.map_or(Ok(Duration::ZERO), processor_time)
}

/// One connection.
#[derive(Debug)]
struct Caller {
    connection: Connection,
    clock: Rc<SystemClock>,
    next: usize,
}

impl Caller {
    /// Asks until the end; gives the time of each query that began and ended in between.
    async fn call(
        mut self,
        requests: Rc<Vec<Vec<u8>>>,
        from: Duration,
        until: Duration,
    ) -> anyhow::Result<Vec<Duration>> {
        let mut latencies = Vec::new();
        loop {
            let begun = self.clock.elapsed();
            if begun >= until {
                return Ok(latencies);
            }
            let request = &requests[self.next % requests.len()];
            self.next += 1;
            let reply = self.connection.exchange(request).await?;
            ensure!(!reply.is_empty(), "an empty reply");
            let ended = self.clock.elapsed();
            if begun >= from && ended <= until {
                latencies.push(ended - begun);
            }
        }
    }
}
