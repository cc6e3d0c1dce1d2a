//! Goal: the promises of a database that the layers above build on. Method: a store in memory,
//! reads before and after the event that matters.

use std::sync::Arc;
use std::time::Duration;

use lodgepole_types::{Clock, Rng as _, SeededRng};
use object_store::ObjectStoreExt as _;
use object_store::memory::InMemory;
use proptest::prelude::*;

use crate::{
    Batch, Database, DatabasePath, ShiftedClock, Storage, StorageError, StorageOptions,
    SystemClock, Visibility, prefix_range,
};

mod reading_ahead;

fn storage() -> (Storage, Arc<ShiftedClock>) {
    let clock = Arc::new(ShiftedClock::new(Arc::new(SystemClock::new())));
    let shared: Arc<dyn Clock> = Arc::clone(&clock) as Arc<dyn Clock>;
    let rng = Arc::new(SeededRng::new(1));
    let store = Arc::new(InMemory::new());
    (Storage::on_store(store, shared, rng, StorageOptions::default()), clock)
}

async fn put(database: &Database, entries: &[(&str, &str)]) {
    let mut batch = Batch::new();
    for (key, value) in entries {
        batch.put(key.as_bytes().to_vec(), value.as_bytes().to_vec());
    }
    database.write(batch).await.unwrap().durable().await.unwrap();
}

async fn all(database: &Database) -> Vec<(String, String)> {
    let mut scan = database.scan_prefix(b"", Visibility::Durable).await.unwrap();
    let mut found = Vec::new();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    while let Some(entry) = scan.next().await.unwrap() {
        found.push((text(&entry.key), text(&entry.value)));
    }
    found
}

fn pairs(entries: &[(&str, &str)]) -> Vec<(String, String)> {
    entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn a_batch_is_durable_and_in_order() {
    let (storage, _) = storage();
    let path = DatabasePath::new("a");
    let database = storage.open(&path).await.unwrap();
    put(&database, &[("b", "1"), ("a", "2"), ("b", "3")]).await;
    assert_eq!(all(&database).await, pairs(&[("a", "2"), ("b", "3")]));
    let mut batch = Batch::new();
    batch.delete(b"a".to_vec());
    let commit = database.write(batch).await.unwrap();
    commit.durable().await.unwrap();
    assert!(database.durable_lsn() >= commit.lsn());
    database.abandon().await.unwrap();
    let again = storage.open(&path).await.unwrap();
    assert_eq!(all(&again).await, pairs(&[("b", "3")]));
}

#[tokio::test]
async fn what_was_written_after_a_deletion_is_deleted_too() {
    let (storage, _) = storage();
    let path = DatabasePath::new("a");
    storage.open(&path).await.unwrap().close().await.unwrap();
    storage.delete_database(&path).await.unwrap();
    let late = object_store::path::Path::from("a/wal/00000000000000000009.sst");
    storage.sealed().put(&late, "late".into()).await.unwrap();
    for _ in 0..2 {
        storage.delete_database(&path).await.unwrap();
        assert_eq!(storage.folders("").await.unwrap(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_clock_that_is_put_right_while_the_server_is_off_does_not_stop_writes() {
    let store = Arc::new(InMemory::new());
    let path = DatabasePath::new("a");
    let year = Duration::from_secs(365 * 86_400);
    // A year ahead, then two years ahead and cut off, then as the machine has it.
    for (ahead, is_cut_off) in [(year, false), (2 * year, true), (Duration::ZERO, true)] {
        let clock = Arc::new(ShiftedClock::new(Arc::new(SystemClock::new())));
        clock.advance(ahead);
        let rng = Arc::new(SeededRng::new(1));
        let options = StorageOptions::default();
        let storage = Storage::on_store(Arc::clone(&store) as _, clock as _, rng, options);
        for other in ["b", "a"] {
            // What one database has seen holds for all: they share the files of clones.
            storage.open(&DatabasePath::new(other)).await.unwrap().close().await.unwrap();
        }
        let database = storage.open(&path).await.unwrap();
        let write = put(&database, &[("k", "v")]);
        tokio::time::timeout(Duration::from_secs(5), write).await.expect("a stamp is refused");
        if is_cut_off {
            database.abandon().await.unwrap();
        } else {
            database.close().await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_view_does_not_see_later_writes() {
    let (storage, _) = storage();
    let database = storage.open(&DatabasePath::new("a")).await.unwrap();
    put(&database, &[("k", "old")]).await;
    let view = database.view().unwrap();
    put(&database, &[("k", "new")]).await;
    assert_eq!(view.get(b"k").await.unwrap().unwrap(), "old");
    assert_eq!(database.get(b"k", Visibility::Durable).await.unwrap().unwrap(), "new");
    let mut scan = view.scan(prefix_range(b"")).await.unwrap();
    assert_eq!(scan.next().await.unwrap().unwrap().value, "old");
}

#[tokio::test]
async fn a_second_handle_fences_the_first() {
    let (storage, _) = storage();
    let path = DatabasePath::new("a");
    let first = storage.open(&path).await.unwrap();
    put(&first, &[("k", "1")]).await;
    let second = storage.open(&path).await.unwrap();
    assert_eq!(all(&second).await, pairs(&[("k", "1")]));
    let mut batch = Batch::new();
    batch.put(b"k".to_vec(), b"2".to_vec());
    let refused = match first.write(batch).await {
        Ok(commit) => commit.durable().await,
        Err(error) => Err(error),
    };
    assert!(matches!(refused, Err(StorageError::Closed { reason: "fenced", .. })), "{refused:?}");
    assert_eq!(all(&second).await, pairs(&[("k", "1")]));
}

#[tokio::test]
async fn a_lost_database_is_not_opened_as_an_empty_one() {
    let (storage, _) = storage();
    let missing = storage.open_existing(&DatabasePath::new("nowhere")).await;
    assert!(matches!(missing, Err(StorageError::DatabaseMissing(_))), "{missing:?}");
    assert!(!storage.exists(&DatabasePath::new("nowhere")).await.unwrap());
}

#[tokio::test]
async fn a_checkpoint_is_found_by_its_name_and_clones_its_moment() {
    let (storage, _) = storage();
    let (source, target) = (DatabasePath::new("s"), DatabasePath::new("t"));
    let database = storage.open(&source).await.unwrap();
    put(&database, &[("k", "1")]).await;
    let pin = database.checkpoint("backup-1").await.unwrap();
    put(&database, &[("k", "2"), ("l", "2")]).await;
    let pins = storage.pins(&source).await.unwrap();
    assert_eq!(pins.len(), 1);
    assert_eq!((pins[0].id, pins[0].name.as_deref()), (pin.id, Some("backup-1")));
    assert!(!pins[0].expires);
    for _ in 0..2 {
        storage.clone_database(&target, &source, pin.id).await.unwrap();
    }
    let clone = storage.open_existing(&target).await.unwrap();
    assert_eq!(all(&clone).await, pairs(&[("k", "1")]));
    let parents = storage.parents(&target).await.unwrap().unwrap();
    assert_eq!(parents[0].path, source);
}

#[tokio::test]
async fn a_rewritten_clone_lets_go_of_its_source() {
    let (storage, clock) = storage();
    let (source, target) = (DatabasePath::new("s"), DatabasePath::new("t"));
    let database = storage.open(&source).await.unwrap();
    put(&database, &[("k", "1")]).await;
    database.flush().await.unwrap();
    let pin = database.checkpoint("backup-1").await.unwrap();
    storage.clone_database(&target, &source, pin.id).await.unwrap();
    storage.unpin(&source, pin.id).await.unwrap();
    let clone = storage.open_existing(&target).await.unwrap();
    assert!(clone.borrows_files());
    let settled = clone.compact_fully(clock.as_ref(), Duration::from_secs(20)).await.unwrap();
    assert!(settled && !clone.borrows_files());
    for _ in 0..3 {
        clock.advance(Duration::from_secs(3_600));
        storage.collect(&target).await.unwrap();
    }
    assert!(storage.pins(&source).await.unwrap().iter().all(|pin| pin.expires));
    database.abandon().await.unwrap();
    storage.delete_database(&source).await.unwrap();
    assert_eq!(all(&clone).await, pairs(&[("k", "1")]));
}

#[tokio::test]
async fn flushing_empties_the_count_of_unflushed_bytes() {
    let (storage, _) = storage();
    let database = storage.open(&DatabasePath::new("a")).await.unwrap();
    assert_eq!(database.unflushed_bytes(), 0);
    put(&database, &[("key", "value")]).await;
    assert_eq!(database.unflushed_bytes(), 8);
    database.flush().await.unwrap();
    assert_eq!(database.unflushed_bytes(), 0);
}

proptest! {
    #[test]
    fn a_prefix_range_holds_exactly_the_keys_with_that_prefix(
        prefix in proptest::collection::vec(250..=255_u8, 0..4),
        key in proptest::collection::vec(248..=255_u8, 0..6),
    ) {
        use std::ops::RangeBounds;
        let range = prefix_range(&prefix);
        prop_assert_eq!(range.contains(&bytes::Bytes::from(key.clone())), key.starts_with(&prefix));
    }
}

/// Writes `files` memtables out, one file each.
async fn write_files(database: &Database, files: usize) {
    for file in 0..files {
        put(database, &[(&format!("key-{file:03}"), "value")]).await;
        database.flush().await.unwrap();
    }
}

/// Waits until a database has more than so many own files: the compactor has written one. Gives up
/// after half a minute.
async fn compacted(storage: &Storage, path: &DatabasePath, files: usize) -> bool {
    for _ in 0..300 {
        if own_files(storage, path).await > files {
            return true;
        }
        storage.clock().sleep(Duration::from_millis(100)).await;
    }
    false
}

/// Names of the files that lie in the database's own folder.
async fn own_files(storage: &Storage, path: &DatabasePath) -> usize {
    use futures::TryStreamExt;
    let folder = object_store::path::Path::from(format!("{path}/compacted"));
    let files: Vec<_> = storage.store().list(Some(&folder)).try_collect().await.unwrap();
    files.len()
}

#[tokio::test]
async fn compaction_leaves_the_inherited_files_of_a_fresh_clone_alone() {
    let (storage, clock) = storage();
    let (source, target) = (DatabasePath::new("s"), DatabasePath::new("t"));
    let database = storage.open(&source).await.unwrap();
    write_files(&database, 3).await;
    let pin = database.checkpoint("backup-1").await.unwrap();
    storage.clone_database(&target, &source, pin.id).await.unwrap();
    let clone = storage.open_existing(&target).await.unwrap();
    // Both have files enough to be compacted now; only the clone is to wait.
    write_files(&database, 3).await;
    write_files(&clone, 3).await;
    assert!(compacted(&storage, &source, 6).await, "the source was not compacted");
    assert_eq!(own_files(&storage, &target).await, 3, "the clone was compacted at once");
    clock.advance(Duration::from_secs(301));
    assert!(compacted(&storage, &target, 3).await, "the clone is never compacted");
}

#[tokio::test]
async fn a_fresh_clone_under_load_is_relieved_all_the_same() {
    let (storage, _) = storage();
    let (source, target) = (DatabasePath::new("s"), DatabasePath::new("t"));
    let database = storage.open(&source).await.unwrap();
    write_files(&database, 1).await;
    let pin = database.checkpoint("backup-1").await.unwrap();
    storage.clone_database(&target, &source, pin.id).await.unwrap();
    let clone = storage.open_existing(&target).await.unwrap();
    write_files(&clone, 20).await;
    assert!(compacted(&storage, &target, 20).await, "files pile up until writes stop");
}

#[tokio::test]
async fn a_flush_does_not_fill_the_block_cache_but_reading_does() {
    const VALUES: u64 = 256;
    let (storage, _) = storage();
    let database = storage.open(&DatabasePath::new("a")).await.unwrap();
    let rng = SeededRng::new(2);
    let mut batch = Batch::new();
    for number in 0..VALUES {
        let mut value = vec![0; 16 << 10];
        rng.fill(&mut value);
        batch.put(format!("{number:04}").into_bytes(), value);
    }
    database.write(batch).await.unwrap().durable().await.unwrap();
    database.flush().await.unwrap();
    let cached = || storage.shared_cache().entry_count();
    assert!(cached() < VALUES / 8, "{} entries after a flush", cached());
    for _ in 0..2 {
        for number in 0..VALUES {
            let key = format!("{number:04}").into_bytes();
            assert!(database.get(&key, Visibility::Durable).await.unwrap().is_some());
        }
    }
    assert!(cached() > VALUES / 2, "{} entries after reading all", cached());
}
