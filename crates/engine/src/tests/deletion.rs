//! Goal: the reaper removes everything that nothing needs, and nothing else. Method: the orders of
//! deletion that lose data in a naive design, with the clock advanced past every grace; reading all
//! survivors after each step, and measuring the store at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::TryStreamExt;
use lodgepole_types::{Metric, Record};

use super::{Bench, near, ns, record};
use crate::{EngineOptions, Estate, ShardRef};

/// What a catalog would know.
#[derive(Default, Clone)]
struct Books {
    live: Vec<ShardRef>,
    hidden: Vec<ShardRef>,
    backups: Vec<(ShardRef, String, uuid::Uuid)>,
}

impl Books {
    fn estate(&self) -> Estate {
        let mut backups: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for (shard, name, _) in &self.backups {
            backups.entry(shard.index).or_default().insert(name.clone());
        }
        Estate {
            live: self.live.clone(),
            hidden: self.hidden.iter().map(|shard| shard.index).collect(),
            backups,
            ..Estate::default()
        }
    }
}

struct World {
    bench: Bench,
    books: Books,
}

impl World {
    async fn with_index(count: usize) -> (Self, ShardRef) {
        Self::on(Bench::new(), count).await
    }

    async fn on(bench: Bench, count: usize) -> (Self, ShardRef) {
        let shard = bench.create(16, Metric::DotProduct).await;
        bench.engine.upsert(shard, &ns(""), many(count)).await.unwrap();
        (Self { bench, books: Books { live: vec![shard], ..Books::default() } }, shard)
    }

    async fn backup(&mut self, shard: ShardRef, name: &str) {
        let cut = self.bench.engine.checkpoint(shard, name).await.unwrap();
        self.books.backups.push((shard, name.to_owned(), cut.pin));
    }

    async fn restore(&mut self, name: &str) -> ShardRef {
        let (source, _, pin) =
            self.books.backups.iter().find(|backup| backup.1 == name).unwrap().clone();
        let target = self.bench.new_index(16, Metric::DotProduct);
        self.bench.engine.clone_index(target.index, source.index, pin).await.unwrap();
        self.books.live.push(target);
        target
    }

    async fn delete_index(&mut self, shard: ShardRef) {
        self.books.live.retain(|live| *live != shard);
        self.books.hidden.push(shard);
        self.bench.engine.retire(shard.index).await;
    }

    async fn delete_backup(&mut self, name: &str) {
        let at = self.books.backups.iter().position(|backup| backup.1 == name).unwrap();
        let (source, _, pin) = self.books.backups.remove(at);
        self.bench.engine.unpin(source.index, pin).await.unwrap();
    }

    /// Lets the reaper run until nothing changes any more, an hour apart.
    async fn reap(&mut self) {
        for _ in 0..8 {
            self.bench.clock.advance(Duration::from_secs(3_600));
            let books = self.books.clone();
            let reaped = self.bench.engine.reap(&move || books.estate()).await.unwrap();
            self.books.hidden.retain(|shard| !reaped.deleted.contains(&shard.index));
            tokio::task::yield_now().await;
        }
    }

    async fn assert_holds(&self, shard: ShardRef, count: usize) {
        let answer =
            self.bench.engine.query(shard, &ns(""), near(&[1.0; 16], 10_000)).await.unwrap();
        assert_eq!(answer.hits.len(), count);
        let expected = many(count);
        let ids: Vec<_> = expected.iter().map(|record| record.id.clone()).collect();
        let fetched = self.bench.engine.fetch(shard, &ns(""), &ids[..10]).await.unwrap();
        assert_eq!(fetched.records, expected[..10]);
    }

    /// Reads every survivor from the store, not from memory.
    async fn reopen(&mut self) {
        self.bench.reopen().await;
    }

    async fn stored_bytes(&self) -> u64 {
        let objects: Vec<_> = self.bench.store.list(None).try_collect().await.unwrap();
        objects.iter().map(|object| object.size).sum()
    }
}

/// Incompressible records; the first `count` of one fixed sequence.
fn many(count: usize) -> Vec<Record> {
    let rng = lodgepole_types::SeededRng::new(7);
    (0..count).map(|i| record(&format!("r{i:05}"), &super::small_vector(&rng, 16))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_can_be_deleted_while_its_backup_lives() {
    let (mut world, a) = World::with_index(1_000).await;
    world.backup(a, "b1").await;
    world.delete_index(a).await;
    world.reap().await;
    assert_eq!(world.books.hidden, [a], "a backup needs it");
    let b = world.restore("b1").await;
    world.assert_holds(b, 1_000).await;
    world.reopen().await;
    world.assert_holds(b, 1_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_can_be_deleted_while_its_clone_lives() {
    let (mut world, a) = World::with_index(1_000).await;
    world.backup(a, "b1").await;
    let b = world.restore("b1").await;
    world.delete_backup("b1").await;
    world.reap().await;
    world.reopen().await;
    world.assert_holds(b, 1_000).await;
    world.assert_holds(a, 1_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clone_of_a_clone_outlives_both_ancestors() {
    let (mut world, a) = World::with_index(1_000).await;
    world.backup(a, "b1").await;
    let b = world.restore("b1").await;
    world.backup(b, "b2").await;
    let c = world.restore("b2").await;
    world.delete_index(a).await;
    world.delete_backup("b1").await;
    world.reap().await;
    world.reopen().await;
    world.assert_holds(b, 1_000).await;
    world.assert_holds(c, 1_000).await;
    world.delete_index(b).await;
    world.delete_backup("b2").await;
    world.reap().await;
    world.reopen().await;
    world.assert_holds(c, 1_000).await;
    world.reap().await;
    assert!(world.books.hidden.is_empty(), "both ancestors are gone: {:?}", world.books.hidden);
    world.reopen().await;
    world.assert_holds(c, 1_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_is_as_small_as_the_live_data_when_only_a_clone_lives() {
    let (mut world, a) = World::with_index(5_000).await;
    world.backup(a, "b1").await;
    let b = world.restore("b1").await;
    world.delete_index(a).await;
    world.delete_backup("b1").await;
    world.reap().await;
    world.reap().await;
    assert!(world.books.hidden.is_empty());
    world.assert_holds(b, 5_000).await;

    // The yardstick: the same records in a fresh index, compacted and collected the same way.
    let (mut fresh, shard) = World::with_index(5_000).await;
    let opened = fresh.bench.engine.shard(shard).await.unwrap();
    let clock = fresh.bench.clock.as_ref();
    assert!(opened.database.compact_fully(clock, Duration::from_secs(30)).await.unwrap());
    drop(opened);
    fresh.reap().await;
    let (ours, live) = (world.stored_bytes().await, fresh.stored_bytes().await);
    assert!(ours * 10 <= live * 11, "{ours} bytes stored for {live} bytes of live data");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_disk_is_given_back_when_everything_is_deleted() {
    let (bench, folder) = Bench::on_disk(EngineOptions::default());
    let (mut world, a) = World::on(bench, 5_000).await;
    let full = folder_bytes(folder.path());
    world.backup(a, "b1").await;
    let b = world.restore("b1").await;
    world.delete_index(a).await;
    world.delete_index(b).await;
    world.delete_backup("b1").await;
    world.reap().await;
    assert!(world.books.hidden.is_empty(), "{:?}", world.books.hidden);
    let left = folder_bytes(folder.path());
    assert!(full > 300_000 && left < 10_000, "{left} of {full} bytes are left");
}

/// Bytes of all files below a folder.
fn folder_bytes(folder: &std::path::Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries
        .map(|entry| match entry.metadata().unwrap() {
            meta if meta.is_dir() => folder_bytes(&entry.path()),
            meta => meta.len(),
        })
        .sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_after_everything_is_deleted() {
    let (mut world, a) = World::with_index(2_000).await;
    world.backup(a, "b1").await;
    let b = world.restore("b1").await;
    world.backup(b, "b2").await;
    let c = world.restore("b2").await;
    for shard in [b, a, c] {
        world.delete_index(shard).await;
    }
    for name in ["b2", "b1"] {
        world.delete_backup(name).await;
    }
    world.reap().await;
    assert!(world.books.hidden.is_empty(), "{:?}", world.books.hidden);
    assert_eq!(world.stored_bytes().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pin_without_a_backup_row_is_given_up() {
    let (mut world, a) = World::with_index(10).await;
    world.backup(a, "b1").await;
    world.bench.engine.checkpoint(a, "orphan").await.unwrap();
    let books = world.books.clone();
    let reaped = world.bench.engine.reap(&move || books.estate()).await.unwrap();
    assert_eq!(reaped.orphans, 1);
    assert!(world.bench.engine.find_pin(a.index, "orphan").await.unwrap().is_none());
    assert!(world.bench.engine.find_pin(a.index, "b1").await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn data_that_a_crash_left_without_an_owner_is_removed() {
    let (mut world, a) = World::with_index(10).await;
    // An index whose creation was cut off before its row was written.
    let stray = world.bench.create(16, Metric::Cosine).await;
    world.reopen().await;
    let books = world.books.clone();
    let reaped = world.bench.engine.reap(&move || books.estate()).await.unwrap();
    assert_eq!(reaped.strays, 0, "it may still be under way");
    world.reap().await;
    assert!(world.bench.engine.stats(stray).await.is_err());
    world.assert_holds(a, 10).await;
    let names: Vec<_> = world.bench.store.list(None).try_collect::<Vec<_>>().await.unwrap();
    let of_stray = |path: &str| path.contains(&stray.index.to_string());
    assert!(!names.iter().any(|object| of_stray(object.location.as_ref())));
}
