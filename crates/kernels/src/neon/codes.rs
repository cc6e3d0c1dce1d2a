//! Scans of sign codes in 128-bit registers.
//!
//! A register holds one group of a block, and its table: one lookup gives 16 entries. Four of them
//! are added in bytes before they are widened into words, in order of rows.

#[cfg(target_arch = "aarch64")]
use std::arch::aarch64::{
    float32x4_t, uint16x8_t, uint32x4_t, vaddq_f32, vaddq_u8, vaddvq_u32, vaddw_high_u8,
    vaddw_high_u16, vaddw_u8, vaddw_u16, vandq_u8, vandq_u32, vcltq_f32, vcvtq_f32_u32,
    vdupq_n_f32, vdupq_n_u8, vdupq_n_u16, vdupq_n_u32, vget_low_u8, vget_low_u16, vld1q_u8,
    vld1q_u32, vmulq_f32, vqtbl1q_u8, vreinterpretq_f32_u32, vshlq_n_u32, vshrq_n_u8, vst1q_f32,
    vst1q_u32, vsubq_f32,
};

#[cfg(not(target_arch = "aarch64"))]
use super::emulated::{
    float32x4_t, uint16x8_t, uint32x4_t, vaddq_f32, vaddq_u8, vaddvq_u32, vaddw_high_u8,
    vaddw_high_u16, vaddw_u8, vaddw_u16, vandq_u8, vandq_u32, vcltq_f32, vcvtq_f32_u32,
    vdupq_n_f32, vdupq_n_u8, vdupq_n_u16, vdupq_n_u32, vget_low_u8, vget_low_u16, vld1q_u8,
    vld1q_u32, vmulq_f32, vqtbl1q_u8, vreinterpretq_f32_u32, vshlq_n_u32, vshrq_n_u8, vst1q_f32,
    vst1q_u32, vsubq_f32,
};
use crate::codes::{
    Affine, BLOCK_ROWS, BYTE_ENTRIES, QUAD_BYTES, QUAD_STEP, Quad, TERMS_BYTES, UPPER_TERM,
    WORD_GROUPS,
};

type Sums = [uint32x4_t; 8];
type Estimates = [float32x4_t; 8];

/// Bytes in a register.
const LANES: usize = 16;

/// The bit of each lane in a mask.
static LANE_BITS: [u32; 4] = [1, 2, 4, 8];

scan_functions! { #[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))] }

#[inline]
#[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
fn block_sums(quads: &[Quad], block: &[u8]) -> Sums {
    assert_eq!(block.len(), quads.len() * QUAD_BYTES, "a block of the table's dimension");
    assert!(quads.len().is_multiple_of(QUAD_STEP), "a padded dimension");
    let mut sums = [vdupq_n_u32(0); 8];
    let mut start = 0;
    while start < block.len() {
        let end = (start + WORD_GROUPS * LANES).min(block.len());
        // SAFETY: start <= end <= block.len(), the bytes of the quads too; both are multiples of
        // four registers.
        let words = unsafe { word_sums(quads.as_ptr().cast(), block.as_ptr(), start, end) };
        for (part, words) in words.into_iter().enumerate() {
            sums[part * 2] = vaddw_u16(sums[part * 2], vget_low_u16(words));
            sums[part * 2 + 1] = vaddw_high_u16(sums[part * 2 + 1], words);
        }
        start = end;
    }
    sums
}

/// The sums over a range of bytes, as words in order of rows.
///
/// # Safety
/// `tables` and `block` must be readable up to `end`; `start` and `end` must be multiples of four
/// registers.
#[inline]
#[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
unsafe fn word_sums(
    tables: *const u8,
    block: *const u8,
    start: usize,
    end: usize,
) -> [uint16x8_t; 4] {
    let nibble = vdupq_n_u8(15);
    let mut words = [vdupq_n_u16(0); 4];
    let mut offset = start;
    while offset < end {
        let (mut low, mut high) = (vdupq_n_u8(0), vdupq_n_u8(0));
        for _ in 0..BYTE_ENTRIES {
            // SAFETY: this loop takes four registers, of which start and end are multiples, so
            // offset + LANES <= end, up to which the caller vouches for both.
            let (codes, table) =
                unsafe { (vld1q_u8(block.add(offset)), vld1q_u8(tables.add(offset))) };
            low = vaddq_u8(low, vqtbl1q_u8(table, vandq_u8(codes, nibble)));
            high = vaddq_u8(high, vqtbl1q_u8(table, vshrq_n_u8::<4>(codes)));
            offset += LANES;
        }
        words[0] = vaddw_u8(words[0], vget_low_u8(low));
        words[1] = vaddw_high_u8(words[1], low);
        words[2] = vaddw_u8(words[2], vget_low_u8(high));
        words[3] = vaddw_high_u8(words[3], high);
    }
    words
}

#[inline]
#[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
fn sums_array(sums: Sums) -> [u32; BLOCK_ROWS] {
    let mut array = [0_u32; BLOCK_ROWS];
    for (part, sums) in array.as_chunks_mut::<4>().0.iter_mut().zip(sums) {
        // SAFETY: the part has four places.
        unsafe { vst1q_u32(part.as_mut_ptr(), sums) };
    }
    array
}

#[inline]
#[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
fn estimate(sums: Sums, affine: &Affine, terms: &[u8; TERMS_BYTES]) -> Estimates {
    let scale = vdupq_n_f32(affine.scale);
    let offset = vdupq_n_f32(affine.offset);
    let base = vdupq_n_f32(affine.base);
    let upper = vdupq_n_u32(UPPER_TERM);
    let mut estimates = [base; 8];
    for (part, estimate) in estimates.iter_mut().enumerate() {
        // SAFETY: part <= 7, so the terms of four rows are left from row part * 4 on; the load has
        // no demand on alignment.
        let both = unsafe { vld1q_u32(terms.as_ptr().cast::<u32>().add(part * 4)) };
        let a = vreinterpretq_f32_u32(vandq_u32(both, upper));
        let b = vreinterpretq_f32_u32(vshlq_n_u32::<16>(both));
        let dot = vaddq_f32(vmulq_f32(scale, vcvtq_f32_u32(sums[part])), offset);
        *estimate = vsubq_f32(vaddq_f32(base, a), vmulq_f32(b, dot));
    }
    estimates
}

#[inline]
#[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
fn estimates_array(estimates: Estimates) -> [f32; BLOCK_ROWS] {
    let mut array = [0.0_f32; BLOCK_ROWS];
    for (part, estimates) in array.as_chunks_mut::<4>().0.iter_mut().zip(estimates) {
        // SAFETY: the part has four places.
        unsafe { vst1q_f32(part.as_mut_ptr(), estimates) };
    }
    array
}

#[inline]
#[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
fn below(estimates: Estimates, threshold: f32) -> u32 {
    let threshold = vdupq_n_f32(threshold);
    // SAFETY: the table has four entries.
    let bits = unsafe { vld1q_u32(LANE_BITS.as_ptr()) };
    let mut found = 0;
    for (part, estimates) in estimates.into_iter().enumerate() {
        let less = vaddvq_u32(vandq_u32(vcltq_f32(estimates, threshold), bits));
        found |= less << (part * 4);
    }
    found
}
