//! The rows that tie search segments to the records: directory, deletions, change queue.
//!
//! A namespace whose changes are queued has a directory row (`g`). It lists the namespace's
//! segments; an `x` row beside it says which rows of a segment are dead. Every later write adds one
//! `q` row with the versions that came and went. Together they are exact: what the segments hold,
//! less their dead rows, changed by the queue in its order, is what the record rows hold. INVARIANT:
//! segments, `x` rows and the trimming of the queue change in one batch. A directory without
//! segments says nothing about the queue: the namespace is then read from its record rows.

use lodgepole_types::{IndexId, RecordId};
use uuid::Uuid;

use crate::RowError;
use crate::keys::{DocId, NamespaceId, Place, key, slot_and_kind};
use crate::values::Input;

const KIND_SEGMENTS: u8 = b'g';
const KIND_QUEUE: u8 = b'q';
const KIND_DELETIONS: u8 = b'x';

const FORMAT: u8 = 1;

/// One segment, wherever it is used: a clone shares those of its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentId {
    /// The index that it was built for; its file lies below that index for ever.
    pub origin: IndexId,
    /// Its own number, unique for ever.
    pub id: Uuid,
}

/// A segment of a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentEntry {
    /// Which file it is.
    pub id: SegmentId,
    /// Rows, dead ones included.
    pub rows: u64,
    /// Size of the file.
    pub bytes: u64,
}

/// The segments of a namespace.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DirectoryRow {
    /// In no order that means anything.
    pub segments: Vec<SegmentEntry>,
}

/// What one request did to the versions of records.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QueueRow {
    /// New versions, by ascending docid.
    pub born: Vec<(DocId, RecordId)>,
    /// Versions that are gone.
    pub buried: Vec<DocId>,
}

impl std::fmt::Display for SegmentId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.origin, self.id)
    }
}

impl SegmentId {
    /// Reads what [`Display`](std::fmt::Display) wrote.
    pub fn parse(text: &str) -> Option<Self> {
        let (origin, id) = text.split_once('/')?;
        Some(Self { origin: IndexId::parse(origin)?, id: Uuid::parse_str(id).ok()? })
    }
}

/// The directory of a namespace. That it exists says that changes are queued.
pub fn directory_key(place: Place) -> Vec<u8> {
    key(place.slot, KIND_SEGMENTS, Some(place.id.0), "")
}

/// Prefix of all directories of one slot.
pub fn directory_prefix(slot: u16) -> Vec<u8> {
    key(slot, KIND_SEGMENTS, None, "")
}

/// The place of a directory's key.
#[expect(clippy::big_endian_bytes, reason = "the byte order of keys is the order of scans")]
pub fn place_of_directory_key(key: &[u8]) -> Option<Place> {
    let (slot, kind) = slot_and_kind(key)?;
    let number = key.get(3..)?.first_chunk::<8>()?;
    (kind == KIND_SEGMENTS).then_some(Place { slot, id: NamespaceId(u64::from_be_bytes(*number)) })
}

/// The dead rows of one segment of a namespace. Not of the segment as such: a clone that shares it
/// has dead rows of its own.
pub fn deletions_key(place: Place, segment: Uuid) -> Vec<u8> {
    let mut key = deletions_prefix(place);
    key.extend_from_slice(segment.as_bytes());
    key
}

/// Prefix of the deletions of all segments of a namespace.
pub fn deletions_prefix(place: Place) -> Vec<u8> {
    key(place.slot, KIND_DELETIONS, Some(place.id.0), "")
}

/// The key of the request whose last docid was `seq`.
#[expect(clippy::big_endian_bytes, reason = "the byte order of keys is the order of scans")]
pub fn queue_key(place: Place, seq: DocId) -> Vec<u8> {
    let mut key = queue_prefix(place);
    key.extend_from_slice(&seq.to_be_bytes());
    key
}

/// Prefix of the queue of a namespace.
pub fn queue_prefix(place: Place) -> Vec<u8> {
    key(place.slot, KIND_QUEUE, Some(place.id.0), "")
}

/// The last docid of the request of a queue row.
///
/// # Errors
/// When the key is too short to hold a docid.
#[expect(clippy::big_endian_bytes, reason = "the byte order of keys is the order of scans")]
pub fn seq_of_queue_key(key: &[u8]) -> Result<DocId, RowError> {
    let bytes = key.get(11..).and_then(|rest| rest.first_chunk::<8>()).ok_or(RowError("queue"))?;
    Ok(u64::from_be_bytes(*bytes))
}

impl DirectoryRow {
    /// As stored.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![FORMAT];
        out.extend_from_slice(&count(self.segments.len()));
        for entry in &self.segments {
            out.extend_from_slice(entry.id.origin.as_uuid().as_bytes());
            out.extend_from_slice(entry.id.id.as_bytes());
            out.extend_from_slice(&entry.rows.to_le_bytes());
            out.extend_from_slice(&entry.bytes.to_le_bytes());
        }
        out
    }

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// When it is cut, has bytes left over, or is of a format that is not known.
    pub fn decode(bytes: &[u8]) -> Result<Self, RowError> {
        let mut input = Input::open(bytes, "segment directory")?;
        let count = input.u32()?;
        let mut segments = Vec::new();
        for _ in 0..count {
            let origin = IndexId::from_uuid(uuid(&mut input)?);
            let id = SegmentId { origin, id: uuid(&mut input)? };
            segments.push(SegmentEntry { id, rows: input.u64()?, bytes: input.u64()? });
        }
        if input.rest.is_empty() {
            Ok(Self { segments })
        } else {
            Err(RowError("segment directory"))
        }
    }
}

impl QueueRow {
    /// As stored.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![FORMAT];
        out.extend_from_slice(&count(self.born.len()));
        out.extend_from_slice(&count(self.buried.len()));
        for (docid, id) in &self.born {
            let id = id.as_str().as_bytes();
            out.extend_from_slice(&docid.to_le_bytes());
            out.extend_from_slice(&u16::try_from(id.len()).unwrap_or(u16::MAX).to_le_bytes());
            out.extend_from_slice(id);
        }
        for docid in &self.buried {
            out.extend_from_slice(&docid.to_le_bytes());
        }
        out
    }

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// When it is cut, has bytes left over, holds an id that no record can have, or is of a format
    /// that is not known.
    pub fn decode(bytes: &[u8]) -> Result<Self, RowError> {
        let mut input = Input::open(bytes, "queue")?;
        let (born_count, buried_count) = (input.u32()?, input.u32()?);
        let mut row = Self::default();
        for _ in 0..born_count {
            let docid = input.u64()?;
            let length = input.take(2)?.first_chunk::<2>().ok_or(RowError("queue"))?;
            let id = input.take(usize::from(u16::from_le_bytes(*length)))?;
            let id = std::str::from_utf8(id).map_err(|_| RowError("queue"))?;
            row.born.push((docid, RecordId::parse(id).map_err(|_| RowError("queue"))?));
        }
        for _ in 0..buried_count {
            row.buried.push(input.u64()?);
        }
        if input.rest.is_empty() { Ok(row) } else { Err(RowError("queue")) }
    }

    /// How many versions an encoded row names, those that came and those that went, without reading
    /// them.
    ///
    /// # Errors
    /// When not even the numbers are there, or it is of a format that is not known.
    pub fn versions(bytes: &[u8]) -> Result<u64, RowError> {
        let mut input = Input::open(bytes, "queue")?;
        Ok(u64::from(input.u32()?) + u64::from(input.u32()?))
    }
}

/// A number of entries as it is stored. One request has far fewer than 2^32.
fn count(len: usize) -> [u8; 4] {
    u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes()
}

/// Sixteen bytes that number something.
fn uuid(input: &mut Input<'_>) -> Result<Uuid, RowError> {
    let bytes = input.take(16)?.first_chunk::<16>();
    bytes.map(|bytes| Uuid::from_bytes(*bytes)).ok_or(RowError("segment directory"))
}

#[cfg(test)]
mod tests;
