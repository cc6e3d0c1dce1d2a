//! Operations on what a filter matches: a fetch page by page, statistics, and exact counts.

use std::collections::BTreeMap;

use lodgepole_api::wire::vectors::{
    CountRequest, CountResponse, DescribeIndexStatsRequest, DescribeIndexStatsResponse,
    FetchByMetadataRequest, FetchByMetadataResponse, NamespaceSummary, Vector,
};
use lodgepole_api::{ApiError, ApiVersion, parse};
use lodgepole_engine::FilterPage;
use lodgepole_types::{Index, Lsn, NamespaceName, ReadCapacity};
use prost::Message;

use crate::service::{Service, shard_of};
use crate::vector_replies::{egress_bytes, saturated, usage, vector};
use crate::vectors::FETCHED_PER_READ_UNIT;
use crate::{DataReply, RequestContext};

/// Records read at once for a page that may end early: it bounds what is read in vain.
const RECORDS_AT_ONCE: usize = 100;

/// A page of records and whether more follow.
struct Page {
    vectors: BTreeMap<String, Vector>,
    /// The id after which the next page begins, if there is one.
    next_after: Option<String>,
    lsn: Lsn,
}

impl Service {
    /// Reads the records that a filter matches, by ascending id. A page ends early when the reply
    /// would be too long, but never before its first record.
    ///
    /// # Errors
    /// `InvalidArgument`, or `Unavailable`.
    pub async fn fetch_by_metadata(
        &self,
        ctx: &RequestContext,
        index: &Index,
        request: FetchByMetadataRequest,
    ) -> Result<DataReply<FetchByMetadataResponse>, ApiError> {
        let fetch = parse::fetch_by_metadata(request, &self.shared.rules.limits)?;
        let namespace = self.read_namespace(index, fetch.namespace).await?;
        self.check_filter(index, &namespace.name, Some(&fetch.filter)).await?;
        let page = FilterPage { filter: fetch.filter, after: fetch.after, limit: fetch.limit };
        let page = self.page_of_matches(index, &namespace.name, page).await?;
        let read_units = page.vectors.len().div_ceil(FETCHED_PER_READ_UNIT);
        let bytes = || egress_bytes(page.vectors.values());
        let usage = usage(ctx.version, read_units, bytes);
        let pagination = page.next_after.as_deref().map(parse::next_fetch_page);
        let message = FetchByMetadataResponse {
            vectors: page.vectors,
            namespace: namespace.spelling,
            usage,
            pagination,
        };
        Ok(DataReply::read(message, page.lsn))
    }

    /// WHY in portions: a page may name 10,000 records of 120 KB each, which must not all be read
    /// to send the first 4 MB of them.
    async fn page_of_matches(
        &self,
        index: &Index,
        name: &NamespaceName,
        mut rest: FilterPage,
    ) -> Result<Page, ApiError> {
        let bytes_max = self.shared.rules.limits.fetch_page_bytes_max;
        let (mut vectors, mut bytes, mut lsn) = (BTreeMap::new(), 0, None);
        let wanted = rest.limit;
        loop {
            rest.limit = (wanted - vectors.len()).min(RECORDS_AT_ONCE);
            let part = self.shared.engine.fetch_by_metadata(shard_of(index), name, &rest).await?;
            // What the first portion saw is what the whole page has seen at least.
            let lsn = *lsn.get_or_insert(part.lsn);
            for record in part.records {
                let vector = vector(record);
                bytes += vector.encoded_len();
                if bytes > bytes_max && !vectors.is_empty() {
                    return Ok(Page { vectors, next_after: rest.after, lsn });
                }
                rest.after = Some(vector.id.clone());
                vectors.insert(vector.id.clone(), vector);
            }
            if !part.more || vectors.len() == wanted {
                let next_after = rest.after.filter(|_| part.more);
                return Ok(Page { vectors, next_after, lsn });
            }
        }
    }

    /// Counts the records of an index, exactly; on a pod index those that a filter matches.
    ///
    /// # Errors
    /// `InvalidArgument` for a filter on another index, or `Unavailable`.
    pub async fn describe_index_stats(
        &self,
        ctx: &RequestContext,
        index: &Index,
        request: DescribeIndexStatsRequest,
    ) -> Result<DataReply<DescribeIndexStatsResponse>, ApiError> {
        let filter = parse::stats(&request, &index.config, &self.shared.rules.limits)?;
        let (counts, lsn) = match filter {
            Some(filter) => {
                let counted = self.shared.engine.count(shard_of(index), None, &filter).await?;
                (counted.namespaces, counted.lsn)
            }
            None => {
                let stats = self.shared.engine.stats(shard_of(index)).await?;
                let count = |(name, counts): (NamespaceName, lodgepole_engine::NamespaceStats)| {
                    (name, counts.record_count)
                };
                (stats.namespaces.into_iter().map(count).collect::<BTreeMap<_, _>>(), stats.lsn)
            }
        };
        let namespaces = counts.iter().map(|(name, count)| {
            let summary = NamespaceSummary { vector_count: saturated(*count) };
            (listed(name, ctx.version).to_owned(), summary)
        });
        let named = ctx.version.stats_name_metric();
        let dedicated = matches!(index.config.read_capacity, ReadCapacity::Dedicated(_));
        let fullness = (dedicated && ctx.version.has_read_capacity()).then_some(0.0);
        let message = DescribeIndexStatsResponse {
            namespaces: namespaces.collect(),
            dimension: index.config.dimension(),
            index_fullness: 0.0,
            total_vector_count: saturated(counts.values().sum()),
            metric: named.then(|| index.config.metric().as_str().to_owned()),
            vector_type: named.then(|| index.config.vector_type().to_owned()),
            memory_fullness: fullness,
            storage_fullness: fullness,
        };
        Ok(DataReply::read(message, lsn))
    }

    /// Counts the records of a namespace that match, exactly. An endpoint of our own.
    ///
    /// # Errors
    /// `InvalidArgument`, or `Unavailable`.
    pub async fn count(
        &self,
        _ctx: &RequestContext,
        index: &Index,
        request: CountRequest,
    ) -> Result<DataReply<CountResponse>, ApiError> {
        let count = parse::count(request, &self.shared.rules.limits)?;
        let namespace = self.read_namespace(index, count.namespace).await?;
        let (engine, shard) = (&self.shared.engine, shard_of(index));
        let (count, lsn) = match count.filter {
            Some(filter) => {
                self.check_filter(index, &namespace.name, Some(&filter)).await?;
                let counted = engine.count(shard, Some(&namespace.name), &filter).await?;
                (counted.namespaces.get(&namespace.name).copied().unwrap_or_default(), counted.lsn)
            }
            None => {
                let lsn = self.position(index).await?;
                let info = engine.describe_namespace(shard, &namespace.name).await?;
                (info.map_or(0, |info| info.record_count), lsn)
            }
        };
        Ok(DataReply::read(CountResponse { count, namespace: namespace.spelling }, lsn))
    }
}

/// The name of a namespace in statistics.
fn listed(name: &NamespaceName, version: ApiVersion) -> &str {
    if version.lists_default_namespace_by_name() { name.listed() } else { name.as_str() }
}
