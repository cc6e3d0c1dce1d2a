//! Removes the data of what was deleted, once nothing needs it.
//!
//! The engine decides from pins and from the [`Estate`], which is read anew from the catalog at
//! each of its steps; the catalog then forgets the indexes whose data is gone.

use std::collections::{BTreeMap, BTreeSet};

use lodgepole_api::ApiError;
use lodgepole_catalog::{Catalog, CatalogError};
use lodgepole_engine::{Estate, Reaped, Unfinished};
use lodgepole_types::{BackupStatus, IndexId, RestoreStatus};

use crate::rowless::Rowless;
use crate::service::{Service, shard_of};

impl Service {
    /// One round of cleaning up and reaping. Several, some time apart, are needed until everything
    /// that was deleted is gone.
    ///
    /// # Errors
    /// `Unavailable` when the store fails or an index is damaged; what could be done without it is done.
    pub async fn reap_once(&self) -> Result<Reaped, ApiError> {
        self.settle().await?;
        let (catalog, rowless) = (&self.shared.catalog, &self.shared.rowless);
        let round = self.shared.engine.reap(&|| estate(catalog, rowless)).await;
        let (reaped, failure) = match round {
            Ok(reaped) => (reaped, None),
            Err(Unfinished { reaped, cause }) => (reaped, Some(*cause)),
        };
        for index in &reaped.deleted {
            match catalog.forget_hidden(*index).await {
                Ok(()) => {}
                Err(CatalogError::IndexHasBackups(_)) => {
                    tracing::error!(%index, "an index was reaped although it has backups");
                }
                Err(error) => return Err(error.into()),
            }
        }
        failure.map_or(Ok(reaped), |cause| Err(cause.into()))
    }
}

/// What exists, as far as the engine must know.
fn estate(catalog: &Catalog, rowless: &Rowless) -> Estate {
    let rowless = rowless.all();
    let contents = catalog.contents();
    let mut backups: BTreeMap<IndexId, BTreeSet<String>> = BTreeMap::new();
    let mut segments = BTreeSet::new();
    let mut backups_under_way = false;
    for backup in contents.backups() {
        backups_under_way |= backup.status == BackupStatus::Initializing;
        segments.extend(backup.segments.iter().cloned());
        if backup.status != BackupStatus::Failed {
            backups.entry(backup.source_index_id).or_default().insert(backup.id.to_string());
        }
    }
    let pending = contents.restore_jobs().into_iter().filter(|job| {
        // A job cannot outlive its backup, so the source's files are safe through the row above.
        job.status == RestoreStatus::Pending
    });
    Estate {
        live: contents.indexes().iter().map(|index| shard_of(index)).collect(),
        hidden: contents.hidden().iter().map(|row| row.index.id).collect(),
        backups,
        restoring: pending.map(|job| job.target_index_id).chain(rowless).collect(),
        segments,
        backups_under_way,
    }
}
