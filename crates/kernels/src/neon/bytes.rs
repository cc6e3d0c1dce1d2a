//! Inner products of 8-bit rows in 128-bit registers: products in words, summed in pairs.

#[cfg(target_arch = "aarch64")]
use std::arch::aarch64::{
    vaddvq_s32, vdupq_n_s32, vget_low_s8, vld1q_s8, vmull_high_s8, vmull_s8, vpadalq_s16,
};

#[cfg(not(target_arch = "aarch64"))]
use super::emulated::{
    vaddvq_s32, vdupq_n_s32, vget_low_s8, vld1q_s8, vmull_high_s8, vmull_s8, vpadalq_s16,
};

/// Codes in a step.
const LANES: usize = 16;

byte_functions! {
    #[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
    rows_at_once: 4
}

#[inline]
#[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
fn byte_block<const ROWS: usize>(query: &[i8], rows: [&[i8]; ROWS]) -> [i32; ROWS] {
    let dimension = query.len();
    assert!(rows.iter().all(|row| row.len() == dimension), "rows of one dimension");
    let mut sums = [vdupq_n_s32(0); ROWS];
    let mut start = 0;
    while dimension - start >= LANES {
        // SAFETY: start + LANES <= dimension, so the codes are inside the query.
        let x = unsafe { vld1q_s8(query.as_ptr().add(start)) };
        for (sum, row) in sums.iter_mut().zip(&rows) {
            // SAFETY: as above; the row has the length of the query (asserted on entry).
            let y = unsafe { vld1q_s8(row.as_ptr().add(start)) };
            *sum = vpadalq_s16(*sum, vmull_s8(vget_low_s8(x), vget_low_s8(y)));
            *sum = vpadalq_s16(*sum, vmull_high_s8(x, y));
        }
        start += LANES;
    }
    let mut totals = [0; ROWS];
    for ((total, sum), row) in totals.iter_mut().zip(sums).zip(rows) {
        let tail = query[start..].iter().zip(&row[start..]);
        let tail: i32 = tail.map(|(x, y)| i32::from(*x) * i32::from(*y)).sum();
        *total = vaddvq_s32(sum) + tail;
    }
    totals
}
