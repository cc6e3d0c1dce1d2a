//! Operations on records.

use std::collections::BTreeMap;

use lodgepole_api::wire::vectors::{
    DeleteRequest, DeleteResponse, DescribeIndexStatsRequest, DescribeIndexStatsResponse,
    FetchRequest, FetchResponse, ListItem, ListRequest, ListResponse, NamespaceSummary,
    QueryRequest, QueryResponse, ScoredVector, SparseValues, UpsertRequest, UpsertResponse, Usage,
    Vector,
};
use lodgepole_api::{ApiError, ApiVersion, parse};
use lodgepole_engine::{Deletion, ListPage, Near, Query};
use lodgepole_types::{Index, Metadata, NamespaceName, Record, ScoredRecord, SparseVector, Struct};

use crate::service::{Service, shard_of};
use crate::{DataReply, RequestContext};

/// Records that one read unit covers in a fetch, in Pinecone's counting.
const FETCHED_PER_READ_UNIT: usize = 10;

impl Service {
    /// Stores records, all or none; durable when this returns.
    ///
    /// # Errors
    /// `InvalidArgument`, or `Unavailable` with the outcome unknown.
    pub async fn upsert(
        &self,
        _ctx: &RequestContext,
        index: &Index,
        request: UpsertRequest,
    ) -> Result<DataReply<UpsertResponse>, ApiError> {
        let limits = &self.shared.rules.limits;
        let upsert = parse::upsert(request, index.config.dense, limits)?;
        let engine = &self.shared.engine;
        let lsn = engine.upsert(shard_of(index), &upsert.namespace.name, upsert.records).await?;
        Ok(DataReply::written(UpsertResponse { upserted_count: upsert.count }, lsn))
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
        let what = match delete.what {
            parse::Deletion::Ids(ids) => Deletion::Ids(ids),
            parse::Deletion::All => Deletion::All,
        };
        let engine = &self.shared.engine;
        let lsn = engine.delete(shard_of(index), &delete.namespace.name, what).await?;
        Ok(DataReply::written(DeleteResponse {}, lsn))
    }

    /// Reads records by id; unknown ids are missing from the reply.
    ///
    /// # Errors
    /// `InvalidArgument`, or `Unavailable`.
    pub async fn fetch(
        &self,
        _ctx: &RequestContext,
        index: &Index,
        request: FetchRequest,
    ) -> Result<DataReply<FetchResponse>, ApiError> {
        let fetch = parse::fetch(request, &self.shared.rules.limits)?;
        let engine = &self.shared.engine;
        let fetched = engine.fetch(shard_of(index), &fetch.namespace.name, &fetch.ids).await?;
        let read_units = fetched.records.len().div_ceil(FETCHED_PER_READ_UNIT);
        let message = FetchResponse {
            vectors: fetched
                .records
                .into_iter()
                .map(|record| (record.id.as_str().to_owned(), vector(record)))
                .collect(),
            namespace: fetch.namespace.spelling,
            usage: usage(read_units),
        };
        Ok(DataReply::read(message, fetched.lsn))
    }

    /// Finds the nearest records.
    ///
    /// # Errors
    /// `InvalidArgument`, or `Unavailable`.
    pub async fn query(
        &self,
        _ctx: &RequestContext,
        index: &Index,
        request: QueryRequest,
    ) -> Result<DataReply<QueryResponse>, ApiError> {
        let limits = &self.shared.rules.limits;
        let asked = parse::query(request, index.config.dense, limits)?;
        let query = Query {
            near: match asked.near {
                parse::Near::Vector(values) => Near::Vector(values),
                parse::Near::Record(id) => Near::Record(id),
            },
            top_k: asked.top_k,
            include_values: asked.include_values,
            include_metadata: asked.include_metadata,
        };
        let engine = &self.shared.engine;
        let answer = engine.query(shard_of(index), &asked.namespace.name, query).await?;
        let message = QueryResponse {
            matches: answer.hits.into_iter().map(scored).collect(),
            namespace: asked.namespace.spelling,
            usage: usage(1),
        };
        Ok(DataReply::read(message, answer.lsn))
    }

    /// Lists ids in byte order.
    ///
    /// # Errors
    /// `InvalidArgument`, or `Unavailable`.
    pub async fn list(
        &self,
        _ctx: &RequestContext,
        index: &Index,
        request: ListRequest,
    ) -> Result<DataReply<ListResponse>, ApiError> {
        let list = parse::list(request, &self.shared.rules.limits)?;
        let page = ListPage { prefix: list.prefix, after: list.after, limit: list.limit };
        let engine = &self.shared.engine;
        let listed = engine.list(shard_of(index), &list.namespace.name, &page).await?;
        let last = listed.ids.last().filter(|_| listed.more);
        let message = ListResponse {
            pagination: last.map(|last| parse::next_page(&page.prefix, last)),
            vectors: listed.ids.iter().map(|id| ListItem { id: id.as_str().to_owned() }).collect(),
            namespace: list.namespace.spelling,
            usage: usage(1),
        };
        Ok(DataReply::read(message, listed.lsn))
    }

    /// Counts the records of an index, exactly.
    ///
    /// # Errors
    /// `InvalidArgument` for a filter, or `Unavailable`.
    pub async fn describe_index_stats(
        &self,
        ctx: &RequestContext,
        index: &Index,
        request: DescribeIndexStatsRequest,
    ) -> Result<DataReply<DescribeIndexStatsResponse>, ApiError> {
        parse::stats(&request)?;
        let stats = self.shared.engine.stats(shard_of(index)).await?;
        let total = stats.namespaces.values().map(|counts| counts.record_count).sum();
        let namespaces: BTreeMap<_, _> = stats
            .namespaces
            .iter()
            .map(|(name, counts)| {
                let vector_count = saturated(counts.record_count);
                (listed(name, ctx.version).to_owned(), NamespaceSummary { vector_count })
            })
            .collect();
        let dense = index.config.dense;
        let named = ctx.version.stats_name_metric();
        let message = DescribeIndexStatsResponse {
            namespaces,
            dimension: Some(dense.dimension),
            index_fullness: 0.0,
            total_vector_count: saturated(total),
            metric: named.then(|| dense.metric.as_str().to_owned()),
            vector_type: named.then(|| "dense".to_owned()),
        };
        Ok(DataReply::read(message, stats.lsn))
    }
}

/// The name of a namespace in a listing.
fn listed(name: &NamespaceName, version: ApiVersion) -> &str {
    if version.lists_default_namespace_by_name() { name.listed() } else { name.as_str() }
}

fn vector(record: Record) -> Vector {
    Vector {
        id: record.id.as_str().to_owned(),
        values: record.values,
        metadata: metadata(record.metadata),
        sparse_values: record.sparse.map(sparse),
    }
}

fn scored(hit: ScoredRecord) -> ScoredVector {
    let Vector { id, values, metadata, sparse_values } = vector(hit.record);
    ScoredVector { id, score: hit.score, values, metadata, sparse_values }
}

/// Metadata that is empty is left out.
fn metadata(metadata: Metadata) -> Option<Struct> {
    (!metadata.is_empty()).then(|| metadata.into_struct())
}

fn sparse(sparse: SparseVector) -> SparseValues {
    SparseValues { indices: sparse.indices, values: sparse.values }
}

/// Units of a read, at least 1.
fn usage(read_units: usize) -> Option<Usage> {
    let units = u32::try_from(read_units).unwrap_or(u32::MAX).max(1);
    Some(Usage { read_units: Some(units) })
}

/// A count as the wire has room for it.
fn saturated(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
