//! Tests of the engine as a whole, over a store in memory. What they share stands here.

mod audit;
mod budgets;
mod deletion;
mod filtered;
mod indexing;
mod lifecycle;
mod model;
mod reading;
mod segment_model;
mod segment_moments;
mod segment_races;
mod tail_loading;
mod writes;

use std::sync::Arc;

use lodgepole_storage::local::{LocalOptions, LocalStore};
use lodgepole_storage::object_store::ObjectStore;
use lodgepole_storage::object_store::memory::InMemory;
use lodgepole_storage::{ShiftedClock, Storage, StorageOptions, SystemClock};
use lodgepole_types::{
    DenseField, IndexId, Limits, Metadata, Metric, NamespaceName, Record, RecordId, Rng, SeededRng,
};

use crate::{Effort, Engine, EngineOptions, Near, Query, ShardRef};

/// An engine over a store that outlives it, so that tests can open it again.
pub(crate) struct Bench {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) clock: Arc<ShiftedClock>,
    pub(crate) rng: Arc<SeededRng>,
    pub(crate) engine: Arc<Engine>,
    pub(crate) options: EngineOptions,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(EngineOptions::default())
    }

    pub(crate) fn with(options: EngineOptions) -> Self {
        let clock = Arc::new(ShiftedClock::new(Arc::new(SystemClock::new())));
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let rng = Arc::new(SeededRng::new(42));
        let engine = start(&store, &clock, &rng, options.clone());
        Self { store, clock, rng, engine, options }
    }

    /// On a folder of the local disk, with syncs, as in production. The folder goes with the guard.
    pub(crate) fn on_disk(options: EngineOptions) -> (Self, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let store = LocalStore::open(folder.path(), LocalOptions::default()).unwrap();
        let clock = Arc::new(ShiftedClock::new(Arc::new(SystemClock::new())));
        let store: Arc<dyn ObjectStore> = Arc::new(store);
        let rng = Arc::new(SeededRng::new(42));
        let engine = start(&store, &clock, &rng, options.clone());
        (Self { store, clock, rng, engine, options }, folder)
    }

    /// Closes the engine and opens another one on the same store.
    pub(crate) async fn reopen(&mut self) {
        self.engine.shutdown().await;
        self.engine = start(&self.store, &self.clock, &self.rng, self.options.clone());
    }

    pub(crate) fn new_index(&self, dimension: u32, metric: Metric) -> ShardRef {
        let index = IndexId::random(self.rng.as_ref());
        ShardRef { index, dense: Some(DenseField { dimension, metric }) }
    }

    pub(crate) async fn create(&self, dimension: u32, metric: Metric) -> ShardRef {
        let shard = self.new_index(dimension, metric);
        self.engine.create(shard).await.unwrap();
        shard
    }
}

fn start(
    store: &Arc<dyn ObjectStore>,
    clock: &Arc<ShiftedClock>,
    rng: &Arc<SeededRng>,
    options: EngineOptions,
) -> Arc<Engine> {
    let (clock, rng): (Arc<ShiftedClock>, Arc<SeededRng>) = (Arc::clone(clock), Arc::clone(rng));
    let storage = Storage::on_store(Arc::clone(store), clock, rng, StorageOptions::default());
    Engine::new(storage, options).unwrap()
}

pub(crate) fn ns(name: &str) -> NamespaceName {
    NamespaceName::parse(name).unwrap()
}

pub(crate) fn id(text: &str) -> RecordId {
    RecordId::parse(text).unwrap()
}

pub(crate) fn metadata(json: &str) -> Metadata {
    Metadata::parse(serde_json::from_str(json).unwrap(), &Limits::default()).unwrap()
}

pub(crate) fn record(name: &str, values: &[f32]) -> Record {
    let metadata = metadata(&format!(r#"{{"name":"{name}"}}"#));
    Record { id: id(name), values: values.to_vec(), sparse: None, metadata }
}

pub(crate) fn near(values: &[f32], top_k: u32) -> Query {
    Query {
        near: Near::Dense(values.to_vec()),
        top_k,
        filter: None,
        include_values: true,
        include_metadata: true,
        effort: Effort::default(),
    }
}

/// A vector of small whole numbers, so that scores are exact.
pub(crate) fn small_vector(rng: &dyn Rng, dimension: u32) -> Vec<f32> {
    (0..dimension).map(|_| f32::from(i8::try_from(rng.next_u64() % 17).unwrap() - 8)).collect()
}
