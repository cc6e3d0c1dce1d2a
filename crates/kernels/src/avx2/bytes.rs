//! Inner products of 8-bit rows in 256-bit registers, by widening to 16 bits.

use std::arch::x86_64::{
    __m256i, _mm_add_epi32, _mm_cvtsi128_si32, _mm_loadu_si128, _mm_shuffle_epi32,
    _mm256_add_epi32, _mm256_castsi256_si128, _mm256_cvtepi8_epi16, _mm256_extracti128_si256,
    _mm256_madd_epi16, _mm256_setzero_si256,
};

/// Codes in a step.
const LANES: usize = 16;

byte_functions! { #[target_feature(enable = "avx2,fma")] rows_at_once: 4 }

#[inline]
#[target_feature(enable = "avx2,fma")]
fn byte_block<const ROWS: usize>(query: &[i8], rows: [&[i8]; ROWS]) -> [i32; ROWS] {
    let dimension = query.len();
    assert!(rows.iter().all(|row| row.len() == dimension), "rows of one dimension");
    let mut sums = [_mm256_setzero_si256(); ROWS];
    let mut start = 0;
    while dimension - start >= LANES {
        // SAFETY: start + LANES <= dimension, so the codes are inside the query.
        let x = unsafe { load(query.as_ptr().add(start)) };
        for (sum, row) in sums.iter_mut().zip(&rows) {
            // SAFETY: as above; the row has the length of the query (asserted on entry).
            let y = unsafe { load(row.as_ptr().add(start)) };
            *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(x, y));
        }
        start += LANES;
    }
    let mut totals = [0; ROWS];
    for ((total, sum), row) in totals.iter_mut().zip(sums).zip(rows) {
        let tail = query[start..].iter().zip(&row[start..]);
        let tail: i32 = tail.map(|(x, y)| i32::from(*x) * i32::from(*y)).sum();
        *total = sum_lanes(sum) + tail;
    }
    totals
}

/// Codes as words.
///
/// # Safety
/// `from` must be valid for reading [`LANES`] codes.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn load(from: *const i8) -> __m256i {
    // SAFETY: the caller vouches for 16 readable bytes; the load has no demand on alignment.
    _mm256_cvtepi8_epi16(unsafe { _mm_loadu_si128(from.cast()) })
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn sum_lanes(sums: __m256i) -> i32 {
    let four = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256::<1>(sums));
    let two = _mm_add_epi32(four, _mm_shuffle_epi32::<0b01_00_11_10>(four));
    _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32::<0b10_11_00_01>(two)))
}
