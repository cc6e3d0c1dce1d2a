//! An engine over a store that can die, with its books; and the steps that keep the two in line.

use std::collections::BTreeSet;
use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use lodgepole_engine::{Deletion, Engine, EngineOptions, Estate, IndexFrom};
use lodgepole_storage::fault::{FaultStore, Latency};
use lodgepole_storage::local::LocalOptions;
use lodgepole_storage::object_store::local::LocalFileSystem;
use lodgepole_storage::object_store::path::Path;
use lodgepole_storage::object_store::{ObjectStore, ObjectStoreExt};
use lodgepole_storage::{DatabasePath, ShiftedClock, Storage, StorageOptions};
use lodgepole_types::{Clock, IndexId, SeededRng, Timestamp};
use uuid::Uuid;

use super::books::{BackupEntry, Books, IndexEntry, Life};
use super::change::is_alias;
use super::contents::{Contents, read, record, record_id, shape, space};
use super::dated::{DatedStore, Disk};
use super::{Step, Violation, VirtualClock, causes, judge};

/// Rounds of the reaper after which everything that can go is gone.
const REAP_ROUNDS: usize = 10;
/// How much later each round is.
const REAP_LATER: Duration = Duration::from_secs(3_600);
/// What a change of the store takes where the reaper shall meet the moments in between.
const CHANGE_TAKES: Duration = Duration::from_millis(2);
/// The folder of segments below that of their index.
const SEGMENTS: &str = "/seg/";

/// A defect, put in to see whether it is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// Writes are answered when they have been handed in.
    AnswersBeforeDurable,
    /// A request is written as two.
    SplitsRequests,
    /// Staged namespaces become visible one after the other.
    CommitsInSteps,
    /// The newest log object was never synced: the crash takes it.
    LosesTheEndOfTheLog,
    /// A backup holds the state before the last request.
    CutsTooEarly,
    /// The reaper deletes hidden databases although clones read them.
    ReapsUnderClones,
    /// The reaper does not know of backups.
    ReapsUnderBackups,
    /// The collection does not know of the segments of backups.
    CollectsUnderBackups,
}

/// One life of a process: from opening the store to its end or to the crash.
#[derive(Debug)]
pub struct World {
    /// The store below the engine. Faults put in here do not reach an engine on a folder.
    pub store: FaultStore,
    /// The engine.
    pub engine: Arc<Engine>,
    /// What was answered.
    pub books: Books,
    /// All objects, without faults.
    objects: Arc<dyn ObjectStore>,
    /// The same, where they are in memory.
    memory: Option<DatedStore>,
    clock: Arc<ShiftedClock>,
    storage: Storage,
    seed: u64,
    mutant: Option<Mutant>,
    early_pin: Option<Uuid>,
}

impl World {
    /// Opens a copy of `disk` with a fresh engine, inside
    /// [`in_virtual_time`](super::in_virtual_time).
    ///
    /// # Errors
    /// [`Violation::Unexpected`] when the engine does not start.
    pub fn open(
        disk: &Disk,
        start: Timestamp,
        seed: u64,
        books: Books,
        mutant: Option<Mutant>,
    ) -> Result<Self, Violation> {
        let clock = Arc::new(ShiftedClock::new(Arc::new(VirtualClock::starting_at(start))));
        let objects = disk.copy_under(Arc::<ShiftedClock>::clone(&clock));
        let store = FaultStore::new(Arc::new(objects.clone()), Arc::<ShiftedClock>::clone(&clock));
        let storage = Storage::on_store(
            Arc::new(store.clone()),
            Arc::<ShiftedClock>::clone(&clock),
            Arc::new(SeededRng::new(seed)),
            StorageOptions { block_cache_bytes: 1 << 20, ..StorageOptions::default() },
        );
        let engine = start_engine(&storage)?;
        Ok(Self {
            store,
            engine,
            books,
            objects: Arc::new(objects.clone()),
            memory: Some(objects),
            clock,
            storage,
            seed,
            mutant,
            early_pin: None,
        })
    }

    /// Opens a folder of the local disk with a fresh engine, inside
    /// [`in_virtual_time`](super::in_virtual_time).
    ///
    /// # Errors
    /// [`Violation::Unreadable`] when the folder cannot be opened.
    pub fn on_folder(
        folder: &FilePath,
        local: LocalOptions,
        start: Timestamp,
        books: Books,
    ) -> Result<Self, Violation> {
        let unreadable = |error: &dyn std::error::Error| Violation::Unreadable(causes(error));
        let clock = Arc::new(ShiftedClock::new(Arc::new(VirtualClock::starting_at(start))));
        let seed = u64::from(books.indexes.is_empty());
        let storage = Storage::open_local(
            folder,
            local,
            Arc::<ShiftedClock>::clone(&clock),
            Arc::new(SeededRng::new(seed)),
            StorageOptions { block_cache_bytes: 1 << 20, ..StorageOptions::default() },
        );
        let storage = storage.map_err(|error| unreadable(&error))?;
        let files = LocalFileSystem::new_with_prefix(folder).map_err(|error| unreadable(&error))?;
        let objects: Arc<dyn ObjectStore> = Arc::new(files);
        let store = FaultStore::new(Arc::clone(&objects), Arc::<ShiftedClock>::clone(&clock));
        let engine = start_engine(&storage)?;
        let (memory, mutant, early_pin) = (None, None, None);
        Ok(Self { store, engine, books, objects, memory, clock, storage, seed, mutant, early_pin })
    }

    /// The present time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The clock.
    #[must_use]
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::<ShiftedClock>::clone(&self.clock)
    }

    /// The objects in memory as they stand: what the next process finds.
    #[must_use]
    pub fn image(&self) -> Disk {
        self.memory.as_ref().map_or_else(Disk::empty, DatedStore::image)
    }

    /// Carries out a step and, once it is answered, takes note of it.
    ///
    /// # Errors
    /// [`Violation::Unexpected`] when it failed, which it may when the store has crashed.
    pub async fn step(&mut self, step: Step) -> Result<(), Violation> {
        match step {
            Step::Create(index) => {
                let id = self.books.fresh_id();
                let entry = IndexEntry { id, life: Life::Live, contents: Contents::new() };
                self.create(id).await?;
                self.books.indexes.insert(index, entry);
            }
            Step::Upsert(index, ..)
            | Step::Delete(index, ..)
            | Step::Empty(index, _)
            | Step::Change(index, _) => {
                self.write(index, step).await?;
                let entry = self.books.index_mut(index)?;
                step.apply(&mut entry.contents)?;
            }
            Step::Flush => self.engine.upkeep_once().await,
            Step::Index => {
                self.wish_for_segments().await?;
                self.engine.index_now().await;
            }
            Step::IndexUnderReaper => self.index_under_reaper().await?,
            Step::Checkpoint(index, name) => {
                let entry = self.books.index(index)?.clone();
                let (pin, segments) = self.checkpoint(entry.id, name, &entry.contents).await?;
                let IndexEntry { id: source, contents, .. } = entry;
                let backup = BackupEntry { source, pin, contents, segments };
                self.books.backups.insert(name, backup);
            }
            Step::Clone(index, name) => {
                let id = self.books.fresh_id();
                self.clone_into(index, id, name).await?;
            }
            Step::Unpin(name) => {
                let backup = self.books.backup(name)?.clone();
                answered("unpin", self.engine.unpin(backup.source, backup.pin).await)?;
                self.books.backups.remove(name);
            }
            Step::Retire(index) => {
                let id = self.books.index(index)?.id;
                self.engine.retire(id).await;
                self.books.index_mut(index)?.life = Life::Hidden;
            }
            Step::Reap => self.reap_later().await?,
            Step::Restart => {
                self.engine.shutdown().await;
                self.engine = start_engine(&self.storage)?;
            }
        }
        Ok(())
    }

    pub(super) async fn create(&self, id: IndexId) -> Result<(), Violation> {
        answered("create", self.engine.create(shape(id)).await)
    }

    /// Clones a backup into a new index of this id.
    pub(super) async fn clone_into(
        &mut self,
        index: char,
        id: IndexId,
        name: &str,
    ) -> Result<(), Violation> {
        let backup = self.books.backup(name)?.clone();
        answered("clone", self.engine.clone_index(id, backup.source, backup.pin).await)?;
        let entry = IndexEntry { id, life: Life::Live, contents: backup.contents };
        self.books.indexes.insert(index, entry);
        Ok(())
    }

    async fn write(&mut self, index: char, step: Step) -> Result<(), Violation> {
        let id = self.books.index(index)?.id;
        if self.mutant == Some(Mutant::CutsTooEarly) {
            let name = format!("early {}", self.store.changes());
            let cut = answered("checkpoint", self.engine.checkpoint(shape(id), &name).await)?;
            self.early_pin = Some(cut.pin);
        }
        match step {
            Step::Upsert(_, name, keys, version) => self.upsert(id, name, keys, version).await,
            Step::Delete(_, name, keys) => {
                let ids = keys.iter().map(|key| record_id(key)).collect::<Result<_, _>>()?;
                self.delete(id, name, Deletion::Ids(ids)).await
            }
            Step::Empty(_, name) => self.delete(id, name, Deletion::All).await,
            Step::Change(_, change) => change.issue(&self.engine, shape(id), self.mutant).await,
            Step::Create(_)
            | Step::Flush
            | Step::Index
            | Step::IndexUnderReaper
            | Step::Checkpoint(..)
            | Step::Clone(..)
            | Step::Unpin(_)
            | Step::Retire(_)
            | Step::Reap
            | Step::Restart => Ok(()),
        }
    }

    async fn upsert(
        &self,
        id: IndexId,
        name: &str,
        keys: &[&str],
        version: u16,
    ) -> Result<(), Violation> {
        let name = space(name)?;
        let records = |keys: &[&str]| -> Result<Vec<_>, Violation> {
            keys.iter().map(|key| record(key, version)).collect()
        };
        if self.mutant == Some(Mutant::AnswersBeforeDurable) {
            let (engine, records) = (Arc::clone(&self.engine), records(keys)?);
            tokio::spawn(async move { engine.upsert(shape(id), &name, records).await });
            tokio::task::yield_now().await;
            return Ok(());
        }
        if self.mutant == Some(Mutant::SplitsRequests) {
            let (first, second) = keys.split_at(keys.len() / 2);
            answered("upsert", self.engine.upsert(shape(id), &name, records(first)?).await)?;
            answered("upsert", self.engine.upsert(shape(id), &name, records(second)?).await)?;
            return Ok(());
        }
        answered("upsert", self.engine.upsert(shape(id), &name, records(keys)?).await).map(drop)
    }

    async fn delete(&self, id: IndexId, name: &str, what: Deletion) -> Result<(), Violation> {
        let name = space(name)?;
        answered("delete", self.engine.delete(shape(id), &name, what).await).map(drop)
    }

    /// Has the indexer look at every index.
    async fn wish_for_segments(&mut self) -> Result<(), Violation> {
        self.books.is_indexed = true;
        for (_, entry) in self.books.in_life(Life::Live) {
            let warmed = self.engine.warm_up(shape(entry.id), None).await;
            warmed.map_err(|error| Violation::Unexpected(causes(&error)))?;
        }
        Ok(())
    }

    /// Builds segments over a slow store, so that the reaper meets every moment of it.
    async fn index_under_reaper(&mut self) -> Result<(), Violation> {
        self.wish_for_segments().await?;
        self.store.set_latency(Latency { change: CHANGE_TAKES, read: Duration::ZERO });
        let engine = Arc::clone(&self.engine);
        let indexing = tokio::spawn(async move { engine.index_now().await });
        while !indexing.is_finished() {
            self.reap().await?;
            self.clock.sleep(CHANGE_TAKES / 4).await;
        }
        self.store.set_latency(Latency::default());
        Ok(())
    }

    /// The segments that the rows of an index name.
    pub(super) async fn named(&self, id: IndexId) -> Result<BTreeSet<String>, Violation> {
        const LOOK: &str = "look";
        let cut = answered("look", self.engine.checkpoint(shape(id), LOOK).await)?;
        answered("look", self.engine.unpin(id, cut.pin).await)?;
        Ok(cut.segments.into_iter().collect())
    }

    /// Every segment that an index or a backup needs has its file. Before anything is read: a query
    /// that misses a segment has it built anew, and nothing would be seen.
    async fn check_segments(&self) -> Result<(), Violation> {
        if !self.books.is_indexed {
            return Ok(());
        }
        let files = self.segment_files().await?;
        for name in self.needed_segments().await? {
            if !files.contains(&name) {
                return Err(Violation::Lost(format!("segment {name} of {files:?}")));
            }
        }
        Ok(())
    }

    async fn needed_segments(&self) -> Result<BTreeSet<String>, Violation> {
        let mut needed = self.books.segments_of_backups();
        for (_, entry) in self.books.in_life(Life::Live) {
            needed.extend(self.named(entry.id).await?);
        }
        Ok(needed)
    }

    /// The segment files of the store, as rows name them.
    async fn segment_files(&self) -> Result<BTreeSet<String>, Violation> {
        let files = segment_files(self.objects.as_ref()).await;
        files.map_err(|error| Violation::Unexpected(causes(&error)))
    }

    /// Takes a backup; its totals must be those of the contents.
    pub(super) async fn checkpoint(
        &self,
        id: IndexId,
        name: &str,
        contents: &Contents,
    ) -> Result<(Uuid, BTreeSet<String>), Violation> {
        if let (Some(Mutant::CutsTooEarly), Some(pin)) = (self.mutant, self.early_pin) {
            return Ok((pin, BTreeSet::new()));
        }
        let cut = answered("checkpoint", self.engine.checkpoint(shape(id), name).await)?;
        let records: usize = contents.values().map(std::collections::BTreeMap::len).sum();
        let namespaces = contents.keys().filter(|entry| !is_alias(entry)).count();
        if (cut.record_count, cut.namespace_count) != (records as u64, namespaces as u64)
            && self.mutant.is_none()
        {
            return Err(Violation::Disagreement(format!("{cut:?} for {records} records")));
        }
        Ok((cut.pin, cut.segments.into_iter().collect()))
    }

    async fn reap_later(&mut self) -> Result<(), Violation> {
        self.clock.advance(REAP_LATER);
        self.reap().await
    }

    async fn reap(&mut self) -> Result<(), Violation> {
        let mut estate = self.books.estate();
        if self.mutant == Some(Mutant::ReapsUnderBackups) {
            estate.backups.clear();
        }
        if self.mutant == Some(Mutant::CollectsUnderBackups) {
            estate.segments.clear();
        }
        let hidden = estate.hidden.clone();
        let backed_up: Vec<_> = self.books.backups.values().map(|backup| backup.source).collect();
        let estate = move || -> Estate { estate.clone() };
        let reaped = answered("reap", self.engine.reap(&estate).await)?;
        self.books.note_removed(&reaped.deleted);
        if self.mutant == Some(Mutant::ReapsUnderClones) {
            for id in hidden.into_iter().filter(|id| !backed_up.contains(id)) {
                answered("delete", self.storage.delete_database(&path_of(id)).await)?;
                self.books.note_removed(&[id]);
            }
        }
        Ok(())
    }

    /// Reads everything that was answered, but for what the request in flight may have changed.
    ///
    /// # Errors
    /// What is missing.
    pub async fn verify(&mut self, in_flight: Option<Step>) -> Result<(), Violation> {
        self.check_segments().await?;
        let written = in_flight.and_then(Step::writes_to);
        let live: Vec<_> = self
            .books
            .in_life(Life::Live)
            .filter(|(letter, _)| Some(*letter) != written)
            .map(|(letter, entry)| (letter, entry.clone()))
            .collect();
        for (letter, entry) in live {
            let found = read(&self.engine, entry.id).await?;
            judge(&found, &entry.contents, &entry.contents, &format!("index {letter}"))?;
        }
        let backups: Vec<_> =
            self.books.backups.iter().map(|(name, backup)| (*name, backup.clone())).collect();
        for (name, backup) in backups {
            if in_flight == Some(Step::Unpin(name)) {
                continue;
            }
            self.verify_backup(name, &backup).await?;
        }
        Ok(())
    }

    /// Clones a backup, compares the clone and discards it again.
    pub(super) async fn verify_backup(
        &mut self,
        name: &str,
        backup: &BackupEntry,
    ) -> Result<(), Violation> {
        let id = self.books.fresh_id();
        let cloned = self.engine.clone_index(id, backup.source, backup.pin).await;
        if let Err(error) = cloned {
            return Err(Violation::Lost(format!("backup {name}: {}", causes(&error))));
        }
        let found = read(&self.engine, id).await?;
        judge(&found, &backup.contents, &backup.contents, &format!("backup {name}"))?;
        self.discard(id).await
    }

    /// Gives up an index that was never answered.
    pub(super) async fn discard(&mut self, id: IndexId) -> Result<(), Violation> {
        answered("discard", self.engine.discard(id).await)?;
        self.books.discarded.push(id);
        self.check_nothing_left(id).await
    }

    /// Lets the reaper finish; then everything is read once more, and nothing may be left of what
    /// was removed.
    ///
    /// # Errors
    /// What is missing, or what stayed.
    pub async fn finish(&mut self) -> Result<(), Violation> {
        for _ in 0..REAP_ROUNDS {
            if self.books.in_life(Life::Hidden).next().is_none() {
                break;
            }
            self.reap_later().await?;
        }
        if self.books.is_indexed {
            self.reap_later().await?;
            let (files, needed) = (self.segment_files().await?, self.needed_segments().await?);
            if let Some(left) = files.difference(&needed).next() {
                return Err(Violation::Leftover(format!("segment {left}")));
            }
        }
        self.step(Step::Restart).await?;
        self.verify(None).await?;
        let needed: Vec<_> = self.books.backups.values().map(|backup| backup.source).collect();
        let entries: Vec<_> = self.books.indexes.values().cloned().collect();
        for entry in entries {
            match entry.life {
                Life::Hidden if !needed.contains(&entry.id) => {
                    return Err(Violation::Leftover(format!("index {} stays hidden", entry.id)));
                }
                Life::Gone => self.check_nothing_left(entry.id).await?,
                Life::Live | Life::Hidden => {}
            }
        }
        for id in self.books.discarded.clone() {
            self.check_nothing_left(id).await?;
        }
        self.engine.shutdown().await;
        Ok(())
    }

    /// But for segments, which others may need and which are looked at together.
    async fn check_nothing_left(&self, id: IndexId) -> Result<(), Violation> {
        let under = Path::from(format!("ix/{id}"));
        let left: Vec<_> = self
            .objects
            .list(Some(&under))
            .map_ok(|object| object.location.to_string())
            .try_filter(|path| std::future::ready(!path.contains(SEGMENTS)))
            .try_collect()
            .await
            .map_err(|error| Violation::Unexpected(causes(&error)))?;
        if left.is_empty() { Ok(()) } else { Err(Violation::Leftover(format!("{left:?}"))) }
    }

    /// What a disk that never synced its last log object looks like after a power cut.
    pub(super) async fn lose_the_end_of_the_log(&self) -> Result<(), Violation> {
        let changes = self.store.operations().into_iter().filter(|seen| seen.kind.is_change());
        let logged: Vec<_> = changes.filter(|seen| seen.path.contains("/wal/")).collect();
        // The last one is the one that crashed; the one before was answered.
        let answered = logged.iter().rev().nth(1);
        let Some(newest) = answered else { return Ok(()) };
        match self.objects.delete(&Path::from(newest.path.as_str())).await {
            Ok(()) | Err(lodgepole_storage::object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(Violation::Unexpected(causes(&error))),
        }
    }

    /// Whether a database of this index exists.
    pub(super) async fn exists(&self, id: IndexId) -> Result<bool, Violation> {
        answered("exists", self.storage.exists(&path_of(id)).await)
    }

    /// The seed of this life; the next one takes another.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }
}

fn start_engine(storage: &Storage) -> Result<Arc<Engine>, Violation> {
    // Every upkeep flushes whatever there is.
    // A few records make a segment, and only the rules protect its file.
    let options = EngineOptions {
        write_buffer_bytes: 0,
        search_threads: 1,
        index_from: IndexFrom { rows: 8, bytes: u64::MAX },
        segment_grace: Duration::ZERO,
        ..EngineOptions::default()
    };
    Engine::new(storage.clone(), options)
        .map_err(|error| Violation::Unexpected(format!("start: {}", causes(&error))))
}

/// The segment files of a store, as rows name them.
pub(crate) async fn segment_files(
    objects: &dyn ObjectStore,
) -> Result<BTreeSet<String>, lodgepole_storage::object_store::Error> {
    let listed: Vec<_> = objects.list(None).try_collect().await?;
    let paths = listed.iter().map(|object| object.location.as_ref());
    let named = paths.filter_map(|path| path.strip_prefix("ix/")?.split_once(SEGMENTS));
    Ok(named.map(|(origin, segment)| format!("{origin}/{segment}")).collect())
}

/// Where the engine keeps an index.
fn path_of(id: IndexId) -> DatabasePath {
    DatabasePath::new(&format!("ix/{id}/db/0"))
}

fn answered<T, E: std::error::Error>(what: &str, result: Result<T, E>) -> Result<T, Violation> {
    result.map_err(|error| Violation::Unexpected(format!("{what}: {}", causes(&error))))
}
