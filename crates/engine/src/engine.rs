//! All shards of a process: opened on demand, kept within budgets, closed when idle.
//!
//! A call names its index; the engine finds the open shard or opens it (some milliseconds). A shard
//! that stopped is replaced by a fresh one, which replays the log: the caller of the failed write
//! is told that the outcome is unknown, later callers see what the log holds. Invariant: at most
//! one shard object of this process is open for one index.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lodgepole_rows::SegmentId;
use lodgepole_storage::local::Need;
use lodgepole_storage::{DatabasePath, Storage};
use lodgepole_types::{Filter, IndexId, Lsn, NamespaceName, Record, RecordId};
use parking_lot::Mutex;
use tokio::sync::Mutex as AsyncMutex;
use uuid::Uuid;

use crate::change::{Change, RecordChange, Update};
use crate::search_pool::SearchPool;
use crate::segments::SegmentStore;
use crate::shard::{Commons, Shard, ShardRef};
use crate::tails::TailCache;
use crate::{
    Answer, Counted, EngineError, EngineOptions, Fetched, FilterPage, FilteredPage, ListPage,
    Listed, Query, ReadError, Stats, WriteError,
};

/// What to delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deletion {
    /// These records; unknown ids are fine.
    Ids(Vec<RecordId>),
    /// Everything in the namespace; the namespace stays.
    All,
}

/// A pinned state of an index, and exactly what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The pin on the index's database.
    pub pin: Uuid,
    /// The last write it holds.
    pub lsn: Lsn,
    /// Records over all namespaces.
    pub record_count: u64,
    /// Namespaces.
    pub namespace_count: u64,
    /// Bytes of ids, values and metadata.
    pub size_bytes: u64,
    /// Search segments it needs, sorted.
    pub segments: Vec<String>,
}

/// The shards of a process.
#[derive(Debug)]
pub struct Engine {
    pub(crate) storage: Storage,
    pub(crate) commons: Commons,
    slots: Mutex<HashMap<IndexId, ShardSlot>>,
    retired: Mutex<HashSet<IndexId>>,
    /// Data without an owner, and when it was first seen.
    pub(crate) strays: Mutex<HashMap<IndexId, Duration>>,
    /// Segments that nothing names, and when that was first seen.
    pub(crate) unused_segments: Mutex<HashMap<SegmentId, Duration>>,
    shutting_down: AtomicBool,
}

/// The place of one index's shard; locked while it is opened or closed.
pub(crate) type ShardSlot = Arc<AsyncMutex<Option<Arc<Shard>>>>;

/// What it means that an index has no database.
#[derive(Debug, Clone, Copy)]
enum Absent {
    /// It is new.
    Create,
    /// It was lost.
    IsDamage,
}

/// Where the database of an index lives.
pub(crate) fn database_path(index: IndexId) -> DatabasePath {
    DatabasePath::new(&format!("ix/{index}/db/0"))
}

impl Engine {
    /// An engine over a store. Call [`Engine::upkeep`] in a task of its own.
    ///
    /// # Errors
    /// When the search threads cannot be started.
    pub fn new(storage: Storage, options: EngineOptions) -> Result<Arc<Self>, EngineStartError> {
        let pool = SearchPool::start(options.search_threads)
            .map_err(|error| EngineStartError(error.to_string()))?;
        let commons = Commons {
            storage: storage.clone(),
            clock: Arc::clone(storage.clock()),
            tails: TailCache::new(options.tail_bytes_max),
            pool,
            segments: SegmentStore::new(storage.clone(), options.builds_aside),
            wishes: Arc::default(),
            options,
        };
        Ok(Arc::new(Self {
            storage,
            commons,
            slots: Mutex::new(HashMap::new()),
            retired: Mutex::new(HashSet::new()),
            strays: Mutex::new(HashMap::new()),
            unused_segments: Mutex::new(HashMap::new()),
            shutting_down: AtomicBool::new(false),
        }))
    }

    /// Makes the database of a new index.
    ///
    /// # Errors
    /// [`EngineError`] when the store fails.
    pub async fn create(&self, shard: ShardRef) -> Result<(), EngineError> {
        self.open(shard, Absent::Create).await.map(drop)
    }

    /// Stores records; all of them or none. Returns once they are durable.
    ///
    /// # Errors
    /// [`AliasError::NameInUseByAlias`](crate::AliasError) when the name is an alias; otherwise the
    /// store failed and the outcome is unknown.
    pub async fn upsert(
        &self,
        shard: ShardRef,
        namespace: &NamespaceName,
        records: Vec<Record>,
    ) -> Result<Lsn, WriteError> {
        self.change_records(shard, namespace, RecordChange::Upsert(records)).await
    }

    /// Changes parts of a record. Without that record nothing changes, and that is no error. Returns
    /// once it is durable.
    ///
    /// # Errors
    /// [`WriteError::NamespaceNotFound`] for a namespace that does not exist;
    /// [`WriteError::Metadata`] when the merged metadata would be too large.
    pub async fn update(
        &self,
        shard: ShardRef,
        namespace: &NamespaceName,
        update: Update,
    ) -> Result<Lsn, WriteError> {
        self.change_records(shard, namespace, RecordChange::Update(Box::new(update))).await
    }

    async fn change_records(
        &self,
        shard: ShardRef,
        namespace: &NamespaceName,
        change: RecordChange,
    ) -> Result<Lsn, WriteError> {
        let change = Change::Records(namespace.clone(), change);
        Ok(self.shard(shard).await?.write(change).await?.lsn)
    }

    /// Deletes records; all of them or none. Returns once that is durable.
    ///
    /// # Errors
    /// [`WriteError::NamespaceNotFound`] for a namespace that was never written; otherwise the
    /// store failed and the outcome is unknown.
    pub async fn delete(
        &self,
        shard: ShardRef,
        namespace: &NamespaceName,
        what: Deletion,
    ) -> Result<Lsn, WriteError> {
        let change = match what {
            Deletion::Ids(ids) => RecordChange::Delete(ids),
            Deletion::All => RecordChange::DeleteAll,
        };
        self.change_records(shard, namespace, change).await
    }

    /// Reads records by id.
    ///
    /// # Errors
    /// [`ReadError`] when the store fails or data is damaged.
    pub async fn fetch(
        &self,
        shard: ShardRef,
        namespace: &NamespaceName,
        ids: &[RecordId],
    ) -> Result<Fetched, ReadError> {
        self.shard(shard).await?.fetch(namespace, ids).await
    }

    /// Finds the nearest records.
    ///
    /// # Errors
    /// [`ReadError`] when the store fails or data is damaged.
    pub async fn query(
        &self,
        shard: ShardRef,
        namespace: &NamespaceName,
        query: Query,
    ) -> Result<Answer, ReadError> {
        self.shard(shard).await?.query(namespace, query).await
    }

    /// Reads the records that match a filter, by id, page by page.
    ///
    /// # Errors
    /// [`ReadError`] when the store fails or data is damaged.
    pub async fn fetch_by_metadata(
        &self,
        shard: ShardRef,
        namespace: &NamespaceName,
        page: &FilterPage,
    ) -> Result<FilteredPage, ReadError> {
        self.shard(shard).await?.fetch_by_metadata(namespace, page).await
    }

    /// Counts the records that match a filter, exactly, in one namespace or in every one, all of
    /// one moment. Looks at every record.
    ///
    /// # Errors
    /// [`ReadError`] when the store fails or data is damaged.
    pub async fn count(
        &self,
        shard: ShardRef,
        namespace: Option<&NamespaceName>,
        filter: &Arc<Filter>,
    ) -> Result<Counted, ReadError> {
        self.shard(shard).await?.count_matches(namespace, filter).await
    }

    /// Lists ids in byte order.
    ///
    /// # Errors
    /// [`ReadError`] when the store fails or data is damaged.
    pub async fn list(
        &self,
        shard: ShardRef,
        namespace: &NamespaceName,
        page: &ListPage,
    ) -> Result<Listed, ReadError> {
        self.shard(shard).await?.list(namespace, page).await
    }

    /// A position that every read which begins after this call has reached.
    ///
    /// # Errors
    /// [`ReadError`] when the shard cannot be opened.
    pub async fn position(&self, shard: ShardRef) -> Result<Lsn, ReadError> {
        Ok(self.shard(shard).await?.database.durable_lsn())
    }

    /// Counts, exactly, all of one moment. Costs two seeks a namespace.
    ///
    /// # Errors
    /// [`ReadError`] when the store fails or data is damaged.
    pub async fn stats(&self, shard: ShardRef) -> Result<Stats, ReadError> {
        self.shard(shard).await?.stats().await
    }

    /// Pins the state of an index: every write acknowledged before this call, none that is issued
    /// after its answer, and each request whole. `name` finds the pin again after a crash. Cost
    /// does not grow with the index.
    ///
    /// # Errors
    /// [`EngineError`] when the store fails; a pin of that name may then exist all the same.
    pub async fn checkpoint(&self, shard: ShardRef, name: &str) -> Result<Checkpoint, EngineError> {
        let cut = self.shard(shard).await?.checkpoint(name).await?;
        Ok(Checkpoint {
            pin: cut.pin.id,
            lsn: cut.lsn,
            record_count: cut.record_count,
            namespace_count: cut.namespace_count,
            size_bytes: cut.bytes,
            segments: cut.segments,
        })
    }

    /// Makes the database of `target` from a pinned state of `source`. Copies no records. Safe to
    /// repeat.
    ///
    /// # Errors
    /// [`EngineError`] when the pin is gone or the store fails.
    pub async fn clone_index(
        &self,
        target: IndexId,
        source: IndexId,
        pin: Uuid,
    ) -> Result<(), EngineError> {
        let (target, source) = (database_path(target), database_path(source));
        self.storage.admit(Need::Upkeep, 0)?;
        Ok(self.storage.clone_database(&target, &source, pin).await?)
    }

    /// Closes the shard of a deleted index. Its data stays until [`Engine::reap`] finds that
    /// nothing needs it.
    pub async fn retire(&self, index: IndexId) {
        self.retired.lock().insert(index);
        let slot = self.slots.lock().get(&index).map(Arc::clone);
        if let Some(slot) = slot
            && let Some(shard) = slot.lock().await.take()
        {
            shard.close(true).await;
        }
        self.slots.lock().remove(&index);
    }

    /// Flushes and closes everything. Later calls are refused.
    pub async fn shutdown(&self) {
        self.shutting_down.store(true, Ordering::Release);
        for (_, slot) in self.open_slots() {
            if let Some(shard) = slot.lock().await.take() {
                shard.close(true).await;
            }
        }
    }

    /// Number of open shards.
    pub async fn open_shards(&self) -> usize {
        let mut open = 0;
        for (_, slot) in self.open_slots() {
            open += usize::from(slot.lock().await.is_some());
        }
        open
    }

    /// The open shard of an index, opened if need be.
    pub(crate) async fn shard(&self, shape: ShardRef) -> Result<Arc<Shard>, EngineError> {
        self.open(shape, Absent::IsDamage).await
    }

    async fn open(&self, shape: ShardRef, absent: Absent) -> Result<Arc<Shard>, EngineError> {
        if self.shutting_down.load(Ordering::Acquire) {
            return Err(EngineError::ShuttingDown);
        }
        let slot = Arc::clone(self.slots.lock().entry(shape.index).or_default());
        let mut open = slot.lock().await;
        if self.retired.lock().contains(&shape.index) {
            self.slots.lock().remove(&shape.index);
            return Err(EngineError::Retired(shape.index));
        }
        if let Some(shard) = open.as_ref().filter(|shard| !shard.is_stopped()) {
            shard.touch();
            return Ok(Arc::clone(shard));
        }
        if let Some(stopped) = open.take() {
            stopped.close(false).await;
        }
        let path = database_path(shape.index);
        let database = match absent {
            Absent::Create => self.storage.open(&path).await?,
            Absent::IsDamage => self.storage.open_existing(&path).await?,
        };
        let shard = Shard::start(shape, database, self.commons.clone()).await?;
        *open = Some(Arc::clone(&shard));
        Ok(shard)
    }

    /// All slots by index id: an order of its own, so that a seeded run repeats.
    pub(crate) fn open_slots(&self) -> Vec<(IndexId, ShardSlot)> {
        let slots = self.slots.lock();
        let mut all: Vec<_> =
            slots.iter().map(|(index, slot)| (*index, Arc::clone(slot))).collect();
        all.sort_unstable_by_key(|(index, _)| *index);
        all
    }

    pub(crate) fn is_shutting_down(&self) -> bool {
        self.shutting_down.load(Ordering::Acquire)
    }
}

/// The engine could not be started.
#[derive(Debug, thiserror::Error)]
#[error("cannot start the search threads: {0}")]
pub struct EngineStartError(String);
