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

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lodgepole_kernels::Kernels;
use lodgepole_types::{Classify, ErrorKind, Lsn};

pub use self::builder::FlatChunkBuilder;
use crate::query::PreparedQuery;
use crate::topk::{Candidate, TopK};

/// Rows scored in one go; their scores stay on the stack.
const BLOCK_ROWS: usize = 256;

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
    /// The ids of all rows together take 4 GiB or more.
    #[error("the record ids of the chunk take more than 4 GiB: split it")]
    IdsTooLong,
}

impl Classify for ChunkError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Dimension { .. } | Self::Order { .. } | Self::IdsTooLong => ErrorKind::Internal,
        }
    }
}

/// Rows with their ids, values and life spans. Rows are numbered from 0 in order of docid.
///
/// Methods that take a row panic when there is none of that number.
#[derive(Debug)]
pub struct FlatChunk {
    dimension: usize,
    docids: Box<[u64]>,
    born: Box<[Lsn]>,
    /// Lsn of death, or [`ALIVE`].
    dead: Box<[AtomicU64]>,
    /// n × d, row-major.
    values: Box<[f32]>,
    /// 1 / norm of each row; 0 for a zero vector.
    inverse_norms: Box<[f32]>,
    /// All ids, one after the other; that of row i ends at `id_ends[i]`.
    ids: Box<str>,
    id_ends: Box<[u32]>,
}

impl FlatChunk {
    /// Scores all rows visible at `at` and pushes those that `top` admits.
    ///
    /// `at` must have been published after the burials up to it; then every one of them is seen.
    /// For several chunks on several threads give each thread its own `top` and merge them.
    ///
    /// # Panics
    /// When the query has another dimension, unless there are no rows.
    pub fn scan<'a>(
        &'a self,
        kernels: Kernels,
        query: &PreparedQuery,
        at: Lsn,
        top: &mut TopK<'a>,
    ) {
        self.scan_rows(0..self.rows(), kernels, query, at, top);
    }

    /// As [`scan`](Self::scan), for some of the rows: lets several threads share a large chunk.
    ///
    /// # Panics
    /// When the range leaves the chunk, or the query has another dimension.
    pub fn scan_rows<'a>(
        &'a self,
        rows: Range<usize>,
        kernels: Kernels,
        query: &PreparedQuery,
        at: Lsn,
        top: &mut TopK<'a>,
    ) {
        debug_assert_eq!(query.metric(), top.metric(), "one metric for query and collection");
        let mut scores = [0.0; BLOCK_ROWS];
        let mut start = rows.start;
        while start < rows.end {
            let block = start..rows.end.min(start + BLOCK_ROWS);
            let scores = &mut scores[..block.len()];
            let values = &self.values[block.start * self.dimension..block.end * self.dimension];
            query.score_rows(kernels, values, &self.inverse_norms[block.clone()], scores);
            for (row, &score) in block.clone().zip(&*scores) {
                // PERF: the score decides first; after the first rows few get past it, so births
                // and deaths are hardly ever loaded.
                if top.admits(score) && self.is_visible(row, at) {
                    top.push(self.candidate(row, score));
                }
            }
            start = block.end;
        }
    }

    /// Marks the row of `docid` dead from `at` on. `true` when this call did it; `false` when there
    /// is no such row, or it is dead already (its first Lsn of death stays).
    ///
    /// Only one thread buries (the one that applies the shard's writes), and it publishes `at` to
    /// readers afterwards.
    pub fn bury(&self, docid: u64, at: Lsn) -> bool {
        let Some(row) = self.find(docid) else { return false };
        debug_assert!(self.born[row] <= at && at.0 != ALIVE, "a row dies after its birth");
        self.dead[row].compare_exchange(ALIVE, at.0, Ordering::Release, Ordering::Relaxed).is_ok()
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

    /// The values of a row; as many as the dimension.
    #[must_use]
    pub fn values_of(&self, row: usize) -> &[f32] {
        &self.values[row * self.dimension..(row + 1) * self.dimension]
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

    fn candidate(&self, row: usize, score: f32) -> Candidate<'_> {
        Candidate {
            score,
            docid: self.docids[row],
            id: self.id_of(row),
            values: self.values_of(row),
        }
    }
}

#[cfg(test)]
mod tests;
