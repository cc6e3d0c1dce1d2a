//! A place that holds databases, and what can be done to databases that are not open.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lodgepole_types::{Clock, Rng, Timestamp};
use object_store::ObjectStore;
use object_store::path::Path as StorePath;
use slatedb::admin::{Admin, AdminBuilder, CloneSourceSpec};
use slatedb::config::{
    CompactionWorkerOptions, CompactorOptions, GarbageCollectorDirectoryOptions,
    GarbageCollectorOptions, GarbageCollectorScheduleOptions, Settings,
};
use slatedb::db_cache::moka::{MokaCache, MokaCacheOptions};
use slatedb::db_cache::{CacheTarget, DbCache};
use slatedb::{BlockCachePolicy, CompactorBuilder, Db, SstBlockSize, VersionedManifest, WalReader};
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_64;

use crate::bounds::{COMPACTIONS, MANIFESTS};
use crate::clock::{Ahead, DatabaseClock};
use crate::compaction::{CompactionWish, L0_FILES_MAX, SchedulerSupplier};
use crate::error::opening_failed;
use crate::local::{LocalOptions, LocalStore, Need};
use crate::sealed::SealedStore;
use crate::{Database, DatabasePath, OpenError, Parent, Pin, StorageError, StorageOptions};

/// The unit of reading and caching. A vector row is some kilobytes: larger blocks than SlateDB's
/// default keep the index of a file small, which is what a cold first read waits for.
const BLOCK_SIZE: SstBlockSize = SstBlockSize::Block16Kib;

/// How often the compactor looks for work, and its worker for something to do. SlateDB's default of
/// 5 s lets files pile up under a bulk load faster than they are merged.
const COMPACTION_POLL: Duration = Duration::from_millis(500);

/// How many pieces of each of its files a compaction reads ahead, and how large they are. WHY not
/// SlateDB's four of 2 MiB, for each of four parts of a compaction at once: with eight files to be
/// merged that is a hundred MiB and more which no budget covers. Bulk loads take as long as before.
const COMPACTION_READS_AHEAD: usize = 2;
const COMPACTION_READ_BYTES: usize = 512 << 10;

/// A store with its clock, generator and block cache. Cloning it is cheap and shares all of them.
#[derive(Clone)]
pub struct Storage {
    shared: Arc<Shared>,
}

struct Shared {
    store: Arc<dyn ObjectStore>,
    /// The same, as databases see it.
    sealed: Arc<dyn ObjectStore>,
    local: Option<LocalStore>,
    clock: Arc<dyn Clock>,
    ahead: Arc<Ahead>,
    rng: Arc<dyn Rng>,
    cache: Arc<dyn DbCache>,
    options: StorageOptions,
}

impl std::fmt::Debug for Storage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Storage").field(&self.shared.store.to_string()).finish()
    }
}

impl Storage {
    /// Opens a folder on the local disk; it is made when absent, and locked while it is open.
    ///
    /// # Errors
    /// [`OpenError`] when the folder cannot be used, or another process is using it.
    pub fn open_local(
        folder: &Path,
        local: LocalOptions,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
        options: StorageOptions,
    ) -> Result<Self, OpenError> {
        let store = LocalStore::open(folder, local).map_err(|source| OpenError::Directory {
            path: folder.to_owned(),
            source: Box::new(source),
        })?;
        Ok(Self::with(Arc::new(store.clone()), Some(store), clock, rng, options))
    }

    /// Uses any object store: memory, a bucket, or one that injects faults.
    #[must_use]
    pub fn on_store(
        store: Arc<dyn ObjectStore>,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
        options: StorageOptions,
    ) -> Self {
        Self::with(store, None, clock, rng, options)
    }

    fn with(
        store: Arc<dyn ObjectStore>,
        local: Option<LocalStore>,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
        options: StorageOptions,
    ) -> Self {
        let cache = MokaCache::new_with_opts(MokaCacheOptions {
            max_capacity: options.block_cache_bytes,
            time_to_live: None,
            time_to_idle: None,
        });
        let sealed = Arc::new(SealedStore::new(Arc::clone(&store)));
        Self {
            shared: Arc::new(Shared {
                store,
                sealed,
                local,
                clock,
                ahead: Arc::default(),
                rng,
                cache: Arc::new(cache),
                options,
            }),
        }
    }

    /// The injected clock.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.shared.clock
    }

    /// The injected generator.
    #[must_use]
    pub fn rng(&self) -> &Arc<dyn Rng> {
        &self.shared.rng
    }

    /// The settings it was opened with.
    #[must_use]
    pub fn options(&self) -> &StorageOptions {
        &self.shared.options
    }

    /// The store below.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.shared.store
    }

    /// The block cache.
    #[cfg(test)]
    pub(crate) fn shared_cache(&self) -> &Arc<dyn DbCache> {
        &self.shared.cache
    }

    /// The folder below, when the store is one of ours.
    pub(crate) fn local(&self) -> Option<&LocalStore> {
        self.shared.local.as_ref()
    }

    /// Whether the store takes writes at all: not after a failed sync, until it is opened again.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.shared.local.as_ref().is_none_or(|local| local.healthy().is_ok())
    }

    /// Asks whether there is room for `bytes` more, before anything is written. A store without a
    /// disk of its own always says yes.
    ///
    /// # Errors
    /// [`StorageError::Disk`] when the disk is too full, or failed to sync.
    pub fn admit(&self, need: Need, bytes: u64) -> Result<(), StorageError> {
        let Some(local) = &self.shared.local else { return Ok(()) };
        local.healthy()?;
        Ok(local.space().admit(need, bytes)?)
    }

    /// Opens a database, making it when absent, and replays its log. Any other handle on it is
    /// fenced: it can no longer write.
    ///
    /// # Errors
    /// [`StorageError`] when the store fails or data is damaged.
    pub async fn open(&self, path: &DatabasePath) -> Result<Database, StorageError> {
        let manifest = self.newest_manifest(path).await?;
        if manifest.is_none() {
            self.check_newest(path, MANIFESTS).await?;
        }
        self.open_with(path, manifest.as_ref()).await
    }

    /// Opens a database that must be there: its absence is damage, not a reason to start empty.
    ///
    /// # Errors
    /// [`StorageError::DatabaseMissing`], or as [`Self::open`].
    pub async fn open_existing(&self, path: &DatabasePath) -> Result<Database, StorageError> {
        match self.newest_manifest(path).await? {
            Some(manifest) => self.open_with(path, Some(&manifest)).await,
            None => Err(StorageError::DatabaseMissing(path.to_string())),
        }
    }

    async fn open_with(
        &self,
        path: &DatabasePath,
        manifest: Option<&VersionedManifest>,
    ) -> Result<Database, StorageError> {
        if let Some(manifest) = manifest {
            self.catch_up(path, manifest).await?;
        }
        let quiet_until = if manifest.is_none_or(|manifest| manifest.external_dbs().is_empty()) {
            Timestamp::default()
        } else {
            after(self.now(), self.shared.options.clone_quiet)
        };
        futures::try_join!(self.check_log(path), self.check_newest(path, COMPACTIONS))?;
        let wish = Arc::new(CompactionWish::new(Arc::clone(self.clock()), quiet_until));
        let compactor = CompactorBuilder::new(store_path(path), Arc::clone(&self.shared.sealed))
            .with_options(self.compactor_options())
            .with_system_clock(self.database_clock())
            .with_seed(self.shared.rng.next_u64())
            .with_sst_block_size(BLOCK_SIZE)
            .with_scheduler_supplier(Arc::new(SchedulerSupplier(Arc::clone(&wish))));
        let db = Db::builder(store_path(path), Arc::clone(&self.shared.sealed))
            .with_settings(self.settings())
            .with_system_clock(self.database_clock())
            .with_seed(self.shared.rng.next_u64())
            .with_db_cache(Arc::clone(&self.shared.cache), xxh3_64(path.as_str().as_bytes()))
            .with_sst_block_size(BLOCK_SIZE)
            .with_block_cache_policy(cache_policy())
            .with_compactor_builder(compactor)
            .build()
            .await
            .map_err(|error| opening_failed(path, error))?;
        Ok(Database::new(db, path.clone(), wish))
    }

    /// Makes sure that the time of databases is not before the last write of this one: that of its
    /// files, or of the last object of its log.
    async fn catch_up(
        &self,
        path: &DatabasePath,
        manifest: &VersionedManifest,
    ) -> Result<(), StorageError> {
        let mut stamp_ms = manifest.last_l0_clock_tick();
        let log = WalReader::new(store_path(path), Arc::clone(&self.shared.sealed));
        let objects = log.list(manifest.replay_after_wal_id().saturating_add(1)..).await?;
        // Fences are empty objects.
        for object in objects.iter().rev() {
            let (mut entries, mut is_empty) = (object.iterator().await?, true);
            while let Some(entry) = entries.next().await? {
                stamp_ms = stamp_ms.max(entry.create_ts.unwrap_or(i64::MIN));
                is_empty = false;
            }
            if !is_empty {
                break;
            }
        }
        self.shared.ahead.note(self.clock().as_ref(), stamp_ms);
        Ok(())
    }

    /// Whether a database exists at `path`.
    ///
    /// # Errors
    /// [`StorageError`] when the store fails.
    pub async fn exists(&self, path: &DatabasePath) -> Result<bool, StorageError> {
        Ok(self.newest_manifest(path).await?.is_some())
    }

    /// The names of the folders directly below `folder`.
    ///
    /// # Errors
    /// [`StorageError`] when the store fails.
    pub async fn folders(&self, folder: &str) -> Result<Vec<String>, StorageError> {
        let prefix = StorePath::from(folder);
        let listed = self.shared.store.list_with_delimiter(Some(&prefix)).await?;
        let names = listed.common_prefixes.iter();
        Ok(names.filter_map(|path| path.filename().map(str::to_owned)).collect())
    }

    /// Makes `target` a clone of the state that `checkpoint` pins in `source`. Copies the unflushed
    /// log, no other data. Safe to repeat after a crash, with the same arguments.
    ///
    /// # Errors
    /// [`StorageError`] when the checkpoint is gone or the store fails.
    pub async fn clone_database(
        &self,
        target: &DatabasePath,
        source: &DatabasePath,
        checkpoint: Uuid,
    ) -> Result<(), StorageError> {
        let manifest = self.newest_manifest(source).await?;
        let pinned = manifest.as_ref().and_then(|manifest| {
            let pin = manifest.checkpoints().iter().find(|pin| pin.id == checkpoint);
            pin.map(|pin| pin.manifest_id)
        });
        let Some(pinned) = pinned else {
            return Err(StorageError::CheckpointMissing(format!("{checkpoint} of {source}")));
        };
        // SlateDB would not say which file it misses.
        let Some(manifest) = self.admin(source).read_manifest(Some(pinned)).await? else {
            let missing = format!("{source}/manifest/{pinned:020}.manifest");
            return Err(StorageError::ObjectMissing(missing));
        };
        self.check_pinned_log(source, &manifest).await?;
        self.check_newest(source, COMPACTIONS).await?;
        self.admin(target)
            .create_clone_builder_from_source(CloneSourceSpec::with_checkpoint(
                store_path(source),
                checkpoint,
            ))
            .with_system_clock(self.database_clock())
            .with_seed(self.shared.rng.next_u64())
            .build()
            .await?;
        Ok(())
    }

    /// Every checkpoint in the manifest of `path`; none when there is no such database.
    ///
    /// # Errors
    /// [`StorageError`] when the store fails.
    pub async fn pins(&self, path: &DatabasePath) -> Result<Vec<Pin>, StorageError> {
        let Some(manifest) = self.newest_manifest(path).await? else {
            return Ok(Vec::new());
        };
        Ok(manifest
            .checkpoints()
            .iter()
            .map(|pin| Pin {
                id: pin.id,
                name: pin.name.clone(),
                expires: pin.expire_time.is_some(),
            })
            .collect())
    }

    /// Gives up a checkpoint, unless its database is gone. The files it held go with the next collections.
    ///
    /// # Errors
    /// [`StorageError`] when the store fails.
    pub async fn unpin(&self, path: &DatabasePath, pin: Uuid) -> Result<(), StorageError> {
        if !self.exists(path).await? {
            return Ok(());
        }
        Ok(self.admin(path).delete_checkpoint(pin).await?)
    }

    /// The databases that `path` hangs on; `None` when there is no such database.
    ///
    /// # Errors
    /// [`StorageError`] when the store fails.
    pub async fn parents(&self, path: &DatabasePath) -> Result<Option<Vec<Parent>>, StorageError> {
        let Some(manifest) = self.newest_manifest(path).await? else {
            return Ok(None);
        };
        let parents = manifest
            .external_dbs()
            .iter()
            .map(|parent| Parent {
                path: DatabasePath::new(&parent.path),
                borrowed_files: parent.sst_ids.len(),
            })
            .collect();
        Ok(Some(parents))
    }

    /// Removes files of `path` that nothing needs any more, and lets go of parents whose files it
    /// no longer reads. Works on open, closed and deleted databases alike.
    ///
    /// # Errors
    /// [`StorageError`] when the store fails.
    pub async fn collect(&self, path: &DatabasePath) -> Result<(), StorageError> {
        if !self.exists(path).await? {
            return Ok(());
        }
        self.check_newest(path, COMPACTIONS).await?;
        Ok(self.admin(path).run_gc_once(self.collection_options()).await?)
    }

    /// Removes a database with all its files and gives up its pins on its parents.
    ///
    /// SlateDB does not check whether others still read these files: the caller has made sure that
    /// no pin is left. Safe to repeat after a crash.
    ///
    /// # Errors
    /// [`StorageError`] when the store fails.
    pub async fn delete_database(&self, path: &DatabasePath) -> Result<(), StorageError> {
        let manifest = self.newest_manifest(path).await?;
        if let Some(manifest) = &manifest {
            self.check_parents(manifest).await?;
        }
        self.delete_objects(path, manifest.is_some()).await?;
        if let Some(local) = &self.shared.local {
            local.remove_empty_folders(&store_path(path)).await?;
            local.sync_deletes().await?;
        }
        Ok(())
    }

    fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    fn database_clock(&self) -> Arc<DatabaseClock> {
        let (clock, ahead) = (Arc::clone(&self.shared.clock), Arc::clone(&self.shared.ahead));
        Arc::new(DatabaseClock { clock, ahead })
    }

    /// The store as databases see it: with seals.
    pub(crate) fn sealed(&self) -> &Arc<dyn ObjectStore> {
        &self.shared.sealed
    }

    pub(crate) fn admin(&self, path: &DatabasePath) -> Admin {
        AdminBuilder::new(store_path(path), Arc::clone(&self.shared.sealed))
            .with_system_clock(self.database_clock())
            .with_seed(self.shared.rng.next_u64())
            .build()
    }

    fn settings(&self) -> Settings {
        let options = &self.shared.options;
        Settings {
            flush_interval: Some(options.flush_interval),
            l0_sst_size_bytes: options.memtable_bytes,
            max_unflushed_bytes: options.unflushed_bytes_max,
            l0_max_ssts: L0_FILES_MAX,
            l0_max_ssts_per_key: L0_FILES_MAX,
            compactor_options: None,
            garbage_collector_options: None,
            object_store_max_retries: options.retries_max,
            ..Settings::default()
        }
    }

    fn compactor_options(&self) -> CompactorOptions {
        let options = &self.shared.options;
        CompactorOptions {
            poll_interval: COMPACTION_POLL,
            max_concurrent_compactions: 1,
            checkpoint_lifetime: options.compactor_pin,
            worker: Some(CompactionWorkerOptions {
                max_sst_size: options.file_bytes_max,
                compactions_poll_interval: COMPACTION_POLL,
                max_concurrent_compactions: 1,
                max_subcompactions: 1,
                max_fetch_tasks: COMPACTION_READS_AHEAD,
                bytes_to_fetch: COMPACTION_READ_BYTES,
                ..CompactionWorkerOptions::default()
            }),
            object_store_max_retries: options.retries_max,
            ..CompactorOptions::default()
        }
    }

    /// Fences are never collected: an old one is what stops a stalled writer (SlateDB, warning at
    /// `wal_fence_options`).
    fn collection_options(&self) -> GarbageCollectorOptions {
        let options = &self.shared.options;
        let directory = GarbageCollectorDirectoryOptions {
            min_age: options.collection_age,
            ..GarbageCollectorDirectoryOptions::default()
        };
        let log = GarbageCollectorDirectoryOptions {
            min_age: options.log_collection_age,
            ..GarbageCollectorDirectoryOptions::default()
        };
        GarbageCollectorOptions {
            manifest_options: Some(directory),
            wal_options: Some(log),
            wal_fence_options: None,
            compacted_options: Some(directory),
            compactions_options: Some(directory),
            detach_options: Some(GarbageCollectorScheduleOptions::default()),
            object_store_max_retries: options.retries_max,
            ..GarbageCollectorOptions::default()
        }
    }
}

/// What a flush puts into the block cache: what finds blocks, and no blocks. SlateDB's default puts in
/// all that is flushed, so that a load fills the cache with vectors that nobody asked for and drives
/// out what was read.
fn cache_policy() -> BlockCachePolicy {
    BlockCachePolicy::default().with_flush_targets(&[CacheTarget::Index, CacheTarget::Filters])
}

fn store_path(path: &DatabasePath) -> StorePath {
    StorePath::from(path.as_str())
}

fn after(moment: Timestamp, span: Duration) -> Timestamp {
    Timestamp(moment.0.saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
}
