//! Rows in the order of ids made into chunks, which are in the order of docids.

use lodgepole_search::{ChunkError, FlatChunk, FlatChunkBuilder, RowParts};
use lodgepole_types::{Lsn, StoredMetadata};

use crate::record_scan::ScannedRecord;

/// Rows of one chunk.
const CHUNK_ROWS: usize = 8_192;
/// Bytes of ids, vectors and metadata after which a chunk is made with fewer rows, so that a scan of
/// large records holds little at once: each query of a namespace that has no room in memory holds a
/// chunk, and the records of the next one.
const CHUNK_BYTES: usize = 8 << 20;

/// Gathers records into chunks; those with dense vectors apart from those without.
#[derive(Debug)]
pub(crate) struct ChunkGatherer {
    dense: Pending,
    bare: Pending,
    chunks: Vec<FlatChunk>,
}

#[derive(Debug)]
struct Pending {
    dimension: usize,
    records: Vec<ScannedRecord>,
    bytes: usize,
}

impl ChunkGatherer {
    pub(crate) fn new(dimension: usize) -> Self {
        let pending = |dimension| Pending { dimension, records: Vec::new(), bytes: 0 };
        Self { dense: pending(dimension), bare: pending(0), chunks: Vec::new() }
    }

    /// Takes a record; `true` when that completed a chunk.
    pub(crate) fn push(&mut self, record: ScannedRecord) -> Result<bool, ChunkError> {
        let pending = if record.values.is_empty() { &mut self.bare } else { &mut self.dense };
        pending.bytes += record.bytes();
        pending.records.push(record);
        let is_full = pending.records.len() == CHUNK_ROWS || pending.bytes >= CHUNK_BYTES;
        if is_full {
            self.chunks.extend(pending.seal()?);
        }
        Ok(is_full)
    }

    /// Bytes of the chunks that are complete.
    pub(crate) fn bytes(&self) -> u64 {
        self.chunks.iter().map(|chunk| chunk.bytes() as u64).sum()
    }

    /// The chunks that are complete, taken out.
    pub(crate) fn take(&mut self) -> Vec<FlatChunk> {
        std::mem::take(&mut self.chunks)
    }

    /// The rest, in chunks that are not full.
    pub(crate) fn finish(mut self) -> Result<Vec<FlatChunk>, ChunkError> {
        self.chunks.extend(self.dense.seal()?);
        self.chunks.extend(self.bare.seal()?);
        Ok(self.chunks)
    }
}

impl Pending {
    fn seal(&mut self) -> Result<Option<FlatChunk>, ChunkError> {
        self.bytes = 0;
        if self.records.is_empty() {
            return Ok(None);
        }
        self.records.sort_unstable_by_key(|record| record.docid);
        let mut builder = FlatChunkBuilder::with_capacity(self.dimension, self.records.len());
        for record in self.records.drain(..) {
            let parts = RowParts {
                id: &record.id,
                values: &record.values,
                sparse: record.sparse.as_ref().map(Into::into),
                metadata: StoredMetadata::new(&record.metadata),
            };
            builder.push(record.docid, Lsn(0), parts)?;
        }
        Ok(Some(builder.finish()))
    }
}
