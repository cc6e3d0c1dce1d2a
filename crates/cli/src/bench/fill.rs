//! Fills an index of a running server with vectors from a file, as fast as it takes them.
//!
//! Each connection has one request under way. A record's id is its row; its metadata holds the
//! numbers that were named. What is said at the end is how long it took until every upsert was
//! acknowledged, which means: was on disk.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use lodgepole_api::wire::vectors::{UpsertRequest, UpsertResponse, Vector};
use lodgepole_storage::SystemClock;
use lodgepole_types::{Clock as _, Struct};
use serde_json::{Map, json};
use tokio::task::LocalSet;

use super::target::{self, Connection, Target};
use super::vectors::{self, Vectors};

/// What is loaded, and where to.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    target: Target,
    /// The file with the vectors.
    vectors: PathBuf,
    /// Names of metadata fields, and the files with their numbers.
    numbers: Vec<(String, PathBuf)>,
    batch_records: usize,
}

/// Describes the subcommand.
pub(super) fn command() -> Command {
    let vectors = Arg::new("vectors").long("vectors").value_name("FILE").required(true);
    let vectors =
        vectors.value_parser(value_parser!(PathBuf)).help("Raw 32-bit floats, row by row");
    let numbers =
        Arg::new("number").long("number").value_name("FIELD=FILE").action(ArgAction::Append).help(
            "Metadata: raw 16-bit whole numbers, one for each row; may be given several times",
        );
    let batch = Arg::new("batch")
        .long("batch")
        .value_name("N")
        .default_value("200")
        .value_parser(value_parser!(usize))
        .help("Records of an upsert");
    Command::new("fill")
        .about("Fill an index of a running server with vectors from a file")
        .args([vectors, numbers, batch])
        .args(target::flags())
}

impl Plan {
    /// Reads the arguments.
    pub(super) fn read(arguments: &ArgMatches) -> anyhow::Result<Self> {
        let numbers = arguments.get_many::<String>("number").unwrap_or_default();
        let numbers = numbers.map(|text| {
            let (name, path) = text.split_once('=').context("--number takes FIELD=FILE")?;
            Ok((name.to_owned(), PathBuf::from(path)))
        });
        Ok(Self {
            target: Target::read(arguments)?,
            vectors: arguments.get_one("vectors").cloned().context("no vectors")?,
            numbers: numbers.collect::<anyhow::Result<_>>()?,
            batch_records: *arguments.get_one("batch").context("no batch")?,
        })
    }
}

/// Loads all rows and gives the figures as JSON.
///
/// # Errors
/// When a file cannot be read, or an upsert is not acknowledged in full.
pub(super) async fn run(plan: &Plan) -> anyhow::Result<String> {
    ensure!(plan.batch_records > 0, "an upsert without records");
    let mut fields = Vec::new();
    for (name, path) in &plan.numbers {
        fields.push((name.clone(), vectors::numbers(path)?));
    }
    let vectors = Vectors::read(&plan.vectors, plan.target.dimension)?;
    let rows = Rc::new(Rows { vectors, fields });
    let index = plan.target.find().await?;
    let clock = SystemClock::new();
    let begun = clock.elapsed();
    let tasks = LocalSet::new();
    let mut senders = Vec::new();
    for first in 0..plan.target.connections {
        let rows = Rc::clone(&rows);
        senders.push(tasks.spawn_local(send(plan.clone(), index, rows, first)));
    }
    tasks
        .run_until(async {
            for sender in senders {
                sender.await.context("a sender is gone")??;
            }
            anyhow::Ok(())
        })
        .await?;
    let seconds: Duration = clock.elapsed() - begun;
    Ok(json!({ "records": rows.vectors.rows(), "seconds": seconds.as_secs_f64() }).to_string())
}

#[derive(Debug)]
struct Rows {
    vectors: Vectors,
    fields: Vec<(String, Vec<u16>)>,
}

impl Rows {
    fn record(&self, row: usize) -> anyhow::Result<Vector> {
        let mut metadata = Map::new();
        for (name, values) in &self.fields {
            let value = values.get(row).with_context(|| format!("{name} has too few numbers"))?;
            metadata.insert(name.clone(), json!(value));
        }
        let metadata: Option<Struct> = match metadata.is_empty() {
            true => None,
            false => Some(serde_json::from_value(metadata.into())?),
        };
        let values = self.vectors.row(row).to_vec();
        Ok(Vector { id: row.to_string(), values, metadata, ..Vector::default() })
    }
}

/// Sends every batch whose number leaves `first` when divided by the number of connections.
async fn send(plan: Plan, index: SocketAddr, rows: Rc<Rows>, first: usize) -> anyhow::Result<()> {
    let mut connection = Connection::open(plan.target.door, index, target::UPSERT).await?;
    let batches = rows.vectors.rows().div_ceil(plan.batch_records);
    for batch in (first..batches).step_by(plan.target.connections) {
        let from = batch * plan.batch_records;
        let until = rows.vectors.rows().min(from + plan.batch_records);
        let records = (from..until).map(|row| rows.record(row));
        let vectors = records.collect::<anyhow::Result<Vec<_>>>()?;
        let request = UpsertRequest { vectors, namespace: String::new() };
        let reply = connection.exchange(&plan.target.door.encode(&request)?).await?;
        let reply: UpsertResponse = plan.target.door.decode(reply)?;
        let count = usize::try_from(reply.upserted_count)?;
        ensure!(count == until - from, "{count} of {} records were taken", until - from);
    }
    Ok(())
}
