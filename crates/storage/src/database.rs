//! One SlateDB database: atomic batches, durable reads, views, checkpoints.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lodgepole_types::Lsn;
use parking_lot::Mutex;
use slatedb::config::{CheckpointOptions, CheckpointScope, CloseOptions, FlushOptions, FlushType};
use slatedb::{Db, WriteHandle};
use uuid::Uuid;

use crate::compaction::CompactionWish;
use crate::{Batch, DatabasePath, Scan, StorageError, View, Visibility};

/// An open database. There is at most one writer: opening it again fences this handle, whose calls
/// then fail with [`StorageError::Closed`].
#[derive(Clone)]
pub struct Database {
    db: Db,
    path: DatabasePath,
    wish: Arc<CompactionWish>,
    unflushed: Arc<Mutex<Unflushed>>,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Database").field(&self.path).finish()
    }
}

/// A batch that was accepted, and its place in the order of writes. It is not durable yet.
#[derive(Debug)]
pub struct Commit {
    handle: WriteHandle,
}

impl Commit {
    /// The place of this batch in the order of writes.
    #[must_use]
    pub fn lsn(&self) -> Lsn {
        Lsn(self.handle.seqnum())
    }

    /// Returns once the batch is on stable storage, and with it every batch before it.
    ///
    /// # Errors
    /// [`StorageError`] when the store failed: the outcome is then unknown, and the database must
    /// be opened again before it is used further.
    pub async fn durable(&self) -> Result<(), StorageError> {
        Ok(self.handle.await_durable().await?)
    }
}

/// A pin that was taken on the state of a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckpointPin {
    /// What to name when cloning from it or giving it up.
    pub id: Uuid,
    /// The manifest it pins.
    pub manifest_id: u64,
}

impl Database {
    pub(crate) fn new(db: Db, path: DatabasePath, wish: Arc<CompactionWish>) -> Self {
        Self { db, path, wish, unflushed: Arc::default() }
    }

    /// Where it lives.
    #[must_use]
    pub fn path(&self) -> &DatabasePath {
        &self.path
    }

    /// Hands a batch to the log. Batches are ordered as their calls are; several calls in flight
    /// share one log object.
    ///
    /// # Errors
    /// [`StorageError`] when the database is closed or its store failed.
    pub async fn write(&self, batch: Batch) -> Result<Commit, StorageError> {
        let bytes = batch.bytes() as u64;
        let handle = self.db.write(batch.into_inner()).await?;
        self.unflushed.lock().add(handle.seqnum(), bytes);
        Ok(Commit { handle })
    }

    /// The value of `key`.
    ///
    /// # Errors
    /// [`StorageError`] when the store fails or data is damaged.
    pub async fn get(
        &self,
        key: &[u8],
        visibility: Visibility,
    ) -> Result<Option<Bytes>, StorageError> {
        Ok(self.db.get_with_options(key, &visibility.read_options()).await?)
    }

    /// The entries whose keys start with `prefix`, in order.
    ///
    /// # Errors
    /// [`StorageError`] when the store fails or data is damaged.
    pub async fn scan_prefix(
        &self,
        prefix: &[u8],
        visibility: Visibility,
    ) -> Result<Scan, StorageError> {
        let range = crate::prefix_range(prefix);
        let inner = self.db.scan_with_options(range, &visibility.scan_options()).await?;
        Ok(Scan::new(inner))
    }

    /// A view that later writes do not change.
    ///
    /// # Errors
    /// [`StorageError::Closed`] when the database is closed.
    pub fn view(&self) -> Result<View, StorageError> {
        Ok(View::new(self.db.snapshot()?))
    }

    /// The last write that is on stable storage.
    #[must_use]
    pub fn durable_lsn(&self) -> Lsn {
        Lsn(self.db.status().durable_seq)
    }

    /// Why the database can no longer be used; `None` while it can.
    #[must_use]
    pub fn closed(&self) -> Option<String> {
        self.db.status().close_reason.map(|reason| format!("{reason:?}"))
    }

    /// Bytes handed to [`Self::write`] that are not in files yet: about what the memtables hold.
    #[must_use]
    pub fn unflushed_bytes(&self) -> u64 {
        let flushed = self.db.manifest().last_l0_seq();
        self.unflushed.lock().total_above(flushed)
    }

    /// Writes the memtable out as files, so that neither a clone nor a reopening has to read the
    /// log again.
    ///
    /// # Errors
    /// [`StorageError`] when the store fails.
    pub async fn flush(&self) -> Result<(), StorageError> {
        self.db.flush_with_options(FlushOptions { flush_type: FlushType::MemTable }).await?;
        Ok(())
    }

    /// Pins the durable state for ever under `name`. It holds every write confirmed before the
    /// call, and none that is handed in after the answer. Costs one manifest write, whatever the
    /// size.
    ///
    /// # Errors
    /// [`StorageError`] when the store fails. The pin may exist all the same; it is found by its
    /// name.
    pub async fn checkpoint(&self, name: &str) -> Result<CheckpointPin, StorageError> {
        let options =
            CheckpointOptions { lifetime: None, source: None, name: Some(name.to_owned()) };
        let handle = self.db.begin_checkpoint(CheckpointScope::Durable, &options).await?;
        let result = handle.wait().await?;
        Ok(CheckpointPin { id: result.id, manifest_id: result.manifest_id })
    }

    /// Whether the database still reads files of the databases it was cloned from.
    #[must_use]
    pub fn borrows_files(&self) -> bool {
        self.db.manifest().external_dbs().iter().any(|parent| !parent.sst_ids.is_empty())
    }

    /// Compacts everything into one run of own files and waits for it, at most `wait_max`. Returns
    /// whether it got there. Costs reading and writing the whole database.
    ///
    /// # Errors
    /// [`StorageError`] when the store fails.
    pub async fn compact_fully(
        &self,
        clock: &dyn lodgepole_types::Clock,
        wait_max: Duration,
    ) -> Result<bool, StorageError> {
        const POLL: Duration = Duration::from_millis(20);
        self.flush().await?;
        self.wish.set_everything(true);
        let begun = clock.elapsed();
        let settled = loop {
            self.db.refresh_manifest().await?;
            let manifest = self.db.manifest();
            let one_run = manifest.l0().is_empty() && manifest.compacted().len() <= 1;
            if one_run && !self.borrows_files() {
                break true;
            }
            if clock.elapsed().saturating_sub(begun) > wait_max {
                break false;
            }
            clock.sleep(POLL).await;
        };
        self.wish.set_everything(false);
        Ok(settled)
    }

    /// Flushes and closes. Later calls fail with [`StorageError::Closed`].
    ///
    /// # Errors
    /// [`StorageError`] when the flush fails; what was confirmed is in the log all the same.
    pub async fn close(&self) -> Result<(), StorageError> {
        Ok(self.db.close().await?)
    }

    /// Closes without flushing, as a crash would leave it. For databases that are about to be
    /// deleted, and for tests.
    ///
    /// # Errors
    /// [`StorageError`] when it was closed before.
    pub async fn abandon(&self) -> Result<(), StorageError> {
        Ok(self.db.close_with_options(CloseOptions::default().with_flush_type(None)).await?)
    }
}

/// Bytes written by sequence number, in steps coarse enough to stay short.
#[derive(Debug, Default)]
struct Unflushed(VecDeque<(u64, u64)>);

impl Unflushed {
    /// Bytes up to which neighbours share an entry: the precision of the sum.
    const STEP_BYTES: u64 = 1 << 20;

    fn add(&mut self, seq: u64, bytes: u64) {
        match self.0.back_mut() {
            Some(last) if last.1 < Self::STEP_BYTES => {
                last.0 = last.0.max(seq);
                last.1 += bytes;
            }
            _ => self.0.push_back((seq, bytes)),
        }
    }

    fn total_above(&mut self, flushed: u64) -> u64 {
        while self.0.front().is_some_and(|first| first.0 <= flushed) {
            self.0.pop_front();
        }
        self.0.iter().map(|entry| entry.1).sum()
    }
}
