//! Kernels in 512-bit registers (AVX-512F and BW).
//!
//! Four partial registers hide the latency of the multiply-add; four rows at a time share each load
//! of the query, which leaves 12 of the 32 registers free. The tail is loaded under a mask, so
//! dimensions that are no multiple of 16 cost one more step and read nothing past the slice.

use std::arch::x86_64::{
    __m512, __mmask16, _mm_add_ps, _mm_add_ss, _mm_cvtss_f32, _mm_movehdup_ps, _mm_movehl_ps,
    _mm256_add_ps, _mm256_castps256_ps128, _mm256_extractf128_ps, _mm512_add_ps, _mm512_castpd_ps,
    _mm512_castps_pd, _mm512_castps512_ps256, _mm512_fmadd_ps, _mm512_loadu_ps,
    _mm512_maskz_loadu_ps, _mm512_setzero_ps, _mm512_shuffle_f64x2, _mm512_sub_ps,
};

use crate::Tier;
use crate::table::{SQUARED_L2, Table};

mod bytes;
mod codes;
mod tile;
mod vnni;

/// The functions of this tier on a processor that sums products of bytes.
pub(crate) static TABLE_VNNI: Table = Table {
    dot_i8: vnni::dot_i8,
    dot_i8_rows: vnni::dot_i8_rows,
    dot_i8_at: vnni::dot_i8_at,
    ..FUNCTIONS
};

/// Values in a register.
const LANES: usize = 16;
/// Partial sums of one row.
const REGISTERS: usize = 4;
/// Values of one row in a turn of the main loop.
const STRIDE: usize = LANES * REGISTERS;

kernel_table! { #[target_feature(enable = "avx512f,avx512bw")] tier: Tier::Avx512, rows_at_once: 4 }

#[inline]
#[target_feature(enable = "avx512f")]
fn block<const ROWS: usize, const OPERATION: u8>(
    query: &[f32],
    rows: [&[f32]; ROWS],
) -> [f32; ROWS] {
    let dimension = query.len();
    assert!(rows.iter().all(|row| row.len() == dimension), "vectors of one dimension");
    let mut sums = [[_mm512_setzero_ps(); REGISTERS]; ROWS];
    let mut start = 0;
    while dimension - start >= STRIDE {
        for register in 0..REGISTERS {
            let offset = start + register * LANES;
            // SAFETY: start + STRIDE <= dimension, so `offset..offset + LANES` is inside the query.
            let x = unsafe { _mm512_loadu_ps(query.as_ptr().add(offset)) };
            for (sum, row) in sums.iter_mut().zip(&rows) {
                // SAFETY: as above; the row has the length of the query (asserted on entry).
                let y = unsafe { _mm512_loadu_ps(row.as_ptr().add(offset)) };
                sum[register] = step::<OPERATION>(sum[register], x, y);
            }
        }
        start += STRIDE;
    }
    for register in 0..REGISTERS {
        let offset = start + register * LANES;
        if offset >= dimension {
            break;
        }
        let mask = first_lanes(dimension - offset);
        // SAFETY: offset < dimension, and the mask lets no lane past the end of the query be read.
        let x = unsafe { _mm512_maskz_loadu_ps(mask, query.as_ptr().add(offset)) };
        for (sum, row) in sums.iter_mut().zip(&rows) {
            // SAFETY: as above; the row has the length of the query (asserted on entry).
            let y = unsafe { _mm512_maskz_loadu_ps(mask, row.as_ptr().add(offset)) };
            sum[register] = step::<OPERATION>(sum[register], x, y);
        }
    }
    let mut totals = [0.0; ROWS];
    for (total, sum) in totals.iter_mut().zip(&sums) {
        *total = sum_lanes(sum);
    }
    totals
}

/// A mask of the first `count` lanes; all of them when `count` is larger.
#[inline]
fn first_lanes(count: usize) -> __mmask16 {
    if count >= LANES { __mmask16::MAX } else { (1 << count) - 1 }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn step<const OPERATION: u8>(sum: __m512, x: __m512, y: __m512) -> __m512 {
    if OPERATION == SQUARED_L2 {
        let difference = _mm512_sub_ps(x, y);
        _mm512_fmadd_ps(difference, difference, sum)
    } else {
        _mm512_fmadd_ps(x, y, sum)
    }
}

// WHY: not `_mm512_reduce_add_ps`, whose order of additions is the compiler's choice and may differ
// between the single and the row form.
#[inline]
#[target_feature(enable = "avx512f")]
fn sum_lanes(sums: &[__m512; REGISTERS]) -> f32 {
    let all = _mm512_add_ps(_mm512_add_ps(sums[0], sums[1]), _mm512_add_ps(sums[2], sums[3]));
    let doubles = _mm512_castps_pd(all);
    let upper = _mm512_castpd_ps(_mm512_shuffle_f64x2::<0b11_10_11_10>(doubles, doubles));
    let eight = _mm256_add_ps(_mm512_castps512_ps256(all), _mm512_castps512_ps256(upper));
    let four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
}
