//! Making an index from a backup, and restore jobs.
//!
//! A job is Pending while the clone is made; it holds the backup and the name. It ends with the
//! index coming to life in one transaction, or with nothing. All of that happens before the answer,
//! so the index is describable and ready when the caller hears of it.
//!
//! A retry after a lost answer gets the same ids again (see `undelivered`); so does one after a
//! restart that may have cut the answer off, for as long as a client retries and only if the index
//! is still exactly what the request would make. Every other request for a name that is taken hears
//! so.

use std::sync::Arc;

use lodgepole_api::wire::backups::{CreateIndexFromBackupReply, RestoreJobList, RestoreJobReply};
use lodgepole_api::{ApiError, PageQuery, parse};
use lodgepole_catalog::{CatalogError, NewIndex, NewRestoreJob};
use lodgepole_engine::ShardRef;
use lodgepole_types::{
    BackupId, Classify, ErrorKind, Index, IndexConfig, IndexId, NamespaceName, RestoreJobId,
    RestoreStatus,
};
use tokio::sync::oneshot;

use crate::RequestContext;
use crate::backups::backup_id;
use crate::service::{Service, Shared};
use crate::undelivered::{Made, Order, RETRY_MAX};

type Answer = Result<Made, ApiError>;

impl Service {
    /// Makes an index from a backup. It is ready, and its port open, when this returns.
    ///
    /// # Errors
    /// `InvalidArgument`, `Unprocessable`, `NotFound` for an unknown backup, `AlreadyExists` for a
    /// taken name, `FailedPrecondition` when the backup is not Ready or no port is left,
    /// `Unavailable`.
    pub async fn create_index_from_backup(
        &self,
        ctx: &RequestContext,
        backup: &str,
        body: &[u8],
    ) -> Result<CreateIndexFromBackupReply, ApiError> {
        let request = parse::create_index_from_backup(body, ctx.version, &self.shared.rules)?;
        let order = Order { backup: backup_id(backup)?, request };
        let pass = self.begin()?;
        let (answer, answered) = oneshot::channel();
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move {
            let _pass = pass;
            shared.restore_and_answer(order, answer).await;
        });
        let made = answered.await.map_err(ApiError::internal)??;
        Ok(CreateIndexFromBackupReply {
            restore_job_id: made.job.to_string(),
            index_id: made.index.to_string(),
        })
    }

    /// Lists restore jobs, newest first.
    ///
    /// # Errors
    /// `InvalidArgument` for a bad limit or token.
    pub fn list_restore_jobs(
        &self,
        ctx: &RequestContext,
        query: &PageQuery,
    ) -> Result<RestoreJobList, ApiError> {
        let page = query.page(ctx.version, &self.shared.rules.limits)?;
        let (jobs, pagination) = page.cut(self.shared.catalog.contents().listed_restore_jobs());
        let data = jobs.iter().map(|job| RestoreJobReply::of(job)).collect();
        Ok(RestoreJobList { data, pagination })
    }

    /// Describes a restore job.
    ///
    /// # Errors
    /// `NotFound`, also for what is not an id.
    pub fn describe_restore_job(
        &self,
        _ctx: &RequestContext,
        id: &str,
    ) -> Result<RestoreJobReply, ApiError> {
        let contents = self.shared.catalog.contents();
        let job = RestoreJobId::parse(id).and_then(|id| contents.listed_restore_job(id));
        let job = job.ok_or_else(|| ApiError::not_found("Restore job", &id))?;
        Ok(RestoreJobReply::of(&job))
    }
}

impl Shared {
    /// Runs an order and hands the answer over, or keeps it when nobody is there to take it.
    async fn restore_and_answer(&self, order: Order, answer: oneshot::Sender<Answer>) {
        let _turn = self.restore_turns.of(&order.request.name).lock().await;
        let earlier = self.made_before(&order);
        let result = match earlier {
            Some(made) => Ok(made),
            None => self.restore(&order).await,
        };
        match answer.send(result) {
            Ok(()) => {}
            Err(Ok(made)) => self.undelivered.keep(order, made, self.clock.now()),
            Err(Err(error)) => {
                tracing::debug!(%error, "a restore failed and its caller is gone");
            }
        }
    }

    /// What an earlier attempt at this order made, if its answer was lost.
    fn made_before(&self, order: &Order) -> Option<Made> {
        let now = self.clock.now();
        let made = self.undelivered.take(order, now).or_else(|| self.made_before_restart(order))?;
        // It may have been deleted since.
        self.catalog.index_by_id(made.index).map(|_| made)
    }

    fn made_before_restart(&self, order: &Order) -> Option<Made> {
        let contents = self.catalog.contents();
        let index = contents.index(&order.request.name)?;
        let backup = contents.listed_backup(order.backup)?;
        let same = index.source_backup_id == Some(order.backup)
            && index.config == order.request.over(&backup.source);
        if !same {
            return None;
        }
        let jobs = contents.restore_jobs();
        let job = jobs.iter().find(|job| job.target_index_id == index.id)?;
        let completed_at = job.completed_at.filter(|_| job.status == RestoreStatus::Completed)?;
        let cut_off =
            completed_at <= self.started_at && self.clock.now().since(completed_at) <= RETRY_MAX;
        cut_off.then_some(Made { job: job.id, index: index.id })
    }

    async fn restore(&self, order: &Order) -> Answer {
        let backup = self.catalog.contents().listed_backup(order.backup);
        let backup = backup.ok_or(CatalogError::BackupNotFound(order.backup))?;
        let config = order.request.over(&backup.source);
        let (index, job) = self.make_from(order.backup, config).await?;
        Ok(Made { job, index: index.id })
    }

    /// Makes an index of this definition from what a backup holds. The dimension must be the
    /// backup's.
    pub(crate) async fn make_from(
        &self,
        backup: BackupId,
        config: IndexConfig,
    ) -> Result<(Arc<Index>, RestoreJobId), ApiError> {
        let job = RestoreJobId::random(self.rng.as_ref());
        let target = IndexId::random(self.rng.as_ref());
        let running = self.running.enter(&job);
        let new = NewRestoreJob {
            id: job,
            backup_id: backup,
            target_index_name: config.name.clone(),
            target_index_id: target,
            created_at: self.clock.now(),
        };
        self.catalog.begin_restore(new).await?;
        let new = NewIndex { id: target, config, created_at: self.clock.now() };
        let index = match self.bring_to_life(backup, job, new).await {
            Ok(index) => index,
            Err(Failure { error, outcome_known }) => {
                if outcome_known {
                    self.abandon_restore(job, target).await;
                }
                return Err(error);
            }
        };
        drop(running);
        Ok((self.open_first_port(index).await?, job))
    }

    async fn bring_to_life(
        &self,
        backup: BackupId,
        job: RestoreJobId,
        new: NewIndex,
    ) -> Result<Arc<Index>, Failure> {
        let row = self.catalog.backup(backup).ok_or(CatalogError::BackupNotFound(backup))?;
        let pin = row.checkpoint.ok_or(CatalogError::BackupNotReady(backup))?;
        self.engine.clone_index(new.id, row.source_index_id, pin).await?;
        // Opens it: from now on the first request waits for nothing, and a clone that cannot be
        // opened is never called ready.
        let shard = ShardRef { index: new.id, dense: new.config.dense };
        self.engine.fetch(shard, &NamespaceName::default(), &[]).await?;
        match self.catalog.complete_restore(job, new, self.clock.now()).await {
            Ok((index, _)) => Ok(index),
            Err(error) => {
                // A change that failed half-way has poisoned the catalog.
                let outcome_known = self.catalog.is_writable();
                Err(Failure { error: error.into(), outcome_known })
            }
        }
    }
}

/// Why a restore did not come to its end. When the outcome of the last step is not known the index
/// may be live on disk: nothing of it may be touched until a restart has read the truth.
struct Failure {
    error: ApiError,
    outcome_known: bool,
}

/// Every step but the last leaves the job Pending, for sure.
impl<E: Classify + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        // Whatever is missing now is our fault: the backup said Ready.
        let error = match ApiError::from(error) {
            error if error.kind() == ErrorKind::NotFound => ApiError::internal(error),
            error => error,
        };
        Self { error, outcome_known: true }
    }
}
