//! The rows of a shard: keys and values, byte by byte. Drawn in docs/format/shard.md.
//!
//! Invariant: encoding and decoding are inverse, and every value starts with a format byte, so a
//! later release can read what this one wrote. Keys are big-endian, because their byte order is
//! the order of scans; values are little-endian. A key starts with the slot of its namespace, so
//! that a shard can later be split by key range without rewriting a row.

use lodgepole_types::{Metadata, NamespaceName, RecordId, SparseVector};
use xxhash_rust::xxh3::xxh3_64;

/// Format byte of every value written by this release.
const FORMAT: u8 = 1;
/// Slots that namespaces are spread over.
pub(crate) const SLOTS: u16 = 4096;
/// The slot of rows that belong to the whole shard; above every namespace's.
const SHARD_SLOT: u16 = u16::MAX;

const KIND_COUNT: u8 = b'c';
const KIND_DEAD: u8 = b'd';
const KIND_NAMESPACE: u8 = b'n';
const KIND_RECORD: u8 = b'r';
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
}

/// Where a namespace's rows lie: its slot and its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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

/// The one row of the whole shard: allocation marks and totals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct MetaRow {
    pub(crate) next_docid: DocId,
    pub(crate) next_namespace: u64,
    pub(crate) record_count: u64,
    pub(crate) namespace_count: u64,
    pub(crate) bytes: u64,
}

/// What a namespace row says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NamespaceRow {
    pub(crate) id: NamespaceId,
    pub(crate) created_ms: i64,
}

/// Exact counts of a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct CountRow {
    pub(crate) record_count: u64,
    pub(crate) bytes: u64,
}

/// A record without its vector, so that metadata can be read and changed without moving it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RecordRow {
    pub(crate) docid: DocId,
    /// Bytes of id, values and metadata, for the counts.
    pub(crate) bytes: u32,
    pub(crate) metadata: Metadata,
}

/// The vectors of a record, with the number of the version they belong to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct VectorRow {
    pub(crate) docid: DocId,
    pub(crate) values: Vec<f32>,
    pub(crate) sparse: Option<SparseVector>,
}

/// Bytes that a record counts for: id, values, sparse values, metadata as stored.
pub(crate) fn counted_bytes(id: &RecordId, values: usize, sparse: usize, metadata: usize) -> u32 {
    u32::try_from(id.as_str().len() + 4 * values + 8 * sparse + metadata).unwrap_or(u32::MAX)
}

impl MetaRow {
    pub(crate) fn encode(self) -> Vec<u8> {
        let mut out = vec![FORMAT];
        for number in [
            self.next_docid,
            self.next_namespace,
            self.record_count,
            self.namespace_count,
            self.bytes,
        ] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, RowError> {
        let mut input = Input::open(bytes, "meta")?;
        Ok(Self {
            next_docid: input.u64()?,
            next_namespace: input.u64()?,
            record_count: input.u64()?,
            namespace_count: input.u64()?,
            bytes: input.u64()?,
        })
    }
}

impl NamespaceRow {
    pub(crate) fn encode(self) -> Vec<u8> {
        let mut out = vec![FORMAT];
        out.extend_from_slice(&self.id.0.to_le_bytes());
        out.extend_from_slice(&self.created_ms.to_le_bytes());
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, RowError> {
        let mut input = Input::open(bytes, "namespace")?;
        let id = NamespaceId(input.u64()?);
        let created_ms = i64::from_le_bytes(input.u64()?.to_le_bytes());
        Ok(Self { id, created_ms })
    }
}

impl CountRow {
    pub(crate) fn encode(self) -> Vec<u8> {
        let mut out = vec![FORMAT];
        out.extend_from_slice(&self.record_count.to_le_bytes());
        out.extend_from_slice(&self.bytes.to_le_bytes());
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, RowError> {
        let mut input = Input::open(bytes, "count")?;
        Ok(Self { record_count: input.u64()?, bytes: input.u64()? })
    }
}

impl RecordRow {
    pub(crate) fn encode(docid: DocId, bytes: u32, metadata: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(13 + metadata.len());
        out.push(FORMAT);
        out.extend_from_slice(&docid.to_le_bytes());
        out.extend_from_slice(&bytes.to_le_bytes());
        out.extend_from_slice(metadata);
        out
    }

    /// The fixed part only: version and counted bytes.
    pub(crate) fn decode_head(bytes: &[u8]) -> Result<(DocId, u32), RowError> {
        let mut input = Input::open(bytes, "record")?;
        Ok((input.u64()?, input.u32()?))
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, RowError> {
        let mut input = Input::open(bytes, "record")?;
        let (docid, counted) = (input.u64()?, input.u32()?);
        let metadata = Metadata::from_stored(input.rest).map_err(|_| RowError("record"))?;
        Ok(Self { docid, bytes: counted, metadata })
    }
}

impl VectorRow {
    pub(crate) fn encode(docid: DocId, values: &[f32], sparse: Option<&SparseVector>) -> Vec<u8> {
        let sparse_len = sparse.map_or(0, |sparse| sparse.indices.len());
        let mut out = Vec::with_capacity(17 + 4 * values.len() + 8 * sparse_len);
        out.push(FORMAT);
        out.extend_from_slice(&docid.to_le_bytes());
        out.extend_from_slice(&length(values.len()));
        out.extend_from_slice(&length(sparse_len));
        for value in values {
            out.extend_from_slice(&value.to_le_bytes());
        }
        if let Some(sparse) = sparse {
            for index in &sparse.indices {
                out.extend_from_slice(&index.to_le_bytes());
            }
            for value in &sparse.values {
                out.extend_from_slice(&value.to_le_bytes());
            }
        }
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, RowError> {
        let mut input = Input::open(bytes, "vector")?;
        let docid = input.u64()?;
        let (dense_len, sparse_len) = (input.u32()? as usize, input.u32()? as usize);
        let values = input.floats(dense_len)?;
        let sparse = if sparse_len == 0 {
            None
        } else {
            let indices = input.words(sparse_len)?;
            Some(SparseVector { indices, values: input.floats(sparse_len)? })
        };
        if !input.rest.is_empty() {
            return Err(RowError("vector"));
        }
        Ok(Self { docid, values, sparse })
    }
}

fn length(len: usize) -> [u8; 4] {
    u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes()
}

/// A reader over a value; every step is bounds-checked.
struct Input<'a> {
    rest: &'a [u8],
    row: &'static str,
}

impl<'a> Input<'a> {
    fn open(bytes: &'a [u8], row: &'static str) -> Result<Self, RowError> {
        match bytes.split_first() {
            Some((&FORMAT, rest)) => Ok(Self { rest, row }),
            _ => Err(RowError(row)),
        }
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], RowError> {
        let (head, rest) = self.rest.split_at_checked(len).ok_or(RowError(self.row))?;
        self.rest = rest;
        Ok(head)
    }

    fn u32(&mut self) -> Result<u32, RowError> {
        let row = self.row;
        let bytes = self.take(4)?.first_chunk::<4>().ok_or(RowError(row))?;
        Ok(u32::from_le_bytes(*bytes))
    }

    fn u64(&mut self) -> Result<u64, RowError> {
        let row = self.row;
        let bytes = self.take(8)?.first_chunk::<8>().ok_or(RowError(row))?;
        Ok(u64::from_le_bytes(*bytes))
    }

    fn words(&mut self, count: usize) -> Result<Vec<u32>, RowError> {
        let bytes = self.take(count.checked_mul(4).ok_or(RowError(self.row))?)?;
        Ok(bytes.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word)).collect())
    }

    fn floats(&mut self, count: usize) -> Result<Vec<f32>, RowError> {
        let bytes = self.take(count.checked_mul(4).ok_or(RowError(self.row))?)?;
        Ok(bytes.as_chunks::<4>().0.iter().map(|word| f32::from_le_bytes(*word)).collect())
    }
}

#[cfg(test)]
mod tests;
