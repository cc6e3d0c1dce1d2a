//! Operations on collections: static copies of pod indexes, under names of their own.
//!
//! A collection is a backup that only collections know (see the catalog's `collections`), so it is
//! made and deleted in the same order of steps, and an index is made from it as one is restored,
//! without a job to show.

use std::sync::Arc;

use lodgepole_api::wire::collections::{CollectionList, CollectionReply};
use lodgepole_api::{ApiError, parse};
use lodgepole_catalog::{CatalogError, NewBackup};
use lodgepole_types::{
    Backup, BackupId, BackupPurpose, BackupStatus, Index, IndexConfig, IndexName,
};

use crate::RequestContext;
use crate::service::{Service, Shared, shard_of};

impl Service {
    /// Makes a collection of a pod index. It can be used when this returns, although the reply says
    /// Initializing, as Pinecone's does.
    ///
    /// # Errors
    /// `InvalidArgument` for an index without pods, `Unprocessable`, `NotFound` or, before 2026-07,
    /// `InvalidArgument` for an unknown index, `AlreadyExists` for a taken name, `Unavailable`.
    pub async fn create_collection(
        &self,
        ctx: &RequestContext,
        body: &[u8],
    ) -> Result<CollectionReply, ApiError> {
        let request = parse::create_collection(body)?;
        let index = self.shared.index(&request.source).map_err(|error| {
            if ctx.version.collection_source_not_found() {
                error
            } else {
                unknown_resource(&request.source)
            }
        })?;
        if !index.config.is_pod() {
            return Err(ApiError::invalid(
                "Collections can be created from pod indexes only. Call \
                 POST /indexes/{index_name}/backups for a copy of this index",
            ));
        }
        let shared = &self.shared;
        let new = NewBackup {
            id: BackupId::random(shared.rng.as_ref()),
            source_index_id: index.id,
            name: None,
            description: None,
            created_at: shared.clock.now(),
            purpose: BackupPurpose::Collection(request.name),
            expires_at: None,
        };
        let shard = shard_of(&index);
        let content = self.run_whole(|shared| shared.create_backup(shard, new)).await?;
        Ok(CollectionReply::begun(&content))
    }

    /// Lists all collections, by name.
    #[must_use]
    pub fn list_collections(&self, _ctx: &RequestContext) -> CollectionList {
        let collections = self.shared.catalog.contents().collections();
        CollectionList { collections: collections.iter().map(|c| CollectionReply::of(c)).collect() }
    }

    /// Describes a collection.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn describe_collection(
        &self,
        _ctx: &RequestContext,
        name: &str,
    ) -> Result<CollectionReply, ApiError> {
        let content = self.shared.collection(name);
        let content = content.ok_or_else(|| ApiError::not_found("Collection", &name))?;
        Ok(CollectionReply::of(&content))
    }

    /// Deletes a collection. Indexes made from it stay as they are.
    ///
    /// # Errors
    /// `NotFound`, `FailedPrecondition` while it is being made or read, `Unavailable`.
    pub async fn delete_collection(
        &self,
        _ctx: &RequestContext,
        name: &str,
    ) -> Result<(), ApiError> {
        let name = IndexName::parse(name).map_err(|_| ApiError::not_found("Collection", &name))?;
        self.run_whole(|shared| async move {
            let content = shared.catalog.delete_collection(&name).await?;
            shared.give_up_pin(&content).await;
            Ok(())
        })
        .await
    }
}

impl Shared {
    /// The content of a collection.
    fn collection(&self, name: &str) -> Option<Arc<Backup>> {
        let name = IndexName::parse(name).ok()?;
        self.catalog.contents().collection(&name)
    }

    /// Makes an index that begins with the records of a collection.
    pub(crate) async fn create_from_collection(
        self: Arc<Self>,
        config: IndexConfig,
        source: String,
    ) -> Result<Arc<Index>, ApiError> {
        let content = self.collection(&source).ok_or_else(|| unknown_resource(&source))?;
        if content.status != BackupStatus::Ready
            && let Some(name) = content.collection()
        {
            return Err(CatalogError::CollectionNotReady(name.clone()).into());
        }
        parse::check_source(&config, &content.source)?;
        let (index, _) = self.make_from(content.id, config).await?;
        Ok(index)
    }
}

/// What Pinecone says to a request that names something unknown inside its body.
fn unknown_resource(name: &str) -> ApiError {
    ApiError::invalid(format!("Resource {name} not found"))
}
