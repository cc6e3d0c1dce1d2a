//! Goal: queries answer rightly at every moment of a build and of a merge, and no file goes that a
//! row names, whatever happens at the same time. Method: writers, an indexer, a collector without
//! grace and queries at once, in memory and on disk; every answer is compared with what had been
//! acknowledged before it was asked for and what had been sent by the time it came. Then the orders
//! of events that a race would need seldom, one by one, with faults put in below the engine.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use futures::TryStreamExt as _;
use lodgepole_rows::{self as rows, NamespaceRow, Place};
use lodgepole_storage::fault::{Action, FaultStore, OperationKind, Retry, Timing, Verdict};
use lodgepole_storage::object_store::memory::InMemory;
use lodgepole_storage::object_store::path::Path;
use lodgepole_storage::object_store::{ObjectStore, ObjectStoreExt as _};
use lodgepole_storage::{ShiftedClock, SystemClock, prefix_range};
use lodgepole_types::{
    Filter, Limits, MetadataPatch, Metric, Record, Rng as _, SeededRng, StoredMetadata,
};
use parking_lot::Mutex;

use super::{Bench, id, metadata, near, ns, start};
use crate::{Deletion, Engine, EngineOptions, Estate, IndexFrom, Query, ShardRef};

const DIMENSION: u32 = 4;
const GROUPS: usize = 24;
const GROUP_RECORDS: usize = 6;
const WRITERS: usize = 2;
const RUN_TIME: Duration = Duration::from_millis(1_200);

fn options() -> EngineOptions {
    EngineOptions {
        index_from: IndexFrom { rows: 24, bytes: u64::MAX },
        segment_grace: Duration::ZERO,
        search_threads: 2,
        ..EngineOptions::default()
    }
}

/// What is known of one group of records, which is always written in one request: its state has a
/// number that counts up, and an odd one says that the group is there.
#[derive(Default)]
struct Group {
    sent: AtomicU64,
    acknowledged: AtomicU64,
}

struct Arena {
    engine: Arc<Engine>,
    store: Arc<dyn ObjectStore>,
    shard: ShardRef,
    groups: Vec<Group>,
    stop: AtomicU64,
    answers: AtomicU64,
    files_seen: Mutex<BTreeSet<String>>,
}

impl Arena {
    fn is_over(&self) -> bool {
        self.stop.load(SeqCst) > 0
    }

    fn key(group: usize, number: usize) -> String {
        format!("g{group:02}-{number}")
    }

    /// Lets the others have the processors.
    async fn pause(&self) {
        self.engine.commons.clock.sleep(Duration::from_millis(2)).await;
    }

    async fn store(&self, group: usize, state: u64) {
        let records = (0..GROUP_RECORDS).map(|number| Record {
            id: id(&Self::key(group, number)),
            values: vec![1.0, small(group), small(number), 0.0],
            sparse: None,
            metadata: metadata(&format!(r#"{{"group":{group},"state":{state}}}"#)),
        });
        self.engine.upsert(self.shard, &ns(""), records.collect()).await.unwrap();
    }

    /// Changes groups of its own, each write of one group a single request.
    async fn write(self: Arc<Self>, writer: usize) {
        let rng = SeededRng::new(writer as u64);
        while !self.is_over() {
            let own = usize::try_from(rng.next_u64()).unwrap() % (GROUPS / WRITERS);
            let group = own * WRITERS + writer;
            let (now, kind) = (self.groups[group].acknowledged.load(SeqCst), rng.next_u64() % 8);
            let is_there = now % 2 == 1;
            let next = if is_there && kind > 0 { now + 2 } else { now + 1 };
            self.groups[group].sent.store(next, SeqCst);
            match kind {
                0 if is_there => {
                    let ids = (0..GROUP_RECORDS).map(|number| id(&Self::key(group, number)));
                    let what = Deletion::Ids(ids.collect());
                    self.engine.delete(self.shard, &ns(""), what).await.unwrap();
                }
                1..=3 if is_there => {
                    let patch = MetadataPatch::parse(
                        serde_json::from_str(&format!(r#"{{"state":{next}}}"#)).unwrap(),
                        &Limits::default(),
                    );
                    let of_group = filter(&format!(r#"{{"group":{group}}}"#));
                    let name = ns("");
                    let changed = self.engine.update_matching(
                        self.shard,
                        &name,
                        of_group,
                        patch.unwrap(),
                        99,
                    );
                    assert_eq!(changed.await.unwrap().count, GROUP_RECORDS as u64);
                }
                _ => self.store(group, next).await,
            }
            self.groups[group].acknowledged.store(next, SeqCst);
        }
    }

    /// Asks for everything, or for one group, and compares.
    async fn ask(self: Arc<Self>, seed: u64) {
        let rng = SeededRng::new(seed);
        let of = |at: &dyn Fn(&Group) -> u64| self.groups.iter().map(at).collect::<Vec<_>>();
        while !self.is_over() {
            let one = usize::try_from(rng.next_u64()).unwrap() % (2 * GROUPS);
            let asked = (one < GROUPS).then(|| filter(&format!(r#"{{"group":{one}}}"#)));
            let before = of(&|group| group.acknowledged.load(SeqCst));
            let query = Query { filter: asked, ..near(&[1.0, 0.5, 0.25, 0.0], 10_000) };
            let answer = self.engine.query(self.shard, &ns(""), query).await.unwrap();
            let after = of(&|group| group.sent.load(SeqCst));
            let durable = self.engine.position(self.shard).await.unwrap();
            assert!(answer.lsn <= durable, "{:?} shown and {durable:?} durable", answer.lsn);
            let mut shown = vec![Vec::new(); GROUPS];
            for hit in &answer.hits {
                let (group, state) = (number(&hit.record, "group"), number(&hit.record, "state"));
                shown[usize::try_from(group).unwrap()].push(state);
            }
            let groups = if one < GROUPS { one..one + 1 } else { 0..GROUPS };
            for group in groups {
                let (from, to) = (before[group], after[group]);
                let what = format!("group {group}: {:?} of {from}..={to}", shown[group]);
                match shown[group].first() {
                    // Some state in between is one without records.
                    None => assert!((from..=to).any(|state| state % 2 == 0), "{what}"),
                    Some(first) => {
                        assert!((from..=to).contains(first), "{what}");
                        assert_eq!(shown[group], vec![*first; GROUP_RECORDS], "{what}");
                    }
                }
            }
            self.answers.fetch_add(1, SeqCst);
            self.pause().await;
        }
    }

    async fn index(self: Arc<Self>) {
        while !self.is_over() {
            self.engine.index_now().await;
            self.pause().await;
        }
    }

    async fn collect(self: Arc<Self>) {
        let estate = Estate { live: vec![self.shard], ..Estate::default() };
        while !self.is_over() {
            self.engine.reap(&|| estate.clone()).await.unwrap();
            let files = segment_files(&self.store).await;
            self.files_seen.lock().extend(files);
            self.pause().await;
        }
    }
}

fn small(number: usize) -> f32 {
    f32::from(u8::try_from(number).unwrap())
}

pub(super) fn filter(json: &str) -> Arc<Filter> {
    let source = serde_json::from_str(json).unwrap();
    Arc::new(Filter::parse(&source, &Limits::default()).unwrap())
}

fn number(record: &Record, field: &str) -> u64 {
    let stored = record.metadata.to_stored();
    let matches = |number: u64| {
        filter(&format!(r#"{{"{field}":{number}}}"#)).matches(StoredMetadata::new(&stored))
    };
    (0..).find(|number| matches(*number)).unwrap()
}

pub(super) async fn segment_files(store: &Arc<dyn ObjectStore>) -> BTreeSet<String> {
    let listed: Vec<_> = store.list(None).try_collect().await.unwrap();
    let paths = listed.iter().map(|file| file.location.as_ref());
    let named = paths.filter_map(|path| path.strip_prefix("ix/")?.split_once("/seg/"));
    named.map(|(origin, segment)| format!("{origin}/{segment}")).collect()
}

async fn fight(mut bench: Bench) {
    let shard = bench.create(DIMENSION, Metric::DotProduct).await;
    let arena = Arc::new(Arena {
        engine: Arc::clone(&bench.engine),
        store: Arc::clone(&bench.store),
        shard,
        groups: (0..GROUPS).map(|_| Group::default()).collect(),
        stop: AtomicU64::new(0),
        answers: AtomicU64::new(0),
        files_seen: Mutex::default(),
    });
    let mut tasks = vec![
        tokio::spawn(Arc::clone(&arena).index()),
        tokio::spawn(Arc::clone(&arena).collect()),
        tokio::spawn(Arc::clone(&arena).ask(1)),
        tokio::spawn(Arc::clone(&arena).ask(2)),
    ];
    tasks.extend((0..WRITERS).map(|writer| tokio::spawn(Arc::clone(&arena).write(writer))));
    // On a busy machine it takes longer until there was something to see.
    for _ in 0..50 {
        bench.engine.commons.clock.sleep(RUN_TIME).await;
        if arena.answers.load(SeqCst) > 20 && arena.files_seen.lock().len() > 3 {
            break;
        }
    }
    arena.stop.store(1, SeqCst);
    for task in tasks {
        task.await.unwrap();
    }
    let (answers, seen) = (arena.answers.load(SeqCst), arena.files_seen.lock().len());
    println!("{answers} answers over {seen} segments");
    assert!(answers > 20 && seen > 3, "{answers} answers over {seen} segments");
    let named = bench.engine.checkpoint(shard, "end").await.unwrap().segments;
    let files = segment_files(&bench.store).await;
    assert!(named.iter().all(|name| files.contains(name)), "{named:?} in {files:?}");
    bench.reopen().await;
    let arena = Arena {
        engine: Arc::clone(&bench.engine),
        store: Arc::clone(&bench.store),
        stop: AtomicU64::new(0),
        answers: AtomicU64::new(0),
        files_seen: Mutex::default(),
        shard,
        groups: arena.groups.iter().map(copy).collect(),
    };
    let arena = Arc::new(arena);
    let asking = tokio::spawn(Arc::clone(&arena).ask(3));
    bench.engine.commons.clock.sleep(RUN_TIME / 20).await;
    arena.stop.store(1, SeqCst);
    asking.await.unwrap();
    bench.engine.shutdown().await;
}

fn copy(group: &Group) -> Group {
    let state = group.acknowledged.load(SeqCst);
    Group { sent: AtomicU64::new(state), acknowledged: AtomicU64::new(state) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_answer_rightly_at_every_moment_of_a_merge() {
    fight(Bench::with(options())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_answer_rightly_at_every_moment_of_a_merge_on_disk() {
    let (bench, _folder) = Bench::on_disk(options());
    fight(bench).await;
}

/// A bench over a store that fails on command.
pub(super) fn faulty() -> (Bench, FaultStore) {
    let clock = Arc::new(ShiftedClock::new(Arc::new(SystemClock::new())));
    let faults = FaultStore::new(Arc::new(InMemory::new()), Arc::<ShiftedClock>::clone(&clock));
    let store: Arc<dyn ObjectStore> = Arc::new(faults.clone());
    let rng = Arc::new(SeededRng::new(42));
    let engine = start(&store, &clock, &rng, options());
    (Bench { store, clock, rng, engine, options: options() }, faults)
}

async fn fill(bench: &Bench, shard: ShardRef, numbers: std::ops::Range<usize>) {
    let records = numbers.map(|number| Record {
        id: id(&format!("r{number:03}")),
        values: vec![1.0, small(number), 0.0, 0.0],
        sparse: None,
        metadata: metadata("{}"),
    });
    bench.engine.upsert(shard, &ns(""), records.collect()).await.unwrap();
}

/// Answers the first log write after the next segment file with an error, although it took effect.
fn lose_the_answer_to_the_commit(faults: &FaultStore) {
    let mut has_segment = false;
    let mut is_done = false;
    faults.judge_by(move |operation| {
        let path = &operation.path;
        has_segment |= operation.kind.is_change() && path.contains("/seg/");
        let is_log = operation.kind != OperationKind::Get && path.contains("/wal/");
        if has_segment && is_log && operation.kind.is_change() && !is_done {
            is_done = true;
            return Verdict::Fault(Action::Fail(Retry::Refused), Timing::After);
        }
        Verdict::Pass
    });
}

/// The commit of a segment is in the log, but the shard stopped before it knew.
#[tokio::test]
async fn a_segment_whose_commit_had_no_answer_is_not_taken_for_garbage() {
    let (bench, faults) = faulty();
    let shard = bench.create(DIMENSION, Metric::DotProduct).await;
    let estate = Estate { live: vec![shard], ..Estate::default() };
    fill(&bench, shard, 0..30).await;
    bench.engine.index_now().await;
    bench.engine.reap(&|| estate.clone()).await.unwrap();
    assert_eq!(segment_files(&bench.store).await.len(), 1);
    fill(&bench, shard, 30..80).await;
    lose_the_answer_to_the_commit(&faults);
    bench.engine.index_now().await;
    for _ in 0..3 {
        bench.engine.reap(&|| estate.clone()).await.unwrap();
    }
    let named = bench.engine.checkpoint(shard, "look").await.unwrap().segments;
    let files = segment_files(&bench.store).await;
    assert!(!named.is_empty());
    assert!(named.iter().all(|name| files.contains(name)), "{named:?} in {files:?}");
}

/// While the store fails there is nothing to wait for.
#[tokio::test]
async fn indexing_that_fails_ends_and_is_done_later() {
    let (bench, faults) = faulty();
    let shard = bench.create(DIMENSION, Metric::DotProduct).await;
    fill(&bench, shard, 0..30).await;
    faults.judge_by(|operation| {
        if operation.kind.is_change() && operation.path.contains("/seg/") {
            return Verdict::Fault(Action::Fail(Retry::Refused), Timing::Before);
        }
        Verdict::Pass
    });
    let indexing = bench.engine.index_now();
    tokio::time::timeout(Duration::from_secs(60), indexing).await.expect("it goes on for ever");
    faults.clear_faults();
    bench.engine.index_now().await;
    assert_eq!(segment_files(&bench.store).await.len(), 1);
}

/// A merge reads what no query has read: it must notice damage by itself.
#[tokio::test]
async fn damage_that_the_indexer_finds_first_is_repaired() {
    let mut bench = Bench::with(options());
    let shard = bench.create(DIMENSION, Metric::DotProduct).await;
    fill(&bench, shard, 0..60).await;
    bench.engine.index_now().await;
    let damaged = segment_files(&bench.store).await.pop_first().unwrap();
    bench.engine.shutdown().await;
    let (origin, segment) = damaged.split_once('/').unwrap();
    bench.store.delete(&Path::from(format!("ix/{origin}/seg/{segment}"))).await.unwrap();
    bench.reopen().await;
    fill(&bench, shard, 60..120).await;
    let indexing = bench.engine.index_now();
    tokio::time::timeout(Duration::from_secs(60), indexing).await.expect("it goes on for ever");
    let named = bench.engine.checkpoint(shard, "look").await.unwrap().segments;
    assert!(!named.is_empty() && !named.contains(&damaged), "{named:?}");
    let files = segment_files(&bench.store).await;
    assert!(named.iter().all(|name| files.contains(name)), "{named:?} in {files:?}");
    let all = bench.engine.query(shard, &ns(""), near(&[1.0, 0.0, 0.0, 0.0], 1_000)).await.unwrap();
    assert_eq!(all.hits.len(), 120);
}

/// Rows that say which rows of a segment are dead, in the default namespace.
async fn deletion_rows(bench: &Bench, shard: ShardRef) -> usize {
    let view = bench.engine.shard(shard).await.unwrap().settled_view().await.unwrap();
    let row = view.get(&rows::namespace_key(&ns(""))).await.unwrap().unwrap();
    let number = NamespaceRow::decode(&row).unwrap().id;
    let place = Place { slot: rows::slot_of(&ns("")), id: number };
    let mut scan = view.scan(prefix_range(&rows::deletions_prefix(place))).await.unwrap();
    let mut count = 0;
    while scan.next().await.unwrap().is_some() {
        count += 1;
    }
    count
}

/// Segments that are given up leave no rows.
#[tokio::test]
async fn damaged_segments_take_their_deletions_along() {
    let mut bench = Bench::with(EngineOptions { segment_rows_max: 30, ..options() });
    let shard = bench.create(DIMENSION, Metric::DotProduct).await;
    fill(&bench, shard, 0..30).await;
    bench.engine.index_now().await;
    let damaged = segment_files(&bench.store).await.pop_first().unwrap();
    let ids = ["r001", "r002"].map(id).to_vec();
    bench.engine.delete(shard, &ns(""), Deletion::Ids(ids)).await.unwrap();
    fill(&bench, shard, 30..60).await;
    bench.engine.index_now().await;
    assert_eq!(deletion_rows(&bench, shard).await, 1, "of the first segment, which stays");
    bench.engine.shutdown().await;
    let (origin, segment) = damaged.split_once('/').unwrap();
    bench.store.delete(&Path::from(format!("ix/{origin}/seg/{segment}"))).await.unwrap();
    bench.reopen().await;
    let query = near(&[1.0, 0.0, 0.0, 0.0], 1_000);
    assert_eq!(bench.engine.query(shard, &ns(""), query).await.unwrap().hits.len(), 58);
    assert_eq!(deletion_rows(&bench, shard).await, 0);
}

/// A namespace for which there is no room at all is indexed once, not again and again.
#[tokio::test]
async fn indexing_without_room_comes_to_an_end() {
    let bench = Bench::with(EngineOptions { tail_bytes_max: 1, ..options() });
    let shard = bench.create(DIMENSION, Metric::DotProduct).await;
    fill(&bench, shard, 0..100).await;
    let indexing = bench.engine.index_now();
    tokio::time::timeout(Duration::from_secs(60), indexing).await.expect("it goes on for ever");
    assert!(!segment_files(&bench.store).await.is_empty());
    let all = bench.engine.query(shard, &ns(""), near(&[1.0, 0.0, 0.0, 0.0], 1_000)).await.unwrap();
    assert_eq!(all.hits.len(), 100);
}

/// A namespace that is only read, and for which there is no room, is indexed all the same: one that
/// an earlier release has left, or that was imported.
#[tokio::test]
async fn a_namespace_without_room_that_is_only_read_is_indexed() {
    let mut bench = Bench::with(EngineOptions::default());
    let shard = bench.create(DIMENSION, Metric::DotProduct).await;
    fill(&bench, shard, 0..200).await;
    bench.options = EngineOptions { tail_bytes_max: 1_000, ..options() };
    bench.reopen().await;
    let query = near(&[1.0, 0.0, 0.0, 0.0], 1_000);
    let streamed = bench.engine.query(shard, &ns(""), query.clone()).await.unwrap();
    bench.engine.index_now().await;
    assert!(!segment_files(&bench.store).await.is_empty());
    let indexed = bench.engine.query(shard, &ns(""), query).await.unwrap();
    assert_eq!((indexed.hits.len(), indexed.hits), (200, streamed.hits));
}
