//! Scans of sign codes in plain Rust.

use crate::codes::{Affine, BLOCK_ROWS, QUAD_BYTES, Quad, TERMS_BYTES, UPPER_TERM};

type Sums = [u32; BLOCK_ROWS];
type Estimates = [f32; BLOCK_ROWS];

scan_functions! {}

#[inline]
fn block_sums(quads: &[Quad], block: &[u8]) -> Sums {
    let mut sums: Sums = [0; BLOCK_ROWS];
    for (quad, codes) in quads.iter().zip(block.as_chunks::<QUAD_BYTES>().0) {
        for (table, codes) in quad.0.as_chunks::<16>().0.iter().zip(codes.as_chunks::<16>().0) {
            for (row, code) in codes.iter().enumerate() {
                let (low, high) = (table[usize::from(code & 15)], table[usize::from(code >> 4)]);
                // Cannot wrap around below 2^26 dimensions; a check would cost a third.
                sums[row] = sums[row].wrapping_add(u32::from(low));
                sums[row + 16] = sums[row + 16].wrapping_add(u32::from(high));
            }
        }
    }
    sums
}

#[inline]
fn sums_array(sums: Sums) -> [u32; BLOCK_ROWS] {
    sums
}

#[inline]
fn estimate(sums: Sums, affine: &Affine, terms: &[u8; TERMS_BYTES]) -> Estimates {
    let (terms, _) = terms.as_chunks::<4>();
    std::array::from_fn(|row| {
        let both = u32::from_le_bytes(terms[row]);
        let (a, b) = (f32::from_bits(both & UPPER_TERM), f32::from_bits(both << 16));
        #[expect(clippy::cast_precision_loss, reason = "sums are far below 2^24")]
        let dot = affine.scale * sums[row] as f32 + affine.offset;
        (affine.base + a) - b * dot
    })
}

#[inline]
fn estimates_array(estimates: Estimates) -> [f32; BLOCK_ROWS] {
    estimates
}

#[inline]
fn below(estimates: Estimates, threshold: f32) -> u32 {
    let bits = estimates.iter().enumerate();
    bits.fold(0, |found, (row, estimate)| found | u32::from(*estimate < threshold) << row)
}
