//! Operations on backups.
//!
//! The row comes first, as Initializing, then the checkpoint under the backup's id, then the row
//! turns Ready. Deleting takes the row out first: from then on nothing can begin to read the
//! checkpoint, and a pin that a crash leaves behind has no row, which is how the reaper knows it.

use std::sync::Arc;

use lodgepole_api::wire::backups::{BackupList, BackupReply};
use lodgepole_api::{ApiError, ApiVersion, PageQuery, parse};
use lodgepole_catalog::{BackupCut, CatalogError, NewBackup};
use lodgepole_engine::ShardRef;
use lodgepole_types::{Backup, BackupId, BackupPurpose};

use crate::RequestContext;
use crate::indexes::known_name;
use crate::service::{Service, Shared, log_left_over, shard_of};

impl Service {
    /// Takes a backup: every write acknowledged before this call, none issued after it returns.
    ///
    /// # Errors
    /// `InvalidArgument`, `Unprocessable`, `NotFound` for an unknown index, `Unavailable`.
    pub async fn create_backup(
        &self,
        ctx: &RequestContext,
        index_name: &str,
        body: &[u8],
    ) -> Result<BackupReply, ApiError> {
        let limits = &self.shared.rules.limits;
        let request = parse::create_backup(body, ctx.version, limits)?;
        let index = self.shared.index(index_name)?;
        let shared = &self.shared;
        let new = NewBackup {
            id: BackupId::random(shared.rng.as_ref()),
            source_index_id: index.id,
            name: request.name,
            description: request.description,
            created_at: shared.clock.now(),
            purpose: BackupPurpose::User,
            expires_at: None,
        };
        let shard = shard_of(&index);
        let backup = self.run_whole(|shared| shared.create_backup(shard, new)).await?;
        Ok(BackupReply::of(&backup, ctx.version))
    }

    /// Lists the backups of an index, newest first. With `include_deleted` also those of earlier
    /// indexes of that name.
    ///
    /// # Errors
    /// `NotFound` for an unknown index; with `include_deleted`, only if there never was one.
    pub fn list_index_backups(
        &self,
        ctx: &RequestContext,
        index_name: &str,
        query: &PageQuery,
    ) -> Result<BackupList, ApiError> {
        let name = known_name(index_name)?;
        let contents = self.shared.catalog.contents();
        let backups = if query.includes_deleted()? {
            let backups = contents.backups_named(&name);
            let existed = !backups.is_empty() || !contents.hidden_named(&name).is_empty();
            if !existed && contents.index(&name).is_none() {
                return Err(CatalogError::IndexNotFound(name).into());
            }
            backups
        } else {
            let index = contents.index(&name).ok_or(CatalogError::IndexNotFound(name))?;
            contents.listed_backups_of(index.id)
        };
        self.backup_page(ctx.version, query, backups)
    }

    /// Lists all backups, newest first, also those whose index is gone.
    ///
    /// # Errors
    /// `InvalidArgument` for a bad limit or token.
    pub fn list_project_backups(
        &self,
        ctx: &RequestContext,
        query: &PageQuery,
    ) -> Result<BackupList, ApiError> {
        self.backup_page(ctx.version, query, self.shared.catalog.contents().listed_backups())
    }

    /// Describes a backup.
    ///
    /// # Errors
    /// `NotFound`, also for what is not an id.
    pub fn describe_backup(&self, ctx: &RequestContext, id: &str) -> Result<BackupReply, ApiError> {
        let known = backup_id(id)?;
        let backup = self.shared.catalog.contents().listed_backup(known);
        let backup = backup.ok_or_else(|| ApiError::not_found("Backup", &id))?;
        Ok(BackupReply::of(&backup, ctx.version))
    }

    /// Deletes a backup. Indexes made from it stay as they are.
    ///
    /// # Errors
    /// `NotFound`, `FailedPrecondition` while it is being made or read, `Unavailable`.
    pub async fn delete_backup(&self, _ctx: &RequestContext, id: &str) -> Result<(), ApiError> {
        let id = backup_id(id)?;
        self.run_whole(|shared| async move {
            let backup = shared.catalog.delete_backup(id).await?;
            shared.give_up_pin(&backup).await;
            Ok(())
        })
        .await
    }

    fn backup_page(
        &self,
        version: ApiVersion,
        query: &PageQuery,
        backups: Vec<Arc<Backup>>,
    ) -> Result<BackupList, ApiError> {
        let page = query.page(version, &self.shared.rules.limits)?;
        let (backups, pagination) = page.cut(backups);
        let data = backups.iter().map(|backup| BackupReply::of(backup, version)).collect();
        Ok(BackupList { data, pagination })
    }
}

impl Shared {
    pub(crate) async fn create_backup(
        self: Arc<Self>,
        shard: ShardRef,
        new: NewBackup,
    ) -> Result<Arc<Backup>, ApiError> {
        let id = new.id;
        let _running = self.running.enter(&id);
        self.catalog.insert_backup(new).await?;
        let cut = match self.engine.checkpoint(shard, &id.to_string()).await {
            Ok(cut) => cut,
            Err(error) => {
                // The pin may exist all the same; without a live row it is an orphan.
                if let Err(error) = self.catalog.fail_backup(id).await {
                    log_left_over("marking a backup as failed", &error);
                }
                return Err(error.into());
            }
        };
        let cut = BackupCut {
            lsn: cut.lsn,
            record_count: cut.record_count,
            namespace_count: cut.namespace_count,
            size_bytes: cut.size_bytes,
            checkpoint: cut.pin,
            segments: cut.segments,
        };
        Ok(self.catalog.complete_backup(id, cut).await?)
    }

    /// Gives up the checkpoint of a backup whose row is gone or has failed.
    pub(crate) async fn give_up_pin(&self, backup: &Backup) {
        let index = backup.source_index_id;
        let pin = match backup.checkpoint {
            Some(pin) => Ok(Some(pin)),
            None => self.engine.find_pin(index, &backup.id.to_string()).await,
        };
        let given_up = match pin {
            Ok(Some(pin)) => self.engine.unpin(index, pin).await,
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = given_up {
            log_left_over("giving up the checkpoint of a backup", &error);
        }
    }
}

/// Reads the id of a backup: what cannot be an id cannot be found.
pub(crate) fn backup_id(id: &str) -> Result<BackupId, ApiError> {
    BackupId::parse(id).ok_or_else(|| ApiError::not_found("Backup", &id))
}
