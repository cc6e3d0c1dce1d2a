//! Inner products of 8-bit rows in 512-bit registers, by widening to 16 bits.
//!
//! For processors without the instructions that sum products of bytes.

use std::arch::x86_64::{
    __m512i, _mm256_loadu_si256, _mm512_add_epi32, _mm512_cvtepi8_epi16, _mm512_madd_epi16,
    _mm512_reduce_add_epi32, _mm512_setzero_si512,
};

/// Codes in a step.
const LANES: usize = 32;

byte_functions! { #[target_feature(enable = "avx512f,avx512bw")] rows_at_once: 4 }

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn byte_block<const ROWS: usize>(query: &[i8], rows: [&[i8]; ROWS]) -> [i32; ROWS] {
    let dimension = query.len();
    assert!(rows.iter().all(|row| row.len() == dimension), "rows of one dimension");
    let mut sums = [_mm512_setzero_si512(); ROWS];
    let mut start = 0;
    while dimension - start >= LANES {
        // SAFETY: start + LANES <= dimension, so the codes are inside the query.
        let x = unsafe { load(query.as_ptr().add(start)) };
        for (sum, row) in sums.iter_mut().zip(&rows) {
            // SAFETY: as above; the row has the length of the query (asserted on entry).
            let y = unsafe { load(row.as_ptr().add(start)) };
            *sum = _mm512_add_epi32(*sum, _mm512_madd_epi16(x, y));
        }
        start += LANES;
    }
    let mut totals = [0; ROWS];
    for ((total, sum), row) in totals.iter_mut().zip(sums).zip(rows) {
        let tail = query[start..].iter().zip(&row[start..]);
        let tail: i32 = tail.map(|(x, y)| i32::from(*x) * i32::from(*y)).sum();
        *total = _mm512_reduce_add_epi32(sum) + tail;
    }
    totals
}

/// Codes as words.
///
/// # Safety
/// `from` must be valid for reading [`LANES`] codes.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn load(from: *const i8) -> __m512i {
    // SAFETY: the caller vouches for 32 readable bytes; the load has no demand on alignment.
    _mm512_cvtepi8_epi16(unsafe { _mm256_loadu_si256(from.cast()) })
}
