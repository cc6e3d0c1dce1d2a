//! Messages of the data plane.
//!
//! Names, tags and types are those of Pinecone's proto file for `VectorService` (which has no
//! package), written by hand so that each field can carry both spellings: JSON is camelCase, and
//! snake_case is read too. Metadata and filters are [`Struct`] on both transports and never
//! converted. One deprecated field is read only to be refused: `queries` of a query.

use std::collections::BTreeMap;

use lodgepole_types::Struct;
use serde::{Deserialize, Serialize};

use super::lenient::{finite, or_default};

/// A sparse vector: `values[i]` stands at dimension `indices[i]`.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct SparseValues {
    /// Dimensions, in the order sent.
    #[prost(uint32, repeated, tag = "1")]
    #[serde(deserialize_with = "or_default")]
    pub indices: Vec<u32>,
    /// Values, aligned with `indices`.
    #[prost(float, repeated, tag = "2")]
    #[serde(deserialize_with = "or_default")]
    pub values: Vec<f32>,
}

/// A record. In JSON `values` is always written, `[]` when there is none: clients need it.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Vector {
    /// Id of the record.
    #[prost(string, tag = "1")]
    #[serde(deserialize_with = "or_default")]
    pub id: String,
    /// Dense values.
    #[prost(float, repeated, tag = "2")]
    #[serde(deserialize_with = "or_default")]
    pub values: Vec<f32>,
    /// Metadata.
    #[prost(message, optional, tag = "3")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Struct>,
    /// Sparse values.
    #[prost(message, optional, tag = "4")]
    #[serde(alias = "sparse_values", skip_serializing_if = "Option::is_none")]
    pub sparse_values: Option<SparseValues>,
}

/// A record that answered a query. `values` is `[]` when they were not asked for.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ScoredVector {
    /// Id of the record.
    #[prost(string, tag = "1")]
    pub id: String,
    /// Score in the sense of the index's metric.
    #[prost(float, tag = "2")]
    #[serde(serialize_with = "finite")]
    pub score: f32,
    /// Dense values, where asked for.
    #[prost(float, repeated, tag = "3")]
    pub values: Vec<f32>,
    /// Metadata, where asked for and there is some.
    #[prost(message, optional, tag = "4")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Struct>,
    /// Sparse values, where asked for and there are some.
    #[prost(message, optional, tag = "5")]
    #[serde(alias = "sparse_values", skip_serializing_if = "Option::is_none")]
    pub sparse_values: Option<SparseValues>,
}

/// Insert or replace records.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct UpsertRequest {
    /// The records.
    #[prost(message, repeated, tag = "1")]
    #[serde(deserialize_with = "or_default")]
    pub vectors: Vec<Vector>,
    /// Namespace in any of its spellings.
    #[prost(string, tag = "2")]
    #[serde(deserialize_with = "or_default")]
    pub namespace: String,
}

/// Answer to [`UpsertRequest`].
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct UpsertResponse {
    /// Records in the request.
    #[prost(uint32, tag = "1")]
    pub upserted_count: u32,
}

/// Delete records.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct DeleteRequest {
    /// Ids to delete.
    #[prost(string, repeated, tag = "1")]
    #[serde(deserialize_with = "or_default")]
    pub ids: Vec<String>,
    /// Whether everything in the namespace goes.
    #[prost(bool, tag = "2")]
    #[serde(alias = "delete_all", deserialize_with = "or_default")]
    pub delete_all: bool,
    /// Namespace in any of its spellings.
    #[prost(string, tag = "3")]
    #[serde(deserialize_with = "or_default")]
    pub namespace: String,
    /// What matches goes.
    #[prost(message, optional, tag = "4")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<Struct>,
}

/// Answer to [`DeleteRequest`]: nothing, `{}` in JSON.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
pub struct DeleteResponse {}

/// Read records by id.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct FetchRequest {
    /// Ids to read; one that occurs twice is read once.
    #[prost(string, repeated, tag = "1")]
    #[serde(deserialize_with = "or_default")]
    pub ids: Vec<String>,
    /// Namespace in any of its spellings.
    #[prost(string, tag = "2")]
    #[serde(deserialize_with = "or_default")]
    pub namespace: String,
}

/// Answer to [`FetchRequest`]. Ids that do not exist are missing from the map.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct FetchResponse {
    /// Records by id.
    #[prost(btree_map = "string, message", tag = "1")]
    pub vectors: BTreeMap<String, Vector>,
    /// Namespace in the spelling of the request.
    #[prost(string, tag = "2")]
    pub namespace: String,
    /// Units that Pinecone would charge.
    #[prost(message, optional, tag = "3")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

/// Read records by metadata.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct FetchByMetadataRequest {
    /// Namespace in any of its spellings.
    #[prost(string, tag = "1")]
    #[serde(deserialize_with = "or_default")]
    pub namespace: String,
    /// What to read; never empty.
    #[prost(message, optional, tag = "2")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<Struct>,
    /// Records on a page.
    #[prost(uint32, optional, tag = "3")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Where the page before ended.
    #[prost(string, optional, tag = "4")]
    #[serde(alias = "pagination_token", skip_serializing_if = "Option::is_none")]
    pub pagination_token: Option<String>,
}

/// Answer to [`FetchByMetadataRequest`].
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct FetchByMetadataResponse {
    /// Records by id.
    #[prost(btree_map = "string, message", tag = "1")]
    pub vectors: BTreeMap<String, Vector>,
    /// Namespace in the spelling of the request.
    #[prost(string, tag = "2")]
    pub namespace: String,
    /// Units that Pinecone would charge.
    #[prost(message, optional, tag = "3")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// Absent on the last page.
    #[prost(message, optional, tag = "4")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pagination: Option<Pagination>,
}

/// Change parts of one record, or the metadata of all that a filter matches.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct UpdateRequest {
    /// The record.
    #[prost(string, tag = "1")]
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// New dense values.
    #[prost(float, repeated, tag = "2")]
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<f32>,
    /// Metadata to set; a null removes its key.
    #[prost(message, optional, tag = "3")]
    #[serde(alias = "set_metadata", skip_serializing_if = "Option::is_none")]
    pub set_metadata: Option<Struct>,
    /// Namespace in any of its spellings.
    #[prost(string, tag = "4")]
    #[serde(deserialize_with = "or_default")]
    pub namespace: String,
    /// New sparse values.
    #[prost(message, optional, tag = "5")]
    #[serde(alias = "sparse_values", skip_serializing_if = "Option::is_none")]
    pub sparse_values: Option<SparseValues>,
    /// Or: what to change.
    #[prost(message, optional, tag = "6")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<Struct>,
    /// Whether to count the matches only.
    #[prost(bool, optional, tag = "7")]
    #[serde(alias = "dry_run", skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<bool>,
}

/// Answer to [`UpdateRequest`].
#[derive(Clone, PartialEq, Eq, prost::Message, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct UpdateResponse {
    /// Records that the filter matched; absent when there was none.
    #[prost(int32, optional, tag = "1")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matched_records: Option<i32>,
}

/// Count the records of a namespace that match: an endpoint of our own, on REST only.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CountRequest {
    /// What to count; without it, everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<Struct>,
    /// Namespace in any of its spellings.
    #[serde(deserialize_with = "or_default")]
    pub namespace: String,
}

/// Answer to [`CountRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CountResponse {
    /// Records, exactly.
    pub count: u64,
    /// Namespace in the spelling of the request.
    pub namespace: String,
}

/// List ids.
#[derive(Clone, PartialEq, Eq, prost::Message, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ListRequest {
    /// Ids start with this.
    #[prost(string, optional, tag = "1")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Ids on a page.
    #[prost(uint32, optional, tag = "2")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Where the page before ended.
    #[prost(string, optional, tag = "3")]
    #[serde(alias = "pagination_token", skip_serializing_if = "Option::is_none")]
    pub pagination_token: Option<String>,
    /// Namespace in any of its spellings.
    #[prost(string, tag = "4")]
    #[serde(deserialize_with = "or_default")]
    pub namespace: String,
}

/// Where the next page begins.
#[derive(Clone, PartialEq, Eq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct Pagination {
    /// Token to send with the next request.
    #[prost(string, tag = "1")]
    pub next: String,
}

/// An id in a listing.
#[derive(Clone, PartialEq, Eq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct ListItem {
    /// Id of the record.
    #[prost(string, tag = "1")]
    pub id: String,
}

/// Answer to [`ListRequest`].
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct ListResponse {
    /// Ids in bytewise order.
    #[prost(message, repeated, tag = "1")]
    pub vectors: Vec<ListItem>,
    /// Absent on the last page.
    #[prost(message, optional, tag = "2")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pagination: Option<Pagination>,
    /// Namespace in the spelling of the request.
    #[prost(string, tag = "3")]
    pub namespace: String,
    /// Units that Pinecone would charge.
    #[prost(message, optional, tag = "4")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

/// One of several queries in a request: deprecated, and refused.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct QueryVector {
    /// Dense values.
    #[prost(float, repeated, tag = "1")]
    #[serde(deserialize_with = "or_default")]
    pub values: Vec<f32>,
    /// Records wanted.
    #[prost(uint32, tag = "2")]
    #[serde(alias = "top_k", deserialize_with = "or_default")]
    pub top_k: u32,
    /// Namespace.
    #[prost(string, tag = "3")]
    #[serde(deserialize_with = "or_default")]
    pub namespace: String,
    /// Filter.
    #[prost(message, optional, tag = "4")]
    pub filter: Option<Struct>,
    /// Sparse values.
    #[prost(message, optional, tag = "5")]
    #[serde(alias = "sparse_values")]
    pub sparse_values: Option<SparseValues>,
}

/// Find the records nearest to a vector.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct QueryRequest {
    /// Namespace in any of its spellings.
    #[prost(string, tag = "1")]
    #[serde(deserialize_with = "or_default")]
    pub namespace: String,
    /// Records wanted.
    #[prost(uint32, tag = "2")]
    #[serde(alias = "top_k", deserialize_with = "or_default")]
    pub top_k: u32,
    /// Only what matches; empty means all.
    #[prost(message, optional, tag = "3")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<Struct>,
    /// Whether values are wanted.
    #[prost(bool, tag = "4")]
    #[serde(alias = "include_values", deserialize_with = "or_default")]
    pub include_values: bool,
    /// Whether metadata is wanted.
    #[prost(bool, tag = "5")]
    #[serde(alias = "include_metadata", deserialize_with = "or_default")]
    pub include_metadata: bool,
    /// Deprecated.
    #[prost(message, repeated, tag = "6")]
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub queries: Vec<QueryVector>,
    /// What the records should be near to.
    #[prost(float, repeated, tag = "7")]
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub vector: Vec<f32>,
    /// Or: a record that they should be near to.
    #[prost(string, tag = "8")]
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// Sparse part of the query.
    #[prost(message, optional, tag = "9")]
    #[serde(alias = "sparse_vector", skip_serializing_if = "Option::is_none")]
    pub sparse_vector: Option<SparseValues>,
    /// Effort, 0.5 to 4: multiplies how much of the search structures is looked at.
    #[prost(float, optional, tag = "10")]
    #[serde(alias = "scan_factor", skip_serializing_if = "Option::is_none")]
    pub scan_factor: Option<f32>,
    /// At most so many records are scored exactly.
    #[prost(uint32, optional, tag = "11")]
    #[serde(alias = "max_candidates", skip_serializing_if = "Option::is_none")]
    pub max_candidates: Option<u32>,
}

/// Answer to [`QueryRequest`]. Tag 1, the deprecated `results`, is never sent.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct QueryResponse {
    /// The records, nearest first. Always written in JSON.
    #[prost(message, repeated, tag = "2")]
    pub matches: Vec<ScoredVector>,
    /// Namespace in the spelling of the request.
    #[prost(string, tag = "3")]
    pub namespace: String,
    /// Units that Pinecone would charge.
    #[prost(message, optional, tag = "4")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

/// Units that Pinecone would charge; Lodgepole counts them and charges nothing.
#[derive(Clone, PartialEq, Eq, prost::Message, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Usage {
    /// Read units, at least 1.
    #[prost(uint32, optional, tag = "1")]
    #[serde(alias = "read_units", skip_serializing_if = "Option::is_none")]
    pub read_units: Option<u32>,
    /// Bytes of the records in the reply, as protobuf; from 2026-07 on.
    #[prost(uint32, optional, tag = "2")]
    #[serde(alias = "egress_bytes", skip_serializing_if = "Option::is_none")]
    pub egress_bytes: Option<u32>,
}

/// Count the records of an index.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct DescribeIndexStatsRequest {
    /// Only what matches; must be empty, except on pod indexes.
    #[prost(message, optional, tag = "1")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<Struct>,
}

/// Counts of one namespace.
#[derive(Clone, PartialEq, Eq, prost::Message, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct NamespaceSummary {
    /// Records in it.
    #[prost(uint32, tag = "1")]
    pub vector_count: u32,
}

/// Answer to [`DescribeIndexStatsRequest`].
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct DescribeIndexStatsResponse {
    /// Counts by namespace.
    #[prost(btree_map = "string, message", tag = "1")]
    pub namespaces: BTreeMap<String, NamespaceSummary>,
    /// Values of a dense vector.
    #[prost(uint32, optional, tag = "2")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dimension: Option<u32>,
    /// Always 0: an index without pods is never full.
    #[prost(float, tag = "3")]
    pub index_fullness: f32,
    /// Records in all namespaces.
    #[prost(uint32, tag = "4")]
    pub total_vector_count: u32,
    /// Metric of the index.
    #[prost(string, optional, tag = "5")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<String>,
    /// `dense` or `sparse`.
    #[prost(string, optional, tag = "6")]
    #[serde(alias = "vector_type", skip_serializing_if = "Option::is_none")]
    pub vector_type: Option<String>,
    /// Always 0, and only where the index has dedicated read capacity.
    #[prost(float, optional, tag = "7")]
    #[serde(alias = "memory_fullness", skip_serializing_if = "Option::is_none")]
    pub memory_fullness: Option<f32>,
    /// Always 0, and only where the index has dedicated read capacity.
    #[prost(float, optional, tag = "8")]
    #[serde(alias = "storage_fullness", skip_serializing_if = "Option::is_none")]
    pub storage_fullness: Option<f32>,
}

#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;
