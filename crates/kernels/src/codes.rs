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
//! Behind its codes a block has the terms of its rows, each row's in four little-endian bytes: a in
//! the upper half and b in the lower, both as f32 cut to their upper 16 bits (rounded to the nearest).
//! So a block is one run of memory, and takes one place in it. Eight bits of precision are enough:
//! what rounding adds to the error of an estimate is a hundredth of what the code's bits leave.
//!
//! # Sums
//!
//! The table of a query holds for each group and pattern the part of the inner product, as a number
//! from 0 to [`ENTRY_MAX`]. That is small enough for four entries to be added in a byte, which
//! saves most of the widening, and its rounding is far below the error of the codes themselves:
//! for a random unit query of 384 dimensions it adds 0.2 % to the variance. Sums are exact
//! integers and estimates are computed in one fixed order, so all tiers give the same bits.

use crate::Kernels;
use crate::prefetch::prefetch;

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

/// Bytes of the terms behind the codes of a block.
pub(crate) const TERMS_BYTES: usize = BLOCK_ROWS * size_of::<u32>();
/// The bits of both terms that belong to a.
pub(crate) const UPPER_TERM: u32 = 0xffff_0000;
/// Bytes that a scan of picked blocks asks for ahead: as much as memory delivers while it waits for the
/// first of them, and a quarter of a small first cache.
const BYTES_AHEAD: usize = 10 << 10;
/// Blocks asked for ahead, at least and at most.
const BLOCKS_AHEAD: std::ops::RangeInclusive<usize> = 2..=16;

/// Bytes of one block: codes, then terms.
#[must_use]
pub const fn block_bytes(padded: usize) -> usize {
    code_block_bytes(padded) + TERMS_BYTES
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

    /// Bytes of the codes of a block.
    pub(crate) fn code_bytes(&self) -> usize {
        self.quads.len() * QUAD_BYTES
    }

    /// Bytes of a block with its terms.
    pub(crate) fn block_bytes(&self) -> usize {
        self.code_bytes() + TERMS_BYTES
    }
}

/// The numbers that turn the sums of one block into estimates: row `i` has
/// `(base + a[i]) - b[i] * (scale * acc + offset)`, in f32 and in this order.
///
/// A row that is only padding has `a` infinite and `b` 0, so that its estimate is infinite.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BlockTerms {
    /// What is added.
    pub a: [f32; BLOCK_ROWS],
    /// The factor of the inner product.
    pub b: [f32; BLOCK_ROWS],
}

impl BlockTerms {
    /// Terms of a block without rows.
    pub const PADDING: Self = Self { a: [f32::INFINITY; BLOCK_ROWS], b: [0.0; BLOCK_ROWS] };

    /// Writes them to the end of a block, rounded to 16 bits each.
    ///
    /// # Panics
    /// When the block is shorter than terms are.
    pub fn put(&self, block: &mut [u8]) {
        assert!(block.len() >= TERMS_BYTES, "a block with room for its terms");
        let codes = block.len() - TERMS_BYTES;
        let places = block[codes..].as_chunks_mut::<4>().0;
        for (place, (a, b)) in places.iter_mut().zip(self.a.iter().zip(&self.b)) {
            *place = (half_bits(*a) << 16 | half_bits(*b)).to_le_bytes();
        }
    }
}

/// The upper 16 bits of a number, rounded to the nearest, half to even. Infinite for what has no
/// nearer one; the builder has no NaN.
fn half_bits(value: f32) -> u32 {
    let bits = value.to_bits();
    if value.is_finite() { (bits + 0x7fff + (bits >> 16 & 1)) >> 16 } else { bits >> 16 }
}

/// A block to scan.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pick {
    /// Its number.
    pub block: u32,
    /// What is added to the estimates of its rows.
    pub base: f32,
    /// Bit `i` allows row `i`. A block without allowed rows is not read.
    pub allowed: u32,
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

    /// The sum of every row of blocks that are codes only, without terms.
    ///
    /// # Panics
    /// When `blocks` is not whole blocks, or `out` has not 32 places for each.
    pub fn scan_codes(self, table: &CodeTable, blocks: &[u8], out: &mut [u32]) {
        assert_eq!(out.len(), rows_of(table, blocks), "a place for each row");
        // SAFETY: a Kernels exists only for a tier that this processor has.
        unsafe { (self.table().scan_codes)(table, blocks, out) }
    }

    /// The estimate of every row of the blocks, which have their terms.
    ///
    /// # Panics
    /// When `blocks` is not whole blocks, or `out` has not 32 places for each.
    pub fn scan_estimates(self, table: &CodeTable, blocks: &[u8], base: f32, out: &mut [f32]) {
        assert!(blocks.len().is_multiple_of(table.block_bytes()), "whole blocks");
        assert_eq!(out.len(), blocks.len() / table.block_bytes() * BLOCK_ROWS, "a place for each");
        // SAFETY: a Kernels exists only for a tier that this processor has.
        unsafe { (self.table().scan_estimates)(table, blocks, base, out) }
    }

    /// Appends to `out` the slot (32 times the block, plus the row) and the estimate of every
    /// allowed row below the threshold, in order of picks; none for NaN. The estimates are those
    /// of [`scan_estimates`](Self::scan_estimates).
    ///
    /// # Panics
    /// When `blocks` is not whole blocks, when a picked one is not among them, or when there are
    /// more than 2^32 slots.
    pub fn scan_below(
        self,
        table: &CodeTable,
        blocks: &[u8],
        picks: &[Pick],
        threshold: f32,
        out: &mut Vec<(u32, f32)>,
    ) {
        assert!(blocks.len().is_multiple_of(table.block_bytes()), "whole blocks");
        let slots = blocks.len() / table.block_bytes() * BLOCK_ROWS;
        assert!(u32::try_from(slots).is_ok(), "slots of 32 bits");
        // SAFETY: a Kernels exists only for a tier that this processor has.
        unsafe { (self.table().scan_below)(table, blocks, picks, threshold, out) }
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
    assert!(blocks.len().is_multiple_of(table.code_bytes()), "whole blocks of codes");
    blocks.len() / table.code_bytes() * BLOCK_ROWS
}

/// Defines the three scans from these in scope: a type `Sums` of the 32 sums of a block and a type
/// `Estimates`; `block_sums(quads, block) -> Sums`, `sums_array(Sums) -> [u32; 32]`,
/// `estimate(Sums, &Affine, &[u8; TERMS_BYTES]) -> Estimates`,
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
            for (block, out) in blocks.chunks_exact(table.code_bytes()).zip(outs) {
                *out = sums_array(block_sums(table.quads(), block));
            }
        }

        $(#[$attribute])*
        pub(crate) fn scan_estimates(
            table: &crate::codes::CodeTable,
            blocks: &[u8],
            base: f32,
            out: &mut [f32],
        ) {
            let affine = crate::codes::Affine::new(table, base);
            let (outs, _) = out.as_chunks_mut::<{ crate::codes::BLOCK_ROWS }>();
            for (block, out) in blocks.chunks_exact(table.block_bytes()).zip(outs) {
                let (codes, terms) = block.split_at(table.code_bytes());
                let sums = block_sums(table.quads(), codes);
                *out = estimates_array(estimate(sums, &affine, crate::codes::terms_of(terms)));
            }
        }

        $(#[$attribute])*
        pub(crate) fn scan_below(
            table: &crate::codes::CodeTable,
            blocks: &[u8],
            picks: &[crate::codes::Pick],
            threshold: f32,
            out: &mut Vec<(u32, f32)>,
        ) {
            let mut ahead = crate::codes::Ahead::new(table, blocks, picks);
            for pick in picks {
                ahead.step();
                if pick.allowed == 0 {
                    continue;
                }
                let (codes, terms) = pick.of(table, blocks).split_at(table.code_bytes());
                let affine = crate::codes::Affine::new(table, pick.base);
                let sums = block_sums(table.quads(), codes);
                let estimates = estimate(sums, &affine, crate::codes::terms_of(terms));
                let found = below(estimates, threshold) & pick.allowed;
                if found != 0 {
                    let estimates = estimates_array(estimates);
                    crate::codes::report(found, pick.block, &estimates, out);
                }
            }
        }
    };
}

/// The terms behind the codes of a block.
#[inline(always)]
pub(crate) fn terms_of(terms: &[u8]) -> &[u8; TERMS_BYTES] {
    match terms.first_chunk() {
        Some(terms) => terms,
        None => &[0; TERMS_BYTES],
    }
}

/// Asks for picked blocks before they are scanned, also for those in a row: a list has too few of
/// them for the processor to see that they follow each other.
pub(crate) struct Ahead<'a> {
    table: &'a CodeTable,
    blocks: &'a [u8],
    picks: &'a [Pick],
    next: usize,
}

impl<'a> Ahead<'a> {
    #[inline]
    pub(crate) fn new(table: &'a CodeTable, blocks: &'a [u8], picks: &'a [Pick]) -> Self {
        let mut ahead = Self { table, blocks, picks, next: 0 };
        let (least, most) = (*BLOCKS_AHEAD.start(), *BLOCKS_AHEAD.end());
        for _ in 0..(BYTES_AHEAD / table.block_bytes()).clamp(least, most) {
            ahead.step();
        }
        ahead
    }

    #[inline(always)]
    pub(crate) fn step(&mut self) {
        if let Some(pick) = self.picks.get(self.next) {
            if pick.allowed != 0 {
                prefetch(pick.of(self.table, self.blocks));
            }
            self.next += 1;
        }
    }
}

impl Pick {
    #[inline(always)]
    pub(crate) fn of<'a>(&self, table: &CodeTable, blocks: &'a [u8]) -> &'a [u8] {
        let start = self.block as usize * table.block_bytes();
        &blocks[start..start + table.block_bytes()]
    }
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

/// Appends the rows whose bit is set.
#[inline]
pub(crate) fn report(
    mut found: u32,
    block: u32,
    estimates: &[f32; BLOCK_ROWS],
    out: &mut Vec<(u32, f32)>,
) {
    while found != 0 {
        let row = found.trailing_zeros();
        out.push((block * 32 + row, estimates[row as usize]));
        found &= found - 1;
    }
}

#[cfg(test)]
mod tests;
