//! Kernels in 256-bit registers (AVX2 and FMA).
//!
//! Four partial registers hide the latency of the multiply-add. Two rows at a time share each load
//! of the query; four would need more than the 16 registers there are. The tail is loaded under a
//! mask and reads nothing past the slice.

use std::arch::x86_64::{
    __m256, __m256i, _mm_add_ps, _mm_add_ss, _mm_cvtss_f32, _mm_movehdup_ps, _mm_movehl_ps,
    _mm256_add_ps, _mm256_castps256_ps128, _mm256_extractf128_ps, _mm256_fmadd_ps, _mm256_loadu_ps,
    _mm256_loadu_si256, _mm256_maskload_ps, _mm256_setzero_ps, _mm256_sub_ps,
};

use crate::Tier;
use crate::table::SQUARED_L2;

mod bytes;
mod codes;
mod tile;

/// Values in a register.
const LANES: usize = 8;
/// Partial sums of one row.
const REGISTERS: usize = 4;
/// Values of one row in a turn of the main loop.
const STRIDE: usize = LANES * REGISTERS;

/// Eight lanes on, eight off: eight entries from `LANES - n` are a mask of the first `n` lanes.
static MASKS: [i32; 2 * LANES] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];

kernel_table! { #[target_feature(enable = "avx2,fma")] tier: Tier::Avx2, rows_at_once: 2 }

#[inline]
#[target_feature(enable = "avx2,fma")]
fn block<const ROWS: usize, const OPERATION: u8>(
    query: &[f32],
    rows: [&[f32]; ROWS],
) -> [f32; ROWS] {
    let dimension = query.len();
    assert!(rows.iter().all(|row| row.len() == dimension), "vectors of one dimension");
    let mut sums = [[_mm256_setzero_ps(); REGISTERS]; ROWS];
    let mut start = 0;
    while dimension - start >= STRIDE {
        for register in 0..REGISTERS {
            let offset = start + register * LANES;
            // SAFETY: start + STRIDE <= dimension, so `offset..offset + LANES` is inside the query.
            let x = unsafe { _mm256_loadu_ps(query.as_ptr().add(offset)) };
            for (sum, row) in sums.iter_mut().zip(&rows) {
                // SAFETY: as above; the row has the length of the query (asserted on entry).
                let y = unsafe { _mm256_loadu_ps(row.as_ptr().add(offset)) };
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
        let x = unsafe { _mm256_maskload_ps(query.as_ptr().add(offset), mask) };
        for (sum, row) in sums.iter_mut().zip(&rows) {
            // SAFETY: as above; the row has the length of the query (asserted on entry).
            let y = unsafe { _mm256_maskload_ps(row.as_ptr().add(offset), mask) };
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
#[target_feature(enable = "avx2,fma")]
fn first_lanes(count: usize) -> __m256i {
    let first = LANES - count.min(LANES);
    // SAFETY: first <= LANES, so the eight entries from it are inside the table of 16; the load has
    // no demand on alignment.
    unsafe { _mm256_loadu_si256(MASKS.as_ptr().add(first).cast()) }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn step<const OPERATION: u8>(sum: __m256, x: __m256, y: __m256) -> __m256 {
    if OPERATION == SQUARED_L2 {
        let difference = _mm256_sub_ps(x, y);
        _mm256_fmadd_ps(difference, difference, sum)
    } else {
        _mm256_fmadd_ps(x, y, sum)
    }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn sum_lanes(sums: &[__m256; REGISTERS]) -> f32 {
    let eight = _mm256_add_ps(_mm256_add_ps(sums[0], sums[1]), _mm256_add_ps(sums[2], sums[3]));
    let four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
}
