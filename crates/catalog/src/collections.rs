//! Collections: static copies of pod indexes, each a backup row under a name of its own.
//!
//! WHY no rows of their own: a collection holds what a backup holds, is made in the same order of
//! steps and keeps the same data alive, so settling and reaping know it already. What differs is
//! who sees it: a collection is not listed among the backups, an index that is made from one has no
//! restore job to show, and a collection that was cut off is gone instead of Failed.
//!
//! Invariant: names of collections are unique among collections; indexes are named apart from them.

use std::sync::Arc;

use lodgepole_types::{Backup, BackupStatus, IndexId, IndexName};

use crate::rows::RowKey;
use crate::{Catalog, CatalogError, Contents};

impl Catalog {
    /// Takes a collection out and answers what it was, for its pin to be given up.
    ///
    /// # Errors
    /// `NotFound` for an unknown name; `FailedPrecondition` while it is being made, or an index is
    /// being made from it; `Unavailable` when the store fails.
    pub async fn delete_collection(&self, name: &IndexName) -> Result<Arc<Backup>, CatalogError> {
        self.commit(|contents, transaction| {
            let backup = contents
                .collection(name)
                .ok_or_else(|| CatalogError::CollectionNotFound(name.clone()))?;
            if backup.status == BackupStatus::Initializing {
                return Err(CatalogError::CollectionNotReady(name.clone()));
            }
            let readers: Vec<_> =
                contents.readers_of(backup.id).map(|job| job.target_index_name.clone()).collect();
            if !readers.is_empty() {
                return Err(CatalogError::CollectionInUse(readers));
            }
            transaction.remove(RowKey::Backup(backup.id));
            Ok(backup)
        })
        .await
    }
}

/// Refuses a name that another collection has.
pub(crate) fn check_name_is_free(
    contents: &Contents,
    name: &IndexName,
) -> Result<(), CatalogError> {
    match contents.collection(name) {
        Some(_) => Err(CatalogError::NameTaken),
        None => Ok(()),
    }
}

/// The collections of an index that are being made, by name.
pub(crate) fn pending(contents: &Contents, index: IndexId) -> Vec<IndexName> {
    let collections = contents.collections();
    let pending = collections.iter().filter(|backup| {
        backup.source_index_id == index && backup.status == BackupStatus::Initializing
    });
    pending.filter_map(|backup| backup.collection().cloned()).collect()
}

#[cfg(test)]
mod tests;
