//! The tile of assignment in 128-bit registers: four vectors by four centroids.
//!
//! Sixteen running sums and eight operands fit the 32 registers.

#[cfg(target_arch = "aarch64")]
use std::arch::aarch64::{float32x4_t, vdupq_n_f32, vfmaq_f32, vld1q_f32, vpaddq_f32, vst1q_f32};

#[cfg(not(target_arch = "aarch64"))]
use super::emulated::{float32x4_t, vdupq_n_f32, vfmaq_f32, vld1q_f32, vpaddq_f32, vst1q_f32};

/// Vectors, and centroids, of a tile.
const SIDE: usize = 4;
/// Values in a register.
const LANES: usize = 4;

assign_function! {
    #[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
    vectors: SIDE, centroids: SIDE
}

#[inline]
#[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
fn tile(vectors: [&[f32]; SIDE], centroids: [&[f32]; SIDE]) -> [[f32; SIDE]; SIDE] {
    let dimension = vectors[0].len();
    assert!(vectors.iter().chain(&centroids).all(|row| row.len() == dimension), "one dimension");
    let mut sums = [[vdupq_n_f32(0.0); SIDE]; SIDE];
    let mut start = 0;
    while dimension - start >= LANES {
        // SAFETY: start + LANES <= dimension, the length of every slice (asserted on entry).
        let load = |row: &[f32]| unsafe { vld1q_f32(row.as_ptr().add(start)) };
        multiply_add(&mut sums, vectors.map(load), centroids.map(load));
        start += LANES;
    }
    if start < dimension {
        let load = |row: &[f32]| {
            let mut last = [0.0; LANES];
            last[..dimension - start].copy_from_slice(&row[start..]);
            // SAFETY: the array has four values.
            unsafe { vld1q_f32(last.as_ptr()) }
        };
        multiply_add(&mut sums, vectors.map(load), centroids.map(load));
    }
    let mut totals = [[0.0; SIDE]; SIDE];
    for (totals, [a, b, c, d]) in totals.iter_mut().zip(sums) {
        let sums = vpaddq_f32(vpaddq_f32(a, b), vpaddq_f32(c, d));
        // SAFETY: there are four places.
        unsafe { vst1q_f32(totals.as_mut_ptr(), sums) };
    }
    totals
}

#[inline]
#[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
fn multiply_add(
    sums: &mut [[float32x4_t; SIDE]; SIDE],
    x: [float32x4_t; SIDE],
    y: [float32x4_t; SIDE],
) {
    for (sums, x) in sums.iter_mut().zip(x) {
        for (sum, y) in sums.iter_mut().zip(y) {
            *sum = vfmaq_f32(*sum, x, y);
        }
    }
}
