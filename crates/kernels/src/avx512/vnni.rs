//! Inner products of 8-bit rows with the instruction that sums products of bytes (VNNI).
//!
//! It multiplies unsigned by signed bytes. So a row is shifted up by 128 (its top bits flipped), and
//! 128 times the sum of the query is taken off at the end. All of it is exact.

use std::arch::x86_64::{
    __m512i, __mmask64, _mm_add_epi32, _mm_storeu_si128, _mm256_add_epi32, _mm256_castsi256_si128,
    _mm256_extracti128_si256, _mm512_add_epi32, _mm512_castsi512_si256, _mm512_dpbusd_epi32,
    _mm512_extracti64x4_epi64, _mm512_loadu_si512, _mm512_maskz_loadu_epi8,
    _mm512_reduce_add_epi32, _mm512_set1_epi8, _mm512_setzero_si512, _mm512_unpackhi_epi32,
    _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64, _mm512_xor_si512,
};

/// Codes in a step.
const LANES: usize = 64;

byte_functions! { #[target_feature(enable = "avx512f,avx512bw,avx512vnni")] rows_at_once: 4 }

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn byte_block<const ROWS: usize>(query: &[i8], rows: [&[i8]; ROWS]) -> [i32; ROWS] {
    let dimension = query.len();
    assert!(rows.iter().all(|row| row.len() == dimension), "rows of one dimension");
    let flip = _mm512_set1_epi8(i8::MIN);
    let mut sums = [_mm512_setzero_si512(); ROWS];
    let mut shift = _mm512_setzero_si512();
    let mut start = 0;
    while dimension - start >= LANES {
        // SAFETY: start + LANES <= dimension, so the codes are inside the query.
        let x = unsafe { _mm512_loadu_si512(query.as_ptr().add(start).cast()) };
        shift = _mm512_dpbusd_epi32(shift, flip, x);
        for (sum, row) in sums.iter_mut().zip(&rows) {
            // SAFETY: as above; the row has the length of the query (asserted on entry).
            let y = unsafe { _mm512_loadu_si512(row.as_ptr().add(start).cast()) };
            *sum = _mm512_dpbusd_epi32(*sum, _mm512_xor_si512(y, flip), x);
        }
        start += LANES;
    }
    if start < dimension {
        let mask: __mmask64 = (1 << (dimension - start)) - 1;
        // SAFETY: start < dimension, and the mask lets no lane past the end of the query be read.
        // The other lanes are 0, so nothing is added for them.
        let x = unsafe { _mm512_maskz_loadu_epi8(mask, query.as_ptr().add(start)) };
        shift = _mm512_dpbusd_epi32(shift, flip, x);
        for (sum, row) in sums.iter_mut().zip(&rows) {
            // SAFETY: as above; the row has the length of the query (asserted on entry).
            let y = unsafe { _mm512_maskz_loadu_epi8(mask, row.as_ptr().add(start)) };
            *sum = _mm512_dpbusd_epi32(*sum, _mm512_xor_si512(y, flip), x);
        }
    }
    let shift = _mm512_reduce_add_epi32(shift);
    totals(&sums).map(|total| total.wrapping_sub(shift))
}

/// The sums of the lanes; four registers share the additions.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn totals<const ROWS: usize>(sums: &[__m512i; ROWS]) -> [i32; ROWS] {
    let mut totals = [0; ROWS];
    if let ([a, b, c, d], true) = (sums.as_slice(), ROWS == 4) {
        let ab = _mm512_add_epi32(_mm512_unpacklo_epi32(*a, *b), _mm512_unpackhi_epi32(*a, *b));
        let cd = _mm512_add_epi32(_mm512_unpacklo_epi32(*c, *d), _mm512_unpackhi_epi32(*c, *d));
        let all = _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
        let upper = _mm512_extracti64x4_epi64::<1>(all);
        let eight = _mm256_add_epi32(_mm512_castsi512_si256(all), upper);
        let upper = _mm256_extracti128_si256::<1>(eight);
        let four = _mm_add_epi32(_mm256_castsi256_si128(eight), upper);
        // SAFETY: there are four places of 32 bits; the store has no demand on alignment.
        unsafe { _mm_storeu_si128(totals.as_mut_ptr().cast(), four) };
    } else {
        for (total, sum) in totals.iter_mut().zip(sums) {
            *total = _mm512_reduce_add_epi32(*sum);
        }
    }
    totals
}
