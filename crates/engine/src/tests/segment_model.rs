//! Goal: whatever is written, indexed, merged, backed up, cloned, deleted, collected or damaged, in
//! any order, an index holds what a map would hold, and a segment file exists exactly as long as
//! somebody needs it. Method: random steps from a seed, on indexes that a map follows; after each
//! step every way of reading is compared with the map, and the rows and files with each other.
//!
//! Thresholds are so low that a few records make a segment, and the time of grace is zero, so that
//! only the rules protect a file.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use lodgepole_rows::{self as rows, DirectoryRow, NamespaceRow, Place};
use lodgepole_storage::object_store::{ObjectStore as _, ObjectStoreExt as _, path::Path};
use lodgepole_storage::prefix_range;
use lodgepole_types::{
    Filter, IndexId, Limits, MetadataPatch, Metric, Record, Rng as _, SeededRng, StoredMetadata,
};
use uuid::Uuid;

use super::{Bench, id, metadata, near, ns};
use crate::{Deletion, EngineOptions, Estate, IndexFrom, ListPage, Query, ShardRef, Update, slots};

const DIMENSION: u32 = 6;
const SEEDS: u64 = 200;
const STEPS: usize = 18;
/// Runs at once: most of their time is waiting for the log.
const AT_ONCE: usize = 16;
/// Longest run of one seed.
const RUN_TIME_MAX: Duration = Duration::from_secs(60);
/// Ids of one namespace.
const KEYS: u64 = 40;
const GROUPS: u64 = 4;
const SPACES: [&str; 3] = ["", "one", "two"];
const INDEXES_MAX: usize = 3;
const BACKUPS_MAX: usize = 3;
/// Names the one seed to run.
const SEED_VARIABLE: &str = "LODGEPOLE_SEGMENT_SEED";

type Records = BTreeMap<String, Record>;
type Contents = BTreeMap<&'static str, Records>;

/// An index, and what should be in it.
#[derive(Clone)]
struct Held {
    shard: ShardRef,
    contents: Contents,
}

struct Backup {
    name: String,
    source: IndexId,
    pin: Uuid,
    contents: Contents,
    segments: BTreeSet<String>,
}

/// One run.
struct World {
    bench: Bench,
    rng: SeededRng,
    live: Vec<Held>,
    hidden: Vec<IndexId>,
    backups: Vec<Backup>,
    /// Files that a step has removed or damaged, as rows name them.
    spoiled: BTreeSet<String>,
    names: u64,
    steps: Vec<String>,
    /// Segments that were seen: a run without any proves nothing.
    seen: BTreeSet<String>,
}

fn options(seed: u64) -> EngineOptions {
    let options = EngineOptions {
        index_from: IndexFrom { rows: 8, bytes: u64::MAX },
        segment_grace: Duration::ZERO,
        search_threads: 1,
        ..EngineOptions::default()
    };
    match seed % 4 {
        // Some namespaces are too large for memory and are indexed from their records.
        0 => EngineOptions { tail_bytes_max: 3_000, index_batch_bytes: 1_000, ..options },
        // Segments stay small and many.
        1 => EngineOptions { segment_rows_max: 24, ..options },
        // Queues are given up now and then.
        2 => EngineOptions { queue_versions_max: 10, ..options },
        _ => options,
    }
}

fn filter(json: &str) -> Arc<Filter> {
    let source = serde_json::from_str(json).unwrap();
    Arc::new(Filter::parse(&source, &Limits::default()).unwrap())
}

fn patch(json: &str) -> MetadataPatch {
    MetadataPatch::parse(serde_json::from_str(json).unwrap(), &Limits::default()).unwrap()
}

fn matches(filter: &Filter, record: &Record) -> bool {
    filter.matches(StoredMetadata::new(&record.metadata.to_stored()))
}

impl World {
    async fn new(seed: u64) -> Self {
        let bench = Bench::with(options(seed));
        let shard = bench.create(DIMENSION, Metric::DotProduct).await;
        Self {
            bench,
            rng: SeededRng::new(seed),
            live: vec![Held { shard, contents: Contents::new() }],
            hidden: Vec::new(),
            backups: Vec::new(),
            spoiled: BTreeSet::new(),
            names: 0,
            steps: Vec::new(),
            seen: BTreeSet::new(),
        }
    }

    fn draw(&self, below: u64) -> u64 {
        self.rng.next_u64() % below
    }

    fn place(&self, count: usize) -> usize {
        usize::try_from(self.draw(count as u64)).unwrap()
    }

    fn fresh_name(&mut self) -> String {
        self.names += 1;
        format!("n{}", self.names)
    }

    fn keys(&self, count_max: u64) -> Vec<String> {
        let first = self.draw(KEYS);
        let count = 1 + self.draw(count_max);
        (0..count).map(|step| format!("k{:02}", (first + step * 3) % KEYS)).collect()
    }

    fn record(&mut self, key: &str) -> Record {
        let stamp = self.fresh_name();
        let group = self.draw(GROUPS);
        let values = super::small_vector(&self.rng, DIMENSION);
        let metadata = metadata(&format!(r#"{{"stamp":"{stamp}","group":{group}}}"#));
        Record { id: id(key), values, sparse: None, metadata }
    }

    /// A write to one namespace of one index, in the engine and in the map.
    async fn write(&mut self, at: usize) {
        let space = SPACES[self.place(SPACES.len())];
        let shard = self.live[at].shard;
        let engine = Arc::clone(&self.bench.engine);
        let name = ns(space);
        let kind = self.draw(16);
        let known = self.live[at].contents.contains_key(space);
        self.steps.push(format!("write {kind} to {at} '{space}'"));
        if !known || kind < 7 {
            let keys = self.keys(14);
            let records: Vec<_> = keys.iter().map(|key| self.record(key)).collect();
            let held = self.live[at].contents.entry(space).or_default();
            for record in &records {
                held.insert(record.id.as_str().to_owned(), record.clone());
            }
            engine.upsert(shard, &name, records).await.unwrap();
            return;
        }
        let group = self.draw(GROUPS);
        let in_group = filter(&format!(r#"{{"group":{group}}}"#));
        let stamp = self.fresh_name();
        let changed = patch(&format!(r#"{{"stamp":"{stamp}"}}"#));
        let key = self.keys(1).remove(0);
        let values = super::small_vector(&self.rng, DIMENSION);
        let keys = self.keys(10);
        let held = self.live[at].contents.get_mut(space).unwrap();
        match kind {
            7 | 8 => {
                held.retain(|key, _| !keys.contains(key));
                let ids = keys.iter().map(|key| id(key)).collect();
                engine.delete(shard, &name, Deletion::Ids(ids)).await.unwrap();
            }
            9..=11 => {
                let values = (kind == 9).then_some(values);
                if let Some(record) = held.get_mut(&key) {
                    record.metadata = changed.apply(&record.metadata).unwrap();
                    record.values = values.clone().unwrap_or_else(|| record.values.clone());
                }
                let metadata = Some(changed);
                let update = Update { id: id(&key), values, sparse: None, metadata };
                engine.update(shard, &name, update).await.unwrap();
            }
            12 => {
                held.retain(|_, record| !matches(&in_group, record));
                engine.delete_matching(shard, &name, in_group).await.unwrap();
            }
            13 => {
                for record in held.values_mut().filter(|record| matches(&in_group, record)) {
                    record.metadata = changed.apply(&record.metadata).unwrap();
                }
                engine.update_matching(shard, &name, in_group, changed, 1_000).await.unwrap();
            }
            14 => {
                held.clear();
                engine.delete(shard, &name, Deletion::All).await.unwrap();
            }
            _ if space.is_empty() => {}
            _ => {
                self.live[at].contents.remove(space);
                engine.delete_namespace(shard, &name).await.unwrap();
            }
        }
    }

    async fn step(&mut self) {
        let at = self.place(self.live.len());
        match self.draw(32) {
            0..=13 => self.write(at).await,
            14..=17 => {
                self.steps.push("index".to_owned());
                self.bench.engine.index_now().await;
            }
            18..=21 => {
                // Writes and a collection while segments are built.
                self.steps.push("index, meanwhile:".to_owned());
                let engine = Arc::clone(&self.bench.engine);
                let indexing = tokio::spawn(async move { engine.index_now().await });
                for _ in 0..3 {
                    self.write(at).await;
                }
                self.reap().await;
                indexing.await.unwrap();
                self.steps.push("done".to_owned());
            }
            22..=23 => {
                self.steps.push("reopen".to_owned());
                self.bench.reopen().await;
            }
            24 | 25 if self.backups.len() < BACKUPS_MAX => self.back_up(at).await,
            26 if self.live.len() < INDEXES_MAX && !self.backups.is_empty() => self.clone().await,
            27 if self.live.len() > 1 => {
                self.steps.push(format!("delete index {at}"));
                let held = self.live.remove(at);
                self.bench.engine.retire(held.shard.index).await;
                self.hidden.push(held.shard.index);
            }
            28 if !self.backups.is_empty() => {
                let backup = self.backups.remove(self.place(self.backups.len()));
                self.steps.push(format!("delete backup {}", backup.name));
                self.bench.engine.unpin(backup.source, backup.pin).await.unwrap();
            }
            29 => self.spoil().await,
            _ => {
                self.reap().await;
                self.check_files(true).await;
            }
        }
    }

    async fn back_up(&mut self, at: usize) {
        let name = self.fresh_name();
        self.steps.push(format!("backup {name} of {at}"));
        let held = self.live[at].clone();
        let cut = self.bench.engine.checkpoint(held.shard, &name).await.unwrap();
        let records: usize = held.contents.values().map(BTreeMap::len).sum();
        assert_eq!(cut.record_count, records as u64);
        self.backups.push(Backup {
            name,
            source: held.shard.index,
            pin: cut.pin,
            contents: held.contents,
            segments: cut.segments.into_iter().collect(),
        });
    }

    async fn clone(&mut self) {
        let backup = &self.backups[self.place(self.backups.len())];
        let shard = self.bench.new_index(DIMENSION, Metric::DotProduct);
        self.bench.engine.clone_index(shard.index, backup.source, backup.pin).await.unwrap();
        let contents = backup.contents.clone();
        self.steps.push(format!("clone {}", backup.name));
        self.live.push(Held { shard, contents });
    }

    /// Damages one segment file, and opens the engine again: whoever has it open need not notice.
    async fn spoil(&mut self) {
        let files: Vec<_> = self.files().await.into_iter().collect();
        if files.is_empty() {
            return;
        }
        let name = files[self.place(files.len())].clone();
        let (origin, segment) = name.split_once('/').unwrap();
        let path = Path::from(format!("ix/{origin}/seg/{segment}"));
        let store = Arc::clone(&self.bench.store);
        let kind = self.draw(3);
        self.steps.push(format!("damage {kind} to {name}, reopen"));
        let mut bytes = store.get(&path).await.unwrap().bytes().await.unwrap().to_vec();
        match kind {
            0 => store.delete(&path).await.unwrap(),
            1 => {
                bytes.truncate(self.place(bytes.len()));
                store.put(&path, bytes.into()).await.map(drop).unwrap();
            }
            _ => {
                let first = self.place(bytes.len().min(500));
                bytes.iter_mut().skip(first).step_by(211).for_each(|byte| *byte ^= 0x41);
                store.put(&path, bytes.into()).await.map(drop).unwrap();
            }
        }
        self.spoiled.insert(name);
        self.bench.reopen().await;
    }

    fn estate(&self) -> Estate {
        let mut backups: BTreeMap<IndexId, BTreeSet<String>> = BTreeMap::new();
        for backup in &self.backups {
            backups.entry(backup.source).or_default().insert(backup.name.clone());
        }
        Estate {
            live: self.live.iter().map(|held| held.shard).collect(),
            hidden: self.hidden.clone(),
            backups,
            segments: self.backups.iter().flat_map(|backup| backup.segments.clone()).collect(),
            ..Estate::default()
        }
    }

    async fn reap(&mut self) {
        self.steps.push("reap".to_owned());
        let estate = self.estate();
        let reaped = self.bench.engine.reap(&|| estate.clone()).await.unwrap();
        self.hidden.retain(|index| !reaped.deleted.contains(index));
    }

    /// Segment files, as rows name them.
    async fn files(&self) -> BTreeSet<String> {
        let listed: Vec<_> = self.bench.store.list(None).try_collect().await.unwrap();
        let paths = listed.iter().map(|file| file.location.as_ref());
        let named = paths.filter_map(|path| path.strip_prefix("ix/")?.split_once("/seg/"));
        named.map(|(origin, segment)| format!("{origin}/{segment}")).collect()
    }

    /// Every segment that somebody needs has its file; `exactly` when no other file may be there.
    async fn check_files(&mut self, exactly: bool) {
        let mut needed: BTreeSet<String> = self.estate().segments;
        for held in self.live.clone() {
            needed.extend(self.check_rows(&held).await);
        }
        let files = self.files().await;
        let missing: Vec<_> = needed.difference(&files).collect();
        assert!(
            missing.iter().all(|name| self.spoiled.contains(*name)),
            "needed and missing: {missing:?}"
        );
        let unneeded: Vec<_> = files.difference(&needed).collect();
        assert!(!exactly || unneeded.is_empty(), "left behind: {unneeded:?}");
        self.seen.extend(needed);
    }

    /// The rows that tie segments to records fit together. Returns the segments they name.
    async fn check_rows(&self, held: &Held) -> BTreeSet<String> {
        let shard = self.bench.engine.shard(held.shard).await.unwrap();
        let view = shard.settled_view().await.unwrap();
        let mut named = BTreeSet::new();
        for space in held.contents.keys() {
            let name = ns(space);
            let row = view.get(&rows::namespace_key(&name)).await.unwrap().unwrap();
            let number = NamespaceRow::decode(&row).unwrap().id;
            let place = Place { slot: rows::slot_of(&name), id: number };
            let directory = view.get(&rows::directory_key(place)).await.unwrap();
            let directory = directory.map(|row| DirectoryRow::decode(&row).unwrap());
            let segments = directory.clone().unwrap_or_default().segments;
            let mut deletions =
                view.scan(prefix_range(&rows::deletions_prefix(place))).await.unwrap();
            while let Some(entry) = deletions.next().await.unwrap() {
                let is_of = |segment: &Uuid| entry.key == rows::deletions_key(place, *segment);
                let is_known = segments.iter().any(|entry| is_of(&entry.id.id));
                assert!(is_known, "deletions of a segment that is not in the directory");
            }
            let mut queue = view.scan(prefix_range(&rows::queue_prefix(place))).await.unwrap();
            let is_queued = queue.next().await.unwrap().is_some();
            let gives_up =
                self.bench.options.queue_versions_max < EngineOptions::default().queue_versions_max;
            assert!(directory.is_some() || !is_queued || gives_up, "a queue without a directory");
        }
        slots::for_each(&view, rows::directory_prefix, |entry| {
            let segments = DirectoryRow::decode(&entry.value)?.segments;
            named.extend(segments.iter().map(|segment| segment.id.to_string()));
            Ok(())
        })
        .await
        .unwrap();
        named
    }

    async fn check(&self, held: &Held) {
        let engine = &self.bench.engine;
        let stats = engine.stats(held.shard).await.unwrap();
        let counted: BTreeMap<_, _> = stats
            .namespaces
            .iter()
            .map(|(name, counted)| (name.as_str().to_owned(), counted.record_count))
            .collect();
        let expected: BTreeMap<_, _> = held
            .contents
            .iter()
            .map(|(name, records)| ((*name).to_owned(), records.len() as u64))
            .collect();
        assert_eq!(counted, expected, "counts");
        for (space, records) in &held.contents {
            self.check_space(held.shard, space, records).await;
        }
    }

    async fn check_space(&self, shard: ShardRef, space: &str, records: &Records) {
        let (engine, name) = (&self.bench.engine, ns(space));
        let page = ListPage { prefix: String::new(), after: None, limit: 1_000 };
        let listed = engine.list(shard, &name, &page).await.unwrap().ids;
        assert!(listed.iter().map(|id| id.as_str()).eq(records.keys()), "listed in '{space}'");
        let fetched = engine.fetch(shard, &name, &listed).await.unwrap().records;
        let fetched: BTreeMap<_, _> =
            fetched.iter().map(|record| (record.id.as_str(), record)).collect();
        assert!(
            fetched.into_iter().eq(records.iter().map(|(key, record)| (key.as_str(), record))),
            "fetched in '{space}'"
        );
        let vector = super::small_vector(&self.rng, DIMENSION);
        let group = filter(&format!(r#"{{"group":{}}}"#, self.draw(GROUPS)));
        for (asked, top_k) in [(None, 10_000), (Some(group), 10_000), (None, 5)] {
            let query = Query { filter: asked.clone(), ..near(&vector, top_k) };
            let answer = engine.query(shard, &name, query).await.unwrap();
            let wanted =
                records.values().filter(|record| asked.as_ref().is_none_or(|f| matches(f, record)));
            let score =
                |record: &Record| record.values.iter().zip(&vector).map(|(x, y)| x * y).sum();
            let mut scored: Vec<(f32, &Record)> =
                wanted.map(|record| (score(record), record)).collect();
            scored.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.id.cmp(&b.1.id)));
            scored.truncate(top_k as usize);
            let found: Vec<_> = answer.hits.iter().map(|hit| (hit.score, &hit.record)).collect();
            assert_eq!(found, scored, "query of {top_k} in '{space}', filter {asked:?}");
        }
    }

    async fn play(&mut self) {
        for _ in 0..STEPS {
            self.step().await;
            self.check_files(false).await;
            // Often only one index, and one that was not searched lately.
            let all = self.draw(4) == 0;
            let one = self.place(self.live.len());
            for (at, held) in self.live.clone().into_iter().enumerate() {
                if all || at == one {
                    self.check(&held).await;
                }
            }
        }
        self.steps.push("finish".to_owned());
        self.finish().await;
    }

    /// Everything is read once more after a restart; then all is deleted, and no file may stay.
    async fn finish(&mut self) {
        self.bench.reopen().await;
        self.check_files(false).await;
        for held in self.live.clone() {
            self.check(&held).await;
        }
        for backup in std::mem::take(&mut self.backups) {
            let shard = self.bench.new_index(DIMENSION, Metric::DotProduct);
            self.bench.engine.clone_index(shard.index, backup.source, backup.pin).await.unwrap();
            self.check(&Held { shard, contents: backup.contents }).await;
            self.bench.engine.discard(shard.index).await.unwrap();
            self.bench.engine.unpin(backup.source, backup.pin).await.unwrap();
        }
        for held in std::mem::take(&mut self.live) {
            self.bench.engine.retire(held.shard.index).await;
            self.hidden.push(held.shard.index);
        }
        self.reap().await;
        assert_eq!(self.files().await, BTreeSet::new(), "left behind in the end");
        self.bench.engine.shutdown().await;
    }
}

/// Runs one seed; returns how many segments it has seen.
async fn run(seed: u64) -> usize {
    let mut world = World::new(seed).await;
    let played = AssertUnwindSafe(world.play()).catch_unwind();
    let outcome = tokio::time::timeout(RUN_TIME_MAX, played).await;
    if matches!(outcome, Ok(Ok(()))) {
        return world.seen.len();
    }
    println!("steps of seed {seed}: {:#?}", world.steps);
    panic!(
        "seed {seed} {}; rerun with {SEED_VARIABLE}={seed} cargo test -p lodgepole-engine --lib \
         segment_model",
        if outcome.is_ok() { "failed" } else { "does not end" }
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_order_of_steps_leaves_what_a_map_would_hold() {
    #[expect(clippy::disallowed_methods, reason = "names a run of this test, and sets nothing")]
    let one = std::env::var(SEED_VARIABLE).ok().map(|seed| seed.parse::<u64>().unwrap());
    let seeds = one.map_or(0..SEEDS, |seed| seed..seed + 1);
    let runs = seeds.map(|seed| tokio::spawn(run(seed)));
    let seen: Vec<usize> =
        futures::stream::iter(runs).buffer_unordered(AT_ONCE).map(Result::unwrap).collect().await;
    let segments: usize = seen.iter().sum();
    println!("{} seeds, {segments} segments", seen.len());
    assert!(one.is_some() || segments > seen.len(), "too few segments: {segments}");
}
