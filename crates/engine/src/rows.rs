//! The rows of a shard: keys and values, byte by byte. Drawn in docs/format/shard.md.
//!
//! Invariant: encoding and decoding are inverse, and every value starts with a format byte, so a
//! later release can read what this one wrote. Keys are big-endian, because their byte order is
//! the order of scans; values are little-endian. A key starts with the slot of its namespace, so
//! that a shard can later be split by key range without rewriting a row.

mod segments;
mod values;

use lodgepole_types::{NamespaceName, RecordId};
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_64;

pub(crate) use segments::{
    DirectoryRow, QueueRow, SegmentEntry, SegmentId, deletions_key, deletions_prefix,
    directory_key, directory_prefix, place_of_directory_key, queue_key, queue_prefix,
    seq_of_queue_key,
};
pub(crate) use values::{
    AliasRow, CountRow, JobRow, MetaRow, NamespaceRow, RecordHead, RecordRow, StagedRow, VectorRow,
    counted_bytes,
};

/// Slots that namespaces are spread over.
pub(crate) const SLOTS: u16 = 4096;
/// The slot of rows that belong to the whole shard; above every namespace's.
const SHARD_SLOT: u16 = u16::MAX;

const KIND_ALIAS: u8 = b'a';
const KIND_COUNT: u8 = b'c';
const KIND_DEAD: u8 = b'd';
const KIND_JOB: u8 = b'j';
const KIND_NAMESPACE: u8 = b'n';
const KIND_RECORD: u8 = b'r';
const KIND_STAGED: u8 = b's';
const KIND_VECTOR: u8 = b'v';
const KIND_META: u8 = b'm';

/// The number of a namespace inside its shard. Never reused: emptying a namespace gives it a new
/// one, and the rows under the old one are removed in the background.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct NamespaceId(pub(crate) u64);

/// The number of one version of a record. Ascending in the order of writes, never reused.
pub(crate) type DocId = u64;

/// A stored value that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a stored {0} row is damaged or of a newer format")]
pub struct RowError(&'static str);

impl RowError {
    /// The record and the vector row of one record belong to different versions.
    pub(crate) fn unmatched() -> Self {
        Self("record or vector")
    }

    /// A namespace's row says what it cannot say.
    pub(crate) fn of_namespace() -> Self {
        Self("namespace")
    }

    /// The dead rows of a segment say what they cannot say.
    pub(crate) fn of_deletions() -> Self {
        Self("segment deletions")
    }

    /// A backup names a segment that cannot be one.
    pub(crate) fn of_segment_name() -> Self {
        Self("backup")
    }

    /// A record's row says what it cannot say.
    pub(crate) fn of_record() -> Self {
        Self("record")
    }

    /// Stored metadata cannot be decoded.
    pub(crate) fn damaged_metadata() -> Self {
        Self("record")
    }
}

/// Where a namespace's rows lie: its slot and its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    pub(crate) slot: u16,
    pub(crate) id: NamespaceId,
}

/// The slot of a namespace.
pub(crate) fn slot_of(name: &NamespaceName) -> u16 {
    let hash = xxh3_64(name.as_str().as_bytes());
    u16::try_from(hash % u64::from(SLOTS)).unwrap_or(0)
}

#[expect(clippy::big_endian_bytes, reason = "the byte order of keys is the order of scans")]
fn key(slot: u16, kind: u8, number: Option<u64>, text: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(3 + 8 + text.len());
    key.extend_from_slice(&slot.to_be_bytes());
    key.push(kind);
    if let Some(number) = number {
        key.extend_from_slice(&number.to_be_bytes());
    }
    key.extend_from_slice(text.as_bytes());
    key
}

pub(crate) fn meta_key() -> Vec<u8> {
    key(SHARD_SLOT, KIND_META, None, "")
}

fn shard_key(kind: u8, owner: &[u8], text: &str) -> Vec<u8> {
    let mut key = key(SHARD_SLOT, kind, None, "");
    key.extend_from_slice(owner);
    key.extend_from_slice(text.as_bytes());
    key
}

pub(crate) fn alias_key(name: &str) -> Vec<u8> {
    shard_key(KIND_ALIAS, &[], name)
}

/// Prefix of all aliases.
pub(crate) fn alias_prefix() -> Vec<u8> {
    shard_key(KIND_ALIAS, &[], "")
}

/// The name of the alias of a key.
pub(crate) fn alias_of_key(key: &[u8]) -> Result<&str, RowError> {
    let name = key.get(3..).ok_or(RowError("alias"))?;
    std::str::from_utf8(name).map_err(|_| RowError("alias"))
}

pub(crate) fn job_key(job: Uuid) -> Vec<u8> {
    shard_key(KIND_JOB, job.as_bytes(), "")
}

/// Prefix of all jobs that stage records.
pub(crate) fn job_prefix() -> Vec<u8> {
    shard_key(KIND_JOB, &[], "")
}

pub(crate) fn staged_key(job: Uuid, name: &NamespaceName) -> Vec<u8> {
    shard_key(KIND_STAGED, job.as_bytes(), name.as_str())
}

/// Prefix of the namespaces that a job stages.
pub(crate) fn staged_prefix(job: Uuid) -> Vec<u8> {
    shard_key(KIND_STAGED, job.as_bytes(), "")
}

/// Prefix of the namespaces that any job stages.
pub(crate) fn all_staged_prefix() -> Vec<u8> {
    shard_key(KIND_STAGED, &[], "")
}

/// The job of a job's or staged namespace's key.
pub(crate) fn job_of_key(key: &[u8]) -> Result<Uuid, RowError> {
    let bytes = key.get(3..).and_then(|rest| rest.first_chunk::<16>());
    bytes.map(|bytes| Uuid::from_bytes(*bytes)).ok_or(RowError("job"))
}

/// The namespace of a staged namespace's key.
pub(crate) fn staged_of_key(key: &[u8]) -> Result<NamespaceName, RowError> {
    let name = key.get(19..).ok_or(RowError("staged namespace"))?;
    let name = std::str::from_utf8(name).map_err(|_| RowError("staged namespace"))?;
    NamespaceName::parse(name).map_err(|_| RowError("staged namespace"))
}

pub(crate) fn namespace_key(name: &NamespaceName) -> Vec<u8> {
    key(slot_of(name), KIND_NAMESPACE, None, name.as_str())
}

/// Prefix of all namespace rows of one slot.
pub(crate) fn namespace_prefix(slot: u16) -> Vec<u8> {
    key(slot, KIND_NAMESPACE, None, "")
}

pub(crate) fn count_key(place: Place) -> Vec<u8> {
    key(place.slot, KIND_COUNT, Some(place.id.0), "")
}

pub(crate) fn dead_key(place: Place) -> Vec<u8> {
    key(place.slot, KIND_DEAD, Some(place.id.0), "")
}

/// Prefix of all rows that say which namespace numbers of one slot are dead.
pub(crate) fn dead_prefix(slot: u16) -> Vec<u8> {
    key(slot, KIND_DEAD, None, "")
}

pub(crate) fn record_key(place: Place, id: &str) -> Vec<u8> {
    key(place.slot, KIND_RECORD, Some(place.id.0), id)
}

pub(crate) fn vector_key(place: Place, id: &str) -> Vec<u8> {
    key(place.slot, KIND_VECTOR, Some(place.id.0), id)
}

/// The slot and kind of any key; `None` for one that is too short.
#[expect(clippy::big_endian_bytes, reason = "the byte order of keys is the order of scans")]
pub(crate) fn slot_and_kind(key: &[u8]) -> Option<(u16, u8)> {
    let slot = key.first_chunk::<2>()?;
    Some((u16::from_be_bytes(*slot), *key.get(2)?))
}

/// Whether a key is that of a namespace row, and of which namespace.
pub(crate) fn namespace_of_key(key: &[u8]) -> Option<NamespaceName> {
    let (_, kind) = slot_and_kind(key)?;
    if kind != KIND_NAMESPACE {
        return None;
    }
    NamespaceName::parse(std::str::from_utf8(key.get(3..)?).ok()?).ok()
}

/// The place a dead row names.
#[expect(clippy::big_endian_bytes, reason = "the byte order of keys is the order of scans")]
pub(crate) fn dead_of_key(key: &[u8]) -> Option<Place> {
    let (slot, kind) = slot_and_kind(key)?;
    let number = key.get(3..)?.first_chunk::<8>()?;
    (kind == KIND_DEAD).then_some(Place { slot, id: NamespaceId(u64::from_be_bytes(*number)) })
}

/// The record id at the end of a record's or vector's key.
pub(crate) fn id_of_key(key: &[u8]) -> Result<&str, RowError> {
    let bytes = key.get(11..).ok_or(RowError("record"))?;
    std::str::from_utf8(bytes).map_err(|_| RowError("record"))
}

/// The record id at the end of a record's or vector's key, checked.
pub(crate) fn record_id_of_key(key: &[u8]) -> Result<RecordId, RowError> {
    RecordId::parse(id_of_key(key)?).map_err(|_| RowError("record"))
}

#[cfg(test)]
mod tests;
