//! What can be set about a local store, and the two seams through which tests make disks fail.
//!
//! None of this is reachable from a settings file: the free-space limit apart, everything here is
//! for suites that prove that losing a sync loses data, and that a failing disk is noticed.

use std::fmt::Debug;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::space::SpaceProbe;

/// Settings of a [`LocalStore`](super::LocalStore).
#[derive(Debug, Clone, Default)]
pub struct LocalOptions {
    /// Free bytes below which writes that grow the data are refused. `None`: 256 MiB or 5 % of the
    /// disk, whichever is smaller.
    pub free_bytes_min: Option<u64>,
    /// Which syncs are done. Anything but [`SyncMode::Full`] loses acknowledged writes.
    pub sync: SyncMode,
    /// Measures free space; `None` asks the operating system.
    pub space_probe: Option<Arc<dyn SpaceProbe>>,
    /// Called before every step that changes the disk.
    pub disk_hook: Option<Arc<dyn DiskHook>>,
}

/// Which syncs a write does.
///
/// The two weak modes are mutants. They exist so that the power-cut suites can be shown to fail: a
/// crash suite that passes without syncs proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SyncMode {
    /// The file before it is published, its folder after, and every folder on the way to it.
    #[default]
    Full,
    /// Mutant: files are not synced, folders are.
    SkipFile,
    /// Mutant: folders are not synced, files are.
    SkipFolder,
}

/// One step of a change to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DiskStep {
    /// Making a missing folder.
    CreateFolder,
    /// Making the staging file that a write fills.
    Stage,
    /// Writing bytes into the staging file.
    Write,
    /// Syncing the staging file.
    SyncFile,
    /// Giving the file its final name, by link or rename.
    Publish,
    /// Syncing a folder.
    SyncFolder,
    /// Removing an object's name.
    Remove,
    /// Removing the folders at and below one that hold no file.
    RemoveFolders,
}

impl DiskStep {
    /// Every step, so that a suite can fail each.
    pub const ALL: [Self; 8] = [
        Self::CreateFolder,
        Self::Stage,
        Self::Write,
        Self::SyncFile,
        Self::Publish,
        Self::SyncFolder,
        Self::Remove,
        Self::RemoveFolders,
    ];

    /// The step in words, for messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::CreateFolder => "create folder",
            Self::Stage => "stage",
            Self::Write => "write",
            Self::SyncFile => "sync file",
            Self::Publish => "publish",
            Self::SyncFolder => "sync folder",
            Self::Remove => "remove",
            Self::RemoveFolders => "remove folders",
        }
    }
}

/// Sees every step that changes the disk, and may make it fail.
pub trait DiskHook: Debug + Send + Sync {
    /// Called before the step is taken. An error is treated as the step's own, and the step is left
    /// out; not returning at all (a process that ends here) is a kill point.
    ///
    /// # Errors
    /// Whatever the step should appear to have failed with.
    fn before(&self, step: DiskStep, path: &Path) -> io::Result<()>;

    /// Called on the same thread when a step has been taken, or has failed; not for those that were left
    /// out. Whoever waits for the step goes on afterwards.
    fn after(&self, _step: DiskStep, _path: &Path, _is_done: bool) {}
}
