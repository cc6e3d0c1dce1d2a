//! Sign codes of rotated vectors: their layout, the table of a query, and the scans.
//!
//! A code holds one bit a dimension: set where the rotated residual is not negative. With the
//! residual's own two numbers it gives an estimate of a distance, for a thirty-second of the bytes.
//!
//! # Layout
//!
//! Codes lie in blocks of [`BLOCK_ROWS`] rows. A block is a run of 16-byte groups, one for every
//! four dimensions in order. Byte `i` of group `g` holds in its low half the four bits of row `i`
//! for dimensions `4g` to `4g + 3` (the lowest bit is the first), and in its high half those of row
//! `i + 16`. So one byte shuffle looks up the contributions of 16 rows in a table of 16 patterns,
//! on every processor with registers of 128 bits or more, and a scan reads memory in order.
//!
//! # Sums
//!
//! The table of a query holds for each group and pattern the part of the inner product, as a number
//! from 0 to [`ENTRY_MAX`]. That is small enough for four entries to be added in a byte, which
//! saves most of the widening, and its rounding is far below the error of the codes themselves:
//! for a random unit query of 384 dimensions it adds 0.2 % to the variance. Sums are exact
//! integers and estimates are computed in one fixed order, so all tiers give the same bits.

use crate::Kernels;

/// Rows of a block.
pub const BLOCK_ROWS: usize = 32;
/// Padded dimensions are multiples of this.
pub const DIMENSION_STEP: usize = 64;

/// The largest entry of a table.
pub(crate) const ENTRY_MAX: u8 = 63;
/// Entries of [`ENTRY_MAX`] that a byte can sum.
pub(crate) const BYTE_ENTRIES: usize = 4;
/// Groups that 16 bits can sum, in whole steps of dimensions.
pub(crate) const WORD_GROUPS: usize = 1_024;

/// Bytes of a quad, and of the part of a block that belongs to it.
pub(crate) const QUAD_BYTES: usize = 64;
/// Quads of a padded dimension come in multiples of this.
pub(crate) const QUAD_STEP: usize = DIMENSION_STEP / 16;
/// Quads that 16 bits can sum.
pub(crate) const WORD_QUADS: usize = WORD_GROUPS / 4;

const _: () = assert!(ENTRY_MAX as usize * BYTE_ENTRIES <= u8::MAX as usize);
const _: () = assert!(ENTRY_MAX as usize * WORD_GROUPS <= u16::MAX as usize);
const _: () = assert!(WORD_QUADS.is_multiple_of(QUAD_STEP) && BYTE_ENTRIES == QUAD_STEP);

/// Bytes of one block of codes.
#[must_use]
pub const fn code_block_bytes(padded: usize) -> usize {
    padded / 8 * BLOCK_ROWS
}

/// The tables of four groups, on a cache line of its own: a register loads it in one piece.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Quad(pub(crate) [u8; QUAD_BYTES]);

/// What a scan needs of a query: for each four dimensions the parts of the inner product.
///
/// With `acc` the sum that a scan finds for a row, `scale * acc + offset` approximates the inner
/// product of the rotated query with the row's signs (+1 and −1).
#[derive(Debug, Clone)]
pub struct CodeTable {
    quads: Box<[Quad]>,
    scale: f32,
    offset: f32,
}

impl CodeTable {
    /// The factor of a sum.
    #[must_use]
    pub fn scale(&self) -> f32 {
        self.scale
    }

    /// The inner product where a sum is 0.
    #[must_use]
    pub fn offset(&self) -> f32 {
        self.offset
    }

    /// The padded dimension of the query.
    #[must_use]
    pub fn padded(&self) -> usize {
        self.quads.len() * 16
    }

    pub(crate) fn quads(&self) -> &[Quad] {
        &self.quads
    }

    pub(crate) fn block_bytes(&self) -> usize {
        self.quads.len() * QUAD_BYTES
    }
}

/// The numbers that turn sums into estimates: row `i` has
/// `(base + a[i]) - b[i] * (scale * acc + offset)`, in f32 and in this order.
///
/// One entry of `a` and `b` for each row of the blocks. A row that is only padding has `a` infinite
/// and `b` 0, so that its estimate is infinite.
#[derive(Debug, Clone, Copy)]
pub struct BlockTerms<'a> {
    /// What is added.
    pub a: &'a [f32],
    /// The factor of the inner product.
    pub b: &'a [f32],
    /// What is added to every row.
    pub base: f32,
}

/// Which rows a scan reports.
#[derive(Debug, Clone, Copy)]
pub struct Cut<'a> {
    /// Rows with a smaller estimate are reported; none for NaN.
    pub threshold: f32,
    /// One word for each block: bit `i` allows row `i`. A block without allowed rows is not read.
    /// Without words, all rows are allowed.
    pub allowed: Option<&'a [u32]>,
}

impl Kernels {
    /// Packs the signs of up to 32 rows, row-major, into one block. Rows that are missing get zero
    /// bits. A bit is set where the sign bit of the value is not.
    ///
    /// # Panics
    /// When `padded` is no multiple of 64 or 0, when `rows` is not whole rows or more than 32, or
    /// when `out` is not one block.
    pub fn pack_signs(self, rows: &[f32], padded: usize, out: &mut [u8]) {
        assert_padded(padded);
        assert!(rows.len().is_multiple_of(padded), "whole rows");
        assert!(rows.len() / padded <= BLOCK_ROWS, "at most {BLOCK_ROWS} rows");
        assert_eq!(out.len(), code_block_bytes(padded), "room for one block");
        pack_block(rows, padded, out);
    }

    /// The table of a rotated query. All tiers give the same bits.
    ///
    /// # Panics
    /// When the number of values is no multiple of 64 or 0.
    #[must_use]
    pub fn code_table(self, rotated_query: &[f32]) -> CodeTable {
        assert_padded(rotated_query.len());
        let mut quads = vec![Quad([0; QUAD_BYTES]); rotated_query.len() / 16].into_boxed_slice();
        // SAFETY: a Kernels exists only for a tier that this processor has.
        let (scale, offset) = unsafe { (self.table().fill_table)(rotated_query, &mut quads) };
        CodeTable { quads, scale, offset }
    }

    /// The sum of every row of the blocks.
    ///
    /// # Panics
    /// When `blocks` is not whole blocks, or `out` has not 32 places for each.
    pub fn scan_codes(self, table: &CodeTable, blocks: &[u8], out: &mut [u32]) {
        assert_eq!(out.len(), rows_of(table, blocks), "a place for each row");
        // SAFETY: a Kernels exists only for a tier that this processor has.
        unsafe { (self.table().scan_codes)(table, blocks, out) }
    }

    /// The estimate of every row of the blocks.
    ///
    /// # Panics
    /// When `blocks` is not whole blocks, or `terms` or `out` have not 32 entries for each.
    pub fn scan_estimates(
        self,
        table: &CodeTable,
        blocks: &[u8],
        terms: BlockTerms<'_>,
        out: &mut [f32],
    ) {
        let rows = rows_of(table, blocks);
        assert!(terms.a.len() == rows && terms.b.len() == rows, "terms for each row");
        assert_eq!(out.len(), rows, "a place for each row");
        // SAFETY: a Kernels exists only for a tier that this processor has.
        unsafe { (self.table().scan_estimates)(table, blocks, terms, out) }
    }

    /// Appends to `out` the number (from the first block on) and the estimate of every allowed row
    /// below the threshold, in order of rows. The estimates are those of
    /// [`scan_estimates`](Self::scan_estimates).
    ///
    /// # Panics
    /// When `blocks` is not whole blocks, when `terms` has not 32 entries or `cut` not one word for
    /// each, or when there are more than 2^32 rows.
    pub fn scan_below(
        self,
        table: &CodeTable,
        blocks: &[u8],
        terms: BlockTerms<'_>,
        cut: Cut<'_>,
        out: &mut Vec<(u32, f32)>,
    ) {
        let rows = rows_of(table, blocks);
        assert!(terms.a.len() == rows && terms.b.len() == rows, "terms for each row");
        let words = rows / BLOCK_ROWS;
        assert!(cut.allowed.is_none_or(|allowed| allowed.len() == words), "a word for each block");
        assert!(u32::try_from(rows).is_ok(), "row numbers of 32 bits");
        // SAFETY: a Kernels exists only for a tier that this processor has.
        unsafe { (self.table().scan_below)(table, blocks, terms, cut, out) }
    }

    pub(crate) fn rotate(self, rotation: &crate::Rotation, values: &mut [f32]) {
        // SAFETY: a Kernels exists only for a tier that this processor has.
        unsafe { (self.table().rotate)(rotation, values) }
    }
}

/// The same for all tiers: every x86-64 collects four signs in one instruction, and a wider register
/// does not help to spread them over a block.
fn pack_block(rows: &[f32], padded: usize, out: &mut [u8]) {
    out.fill(0);
    for (row, values) in rows.chunks_exact(padded).enumerate().take(BLOCK_ROWS) {
        let (byte, shift) = (row % 16, row / 16 * 4);
        for (values, group) in values.as_chunks::<4>().0.iter().zip(out.as_chunks_mut::<16>().0) {
            let bit = |i: usize| u8::from(values[i].is_sign_positive()) << i;
            group[byte] |= (bit(0) | bit(1) | bit(2) | bit(3)) << shift;
        }
    }
}

fn assert_padded(padded: usize) {
    assert!(padded > 0 && padded.is_multiple_of(DIMENSION_STEP), "a padded dimension");
}

/// The number of rows in the blocks, which must be whole.
fn rows_of(table: &CodeTable, blocks: &[u8]) -> usize {
    assert!(blocks.len().is_multiple_of(table.block_bytes()), "whole blocks of codes");
    blocks.len() / table.block_bytes() * BLOCK_ROWS
}

/// Defines the three scans from these in scope: a type `Sums` of the 32 sums of a block and a type
/// `Estimates`; `block_sums(quads, block) -> Sums`, `sums_array(Sums) -> [u32; 32]`,
/// `estimate(Sums, &Affine, &[f32; 32], &[f32; 32]) -> Estimates`,
/// `estimates_array(Estimates) -> [f32; 32]`, `below(Estimates, f32) -> u32`.
macro_rules! scan_functions {
    ($(#[$attribute:meta])*) => {
        $(#[$attribute])*
        pub(crate) fn scan_codes(
            table: &crate::codes::CodeTable,
            blocks: &[u8],
            out: &mut [u32],
        ) {
            let (outs, _) = out.as_chunks_mut::<{ crate::codes::BLOCK_ROWS }>();
            for (block, out) in blocks.chunks_exact(table.block_bytes()).zip(outs) {
                *out = sums_array(block_sums(table.quads(), block));
            }
        }

        $(#[$attribute])*
        pub(crate) fn scan_estimates(
            table: &crate::codes::CodeTable,
            blocks: &[u8],
            terms: crate::codes::BlockTerms<'_>,
            out: &mut [f32],
        ) {
            let affine = crate::codes::Affine::new(table, terms.base);
            let (outs, _) = out.as_chunks_mut::<{ crate::codes::BLOCK_ROWS }>();
            let blocks = blocks.chunks_exact(table.block_bytes());
            for ((block, (a, b)), out) in blocks.zip(terms.blocks()).zip(outs) {
                let sums = block_sums(table.quads(), block);
                *out = estimates_array(estimate(sums, &affine, a, b));
            }
        }

        $(#[$attribute])*
        pub(crate) fn scan_below(
            table: &crate::codes::CodeTable,
            blocks: &[u8],
            terms: crate::codes::BlockTerms<'_>,
            cut: crate::codes::Cut<'_>,
            out: &mut Vec<(u32, f32)>,
        ) {
            let affine = crate::codes::Affine::new(table, terms.base);
            let blocks = blocks.chunks_exact(table.block_bytes());
            let mut first_row = 0_u32;
            for (index, (block, (a, b))) in blocks.zip(terms.blocks()).enumerate() {
                let allowed = cut.allowed.map_or(u32::MAX, |words| words[index]);
                if allowed != 0 {
                    let estimates = estimate(block_sums(table.quads(), block), &affine, a, b);
                    let found = below(estimates, cut.threshold) & allowed;
                    if found != 0 {
                        let estimates = estimates_array(estimates);
                        crate::codes::report(found, first_row, &estimates, out);
                    }
                }
                // The last block may end at 2^32.
                first_row = first_row.wrapping_add(32);
            }
        }
    };
}

/// What turns a sum into an estimate, besides the terms of the row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Affine {
    pub(crate) scale: f32,
    pub(crate) offset: f32,
    pub(crate) base: f32,
}

impl Affine {
    #[inline]
    pub(crate) fn new(table: &CodeTable, base: f32) -> Self {
        Self { scale: table.scale, offset: table.offset, base }
    }
}

impl<'a> BlockTerms<'a> {
    #[inline]
    pub(crate) fn blocks(
        self,
    ) -> impl Iterator<Item = (&'a [f32; BLOCK_ROWS], &'a [f32; BLOCK_ROWS])> {
        self.a.as_chunks().0.iter().zip(self.b.as_chunks().0)
    }
}

/// Appends the rows whose bit is set.
#[inline]
pub(crate) fn report(
    mut found: u32,
    first_row: u32,
    estimates: &[f32; BLOCK_ROWS],
    out: &mut Vec<(u32, f32)>,
) {
    while found != 0 {
        let row = found.trailing_zeros();
        out.push((first_row + row, estimates[row as usize]));
        found &= found - 1;
    }
}

#[cfg(test)]
mod tests;
