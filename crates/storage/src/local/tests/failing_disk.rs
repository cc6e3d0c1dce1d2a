//! Goal: a failing disk is noticed, not trusted again, and never costs what was acknowledged.
//! Method: a hook that records the steps of each write and fails a chosen one, and a probe that
//! reports the free space the test wants.

use std::io;
use std::path::Path as FilePath;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lodgepole_types::{Classify, ErrorKind};
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode};
use parking_lot::Mutex;
use slatedb_common::retry::should_retry;

use super::super::*;
use super::{content, listed, staged};

const MIB: u64 = 1 << 20;

/// Records steps; fails the next ones of a kind.
#[derive(Debug, Default)]
struct Hook {
    seen: Mutex<Vec<(DiskStep, String)>>,
    failing: Mutex<Option<(DiskStep, io::ErrorKind)>>,
}

impl Hook {
    fn fail(&self, step: DiskStep, kind: io::ErrorKind) {
        *self.failing.lock() = Some((step, kind));
    }

    fn heal(&self) {
        *self.failing.lock() = None;
    }

    fn take(&self) -> Vec<(DiskStep, String)> {
        std::mem::take(&mut self.seen.lock())
    }
}

impl DiskHook for Hook {
    fn before(&self, step: DiskStep, path: &FilePath) -> io::Result<()> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        self.seen.lock().push((step, name));
        match *self.failing.lock() {
            Some((failing, kind)) if failing == step => Err(kind.into()),
            _ => Ok(()),
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

fn hooked(root: &FilePath, sync: SyncMode) -> (LocalStore, Arc<Hook>) {
    let hook = Arc::new(Hook::default());
    let disk_hook: Arc<dyn DiskHook> = Arc::<Hook>::clone(&hook);
    let options = LocalOptions { sync, disk_hook: Some(disk_hook), ..Default::default() };
    (LocalStore::open(root, options).unwrap(), hook)
}

fn probed(root: &FilePath, free_bytes: u64) -> (LocalStore, Arc<Probe>) {
    let probe = Arc::new(Probe(AtomicU64::new(free_bytes)));
    let space_probe: Arc<dyn SpaceProbe> = Arc::<Probe>::clone(&probe);
    let options = LocalOptions {
        space_probe: Some(space_probe),
        free_bytes_min: Some(16 * MIB),
        ..Default::default()
    };
    (LocalStore::open(root, options).unwrap(), probe)
}

fn steps(seen: &[(DiskStep, String)]) -> Vec<DiskStep> {
    seen.iter().map(|(step, _)| *step).collect()
}

#[tokio::test]
async fn a_put_syncs_the_file_before_its_name_and_every_folder_on_the_way() {
    use DiskStep::*;
    let folder = tempfile::tempdir().unwrap();
    let (store, hook) = hooked(folder.path(), SyncMode::Full);
    let root = folder.path().canonicalize().unwrap();
    let root = root.file_name().unwrap().to_string_lossy();
    store.put(&Path::from("a/b/1"), "x".into()).await.unwrap();
    let first = hook.take();
    let order = [Stage, Write, SyncFile, CreateFolder, SyncFolder, SyncFolder, Publish, SyncFolder];
    assert_eq!(steps(&first), order);
    let synced: Vec<&str> = first
        .iter()
        .filter(|(step, _)| *step == SyncFolder)
        .map(|(_, name)| name.as_str())
        .collect();
    assert_eq!(synced, [root.as_ref(), "a", "b"]);
    store.put_opts(&Path::from("a/b/2"), "x".into(), PutMode::Create.into()).await.unwrap();
    assert_eq!(steps(&hook.take()), [Stage, Write, SyncFile, Publish, SyncFolder]);
    // A process that finds the folders there does not know that they are synced.
    drop(store);
    let (store, hook) = hooked(folder.path(), SyncMode::Full);
    store.put(&Path::from("a/b/3"), "x".into()).await.unwrap();
    assert_eq!(
        steps(&hook.take()),
        [Stage, Write, SyncFile, SyncFolder, SyncFolder, Publish, SyncFolder]
    );
    store.copy(&Path::from("a/b/3"), &Path::from("a/b/4")).await.unwrap();
    assert_eq!(steps(&hook.take()), [Publish, SyncFolder]);
    store.rename(&Path::from("a/b/4"), &Path::from("a/5")).await.unwrap();
    assert_eq!(steps(&hook.take()), [Publish, SyncFolder, SyncFolder]);
    let mut upload = store.put_multipart(&Path::from("a/6")).await.unwrap();
    upload.put_part("x".into()).await.unwrap();
    upload.complete().await.unwrap();
    assert_eq!(steps(&hook.take()), [Stage, Write, SyncFile, Publish, SyncFolder]);
}

#[tokio::test]
async fn deletes_are_synced_when_asked() {
    use DiskStep::*;
    let folder = tempfile::tempdir().unwrap();
    let (store, hook) = hooked(folder.path(), SyncMode::Full);
    for name in ["a/1", "a/2", "b/3"] {
        store.put(&Path::from(name), "x".into()).await.unwrap();
    }
    hook.take();
    for name in ["a/1", "a/2", "b/3"] {
        store.delete(&Path::from(name)).await.unwrap();
    }
    assert_eq!(steps(&hook.take()), [Remove, Remove, Remove]);
    store.sync_deletes().await.unwrap();
    let synced = hook.take();
    let expected = [(SyncFolder, "a".to_owned()), (SyncFolder, "b".to_owned())];
    assert_eq!(synced, expected);
    store.sync_deletes().await.unwrap();
    assert_eq!(hook.take(), []);
}

#[tokio::test]
async fn the_mutants_leave_out_what_they_say() {
    let folder = tempfile::tempdir().unwrap();
    for (sync, absent) in
        [(SyncMode::SkipFile, DiskStep::SyncFile), (SyncMode::SkipFolder, DiskStep::SyncFolder)]
    {
        let (store, hook) = hooked(folder.path(), sync);
        store.put(&Path::from(format!("{sync:?}/1")), "x".into()).await.unwrap();
        assert!(!steps(&hook.take()).contains(&absent), "{sync:?}");
    }
}

#[tokio::test]
async fn a_failed_sync_ends_writing_until_the_store_is_opened_again() {
    for step in [DiskStep::SyncFile, DiskStep::SyncFolder] {
        let folder = tempfile::tempdir().unwrap();
        let (store, hook) = hooked(folder.path(), SyncMode::Full);
        let kept = Path::from("a/kept");
        store.put(&kept, "x".into()).await.unwrap();
        let mut upload = store.put_multipart(&Path::from("a/upload")).await.unwrap();
        hook.fail(step, io::ErrorKind::Other);
        store.put(&Path::from("a/lost"), "x".into()).await.unwrap_err();
        hook.heal();
        assert!(matches!(store.healthy(), Err(DiskError::Poisoned { .. })));
        let answers = [
            store.put(&Path::from("a/next"), "x".into()).await.map(|_| ()),
            store.copy(&kept, &Path::from("a/copy")).await,
            store.rename(&kept, &Path::from("a/renamed")).await,
            store.delete(&kept).await,
            store.put_multipart(&Path::from("a/upload2")).await.map(|_| ()),
            upload.put_part("x".into()).await,
            upload.complete().await.map(|_| ()),
            store.sync_deletes().await,
        ];
        for (index, answer) in answers.into_iter().enumerate() {
            let error = answer.unwrap_err();
            assert!(!should_retry(&error), "{step:?} {index}: {error}");
            let found = DiskError::find_in(&error).unwrap();
            assert!(matches!(found, DiskError::Poisoned { .. }), "{step:?} {index}: {error}");
            assert_eq!(found.kind(), ErrorKind::Unavailable);
        }
        assert_eq!(content(&store, "a/kept").await, "x", "reads go on");
        drop((store, upload));
        let (store, _) = hooked(folder.path(), SyncMode::Full);
        store.put(&Path::from("a/next"), "x".into()).await.unwrap();
    }
}

#[tokio::test]
async fn a_put_that_fails_at_any_step_leaves_nothing_half_done() {
    for step in DiskStep::ALL {
        let folder = tempfile::tempdir().unwrap();
        let (store, hook) = hooked(folder.path(), SyncMode::Full);
        store.put(&Path::from("old"), "x".into()).await.unwrap();
        hook.fail(step, io::ErrorKind::PermissionDenied);
        let put = store.put(&Path::from("new/1"), "xy".into()).await;
        // A plain put removes no object.
        assert_eq!(
            put.is_ok(),
            matches!(step, DiskStep::Remove | DiskStep::RemoveFolders),
            "{step:?}"
        );
        hook.heal();
        assert!(staged(folder.path()).is_empty(), "{step:?}");
        let is_sync = matches!(step, DiskStep::SyncFile | DiskStep::SyncFolder);
        assert_eq!(store.healthy().is_err(), is_sync, "{step:?}");
        if let Err(error) = put
            && !is_sync
        {
            assert!(should_retry(&error), "{step:?}");
            assert!(DiskError::find_in(&error).is_some(), "{step:?}");
            assert_eq!(listed(&store, None).await, ["old"], "{step:?}");
            store.put(&Path::from("new/1"), "xy".into()).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_disk_that_fills_up_during_a_write_does_not_poison() {
    for step in [DiskStep::Stage, DiskStep::Write, DiskStep::SyncFile, DiskStep::Publish] {
        let folder = tempfile::tempdir().unwrap();
        let (store, hook) = hooked(folder.path(), SyncMode::Full);
        store.put(&Path::from("kept"), "x".into()).await.unwrap();
        hook.fail(step, io::ErrorKind::StorageFull);
        let error = store.put(&Path::from("more"), "x".into()).await.unwrap_err();
        assert!(matches!(DiskError::find_in(&error), Some(DiskError::Full { .. })), "{step:?}");
        assert!(should_retry(&error), "SlateDB waits for room");
        assert_eq!(listed(&store, None).await, ["kept"]);
        store.delete(&Path::from("kept")).await.unwrap();
        hook.heal();
        store.put(&Path::from("more"), "x".into()).await.unwrap();
        assert!(staged(folder.path()).is_empty());
    }
}

#[tokio::test]
async fn a_nearly_full_disk_refuses_growth_first_and_recovers_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let (store, probe) = probed(folder.path(), 50 * MIB);
    let space = Arc::clone(store.space());
    let large = || object_store::PutPayload::from(vec![0; 2 * 1024 * 1024]);
    let is_full = |answer: Result<(), Error>| match answer {
        Ok(()) => false,
        Err(error) => {
            assert!(matches!(DiskError::find_in(&error), Some(DiskError::Full { .. })), "{error}");
            true
        }
    };
    // Free MiB, then: growth admitted, upkeep admitted, a large put goes, a small put goes.
    let bands = [
        (50, true, true, true, true),
        (15, false, true, true, true),
        (3, false, true, false, true),
        (0, false, false, false, false),
        (50, true, true, true, true),
    ];
    for (free, growth, upkeep, big, small) in bands {
        probe.0.store(free * MIB, Ordering::Relaxed);
        let put = store.put(&Path::from("small"), "x".into()).await.map(|_| ());
        assert_eq!(is_full(put), !small, "{free} MiB");
        let put = store.put(&Path::from("large"), large()).await.map(|_| ());
        assert_eq!(is_full(put), !big, "{free} MiB");
        let mut upload = store.put_multipart(&Path::from("upload")).await.unwrap();
        assert_eq!(is_full(upload.put_part(large()).await), !big, "{free} MiB");
        assert_eq!(space.admit(Need::Growth, 10_000).is_ok(), growth, "{free} MiB");
        assert_eq!(space.admit(Need::Upkeep, 100).is_ok(), upkeep, "{free} MiB");
        assert_eq!(content(&store, "small").await, "x", "reads go on");
    }
    probe.0.store(0, Ordering::Relaxed);
    let refused = space.admit(Need::Growth, 60 * MIB).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::RateLimited);
    assert!(refused.to_string().contains("the disk is full"), "{refused}");
    store.delete(&Path::from("large")).await.unwrap();
    store.copy(&Path::from("small"), &Path::from("copy")).await.unwrap();
}

#[tokio::test]
async fn what_is_admitted_counts_before_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let (store, probe) = probed(folder.path(), 20 * MIB);
    let space = store.space();
    space.admit(Need::Growth, 3 * MIB).unwrap();
    probe.0.store(17 * MIB, Ordering::Relaxed);
    assert!(space.admit(Need::Growth, 3 * MIB).is_err());
    space.admit(Need::Growth, MIB).unwrap();
}

#[tokio::test]
async fn room_that_another_program_takes_is_noticed_by_the_next_write() {
    let folder = tempfile::tempdir().unwrap();
    let (store, probe) = probed(folder.path(), 50 * MIB);
    let space = store.space();
    space.admit(Need::Growth, 1).unwrap();
    probe.0.store(0, Ordering::Relaxed);
    assert!(space.admit(Need::Growth, 1).is_err(), "no put has measured since");
    assert!(space.admit(Need::Upkeep, 1).is_err());
    probe.0.store(50 * MIB, Ordering::Relaxed);
    space.admit(Need::Growth, 1).unwrap();
}

#[test]
fn the_default_limit_follows_the_size_of_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let probe: Arc<dyn SpaceProbe> = Arc::new(Probe(AtomicU64::new(MIB)));
    let options = LocalOptions { space_probe: Some(probe), ..Default::default() };
    let store = LocalStore::open(folder.path(), options).unwrap();
    assert_eq!(store.space().free_bytes_min(), 5 * MIB);
}

#[test]
fn errors_are_found_through_every_wrapper() {
    let full = || DiskError::Full { free_bytes: 1, wanted_bytes: 2 };
    let wrapped = [
        io::Error::other(Error::from(full())),
        io::Error::other(io::Error::other(full())),
        io::Error::other(Arc::new(Error::from(full()))),
    ];
    for error in wrapped {
        assert!(DiskError::find_in(&Arc::new(error)).is_some());
    }
    assert!(DiskError::find_in(&io::Error::other("something else")).is_none());
}

/// A SlateDB database on `store`.
async fn database(store: &LocalStore) -> slatedb::Db {
    slatedb::Db::builder("db", Arc::new(store.clone())).build().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_fails_at_once_after_a_failed_sync_and_keeps_what_it_confirmed() {
    let folder = tempfile::tempdir().unwrap();
    let (store, hook) = hooked(folder.path(), SyncMode::Full);
    let db = database(&store).await;
    db.put(b"kept", b"x").await.unwrap().await_durable().await.unwrap();
    hook.fail(DiskStep::SyncFolder, io::ErrorKind::Other);
    let write = async { db.put(b"lost", b"x").await?.await_durable().await.map(|_| ()) };
    let error = tokio::time::timeout(std::time::Duration::from_secs(20), write)
        .await
        .expect("the error must not be retried for ever")
        .unwrap_err();
    assert!(matches!(DiskError::find_in(&error), Some(DiskError::Poisoned { .. })), "{error:?}");
    let _ = db.close().await;
    drop((db, store));
    let (store, _) = hooked(folder.path(), SyncMode::Full);
    let db = database(&store).await;
    assert_eq!(db.get(b"kept").await.unwrap().unwrap(), "x");
    db.put(b"next", b"x").await.unwrap().await_durable().await.unwrap();
    db.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_waits_out_a_full_disk_and_still_reads() {
    let folder = tempfile::tempdir().unwrap();
    let (store, probe) = probed(folder.path(), 50 * MIB);
    let db = database(&store).await;
    db.put(b"kept", b"x").await.unwrap().await_durable().await.unwrap();
    probe.0.store(0, Ordering::Relaxed);
    let waiting = db.put(b"late", b"x").await.unwrap();
    let wait = std::time::Duration::from_millis(300);
    assert!(tokio::time::timeout(wait, waiting.await_durable()).await.is_err(), "no room yet");
    assert_eq!(db.get(b"kept").await.unwrap().unwrap(), "x");
    probe.0.store(50 * MIB, Ordering::Relaxed);
    waiting.await_durable().await.unwrap();
    db.close().await.unwrap();
}
