//! The rows of restore jobs.
//!
//! A pending job holds three things: its backup, which cannot be deleted; the name of its target,
//! which nobody else can take; and the id of its target, whose half-made data is owned by it. It
//! ends with the index coming to life in the same transaction, or with nothing.

use std::sync::Arc;

use lodgepole_types::{
    BackupId, BackupStatus, Index, IndexId, IndexName, RestoreJob, RestoreJobId, RestoreStatus,
    Timestamp,
};

use crate::catalog::Transaction;
use crate::indexes::{Source, add_index, check_name_is_free};
use crate::rows::{Row, RowKey};
use crate::{Catalog, CatalogError, Contents, NewIndex};

/// A restore job to be.
#[derive(Debug, Clone, PartialEq)]
pub struct NewRestoreJob {
    /// Its identity; never used before.
    pub id: RestoreJobId,
    /// The backup it reads.
    pub backup_id: BackupId,
    /// The name of the index it makes.
    pub target_index_name: IndexName,
    /// The identity of the index it makes; never used before.
    pub target_index_id: IndexId,
    /// When the call arrived.
    pub created_at: Timestamp,
}

impl Catalog {
    /// Adds a restore job as Pending.
    ///
    /// # Errors
    /// `NotFound` for an unknown backup; `FailedPrecondition` when it is not Ready; `AlreadyExists`
    /// when a live index or another pending job has the name; `Unavailable` when the store fails.
    pub async fn begin_restore(&self, new: NewRestoreJob) -> Result<Arc<RestoreJob>, CatalogError> {
        self.commit(|contents, transaction| {
            let id = new.backup_id;
            let backup = contents.backup(id).ok_or(CatalogError::BackupNotFound(id))?;
            if backup.status != BackupStatus::Ready {
                return Err(match backup.collection() {
                    Some(name) => CatalogError::CollectionNotReady(name.clone()),
                    None => CatalogError::BackupNotReady(id),
                });
            }
            check_name_is_free(contents, &new.target_index_name)?;
            if contents.owns(new.target_index_id) || contents.restore_job(new.id).is_some() {
                return Err(CatalogError::Misuse("the id of a restore was used before"));
            }
            let job = Arc::new(RestoreJob {
                id: new.id,
                backup_id: id,
                target_index_name: new.target_index_name,
                target_index_id: new.target_index_id,
                status: RestoreStatus::Pending,
                created_at: new.created_at,
                completed_at: None,
            });
            transaction.put(Row::RestoreJob(Arc::clone(&job)));
            Ok(job)
        })
        .await
    }

    /// Makes the target of a pending job a live index, and the job Completed, as one.
    ///
    /// # Errors
    /// `NotFound` for an unknown job; `Conflict` when it has ended before; `FailedPrecondition`
    /// when no port is left; `Internal` when `index` is not the target; `Unavailable` when the
    /// store fails.
    pub async fn complete_restore(
        &self,
        id: RestoreJobId,
        index: NewIndex,
        now: Timestamp,
    ) -> Result<(Arc<Index>, Arc<RestoreJob>), CatalogError> {
        self.commit(|contents, transaction| {
            let job = pending(contents, id)?;
            if index.id != job.target_index_id || index.config.name != job.target_index_name {
                return Err(CatalogError::Misuse("a restore job that ends with another index"));
            }
            let collection =
                contents.backup(job.backup_id).and_then(|backup| backup.collection().cloned());
            let source = match collection {
                Some(name) => Source::Collection(name),
                None => Source::Backup(job.backup_id),
            };
            let index = add_index(contents, transaction, self.options().ports, index, source)?;
            let job = self.end(contents, transaction, job, (RestoreStatus::Completed, now));
            Ok((index, job))
        })
        .await
    }

    /// Makes a pending job Failed. Data under its target's id then belongs to nobody
    /// ([`Contents::owns`]) and is to be removed.
    ///
    /// # Errors
    /// `NotFound` for an unknown job; `Conflict` when it has ended before; `Unavailable` when the
    /// store fails.
    pub async fn fail_restore(
        &self,
        id: RestoreJobId,
        now: Timestamp,
    ) -> Result<Arc<RestoreJob>, CatalogError> {
        self.commit(|contents, transaction| {
            let job = pending(contents, id)?;
            Ok(self.end(contents, transaction, job, (RestoreStatus::Failed, now)))
        })
        .await
    }

    /// Ends a job, and forgets the oldest ended ones above the limit, never this one. A job that
    /// reads a collection is forgotten at once: nobody was told of it.
    fn end(
        &self,
        contents: &Contents,
        transaction: &mut Transaction,
        mut job: RestoreJob,
        (status, now): (RestoreStatus, Timestamp),
    ) -> Arc<RestoreJob> {
        let mut ended: Vec<_> =
            contents.ended_jobs().map(|other| (other.created_at, other.id)).collect();
        let excess = (ended.len() + 1).saturating_sub(self.options().ended_restore_jobs_max);
        ended.sort_unstable();
        for (_, oldest) in ended.into_iter().take(excess) {
            transaction.remove(RowKey::RestoreJob(oldest));
        }
        let of_collection = contents.reads_collection(&job);
        job.status = status;
        job.completed_at = Some(now);
        let job = Arc::new(job);
        if of_collection {
            transaction.remove(RowKey::RestoreJob(job.id));
        } else {
            transaction.put(Row::RestoreJob(Arc::clone(&job)));
        }
        job
    }
}

fn pending(contents: &Contents, id: RestoreJobId) -> Result<RestoreJob, CatalogError> {
    let job = contents.restore_job(id).ok_or(CatalogError::RestoreJobNotFound(id))?;
    if job.status != RestoreStatus::Pending {
        return Err(CatalogError::AlreadyEnded { what: "Restore job", id: id.as_uuid() });
    }
    Ok(Arc::unwrap_or_clone(job))
}

#[cfg(test)]
mod tests;
