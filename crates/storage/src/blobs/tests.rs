//! Goal: a blob is whole or absent, whatever happens, and is read as it was written.
//! Method: a folder on disk with a hook at every step and a probe for its free space, a store in
//! memory, and one that fails; the folder is copied at each step, as a kill would leave it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lodgepole_types::{Classify, Clock, ErrorKind, ManualClock, SeededRng};
use object_store::ObjectStore;
use object_store::memory::InMemory;
use parking_lot::Mutex;
use proptest::prelude::*;

use super::*;
use crate::fault::{FaultStore, Retry, Timing};
use crate::local::{DiskError, DiskHook, DiskStep, LocalOptions, Space, SpaceProbe};
use crate::{DatabasePath, StorageOptions, SystemClock};

const MIB: u64 = 1 << 20;

fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::new())
}

fn on_disk(folder: &Path, options: LocalOptions) -> Storage {
    let rng = Arc::new(SeededRng::new(1));
    Storage::open_local(folder, options, clock(), rng, StorageOptions::default()).unwrap()
}

fn on_store(store: Arc<dyn ObjectStore>) -> Storage {
    Storage::on_store(store, clock(), Arc::new(SeededRng::new(1)), StorageOptions::default())
}

fn path() -> BlobPath {
    BlobPath::new("ix/1/seg/a")
}

fn content(length: usize) -> Vec<u8> {
    (0..length).map(|i| u8::try_from(i * i % 251).unwrap()).collect()
}

async fn write(storage: &Storage, path: &BlobPath, bytes: &[u8]) -> Result<u64, StorageError> {
    let mut writer = storage.write_blob(path)?;
    for piece in bytes.chunks(100_000) {
        writer.write_all(piece).unwrap();
    }
    storage.finish_blob(writer).await
}

fn staged(folder: &Path) -> usize {
    std::fs::read_dir(folder.join(".staging")).unwrap().count()
}

fn is_missing<T>(result: &Result<T, StorageError>) -> bool {
    matches!(result, Err(StorageError::BlobMissing(_)))
}

/// What all kinds of stores promise.
async fn check_life(storage: &Storage) {
    let bytes = content(300_000);
    let mut writer = storage.write_blob(&path()).unwrap();
    writer.write_all(&bytes[..100_000]).unwrap();
    assert!(is_missing(&storage.open_blob(&path()).await), "not finished");
    writer.write_all(&bytes[100_000..]).unwrap();
    writer.flush().unwrap();
    assert_eq!(writer.written(), 300_000);
    assert_eq!(storage.blobs("ix/1/seg").await.unwrap(), [], "not finished");
    assert_eq!(storage.finish_blob(writer).await.unwrap(), 300_000);
    let empty = BlobPath::new("ix/1/seg/b");
    write(storage, &empty, b"").await.unwrap();

    let blob = storage.open_blob(&path()).await.unwrap();
    assert_eq!(blob.bytes(), bytes);
    assert_eq!(blob.bytes().as_ptr().align_offset(64), 0);
    assert_eq!(storage.open_blob(&empty).await.unwrap().bytes(), b"");
    for range in [0..10, 5_000..200_000, 299_999..usize::MAX, 300_000..300_001] {
        blob.advise(range.clone(), Advice::WillNeed);
        blob.advise(range, Advice::Random);
    }
    let mut listed = storage.blobs("ix/1/seg").await.unwrap();
    listed.sort();
    assert_eq!(listed, [("a".to_owned(), 300_000), ("b".to_owned(), 0)]);
    assert_eq!(storage.folders("ix/1").await.unwrap(), ["seg"]);
    assert_eq!(storage.blobs("ix/2/seg").await.unwrap(), []);

    storage.delete_blob(&path()).await.unwrap();
    storage.delete_blob(&path()).await.unwrap();
    assert!(is_missing(&storage.open_blob(&path()).await));
    assert_eq!(blob.clone().bytes(), bytes, "who has it open can go on reading");
    storage.delete_blob(&empty).await.unwrap();
    storage.remove_empty_folder("ix/1").await.unwrap();
    assert_eq!(storage.folders("ix").await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_blob_lives_on_a_disk() {
    let folder = tempfile::tempdir().unwrap();
    let storage = on_disk(folder.path(), LocalOptions::default());
    check_life(&storage).await;
    write(&storage, &path(), b"x").await.unwrap();
    assert_eq!(storage.open_blob(&path()).await.unwrap().resident_bytes(), 0, "it is mapped");
    drop(storage);
    let storage = on_disk(folder.path(), LocalOptions::default());
    assert_eq!(storage.open_blob(&path()).await.unwrap().bytes(), b"x");
}

#[tokio::test]
async fn a_blob_lives_in_memory_and_in_a_bucket() {
    let storage = on_store(Arc::new(InMemory::new()));
    check_life(&storage).await;
    write(&storage, &path(), &content(1_000)).await.unwrap();
    let blob = storage.open_blob(&path()).await.unwrap();
    assert!(blob.resident_bytes() >= 1_000);
    assert!(format!("{blob:?}").contains("length: 1000"));
}

#[tokio::test]
async fn deleting_the_database_of_an_index_leaves_its_blobs() {
    let folder = tempfile::tempdir().unwrap();
    for storage in
        [on_disk(folder.path(), LocalOptions::default()), on_store(Arc::new(InMemory::new()))]
    {
        let database = DatabasePath::new("ix/1/db/0");
        storage.open(&database).await.unwrap().close().await.unwrap();
        write(&storage, &path(), b"x").await.unwrap();
        storage.delete_database(&database).await.unwrap();
        assert!(!storage.exists(&database).await.unwrap());
        assert_eq!(storage.open_blob(&path()).await.unwrap().bytes(), b"x");
    }
}

#[tokio::test]
async fn an_unfinished_blob_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let storage = on_disk(folder.path(), LocalOptions::default());
    let mut writer = storage.write_blob(&path()).unwrap();
    writer.write_all(b"x").unwrap();
    assert_eq!(staged(folder.path()), 1);
    drop(writer);
    assert_eq!(staged(folder.path()), 0);
    assert_eq!(storage.folders("ix").await.unwrap(), Vec::<String>::new());
}

/// Records steps, fails those of one kind, and copies the folder at each.
#[derive(Debug, Default)]
struct Hook {
    seen: Mutex<Vec<DiskStep>>,
    failing: Mutex<Option<(DiskStep, io::ErrorKind)>>,
    /// From where, and where the copies go.
    copies: Mutex<Option<(PathBuf, PathBuf)>>,
}

impl DiskHook for Hook {
    fn before(&self, step: DiskStep, _: &Path) -> io::Result<()> {
        let number = self.seen.lock().len();
        self.seen.lock().push(step);
        if let Some((from, to)) = &*self.copies.lock() {
            copy(from, &to.join(number.to_string()));
        }
        match *self.failing.lock() {
            Some((failing, kind)) if failing == step => Err(kind.into()),
            _ => Ok(()),
        }
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn hooked(folder: &Path) -> (Storage, Arc<Hook>) {
    let hook = Arc::new(Hook::default());
    let disk_hook: Arc<dyn DiskHook> = Arc::<Hook>::clone(&hook);
    let options = LocalOptions { disk_hook: Some(disk_hook), ..Default::default() };
    (on_disk(folder, options), hook)
}

#[tokio::test]
async fn a_blob_is_synced_before_it_has_its_name_and_large_ones_meanwhile() {
    use DiskStep::*;
    let folder = tempfile::tempdir().unwrap();
    let (storage, hook) = hooked(folder.path());
    write(&storage, &path(), b"x").await.unwrap();
    let first = std::mem::take(&mut *hook.seen.lock());
    let folders = [CreateFolder, SyncFolder, SyncFolder, SyncFolder];
    // The second write is the seal's.
    assert_eq!(first[..4], [Stage, Write, Write, SyncFile]);
    assert_eq!(first[4..8], folders);
    assert_eq!(first[8..], [Publish, SyncFolder]);
    let mut writer = storage.write_blob(&path()).unwrap();
    for _ in 0..3 {
        writer.write_all(&vec![7; 20 << 20]).unwrap();
    }
    storage.finish_blob(writer).await.unwrap();
    let second = std::mem::take(&mut *hook.seen.lock());
    let written = [Write, Write, SyncFile, Write, Write, SyncFile];
    assert_eq!(second[..1], [Stage]);
    assert_eq!(second[1..7], written);
    assert_eq!(second[7..], [Publish, SyncFolder]);
}

#[tokio::test]
async fn a_kill_at_any_step_leaves_a_blob_whole_or_absent() {
    let (folder, copies) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (storage, hook) = hooked(folder.path());
    *hook.copies.lock() = Some((folder.path().to_owned(), copies.path().to_owned()));
    let bytes = content(250_000);
    write(&storage, &path(), &bytes).await.unwrap();
    storage.delete_blob(&path()).await.unwrap();
    *hook.copies.lock() = None;
    let steps = std::mem::take(&mut *hook.seen.lock());
    let published = steps.iter().position(|step| *step == DiskStep::Publish).unwrap();
    assert_eq!(steps.last(), Some(&DiskStep::Remove));
    for (number, step) in steps.iter().enumerate() {
        let folder = copies.path().join(number.to_string());
        let storage = on_disk(&folder, LocalOptions::default());
        assert_eq!(staged(&folder), 0, "{step:?}: swept");
        let found = storage.open_blob(&path()).await;
        if number <= published {
            assert!(is_missing(&found), "{step:?}");
        } else {
            assert_eq!(found.unwrap().bytes(), bytes, "{step:?}");
        }
    }
}

#[tokio::test]
async fn a_blob_that_fails_at_any_step_is_not_there_or_poisons_the_store() {
    for step in DiskStep::ALL {
        let folder = tempfile::tempdir().unwrap();
        let (storage, hook) = hooked(folder.path());
        *hook.failing.lock() = Some((step, io::ErrorKind::PermissionDenied));
        let done = storage.write_blob(&path()).map(|mut writer| {
            let written = writer.write_all(b"x");
            assert_eq!(written.is_err(), step == DiskStep::Write);
            if let Err(error) = written {
                assert!(DiskError::find_in(&error).is_some());
                writer.write_all(b"y").unwrap_err();
            }
            writer
        });
        let done = match done {
            Ok(writer) => storage.finish_blob(writer).await,
            Err(error) => Err(error),
        };
        let removes = matches!(step, DiskStep::Remove | DiskStep::RemoveFolders);
        assert_eq!(done.is_ok(), removes, "{step:?}");
        *hook.failing.lock() = None;
        assert_eq!(staged(folder.path()), 0, "{step:?}");
        let Err(error) = done else { continue };
        assert!(matches!(error, StorageError::Disk(_)), "{step:?}: {error}");
        if matches!(step, DiskStep::SyncFile | DiskStep::SyncFolder) {
            let refused = storage.write_blob(&path()).unwrap_err();
            assert!(matches!(refused, StorageError::Disk(DiskError::Poisoned { .. })));
            storage.delete_blob(&path()).await.unwrap_err();
            drop(storage);
            let storage = on_disk(folder.path(), LocalOptions::default());
            write(&storage, &path(), b"again").await.unwrap();
        } else {
            assert!(is_missing(&storage.open_blob(&path()).await), "{step:?}");
            write(&storage, &path(), b"again").await.unwrap();
        }
    }
}

/// Reports what it is told.
#[derive(Debug)]
struct Probe(AtomicU64);

impl SpaceProbe for Probe {
    fn measure(&self) -> io::Result<Space> {
        let free_bytes = self.0.load(Ordering::Relaxed);
        Ok(Space { free_bytes, total_bytes: 100 * MIB })
    }
}

#[tokio::test]
async fn a_disk_that_fills_up_stops_blobs_and_still_lets_them_be_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let probe = Arc::new(Probe(AtomicU64::new(50 * MIB)));
    let space_probe: Arc<dyn SpaceProbe> = Arc::<Probe>::clone(&probe);
    let options = LocalOptions {
        space_probe: Some(space_probe),
        free_bytes_min: Some(16 * MIB),
        ..Default::default()
    };
    let storage = on_disk(folder.path(), options);
    write(&storage, &path(), b"x").await.unwrap();
    let mut writer = storage.write_blob(&BlobPath::new("ix/1/seg/b")).unwrap();
    let piece = vec![0; 500_000];
    writer.write_all(&piece).unwrap();
    probe.0.store(15 * MIB, Ordering::Relaxed);
    let refused = (0..4).find_map(|_| writer.write_all(&piece).err()).unwrap();
    assert_eq!(refused.kind(), io::ErrorKind::StorageFull);
    assert!(matches!(DiskError::find_in(&refused), Some(DiskError::Full { .. })));
    let refused = storage.finish_blob(writer).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::RateLimited);
    assert_eq!(staged(folder.path()), 0, "its space is given back");
    let refused = storage.write_blob(&path()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::RateLimited);
    storage.delete_blob(&path()).await.unwrap();
    probe.0.store(50 * MIB, Ordering::Relaxed);
    write(&storage, &path(), b"y").await.unwrap();
}

#[tokio::test]
async fn a_store_that_fails_leaves_a_blob_whole_or_absent() {
    for timing in [Timing::Before, Timing::After] {
        let clock = Arc::new(ManualClock::new(Duration::ZERO));
        let store = FaultStore::new(Arc::new(InMemory::new()), clock);
        let storage = on_store(Arc::new(store.clone()));
        store.fail_change(1, timing, Retry::Invited);
        let error = write(&storage, &path(), b"xyz").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        let found = storage.open_blob(&path()).await;
        assert_eq!(is_missing(&found), timing == Timing::Before);
        write(&storage, &path(), b"xyz").await.unwrap();
        store.fail_read(store.reads() + 1, Retry::Invited);
        let error = storage.open_blob(&path()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(storage.open_blob(&path()).await.unwrap().bytes(), b"xyz");
    }
}

#[test]
fn paths_keep_to_plain_characters() {
    assert_eq!(BlobPath::new("ix/1/seg/a b\u{e9}").to_string(), "ix/1/seg/a_b_");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]

    /// However a blob is cut into writes, it reads back.
    #[test]
    fn what_is_written_in_pieces_is_read_whole(pieces in prop::collection::vec(
        prop::collection::vec(any::<u8>(), 0..5_000), 0..8,
    )) {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            for storage in [
                on_disk(folder.path(), LocalOptions::default()),
                on_store(Arc::new(InMemory::new())),
            ] {
                let mut writer = storage.write_blob(&path()).unwrap();
                for piece in &pieces {
                    writer.write_all(piece).unwrap();
                }
                storage.finish_blob(writer).await.unwrap();
                assert_eq!(storage.open_blob(&path()).await.unwrap().bytes(), pieces.concat());
            }
        });
    }
}
