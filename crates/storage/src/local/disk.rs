//! The steps by which bytes become an object: stage, write, sync, publish, sync the folder.
//!
//! INVARIANTS: a name in the store always leads to a whole, synced file, because files are filled
//! under another name and linked or renamed into place; and when a write answers, the name is synced
//! too. A failed sync ends all writing and deleting until the store is opened again: after it the
//! kernel may have dropped the bytes and report success to whoever asks again, and collection driven
//! by a manifest that is only in memory would delete what the manifest on disk still needs.
//!
//! Deletes are not synced one by one. An object that reappears after a power cut is harmless to
//! SlateDB (it is collected again; names are never used twice; the newest manifest wins), and a sync
//! each would cost a collection pass milliseconds a file. Who forgets a database for good, so that
//! nobody would collect it again, first calls [`Disk::sync_deletes`].
//!
//! All of it blocks; `store.rs` runs it on the blocking threads. The file staged for a write lives
//! in one folder of its own, so that sweeping after a crash need not walk the store.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::{Mutex, MutexGuard};
use xxhash_rust::xxh3::xxh3_64;

use super::error::{DiskError, is_full};
use super::folders::{Folders, remove_empty_below};
use super::lock::DirectoryLock;
use super::options::{DiskHook, DiskStep, SyncMode};
use super::space::SpaceGuard;

/// The folder of the store where files are filled before they get their name. It is emptied by whoever
/// opens the store.
pub const STAGING_NAME: &str = ".staging";
/// Names are locked in this many groups; a clash costs a short wait.
const NAME_LOCKS: u64 = 64;
/// How often a publication makes its folder again before it gives up.
const PUBLISH_ATTEMPTS_MAX: u32 = 8;

/// One folder of a disk, and what is known about its health.
#[derive(Debug)]
pub(super) struct Disk {
    pub(super) root: PathBuf,
    pub(super) space: Arc<SpaceGuard>,
    sync: SyncMode,
    hook: Option<Arc<dyn DiskHook>>,
    poison: OnceLock<DiskError>,
    staged_count: AtomicU64,
    folders: Folders,
    names: Vec<Mutex<()>>,
    unsynced_deletes: Mutex<BTreeSet<PathBuf>>,
    _lock: DirectoryLock,
}

/// A file being filled. Its staging name goes when this is dropped; the object, if it was
/// published, stays.
#[derive(Debug)]
pub(super) struct Staged {
    pub(super) file: File,
    pub(super) path: PathBuf,
}

impl Drop for Staged {
    fn drop(&mut self) {
        // Gone already after a rename. What cannot be removed now is swept at the next open.
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Disk {
    pub(super) fn new(
        root: PathBuf,
        lock: DirectoryLock,
        space: Arc<SpaceGuard>,
        sync: SyncMode,
        hook: Option<Arc<dyn DiskHook>>,
    ) -> Self {
        Self {
            folders: Folders::new(&root),
            root,
            space,
            sync,
            hook,
            poison: OnceLock::new(),
            staged_count: AtomicU64::new(0),
            names: (0..NAME_LOCKS).map(|_| Mutex::new(())).collect(),
            unsynced_deletes: Mutex::new(BTreeSet::new()),
            _lock: lock,
        }
    }

    /// Refuses when a sync has failed.
    pub(super) fn healthy(&self) -> Result<(), DiskError> {
        self.poison.get().map_or(Ok(()), |error| Err(error.clone()))
    }

    /// Makes an empty staging file.
    pub(super) fn stage(&self) -> Result<Staged, DiskError> {
        loop {
            let path = self.next_staging_path();
            let create = || OpenOptions::new().read(true).write(true).create_new(true).open(&path);
            match self.take(DiskStep::Stage, &path, create) {
                Ok(file) => return Ok(Staged { file, path }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(DiskError::step(DiskStep::Stage, &path, error)),
            }
        }
    }

    /// Does one piece of writing into a staging file.
    pub(super) fn write(
        &self,
        path: &Path,
        write: impl FnOnce() -> io::Result<()>,
    ) -> Result<(), DiskError> {
        self.take(DiskStep::Write, path, write)
            .map_err(|error| DiskError::step(DiskStep::Write, path, error))
    }

    /// Syncs a staging file.
    ///
    /// A full disk at this point does not poison: some file systems find out only now, and the file
    /// has no name yet, so its bytes are thrown away and never trusted.
    pub(super) fn sync_file(&self, staged: &Staged) -> Result<(), DiskError> {
        if self.sync == SyncMode::SkipFile {
            return Ok(());
        }
        self.take(DiskStep::SyncFile, &staged.path, || staged.file.sync_all()).map_err(|error| {
            if is_full(&error) {
                DiskError::step(DiskStep::SyncFile, &staged.path, error)
            } else {
                self.poisoned_by(&staged.path, error)
            }
        })
    }

    /// Gives a file the name `target` for good; `publish` makes the name.
    pub(super) fn publish(
        &self,
        target: &Path,
        publish: impl Fn() -> io::Result<()>,
    ) -> Result<(), PublishError> {
        let folder = target.parent().unwrap_or(&self.root);
        for _ in 0..PUBLISH_ATTEMPTS_MAX {
            self.healthy()?;
            self.ensure_folder(folder)?;
            // Opened first: failing to open a folder (too many open files) is no failed sync, and
            // once the name exists the sync must be all that can still fail.
            let opened = File::open(folder);
            let published = match &opened {
                Ok(_) => self.take(DiskStep::Publish, target, &publish),
                Err(error) => Err(error.kind().into()),
            };
            match (published, opened) {
                (Ok(()), Ok(handle)) => return Ok(self.sync_opened(folder, &handle)?),
                (Err(error), _) if error.kind() == io::ErrorKind::AlreadyExists => {
                    return Err(PublishError::Exists(error));
                }
                (Err(error), _) if error.kind() == io::ErrorKind::NotFound => {
                    if folder.is_dir() {
                        return Err(PublishError::NotFound(error));
                    }
                    self.folders.forget(folder);
                }
                (Err(error), _) | (_, Err(error)) => {
                    return Err(DiskError::step(DiskStep::Publish, target, error).into());
                }
            }
        }
        let gone = io::Error::new(io::ErrorKind::NotFound, "its folder keeps being removed");
        Err(DiskError::step(DiskStep::Publish, target, gone).into())
    }

    /// Removes a name. Not synced: see the head of this file.
    pub(super) fn remove(&self, target: &Path) -> io::Result<()> {
        self.take(DiskStep::Remove, target, || std::fs::remove_file(target))?;
        let folder = target.parent().unwrap_or(&self.root);
        self.unsynced_deletes.lock().insert(folder.to_path_buf());
        Ok(())
    }

    /// Syncs the folders of everything deleted so far.
    pub(super) fn sync_deletes(&self) -> Result<(), DiskError> {
        self.healthy()?;
        let folders = std::mem::take(&mut *self.unsynced_deletes.lock());
        for folder in &folders {
            let existing = folder.ancestors().find(|step| step.is_dir()).unwrap_or(&self.root);
            if let Err(error) = self.sync_folder(existing) {
                self.unsynced_deletes.lock().extend(folders);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Removes the folders at and below `folder` that hold no file.
    pub(super) fn remove_empty_folders(&self, folder: &Path) -> Result<(), DiskError> {
        self.healthy()?;
        let step = DiskStep::RemoveFolders;
        let remove = || self.take(step, folder, || remove_empty_below(folder));
        self.folders
            .remove(folder, remove)
            .map_err(|error| DiskError::step(step, folder, error))?;
        let above = folder.parent().unwrap_or(&self.root);
        self.unsynced_deletes.lock().insert(above.to_path_buf());
        Ok(())
    }

    /// Makes the names `first` and `second` (which may be the same) stay as they are until the
    /// guards are dropped. Every change but "create if absent" holds its names.
    pub(super) fn hold(&self, first: &Path, second: &Path) -> Held<'_> {
        let (first, second) = (name_lock(first), name_lock(second));
        let low = self.names[first.min(second)].lock();
        let high = (first != second).then(|| self.names[first.max(second)].lock());
        (low, high)
    }

    /// A staging name that is free.
    pub(super) fn next_staging_path(&self) -> PathBuf {
        let number = self.staged_count.fetch_add(1, Ordering::Relaxed);
        self.root.join(STAGING_NAME).join(number.to_string())
    }

    /// Syncs a folder.
    pub(super) fn sync_folder(&self, folder: &Path) -> Result<(), DiskError> {
        let handle = File::open(folder)
            .map_err(|error| DiskError::step(DiskStep::SyncFolder, folder, error))?;
        self.sync_opened(folder, &handle)
    }

    fn ensure_folder(&self, folder: &Path) -> Result<(), DiskError> {
        let create = |folder: &Path| {
            if folder.is_dir() {
                return Ok(());
            }
            self.take(DiskStep::CreateFolder, folder, || std::fs::create_dir_all(folder))
                .map_err(|error| DiskError::step(DiskStep::CreateFolder, folder, error))
        };
        self.folders.ensure(folder, create, |folder| self.sync_folder(folder))
    }

    fn sync_opened(&self, folder: &Path, handle: &File) -> Result<(), DiskError> {
        if self.sync == SyncMode::SkipFolder {
            return Ok(());
        }
        self.unsynced_deletes.lock().remove(folder);
        self.take(DiskStep::SyncFolder, folder, || handle.sync_all())
            .map_err(|error| self.poisoned_by(folder, error))
    }

    fn poisoned_by(&self, path: &Path, error: io::Error) -> DiskError {
        tracing::error!(%error, path = %path.display(), "sync failed, nothing is written any more");
        let poison = DiskError::Poisoned { path: path.to_path_buf(), source: Arc::new(error) };
        self.poison.get_or_init(|| poison).clone()
    }

    fn take<T>(
        &self,
        step: DiskStep,
        path: &Path,
        act: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        let Some(hook) = &self.hook else { return act() };
        hook.before(step, path)?;
        let done = act();
        hook.after(step, path, done.is_ok());
        done
    }
}

/// Names held still.
pub(super) type Held<'a> = (MutexGuard<'a, ()>, Option<MutexGuard<'a, ()>>);

/// Why a file did not get its name.
#[derive(Debug)]
pub(super) enum PublishError {
    /// Something has the name.
    Exists(io::Error),
    /// What should get the name is not there.
    NotFound(io::Error),
    /// The disk failed.
    Disk(DiskError),
}

impl From<DiskError> for PublishError {
    fn from(error: DiskError) -> Self {
        Self::Disk(error)
    }
}

fn name_lock(path: &Path) -> usize {
    let hash = xxh3_64(path.as_os_str().as_encoded_bytes());
    usize::try_from(hash % NAME_LOCKS).unwrap_or(0)
}
