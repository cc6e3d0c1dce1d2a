//! Where a new segment takes its rows from: other segments, and chunks of a tail.

use std::sync::Arc;

use lodgepole_search::{FlatChunk, RowSource, Scope, Segment, SegmentError, SourceRow};
use lodgepole_types::Lsn;

use crate::segments::HeldSegment;

/// Rows of several structures, as one run. Holds no copy of any.
#[derive(Debug, Default)]
pub(super) struct JoinedRows {
    parts: Vec<Part>,
    /// Of which part, and which row of it.
    rows: Vec<(u32, u32)>,
}

#[derive(Debug)]
enum Part {
    Segment(Arc<Segment>),
    Chunk(Arc<FlatChunk>),
}

impl JoinedRows {
    /// Adds the living rows of a segment.
    pub(super) fn add_segment(&mut self, held: &HeldSegment) -> Result<(), SegmentError> {
        let part = self.next_part()?;
        let segment = &held.open.segment;
        let rows = number(segment.rows())?;
        self.rows.extend((0..rows).filter(|&row| !held.dead.contains(row)).map(|row| (part, row)));
        self.parts.push(Part::Segment(Arc::clone(segment)));
        Ok(())
    }

    /// Adds the rows of a chunk that a query at `at` sees.
    pub(super) fn add_chunk(
        &mut self,
        chunk: &Arc<FlatChunk>,
        at: Lsn,
    ) -> Result<(), SegmentError> {
        let part = self.next_part()?;
        for row in chunk.rows_in(Scope { at, filter: None }) {
            self.rows.push((part, number(row)?));
        }
        self.parts.push(Part::Chunk(Arc::clone(chunk)));
        Ok(())
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    fn next_part(&self) -> Result<u32, SegmentError> {
        number(self.parts.len())
    }
}

impl RowSource for JoinedRows {
    fn rows(&self) -> usize {
        self.rows.len()
    }

    fn row(&self, row: usize) -> Result<SourceRow<'_>, SegmentError> {
        let (part, row) = self.rows[row];
        match &self.parts[part as usize] {
            Part::Segment(segment) => segment.row(row),
            Part::Chunk(chunk) => {
                let row = row as usize;
                Ok(SourceRow {
                    docid: chunk.docid_of(row),
                    id: chunk.id_of(row),
                    values: chunk.values_of(row),
                    sparse: chunk.sparse_of(row),
                    metadata: chunk.metadata_of(row),
                })
            }
        }
    }
}

fn number(value: usize) -> Result<u32, SegmentError> {
    u32::try_from(value).map_err(|_| SegmentError::TooLarge { what: "rows" })
}
