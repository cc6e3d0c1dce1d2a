//! The rows of backups.
//!
//! The row comes first, as Initializing, then the checkpoint is taken under the backup's id, then
//! the row turns Ready. So whatever a crash cuts off can be found: an Initializing row, or a
//! checkpoint whose name no row has.

use std::sync::Arc;

use lodgepole_types::{Backup, BackupId, BackupPurpose, BackupStatus, IndexId, Lsn, Timestamp};
use uuid::Uuid;

use crate::rows::{Row, RowKey};
use crate::{Catalog, CatalogError, Contents, collections};

/// A backup to be.
#[derive(Debug, Clone, PartialEq)]
pub struct NewBackup {
    /// Its identity; never used before.
    pub id: BackupId,
    /// The live index that it is made of.
    pub source_index_id: IndexId,
    /// Name given by the user.
    pub name: Option<String>,
    /// Description given by the user.
    pub description: Option<String>,
    /// When the call arrived.
    pub created_at: Timestamp,
    /// Why it is taken.
    pub purpose: BackupPurpose,
    /// When it is to be deleted, if ever.
    pub expires_at: Option<Timestamp>,
}

/// What the checkpoint of a backup holds.
#[derive(Debug, Clone, PartialEq)]
pub struct BackupCut {
    /// The last write in it.
    pub lsn: Lsn,
    /// Records in it, over all namespaces.
    pub record_count: u64,
    /// Namespaces in it.
    pub namespace_count: u64,
    /// Bytes of ids, values and metadata of its records.
    pub size_bytes: u64,
    /// The pin on the source's database.
    pub checkpoint: Uuid,
    /// The search segments it needs, in any order.
    pub segments: Vec<String>,
}

impl Catalog {
    /// Adds a backup as Initializing, with the configuration that its index has at this moment.
    ///
    /// # Errors
    /// `NotFound` when no such index lives; `AlreadyExists` for the content of a collection whose
    /// name is taken; `Unavailable` when the store fails.
    pub async fn insert_backup(&self, new: NewBackup) -> Result<Arc<Backup>, CatalogError> {
        self.commit(|contents, transaction| {
            let id = new.source_index_id;
            let index = contents.index_by_id(id).ok_or(CatalogError::IndexIdNotFound(id))?;
            if contents.backup(new.id).is_some() {
                return Err(CatalogError::Misuse("the id of a backup was used before"));
            }
            if let BackupPurpose::Collection(name) = &new.purpose {
                collections::check_name_is_free(contents, name)?;
            }
            let backup = Arc::new(Backup {
                id: new.id,
                source_index_id: id,
                source: index.config.clone(),
                name: new.name,
                description: new.description,
                status: BackupStatus::Initializing,
                created_at: new.created_at,
                lsn: Lsn::default(),
                record_count: 0,
                namespace_count: 0,
                size_bytes: 0,
                checkpoint: None,
                segments: Vec::new(),
                source_index_deleted_at: None,
                purpose: new.purpose,
                expires_at: new.expires_at,
            });
            transaction.put(Row::Backup(Arc::clone(&backup)));
            Ok(backup)
        })
        .await
    }

    /// Makes an Initializing backup Ready. Its index may have been deleted meanwhile.
    ///
    /// # Errors
    /// `NotFound` for an unknown backup; `Conflict` when it has ended before; `Unavailable` when
    /// the store fails.
    pub async fn complete_backup(
        &self,
        id: BackupId,
        cut: BackupCut,
    ) -> Result<Arc<Backup>, CatalogError> {
        self.commit(|contents, transaction| {
            let mut backup = initializing(contents, id)?;
            let mut segments = cut.segments;
            segments.sort_unstable();
            segments.dedup();
            backup.status = BackupStatus::Ready;
            backup.lsn = cut.lsn;
            backup.record_count = cut.record_count;
            backup.namespace_count = cut.namespace_count;
            backup.size_bytes = cut.size_bytes;
            backup.checkpoint = Some(cut.checkpoint);
            backup.segments = segments;
            let backup = Arc::new(backup);
            transaction.put(Row::Backup(Arc::clone(&backup)));
            Ok(backup)
        })
        .await
    }

    /// Makes an Initializing backup Failed: it holds nothing. The row of a collection goes
    /// altogether, since collections have no such state and nobody was told of this one.
    ///
    /// # Errors
    /// As [`Self::complete_backup`].
    pub async fn fail_backup(&self, id: BackupId) -> Result<Arc<Backup>, CatalogError> {
        self.commit(|contents, transaction| {
            let mut backup = initializing(contents, id)?;
            backup.status = BackupStatus::Failed;
            let backup = Arc::new(backup);
            if backup.collection().is_some() {
                transaction.remove(RowKey::Backup(id));
            } else {
                transaction.put(Row::Backup(Arc::clone(&backup)));
            }
            Ok(backup)
        })
        .await
    }

    /// Takes a backup out and answers what it was, for its pin to be given up. From here on no
    /// restore can begin from it.
    ///
    /// # Errors
    /// `NotFound` for an unknown backup and for a collection's; `FailedPrecondition` while it is Initializing or a pending
    /// restore job reads it; `Unavailable` when the store fails.
    pub async fn delete_backup(&self, id: BackupId) -> Result<Arc<Backup>, CatalogError> {
        self.commit(|contents, transaction| {
            let backup = contents.listed_backup(id).ok_or(CatalogError::BackupNotFound(id))?;
            if backup.status == BackupStatus::Initializing {
                return Err(CatalogError::BackupNotReady(id));
            }
            let readers: Vec<_> = contents.readers_of(id).map(|job| job.id).collect();
            if !readers.is_empty() {
                return Err(CatalogError::BackupInUse(readers));
            }
            transaction.remove(RowKey::Backup(id));
            Ok(backup)
        })
        .await
    }
}

fn initializing(contents: &Contents, id: BackupId) -> Result<Backup, CatalogError> {
    let backup = contents.backup(id).ok_or(CatalogError::BackupNotFound(id))?;
    if backup.status != BackupStatus::Initializing {
        return Err(CatalogError::AlreadyEnded { what: "Backup", id: id.as_uuid() });
    }
    Ok(Arc::unwrap_or_clone(backup))
}

#[cfg(test)]
mod tests;
