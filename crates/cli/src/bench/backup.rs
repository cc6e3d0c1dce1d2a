//! Times of backup and of an index from a backup.
//!
//! What is claimed is that neither grows with the index, so every size is measured in one run, in
//! three states of the source: idle; right after a bulk load; after 5,000 single upserts. Each
//! answer that ends a measurement is compared with what it must be.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use lodgepole_api::wire::vectors::{FetchRequest, QueryRequest, UpsertRequest, Vector};
use lodgepole_service::{RequestContext, Service};
use lodgepole_types::{Index, Rng as _, SeededRng};

use super::rig::Rig;
use crate::output::complain;

const DIMENSION: usize = 384;
/// Records of one bulk request.
const BATCH: usize = 500;
/// Bulk requests under way at once.
const LOADERS: usize = 8;
/// Records written before each run of the state "right after a bulk load".
const BURST: usize = 10_000;
/// Records written one by one before each run of the third state, and how many at once.
const SINGLES: usize = 5_000;
const SINGLE_WRITERS: usize = 16;

/// Rest after the load, so that "idle" is what it says.
const SETTLE: Duration = Duration::from_secs(15);

/// What the source went through before the backup.
#[derive(Debug, Clone, Copy)]
enum Before {
    Idle,
    BulkLoad,
    Singles,
}

impl Before {
    const ALL: [Self; 3] = [Self::Idle, Self::BulkLoad, Self::Singles];

    fn title(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::BulkLoad => "after a bulk load",
            Self::Singles => "after 5,000 single upserts",
        }
    }
}

/// One run.
#[derive(Debug, Clone, Copy)]
struct Run {
    backup: Duration,
    fetch: Duration,
    query: Duration,
}

/// Measures all sizes and returns the table.
///
/// # Errors
/// When the service fails or an answer is wrong.
pub(super) async fn run(sizes: &[usize], parent: Option<&Path>) -> anyhow::Result<String> {
    let mut table = String::from(
        "| records | state | runs | create backup | first fetch of the new index | its first query |\n\
         |--:|---|--:|--:|--:|--:|\n",
    );
    for &size in sizes {
        let runs = if size >= 1_000_000 { 5 } else { 20 };
        let rig = Bench::open(parent, size).await?;
        for before in Before::ALL {
            let mut measured = Vec::new();
            for number in 0..runs {
                complain(&format!(
                    "{size} records, {}: run {} of {runs}",
                    before.title(),
                    number + 1
                ));
                rig.prepare(before).await?;
                measured.push(rig.measure(number).await?);
            }
            let ms = |value: fn(&Run) -> Duration| median_ms(&measured, value);
            writeln!(
                table,
                "| {size} | {} | {runs} | {:.1} ms | {:.1} ms | {:.1} ms |",
                before.title(),
                ms(|run| run.backup),
                ms(|run| run.fetch),
                ms(|run| run.query),
            )?;
        }
        rig.rig.close().await?;
    }
    Ok(table)
}

struct Bench {
    rig: Rig,
    source: Arc<Index>,
    size: usize,
}

impl Bench {
    async fn open(parent: Option<&Path>, size: usize) -> anyhow::Result<Self> {
        let rig = Rig::open(parent).await?;
        let body = format!(
            r#"{{"name":"source","dimension":{DIMENSION},"metric":"cosine",
                "spec":{{"serverless":{{"cloud":"aws","region":"us-east-1"}}}}}}"#
        );
        rig.service.create_index(&rig.context, body.as_bytes()).await?;
        let source = rig.index("source")?;
        let bench = Self { rig, source, size };
        bench.load(0, size, "load").await?;
        complain("waiting until compaction has come to rest");
        bench.rig.clock.sleep(SETTLE).await;
        Ok(bench)
    }

    /// Writes records `from..from + count` in bulk, with progress.
    async fn load(&self, from: usize, count: usize, what: &str) -> anyhow::Result<()> {
        let mut tasks = tokio::task::JoinSet::new();
        let mut done = 0;
        for start in (from..from + count).step_by(BATCH) {
            if tasks.len() == LOADERS {
                tasks.join_next().await.context("a loader is gone")???;
            }
            let end = (start + BATCH).min(from + count);
            tasks.spawn(upsert(
                self.rig.service.clone(),
                self.rig.context.clone(),
                Arc::clone(&self.source),
                (start..end).collect(),
            ));
            done += end - start;
            if count >= 100_000 && done % 100_000 == 0 {
                complain(&format!("{what}: {done} of {count} records"));
            }
        }
        while let Some(finished) = tasks.join_next().await {
            finished??;
        }
        Ok(())
    }

    async fn prepare(&self, before: Before) -> anyhow::Result<()> {
        match before {
            Before::Idle => self.rig.clock.sleep(Duration::from_millis(200)).await,
            Before::BulkLoad => {
                // Overwrites, so that the size stays what the table says.
                self.load(0, BURST.min(self.size), "burst").await?;
            }
            Before::Singles => {
                let mut writers = tokio::task::JoinSet::new();
                for writer in 0..SINGLE_WRITERS {
                    let (service, context) = (self.rig.service.clone(), self.rig.context.clone());
                    let (source, size) = (Arc::clone(&self.source), self.size);
                    writers.spawn(async move {
                        for number in (writer..SINGLES).step_by(SINGLE_WRITERS) {
                            let one = vec![number % size];
                            upsert(service.clone(), context.clone(), Arc::clone(&source), one)
                                .await?;
                        }
                        anyhow::Ok(())
                    });
                }
                while let Some(finished) = writers.join_next().await {
                    finished??;
                }
            }
        }
        Ok(())
    }

    async fn measure(&self, number: usize) -> anyhow::Result<Run> {
        let (rig, service, context) = (&self.rig, &self.rig.service, &self.rig.context);
        let begun = rig.elapsed();
        let backup = service.create_backup(context, "source", b"{}").await?;
        let took_backup = rig.elapsed() - begun;

        let backup = serde_json::to_value(backup)?;
        let id = backup["backup_id"].as_str().context("a backup without id")?.to_owned();
        ensure!(backup["status"] == "Ready", "the backup is not ready");
        let begun = rig.elapsed();
        let body = br#"{"name":"restored"}"#;
        service.create_index_from_backup(context, &id, body).await?;
        let index = rig.index("restored")?;
        let wanted = (number * 7_919 + 13) % self.size;
        let ids = vec![record_id(wanted)];
        let request = FetchRequest { ids, namespace: String::new() };
        let fetched = service.fetch(context, &index, request).await?.message;
        let values = fetched.vectors.get(&record_id(wanted)).map(|vector| vector.values.clone());
        ensure!(values == Some(vector(wanted)), "a wrong record came back");
        let took_fetch = rig.elapsed() - begun;
        let request = QueryRequest {
            vector: vector(wanted),
            top_k: 10,
            include_metadata: true,
            ..QueryRequest::default()
        };
        let answer = service.query(context, &index, request).await?.message;
        ensure!(
            answer.matches.first().is_some_and(|hit| hit.id == record_id(wanted)),
            "the nearest record of a record is not itself"
        );
        let took_query = rig.elapsed() - begun;
        service.delete_index(context, "restored").await?;
        service.delete_backup(context, &id).await?;
        service.reap_once().await?;
        Ok(Run { backup: took_backup, fetch: took_fetch, query: took_query })
    }
}

async fn upsert(
    service: Service,
    context: RequestContext,
    index: Arc<Index>,
    numbers: Vec<usize>,
) -> anyhow::Result<()> {
    let vectors = numbers
        .into_iter()
        .map(|number| Vector {
            id: record_id(number),
            values: vector(number),
            metadata: None,
            sparse_values: None,
        })
        .collect();
    let request = UpsertRequest { vectors, namespace: String::new() };
    service.upsert(&context, &index, request).await?;
    Ok(())
}

fn record_id(number: usize) -> String {
    format!("record-{number:08}")
}

/// The vector of a record: fixed by its number, in -1 to 1.
fn vector(number: usize) -> Vec<f32> {
    let rng = SeededRng::new(number as u64);
    (0..DIMENSION)
        .map(|_| {
            let bits = u16::try_from(rng.next_u64() >> 48).unwrap_or(0);
            f32::from(bits) / 32_768.0 - 1.0
        })
        .collect()
}

fn median_ms(runs: &[Run], value: fn(&Run) -> Duration) -> f64 {
    let mut all: Vec<_> = runs.iter().map(value).collect();
    all.sort_unstable();
    all.get(all.len() / 2).map_or(0.0, |middle| middle.as_secs_f64() * 1_000.0)
}
