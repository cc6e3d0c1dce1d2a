//! What users store and get back.

use crate::{Metadata, RecordId};

/// A sparse vector: `values[i]` stands at dimension `indices[i]`. Both have one length; the order
/// is the one in which they were sent, and no dimension occurs twice.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SparseVector {
    /// Dimensions, in the order sent.
    pub indices: Vec<u32>,
    /// Values, aligned with `indices`; finite.
    pub values: Vec<f32>,
}

/// One record: the unit of upsert, fetch and delete.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Unique inside its namespace.
    pub id: RecordId,
    /// Dense values; as many as the index has dimensions, or none.
    pub values: Vec<f32>,
    /// Sparse values, where the record has them.
    pub sparse: Option<SparseVector>,
    /// Metadata; empty when the record has none.
    pub metadata: Metadata,
}

/// A record that answered a query.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoredRecord {
    /// Score by the index's metric, in the API's sense.
    pub score: f32,
    /// The record; values and metadata are empty where they were not asked for.
    pub record: Record,
}
