//! Keys, and what can be read from them.
//!
//! Invariant: keys sort by slot, kind and number, so that all rows of one kind of a namespace are one
//! range. What belongs to the whole shard is in a slot of its own above all others.

use lodgepole_types::{NamespaceName, RecordId};
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_64;

use crate::RowError;

/// Slots that namespaces are spread over.
pub const SLOTS: u16 = 4096;
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
pub struct NamespaceId(pub u64);

/// The number of one version of a record. Ascending in the order of writes, never reused.
pub type DocId = u64;

/// Where a namespace's rows lie: its slot and its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// From the name of the namespace, by [`slot_of`].
    pub slot: u16,
    /// Which namespace: its number at the time, not its name.
    pub id: NamespaceId,
}

/// The slot of a namespace.
pub fn slot_of(name: &NamespaceName) -> u16 {
    let hash = xxh3_64(name.as_str().as_bytes());
    u16::try_from(hash % u64::from(SLOTS)).unwrap_or(0)
}

#[expect(clippy::big_endian_bytes, reason = "the byte order of keys is the order of scans")]
pub(crate) fn key(slot: u16, kind: u8, number: Option<u64>, text: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(3 + 8 + text.len());
    key.extend_from_slice(&slot.to_be_bytes());
    key.push(kind);
    if let Some(number) = number {
        key.extend_from_slice(&number.to_be_bytes());
    }
    key.extend_from_slice(text.as_bytes());
    key
}

/// The one row of the whole shard, [`MetaRow`](crate::MetaRow).
pub fn meta_key() -> Vec<u8> {
    key(SHARD_SLOT, KIND_META, None, "")
}

fn shard_key(kind: u8, owner: &[u8], text: &str) -> Vec<u8> {
    let mut key = key(SHARD_SLOT, kind, None, "");
    key.extend_from_slice(owner);
    key.extend_from_slice(text.as_bytes());
    key
}

/// The row of an alias, by its own name and not by that of the namespace it stands for.
pub fn alias_key(name: &str) -> Vec<u8> {
    shard_key(KIND_ALIAS, &[], name)
}

/// Prefix of all aliases.
pub fn alias_prefix() -> Vec<u8> {
    shard_key(KIND_ALIAS, &[], "")
}

/// The name of the alias of a key.
///
/// # Errors
/// When the key is too short or its name no text.
pub fn alias_of_key(key: &[u8]) -> Result<&str, RowError> {
    let name = key.get(3..).ok_or(RowError("alias"))?;
    std::str::from_utf8(name).map_err(|_| RowError("alias"))
}

/// The row of a job that stages records.
pub fn job_key(job: Uuid) -> Vec<u8> {
    shard_key(KIND_JOB, job.as_bytes(), "")
}

/// Prefix of all jobs that stage records.
pub fn job_prefix() -> Vec<u8> {
    shard_key(KIND_JOB, &[], "")
}

/// The row of a namespace that a job stages. It is apart from the namespace row of the same name, so
/// that both can exist.
pub fn staged_key(job: Uuid, name: &NamespaceName) -> Vec<u8> {
    shard_key(KIND_STAGED, job.as_bytes(), name.as_str())
}

/// Prefix of the namespaces that a job stages.
pub fn staged_prefix(job: Uuid) -> Vec<u8> {
    shard_key(KIND_STAGED, job.as_bytes(), "")
}

/// Prefix of the namespaces that any job stages.
pub fn all_staged_prefix() -> Vec<u8> {
    shard_key(KIND_STAGED, &[], "")
}

/// The job of a job's or staged namespace's key.
///
/// # Errors
/// When the key is too short to hold a job.
pub fn job_of_key(key: &[u8]) -> Result<Uuid, RowError> {
    let bytes = key.get(3..).and_then(|rest| rest.first_chunk::<16>());
    bytes.map(|bytes| Uuid::from_bytes(*bytes)).ok_or(RowError("job"))
}

/// The namespace of a staged namespace's key.
///
/// # Errors
/// When what follows the job is no name of a namespace.
pub fn staged_of_key(key: &[u8]) -> Result<NamespaceName, RowError> {
    let name = key.get(19..).ok_or(RowError("staged namespace"))?;
    let name = std::str::from_utf8(name).map_err(|_| RowError("staged namespace"))?;
    NamespaceName::parse(name).map_err(|_| RowError("staged namespace"))
}

/// The row that says a namespace exists. The only one that is found by the name: all others are
/// found by the number in it.
pub fn namespace_key(name: &NamespaceName) -> Vec<u8> {
    key(slot_of(name), KIND_NAMESPACE, None, name.as_str())
}

/// Prefix of all namespace rows of one slot.
pub fn namespace_prefix(slot: u16) -> Vec<u8> {
    key(slot, KIND_NAMESPACE, None, "")
}

/// The counts of a namespace.
pub fn count_key(place: Place) -> Vec<u8> {
    key(place.slot, KIND_COUNT, Some(place.id.0), "")
}

/// The row that says the rows of this place belong to nobody and are to be removed.
pub fn dead_key(place: Place) -> Vec<u8> {
    key(place.slot, KIND_DEAD, Some(place.id.0), "")
}

/// Prefix of all rows that say which namespace numbers of one slot are dead.
pub fn dead_prefix(slot: u16) -> Vec<u8> {
    key(slot, KIND_DEAD, None, "")
}

/// The record row of an id. With an empty id it is the prefix of all, with the beginning of ids the
/// prefix of those.
pub fn record_key(place: Place, id: &str) -> Vec<u8> {
    key(place.slot, KIND_RECORD, Some(place.id.0), id)
}

/// The vector row of an id; prefixes as for [`record_key`].
pub fn vector_key(place: Place, id: &str) -> Vec<u8> {
    key(place.slot, KIND_VECTOR, Some(place.id.0), id)
}

/// The slot and kind of any key; `None` for one that is too short.
#[expect(clippy::big_endian_bytes, reason = "the byte order of keys is the order of scans")]
pub fn slot_and_kind(key: &[u8]) -> Option<(u16, u8)> {
    let slot = key.first_chunk::<2>()?;
    Some((u16::from_be_bytes(*slot), *key.get(2)?))
}

/// Whether a key is that of a namespace row, and of which namespace.
pub fn namespace_of_key(key: &[u8]) -> Option<NamespaceName> {
    let (_, kind) = slot_and_kind(key)?;
    if kind != KIND_NAMESPACE {
        return None;
    }
    NamespaceName::parse(std::str::from_utf8(key.get(3..)?).ok()?).ok()
}

/// The place a dead row names.
#[expect(clippy::big_endian_bytes, reason = "the byte order of keys is the order of scans")]
pub fn dead_of_key(key: &[u8]) -> Option<Place> {
    let (slot, kind) = slot_and_kind(key)?;
    let number = key.get(3..)?.first_chunk::<8>()?;
    (kind == KIND_DEAD).then_some(Place { slot, id: NamespaceId(u64::from_be_bytes(*number)) })
}

/// The record id at the end of a record's or vector's key.
///
/// # Errors
/// When the key is too short or its id no text.
pub fn id_of_key(key: &[u8]) -> Result<&str, RowError> {
    let bytes = key.get(11..).ok_or(RowError("record"))?;
    std::str::from_utf8(bytes).map_err(|_| RowError("record"))
}

/// The record id at the end of a record's or vector's key, checked.
///
/// # Errors
/// When the key is too short or its id none that a record can have.
pub fn record_id_of_key(key: &[u8]) -> Result<RecordId, RowError> {
    RecordId::parse(id_of_key(key)?).map_err(|_| RowError("record"))
}
