//! A service over a store in memory, as the binary starts it.

use std::sync::Arc;
use std::time::Duration;

use lodgepole_api::ApiVersion;
use lodgepole_api::parse::Rules;
use lodgepole_catalog::{Catalog, CatalogOptions, PortRange};
use lodgepole_engine::{Engine, EngineOptions, IndexFrom};
use lodgepole_service::{
    IndexHosts, PortBinder, PortError, RequestContext, Service, ServiceParts, Transport,
};
use lodgepole_storage::object_store::ObjectStore;
use lodgepole_storage::{ShiftedClock, Sources, Storage, StorageOptions};
use lodgepole_types::{BoxFuture, SeededRng, causes};

/// Rows that make a segment.
const SEGMENT_ROWS: u64 = 10;
/// Small, so that a few records make files, and files are merged.
const MEMTABLE_BYTES: usize = 8 << 10;

/// Ports that exist only here.
#[derive(Debug)]
struct NoSockets;

impl PortBinder for NoSockets {
    fn bind(&self, _: u16) -> BoxFuture<'_, Result<(), PortError>> {
        Box::pin(async { Ok(()) })
    }

    fn release(&self, _: u16) {}
}

/// One life of a server.
pub(crate) struct Server {
    pub(crate) clock: Arc<ShiftedClock>,
    pub(crate) catalog: Catalog,
    pub(crate) engine: Arc<Engine>,
    pub(crate) service: Service,
}

impl Server {
    /// Opens the store and puts right what was cut off.
    ///
    /// # Errors
    /// The text that an operator would be shown.
    pub(crate) async fn start(
        store: Arc<dyn ObjectStore>,
        clock: Arc<ShiftedClock>,
        seed: u64,
    ) -> Result<Self, String> {
        let rng = Arc::new(SeededRng::new(seed));
        let options = Self::storage_options();
        let storage =
            Storage::on_store(store, Arc::clone(&clock) as _, Arc::clone(&rng) as _, options);
        Self::start_over(storage, clock, rng).await
    }

    pub(crate) fn storage_options() -> StorageOptions {
        StorageOptions {
            block_cache_bytes: 1 << 20,
            memtable_bytes: MEMTABLE_BYTES,
            ..StorageOptions::default()
        }
    }

    /// The same, over any storage.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub(crate) async fn start_over(
        storage: Storage,
        clock: Arc<ShiftedClock>,
        rng: Arc<SeededRng>,
    ) -> Result<Self, String> {
        let ports = PortRange::new(5_081, 5_180).ok_or("no ports")?;
        let catalog = Catalog::open(&storage, CatalogOptions::new(ports))
            .await
            .map_err(|error| causes(&error))?;
        let options = EngineOptions {
            search_threads: 1,
            index_from: IndexFrom { rows: SEGMENT_ROWS, bytes: u64::MAX },
            segment_grace: Duration::ZERO,
            ..EngineOptions::default()
        };
        let engine = Engine::new(storage, options).map_err(|error| causes(&error))?;
        let service = Service::new(ServiceParts {
            catalog: catalog.clone(),
            engine: Arc::clone(&engine),
            clock: Arc::clone(&clock) as _,
            rng,
            ports: Arc::new(NoSockets),
            rules: Rules::default(),
            sources: Sources::default(),
        });
        service.settle().await.map_err(|error| causes(&error))?;
        service.open_ports().await.map_err(|error| causes(&error))?;
        Ok(Self { clock, catalog, engine, service })
    }
}

pub(crate) fn context() -> RequestContext {
    RequestContext {
        version: ApiVersion::V2025_10,
        transport: Transport::Rest,
        hosts: IndexHosts::on_ports_of("localhost", "http://"),
        request_id: "rot".to_owned(),
    }
}
