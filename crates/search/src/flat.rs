//! A run of rows searched exactly, by looking at every one.
//!
//! The rows that no segment holds yet live in such chunks, and small namespaces never need more. A
//! chunk is immutable but for one thing: a row can be buried, once, when its record is deleted or
//! overwritten. A query at some Lsn sees the rows born at or before it and not dead by then, so
//! readers of older Lsns are not disturbed by a burial, and no reader takes a lock.
//!
//! INVARIANT: docids ascend strictly, so a row is found by binary search and chunks whose ranges
//! ascend can be joined by copying.

mod builder;
mod scan;
mod sparse;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use lodgepole_types::{Classify, ErrorKind, Filter, Lsn, StoredMetadata};

pub use self::builder::{FlatChunkBuilder, RowParts};
pub use self::scan::Scope;
use self::sparse::SparseColumn;
pub use self::sparse::SparseRef;
use crate::topk::Candidate;

/// The death of a row that lives.
const ALIVE: u64 = u64::MAX;

/// Why rows do not fit into a chunk. All of them are defects of the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// A row has another number of values than the chunk.
    #[error("a row of {found} values does not fit a chunk of dimension {expected}")]
    Dimension {
        /// Of the chunk.
        expected: usize,
        /// Of the row.
        found: usize,
    },
    /// Rows must come in ascending order of docid.
    #[error("docid {docid} does not follow docid {last}")]
    Order {
        /// The last docid in the chunk.
        last: u64,
        /// The one that came after it.
        docid: u64,
    },
    /// A column has 2^32 bytes or entries, or more.
    #[error("the {0} of the chunk are too many: split it")]
    TooLarge(&'static str),
}

impl Classify for ChunkError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Dimension { .. } | Self::Order { .. } | Self::TooLarge(_) => ErrorKind::Internal,
        }
    }
}

/// Rows with their ids, vectors, metadata and life spans. Rows are numbered from 0 in order of docid.
/// Either every row has a dense vector or, where the dimension is 0, none has.
///
/// Methods that take a row panic when there is none of that number.
#[derive(Debug)]
pub struct FlatChunk {
    dimension: usize,
    docids: Box<[u64]>,
    born: Box<[Lsn]>,
    /// Lsn of death, or [`ALIVE`].
    dead: Box<[AtomicU64]>,
    /// How many rows are dead.
    dead_rows: AtomicUsize,
    /// n × d, row-major.
    values: Box<[f32]>,
    /// 1 / norm of each row; 0 for a zero vector.
    inverse_norms: Box<[f32]>,
    /// All ids, one after the other; that of row i ends at `id_ends[i]`.
    ids: Box<str>,
    id_ends: Box<[u32]>,
    /// All metadata as stored, one after the other; that of row i ends at `metadata_ends[i]`.
    metadata: Box<[u8]>,
    metadata_ends: Box<[u32]>,
    sparse: SparseColumn,
}

impl FlatChunk {
    /// Marks the row of `docid` dead from `at` on. `true` when this call did it; `false` when there
    /// is no such row, or it is dead already (its first Lsn of death stays).
    ///
    /// Only one thread buries (the one that applies the shard's writes), and it publishes `at` to
    /// readers afterwards.
    pub fn bury(&self, docid: u64, at: Lsn) -> bool {
        let Some(row) = self.find(docid) else { return false };
        debug_assert!(self.born[row] <= at && at.0 != ALIVE, "a row dies after its birth");
        let death = &self.dead[row];
        let dies =
            death.compare_exchange(ALIVE, at.0, Ordering::Release, Ordering::Relaxed).is_ok();
        if dies {
            self.dead_rows.fetch_add(1, Ordering::Relaxed);
        }
        dies
    }

    /// The row of a docid, dead or alive.
    #[must_use]
    pub fn find(&self, docid: u64) -> Option<usize> {
        self.docids.binary_search(&docid).ok()
    }

    /// Whether a query at `at` sees the row: born by then, and not dead yet.
    #[must_use]
    pub fn is_visible(&self, row: usize, at: Lsn) -> bool {
        self.born[row] <= at && at.0 < self.dead[row].load(Ordering::Acquire)
    }

    /// Whether a query in `scope` sees the row.
    #[must_use]
    pub fn is_in(&self, row: usize, scope: Scope<'_>) -> bool {
        let matches = |filter: &Filter| filter.matches(self.metadata_of(row));
        self.is_visible(row, scope.at) && scope.filter.is_none_or(matches)
    }

    /// The values of a row; as many as the dimension.
    #[must_use]
    pub fn values_of(&self, row: usize) -> &[f32] {
        &self.values[row * self.dimension..(row + 1) * self.dimension]
    }

    /// The sparse values of a row; `None` when it has none.
    #[must_use]
    pub fn sparse_of(&self, row: usize) -> Option<SparseRef<'_>> {
        self.sparse.of(row)
    }

    /// The metadata of a row.
    #[must_use]
    pub fn metadata_of(&self, row: usize) -> StoredMetadata<'_> {
        let start = row.checked_sub(1).map_or(0, |before| self.metadata_ends[before]);
        StoredMetadata::new(&self.metadata[start as usize..self.metadata_ends[row] as usize])
    }

    /// The rows that a query in `scope` sees, ascending. Looks at every row.
    pub fn rows_in<'a>(&'a self, scope: Scope<'a>) -> impl Iterator<Item = usize> + 'a {
        (0..self.rows()).filter(move |&row| self.is_in(row, scope))
    }

    /// The record id of a row.
    #[must_use]
    pub fn id_of(&self, row: usize) -> &str {
        let start = row.checked_sub(1).map_or(0, |before| self.id_ends[before]);
        &self.ids[start as usize..self.id_ends[row] as usize]
    }

    /// The docid of a row.
    #[must_use]
    pub fn docid_of(&self, row: usize) -> u64 {
        self.docids[row]
    }

    /// When the row was written.
    #[must_use]
    pub fn born_of(&self, row: usize) -> Lsn {
        self.born[row]
    }

    /// When the row was buried; `None` while it lives.
    #[must_use]
    pub fn dead_of(&self, row: usize) -> Option<Lsn> {
        let dead = self.dead[row].load(Ordering::Acquire);
        (dead != ALIVE).then_some(Lsn(dead))
    }

    /// How many rows there are, dead ones included.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.docids.len()
    }

    /// How many rows have been buried.
    #[must_use]
    pub fn dead_rows(&self) -> usize {
        self.dead_rows.load(Ordering::Relaxed)
    }

    /// How many rows a query at `at` sees. Looks at every row.
    #[must_use]
    pub fn live_rows_at(&self, at: Lsn) -> usize {
        (0..self.rows()).filter(|&row| self.is_visible(row, at)).count()
    }

    /// The lowest and the highest docid; `None` when there are no rows.
    #[must_use]
    pub fn docid_range(&self) -> Option<(u64, u64)> {
        self.docids.first().copied().zip(self.docids.last().copied())
    }

    /// Values per row.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// Bytes on the heap.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of_val::<[u64]>(&self.docids)
            + size_of_val::<[Lsn]>(&self.born)
            + size_of_val::<[AtomicU64]>(&self.dead)
            + size_of_val::<[f32]>(&self.values)
            + size_of_val::<[f32]>(&self.inverse_norms)
            + self.ids.len()
            + size_of_val::<[u32]>(&self.id_ends)
            + self.metadata.len()
            + size_of_val::<[u32]>(&self.metadata_ends)
            + self.sparse.bytes()
    }

    /// Joins chunks into one, in the order given, and leaves out the rows dead at or before
    /// `dead_before`, which no query at that Lsn or later can see. No chunks, or none with rows
    /// left, give a chunk without rows.
    ///
    /// The inputs stay as they are, for the queries that still hold them. A burial in an input that
    /// happens during or after the call is not in the result: join on the thread that buries, or
    /// repeat the burials on the result.
    ///
    /// # Errors
    /// [`ChunkError`] when dimensions differ or docids do not ascend from chunk to chunk.
    pub fn merged(chunks: &[Arc<Self>], dead_before: Lsn) -> Result<Self, ChunkError> {
        let dimension = chunks.first().map_or(0, |chunk| chunk.dimension);
        let stays = |chunk: &Self, row| chunk.dead_of(row).is_none_or(|dead| dead > dead_before);
        let rows = |chunk: &Arc<Self>| (0..chunk.rows()).filter(|&row| stays(chunk, row)).count();
        let mut builder = FlatChunkBuilder::with_capacity(dimension, chunks.iter().map(rows).sum());
        for chunk in chunks {
            for row in (0..chunk.rows()).filter(|&row| stays(chunk, row)) {
                builder.copy(chunk, row)?;
            }
        }
        Ok(builder.finish())
    }

    /// The rows after a docid, without those dead at or before `dead_before`; see
    /// [`merged`](Self::merged).
    ///
    /// # Errors
    /// None that a chunk can give: its rows fit together.
    pub fn after(&self, docid: u64, dead_before: Lsn) -> Result<Self, ChunkError> {
        let first = self.docids.partition_point(|&other| other <= docid);
        let stays = |&row: &usize| self.dead_of(row).is_none_or(|dead| dead > dead_before);
        let mut builder = FlatChunkBuilder::with_capacity(self.dimension, self.rows() - first);
        for row in (first..self.rows()).filter(stays) {
            builder.copy(self, row)?;
        }
        Ok(builder.finish())
    }

    fn candidate(&self, row: usize, score: f32) -> Candidate<'_> {
        Candidate {
            score,
            docid: self.docids[row],
            id: self.id_of(row),
            values: self.values_of(row),
            sparse: self.sparse_of(row),
            metadata: self.metadata_of(row),
        }
    }
}

#[cfg(test)]
mod tests;
