//! Tests of the service over real parts and a store in memory. What they share stands here.

mod backups;
mod collections;
mod crashes;
mod cut_off;
mod data;
mod imports;
mod indexes;
mod inventory;
mod models;
mod reaping;
mod retries;
mod schedules;
mod search;
mod segments;
mod strays;
mod vectors;
mod verify;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lodgepole_api::parse::Rules;
use lodgepole_api::wire::vectors::{
    DescribeIndexStatsRequest, QueryRequest, QueryResponse, UpsertRequest, Vector,
};
use lodgepole_api::{ApiError, ApiVersion};
use lodgepole_catalog::{Catalog, CatalogOptions, PortRange};
use lodgepole_engine::{Engine, EngineOptions, IndexFrom};
use lodgepole_storage::object_store::ObjectStore;
use lodgepole_storage::object_store::memory::InMemory;
use lodgepole_storage::{
    ShiftedClock, SourceOptions, Sources, Storage, StorageOptions, SystemClock,
};
use lodgepole_types::{BoxFuture, Index, SeededRng};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::{IndexHosts, PortBinder, PortError, RequestContext, Service, ServiceParts, Transport};

/// Ports that exist only here.
#[derive(Debug, Default)]
pub(crate) struct FakePorts {
    pub(crate) open: Mutex<BTreeSet<u16>>,
    /// Ports that "another program" holds.
    pub(crate) held: Mutex<BTreeSet<u16>>,
}

impl PortBinder for FakePorts {
    fn bind(&self, port: u16) -> BoxFuture<'_, Result<(), PortError>> {
        Box::pin(async move {
            if self.held.lock().unwrap().contains(&port) {
                return Err(PortError { port, reason: "in use".to_owned() });
            }
            self.open.lock().unwrap().insert(port);
            Ok(())
        })
    }

    fn release(&self, port: u16) {
        self.open.lock().unwrap().remove(&port);
    }
}

/// A service over a store that outlives it.
pub(crate) struct Bench {
    store: Arc<dyn ObjectStore>,
    pub(crate) clock: Arc<ShiftedClock>,
    rng: Arc<SeededRng>,
    pub(crate) ports: Arc<FakePorts>,
    pub(crate) catalog: Catalog,
    pub(crate) engine: Arc<Engine>,
    pub(crate) service: Service,
    options: EngineOptions,
    sources: Sources,
    /// The batches that imports may stage, also after a restart; without bound at first.
    pub(crate) import_batches: Arc<Semaphore>,
}

fn unheld() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(Semaphore::MAX_PERMITS))
}

pub(crate) const FIRST_PORT: u16 = 5081;

impl Bench {
    pub(crate) async fn new() -> Self {
        let clock = Arc::new(ShiftedClock::new(Arc::new(SystemClock::new())));
        Self::over(Arc::new(InMemory::new()), clock, Arc::new(SeededRng::new(7))).await
    }

    /// A service over this store, which works.
    pub(crate) async fn over(
        store: Arc<dyn ObjectStore>,
        clock: Arc<ShiftedClock>,
        rng: Arc<SeededRng>,
    ) -> Self {
        Self::try_over(store, clock, rng).await.unwrap()
    }

    /// A service that may import from this folder.
    pub(crate) async fn importing(folder: &Path) -> Self {
        let clock = Arc::new(ShiftedClock::new(Arc::new(SystemClock::new())));
        let folders = vec![folder.to_owned()];
        let sources = Sources::new(SourceOptions { folders, ..SourceOptions::default() });
        let (store, rng) = (Arc::new(InMemory::new()), Arc::new(SeededRng::new(7)));
        let options = EngineOptions::default();
        Self::with_sources(store, clock, rng, options, (sources, unheld())).await.unwrap()
    }

    /// A service with these settings of the engine.
    pub(crate) async fn with(options: EngineOptions) -> Self {
        let clock = Arc::new(ShiftedClock::new(Arc::new(SystemClock::new())));
        let (store, rng) = (Arc::new(InMemory::new()), Arc::new(SeededRng::new(7)));
        let sources = (Sources::default(), unheld());
        Self::with_sources(store, clock, rng, options, sources).await.unwrap()
    }

    /// A service that makes segments of few rows, and removes them as soon as they are of no use.
    pub(crate) async fn indexing() -> Self {
        Self::with(EngineOptions {
            index_from: IndexFrom { rows: 50, bytes: u64::MAX },
            segment_grace: Duration::ZERO,
            ..EngineOptions::default()
        })
        .await
    }

    /// A service over this store; `None` when the store fails.
    pub(crate) async fn try_over(
        store: Arc<dyn ObjectStore>,
        clock: Arc<ShiftedClock>,
        rng: Arc<SeededRng>,
    ) -> Option<Self> {
        let options = EngineOptions::default();
        Self::with_sources(store, clock, rng, options, (Sources::default(), unheld())).await
    }

    async fn with_sources(
        store: Arc<dyn ObjectStore>,
        clock: Arc<ShiftedClock>,
        rng: Arc<SeededRng>,
        options: EngineOptions,
        (sources, import_batches): (Sources, Arc<Semaphore>),
    ) -> Option<Self> {
        let ports = Arc::new(FakePorts::default());
        let storage = Storage::on_store(
            Arc::clone(&store),
            Arc::clone(&clock) as _,
            Arc::clone(&rng) as _,
            StorageOptions::default(),
        );
        let range = PortRange::new(FIRST_PORT, FIRST_PORT + 99).unwrap();
        let catalog = Catalog::open(&storage, CatalogOptions::new(range)).await.ok()?;
        let engine = Engine::new(storage, options.clone()).unwrap();
        let service = Service::new(ServiceParts {
            catalog: catalog.clone(),
            engine: Arc::clone(&engine),
            clock: Arc::clone(&clock) as _,
            rng: Arc::clone(&rng) as _,
            ports: Arc::clone(&ports) as _,
            rules: Rules::default(),
            sources: sources.clone(),
            import_batches: Arc::clone(&import_batches),
        });
        service.settle().await.ok()?;
        service.open_ports().await.ok()?;
        Some(Self {
            store,
            clock,
            rng,
            ports,
            catalog,
            engine,
            service,
            options,
            sources,
            import_batches,
        })
    }

    /// Stops the service and starts another one over the same store.
    pub(crate) async fn restarted(self) -> Self {
        self.service.shutdown().await;
        let Self { store, clock, rng, options, sources, import_batches, .. } = self;
        Self::with_sources(store, clock, rng, options, (sources, import_batches)).await.unwrap()
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    pub(crate) async fn create(&self, name: &str) -> Arc<Index> {
        let body = index_body(name).to_string();
        self.service.create_index(&ctx(), body.as_bytes()).await.unwrap();
        self.index(name)
    }

    pub(crate) fn index(&self, name: &str) -> Arc<Index> {
        let found = self.catalog.indexes();
        found.into_iter().find(|index| index.config.name.as_str() == name).unwrap()
    }

    /// Stores records named `r0`, `r1`, … in the default namespace.
    pub(crate) async fn fill(&self, name: &str, numbers: std::ops::Range<u16>) {
        let request = upserted_range(numbers);
        self.service.upsert(&ctx(), &self.index(name), request).await.unwrap();
    }

    pub(crate) async fn count(&self, name: &str) -> u32 {
        let request = DescribeIndexStatsRequest::default();
        let index = self.index(name);
        let reply = self.service.describe_index_stats(&ctx(), &index, request).await.unwrap();
        reply.message.total_vector_count
    }

    pub(crate) async fn nearest(&self, name: &str) -> QueryResponse {
        let request = QueryRequest { vector: vec![1.0, 5.0], top_k: 50, ..QueryRequest::default() };
        self.service.query(&ctx(), &self.index(name), request).await.unwrap().message
    }

    /// Takes a backup; answers its id.
    pub(crate) async fn backup(&self, name: &str) -> String {
        let reply = self.service.create_backup(&ctx(), name, b"{}").await.unwrap();
        text(&to_json(&reply)["backup_id"])
    }

    pub(crate) async fn restore(&self, backup: &str, name: &str) -> Result<Value, ApiError> {
        let body = json!({ "name": name }).to_string();
        let reply = self.service.create_index_from_backup(&ctx(), backup, body.as_bytes()).await;
        reply.map(|reply| to_json(&reply))
    }

    pub(crate) async fn delete_index(&self, name: &str) {
        self.service.delete_index(&ctx(), name).await.unwrap();
    }
}

/// A request at this version.
pub(crate) fn at(version: ApiVersion) -> RequestContext {
    RequestContext {
        version,
        transport: Transport::Rest,
        hosts: IndexHosts::on_ports_of("localhost", "http://"),
        request_id: "r".to_owned(),
    }
}

pub(crate) fn ctx() -> RequestContext {
    at(ApiVersion::V2025_10)
}

pub(crate) fn index_body(name: &str) -> Value {
    json!({
        "name": name,
        "dimension": 2,
        "spec": {"serverless": {"cloud": "aws", "region": "us-east-1"}},
        "tags": {"made": "here"},
    })
}

/// Records named `r0`, `r1`, … for the default namespace.
pub(crate) fn upserted_range(numbers: std::ops::Range<u16>) -> UpsertRequest {
    let vectors = numbers
        .map(|n| Vector {
            id: format!("r{n}"),
            values: vec![1.0, f32::from(n)],
            ..Vector::default()
        })
        .collect();
    UpsertRequest { vectors, namespace: String::new() }
}

pub(crate) fn to_json(reply: &impl Serialize) -> Value {
    serde_json::to_value(reply).unwrap()
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

pub(crate) fn status<T>(result: Result<T, ApiError>) -> u16 {
    match result {
        Ok(_) => 200,
        Err(error) => error.kind().http_status(),
    }
}
