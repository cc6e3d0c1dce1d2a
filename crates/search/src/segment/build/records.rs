//! Copies what the rows are, in the order of the segment: vectors, ids, metadata, sparse values,
//! docids, and the indexes over metadata and sparse values.

use std::sync::atomic::AtomicBool;

use super::halt;
use crate::columns::ColumnsBuilder;
use crate::postings::PostingsBuilder;
use crate::segment::{RowSource, SegmentError};
use lodgepole_container::{Section, SegmentWriter};

/// Writes the sections. `order` holds source rows, the `dense` first of which have a dense vector.
pub(super) fn write(
    source: &dyn RowSource,
    order: &[u32],
    dense: usize,
    writer: &mut SegmentWriter<'_>,
    stop: &AtomicBool,
) -> Result<(), SegmentError> {
    let copy = Copy { source, order, stop };
    copy.values(dense, writer)?;
    copy.docids(writer)?;
    copy.texts(writer)?;
    copy.sparse(writer)?;
    copy.indexes(writer)
}

struct Copy<'a> {
    source: &'a dyn RowSource,
    order: &'a [u32],
    stop: &'a AtomicBool,
}

impl Copy<'_> {
    fn values(&self, dense: usize, writer: &mut SegmentWriter<'_>) -> Result<(), SegmentError> {
        writer.begin(Section::Values)?;
        for (at, &row) in self.order[..dense].iter().enumerate() {
            halt(self.stop, at)?;
            writer.write_f32s(self.source.row(row as usize)?.values)?;
        }
        writer.end()
    }

    /// Docids by row, and rows by docid.
    fn docids(&self, writer: &mut SegmentWriter<'_>) -> Result<(), SegmentError> {
        let mut by_docid = Vec::with_capacity(self.order.len());
        writer.begin(Section::RowDocids)?;
        for (at, &row) in (0_u32..).zip(self.order) {
            halt(self.stop, at as usize)?;
            let docid = self.source.row(row as usize)?.docid;
            writer.write_u64s(&[docid])?;
            by_docid.push((docid, at));
        }
        writer.end()?;
        by_docid.sort_unstable();
        if by_docid.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return Err(SegmentError::Row { what: "a docid that comes twice" });
        }
        writer.begin(Section::Docids)?;
        for (docid, _) in &by_docid {
            writer.write_u64s(&[*docid])?;
        }
        writer.end()?;
        writer.begin(Section::DocidRows)?;
        for (_, row) in &by_docid {
            writer.write_u32s(&[*row])?;
        }
        writer.end()
    }

    /// Ids and metadata.
    fn texts(&self, writer: &mut SegmentWriter<'_>) -> Result<(), SegmentError> {
        let (mut end, mut ends) = (0_u64, Vec::with_capacity(self.order.len()));
        writer.begin(Section::Ids)?;
        for (at, &row) in self.order.iter().enumerate() {
            halt(self.stop, at)?;
            let id = self.source.row(row as usize)?.id.as_bytes();
            writer.write(id)?;
            end += id.len() as u64;
            ends.push(end);
        }
        writer.end()?;
        writer.section(Section::IdEnds, &ends)?;
        (end, ends) = (0, Vec::with_capacity(self.order.len()));
        writer.begin(Section::Metadata)?;
        for (at, &row) in self.order.iter().enumerate() {
            halt(self.stop, at)?;
            let row = self.source.row(row as usize)?;
            let metadata = row.metadata.as_bytes();
            writer.write(metadata)?;
            end += metadata.len() as u64;
            ends.push(end);
        }
        writer.end()?;
        writer.section(Section::MetadataEnds, &ends)
    }

    /// Sparse values as sent; no sections when no row has any.
    fn sparse(&self, writer: &mut SegmentWriter<'_>) -> Result<(), SegmentError> {
        let (mut end, mut ends) = (0_u64, Vec::new());
        for (at, &row) in self.order.iter().enumerate() {
            halt(self.stop, at)?;
            end += self.source.row(row as usize)?.sparse.map_or(0, |s| s.indices.len() as u64);
            ends.push(end);
        }
        if end == 0 {
            return Ok(());
        }
        writer.section(Section::SparseEnds, &ends)?;
        writer.begin(Section::SparseIndices)?;
        for (at, &row) in self.order.iter().enumerate() {
            halt(self.stop, at)?;
            if let Some(sparse) = self.source.row(row as usize)?.sparse {
                writer.write_u32s(sparse.indices)?;
            }
        }
        writer.end()?;
        writer.begin(Section::SparseValues)?;
        for (at, &row) in self.order.iter().enumerate() {
            halt(self.stop, at)?;
            if let Some(sparse) = self.source.row(row as usize)?.sparse {
                writer.write_f32s(sparse.values)?;
            }
        }
        writer.end()
    }

    /// The indexes for filters and for sparse queries.
    fn indexes(&self, writer: &mut SegmentWriter<'_>) -> Result<(), SegmentError> {
        let mut columns = ColumnsBuilder::new();
        for (at, &row) in self.order.iter().enumerate() {
            halt(self.stop, at)?;
            columns.push(self.source.row(row as usize)?.metadata)?;
        }
        columns.write(writer)?;
        let mut postings = PostingsBuilder::new();
        for (at, &row) in (0_u32..).zip(self.order) {
            halt(self.stop, at as usize)?;
            if let Some(sparse) = self.source.row(row as usize)?.sparse {
                postings.push(at, sparse)?;
            }
        }
        postings.write(writer)
    }
}
