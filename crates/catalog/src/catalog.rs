//! Opening the catalog, reading it, and the one way to change it.
//!
//! A change runs in this order: wait for its turn, check it against the current contents, write one
//! batch, wait until that is durable, publish the new contents, let the next one in. A failure
//! before the batch leaves everything as it was.
//!
//! A failure of the batch itself leaves the outcome unknown: the disk may hold the change or not.
//! The catalog then takes no further change until it is opened again, which reads the truth. WHY
//! not retry or re-read: SlateDB closes a database whose log failed, and only a new open settles
//! (by fencing) whether the batch got through. WHY reading goes on: the last published contents
//! plus a change that takes effect later, at the reopening, is an order in which things may have
//! happened, since the change was never confirmed, and nothing that was confirmed follows it.
//!
//! An outage that storage waits out (its `retries_max`) is no failure: the change stays under way,
//! the others wait for their turn, reads go on, and all callers meet their own deadlines.
//!
//! The write runs as a task of its own: a caller that goes away (a client that hangs up) must not
//! leave a change on disk that memory knows nothing of.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use lodgepole_storage::local::Need;
use lodgepole_storage::{Batch, Database, DatabasePath, Storage, Visibility};
use lodgepole_types::{
    Backup, BackupId, Index, IndexId, IndexName, RestoreJob, RestoreJobId, Timestamp,
};
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::rows::{FORMAT_VERSION, Meta, Row, RowKey};
use crate::{CatalogError, Contents, HiddenIndex, PortRange, ports};

/// Where the catalog lives in its store.
const PATH: &str = "sys/catalog";
/// Where the indexes are that it knows.
const DATA: &str = "ix";

/// What an operator can set about the catalog.
#[derive(Debug, Clone)]
pub struct CatalogOptions {
    /// The ports that new indexes may get. An index that exists keeps its port, also outside.
    pub ports: PortRange,
    /// Restore jobs that have ended, as many as are remembered; the oldest go first. Bounds memory.
    pub ended_restore_jobs_max: usize,
    /// The same for the imports of one index.
    pub ended_imports_max: usize,
}

impl CatalogOptions {
    /// The defaults, with this range of ports.
    #[must_use]
    pub fn new(ports: PortRange) -> Self {
        Self { ports, ended_restore_jobs_max: 10_000, ended_imports_max: 1_000 }
    }
}

/// The open catalog. Cloning it is cheap and shares it.
///
/// Reads answer from memory and never wait. Each of them looks at the newest contents; two answers
/// that must fit together are taken from one [`Catalog::contents`].
#[derive(Debug, Clone)]
pub struct Catalog {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    storage: Storage,
    database: Database,
    options: CatalogOptions,
    contents: ArcSwap<Contents>,
    /// Whoever holds it may change the catalog.
    turn: Arc<Mutex<()>>,
    poisoned: AtomicBool,
}

impl Catalog {
    /// Opens the catalog, making it when absent, and reads all of it. A handle that was open before
    /// can no longer write.
    ///
    /// # Errors
    /// [`CatalogError::TooNew`] when a newer version wrote it, [`CatalogError::Damaged`] when it
    /// cannot be read or contradicts itself, [`CatalogError::Storage`] when the store fails.
    pub async fn open(storage: &Storage, options: CatalogOptions) -> Result<Self, CatalogError> {
        let path = DatabasePath::new(PATH);
        // An empty catalog over the data of indexes would have all of it removed.
        if !storage.exists(&path).await? && !storage.folders(DATA).await?.is_empty() {
            let lost = format!("{PATH} is missing, but there are indexes in {DATA}");
            return Err(CatalogError::Damaged(lost));
        }
        let database = storage.open(&path).await?;
        let loaded = load(&database, storage.clock().now()).await;
        let contents = match loaded {
            Ok(contents) => contents,
            Err(error) => {
                if let Err(close) = database.close().await {
                    tracing::warn!(error = %close, "the catalog did not close cleanly");
                }
                return Err(error);
            }
        };
        let shared = Shared {
            storage: storage.clone(),
            database,
            options,
            contents: ArcSwap::from_pointee(contents),
            turn: Arc::new(Mutex::new(())),
            poisoned: AtomicBool::new(false),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Waits for the change that is under way, then closes. Later changes are refused; reads still
    /// answer.
    ///
    /// # Errors
    /// [`CatalogError::Storage`] when the last flush fails; nothing confirmed is lost by that.
    pub async fn close(&self) -> Result<(), CatalogError> {
        let _turn = self.shared.turn.lock().await;
        self.shared.poisoned.store(true, Ordering::Release);
        Ok(self.shared.database.close().await?)
    }

    /// Whether changes are taken: not after a failed one, nor after closing, nor when the store below
    /// has failed to sync, whoever wrote. A server that answers `false` needs a restart.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        !self.shared.poisoned.load(Ordering::Acquire) && self.shared.storage.is_healthy()
    }

    /// Everything, at one moment.
    #[must_use]
    pub fn contents(&self) -> Arc<Contents> {
        self.shared.contents.load_full()
    }

    /// The live index of this name.
    #[must_use]
    pub fn index(&self, name: &IndexName) -> Option<Arc<Index>> {
        self.shared.contents.load().index(name)
    }

    /// The live index of this id.
    #[must_use]
    pub fn index_by_id(&self, id: IndexId) -> Option<Arc<Index>> {
        self.shared.contents.load().index_by_id(id)
    }

    /// The live index whose data plane this port is.
    #[must_use]
    pub fn index_by_port(&self, port: u16) -> Option<Arc<Index>> {
        self.shared.contents.load().index_by_port(port)
    }

    /// The port that [`Self::move_index`] would give an index of this name at this moment; `None` when none
    /// is left.
    #[must_use]
    pub fn next_port(&self, name: &IndexName, unusable: &BTreeSet<u16>) -> Option<u16> {
        let contents = self.shared.contents.load();
        let found = ports::assign(contents.ports(), name, self.shared.options.ports, unusable)?;
        Some(found.port)
    }

    /// All live indexes, by name.
    #[must_use]
    pub fn indexes(&self) -> Vec<Arc<Index>> {
        self.shared.contents.load().indexes()
    }

    /// All hidden indexes, the one deleted last first.
    #[must_use]
    pub fn hidden(&self) -> Vec<Arc<HiddenIndex>> {
        self.shared.contents.load().hidden()
    }

    /// The backup of this id, also when it is the content of a collection.
    #[must_use]
    pub fn backup(&self, id: BackupId) -> Option<Arc<Backup>> {
        self.shared.contents.load().backup(id)
    }

    /// All backups, the contents of collections among them, newest first, ties by id.
    #[must_use]
    pub fn backups(&self) -> Vec<Arc<Backup>> {
        self.shared.contents.load().backups()
    }

    /// The backups of one index, live or not, newest first.
    #[must_use]
    pub fn backups_of(&self, index: IndexId) -> Vec<Arc<Backup>> {
        self.shared.contents.load().backups_of(index)
    }

    /// The restore job of this id.
    #[must_use]
    pub fn restore_job(&self, id: RestoreJobId) -> Option<Arc<RestoreJob>> {
        self.shared.contents.load().restore_job(id)
    }

    /// All restore jobs, newest first, ties by id.
    #[must_use]
    pub fn restore_jobs(&self) -> Vec<Arc<RestoreJob>> {
        self.shared.contents.load().restore_jobs()
    }

    pub(crate) fn options(&self) -> &CatalogOptions {
        &self.shared.options
    }

    /// Makes one change. `plan` looks at the contents and says what to change; what it returns is
    /// the answer once the change is durable. It changes nothing when it refuses or asks for
    /// nothing. Dropping the returned future does not stop a change that was begun.
    pub(crate) async fn commit<T, E>(
        &self,
        plan: impl FnOnce(&Contents, &mut Transaction) -> Result<T, E>,
    ) -> Result<T, E>
    where
        E: From<CatalogError>,
    {
        let turn = Arc::clone(&self.shared.turn).lock_owned().await;
        if !self.is_writable() {
            return Err(CatalogError::Poisoned.into());
        }
        let current = self.contents();
        let mut transaction = Transaction::default();
        let answer = plan(&current, &mut transaction)?;
        if transaction.changes.is_empty() {
            return Ok(answer);
        }
        let batch = transaction.batch()?;
        // On a full disk a change is refused here, where nothing has happened yet.
        let bytes = u64::try_from(batch.bytes()).unwrap_or(u64::MAX);
        self.shared.storage.admit(Need::Upkeep, bytes).map_err(CatalogError::Storage)?;
        let next = transaction.applied_to(&current);
        let write = tokio::spawn(Arc::clone(&self.shared).write(batch, next, turn));
        match write.await {
            Ok(written) => written?,
            // The task panicked or the runtime is going down; the trap has poisoned the catalog.
            Err(_) => return Err(CatalogError::Poisoned.into()),
        }
        Ok(answer)
    }

    /// Stops as a crash would: nothing is flushed.
    #[cfg(test)]
    pub(crate) async fn crash(self) {
        self.shared.database.abandon().await.unwrap();
    }
}

impl Shared {
    async fn write(
        self: Arc<Self>,
        batch: Batch,
        next: Contents,
        turn: OwnedMutexGuard<()>,
    ) -> Result<(), CatalogError> {
        let mut trap = Trap { shared: &self, set: true };
        let commit = self.database.write(batch).await?;
        commit.durable().await?;
        self.contents.store(Arc::new(next));
        trap.set = false;
        drop(trap);
        drop(turn);
        Ok(())
    }
}

/// Poisons the catalog unless it was disarmed: by an error, a panic, or a runtime that stops.
struct Trap<'a> {
    shared: &'a Shared,
    set: bool,
}

impl Drop for Trap<'_> {
    fn drop(&mut self) {
        if self.set {
            self.shared.poisoned.store(true, Ordering::Release);
            tracing::error!(
                "a change of the catalog failed; it takes no more until it is reopened"
            );
        }
    }
}

/// What a change puts and removes.
#[derive(Debug, Default)]
pub(crate) struct Transaction {
    changes: Vec<Change>,
}

#[derive(Debug)]
enum Change {
    Put(Row),
    Remove(RowKey),
}

impl Transaction {
    /// Adds a row, or replaces the one of its key.
    pub(crate) fn put(&mut self, row: Row) {
        self.changes.push(Change::Put(row));
    }

    /// Takes a row out.
    pub(crate) fn remove(&mut self, key: RowKey) {
        self.changes.push(Change::Remove(key));
    }

    fn batch(&self) -> Result<Batch, CatalogError> {
        let mut batch = Batch::new();
        for change in &self.changes {
            match change {
                Change::Put(row) => batch.put(row.key().encode(), row.encode()?),
                Change::Remove(key) => batch.delete(key.encode()),
            }
        }
        Ok(batch)
    }

    fn applied_to(self, current: &Contents) -> Contents {
        let mut next = current.clone();
        for change in self.changes {
            match change {
                Change::Put(row) => next.put(row),
                Change::Remove(key) => next.remove(&key),
            }
        }
        next
    }
}

/// Reads all rows; writes the row `meta` when there is nothing at all.
async fn load(database: &Database, now: Timestamp) -> Result<Contents, CatalogError> {
    // This row first: with a newer format, the others cannot be judged.
    let key = RowKey::Meta.encode();
    if let Some(value) = database.get(&key, Visibility::Durable).await?
        && let Row::Meta(meta) = Row::decode(&key, &value)?
        && meta.format > FORMAT_VERSION
    {
        let what = "its format".to_owned();
        return Err(CatalogError::TooNew { what, found: meta.format, known: FORMAT_VERSION });
    }
    let mut contents = Contents::default();
    let mut rows = database.scan_prefix(b"", Visibility::Durable).await?;
    while let Some(entry) = rows.next().await? {
        contents.put(Row::decode(&entry.key, &entry.value)?);
    }
    contents.check().map_err(CatalogError::Damaged)?;
    if contents.meta().is_none() {
        if contents != Contents::default() {
            return Err(CatalogError::Damaged("the row 'meta' is missing".to_owned()));
        }
        let mut first = Transaction::default();
        first.put(Row::Meta(Meta { format: FORMAT_VERSION, created_at: now }));
        database.write(first.batch()?).await?.durable().await?;
        contents = first.applied_to(&contents);
    }
    if let Some(meta) = contents.meta().filter(|meta| meta.format < FORMAT_VERSION) {
        // From here on there may be rows that an older program does not know: it must see that.
        let mut raise = Transaction::default();
        raise.put(Row::Meta(Meta { format: FORMAT_VERSION, ..meta }));
        database.write(raise.batch()?).await?.durable().await?;
        contents = raise.applied_to(&contents);
    }
    Ok(contents)
}

#[cfg(test)]
mod tests;
