//! Creating, changing and deleting indexes.

use std::collections::BTreeSet;
use std::sync::Arc;

use lodgepole_types::{
    BackupId, BackupStatus, DeletionProtection, Index, IndexConfig, IndexId, IndexName, Timestamp,
};

use crate::catalog::Transaction;
use crate::rows::{PortRow, Row, RowKey};
use crate::{Catalog, CatalogError, Contents, HiddenIndex, PortRange, collections, ports};

/// An index to be.
#[derive(Debug, Clone, PartialEq)]
pub struct NewIndex {
    /// Its identity; never used before.
    pub id: IndexId,
    /// What was asked for.
    pub config: IndexConfig,
    /// When it was asked for.
    pub created_at: Timestamp,
}

impl Catalog {
    /// Adds an index and gives it a port: the one its name had before, if any.
    ///
    /// # Errors
    /// `AlreadyExists` when a live index or a pending restore job has the name;
    /// `FailedPrecondition` when no port is left; `Unavailable` when the store fails.
    pub async fn create_index(&self, new: NewIndex) -> Result<Arc<Index>, CatalogError> {
        self.commit(|contents, transaction| {
            if contents.owns(new.id) {
                return Err(CatalogError::Misuse("the id of an index was used before"));
            }
            check_name_is_free(contents, &new.config.name)?;
            add_index(contents, transaction, self.options().ports, new, Source::Nothing)
        })
        .await
    }

    /// Changes the configuration of an index by `change`, which sees the current one. When `change`
    /// refuses, or changes nothing, nothing is written.
    ///
    /// # Errors
    /// `NotFound` for an unknown name; what `change` answers; `Internal` when `change` touches the
    /// name, the dimension or the metric, which never change; `Unavailable` when the store fails.
    pub async fn configure_index<E>(
        &self,
        name: &IndexName,
        change: impl FnOnce(&mut IndexConfig) -> Result<(), E>,
    ) -> Result<Arc<Index>, E>
    where
        E: From<CatalogError>,
    {
        self.commit(|contents, transaction| {
            let before = live(contents, name)?;
            let mut after = Index::clone(&before);
            change(&mut after.config)?;
            let same_data = after.config.name == before.config.name
                && after.config.dense == before.config.dense;
            if !same_data {
                return Err(CatalogError::Misuse(
                    "a change of the name, dimension or metric of an index",
                )
                .into());
            }
            if after == *before {
                return Ok(before);
            }
            let after = Arc::new(after);
            transaction.put(Row::Index(Arc::clone(&after)));
            Ok(after)
        })
        .await
    }

    /// Deletes an index for the user: the name is free, the port belongs to the name, its schedules
    /// go, the backups stay and say that their index is gone. The index itself becomes hidden, because its data
    /// stays until nothing needs it any more; [`Self::forget_hidden`] ends that.
    ///
    /// # Errors
    /// `NotFound` for an unknown name; `Forbidden` while it is protected; `FailedPrecondition`
    /// while a collection of it is being made; `Unavailable` when the store fails.
    pub async fn delete_index(
        &self,
        name: &IndexName,
        now: Timestamp,
    ) -> Result<Arc<Index>, CatalogError> {
        self.commit(|contents, transaction| {
            let index = live(contents, name)?;
            if index.config.deletion_protection == DeletionProtection::Enabled {
                return Err(CatalogError::DeletionProtected);
            }
            let pending = collections::pending(contents, index.id);
            if !pending.is_empty() {
                return Err(CatalogError::PendingCollections(pending));
            }
            let hidden = HiddenIndex { index: Index::clone(&index), deleted_at: now };
            transaction.remove(RowKey::Index(index.id));
            transaction.put(Row::Hidden(Arc::new(hidden)));
            let freed = Some(ports::next_freed(contents.ports()));
            transaction.put(Row::Port(name.clone(), PortRow { port: index.port, freed }));
            for schedule in contents.schedules_of(index.id) {
                transaction.remove(RowKey::Schedule(schedule.id));
            }
            for backup in contents.backups_of(index.id) {
                let mut backup = Arc::unwrap_or_clone(backup);
                backup.source_index_deleted_at = Some(now);
                transaction.put(Row::Backup(Arc::new(backup)));
            }
            Ok(index)
        })
        .await
    }

    /// Gives a live index another port than those in `unusable`, for when another program holds its
    /// own. Its name keeps the new one.
    ///
    /// # Errors
    /// `NotFound` for an unknown id; `FailedPrecondition` when no port is left; `Unavailable` when
    /// the store fails.
    pub async fn move_index(
        &self,
        id: IndexId,
        unusable: &BTreeSet<u16>,
    ) -> Result<Arc<Index>, CatalogError> {
        self.commit(|contents, transaction| {
            let mut index = Arc::unwrap_or_clone(
                contents.index_by_id(id).ok_or(CatalogError::IndexIdNotFound(id))?,
            );
            let range = self.options().ports;
            index.port = take_port(contents, transaction, &index.config.name, range, unusable)?;
            let index = Arc::new(index);
            transaction.put(Row::Index(Arc::clone(&index)));
            Ok(index)
        })
        .await
    }

    /// Forgets a hidden index, after its data has been removed. Safe to repeat.
    ///
    /// # Errors
    /// `FailedPrecondition` while a backup of it exists that can be or become Ready; `Unavailable`
    /// when the store fails.
    pub async fn forget_hidden(&self, id: IndexId) -> Result<(), CatalogError> {
        self.commit(|contents, transaction| {
            if contents.hidden_by_id(id).is_none() {
                return Ok(());
            }
            let mut backups = contents.backups_of(id).into_iter();
            if backups.any(|backup| backup.status != BackupStatus::Failed) {
                return Err(CatalogError::IndexHasBackups(id));
            }
            transaction.remove(RowKey::Hidden(id));
            Ok(())
        })
        .await
    }
}

/// What an index is made from.
#[derive(Debug)]
pub(crate) enum Source {
    Nothing,
    Backup(BackupId),
    Collection(IndexName),
}

/// Adds the rows of a new index to a transaction. The name has been checked.
pub(crate) fn add_index(
    contents: &Contents,
    transaction: &mut Transaction,
    range: PortRange,
    new: NewIndex,
    source: Source,
) -> Result<Arc<Index>, CatalogError> {
    let name = &new.config.name;
    let port = take_port(contents, transaction, name, range, &BTreeSet::new())?;
    let (source_backup_id, source_collection) = match source {
        Source::Nothing => (None, None),
        Source::Backup(id) => (Some(id), None),
        Source::Collection(name) => (None, Some(name)),
    };
    let index = Arc::new(Index {
        id: new.id,
        config: new.config,
        created_at: new.created_at,
        port,
        source_backup_id,
        source_collection,
    });
    transaction.put(Row::Index(Arc::clone(&index)));
    Ok(index)
}

/// Refuses a name that a live index has, or that a pending restore job will give to one.
pub(crate) fn check_name_is_free(
    contents: &Contents,
    name: &IndexName,
) -> Result<(), CatalogError> {
    let reserved = contents.pending_jobs().any(|job| job.target_index_name == *name);
    if reserved || contents.index(name).is_some() {
        return Err(CatalogError::NameTaken);
    }
    Ok(())
}

fn take_port(
    contents: &Contents,
    transaction: &mut Transaction,
    name: &IndexName,
    range: PortRange,
    unusable: &BTreeSet<u16>,
) -> Result<u16, CatalogError> {
    let assignment = ports::assign(contents.ports(), name, range, unusable)
        .ok_or(CatalogError::PortsExhausted { first: range.first(), last: range.last() })?;
    if let Some(displaced) = assignment.displaced {
        transaction.remove(RowKey::Port(displaced));
    }
    let port = assignment.port;
    transaction.put(Row::Port(name.clone(), PortRow { port, freed: None }));
    Ok(port)
}

fn live(contents: &Contents, name: &IndexName) -> Result<Arc<Index>, CatalogError> {
    contents.index(name).ok_or_else(|| CatalogError::IndexNotFound(name.clone()))
}

#[cfg(test)]
mod tests;
