//! Makes a chunk, row by row.
//!
//! INVARIANT: every column has one entry per row at all times: a row is checked in full before any
//! column grows, so a refused row leaves no trace.

use std::sync::atomic::{AtomicU64, Ordering};

use lodgepole_kernels::Kernels;
use lodgepole_types::{Lsn, RecordId};

use super::{ALIVE, ChunkError, FlatChunk};
use crate::query::inverse_norm;

/// Collects rows for a [`FlatChunk`].
///
/// ```
/// use lodgepole_kernels::Kernels;
/// use lodgepole_search::{FlatChunkBuilder, PreparedQuery, TopK};
/// use lodgepole_types::{Lsn, Metric, RecordId};
///
/// let mut builder = FlatChunkBuilder::with_capacity(2, 2);
/// builder.push(7, &RecordId::parse("north")?, Lsn(1), &[0.0, 2.0])?;
/// builder.push(9, &RecordId::parse("east")?, Lsn(1), &[3.0, 0.0])?;
/// let chunk = builder.finish();
///
/// let kernels = Kernels::detect();
/// let query = PreparedQuery::new(Metric::Cosine, vec![0.0, 1.0], kernels);
/// let mut top = TopK::new(1, Metric::Cosine);
/// chunk.scan(kernels, &query, Lsn(1), &mut top);
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
    /// or the ids grow beyond 4 GiB. Nothing is added then.
    pub fn push(
        &mut self,
        docid: u64,
        id: &RecordId,
        born: Lsn,
        values: &[f32],
    ) -> Result<(), ChunkError> {
        let id_end = self.check(docid, id.as_str(), values)?;
        self.inverse_norms.push(inverse_norm(self.kernels, values));
        self.dead.push(AtomicU64::new(ALIVE));
        self.append(docid, born, (id.as_str(), id_end), values);
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
        FlatChunk {
            dimension: self.dimension,
            docids: self.docids.into_boxed_slice(),
            born: self.born.into_boxed_slice(),
            dead: self.dead.into_boxed_slice(),
            values: self.values.into_boxed_slice(),
            inverse_norms: self.inverse_norms.into_boxed_slice(),
            ids: self.ids.into_boxed_str(),
            id_ends: self.id_ends.into_boxed_slice(),
        }
    }

    /// Adds a row as it is in another chunk, birth, death and norm included.
    pub(super) fn copy(&mut self, from: &FlatChunk, row: usize) -> Result<(), ChunkError> {
        let (docid, id, values) = (from.docids[row], from.id_of(row), from.values_of(row));
        let id_end = self.check(docid, id, values)?;
        self.inverse_norms.push(from.inverse_norms[row]);
        self.dead.push(AtomicU64::new(from.dead[row].load(Ordering::Acquire)));
        self.append(docid, from.born[row], (id, id_end), values);
        Ok(())
    }

    /// Whether the row fits; where its id will end if so.
    fn check(&self, docid: u64, id: &str, values: &[f32]) -> Result<u32, ChunkError> {
        if values.len() != self.dimension {
            return Err(ChunkError::Dimension { expected: self.dimension, found: values.len() });
        }
        if let Some(&last) = self.docids.last().filter(|&&last| last >= docid) {
            return Err(ChunkError::Order { last, docid });
        }
        u32::try_from(self.ids.len() + id.len()).map_err(|_| ChunkError::IdsTooLong)
    }

    fn append(&mut self, docid: u64, born: Lsn, (id, id_end): (&str, u32), values: &[f32]) {
        self.docids.push(docid);
        self.born.push(born);
        self.values.extend_from_slice(values);
        self.ids.push_str(id);
        self.id_ends.push(id_end);
    }
}
