//! Scans of sign codes in 512-bit registers.
//!
//! A register holds four groups of a block, and the matching quad of the table: one shuffle looks
//! up 64 entries. Four steps are added in bytes before they are widened. Widening keeps, beside the
//! sum of the 16-bit words as they are, the sum of their upper bytes; the lower ones follow at the
//! end by subtraction, which wraps around to the right value.

use std::arch::x86_64::{
    __m512, __m512i, _CMP_LT_OQ, _mm512_add_epi8, _mm512_add_epi16, _mm512_add_epi32,
    _mm512_add_ps, _mm512_and_si512, _mm512_castsi512_ps, _mm512_castsi512_si256,
    _mm512_cmp_ps_mask, _mm512_cvtepi32_ps, _mm512_cvtepu16_epi32, _mm512_extracti64x4_epi64,
    _mm512_loadu_si512, _mm512_mul_ps, _mm512_permutexvar_epi16, _mm512_set1_epi8,
    _mm512_set1_epi32, _mm512_set1_ps, _mm512_setzero_si512, _mm512_shuffle_epi8,
    _mm512_shuffle_i64x2, _mm512_slli_epi16, _mm512_slli_epi32, _mm512_srli_epi16,
    _mm512_storeu_ps, _mm512_storeu_si512, _mm512_sub_epi16, _mm512_sub_ps,
};

use crate::codes::{
    Affine, BLOCK_ROWS, QUAD_BYTES, QUAD_STEP, Quad, TERMS_BYTES, UPPER_TERM, WORD_QUADS,
};

type Sums = [__m512i; 2];
type Estimates = [__m512; 2];

/// Where row `i` stands in the order even of 0 to 15, odd of 0 to 15, even and odd of 16 to 31.
static ROW_ORDER: [u16; BLOCK_ROWS] = [
    0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15, //
    16, 24, 17, 25, 18, 26, 19, 27, 20, 28, 21, 29, 22, 30, 23, 31,
];

scan_functions! { #[target_feature(enable = "avx512f,avx512bw")] }

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn block_sums(quads: &[Quad], block: &[u8]) -> Sums {
    assert_eq!(block.len(), quads.len() * QUAD_BYTES, "a block of the table's dimension");
    assert!(quads.len().is_multiple_of(QUAD_STEP), "a padded dimension");
    let mut sums = [_mm512_setzero_si512(); 2];
    let mut start = 0;
    while start < quads.len() {
        let end = (start + WORD_QUADS).min(quads.len());
        // SAFETY: start <= end <= quads.len(), both are multiples of QUAD_STEP (asserted, and
        // WORD_QUADS is one), and the block has QUAD_BYTES bytes for each quad (asserted).
        let words = unsafe { word_sums(quads.as_ptr(), block.as_ptr(), start, end) };
        let low = _mm512_cvtepu16_epi32(_mm512_castsi512_si256(words));
        let high = _mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64::<1>(words));
        sums = [_mm512_add_epi32(sums[0], low), _mm512_add_epi32(sums[1], high)];
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
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn word_sums(quads: *const Quad, block: *const u8, start: usize, end: usize) -> __m512i {
    let nibble = _mm512_set1_epi8(15);
    let zero = _mm512_setzero_si512();
    let (mut low_words, mut low_odd, mut high_words, mut high_odd) = (zero, zero, zero, zero);
    let mut step = start;
    while step < end {
        let (mut low, mut high) = (zero, zero);
        for quad in 0..QUAD_STEP {
            // SAFETY: step + quad < end, which the caller vouches for.
            let (codes, table) = unsafe {
                let codes = _mm512_loadu_si512(block.add((step + quad) * QUAD_BYTES).cast());
                (codes, _mm512_loadu_si512(quads.add(step + quad).cast()))
            };
            let first = _mm512_and_si512(codes, nibble);
            let second = _mm512_and_si512(_mm512_srli_epi16::<4>(codes), nibble);
            low = _mm512_add_epi8(low, _mm512_shuffle_epi8(table, first));
            high = _mm512_add_epi8(high, _mm512_shuffle_epi8(table, second));
        }
        low_words = _mm512_add_epi16(low_words, low);
        low_odd = _mm512_add_epi16(low_odd, _mm512_srli_epi16::<8>(low));
        high_words = _mm512_add_epi16(high_words, high);
        high_odd = _mm512_add_epi16(high_odd, _mm512_srli_epi16::<8>(high));
        step += QUAD_STEP;
    }
    let low_even = _mm512_sub_epi16(low_words, _mm512_slli_epi16::<8>(low_odd));
    let high_even = _mm512_sub_epi16(high_words, _mm512_slli_epi16::<8>(high_odd));
    let rows = add_quarters(low_even, low_odd, high_even, high_odd);
    // SAFETY: the table has 64 bytes; the load has no demand on alignment.
    let order = unsafe { _mm512_loadu_si512(ROW_ORDER.as_ptr().cast()) };
    _mm512_permutexvar_epi16(order, rows)
}

/// The sum of the four quarters of each register, one after the other.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn add_quarters(a: __m512i, b: __m512i, c: __m512i, d: __m512i) -> __m512i {
    let ab = _mm512_add_epi16(
        _mm512_shuffle_i64x2::<0b01_00_01_00>(a, b),
        _mm512_shuffle_i64x2::<0b11_10_11_10>(a, b),
    );
    let cd = _mm512_add_epi16(
        _mm512_shuffle_i64x2::<0b01_00_01_00>(c, d),
        _mm512_shuffle_i64x2::<0b11_10_11_10>(c, d),
    );
    _mm512_add_epi16(
        _mm512_shuffle_i64x2::<0b10_00_10_00>(ab, cd),
        _mm512_shuffle_i64x2::<0b11_01_11_01>(ab, cd),
    )
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn sums_array(sums: Sums) -> [u32; BLOCK_ROWS] {
    let mut array = [0_u32; BLOCK_ROWS];
    let (front, back) = array.split_at_mut(16);
    // SAFETY: each half has 16 places of 32 bits; the stores have no demand on alignment.
    unsafe {
        _mm512_storeu_si512(front.as_mut_ptr().cast(), sums[0]);
        _mm512_storeu_si512(back.as_mut_ptr().cast(), sums[1]);
    }
    array
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn estimate(sums: Sums, affine: &Affine, terms: &[u8; TERMS_BYTES]) -> Estimates {
    let scale = _mm512_set1_ps(affine.scale);
    let offset = _mm512_set1_ps(affine.offset);
    let base = _mm512_set1_ps(affine.base);
    let upper = _mm512_set1_epi32(UPPER_TERM.cast_signed());
    let mut estimates = [base; 2];
    for (half, estimate) in estimates.iter_mut().enumerate() {
        // SAFETY: half <= 1, so the terms of 16 rows are left from row half * 16 on; the load has no
        // demand on alignment.
        let both =
            unsafe { _mm512_loadu_si512(terms.as_ptr().cast::<u32>().add(half * 16).cast()) };
        let a = _mm512_castsi512_ps(_mm512_and_si512(both, upper));
        let b = _mm512_castsi512_ps(_mm512_slli_epi32::<16>(both));
        let dot = _mm512_add_ps(_mm512_mul_ps(scale, _mm512_cvtepi32_ps(sums[half])), offset);
        *estimate = _mm512_sub_ps(_mm512_add_ps(base, a), _mm512_mul_ps(b, dot));
    }
    estimates
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn estimates_array(estimates: Estimates) -> [f32; BLOCK_ROWS] {
    let mut array = [0.0_f32; BLOCK_ROWS];
    let (front, back) = array.split_at_mut(16);
    // SAFETY: each half has 16 places; the stores have no demand on alignment.
    unsafe {
        _mm512_storeu_ps(front.as_mut_ptr(), estimates[0]);
        _mm512_storeu_ps(back.as_mut_ptr(), estimates[1]);
    }
    array
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn below(estimates: Estimates, threshold: f32) -> u32 {
    let threshold = _mm512_set1_ps(threshold);
    let front = _mm512_cmp_ps_mask::<_CMP_LT_OQ>(estimates[0], threshold);
    let back = _mm512_cmp_ps_mask::<_CMP_LT_OQ>(estimates[1], threshold);
    u32::from(front) | u32::from(back) << 16
}
