//! Makes a chunk, row by row.
//!
//! INVARIANT: every column has one entry per row at all times: a row is checked in full before any
//! column grows, so a refused row leaves no trace.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use lodgepole_kernels::Kernels;
use lodgepole_types::{Lsn, RecordId, StoredMetadata};

use super::sparse::{SparseColumnBuilder, SparseRef};
use super::{ALIVE, ChunkError, FlatChunk};
use crate::query::inverse_norm;

/// Collects rows for a [`FlatChunk`].
///
/// ```
/// use lodgepole_kernels::Kernels;
/// use lodgepole_search::{FlatChunkBuilder, PreparedQuery, RowParts, Scope, TopK};
/// use lodgepole_types::{Lsn, Metric, RecordId, StoredMetadata};
///
/// let mut builder = FlatChunkBuilder::with_capacity(2, 2);
/// for (docid, id, values) in [(7, "north", [0.0, 2.0]), (9, "east", [3.0, 0.0])] {
///     let (id, metadata) = (&RecordId::parse(id)?, StoredMetadata::new(&[]));
///     builder.push(docid, Lsn(1), RowParts { id, values: &values, sparse: None, metadata })?;
/// }
/// let chunk = builder.finish();
///
/// let kernels = Kernels::detect();
/// let query = PreparedQuery::dense(Metric::Cosine, vec![0.0, 1.0], kernels);
/// let mut top = TopK::new(1, Metric::Cosine);
/// chunk.scan(kernels, &query, Scope { at: Lsn(1), filter: None }, &mut top);
/// assert_eq!(top.into_sorted()[0].id, "north");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct FlatChunkBuilder {
    kernels: Kernels,
    dimension: usize,
    docids: Vec<u64>,
    born: Vec<Lsn>,
    dead: Vec<AtomicU64>,
    values: Vec<f32>,
    inverse_norms: Vec<f32>,
    ids: String,
    id_ends: Vec<u32>,
    metadata: Vec<u8>,
    metadata_ends: Vec<u32>,
    sparse: SparseColumnBuilder,
}

/// What a record consists of.
#[derive(Debug, Clone, Copy)]
pub struct RowParts<'a> {
    /// Its id.
    pub id: &'a RecordId,
    /// Its dense values: as many as the chunk's dimension.
    pub values: &'a [f32],
    /// Its sparse values, if any.
    pub sparse: Option<SparseRef<'a>>,
    /// Its metadata.
    pub metadata: StoredMetadata<'a>,
}

/// Where the parts of variable length of a row will end.
#[derive(Debug, Clone, Copy)]
struct Ends {
    id: u32,
    sparse: u32,
    metadata: u32,
}

/// A row on its way into the columns.
#[derive(Debug, Clone, Copy)]
struct Incoming<'a> {
    docid: u64,
    born: Lsn,
    id: &'a str,
    values: &'a [f32],
    sparse: Option<SparseRef<'a>>,
    metadata: &'a [u8],
}

impl FlatChunkBuilder {
    /// A builder with room for `rows` rows; more may come, at the price of moving them.
    #[must_use]
    pub fn with_capacity(dimension: usize, rows: usize) -> Self {
        Self {
            kernels: Kernels::detect(),
            dimension,
            docids: Vec::with_capacity(rows),
            born: Vec::with_capacity(rows),
            dead: Vec::with_capacity(rows),
            values: Vec::with_capacity(rows.saturating_mul(dimension)),
            inverse_norms: Vec::with_capacity(rows),
            ids: String::new(),
            id_ends: Vec::with_capacity(rows),
            metadata: Vec::new(),
            metadata_ends: Vec::with_capacity(rows),
            sparse: SparseColumnBuilder::default(),
        }
    }

    /// Computes norms with other kernels than the detected ones. Use those that will scan: then
    /// scans and rescoring agree bit by bit.
    #[must_use]
    pub fn with_kernels(mut self, kernels: Kernels) -> Self {
        self.kernels = kernels;
        self
    }

    /// Adds a living row.
    ///
    /// # Errors
    /// [`ChunkError`] when the docid does not ascend, the values are not as many as the dimension,
    /// or a column grows beyond its maximum. Nothing is added then.
    pub fn push(&mut self, docid: u64, born: Lsn, parts: RowParts<'_>) -> Result<(), ChunkError> {
        let RowParts { id, values, sparse, metadata } = parts;
        let (id, metadata) = (id.as_str(), metadata.as_bytes());
        let row = Incoming { docid, born, id, values, sparse, metadata };
        let ends = self.check(&row)?;
        self.inverse_norms.push(inverse_norm(self.kernels, values));
        self.dead.push(AtomicU64::new(ALIVE));
        self.append(&row, ends);
        Ok(())
    }

    /// How many rows there are so far.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.docids.len()
    }

    /// The chunk of the rows added.
    #[must_use]
    pub fn finish(self) -> FlatChunk {
        let dead = self.dead.iter().filter(|dead| dead.load(Ordering::Relaxed) != ALIVE).count();
        FlatChunk {
            dead_rows: AtomicUsize::new(dead),
            dimension: self.dimension,
            docids: self.docids.into_boxed_slice(),
            born: self.born.into_boxed_slice(),
            dead: self.dead.into_boxed_slice(),
            values: self.values.into_boxed_slice(),
            inverse_norms: self.inverse_norms.into_boxed_slice(),
            ids: self.ids.into_boxed_str(),
            id_ends: self.id_ends.into_boxed_slice(),
            metadata: self.metadata.into_boxed_slice(),
            metadata_ends: self.metadata_ends.into_boxed_slice(),
            sparse: self.sparse.finish(),
        }
    }

    /// Adds a row as it is in another chunk, birth, death and norm included.
    pub(super) fn copy(&mut self, from: &FlatChunk, row: usize) -> Result<(), ChunkError> {
        let incoming = Incoming {
            docid: from.docids[row],
            born: from.born[row],
            id: from.id_of(row),
            values: from.values_of(row),
            sparse: from.sparse_of(row),
            metadata: from.metadata_of(row).as_bytes(),
        };
        let ends = self.check(&incoming)?;
        self.inverse_norms.push(from.inverse_norms[row]);
        self.dead.push(AtomicU64::new(from.dead[row].load(Ordering::Acquire)));
        self.append(&incoming, ends);
        Ok(())
    }

    /// Whether the row fits; where its parts will end if so.
    fn check(&self, row: &Incoming<'_>) -> Result<Ends, ChunkError> {
        if row.values.len() != self.dimension {
            return Err(ChunkError::Dimension {
                expected: self.dimension,
                found: row.values.len(),
            });
        }
        if let Some(&last) = self.docids.last().filter(|&&last| last >= row.docid) {
            return Err(ChunkError::Order { last, docid: row.docid });
        }
        let end = |column: usize, more: usize| u32::try_from(column + more);
        Ok(Ends {
            id: end(self.ids.len(), row.id.len()).map_err(|_| ChunkError::TooLarge("ids"))?,
            sparse: self
                .sparse
                .end_after(row.sparse.map_or(0, |sparse| sparse.values.len()))
                .ok_or(ChunkError::TooLarge("sparse values"))?,
            metadata: end(self.metadata.len(), row.metadata.len())
                .map_err(|_| ChunkError::TooLarge("metadata"))?,
        })
    }

    fn append(&mut self, row: &Incoming<'_>, ends: Ends) {
        self.docids.push(row.docid);
        self.born.push(row.born);
        self.values.extend_from_slice(row.values);
        self.ids.push_str(row.id);
        self.id_ends.push(ends.id);
        self.metadata.extend_from_slice(row.metadata);
        self.metadata_ends.push(ends.metadata);
        self.sparse.push(row.sparse, ends.sparse);
    }
}
