//! Puts right what a crash or a failure cut off.
//!
//! A backup that is Initializing and that nobody works on becomes Failed: its caller never heard of
//! it, and what its checkpoint holds was not counted. A restore job that is Pending and that nobody
//! works on loses its half-made data and becomes Failed, which frees the name and the backup. An
//! import goes on where it was. What cannot be done now is done in the next round.

use std::sync::Arc;

use lodgepole_api::ApiError;
use lodgepole_catalog::CatalogError;
use lodgepole_types::{BackupStatus, IndexId, RestoreJobId, RestoreStatus};

use crate::service::{Service, Shared, log_left_over};

impl Service {
    /// Cleans up what was cut off. Called once before the first request, and by every round of the
    /// reaper.
    ///
    /// # Errors
    /// `Unavailable` when the catalog fails.
    pub async fn settle(&self) -> Result<(), ApiError> {
        self.run_whole(Shared::settle).await
    }
}

impl Shared {
    async fn settle(self: Arc<Self>) -> Result<(), ApiError> {
        let contents = self.catalog.contents();
        for backup in contents.backups() {
            if backup.status != BackupStatus::Initializing || self.running.contains(&backup.id) {
                continue;
            }
            // The contents were taken before the look at who is running: it may have ended between.
            match self.catalog.fail_backup(backup.id).await {
                Ok(failed) => {
                    tracing::warn!(backup = %backup.id, "a backup was cut off; it is Failed");
                    self.give_up_pin(&failed).await;
                }
                Err(CatalogError::AlreadyEnded { .. } | CatalogError::BackupNotFound(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        for job in contents.restore_jobs() {
            if job.status != RestoreStatus::Pending || self.running.contains(&job.id) {
                continue;
            }
            // As above. And after a failed change of the catalog, a job that is Pending in memory
            // may be Completed on disk.
            let now = self.catalog.restore_job(job.id);
            let pending = now.is_some_and(|job| job.status == RestoreStatus::Pending);
            if pending && self.catalog.is_writable() {
                tracing::warn!(job = %job.id, "a restore was cut off; it is Failed");
                self.abandon_restore(job.id, job.target_index_id).await;
            }
        }
        self.settle_imports().await
    }

    /// Removes what a restore made so far, then ends its job. In this order: data is removed while
    /// the job still owns it.
    pub(crate) async fn abandon_restore(&self, job: RestoreJobId, target: IndexId) {
        if let Err(error) = self.engine.discard(target).await {
            return log_left_over("removing a half-made index", &error);
        }
        match self.catalog.fail_restore(job, self.clock.now()).await {
            Ok(_) | Err(CatalogError::AlreadyEnded { .. }) => {}
            Err(error) => log_left_over("ending a restore job", &error),
        }
    }
}
