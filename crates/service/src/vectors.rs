//! Operations on records: writing, and reading by id or by nearness.
//!
//! Reads resolve aliases first and name their target in the reply. Writes do not: the writer of the
//! shard refuses the name of an alias, in the same order as it makes aliases.

use std::sync::Arc;

use lodgepole_api::wire::vectors::{
    DeleteRequest, DeleteResponse, FetchRequest, FetchResponse, ListItem, ListRequest,
    ListResponse, QueryRequest, QueryResponse, UpdateRequest, UpdateResponse, UpsertRequest,
    UpsertResponse,
};
use lodgepole_api::{ApiError, parse};
use lodgepole_engine::{Deletion, Effort, ListPage, Near, Query, Update};
use lodgepole_types::{Filter, Index, Lsn, MetadataPatch, NamespaceName};

use crate::aliases::write_error;
use crate::service::{Service, shard_of};
use crate::vector_replies::{egress_bytes, scored, usage, vector};
use crate::{DataReply, RequestContext};

/// Records that one read unit covers in a fetch, in Pinecone's counting.
pub(crate) const FETCHED_PER_READ_UNIT: usize = 10;

impl Service {
    /// Stores records, all or none; durable when this returns.
    ///
    /// # Errors
    /// `InvalidArgument`, `AlreadyExists` for the name of an alias, or `Unavailable` with the
    /// outcome unknown.
    pub async fn upsert(
        &self,
        _ctx: &RequestContext,
        index: &Index,
        request: UpsertRequest,
    ) -> Result<DataReply<UpsertResponse>, ApiError> {
        let upsert = parse::upsert(request, &index.config, &self.shared.rules.limits)?;
        let name = &upsert.namespace.name;
        let written = self.shared.engine.upsert(shard_of(index), name, upsert.records).await;
        let lsn = written.map_err(|error| write_error(error, name.listed()))?;
        Ok(DataReply::written(UpsertResponse { upserted_count: upsert.count }, lsn))
    }

    /// Changes parts of one record, or metadata of all that match; all or nothing, and durable when
    /// this returns. A dry run only counts.
    ///
    /// # Errors
    /// `InvalidArgument`, `NotFound` for an unknown namespace, or `Unavailable` with the outcome
    /// unknown.
    pub async fn update(
        &self,
        _ctx: &RequestContext,
        index: &Index,
        request: UpdateRequest,
    ) -> Result<DataReply<UpdateResponse>, ApiError> {
        let update = parse::update(request, &index.config, &self.shared.rules.limits)?;
        let name = &update.namespace.name;
        match update.what {
            parse::UpdateTarget::Record { id, values, sparse, metadata } => {
                let update = Update { id, values, sparse, metadata };
                let written = self.shared.engine.update(shard_of(index), name, update).await;
                let lsn = written.map_err(|error| write_error(error, name.listed()))?;
                Ok(DataReply::written(UpdateResponse::default(), lsn))
            }
            parse::UpdateTarget::Matching { filter, metadata } => {
                self.check_filter(index, name, Some(&filter)).await?;
                match metadata {
                    Some(patch) => self.update_matching(index, name, filter, patch).await,
                    None => self.count_matching(index, name, &filter).await,
                }
            }
        }
    }

    async fn update_matching(
        &self,
        index: &Index,
        name: &NamespaceName,
        filter: Arc<Filter>,
        patch: MetadataPatch,
    ) -> Result<DataReply<UpdateResponse>, ApiError> {
        let most = self.shared.rules.limits.update_matches_max;
        let engine = &self.shared.engine;
        let matched = engine.update_matching(shard_of(index), name, filter, patch, most).await;
        let matched = matched.map_err(|error| write_error(error, name.listed()))?;
        Ok(DataReply::written(matched_records(matched.count), matched.lsn))
    }

    /// The dry run of an update: refused where the update would be, and changes nothing.
    async fn count_matching(
        &self,
        index: &Index,
        name: &NamespaceName,
        filter: &Arc<Filter>,
    ) -> Result<DataReply<UpdateResponse>, ApiError> {
        self.check_writable(index, name).await?;
        let counted = self.shared.engine.count(shard_of(index), Some(name), filter).await?;
        let count = counted.namespaces.get(name).copied().unwrap_or_default();
        Ok(DataReply::read(matched_records(count), counted.lsn))
    }

    /// Deletes records, all or none; durable when this returns.
    ///
    /// # Errors
    /// `InvalidArgument`, `NotFound` for an unknown namespace, or `Unavailable` with the outcome
    /// unknown.
    pub async fn delete(
        &self,
        _ctx: &RequestContext,
        index: &Index,
        request: DeleteRequest,
    ) -> Result<DataReply<DeleteResponse>, ApiError> {
        let delete = parse::delete(request, &self.shared.rules.limits)?;
        let (engine, shard) = (&self.shared.engine, shard_of(index));
        let name = &delete.namespace.name;
        let deleted = match delete.what {
            parse::Deletion::Ids(ids) => engine.delete(shard, name, Deletion::Ids(ids)).await,
            parse::Deletion::All => engine.delete(shard, name, Deletion::All).await,
            parse::Deletion::Matching(filter) => {
                self.check_filter(index, name, Some(&filter)).await?;
                let matched = engine.delete_matching(shard, name, filter).await;
                matched.map(|matched| matched.lsn)
            }
        };
        let lsn = deleted.map_err(|error| write_error(error, name.listed()))?;
        Ok(DataReply::written(DeleteResponse {}, lsn))
    }

    /// Reads records by id; unknown ids are missing from the reply.
    ///
    /// # Errors
    /// `InvalidArgument`, or `Unavailable`.
    pub async fn fetch(
        &self,
        ctx: &RequestContext,
        index: &Index,
        request: FetchRequest,
    ) -> Result<DataReply<FetchResponse>, ApiError> {
        let fetch = parse::fetch(request, &self.shared.rules.limits)?;
        let namespace = self.read_namespace(index, fetch.namespace).await?;
        let engine = &self.shared.engine;
        let fetched = engine.fetch(shard_of(index), &namespace.name, &fetch.ids).await?;
        let read_units = fetched.records.len().div_ceil(FETCHED_PER_READ_UNIT);
        let vectors = fetched
            .records
            .into_iter()
            .map(|record| (record.id.as_str().to_owned(), vector(record)));
        let mut message = FetchResponse {
            vectors: vectors.collect(),
            namespace: namespace.spelling,
            usage: None,
        };
        message.usage = usage(ctx.version, read_units, || egress_bytes(message.vectors.values()));
        Ok(DataReply::read(message, fetched.lsn))
    }

    /// Finds the nearest records.
    ///
    /// # Errors
    /// `InvalidArgument`, or `Unavailable`.
    pub async fn query(
        &self,
        ctx: &RequestContext,
        index: &Index,
        request: QueryRequest,
    ) -> Result<DataReply<QueryResponse>, ApiError> {
        let limits = &self.shared.rules.limits;
        let asked = parse::query(request, &index.config, ctx.version, limits)?;
        let namespace = self.read_namespace(index, asked.namespace).await?;
        self.check_filter(index, &namespace.name, asked.filter.as_ref()).await?;
        let query = Query {
            near: match asked.near {
                parse::Near::Dense(values) => Near::Dense(values),
                parse::Near::Sparse(sparse) => Near::Sparse(sparse),
                parse::Near::Hybrid { dense, sparse } => Near::Hybrid { dense, sparse },
                parse::Near::Record(id) => Near::Record(id),
            },
            top_k: asked.top_k,
            filter: asked.filter,
            include_values: asked.include_values,
            include_metadata: asked.include_metadata,
            effort: Effort {
                scan_factor: asked.effort.scan_factor.unwrap_or(1.0),
                candidates_max: asked.effort.max_candidates.map(|candidates| candidates as usize),
            },
        };
        let engine = &self.shared.engine;
        let answer = engine.query(shard_of(index), &namespace.name, query).await?;
        let mut message = QueryResponse {
            matches: answer.hits.into_iter().map(scored).collect(),
            namespace: namespace.spelling,
            usage: None,
        };
        message.usage = usage(ctx.version, 1, || egress_bytes(&message.matches));
        Ok(DataReply::read(message, answer.lsn))
    }

    /// Lists ids in byte order.
    ///
    /// # Errors
    /// `InvalidArgument`, or `Unavailable`.
    pub async fn list(
        &self,
        ctx: &RequestContext,
        index: &Index,
        request: ListRequest,
    ) -> Result<DataReply<ListResponse>, ApiError> {
        let list = parse::list(request, &self.shared.rules.limits)?;
        let namespace = self.read_namespace(index, list.namespace).await?;
        let page = ListPage { prefix: list.prefix, after: list.after, limit: list.limit };
        let engine = &self.shared.engine;
        let listed = engine.list(shard_of(index), &namespace.name, &page).await?;
        let last = listed.ids.last().filter(|_| listed.more);
        let mut message = ListResponse {
            pagination: last.map(|last| parse::next_page(&page.prefix, last)),
            vectors: listed.ids.iter().map(|id| ListItem { id: id.as_str().to_owned() }).collect(),
            namespace: namespace.spelling,
            usage: None,
        };
        message.usage = usage(ctx.version, 1, || egress_bytes(&message.vectors));
        Ok(DataReply::read(message, listed.lsn))
    }

    /// A position that reads which begin now have reached.
    pub(crate) async fn position(&self, index: &Index) -> Result<Lsn, ApiError> {
        Ok(self.shared.engine.position(shard_of(index)).await?)
    }

    /// Refuses a filter over a field that the schema of the namespace, or else of the index, leaves
    /// out.
    pub(crate) async fn check_filter(
        &self,
        index: &Index,
        name: &NamespaceName,
        filter: Option<&Arc<Filter>>,
    ) -> Result<(), ApiError> {
        let Some(filter) = filter else { return Ok(()) };
        let own = self.shared.engine.namespace_schema(shard_of(index), name).await?;
        parse::check_filterable(filter, own.as_ref().or(index.config.metadata_schema.as_ref()))
    }
}

fn matched_records(count: u64) -> UpdateResponse {
    UpdateResponse { matched_records: Some(i32::try_from(count).unwrap_or(i32::MAX)) }
}
