//! Operations on indexes.
//!
//! Creating: first the database, then the row, then the port. A crash in between leaves a database
//! that no row owns, never a row without its data, which would look like damage. Deleting goes the
//! other way round, and the data stays until the reaper finds that nothing needs it.

use std::sync::Arc;

use lodgepole_api::wire::index_reply::{IndexList, IndexReply};
use lodgepole_api::{ApiError, parse};
use lodgepole_catalog::NewIndex;
use lodgepole_engine::ShardRef;
use lodgepole_types::{Index, IndexConfig, IndexId, IndexName};

use crate::RequestContext;
use crate::models::model_shape;
use crate::service::{Service, Shared, log_left_over};

impl Service {
    /// Lists all indexes, by name.
    #[must_use]
    pub fn list_indexes(&self, ctx: &RequestContext) -> IndexList {
        let indexes = self.shared.catalog.indexes();
        IndexList { indexes: indexes.iter().map(|index| reply(ctx, index)).collect() }
    }

    /// Describes an index.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn describe_index(&self, ctx: &RequestContext, name: &str) -> Result<IndexReply, ApiError> {
        Ok(reply(ctx, &*self.shared.index(name)?))
    }

    /// Creates an index. It is ready, and its port open, when this returns.
    ///
    /// # Errors
    /// `InvalidArgument`, `Unprocessable`, `NotFound` for an unknown region, `AlreadyExists`,
    /// `FailedPrecondition` when no port is left, `Unavailable`.
    pub async fn create_index(
        &self,
        ctx: &RequestContext,
        body: &[u8],
    ) -> Result<IndexReply, ApiError> {
        let shared = &self.shared;
        let rng = shared.rng.as_ref();
        let parse::NewIndex { config, source_collection } =
            parse::create_index(body, ctx.version, &shared.rules, &model_shape, rng)?;
        let index = match source_collection {
            None => self.run_whole(|shared| shared.create_index(config)).await?,
            Some(source) => {
                self.run_whole(|shared| shared.create_from_collection(config, source)).await?
            }
        };
        Ok(reply(ctx, &index))
    }

    /// Creates an index for a model. The model need not be installed: only operations on text need
    /// it.
    ///
    /// # Errors
    /// As [`Self::create_index`]; `NotFound` also for an unknown model.
    pub async fn create_index_for_model(
        &self,
        ctx: &RequestContext,
        body: &[u8],
    ) -> Result<IndexReply, ApiError> {
        let shared = &self.shared;
        let rng = shared.rng.as_ref();
        let config =
            parse::create_index_for_model(body, ctx.version, &shared.rules, &model_shape, rng)?;
        let index = self.run_whole(|shared| shared.create_index(config)).await?;
        Ok(reply(ctx, &index))
    }

    /// Changes what can change of an index: tags, deletion protection, read capacity, the size of a
    /// pod index, and how its model is used.
    ///
    /// # Errors
    /// `InvalidArgument`, `Unprocessable`, `NotFound`, `Forbidden` for too many pods,
    /// `Unavailable`.
    pub async fn configure_index(
        &self,
        ctx: &RequestContext,
        name: &str,
        body: &[u8],
    ) -> Result<IndexReply, ApiError> {
        let change = parse::configure_index(body, ctx.version)?;
        let name = known_name(name)?;
        let index = self
            .run_whole(|shared| async move {
                let apply =
                    |config: &mut IndexConfig| change.apply(config, &shared.rules, &model_shape);
                shared.catalog.configure_index(&name, apply).await
            })
            .await?;
        Ok(reply(ctx, &index))
    }

    /// Deletes an index; its backups stay.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden` while it is protected, `FailedPrecondition` while a collection of it
    /// is being made, `Unavailable`.
    pub async fn delete_index(&self, _ctx: &RequestContext, name: &str) -> Result<(), ApiError> {
        let name = known_name(name)?;
        self.run_whole(|shared| async move { shared.remove_index(&name).await }).await
    }
}

impl Shared {
    /// The live index of this name.
    pub(crate) fn index(&self, name: &str) -> Result<Arc<Index>, ApiError> {
        let index = IndexName::parse(name).ok().and_then(|name| self.catalog.index(&name));
        index.ok_or_else(|| ApiError::not_found("Index", &name))
    }

    async fn create_index(self: Arc<Self>, config: IndexConfig) -> Result<Arc<Index>, ApiError> {
        // Only to spare the work: the catalog decides.
        if self.catalog.index(&config.name).is_some() {
            return Err(ApiError::already_exists());
        }
        let id = IndexId::random(self.rng.as_ref());
        let rowless = self.rowless.enter(id);
        if let Err(error) = self.engine.create(ShardRef { index: id, dense: config.dense }).await {
            self.discard(id).await;
            return Err(error.into());
        }
        let new = NewIndex { id, config, created_at: self.clock.now() };
        match self.catalog.create_index(new).await {
            Ok(index) => {
                drop(rowless);
                self.open_first_port(index).await
            }
            Err(error) => {
                // A change that failed half-way has poisoned the catalog; its row may be on disk.
                if self.catalog.is_writable() {
                    self.discard(id).await;
                } else {
                    rowless.stay();
                }
                Err(error.into())
            }
        }
    }

    /// Deletes an index as far as anybody can see, and closes it.
    pub(crate) async fn remove_index(&self, name: &IndexName) -> Result<(), ApiError> {
        let index = self.catalog.delete_index(name, self.clock.now()).await?;
        self.close_port(index.port).await;
        self.imports.stop_into(index.id).await;
        self.engine.retire(index.id).await;
        Ok(())
    }

    /// Removes data that no row knows.
    async fn discard(&self, id: IndexId) {
        if let Err(error) = self.engine.discard(id).await {
            log_left_over("removing an index that was refused", &error);
        }
    }
}

/// The name of something that is looked for: what cannot be a name cannot be found.
pub(crate) fn known_name(name: &str) -> Result<IndexName, ApiError> {
    IndexName::parse(name).map_err(|_| ApiError::not_found("Index", &name))
}

fn reply(ctx: &RequestContext, index: &Index) -> IndexReply {
    IndexReply::of(index, ctx.host_of(index), ctx.version)
}
