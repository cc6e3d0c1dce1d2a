//! Kernels in 128-bit registers of 64-bit Arm (NEON).
//!
//! Four partial registers per row, four rows at a time: 16 sums, four loads of rows and one of the
//! query fit the 32 registers. There is no masked load, so the last one to three values go one by
//! one into a lane sum of their own, added last.
//!
//! On other processors the tests compile this file against `emulated`, plain-Rust stand-ins for
//! the instructions, so that its offsets and tails are tested everywhere.

#[cfg(target_arch = "aarch64")]
use std::arch::aarch64::{
    float32x4_t, vaddq_f32, vaddvq_f32, vdupq_n_f32, vfmaq_f32, vld1q_f32, vsubq_f32,
};

#[cfg(not(target_arch = "aarch64"))]
use self::emulated::{
    float32x4_t, vaddq_f32, vaddvq_f32, vdupq_n_f32, vfmaq_f32, vld1q_f32, vsubq_f32,
};
use crate::Tier;
use crate::table::SQUARED_L2;

mod bytes;
mod codes;
#[cfg(not(target_arch = "aarch64"))]
mod emulated;
mod tile;

/// Values in a register.
const LANES: usize = 4;
/// Partial sums of one row.
const REGISTERS: usize = 4;
/// Values of one row in a turn of the main loop.
const STRIDE: usize = LANES * REGISTERS;

kernel_table! {
    #[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
    tier: Tier::Neon,
    rows_at_once: 4
}

#[inline]
#[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
fn block<const ROWS: usize, const OPERATION: u8>(
    query: &[f32],
    rows: [&[f32]; ROWS],
) -> [f32; ROWS] {
    let dimension = query.len();
    assert!(rows.iter().all(|row| row.len() == dimension), "vectors of one dimension");
    let mut sums = [[vdupq_n_f32(0.0); REGISTERS]; ROWS];
    let mut start = 0;
    while dimension - start >= STRIDE {
        for register in 0..REGISTERS {
            let offset = start + register * LANES;
            // SAFETY: start + STRIDE <= dimension, so `offset..offset + LANES` is inside the query.
            let x = unsafe { vld1q_f32(query.as_ptr().add(offset)) };
            for (sum, row) in sums.iter_mut().zip(&rows) {
                // SAFETY: as above; the row has the length of the query (asserted on entry).
                let y = unsafe { vld1q_f32(row.as_ptr().add(offset)) };
                sum[register] = step::<OPERATION>(sum[register], x, y);
            }
        }
        start += STRIDE;
    }
    for register in 0..REGISTERS {
        let offset = start;
        if dimension - offset < LANES {
            break;
        }
        // SAFETY: offset + LANES <= dimension, so the four values are inside the query.
        let x = unsafe { vld1q_f32(query.as_ptr().add(offset)) };
        for (sum, row) in sums.iter_mut().zip(&rows) {
            // SAFETY: as above; the row has the length of the query (asserted on entry).
            let y = unsafe { vld1q_f32(row.as_ptr().add(offset)) };
            sum[register] = step::<OPERATION>(sum[register], x, y);
        }
        start += LANES;
    }
    let mut totals = [0.0; ROWS];
    for ((total, sum), row) in totals.iter_mut().zip(&sums).zip(&rows) {
        *total = sum_lanes(sum) + tail::<OPERATION>(&query[start..], &row[start..]);
    }
    totals
}

#[inline]
#[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
fn step<const OPERATION: u8>(sum: float32x4_t, x: float32x4_t, y: float32x4_t) -> float32x4_t {
    if OPERATION == SQUARED_L2 {
        let difference = vsubq_f32(x, y);
        vfmaq_f32(sum, difference, difference)
    } else {
        vfmaq_f32(sum, x, y)
    }
}

/// The sum over fewer than [`LANES`] values.
#[inline]
fn tail<const OPERATION: u8>(query: &[f32], row: &[f32]) -> f32 {
    let mut sum = 0.0;
    for (x, y) in query.iter().zip(row) {
        sum += if OPERATION == SQUARED_L2 { (x - y) * (x - y) } else { x * y };
    }
    sum
}

#[inline]
#[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
fn sum_lanes(sums: &[float32x4_t; REGISTERS]) -> f32 {
    vaddvq_f32(vaddq_f32(vaddq_f32(sums[0], sums[1]), vaddq_f32(sums[2], sums[3])))
}
