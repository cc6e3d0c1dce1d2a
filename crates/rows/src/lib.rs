//! The rows of a shard: keys and values, byte by byte. Drawn in docs/format/shard.md.
//!
//! Invariant: encoding and decoding are inverse, and every value starts with a format byte, so a
//! later release can read what this one wrote. Keys are big-endian, because their byte order is
//! the order of scans; values are little-endian. A key starts with the slot of its namespace, so
//! that a shard can later be split by key range without rewriting a row.
//!
//! The crate knows what rows look like and nothing of where they are: no storage, no I/O, no
//! waiting. What the rows mean together is for the engine to keep.
#![forbid(unsafe_code)]

mod error;
mod keys;
mod segments;
mod values;

pub use error::RowError;
pub use keys::{
    DocId, NamespaceId, Place, SLOTS, alias_key, alias_of_key, alias_prefix, all_staged_prefix,
    count_key, dead_key, dead_of_key, dead_prefix, id_of_key, job_key, job_of_key, job_prefix,
    meta_key, namespace_key, namespace_of_key, namespace_prefix, record_id_of_key, record_key,
    slot_and_kind, slot_of, staged_key, staged_of_key, staged_prefix, vector_key,
};
pub use segments::{
    DirectoryRow, QueueRow, SegmentEntry, SegmentId, deletions_key, deletions_prefix,
    directory_key, directory_prefix, place_of_directory_key, queue_key, queue_prefix,
    seq_of_queue_key,
};
pub use values::{
    AliasRow, CountRow, JobRow, MetaRow, NamespaceRow, RecordHead, RecordRow, StagedRow, VectorRow,
    counted_bytes,
};

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
