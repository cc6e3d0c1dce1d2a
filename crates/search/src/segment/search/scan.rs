//! The codes of a segment, list by list.

use std::ops::Range;

use lodgepole_kernels::{BLOCK_ROWS, BlockTerms, Cut, code_block_bytes};

use super::probe::{ListTerms, Seen};
use super::view::{Look, View};
use crate::segment::format::{Ranges, Section};
use crate::segment::read::damaged;
use crate::segment::{Segment, SegmentError};

/// Blocks scanned with one threshold.
const RUN_BLOCKS: usize = 32;

/// The codes of a segment, ready to be scanned.
#[derive(Debug)]
pub(super) struct CodeScan<'a> {
    pub(super) terms: ListTerms<'a>,
    look: &'a Look,
    segment: &'a Segment,
    /// First block of each list, and the end of the last.
    blocks: &'a [u32],
    codes: Ranges<'a>,
    code_terms: Ranges<'a>,
}

impl<'a> CodeScan<'a> {
    pub(super) fn of(view: &View<'a>) -> Result<Self, SegmentError> {
        let container = &view.segment.container;
        Ok(Self {
            look: view.look,
            segment: view.segment,
            terms: ListTerms {
                centroids: container.all_numbers(Section::CentroidTerms)?,
                spreads: container.all_numbers(Section::ListTerms)?,
                starts: container.all_numbers(Section::ListOffsets)?,
            },
            blocks: container.all_numbers(Section::BlockOffsets)?,
            codes: container.ranges(Section::Codes),
            code_terms: container.ranges(Section::CodeTerms),
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

    /// The blocks of a list in short runs, with their rows.
    pub(super) fn runs(
        &self,
        list: u32,
    ) -> impl Iterator<Item = (Range<usize>, Range<usize>)> + use<> {
        let rows = self.rows(list);
        let list = list as usize;
        let blocks = self.blocks[list] as usize..self.blocks[list + 1] as usize;
        blocks.clone().step_by(RUN_BLOCKS).map(move |first| {
            let run = first..(first + RUN_BLOCKS).min(blocks.end);
            let start = rows.start + (first - blocks.start) * BLOCK_ROWS;
            let end = (start + run.len() * BLOCK_ROWS).min(rows.end);
            (run, start..end)
        })
    }

    /// Appends the rows of some blocks below a threshold, counted from the first.
    pub(super) fn below(
        &self,
        base: f32,
        blocks: Range<usize>,
        cut: Cut<'_>,
        hits: &mut Vec<(u32, f32)>,
    ) -> Result<(), SegmentError> {
        let (codes, terms) = self.parts(base, blocks)?;
        self.look.kernels.scan_below(&self.look.table, codes, terms, cut, hits);
        Ok(())
    }

    /// The estimates of all rows of some blocks, padding included.
    pub(super) fn estimates(
        &self,
        base: f32,
        blocks: Range<usize>,
        out: &mut Vec<f32>,
    ) -> Result<(), SegmentError> {
        out.resize(blocks.len() * BLOCK_ROWS, 0.0);
        let (codes, terms) = self.parts(base, blocks)?;
        self.look.kernels.scan_estimates(&self.look.table, codes, terms, out);
        Ok(())
    }

    fn parts(
        &self,
        base: f32,
        blocks: Range<usize>,
    ) -> Result<(&'a [u8], BlockTerms<'a>), SegmentError> {
        let block_bytes = code_block_bytes(self.look.table.padded());
        let bytes = blocks.start * block_bytes..blocks.end * block_bytes;
        let codes = self.codes.numbers(bytes)?;
        let slots = blocks.start * BLOCK_ROWS..blocks.end * BLOCK_ROWS;
        let all = self.segment.meta.blocks * BLOCK_ROWS;
        let a = self.code_terms.numbers(slots.clone())?;
        let b = self.code_terms.numbers(all + slots.start..all + slots.end)?;
        Ok((codes, BlockTerms { a, b, base }))
    }
}
