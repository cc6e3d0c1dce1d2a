//! The NEON instructions over integers that the kernels use, in plain Rust; as `emulated`.
#![allow(non_camel_case_types, reason = "the names are the architecture's")]

pub(in crate::neon) type uint8x8_t = [u8; 8];
pub(in crate::neon) type uint8x16_t = [u8; 16];
pub(in crate::neon) type uint16x4_t = [u16; 4];
pub(in crate::neon) type uint16x8_t = [u16; 8];
pub(in crate::neon) type uint32x4_t = [u32; 4];
pub(in crate::neon) type int8x8_t = [i8; 8];
pub(in crate::neon) type int8x16_t = [i8; 16];
pub(in crate::neon) type int16x8_t = [i16; 8];
pub(in crate::neon) type int32x4_t = [i32; 4];

pub(in crate::neon) fn vdupq_n_u8(value: u8) -> uint8x16_t {
    [value; 16]
}

pub(in crate::neon) fn vdupq_n_u16(value: u16) -> uint16x8_t {
    [value; 8]
}

pub(in crate::neon) fn vdupq_n_u32(value: u32) -> uint32x4_t {
    [value; 4]
}

pub(in crate::neon) fn vdupq_n_s32(value: i32) -> int32x4_t {
    [value; 4]
}

/// # Safety
/// `from` must be valid for reading 16 values.
pub(in crate::neon) unsafe fn vld1q_u8(from: *const u8) -> uint8x16_t {
    // SAFETY: the caller vouches for 16 readable bytes.
    unsafe { from.cast::<uint8x16_t>().read() }
}

/// # Safety
/// `from` must be valid for reading 16 values.
pub(in crate::neon) unsafe fn vld1q_s8(from: *const i8) -> int8x16_t {
    // SAFETY: the caller vouches for 16 readable bytes.
    unsafe { from.cast::<int8x16_t>().read() }
}

/// # Safety
/// `from` must be valid for reading four values.
pub(in crate::neon) unsafe fn vld1q_u32(from: *const u32) -> uint32x4_t {
    // SAFETY: the caller vouches for four readable values; arrays of u32 are aligned as u32.
    unsafe { from.cast::<uint32x4_t>().read() }
}

/// # Safety
/// `to` must be valid for writing four values.
pub(in crate::neon) unsafe fn vst1q_u32(to: *mut u32, a: uint32x4_t) {
    // SAFETY: the caller vouches for four writable values; arrays of u32 are aligned as u32.
    unsafe { to.cast::<uint32x4_t>().write(a) }
}

/// Wraps around.
pub(in crate::neon) fn vaddq_u8(a: uint8x16_t, b: uint8x16_t) -> uint8x16_t {
    std::array::from_fn(|i| a[i].wrapping_add(b[i]))
}

pub(in crate::neon) fn vandq_u8(a: uint8x16_t, b: uint8x16_t) -> uint8x16_t {
    std::array::from_fn(|i| a[i] & b[i])
}

pub(in crate::neon) fn vshlq_n_u32<const BITS: i32>(a: uint32x4_t) -> uint32x4_t {
    a.map(|value| value << BITS)
}

pub(in crate::neon) fn vandq_u32(a: uint32x4_t, b: uint32x4_t) -> uint32x4_t {
    std::array::from_fn(|i| a[i] & b[i])
}

pub(in crate::neon) fn vshrq_n_u8<const N: i32>(a: uint8x16_t) -> uint8x16_t {
    a.map(|value| value >> N)
}

/// Indexes past the table give 0.
pub(in crate::neon) fn vqtbl1q_u8(table: uint8x16_t, index: uint8x16_t) -> uint8x16_t {
    index.map(|index| table.get(usize::from(index)).copied().unwrap_or(0))
}

pub(in crate::neon) fn vget_low_u8(a: uint8x16_t) -> uint8x8_t {
    std::array::from_fn(|i| a[i])
}

pub(in crate::neon) fn vget_low_u16(a: uint16x8_t) -> uint16x4_t {
    std::array::from_fn(|i| a[i])
}

pub(in crate::neon) fn vget_low_s8(a: int8x16_t) -> int8x8_t {
    std::array::from_fn(|i| a[i])
}

/// Wraps around, as the others that widen.
pub(in crate::neon) fn vaddw_u8(a: uint16x8_t, b: uint8x8_t) -> uint16x8_t {
    std::array::from_fn(|i| a[i].wrapping_add(u16::from(b[i])))
}

pub(in crate::neon) fn vaddw_high_u8(a: uint16x8_t, b: uint8x16_t) -> uint16x8_t {
    std::array::from_fn(|i| a[i].wrapping_add(u16::from(b[i + 8])))
}

pub(in crate::neon) fn vaddw_u16(a: uint32x4_t, b: uint16x4_t) -> uint32x4_t {
    std::array::from_fn(|i| a[i].wrapping_add(u32::from(b[i])))
}

pub(in crate::neon) fn vaddw_high_u16(a: uint32x4_t, b: uint16x8_t) -> uint32x4_t {
    std::array::from_fn(|i| a[i].wrapping_add(u32::from(b[i + 4])))
}

pub(in crate::neon) fn vaddvq_u32(a: uint32x4_t) -> u32 {
    a.iter().fold(0, |sum, value| sum.wrapping_add(*value))
}

pub(in crate::neon) fn vaddvq_s32(a: int32x4_t) -> i32 {
    a.iter().fold(0, |sum, value| sum.wrapping_add(*value))
}

pub(in crate::neon) fn vmull_s8(a: int8x8_t, b: int8x8_t) -> int16x8_t {
    std::array::from_fn(|i| i16::from(a[i]) * i16::from(b[i]))
}

pub(in crate::neon) fn vmull_high_s8(a: int8x16_t, b: int8x16_t) -> int16x8_t {
    std::array::from_fn(|i| i16::from(a[i + 8]) * i16::from(b[i + 8]))
}

/// Adds the sums of neighbours.
pub(in crate::neon) fn vpadalq_s16(a: int32x4_t, b: int16x8_t) -> int32x4_t {
    std::array::from_fn(|i| {
        a[i].wrapping_add(i32::from(b[2 * i])).wrapping_add(i32::from(b[2 * i + 1]))
    })
}
