//! Times of backup, of an index from a backup, and of a restart.
//!
//! What is claimed is that none of them grows with the index, so every size is measured in one run,
//! in several states of the source: all rows in segments; idle, where the last rows of the load are
//! in no segment yet; right after a bulk load; after 5,000 single upserts. Each answer that ends a
//! measurement is compared with what it must be.

mod report;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use lodgepole_api::wire::search::WarmUpRequest;
use lodgepole_api::wire::vectors::{FetchRequest, QueryRequest};
use lodgepole_engine::{EngineOptions, IndexFrom};
use lodgepole_storage::SystemClock;
use lodgepole_types::{Clock as _, Index};

use super::records;
use super::rig::Rig;
use crate::output::complain;

/// Records of one bulk request.
const BATCH: usize = 500;
/// Bulk requests under way at once.
const LOADERS: usize = 8;
/// Records written before each run of the state "right after a bulk load".
const BURST: usize = 10_000;
/// Records written one by one before each run of the last state, and how many at once.
const SINGLES: usize = 5_000;
const SINGLE_WRITERS: usize = 16;
/// From so many records on there are fewer runs.
const LARGE: usize = 1_000_000;

/// What the source went through before the backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Before {
    Indexed,
    Idle,
    BulkLoad,
    Singles,
}

impl Before {
    /// In the order in which they are measured: rows are only added to what no segment holds.
    const ALL: [Self; 4] = [Self::Idle, Self::Indexed, Self::BulkLoad, Self::Singles];
    /// Their names on the command line.
    pub(super) const NAMES: [&'static str; 4] = ["idle", "indexed", "bulk", "singles"];

    fn named(name: &str) -> Option<Self> {
        Self::NAMES.iter().zip(Self::ALL).find(|(known, _)| **known == name).map(|(_, state)| state)
    }

    fn title(self) -> &'static str {
        match self {
            Self::Indexed => "indexed",
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
    restart: Duration,
}

/// All runs of one size in one state.
#[derive(Debug)]
struct Measured {
    size: usize,
    before: Before,
    runs: Vec<Run>,
}

/// What is measured.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    /// Records of the index, one after the other.
    pub(super) sizes: Vec<usize>,
    /// Names of states; all when empty.
    pub(super) states: Vec<String>,
    /// Where the data goes; a temporary folder when absent.
    pub(super) parent: Option<&'a Path>,
}

/// Measures all sizes and returns the tables.
///
/// # Errors
/// When the service fails or an answer is wrong.
pub(super) async fn run(plan: &Plan<'_>) -> anyhow::Result<String> {
    let named = plan.states.iter().filter_map(|name| Before::named(name));
    let named: Vec<_> = named.collect();
    let mut measured = Vec::new();
    for &size in &plan.sizes {
        ensure!(size > 0, "an index without records has no first answer");
        let mut bench = Bench::open(plan.parent, size).await?;
        for before in Before::ALL.into_iter().filter(|b| named.is_empty() || named.contains(b)) {
            let count = if size >= LARGE { 5 } else { 20 };
            if before == Before::Indexed {
                bench = bench.index_all().await?;
            }
            let mut runs = Vec::new();
            for number in 0..count {
                bench.prepare(before).await?;
                let (run, reopened) = bench.measure(number).await?;
                bench = reopened;
                complain(&format!(
                    "{size} records, {}: run {} of {count}: backup {:?}, index from it {:?}, \
                     restart {:?}",
                    before.title(),
                    number + 1,
                    run.backup,
                    run.query,
                    run.restart
                ));
                runs.push(run);
            }
            measured.push(Measured { size, before, runs });
        }
        bench.rig.close().await?;
    }
    report::tables(&measured)
}

struct Bench {
    rig: Rig,
    source: Arc<Index>,
    size: usize,
}

impl Bench {
    async fn open(parent: Option<&Path>, size: usize) -> anyhow::Result<Self> {
        let rig = Rig::open(parent).await?;
        let source = records::create_index(&rig, "source").await?;
        let bench = Self { rig, source, size };
        bench.load(0, size, "load").await?;
        complain("waiting until indexing and compaction have come to rest");
        bench.rig.indexed(&bench.source).await?;
        Ok(bench)
    }

    /// Closes everything and opens it again, as a restart of the server does.
    async fn reopened(self, options: EngineOptions) -> anyhow::Result<Self> {
        let folder = self.rig.stop().await?;
        let rig = Rig::on(folder, options).await?;
        let source = rig.index("source")?;
        Ok(Self { rig, source, size: self.size })
    }

    /// Has the last rows put into segments too, which otherwise wait until there are more of them.
    async fn index_all(self) -> anyhow::Result<Self> {
        let all = IndexFrom { rows: 1, bytes: 1 };
        let bench =
            self.reopened(EngineOptions { index_from: all, ..EngineOptions::default() }).await?;
        let request = WarmUpRequest { namespace: None };
        bench.rig.service.warm_up(&bench.rig.context, &bench.source, request).await?;
        let state = bench.rig.indexed(&bench.source).await?;
        ensure!(state.tail_rows == 0, "{} rows are in no segment", state.tail_rows);
        complain(&format!("{} rows in {} segments", state.segment_rows, state.segments));
        bench.reopened(EngineOptions::default()).await
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
            let (service, context) = (self.rig.service.clone(), self.rig.context.clone());
            let index = Arc::clone(&self.source);
            tasks.spawn(async move {
                records::upsert(&service, &context, &index, ("", start..end)).await
            });
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
            Before::Idle | Before::Indexed => {
                self.rig.clock.sleep(Duration::from_millis(200)).await;
                Ok(())
            }
            // Overwrites, so that the size stays what the table says.
            Before::BulkLoad => self.load(0, BURST.min(self.size), "burst").await,
            Before::Singles => self.write_singles().await,
        }
    }

    async fn write_singles(&self) -> anyhow::Result<()> {
        let mut writers = tokio::task::JoinSet::new();
        for writer in 0..SINGLE_WRITERS {
            let (service, context) = (self.rig.service.clone(), self.rig.context.clone());
            let (source, size) = (Arc::clone(&self.source), self.size);
            writers.spawn(async move {
                for number in (writer..SINGLES).step_by(SINGLE_WRITERS) {
                    let one = number % size;
                    records::upsert(&service, &context, &source, ("", one..one + 1)).await?;
                }
                anyhow::Ok(())
            });
        }
        while let Some(finished) = writers.join_next().await {
            finished??;
        }
        Ok(())
    }

    async fn measure(self, number: usize) -> anyhow::Result<(Run, Self)> {
        let (rig, service, context) = (&self.rig, &self.rig.service, &self.rig.context);
        let begun = rig.elapsed();
        let backup = service.create_backup(context, "source", b"{}").await?;
        let took_backup = rig.elapsed() - begun;

        let backup = serde_json::to_value(backup)?;
        let id = backup["backup_id"].as_str().context("a backup without id")?.to_owned();
        ensure!(backup["status"] == "Ready", "the backup is not ready");
        let wanted = (number * 7_919 + 13) % self.size;
        let query = query_for(wanted);
        let expected = records::vector(wanted);
        let begun = rig.elapsed();
        let body = br#"{"name":"restored"}"#;
        service.create_index_from_backup(context, &id, body).await?;
        let index = rig.index("restored")?;
        let ids = vec![records::id(wanted)];
        let request = FetchRequest { ids, namespace: String::new() };
        let fetched = service.fetch(context, &index, request).await?.message;
        let values = fetched.vectors.get(&records::id(wanted)).map(|vector| vector.values.clone());
        ensure!(values.as_ref() == Some(&expected), "a wrong record came back");
        let took_fetch = rig.elapsed() - begun;
        ask(rig, &index, query.clone(), wanted).await?;
        let took_query = rig.elapsed() - begun;
        service.delete_index(context, "restored").await?;
        service.delete_backup(context, &id).await?;
        service.reap_once().await?;

        let folder = self.rig.stop().await?;
        let clock = SystemClock::new();
        let begun = clock.elapsed();
        let rig = Rig::on(folder, EngineOptions::default()).await?;
        let source = rig.index("source")?;
        ask(&rig, &source, query, wanted).await?;
        let restart = clock.elapsed() - begun;
        let run = Run { backup: took_backup, fetch: took_fetch, query: took_query, restart };
        Ok((run, Self { rig, source, size: self.size }))
    }
}

fn query_for(number: usize) -> QueryRequest {
    QueryRequest {
        vector: records::vector(number),
        top_k: 10,
        include_metadata: true,
        ..QueryRequest::default()
    }
}

/// Asks for a record by its own vector: it has to be the first of ten.
async fn ask(rig: &Rig, index: &Index, query: QueryRequest, wanted: usize) -> anyhow::Result<()> {
    let answer = rig.service.query(&rig.context, index, query).await?.message;
    ensure!(
        answer.matches.first().is_some_and(|hit| hit.id == records::id(wanted)),
        "the nearest record of a record is not itself"
    );
    Ok(())
}
