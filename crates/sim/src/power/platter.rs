//! A model of a disk: what has been asked of it, and what of that is on it for good.
//!
//! Files: how far each was synced; whatever came later may be lost. Folders: their names as they were last
//! synced, and the changes since, of which a cut keeps any. Every file ever staged keeps a second name in a
//! folder of ours, so that what was removed or replaced can come back, and no number of a file is used twice.
//!
//! INVARIANT: at the moment of the cut no step is under way. A step that was taken by then is part of the
//! model, every later one fails, so an answer can rest only on what the model knows.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::thread::ThreadId;
use std::time::{Duration, SystemTime};

use lodgepole_storage::local::{DiskHook, DiskStep};
use lodgepole_types::Clock;
use parking_lot::{Condvar, Mutex};
use tokio::sync::Notify;

use super::Violation;

/// The model, of one folder.
#[derive(Debug)]
pub struct Platter {
    root: PathBuf,
    pub(super) kept: PathBuf,
    cut_at: u64,
    clock: OnceLock<Arc<dyn Clock>>,
    pub(super) state: Mutex<State>,
    quiet: Condvar,
    cut: Notify,
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// Steps begun.
    steps: u64,
    is_cut: bool,
    under_way: usize,
    /// Synced bytes of every file, by its number.
    pub(super) files: HashMap<u64, u64>,
    pub(super) folders: BTreeMap<PathBuf, Folder>,
    changes: u64,
    /// What a step under way will have done: folders that it makes, or changes that it syncs.
    making: HashMap<ThreadId, Vec<PathBuf>>,
    syncing: HashMap<ThreadId, u64>,
    /// What went wrong in the model itself.
    failure: Option<String>,
}

/// The names in a folder.
#[derive(Debug, Default)]
pub(super) struct Folder {
    pub(super) synced: BTreeMap<OsString, Entry>,
    /// What came later, in order.
    pub(super) later: Vec<Change>,
}

#[derive(Debug)]
pub(super) struct Change {
    number: u64,
    pub(super) name: OsString,
    /// What has the name now; nothing when it was removed.
    pub(super) entry: Option<Entry>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    File(u64),
    Folder,
}

impl Platter {
    /// A model of an empty folder below `ground`, whose power goes at step `cut_at`, from 1.
    ///
    /// # Errors
    /// When the folders cannot be made.
    pub fn new(ground: &Path, cut_at: u64) -> io::Result<Arc<Self>> {
        let ground = ground.canonicalize()?;
        let (root, kept) = (ground.join("data"), ground.join("kept"));
        std::fs::create_dir(&root)?;
        std::fs::create_dir(&kept)?;
        let state = State {
            folders: BTreeMap::from([(root.clone(), Folder::default())]),
            ..State::default()
        };
        Ok(Arc::new(Self {
            root,
            kept,
            cut_at,
            clock: OnceLock::new(),
            state: Mutex::new(state),
            quiet: Condvar::new(),
            cut: Notify::new(),
        }))
    }

    /// The folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Steps begun so far.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.state.lock().steps
    }

    /// Files get the time of this clock: collection compares it with their age.
    pub(super) fn date_by(&self, clock: Arc<dyn Clock>) {
        let _ = self.clock.set(clock);
    }

    pub(super) fn is_cut(&self) -> bool {
        self.state.lock().is_cut
    }

    pub(super) async fn wait_for_cut(&self) {
        self.cut.notified().await;
    }

    /// # Errors
    /// When the model itself failed, so that nothing it says counts.
    pub(super) fn check(&self) -> Result<(), Violation> {
        match &self.state.lock().failure {
            Some(text) => Err(Violation::Unexpected(format!("the model of the disk: {text}"))),
            None => Ok(()),
        }
    }

    /// Takes what is in the folder for synced.
    pub(super) fn adopt(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        let mut folders = vec![self.root.clone()];
        while let Some(path) = folders.pop() {
            let mut folder = Folder::default();
            for entry in std::fs::read_dir(&path)? {
                let (entry, found) = entry.and_then(|entry| Ok((entry.metadata()?, entry)))?;
                if entry.is_dir() {
                    folders.push(found.path());
                    folder.synced.insert(found.file_name(), Entry::Folder);
                } else {
                    self.keep(&mut state, &found.path(), entry.len())?;
                    folder.synced.insert(found.file_name(), Entry::File(entry.ino()));
                }
            }
            state.folders.insert(path, folder);
        }
        Ok(())
    }

    /// Gives a file its second name.
    fn keep(&self, state: &mut State, path: &Path, synced: u64) -> io::Result<()> {
        let number = std::fs::metadata(path)?.ino();
        std::fs::hard_link(path, self.kept.join(number.to_string()))?;
        state.files.insert(number, synced);
        Ok(())
    }

    /// Takes note of a step that was taken.
    fn note(&self, state: &mut State, step: DiskStep, path: &Path) -> io::Result<()> {
        match step {
            DiskStep::Write => {}
            DiskStep::Stage => self.keep(state, path, 0)?,
            DiskStep::SyncFile => {
                let found = std::fs::metadata(path)?;
                state.files.insert(found.ino(), found.len());
            }
            DiskStep::CreateFolder => {
                for made in state.making.remove(&this_thread()).unwrap_or_default() {
                    state.change(&made, Some(Entry::Folder));
                    state.folders.insert(made, Folder::default());
                }
            }
            DiskStep::Publish => {
                let file = File::open(path)?;
                if let Some(clock) = self.clock.get() {
                    let now = u64::try_from(clock.now().0).unwrap_or(0);
                    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_millis(now))?;
                }
                state.change(path, Some(Entry::File(file.metadata()?.ino())));
            }
            DiskStep::SyncFolder => {
                let until = state.syncing.remove(&this_thread()).unwrap_or(0);
                if let Some(folder) = state.folders.get_mut(path) {
                    folder.sync(until);
                }
            }
            DiskStep::Remove => state.change(path, None),
            DiskStep::RemoveFolders => {
                let below = state.folders.range(path.to_path_buf()..).map(|(folder, _)| folder);
                let below = below.take_while(|folder| folder.starts_with(path));
                let gone: Vec<_> = below.filter(|folder| !folder.exists()).cloned().collect();
                for folder in gone {
                    state.change(&folder, None);
                }
            }
        }
        Ok(())
    }
}

impl State {
    fn change(&mut self, path: &Path, entry: Option<Entry>) {
        self.changes += 1;
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return };
        let change = Change { number: self.changes, name: name.to_owned(), entry };
        // The folder of files that have no name yet is not modelled: it is emptied at every start.
        if let Some(folder) = self.folders.get_mut(parent) {
            folder.later.push(change);
        }
    }
}

impl Folder {
    /// The changes up to this one are on the disk.
    fn sync(&mut self, until: u64) {
        let later = std::mem::take(&mut self.later);
        let (synced, later) = later.into_iter().partition(|change| change.number <= until);
        let synced: Vec<Change> = synced;
        for change in &synced {
            change.apply(&mut self.synced);
        }
        self.later = later;
    }
}

impl Change {
    pub(super) fn apply(&self, names: &mut BTreeMap<OsString, Entry>) {
        match self.entry {
            Some(entry) => drop(names.insert(self.name.clone(), entry)),
            None => drop(names.remove(&self.name)),
        }
    }
}

impl DiskHook for Platter {
    fn before(&self, step: DiskStep, path: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        if state.is_cut {
            return Err(io::Error::other("the power is gone"));
        }
        state.steps += 1;
        if state.steps >= self.cut_at {
            state.is_cut = true;
            while state.under_way > 0 {
                self.quiet.wait(&mut state);
            }
            self.cut.notify_one();
            return Err(io::Error::other("the power goes"));
        }
        state.under_way += 1;
        match step {
            DiskStep::CreateFolder => {
                let above = path.ancestors().take_while(|folder| *folder != self.root);
                let missing = above.filter(|folder| !folder.is_dir());
                let mut made: Vec<_> = missing.map(Path::to_path_buf).collect();
                made.reverse();
                state.making.insert(this_thread(), made);
            }
            DiskStep::SyncFolder => {
                let until = state.changes;
                state.syncing.insert(this_thread(), until);
            }
            DiskStep::Stage
            | DiskStep::Write
            | DiskStep::SyncFile
            | DiskStep::Publish
            | DiskStep::Remove
            | DiskStep::RemoveFolders => {}
        }
        Ok(())
    }

    fn after(&self, step: DiskStep, path: &Path, is_done: bool) {
        let mut state = self.state.lock();
        if is_done && let Err(error) = self.note(&mut state, step, path) {
            let text = format!("{} {}: {error}", step.name(), path.display());
            state.failure.get_or_insert(text);
        }
        state.under_way -= 1;
        self.quiet.notify_all();
    }
}

fn this_thread() -> ThreadId {
    std::thread::current().id()
}
