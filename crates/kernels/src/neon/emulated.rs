//! The few NEON instructions that the kernels use, in plain Rust, for tests on other processors.
//!
//! Names, arguments and the order of additions are those of `std::arch::aarch64`.
#![allow(non_camel_case_types, reason = "the names are the architecture's")]

/// Four values.
pub(super) type float32x4_t = [f32; 4];

pub(super) fn vdupq_n_f32(value: f32) -> float32x4_t {
    [value; 4]
}

/// # Safety
/// `from` must be valid for reading four values.
pub(super) unsafe fn vld1q_f32(from: *const f32) -> float32x4_t {
    // SAFETY: the caller vouches for four readable values; arrays of f32 are aligned as f32.
    unsafe { from.cast::<float32x4_t>().read() }
}

pub(super) fn vaddq_f32(a: float32x4_t, b: float32x4_t) -> float32x4_t {
    std::array::from_fn(|i| a[i] + b[i])
}

pub(super) fn vsubq_f32(a: float32x4_t, b: float32x4_t) -> float32x4_t {
    std::array::from_fn(|i| a[i] - b[i])
}

pub(super) fn vfmaq_f32(sum: float32x4_t, a: float32x4_t, b: float32x4_t) -> float32x4_t {
    std::array::from_fn(|i| a[i].mul_add(b[i], sum[i]))
}

pub(super) fn vaddvq_f32(a: float32x4_t) -> f32 {
    (a[0] + a[1]) + (a[2] + a[3])
}
