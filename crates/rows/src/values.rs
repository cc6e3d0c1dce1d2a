//! The values of a shard's rows.
//!
//! Invariant: decoding gives back what was encoded, and refuses bytes that were cut or belong to a
//! format of which nothing is known. A row is written in the oldest format that can say what it
//! says, so that the format byte tells the layout and nothing is stored twice.

use bytes::Bytes;
use lodgepole_types::{IndexId, Metadata, NamespaceName, RecordId, SparseVector};
use uuid::Uuid;

use crate::{DocId, NamespaceId, RowError};

/// Format byte of values that have one format only.
const FORMAT: u8 = 1;
/// A namespace row with a schema; a record row whose vectors belong to an older version.
const FORMAT_EXTENDED: u8 = 2;

/// The one row of the whole shard: allocation marks and totals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MetaRow {
    /// The docid that the next version gets.
    pub next_docid: DocId,
    /// The number that the next namespace gets.
    pub next_namespace: u64,
    /// Records of all namespaces, staged ones not counted.
    pub record_count: u64,
    /// Namespaces that exist, those without records too.
    pub namespace_count: u64,
    /// What all records count for, by [`counted_bytes`].
    pub bytes: u64,
}

/// What a namespace row says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamespaceRow {
    /// Where its rows are.
    pub id: NamespaceId,
    /// Since the epoch. Emptying a namespace does not change it.
    pub created_ms: i64,
    /// Which metadata can be filtered on: JSON, as it was given.
    pub schema: Option<Bytes>,
}

/// Another name of a namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AliasRow {
    /// Since the epoch.
    pub created_ms: i64,
    /// When it was last pointed somewhere else.
    pub updated_ms: i64,
    /// By name: the namespace may be gone, or another one than it was.
    pub target: NamespaceName,
}

/// A job that stages records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRow {
    /// The index it works for: a clone finds the jobs of its source, which are none of its own.
    pub owner: IndexId,
    /// What the job notes about itself.
    pub progress: Vec<u8>,
}

/// A namespace that is being staged: its number, and what it holds so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StagedRow {
    /// The number it will have; none of its rows is in sight before.
    pub id: NamespaceId,
    /// Of what was staged, so that the commit need not count.
    pub count: CountRow,
}

/// Exact counts of a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CountRow {
    /// Records that are there now.
    pub record_count: u64,
    /// What they count for, by [`counted_bytes`].
    pub bytes: u64,
}

/// The fixed part of a record row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordHead {
    /// This version of the record.
    pub docid: DocId,
    /// The docid of its vector row: an older one when only metadata changed since.
    pub vector_docid: DocId,
    /// Bytes of id, values and metadata, for the counts.
    pub bytes: u32,
}

/// A record without its vector, so that metadata can be read and changed without moving it.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordRow {
    /// This version of the record.
    pub docid: DocId,
    /// The docid of its vector row: an older one when only metadata changed since.
    pub vector_docid: DocId,
    /// Bytes of id, values and metadata, for the counts.
    pub bytes: u32,
    /// All of it, decoded. Where the bytes are enough, [`split`](Self::split) is cheaper.
    pub metadata: Metadata,
}

/// The vectors of a record, with the number of the version they belong to.
#[derive(Debug, Clone, PartialEq)]
pub struct VectorRow {
    /// The version that brought these vectors.
    pub docid: DocId,
    /// Empty for a record that is sparse only.
    pub values: Vec<f32>,
    /// Never `Some` of no entries: that is stored as none.
    pub sparse: Option<SparseVector>,
}

/// Bytes that a record counts for: id, values, sparse values, metadata as stored.
pub fn counted_bytes(id: &RecordId, values: usize, sparse: usize, metadata: usize) -> u32 {
    u32::try_from(id.as_str().len() + 4 * values + 8 * sparse + metadata).unwrap_or(u32::MAX)
}

impl MetaRow {
    /// As stored.
    pub fn encode(self) -> Vec<u8> {
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

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// When it is cut, or of a format that is not known.
    pub fn decode(bytes: &[u8]) -> Result<Self, RowError> {
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
    /// As stored: in the format without schema as long as there is none.
    pub fn encode(&self) -> Vec<u8> {
        let format = if self.schema.is_some() { FORMAT_EXTENDED } else { FORMAT };
        let mut out = vec![format];
        out.extend_from_slice(&self.id.0.to_le_bytes());
        out.extend_from_slice(&self.created_ms.to_le_bytes());
        out.extend_from_slice(self.schema.as_deref().unwrap_or_default());
        out
    }

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// When it is cut, or of a format that is not known.
    pub fn decode(bytes: &[u8]) -> Result<Self, RowError> {
        let (format, mut input) = Input::open_either(bytes, "namespace")?;
        let id = NamespaceId(input.u64()?);
        let created_ms = input.i64()?;
        let schema = (format == FORMAT_EXTENDED).then(|| Bytes::copy_from_slice(input.rest));
        Ok(Self { id, created_ms, schema })
    }
}

impl AliasRow {
    /// As stored.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![FORMAT];
        out.extend_from_slice(&self.created_ms.to_le_bytes());
        out.extend_from_slice(&self.updated_ms.to_le_bytes());
        out.extend_from_slice(self.target.as_str().as_bytes());
        out
    }

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// When it is cut, names no namespace, or is of a format that is not known.
    pub fn decode(bytes: &[u8]) -> Result<Self, RowError> {
        let mut input = Input::open(bytes, "alias")?;
        let (created_ms, updated_ms) = (input.i64()?, input.i64()?);
        let target = std::str::from_utf8(input.rest).map_err(|_| RowError("alias"))?;
        let target = NamespaceName::parse(target).map_err(|_| RowError("alias"))?;
        Ok(Self { created_ms, updated_ms, target })
    }
}

impl JobRow {
    /// As stored.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![FORMAT];
        out.extend_from_slice(self.owner.as_uuid().as_bytes());
        out.extend_from_slice(&self.progress);
        out
    }

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// When it is cut, or of a format that is not known.
    pub fn decode(bytes: &[u8]) -> Result<Self, RowError> {
        let mut input = Input::open(bytes, "job")?;
        let owner = input.take(16)?.first_chunk::<16>().ok_or(RowError("job"))?;
        let owner = IndexId::from_uuid(Uuid::from_bytes(*owner));
        Ok(Self { owner, progress: input.rest.to_vec() })
    }
}

impl StagedRow {
    /// As stored.
    pub fn encode(self) -> Vec<u8> {
        let mut out = vec![FORMAT];
        for number in [self.id.0, self.count.record_count, self.count.bytes] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out
    }

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// When it is cut, or of a format that is not known.
    pub fn decode(bytes: &[u8]) -> Result<Self, RowError> {
        let mut input = Input::open(bytes, "staged namespace")?;
        let id = NamespaceId(input.u64()?);
        Ok(Self { id, count: CountRow { record_count: input.u64()?, bytes: input.u64()? } })
    }
}

impl CountRow {
    /// What a record counts for on average; 0 where there is none.
    pub fn row_bytes(self) -> u64 {
        self.bytes / self.record_count.max(1)
    }

    /// As stored.
    pub fn encode(self) -> Vec<u8> {
        let mut out = vec![FORMAT];
        out.extend_from_slice(&self.record_count.to_le_bytes());
        out.extend_from_slice(&self.bytes.to_le_bytes());
        out
    }

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// When it is cut, or of a format that is not known.
    pub fn decode(bytes: &[u8]) -> Result<Self, RowError> {
        let mut input = Input::open(bytes, "count")?;
        Ok(Self { record_count: input.u64()?, bytes: input.u64()? })
    }
}

impl RecordRow {
    /// As stored, around metadata that is encoded already. The format with `vector_docid` is used only
    /// where that differs from the docid.
    pub fn encode(head: RecordHead, metadata: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(21 + metadata.len());
        let own_vectors = head.docid == head.vector_docid;
        out.push(if own_vectors { FORMAT } else { FORMAT_EXTENDED });
        out.extend_from_slice(&head.docid.to_le_bytes());
        if !own_vectors {
            out.extend_from_slice(&head.vector_docid.to_le_bytes());
        }
        out.extend_from_slice(&head.bytes.to_le_bytes());
        out.extend_from_slice(metadata);
        out
    }

    /// The fixed part, and the metadata as stored.
    ///
    /// # Errors
    /// When the fixed part is cut, or the format is not known.
    pub fn split(bytes: &[u8]) -> Result<(RecordHead, &[u8]), RowError> {
        let (format, mut input) = Input::open_either(bytes, "record")?;
        let docid = input.u64()?;
        let vector_docid = if format == FORMAT_EXTENDED { input.u64()? } else { docid };
        Ok((RecordHead { docid, vector_docid, bytes: input.u32()? }, input.rest))
    }

    /// Reads what [`encode`](Self::encode) wrote, metadata decoded.
    ///
    /// # Errors
    /// When it is cut, its metadata cannot be decoded, or it is of a format that is not known.
    pub fn decode(bytes: &[u8]) -> Result<Self, RowError> {
        let (head, metadata) = Self::split(bytes)?;
        let metadata = Metadata::from_stored(metadata).map_err(|_| RowError("record"))?;
        let RecordHead { docid, vector_docid, bytes } = head;
        Ok(Self { docid, vector_docid, bytes, metadata })
    }
}

impl VectorRow {
    /// As stored; borrowed parts, because the writer has no row to take apart.
    pub fn encode(docid: DocId, values: &[f32], sparse: Option<&SparseVector>) -> Vec<u8> {
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

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// When it is cut, has bytes left over, or is of a format that is not known.
    pub fn decode(bytes: &[u8]) -> Result<Self, RowError> {
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
pub(crate) struct Input<'a> {
    pub(crate) rest: &'a [u8],
    row: &'static str,
}

impl<'a> Input<'a> {
    pub(crate) fn open(bytes: &'a [u8], row: &'static str) -> Result<Self, RowError> {
        match bytes.split_first() {
            Some((&FORMAT, rest)) => Ok(Self { rest, row }),
            _ => Err(RowError(row)),
        }
    }

    /// For rows of two formats: which one, and the rest.
    fn open_either(bytes: &'a [u8], row: &'static str) -> Result<(u8, Self), RowError> {
        match bytes.split_first() {
            Some((&format @ (FORMAT | FORMAT_EXTENDED), rest)) => Ok((format, Self { rest, row })),
            _ => Err(RowError(row)),
        }
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], RowError> {
        let (head, rest) = self.rest.split_at_checked(len).ok_or(RowError(self.row))?;
        self.rest = rest;
        Ok(head)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, RowError> {
        let row = self.row;
        let bytes = self.take(4)?.first_chunk::<4>().ok_or(RowError(row))?;
        Ok(u32::from_le_bytes(*bytes))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, RowError> {
        let row = self.row;
        let bytes = self.take(8)?.first_chunk::<8>().ok_or(RowError(row))?;
        Ok(u64::from_le_bytes(*bytes))
    }

    fn i64(&mut self) -> Result<i64, RowError> {
        Ok(i64::from_le_bytes(self.u64()?.to_le_bytes()))
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
