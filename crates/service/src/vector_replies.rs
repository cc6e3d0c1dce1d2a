//! Records as replies show them, and what a read is said to have cost.

use lodgepole_api::ApiVersion;
use lodgepole_api::wire::vectors::{ScoredVector, SparseValues, Usage, Vector};
use lodgepole_types::{Metadata, Record, ScoredRecord, SparseVector, Struct};
use prost::Message;

pub(crate) fn vector(record: Record) -> Vector {
    Vector {
        id: record.id.as_str().to_owned(),
        values: record.values,
        metadata: metadata(record.metadata),
        sparse_values: record.sparse.map(sparse),
    }
}

pub(crate) fn scored(hit: ScoredRecord) -> ScoredVector {
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

/// Units of a read, at least 1, and from the version that has them on the bytes that leave.
pub(crate) fn usage(
    version: ApiVersion,
    read_units: usize,
    egress_bytes: impl FnOnce() -> usize,
) -> Option<Usage> {
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let egress_bytes = version.counts_egress().then(|| count(egress_bytes()));
    Some(Usage { read_units: Some(count(read_units).max(1)), egress_bytes })
}

/// What the records of a reply take as protobuf.
pub(crate) fn egress_bytes<'a, M: Message + 'a>(records: impl IntoIterator<Item = &'a M>) -> usize {
    records.into_iter().map(Message::encoded_len).sum()
}

/// A count as the wire has room for it.
pub(crate) fn saturated(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
