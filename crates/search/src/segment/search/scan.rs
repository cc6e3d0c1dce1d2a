//! The codes of a segment, block by block.

use std::ops::Range;

use lodgepole_kernels::{BLOCK_ROWS, CodeTable, Kernels, Pick, block_bytes, prefetch};

use super::probe::{ListTerms, Seen};
use super::view::View;
use crate::segment::read::damaged;
use crate::segment::{Segment, SegmentError};
use lodgepole_container::{Ranges, Section};

/// The codes of a segment, ready to be scanned.
#[derive(Debug)]
pub(super) struct CodeScan<'a> {
    pub(super) terms: ListTerms<'a>,
    kernels: Kernels,
    pub(super) table: CodeTable,
    segment: &'a Segment,
    blocks: Blocks<'a>,
    /// First block of each list, and the end of the last.
    block_starts: &'a [u32],
    /// First row of each block.
    block_rows: &'a [u32],
}

impl<'a> CodeScan<'a> {
    pub(super) fn of(view: &View<'a>) -> Result<Self, SegmentError> {
        let container = &view.segment.container;
        let table = view.table()?;
        Ok(Self {
            kernels: view.look.kernels,
            segment: view.segment,
            terms: ListTerms {
                centroids: container.all_numbers(Section::CentroidTerms)?,
                spreads: container.all_numbers(Section::ListTerms)?,
                starts: container.all_numbers(Section::ListOffsets)?,
            },
            blocks: Blocks::of(view.segment, &table, Section::Blocks),
            block_starts: container.all_numbers(Section::BlockOffsets)?,
            block_rows: container.all_numbers(Section::BlockRows)?,
            table,
        })
    }

    /// Whether there are codes; segments of few dimensions have none.
    pub(super) fn has_codes(&self) -> bool {
        self.segment.meta.blocks > 0
    }

    /// The only list of a flat segment, whose centroid is the mean.
    pub(super) fn only(&self, view: &View<'_>) -> Result<Seen, SegmentError> {
        let terms = self.terms.centroids.first().ok_or(damaged(Section::CentroidTerms))?;
        Ok(Seen::only(view.estimate(*terms, 0)))
    }

    /// The rows of a list.
    pub(super) fn rows(&self, list: u32) -> Range<usize> {
        let list = list as usize;
        self.terms.starts[list] as usize..self.terms.starts[list + 1] as usize
    }

    /// Asks for where the rows and blocks of a list are.
    pub(super) fn prefetch_places(&self, list: u32) {
        let list = list as usize;
        prefetch(&self.terms.starts[list..=list]);
        // Without codes there are none.
        prefetch(self.block_starts.get(list..=list).unwrap_or_default());
    }

    /// The blocks of a list, with the rows in each.
    pub(super) fn blocks(&self, list: u32) -> impl Iterator<Item = (u32, Range<usize>)> + use<> {
        let rows = self.rows(list);
        let first = self.block_starts[list as usize];
        (first..)
            .zip(rows.clone().step_by(BLOCK_ROWS))
            .map(move |(block, start)| (block, start..(start + BLOCK_ROWS).min(rows.end)))
    }

    /// Appends the slots of some blocks below a threshold.
    pub(super) fn below(
        &self,
        picks: &[Pick],
        threshold: f32,
        hits: &mut Vec<(u32, f32)>,
    ) -> Result<(), SegmentError> {
        self.blocks.below((self.kernels, &self.table), picks, threshold, hits)
    }

    /// The row of a slot.
    pub(super) fn row_of(&self, slot: u32) -> u32 {
        self.block_rows[slot as usize / BLOCK_ROWS] + slot % 32
    }

    /// The estimates of all rows of a block, padding included.
    pub(super) fn estimates(
        &self,
        base: f32,
        block: u32,
        out: &mut [f32; BLOCK_ROWS],
    ) -> Result<(), SegmentError> {
        let bytes = self.blocks.bytes_of(block);
        self.blocks.ranges.check(bytes.clone())?;
        let block = &self.blocks.ranges.unchecked()[bytes];
        self.kernels.scan_estimates(&self.table, block, base, out);
        Ok(())
    }
}

/// A section of blocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Blocks<'a> {
    ranges: Ranges<'a>,
    block_bytes: usize,
}

impl<'a> Blocks<'a> {
    pub(super) fn of(segment: &'a Segment, table: &CodeTable, section: Section) -> Self {
        let block_bytes = block_bytes(table.padded());
        Self { ranges: segment.container.ranges(section), block_bytes }
    }

    /// Appends the slots of some blocks below a threshold.
    pub(super) fn below(
        &self,
        (kernels, table): (Kernels, &CodeTable),
        picks: &[Pick],
        threshold: f32,
        hits: &mut Vec<(u32, f32)>,
    ) -> Result<(), SegmentError> {
        for pick in picks {
            self.ranges.check(self.bytes_of(pick.block))?;
        }
        let all = self.ranges.unchecked();
        kernels.scan_below(table, all, picks, threshold, hits);
        Ok(())
    }

    #[inline]
    fn bytes_of(&self, block: u32) -> Range<usize> {
        let start = block as usize * self.block_bytes;
        start..start + self.block_bytes
    }
}
