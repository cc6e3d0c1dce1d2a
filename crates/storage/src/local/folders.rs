//! Which folders are known to survive a power cut.
//!
//! Syncing the folder of a new file is not enough when the folder itself is new: its own name stands
//! in its parent. INVARIANT: a folder is in the set only after every name on the way from the root
//! to it has been synced by this process. WHY a set and not "sync what we have just created": a
//! process killed between creating a folder and syncing its parent leaves a folder that later looks
//! old, and of two writers that need the same new folder the second finds it there before the first
//! has synced it.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

/// The folders of one store.
#[derive(Debug)]
pub(super) struct Folders {
    root: PathBuf,
    durable: Mutex<HashSet<PathBuf>>,
}

impl Folders {
    pub(super) fn new(root: &Path) -> Self {
        Self { root: root.to_path_buf(), durable: Mutex::new(HashSet::new()) }
    }

    /// Makes `folder` and everything above it exist for good. `create` makes a folder with its
    /// parents, `sync` syncs one folder. Holds off other callers meanwhile.
    pub(super) fn ensure<E>(
        &self,
        folder: &Path,
        create: impl FnOnce(&Path) -> Result<(), E>,
        sync: impl Fn(&Path) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut durable = self.durable.lock();
        if folder == self.root || durable.contains(folder) {
            return Ok(());
        }
        create(folder)?;
        let unknown: Vec<&Path> = folder
            .ancestors()
            .take_while(|step| *step != self.root && !durable.contains(*step))
            .collect();
        for step in unknown.into_iter().rev() {
            sync(step.parent().unwrap_or(&self.root))?;
            durable.insert(step.to_path_buf());
        }
        Ok(())
    }

    /// Forgets what is known about `folder`, because it was found missing.
    pub(super) fn forget(&self, folder: &Path) {
        self.durable.lock().retain(|known| !known.starts_with(folder));
    }

    /// Forgets what is known about `folder` and lets `remove` take it away. Holds off other callers meanwhile.
    pub(super) fn remove<T>(&self, folder: &Path, remove: impl FnOnce() -> T) -> T {
        let mut durable = self.durable.lock();
        durable.retain(|known| !known.starts_with(folder));
        remove()
    }
}

/// Removes `folder` and the folders in it as far as they hold no file, deepest first.
pub(super) fn remove_empty_below(folder: &Path) -> io::Result<()> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_empty_below(&entry.path())?;
        }
    }
    match std::fs::remove_dir(folder) {
        Err(error)
            if !matches!(
                error.kind(),
                io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::NotFound
            ) =>
        {
            Err(error)
        }
        _ => Ok(()),
    }
}
