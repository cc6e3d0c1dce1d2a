//! Operations on namespaces as a whole.

use lodgepole_api::wire::namespaces::{
    CreateNamespaceRequest, DeleteNamespaceRequest, DescribeNamespaceRequest, IndexedFields,
    ListNamespacesRequest, ListNamespacesResponse, MetadataSchema, NamespaceDescription,
};
use lodgepole_api::wire::vectors::DeleteResponse;
use lodgepole_api::{ApiError, ApiVersion, parse};
use lodgepole_engine::{NamespaceInfo, NamespacePage, WriteError};
use lodgepole_types::Index;

use crate::aliases::{alias_error, write_error};
use crate::service::{Service, shard_of};
use crate::{DataReply, RequestContext};

impl Service {
    /// Makes an empty namespace; durable when this returns.
    ///
    /// # Errors
    /// `InvalidArgument`, or `AlreadyExists`, also for the default namespace, which always exists.
    pub async fn create_namespace(
        &self,
        ctx: &RequestContext,
        index: &Index,
        request: CreateNamespaceRequest,
    ) -> Result<DataReply<NamespaceDescription>, ApiError> {
        let new = parse::create_namespace(request)?;
        let name = &new.namespace.name;
        let made = self.shared.engine.create_namespace(shard_of(index), name, new.schema).await;
        let (info, lsn) = made.map_err(|error| write_error(error, name.listed()))?;
        Ok(DataReply::written(description(&info, index, ctx.version), lsn))
    }

    /// Describes a namespace.
    ///
    /// # Errors
    /// `NotFound`, or `InvalidArgument` for the name of an alias.
    pub async fn describe_namespace(
        &self,
        ctx: &RequestContext,
        index: &Index,
        request: DescribeNamespaceRequest,
    ) -> Result<DataReply<NamespaceDescription>, ApiError> {
        let name = parse::namespace(request.namespace)?.name;
        let (engine, shard) = (&self.shared.engine, shard_of(index));
        let resolved = engine.resolve(shard, &name).await?;
        if resolved.is_alias {
            let error = lodgepole_engine::AliasError::IsNoNamespace { target: resolved.namespace };
            return Err(alias_error(&error, name.listed()));
        }
        let lsn = self.position(index).await?;
        let info = engine.describe_namespace(shard, &name).await?;
        let info = info.ok_or_else(|| write_error(WriteError::NamespaceNotFound, name.listed()))?;
        Ok(DataReply::read(description(&info, index, ctx.version), lsn))
    }

    /// Lists namespaces in byte order.
    ///
    /// # Errors
    /// `InvalidArgument`, or `Unavailable`.
    pub async fn list_namespaces(
        &self,
        ctx: &RequestContext,
        index: &Index,
        request: ListNamespacesRequest,
    ) -> Result<DataReply<ListNamespacesResponse>, ApiError> {
        let list = parse::list_namespaces(request, &self.shared.rules.limits)?;
        let page = NamespacePage { prefix: list.prefix, after: list.after, limit: list.limit };
        let listed = self.shared.engine.list_namespaces(shard_of(index), &page).await?;
        let last = listed.namespaces.last().filter(|_| listed.more);
        let pagination =
            last.map(|last| parse::next_namespaces_page(&page.prefix, last.name.listed()));
        let described = listed.namespaces.iter().map(|info| description(info, index, ctx.version));
        let message = ListNamespacesResponse {
            namespaces: described.collect(),
            pagination,
            total_count: i32::try_from(listed.total_count).unwrap_or(i32::MAX),
        };
        Ok(DataReply::read(message, listed.lsn))
    }

    /// Deletes a namespace with its records; the default one is emptied. Durable when this returns.
    ///
    /// # Errors
    /// `NotFound`; `InvalidArgument` for the name of an alias, and while aliases stand for the
    /// namespace.
    pub async fn delete_namespace(
        &self,
        _ctx: &RequestContext,
        index: &Index,
        request: DeleteNamespaceRequest,
    ) -> Result<DataReply<DeleteResponse>, ApiError> {
        let name = parse::namespace(request.namespace)?.name;
        let deleted = self.shared.engine.delete_namespace(shard_of(index), &name).await;
        let lsn = deleted.map_err(|error| write_error(error, name.listed()))?;
        Ok(DataReply::written(DeleteResponse {}, lsn))
    }
}

/// A namespace without a schema of its own has that of its index.
fn description(info: &NamespaceInfo, index: &Index, version: ApiVersion) -> NamespaceDescription {
    let schema = info.schema.as_ref().or(index.config.metadata_schema.as_ref());
    let schema = schema.map(MetadataSchema::from_stored);
    NamespaceDescription {
        name: info.name.listed().to_owned(),
        record_count: info.record_count,
        indexed_fields: schema.as_ref().map(|schema| IndexedFields { fields: schema.filterable() }),
        schema,
        size_bytes: version.counts_in_text().then_some(info.bytes),
    }
}
