//! An open segment: rows by number and by docid.

use std::ops::Range;
use std::sync::Arc;

use lodgepole_kernels::{BLOCK_ROWS, DIMENSION_STEP, Kernels, block_bytes, prefetch};
use lodgepole_types::StoredMetadata;

use super::directions::Directions;
use super::meta::Meta;
use super::space::Space;
use super::{SegmentBytes, SegmentError, SegmentKind, SourceRow};
use crate::flat::SparseRef;
use lodgepole_container::{Container, Section};

/// A segment that can be searched. Cheap to open: it checks header and footer, and reads what says
/// how to search it.
#[derive(Debug)]
pub struct Segment {
    pub(super) container: Container,
    pub(super) meta: Meta,
    /// Absent where every row is scored.
    pub(super) space: Option<Box<Space>>,
}

impl Segment {
    /// Opens a segment.
    ///
    /// # Errors
    /// [`SegmentError`] when it is damaged, cut off, or of a version that this build cannot read.
    pub fn open(bytes: Arc<dyn SegmentBytes>) -> Result<Self, SegmentError> {
        let container = Container::open(bytes)?;
        let meta = Meta::read(&container)?;
        let space = match meta.kind {
            SegmentKind::Exact => None,
            SegmentKind::Flat | SegmentKind::Lists => {
                Some(Box::new(Space::new(meta.shape, Kernels::detect())))
            }
        };
        let segment = Self { container, meta, space };
        segment.check_counts()?;
        Ok(segment)
    }

    /// How many rows it has.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.meta.rows
    }

    /// How many of them have a dense vector.
    #[must_use]
    pub fn dense_rows(&self) -> usize {
        self.meta.dense_rows
    }

    /// Its size.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.container.file_bytes() as u64
    }

    /// How it is searched.
    #[must_use]
    pub fn kind(&self) -> SegmentKind {
        self.meta.kind
    }

    /// What its rows have in common.
    #[must_use]
    pub fn shape(&self) -> super::SegmentShape {
        self.meta.shape
    }

    /// The lowest and the highest docid; `None` when there are no rows.
    #[must_use]
    pub fn docid_range(&self) -> Option<(u64, u64)> {
        (self.meta.rows > 0).then_some((self.meta.docid_min, self.meta.docid_max))
    }

    /// The row of a docid.
    ///
    /// # Errors
    /// [`SegmentError::Damaged`] when the bytes it has to look at are not what was written.
    pub fn find(&self, docid: u64) -> Result<Option<u32>, SegmentError> {
        let (mut low, mut high) = (0, self.meta.rows);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.one::<u64>(Section::Docids, middle)?.cmp(&docid) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => {
                    let row = self.one::<u32>(Section::DocidRows, middle)?;
                    let known = (row as usize) < self.meta.rows;
                    return known.then_some(Some(row)).ok_or(damaged(Section::DocidRows));
                }
            }
        }
        Ok(None)
    }

    /// One row, as it was given to the builder. The order of rows is the segment's own.
    ///
    /// # Errors
    /// [`SegmentError::Damaged`] when the bytes it has to look at are not what was written.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn row(&self, row: u32) -> Result<SourceRow<'_>, SegmentError> {
        let row = row as usize;
        assert!(row < self.meta.rows, "a row of the segment");
        let id = self.container.bytes(Section::Ids, self.span(Section::IdEnds, row)?)?;
        let metadata = self.span(Section::MetadataEnds, row)?;
        Ok(SourceRow {
            docid: self.one(Section::RowDocids, row)?,
            id: std::str::from_utf8(id).map_err(|_| damaged(Section::Ids))?,
            values: self.values_of(row)?,
            sparse: self.sparse_of(row)?,
            metadata: StoredMetadata::new(self.container.bytes(Section::Metadata, metadata)?),
        })
    }

    /// Bytes that every search looks at and that should stay in memory, mapped or not: centroids,
    /// list directory and codes.
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        let sections = [
            Section::Mean,
            Section::Directions,
            Section::Centroids,
            Section::CentroidTerms,
            Section::ListOffsets,
            Section::ListTerms,
            Section::BlockOffsets,
            Section::BlockRows,
            Section::ListBlocks,
            Section::Blocks,
            Section::Calibration,
        ];
        let mapped: usize = sections.iter().map(|section| self.container.len(*section)).sum();
        (mapped + self.container.resident_bytes()) as u64
    }

    /// Parts of the file of which a search looks at single rows here and there, so that nothing around
    /// them is worth reading ahead.
    #[must_use]
    pub fn scattered(&self) -> Vec<Range<usize>> {
        let sections = [
            Section::Rows8,
            Section::Terms8,
            Section::Values,
            Section::RowDocids,
            Section::Ids,
            Section::IdEnds,
            Section::Metadata,
            Section::MetadataEnds,
        ];
        let places = sections.iter().map(|section| self.container.place_of(*section));
        places.filter(|place| !place.is_empty()).collect()
    }

    /// Reads and checks every byte.
    ///
    /// # Errors
    /// [`SegmentError::Damaged`] for the first section that is not what was written.
    pub fn verify(&self) -> Result<(), SegmentError> {
        self.container.verify_all()
    }

    /// Whether lists are found by the codes of their centroids.
    pub(super) fn has_list_codes(&self) -> bool {
        self.container.len(Section::ListBlocks) > 0
    }

    /// Blocks that the codes of the centroids take.
    pub(super) fn list_blocks(&self) -> usize {
        if self.has_list_codes() { self.meta.lists.div_ceil(BLOCK_ROWS) } else { 0 }
    }

    /// The dense values of a row; empty for those that have none.
    pub(super) fn values_of(&self, row: usize) -> Result<&[f32], SegmentError> {
        if row >= self.meta.dense_rows {
            return Ok(&[]);
        }
        let dimension = self.meta.shape.dimension;
        self.container.f32s(Section::Values, row * dimension..(row + 1) * dimension)
    }

    /// Asks for what says where the texts of a row are.
    pub(super) fn prefetch_places(&self, row: usize) -> Result<(), SegmentError> {
        prefetch(self.container.u64s(Section::RowDocids, row..row + 1)?);
        prefetch(self.container.u64s(Section::IdEnds, row..row + 1)?);
        prefetch(self.container.u64s(Section::MetadataEnds, row..row + 1)?);
        Ok(())
    }

    /// Asks for the texts of a row.
    pub(super) fn prefetch_texts(&self, row: usize) -> Result<(), SegmentError> {
        prefetch(self.container.bytes(Section::Ids, self.span(Section::IdEnds, row)?)?);
        let metadata = self.span(Section::MetadataEnds, row)?;
        prefetch(self.container.bytes(Section::Metadata, metadata)?);
        Ok(())
    }

    /// The sparse values of a row as sent.
    pub(super) fn sparse_of(&self, row: usize) -> Result<Option<SparseRef<'_>>, SegmentError> {
        if self.container.len(Section::SparseEnds) == 0 {
            return Ok(None);
        }
        let span = self.span(Section::SparseEnds, row)?;
        if span.is_empty() {
            return Ok(None);
        }
        Ok(Some(SparseRef {
            indices: self.container.u32s(Section::SparseIndices, span.clone())?,
            values: self.container.f32s(Section::SparseValues, span)?,
        }))
    }

    /// The bytes or entries of a row, by the column of their ends.
    fn span(&self, ends: Section, row: usize) -> Result<Range<usize>, SegmentError> {
        let first = row.saturating_sub(1);
        let ends_here = self.container.u64s(ends, first..row + 1)?;
        let at =
            |end: Option<&u64>| end.and_then(|end| usize::try_from(*end).ok()).ok_or(damaged(ends));
        let start = if row == 0 { 0 } else { at(ends_here.first())? };
        Ok(start..at(ends_here.last())?)
    }

    fn one<T: bytemuck::AnyBitPattern>(
        &self,
        section: Section,
        at: usize,
    ) -> Result<T, SegmentError> {
        let numbers = self.container.numbers::<T>(section, at..at + 1)?;
        numbers.first().copied().ok_or(damaged(section))
    }

    /// Whether the sections have the lengths that the counts ask for.
    fn check_counts(&self) -> Result<(), SegmentError> {
        let meta = &self.meta;
        let mut wanted = vec![
            (Section::Values, meta.dense_rows * meta.shape.dimension * 4),
            (Section::Docids, meta.rows * 8),
            (Section::DocidRows, meta.rows * 4),
            (Section::RowDocids, meta.rows * 8),
            (Section::IdEnds, meta.rows * 8),
            (Section::MetadataEnds, meta.rows * 8),
        ];
        if let Some(space) = &self.space {
            if space.padded != meta.padded {
                return Err(damaged(Section::Meta));
            }
            let coded = Directions::coded_of(&self.container, meta.padded);
            if coded == 0 || !coded.is_multiple_of(DIMENSION_STEP) {
                return Err(damaged(Section::Directions));
            }
            let block_bytes = block_bytes(coded);
            let offsets = if meta.blocks > 0 { meta.lists + 1 } else { 0 };
            wanted.extend([
                (Section::Mean, meta.padded * 4),
                (
                    Section::Directions,
                    if coded < meta.padded { coded * meta.padded * 4 } else { 0 },
                ),
                (Section::Centroids, meta.lists * meta.padded),
                (Section::CentroidTerms, meta.lists * 8),
                (Section::ListTerms, meta.lists * 16),
                (Section::ListOffsets, (meta.lists + 1) * 4),
                (Section::Rows8, meta.dense_rows * meta.padded),
                (Section::Terms8, meta.dense_rows * 8),
                (Section::BlockOffsets, offsets * 4),
                (Section::BlockRows, meta.blocks * 4),
                (Section::Blocks, meta.blocks * block_bytes),
                (Section::ListBlocks, self.list_blocks() * block_bytes),
            ]);
        }
        let wrong = wanted.iter().find(|(section, bytes)| self.container.len(*section) != *bytes);
        wrong.map_or(Ok(()), |(section, _)| Err(damaged(*section)))
    }
}

pub(super) fn damaged(section: Section) -> SegmentError {
    SegmentError::damaged(section)
}
