//! What the tests of this crate share: a store in memory and short ways to make things.

mod failing_store;

use std::sync::Arc;

use lodgepole_storage::object_store::ObjectStore;
use lodgepole_storage::object_store::memory::InMemory;
use lodgepole_storage::{Storage, StorageOptions, SystemClock};
use lodgepole_types::{
    BackupId, BackupPurpose, DeletionProtection, DenseField, Deployment, IndexConfig, IndexId,
    IndexName, Lsn, Metric, ReadCapacity, RestoreJobId, SeededRng, Tags, Timestamp,
};
use uuid::Uuid;

use crate::{BackupCut, Catalog, CatalogOptions, NewBackup, NewIndex, NewRestoreJob, PortRange};

pub(crate) use failing_store::{FailingStore, Writes};

/// A store in memory; every clone of it, and every catalog opened on it, sees the same data.
pub(crate) fn memory() -> Storage {
    on(Arc::new(InMemory::new()))
}

/// A storage on `store` that hands up an error after a few attempts.
pub(crate) fn on(store: Arc<dyn ObjectStore>) -> Storage {
    with_retries(store, Some(2))
}

/// A storage on `store` that makes `retries_max` attempts; `None` goes on for ever.
pub(crate) fn with_retries(store: Arc<dyn ObjectStore>, retries_max: Option<u32>) -> Storage {
    let clock = Arc::new(SystemClock::new());
    let options = StorageOptions { retries_max, ..StorageOptions::default() };
    Storage::on_store(store, clock, Arc::new(SeededRng::new(1)), options)
}

/// Ports 10 to 10 + `ports` - 1, and all ended jobs remembered.
pub(crate) fn options(ports: u16) -> CatalogOptions {
    CatalogOptions::new(PortRange::new(10, 9 + ports).unwrap())
}

/// An open catalog with 100 ports on its storage.
pub(crate) async fn catalog() -> (Storage, Catalog) {
    let storage = memory();
    let catalog = Catalog::open(&storage, options(100)).await.unwrap();
    (storage, catalog)
}

/// Crashes the catalog and opens it again, with 100 ports.
pub(crate) async fn reopened(storage: &Storage, catalog: Catalog) -> Catalog {
    catalog.crash().await;
    Catalog::open(storage, options(100)).await.unwrap()
}

pub(crate) fn name(text: &str) -> IndexName {
    IndexName::parse(text).unwrap()
}

pub(crate) fn at(millis: i64) -> Timestamp {
    Timestamp(millis)
}

pub(crate) fn index_id(n: u128) -> IndexId {
    IndexId::from_uuid(Uuid::from_u128(n))
}

pub(crate) fn backup_id(n: u128) -> BackupId {
    BackupId::from_uuid(Uuid::from_u128(n))
}

pub(crate) fn job_id(n: u128) -> RestoreJobId {
    RestoreJobId::from_uuid(Uuid::from_u128(n))
}

pub(crate) fn config(text: &str) -> IndexConfig {
    IndexConfig {
        name: name(text),
        dense: Some(DenseField { dimension: 4, metric: Metric::Cosine }),
        deployment: Deployment::Serverless {
            cloud: "aws".to_owned(),
            region: "us-east-1".to_owned(),
        },
        read_capacity: ReadCapacity::OnDemand,
        deletion_protection: DeletionProtection::Disabled,
        tags: Tags::default(),
        metadata_schema: None,
        embed: None,
        cmek_id: None,
    }
}

/// An index named `text` with the id `n`, created at `n` milliseconds.
pub(crate) fn new_index(n: u128, text: &str) -> NewIndex {
    NewIndex { id: index_id(n), config: config(text), created_at: moment(n) }
}

/// A backup with the id `n` of the index with the id `source`, made at `n` milliseconds.
pub(crate) fn new_backup(n: u128, source: u128) -> NewBackup {
    NewBackup {
        id: backup_id(n),
        source_index_id: index_id(source),
        name: None,
        description: None,
        created_at: moment(n),
        purpose: BackupPurpose::User,
        expires_at: None,
    }
}

/// The content of a collection named `text`: a backup with the id `n`, as [`new_backup`].
pub(crate) fn new_collection(n: u128, source: u128, text: &str) -> NewBackup {
    NewBackup { purpose: BackupPurpose::Collection(name(text)), ..new_backup(n, source) }
}

/// What a checkpoint holds: everything is derived from `n`.
pub(crate) fn cut(n: u64) -> BackupCut {
    BackupCut {
        lsn: Lsn(n),
        record_count: n * 2,
        namespace_count: 1,
        size_bytes: n * 100,
        checkpoint: Uuid::from_u128(u128::from(n)),
        segments: vec!["b".to_owned(), "a".to_owned(), "b".to_owned()],
    }
}

/// A job with the id `n` that makes the index `target` named `text` from the backup `backup`.
pub(crate) fn new_job(n: u128, backup: u128, target: u128, text: &str) -> NewRestoreJob {
    NewRestoreJob {
        id: job_id(n),
        backup_id: backup_id(backup),
        target_index_name: name(text),
        target_index_id: index_id(target),
        created_at: moment(n),
    }
}

fn moment(n: u128) -> Timestamp {
    at(i64::try_from(n).unwrap())
}
