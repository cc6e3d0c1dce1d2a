//! One process: catalog, engine and service over a store that may fail, opened as the binary does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lodgepole_api::parse::Rules;
use lodgepole_catalog::{Catalog, CatalogOptions, PortRange};
use lodgepole_engine::{Engine, EngineOptions, IndexFrom};
use lodgepole_service::{Service, ServiceParts};
use lodgepole_storage::fault::FaultStore;
use lodgepole_storage::{ShiftedClock, Sources, Storage, StorageOptions};
use lodgepole_types::{Backup, BackupStatus, Clock, Index, IndexId, Rng, SeededRng};
use parking_lot::Mutex;

use crate::crash::calls::NoSockets;
use crate::crash::{DatedStore, Violation, causes};

/// How long a write waits for the store. Shorter than the product's, so that a run sees it pass.
const WRITE_DEADLINE: Duration = Duration::from_secs(5);

/// What differs between the processes of different runs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setting {
    pub(super) seed: u64,
    /// Age below which collection touches nothing.
    pub(super) collection_age: Duration,
}

/// One life of a server.
pub(super) struct Process {
    pub(super) store: FaultStore,
    pub(super) objects: DatedStore,
    pub(super) clock: Arc<ShiftedClock>,
    pub(super) catalog: Catalog,
    pub(super) engine: Arc<Engine>,
    pub(super) service: Service,
    /// Since when another process may have taken over without this one knowing.
    rivalled_since: AtomicU64,
    /// When the last write of this process that was answered began, by index.
    owned_at: Mutex<BTreeMap<IndexId, u64>>,
}

impl std::fmt::Debug for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Process").field(&self.store).finish()
    }
}

impl Process {
    /// Opens the store.
    pub(super) async fn open(
        store: FaultStore,
        objects: DatedStore,
        clock: Arc<ShiftedClock>,
        setting: Setting,
    ) -> Result<Self, Violation> {
        let rng: Arc<dyn Rng> = Arc::new(SeededRng::new(setting.seed));
        let storage = Storage::on_store(
            Arc::new(store.clone()),
            Arc::<ShiftedClock>::clone(&clock),
            Arc::clone(&rng),
            StorageOptions {
                block_cache_bytes: 1 << 20,
                collection_age: setting.collection_age,
                log_collection_age: setting.collection_age,
                ..StorageOptions::default()
            },
        );
        let ports = PortRange::new(5_081, 5_180)
            .ok_or_else(|| Violation::Unexpected("no ports".to_owned()))?;
        let catalog = Catalog::open(&storage, CatalogOptions::new(ports))
            .await
            .map_err(|error| Violation::Unreadable(format!("catalog: {}", causes(&error))))?;
        // Every upkeep flushes whatever there is, a few records make a segment, and only the rules
        // protect its file.
        let options = EngineOptions {
            write_buffer_bytes: 0,
            write_deadline: WRITE_DEADLINE,
            search_threads: 1,
            index_from: IndexFrom { rows: 4, bytes: u64::MAX },
            segment_grace: Duration::ZERO,
            builds_aside: false,
            ..EngineOptions::default()
        };
        let engine =
            Engine::new(storage, options).map_err(|error| Violation::Unexpected(causes(&error)))?;
        let service = Service::new(ServiceParts {
            catalog: catalog.clone(),
            engine: Arc::clone(&engine),
            clock: Arc::<ShiftedClock>::clone(&clock),
            rng,
            ports: Arc::new(NoSockets),
            rules: Rules::default(),
            sources: Sources::default(),
        });
        let settled = service.settle().await;
        settled.map_err(|error| Violation::Unexpected(format!("settle: {}", causes(&error))))?;
        let (rivalled_since, owned_at) = (AtomicU64::new(u64::MAX), Mutex::default());
        Ok(Self { store, objects, clock, catalog, engine, service, rivalled_since, owned_at })
    }

    /// The clock.
    pub(super) fn clock(&self) -> Arc<dyn Clock> {
        Arc::<ShiftedClock>::clone(&self.clock)
    }

    /// The index of this name, if the catalog has it.
    pub(super) fn find(&self, name: &str) -> Option<Arc<Index>> {
        self.catalog.indexes().into_iter().find(|index| index.config.name.as_str() == name)
    }

    /// The backup of this name that is Ready, if the catalog has it.
    pub(super) fn find_backup(&self, name: &str) -> Option<Arc<Backup>> {
        let ready = |backup: &Arc<Backup>| backup.status == BackupStatus::Ready;
        let named = |backup: &Arc<Backup>| backup.name.as_deref() == Some(name);
        self.catalog.backups().into_iter().find(|backup| named(backup) && ready(backup))
    }

    /// From this moment on another process may write: what this one reads may be as old.
    pub(super) fn meet_rival(&self, moment: u64) {
        self.rivalled_since.fetch_min(moment, Ordering::Relaxed);
    }

    /// Whether another process uses the store as well, or did. The collector of the one may then take log
    /// objects that the other is about to read, and is told of damage: only the lock of the data directory
    /// keeps that from happening.
    pub(super) fn has_rival(&self) -> bool {
        self.rivalled_since.load(Ordering::Relaxed) != u64::MAX
    }

    /// A write that began at this moment was answered, so the database was this process's then.
    pub(super) fn note_owned(&self, index: IndexId, begin: u64) {
        let mut owned = self.owned_at.lock();
        let last = owned.entry(index).or_default();
        *last = begin.max(*last);
    }

    /// The oldest state that a read which begins now may show. A process that was fenced learns of it
    /// only when it writes, so until then it shows what it last owned.
    pub(super) fn seen_from(&self, index: IndexId, now: u64) -> u64 {
        let rivalled = self.rivalled_since.load(Ordering::Relaxed);
        let owned = self.owned_at.lock().get(&index).copied().unwrap_or(0);
        now.min(rivalled.max(owned))
    }
}
