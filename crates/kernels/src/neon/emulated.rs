//! The few NEON instructions that the kernels use, in plain Rust, for tests on other processors.
//!
//! Names, arguments and the order of additions are those of `std::arch::aarch64`.
#![allow(non_camel_case_types, reason = "the names are the architecture's")]

pub(super) use self::integers::*;

mod integers;

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

pub(super) fn vmulq_f32(a: float32x4_t, b: float32x4_t) -> float32x4_t {
    std::array::from_fn(|i| a[i] * b[i])
}

pub(super) fn vpaddq_f32(a: float32x4_t, b: float32x4_t) -> float32x4_t {
    [a[0] + a[1], a[2] + a[3], b[0] + b[1], b[2] + b[3]]
}

/// All bits of a lane where `a` is less, otherwise none.
pub(super) fn vcltq_f32(a: float32x4_t, b: float32x4_t) -> uint32x4_t {
    std::array::from_fn(|i| if a[i] < b[i] { u32::MAX } else { 0 })
}

pub(super) fn vcvtq_f32_u32(a: uint32x4_t) -> float32x4_t {
    #[expect(clippy::cast_precision_loss, reason = "rounds to the nearest, as the instruction")]
    a.map(|value| value as f32)
}

pub(super) fn vreinterpretq_f32_u32(a: uint32x4_t) -> float32x4_t {
    a.map(f32::from_bits)
}

/// # Safety
/// `to` must be valid for writing four values.
pub(super) unsafe fn vst1q_f32(to: *mut f32, a: float32x4_t) {
    // SAFETY: the caller vouches for four writable values; arrays of f32 are aligned as f32.
    unsafe { to.cast::<float32x4_t>().write(a) }
}
