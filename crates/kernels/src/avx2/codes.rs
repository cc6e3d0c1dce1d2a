//! Scans of sign codes in 256-bit registers.
//!
//! A register holds two groups of a block, and the matching half of a quad of the table: one
//! shuffle looks up 32 entries. Bytes and words are summed as in the 512-bit registers.

use std::arch::x86_64::{
    __m256, __m256i, _CMP_LT_OQ, _mm256_add_epi8, _mm256_add_epi16, _mm256_add_epi32,
    _mm256_add_ps, _mm256_and_si256, _mm256_castsi256_ps, _mm256_castsi256_si128, _mm256_cmp_ps,
    _mm256_cvtepi32_ps, _mm256_cvtepu16_epi32, _mm256_extracti128_si256, _mm256_loadu_si256,
    _mm256_movemask_ps, _mm256_mul_ps, _mm256_permute2x128_si256, _mm256_set1_epi8,
    _mm256_set1_epi32, _mm256_set1_ps, _mm256_setzero_si256, _mm256_shuffle_epi8,
    _mm256_slli_epi16, _mm256_slli_epi32, _mm256_srli_epi16, _mm256_storeu_ps, _mm256_storeu_si256,
    _mm256_sub_epi16, _mm256_sub_ps, _mm256_unpackhi_epi16, _mm256_unpacklo_epi16,
};

use crate::codes::{
    Affine, BLOCK_ROWS, BYTE_ENTRIES, QUAD_BYTES, QUAD_STEP, Quad, TERMS_BYTES, UPPER_TERM,
    WORD_QUADS,
};

type Sums = [__m256i; 4];
type Estimates = [__m256; 4];

/// Bytes in a register.
const LANES: usize = 32;

scan_functions! { #[target_feature(enable = "avx2,fma")] }

#[inline]
#[target_feature(enable = "avx2,fma")]
fn block_sums(quads: &[Quad], block: &[u8]) -> Sums {
    assert_eq!(block.len(), quads.len() * QUAD_BYTES, "a block of the table's dimension");
    assert!(quads.len().is_multiple_of(QUAD_STEP), "a padded dimension");
    let mut sums = [_mm256_setzero_si256(); 4];
    let mut start = 0;
    while start < quads.len() {
        let end = (start + WORD_QUADS).min(quads.len());
        // SAFETY: start <= end <= quads.len(), both are multiples of QUAD_STEP (asserted, and
        // WORD_QUADS is one), and the block has QUAD_BYTES bytes for each quad (asserted).
        let words = unsafe { word_sums(quads.as_ptr(), block.as_ptr(), start, end) };
        for (half, words) in words.into_iter().enumerate() {
            let low = _mm256_cvtepu16_epi32(_mm256_castsi256_si128(words));
            let high = _mm256_cvtepu16_epi32(_mm256_extracti128_si256::<1>(words));
            sums[half * 2] = _mm256_add_epi32(sums[half * 2], low);
            sums[half * 2 + 1] = _mm256_add_epi32(sums[half * 2 + 1], high);
        }
        start = end;
    }
    sums
}

/// The sums over some quads, as words in order of rows.
///
/// # Safety
/// `quads` and `block` must be readable up to quad `end`; `start` and `end` must be multiples of
/// [`QUAD_STEP`].
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn word_sums(
    quads: *const Quad,
    block: *const u8,
    start: usize,
    end: usize,
) -> [__m256i; 2] {
    let nibble = _mm256_set1_epi8(15);
    let zero = _mm256_setzero_si256();
    let (mut low_words, mut low_odd, mut high_words, mut high_odd) = (zero, zero, zero, zero);
    let (mut offset, end) = (start * QUAD_BYTES, end * QUAD_BYTES);
    while offset < end {
        let (mut low, mut high) = (zero, zero);
        for _ in 0..BYTE_ENTRIES {
            // SAFETY: start and end are whole QUAD_STEPs, which two turns of the outer loop take;
            // so offset + LANES <= end, up to which the caller vouches for both.
            let (codes, table) = unsafe {
                let codes = _mm256_loadu_si256(block.add(offset).cast());
                (codes, _mm256_loadu_si256(quads.cast::<u8>().add(offset).cast()))
            };
            let first = _mm256_and_si256(codes, nibble);
            let second = _mm256_and_si256(_mm256_srli_epi16::<4>(codes), nibble);
            low = _mm256_add_epi8(low, _mm256_shuffle_epi8(table, first));
            high = _mm256_add_epi8(high, _mm256_shuffle_epi8(table, second));
            offset += LANES;
        }
        low_words = _mm256_add_epi16(low_words, low);
        low_odd = _mm256_add_epi16(low_odd, _mm256_srli_epi16::<8>(low));
        high_words = _mm256_add_epi16(high_words, high);
        high_odd = _mm256_add_epi16(high_odd, _mm256_srli_epi16::<8>(high));
    }
    let low_even = _mm256_sub_epi16(low_words, _mm256_slli_epi16::<8>(low_odd));
    let high_even = _mm256_sub_epi16(high_words, _mm256_slli_epi16::<8>(high_odd));
    [in_order(low_even, low_odd), in_order(high_even, high_odd)]
}

/// The sums of sixteen rows in order, from the halves of those of the even and the odd rows.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn in_order(even: __m256i, odd: __m256i) -> __m256i {
    // The even rows in the lower half, the odd ones in the upper.
    let rows = _mm256_add_epi16(
        _mm256_permute2x128_si256::<0x20>(even, odd),
        _mm256_permute2x128_si256::<0x31>(even, odd),
    );
    let swapped = _mm256_permute2x128_si256::<0x01>(rows, rows);
    let front = _mm256_unpacklo_epi16(rows, swapped);
    let back = _mm256_unpackhi_epi16(rows, swapped);
    _mm256_permute2x128_si256::<0x20>(front, back)
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn sums_array(sums: Sums) -> [u32; BLOCK_ROWS] {
    let mut array = [0_u32; BLOCK_ROWS];
    for (part, sums) in array.as_chunks_mut::<8>().0.iter_mut().zip(sums) {
        // SAFETY: the part has eight places of 32 bits; the store has no demand on alignment.
        unsafe { _mm256_storeu_si256(part.as_mut_ptr().cast(), sums) };
    }
    array
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn estimate(sums: Sums, affine: &Affine, terms: &[u8; TERMS_BYTES]) -> Estimates {
    let scale = _mm256_set1_ps(affine.scale);
    let offset = _mm256_set1_ps(affine.offset);
    let base = _mm256_set1_ps(affine.base);
    let upper = _mm256_set1_epi32(UPPER_TERM.cast_signed());
    let mut estimates = [base; 4];
    for (part, estimate) in estimates.iter_mut().enumerate() {
        // SAFETY: part <= 3, so the terms of eight rows are left from row part * 8 on; the load has
        // no demand on alignment.
        let both = unsafe { _mm256_loadu_si256(terms.as_ptr().cast::<u32>().add(part * 8).cast()) };
        let a = _mm256_castsi256_ps(_mm256_and_si256(both, upper));
        let b = _mm256_castsi256_ps(_mm256_slli_epi32::<16>(both));
        let dot = _mm256_add_ps(_mm256_mul_ps(scale, _mm256_cvtepi32_ps(sums[part])), offset);
        *estimate = _mm256_sub_ps(_mm256_add_ps(base, a), _mm256_mul_ps(b, dot));
    }
    estimates
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn estimates_array(estimates: Estimates) -> [f32; BLOCK_ROWS] {
    let mut array = [0.0_f32; BLOCK_ROWS];
    for (part, estimates) in array.as_chunks_mut::<8>().0.iter_mut().zip(estimates) {
        // SAFETY: the part has eight places; the store has no demand on alignment.
        unsafe { _mm256_storeu_ps(part.as_mut_ptr(), estimates) };
    }
    array
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn below(estimates: Estimates, threshold: f32) -> u32 {
    let threshold = _mm256_set1_ps(threshold);
    let mut found = 0;
    for (part, estimates) in estimates.into_iter().enumerate() {
        let less = _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_LT_OQ>(estimates, threshold));
        found |= less.cast_unsigned() << (part * 8);
    }
    found
}
