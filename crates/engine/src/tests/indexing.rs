//! Goal: segments change nothing but speed. Whatever is written, indexed, merged, backed up, cloned,
//! reopened or damaged, queries find what the records say.
//! Method: small thresholds, whole-number vectors so that scores are exact, and a model; after every
//! kind of step each record is looked for by its own vector and by filter, and the whole namespace
//! is asked for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lodgepole_storage::object_store::{ObjectStore, ObjectStoreExt as _};
use lodgepole_types::{Filter, Limits, Metric, Record, ScoredRecord, SeededRng};

use super::{Bench, id, metadata, near, ns};
use crate::change::{Change, Indexed, SegmentsChange, SegmentsCommit};
use crate::{Deletion, EngineOptions, Estate, IndexFrom, Query, SearchState, ShardRef, Update};

const DIMENSION: u32 = 16;

fn options() -> EngineOptions {
    EngineOptions {
        index_from: IndexFrom { rows: 50, bytes: u64::MAX },
        segment_grace: Duration::ZERO,
        ..EngineOptions::default()
    }
}

/// One namespace, and what should be in it.
struct World {
    bench: Bench,
    shard: ShardRef,
    model: BTreeMap<String, Record>,
    rng: SeededRng,
}

impl World {
    async fn new() -> Self {
        Self::with(options()).await
    }

    async fn with(options: EngineOptions) -> Self {
        let bench = Bench::with(options);
        let shard = bench.create(DIMENSION, Metric::DotProduct).await;
        Self { bench, shard, model: BTreeMap::new(), rng: SeededRng::new(11) }
    }

    fn record(&self, name: &str, group: usize) -> Record {
        let values = super::small_vector(&self.rng, DIMENSION);
        let metadata = metadata(&format!(r#"{{"name":"{name}","group":{group}}}"#));
        Record { id: id(name), values, sparse: None, metadata }
    }

    async fn upsert(&mut self, numbers: std::ops::Range<usize>) {
        let records: Vec<_> =
            numbers.map(|number| self.record(&format!("r{number:05}"), number % 7)).collect();
        for record in &records {
            self.model.insert(record.id.as_str().to_owned(), record.clone());
        }
        self.bench.engine.upsert(self.shard, &ns(""), records).await.unwrap();
    }

    async fn delete(&mut self, numbers: std::ops::Range<usize>) {
        let ids: Vec<_> = numbers.map(|number| id(&format!("r{number:05}"))).collect();
        for id in &ids {
            self.model.remove(id.as_str());
        }
        self.bench.engine.delete(self.shard, &ns(""), Deletion::Ids(ids)).await.unwrap();
    }

    async fn regroup(&mut self, number: usize, group: usize) {
        let name = format!("r{number:05}");
        let changed = metadata(&format!(r#"{{"name":"{name}","group":{group}}}"#));
        self.model.get_mut(&name).unwrap().metadata = changed;
        let patch = lodgepole_types::MetadataPatch::parse(
            serde_json::from_str(&format!(r#"{{"group":{group}}}"#)).unwrap(),
            &Limits::default(),
        )
        .unwrap();
        let update = Update { id: id(&name), values: None, sparse: None, metadata: Some(patch) };
        self.bench.engine.update(self.shard, &ns(""), update).await.unwrap();
    }

    async fn ask(&self, query: Query) -> Vec<(f32, Record)> {
        let answer = self.bench.engine.query(self.shard, &ns(""), query).await.unwrap();
        answer.hits.into_iter().map(|hit| (hit.score, hit.record)).collect()
    }

    /// Everything, some of it by filter, and the nearest of a few.
    async fn check(&self, when: &str) {
        let vector = super::small_vector(&self.rng, DIMENSION);
        let all = self.ask(near(&vector, 10_000)).await;
        let expected = self.expected(&vector, |_| true);
        assert_eq!(all.len(), expected.len(), "{when}: how many there are");
        assert_eq!(all, expected, "{when}: all of them");
        let filter = r#"{"group":{"$in":[2,5]}}"#;
        let filter = Filter::parse(&serde_json::from_str(filter).unwrap(), &Limits::default());
        let filter = Arc::new(filter.unwrap());
        let some =
            self.ask(Query { filter: Some(Arc::clone(&filter)), ..near(&vector, 10_000) }).await;
        let matches = |record: &Record| {
            let stored = record.metadata.to_stored();
            filter.matches(lodgepole_types::StoredMetadata::new(&stored))
        };
        let expected = self.expected(&vector, matches);
        assert_eq!(some, expected, "{when}: those of two groups");
        let counted = self.bench.engine.count(self.shard, Some(&ns("")), &filter).await;
        assert_eq!(counted.unwrap().namespaces[&ns("")], expected.len() as u64, "{when}: count");
    }

    fn expected(&self, vector: &[f32], matches: impl Fn(&Record) -> bool) -> Vec<(f32, Record)> {
        let score = |record: &Record| record.values.iter().zip(vector).map(|(x, y)| x * y).sum();
        let records = self.model.values().filter(|record| matches(record));
        let mut scored: Vec<(f32, Record)> =
            records.map(|record| (score(record), record.clone())).collect();
        scored.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.id.cmp(&b.1.id)));
        scored
    }

    async fn index(&self) {
        self.bench.engine.index_now().await;
    }

    /// Rows of the change queue of the namespace.
    async fn queue_rows(&self) -> usize {
        let shard = self.bench.engine.shard(self.shard).await.unwrap();
        let place = shard.place(&ns("")).await.unwrap().unwrap();
        shard.queued_until(place, u64::MAX).await.unwrap().0.len()
    }

    async fn segments(&self) -> Vec<String> {
        self.bench.engine.checkpoint(self.shard, "look").await.unwrap().segments
    }

    async fn reopen(&mut self) {
        self.bench.reopen().await;
    }
}

#[tokio::test]
async fn records_are_found_before_during_and_after_indexing() {
    let mut world = World::new().await;
    world.upsert(0..40).await;
    world.check("below the threshold").await;
    world.index().await;
    assert_eq!(world.segments().await.len(), 0);
    world.upsert(40..200).await;
    world.check("above it").await;
    world.index().await;
    assert_eq!(world.segments().await.len(), 1);
    world.check("indexed").await;
    world.upsert(150..220).await;
    world.delete(10..30).await;
    for number in 100..120 {
        world.regroup(number, number % 3).await;
    }
    world.check("changed").await;
    world.reopen().await;
    world.check("changed and reopened").await;
    world.index().await;
    world.check("indexed again").await;
    world.reopen().await;
    world.check("indexed again and reopened").await;
}

#[tokio::test]
async fn writes_during_a_build_are_neither_lost_nor_doubled() {
    let mut world = World::new().await;
    world.upsert(0..300).await;
    for round in 0..6 {
        let engine = Arc::clone(&world.bench.engine);
        let indexing = tokio::spawn(async move { engine.index_now().await });
        world.upsert(round * 40..round * 40 + 80).await;
        world.delete(round * 10..round * 10 + 5).await;
        world.regroup(290, round).await;
        world.check("meanwhile").await;
        indexing.await.unwrap();
        world.check("afterwards").await;
        world.reopen().await;
        world.check("reopened").await;
    }
}

#[tokio::test]
async fn a_backup_keeps_its_segments_and_a_clone_shares_them() {
    let mut world = World::new().await;
    world.upsert(0..200).await;
    world.index().await;
    let engine = Arc::clone(&world.bench.engine);
    let checkpoint = engine.checkpoint(world.shard, "backup").await.unwrap();
    assert_eq!(checkpoint.segments.len(), 1);
    let then = world.model.clone();
    world.delete(0..150).await;
    world.upsert(300..500).await;
    world.index().await;
    let backups = BTreeMap::from([(
        world.shard.index,
        ["backup", "look"].map(str::to_owned).into_iter().collect(),
    )]);
    let segments = checkpoint.segments.iter().cloned().collect();
    let estate = Estate { live: vec![world.shard], backups, segments, ..Estate::default() };
    let reaped = engine.reap(&|| estate.clone()).await.unwrap();
    assert_eq!(reaped.segments, 0, "what the backup needs stays");
    let clone = world.bench.new_index(DIMENSION, Metric::DotProduct);
    engine.clone_index(clone.index, world.shard.index, checkpoint.pin).await.unwrap();
    let (source, now) = (world.shard, std::mem::replace(&mut world.model, then));
    world.shard = clone;
    world.check("the clone").await;
    assert_eq!(world.segments().await, checkpoint.segments);
    let without = Estate {
        live: vec![source, clone],
        segments: std::collections::BTreeSet::new(),
        ..estate.clone()
    };
    assert_eq!(engine.reap(&|| without.clone()).await.unwrap().segments, 0, "the clone needs it");
    world.upsert(600..900).await;
    world.index().await;
    world.check("the clone goes its own way").await;
    world.shard = source;
    world.model = now;
    world.check("and so did the source").await;
}

#[tokio::test]
async fn a_segment_that_nothing_needs_is_removed_and_no_other() {
    let mut world = World::new().await;
    world.upsert(0..200).await;
    world.index().await;
    world.delete(0..180).await;
    world.upsert(200..300).await;
    world.index().await;
    let segments = world.segments().await;
    let estate = Estate { live: vec![world.shard], ..Estate::default() };
    let uncertain = Estate { backups_under_way: true, ..estate.clone() };
    let engine = &world.bench.engine;
    assert_eq!(engine.reap(&|| uncertain.clone()).await.unwrap().segments, 0);
    let before = files(&world).await;
    let removed = engine.reap(&|| estate.clone()).await.unwrap().segments;
    assert!(removed > 0, "the first segment was rewritten");
    assert_eq!(files(&world).await, before - removed);
    assert_eq!(files(&world).await, segments.len());
    world.reopen().await;
    world.check("after the collection").await;
}

#[tokio::test]
async fn a_damaged_or_missing_segment_is_built_anew_and_nothing_is_lost() {
    for damage in ["missing", "cut", "flipped"] {
        let mut world = World::new().await;
        world.upsert(0..200).await;
        world.index().await;
        world.upsert(200..240).await;
        world.delete(0..20).await;
        world.bench.engine.shutdown().await;
        spoil(&world.bench.store, damage).await;
        world.reopen().await;
        world.check(damage).await;
        world.index().await;
        assert_eq!(world.segments().await.len(), 1, "{damage}: there is a new one");
        world.check("rebuilt").await;
        world.reopen().await;
        world.check("rebuilt and reopened").await;
    }
}

#[tokio::test]
async fn an_emptied_or_deleted_namespace_takes_its_segments_along() {
    let mut world = World::new().await;
    world.upsert(0..200).await;
    world.index().await;
    world.bench.engine.delete(world.shard, &ns(""), Deletion::All).await.unwrap();
    world.model.clear();
    assert_eq!(world.segments().await.len(), 0);
    world.check("emptied").await;
    world.upsert(0..100).await;
    world.check("filled again").await;
    world.index().await;
    world.reopen().await;
    world.check("indexed again").await;
}

#[tokio::test]
async fn a_namespace_too_large_for_memory_is_indexed_from_its_records() {
    let options = EngineOptions { tail_bytes_max: 20_000, index_batch_bytes: 8_000, ..options() };
    let mut world = World::with(options).await;
    world.upsert(0..1_000).await;
    world.check("streamed").await;
    world.index().await;
    assert!(!world.segments().await.is_empty());
    world.check("indexed").await;
    world.delete(0..100).await;
    world.upsert(50..150).await;
    world.check("changed").await;
    world.reopen().await;
    world.check("reopened").await;
}

#[tokio::test]
async fn small_segments_of_a_namespace_too_large_for_memory_are_merged() {
    let options = EngineOptions { tail_bytes_max: 20_000, index_batch_bytes: 8_000, ..options() };
    let mut world = World::with(options).await;
    for round in 0..6 {
        world.upsert(round * 150..round * 150 + 200).await;
        world.delete(round * 150..round * 150 + 20).await;
        world.index().await;
        world.check("indexed").await;
        let segments = world.segments().await.len();
        assert!(segments < 4, "{segments} segments, all of the lowest tier");
    }
    world.upsert(0..10).await;
    world.index().await;
    assert_eq!(world.queue_rows().await, 1, "too little to build anything of");
    world.reopen().await;
    world.check("reopened").await;
}

#[tokio::test]
async fn a_queue_above_its_cap_is_given_up_and_the_namespace_is_indexed_anew() {
    for reopens in [false, true] {
        let mut world = World::with(EngineOptions { queue_versions_max: 120, ..options() }).await;
        world.upsert(0..100).await;
        world.index().await;
        assert_eq!(world.segments().await.len(), 1);
        // Each brings and buries 50 versions.
        world.upsert(0..50).await;
        assert_eq!(world.segments().await.len(), 1, "100 versions are below the cap");
        if reopens {
            world.reopen().await;
        }
        world.upsert(0..50).await;
        assert_eq!(world.segments().await.len(), 0, "200 versions are above it");
        world.check("given up").await;
        world.upsert(90..110).await;
        world.check("given up and written to").await;
        if reopens {
            world.reopen().await;
            world.check("given up and reopened").await;
        }
        world.index().await;
        assert_eq!(world.segments().await.len(), 1, "indexed from its records");
        assert_eq!(world.queue_rows().await, 0, "and nothing is left of the old queue");
        world.delete(0..10).await;
        world.check("indexed anew").await;
        world.reopen().await;
        world.check("indexed anew and reopened").await;
    }
}

#[tokio::test]
async fn a_queue_may_always_be_as_long_as_the_namespace() {
    let mut world = World::with(EngineOptions { queue_versions_max: 10, ..options() }).await;
    world.upsert(0..100).await;
    world.index().await;
    world.upsert(100..150).await;
    world.upsert(0..40).await;
    assert_eq!(world.segments().await.len(), 1, "130 versions, 150 records");
    world.upsert(0..40).await;
    assert_eq!(world.segments().await.len(), 0, "210 versions");
    world.check("given up").await;
}

#[tokio::test]
async fn segments_from_before_a_queue_was_given_up_are_refused() {
    let mut world = World::with(EngineOptions { queue_versions_max: 20, ..options() }).await;
    world.upsert(0..20).await;
    let shard = world.bench.engine.shard(world.shard).await.unwrap();
    let place = shard.place(&ns("")).await.unwrap().unwrap();
    let ask = |change| shard.write(Change::Segments(ns(""), change));
    let commit = |upto| {
        let indexed = Indexed { job: 0, removed: vec![], added: vec![], upto, unnamed: vec![] };
        SegmentsChange::Commit(Box::new(SegmentsCommit {
            place,
            before: vec![],
            after: vec![],
            deletions: vec![],
            trimmed: vec![],
            left: 0,
            indexed,
        }))
    };
    ask(SegmentsChange::Queue).await.unwrap();
    let seq = |view| async move { crate::segment_load::seq_in(&view).await.unwrap() };
    let began = seq(shard.settled_view().await.unwrap()).await;
    for _ in 0..2 {
        world.upsert(0..15).await;
    }
    ask(SegmentsChange::Queue).await.unwrap();
    let refused = ask(commit(began)).await;
    assert!(matches!(refused, Err(crate::WriteError::Superseded)), "some writes are not queued");
    let now = seq(shard.settled_view().await.unwrap()).await;
    ask(commit(now)).await.unwrap();
}

#[tokio::test]
async fn the_state_of_search_is_told_index_by_index() {
    let world = World::new().await;
    let other = world.bench.create(DIMENSION, Metric::DotProduct).await;
    let engine = &world.bench.engine;
    for (shard, rows) in [(world.shard, 60), (other, 20)] {
        let records: Vec<_> =
            (0..rows).map(|number| world.record(&format!("r{number}"), number)).collect();
        engine.upsert(shard, &ns("a"), records.clone()).await.unwrap();
        engine.upsert(shard, &ns("b"), records).await.unwrap();
        for name in ["a", "b"] {
            let vector = super::small_vector(&world.rng, DIMENSION);
            engine.query(shard, &ns(name), near(&vector, 1)).await.unwrap();
        }
    }
    let states = engine.search_states();
    let told = |shard: ShardRef| {
        let state = states[&shard.index];
        assert_eq!(
            state,
            SearchState { queue_age: state.queue_age, ..engine.search_state(shard.index) }
        );
        (state.namespaces, state.tail_rows, state.waiting)
    };
    assert_eq!(told(world.shard), (2, 120, 2));
    assert_eq!(told(other), (2, 40, 0));
}

async fn files(world: &World) -> usize {
    use futures::TryStreamExt as _;
    let listed: Vec<_> = world.bench.store.list(None).try_collect().await.unwrap();
    listed.iter().filter(|file| file.location.as_ref().contains("/seg/")).count()
}

/// Damages every segment file.
async fn spoil(store: &Arc<dyn ObjectStore>, damage: &str) {
    use futures::TryStreamExt as _;
    let listed: Vec<_> = store.list(None).try_collect().await.unwrap();
    for file in listed.iter().filter(|file| file.location.as_ref().contains("/seg/")) {
        let path = &file.location;
        let mut bytes = store.get(path).await.unwrap().bytes().await.unwrap().to_vec();
        match damage {
            "missing" => {
                store.delete(path).await.unwrap();
                continue;
            }
            "cut" => bytes.truncate(bytes.len() / 2),
            _ => {
                // Past the header, all over.
                for at in (100..bytes.len()).step_by(997) {
                    bytes[at] ^= 0x10;
                }
            }
        }
        store.put(path, bytes.into()).await.unwrap();
    }
}

/// More values than a segment whose rows are all scored may have: this one has codes.
const CODED_ROWS: usize = 9_000;
const CODED_DIMENSION: u32 = 128;
const _: () = assert!(CODED_ROWS * CODED_DIMENSION as usize > 1 << 20);

/// Answers beside those of an exact search: of what both found, score, values and metadata are the
/// same to the bit. Answers the share that was found.
async fn found_of(bench: &Bench, shard: ShardRef, asked: &[(Vec<f32>, Vec<ScoredRecord>)]) -> f64 {
    let mut found = 0;
    for (query, exact) in asked {
        let hits = bench.engine.query(shard, &ns(""), near(query, 10)).await.unwrap().hits;
        assert_eq!(hits.len(), 10);
        for hit in hits {
            if let Some(same) = exact.iter().find(|other| other.record.id == hit.record.id) {
                assert_eq!(hit, *same);
                found += 1;
            }
        }
    }
    f64::from(found) / (asked.len() * 10) as f64
}

#[tokio::test]
async fn what_codes_find_has_the_scores_of_an_exact_search_also_after_damage_and_merging() {
    let mut bench = Bench::with(options());
    let shard = bench.create(CODED_DIMENSION, Metric::Cosine).await;
    let rng = SeededRng::new(5);
    let vector = || super::small_vector(&rng, CODED_DIMENSION);
    let centres: Vec<Vec<f32>> = (0..60).map(|_| vector()).collect();
    let noisy = |centre: &[f32]| -> Vec<f32> {
        centre.iter().zip(vector()).map(|(value, noise)| value + 0.7 * noise).collect()
    };
    let records: Vec<_> = (0..CODED_ROWS)
        .map(|number| super::record(&format!("r{number}"), &noisy(&centres[number % 60])))
        .collect();
    for batch in records.chunks(1_000) {
        bench.engine.upsert(shard, &ns(""), batch.to_vec()).await.unwrap();
    }
    let mut asked = Vec::new();
    for centre in centres.iter().take(40) {
        let query = noisy(centre);
        let hits = bench.engine.query(shard, &ns(""), near(&query, 10)).await.unwrap().hits;
        asked.push((query, hits));
    }
    bench.engine.index_now().await;
    assert_eq!(bench.engine.search_state(shard.index).segment_rows, CODED_ROWS as u64);
    let found = found_of(&bench, shard, &asked).await;
    assert!(found >= 0.95, "by codes: {found}");

    bench.engine.shutdown().await;
    spoil(&bench.store, "flipped").await;
    bench.reopen().await;
    let found = found_of(&bench, shard, &asked).await;
    assert!(found >= 0.95, "damaged: {found}");
    bench.engine.index_now().await;
    bench.reopen().await;
    let found = found_of(&bench, shard, &asked).await;
    assert!(found >= 0.95, "built anew: {found}");
    assert_eq!(bench.engine.search_state(shard.index).segment_rows, CODED_ROWS as u64);

    // A second segment, and the first one's rows written again: a merge reads codes of neither.
    for batch in records.chunks(1_000) {
        bench.engine.upsert(shard, &ns(""), batch.to_vec()).await.unwrap();
    }
    bench.engine.index_now().await;
    let state = bench.engine.search_state(shard.index);
    assert_eq!((state.segment_rows - state.dead_rows, state.tail_rows), (CODED_ROWS as u64, 0));
    let found = found_of(&bench, shard, &asked).await;
    assert!(found >= 0.95, "written again: {found}");
}
