//! What is written once for all tiers, and compiled for each.
//!
//! These loops are plain Rust that the compiler turns into whatever registers a tier has. Every
//! addition is written out in one order and the compiler may not change it (nor fuse a
//! multiplication into it), so the bits are the same everywhere: rotated vectors, tables and codes
//! made on one machine serve on another.
//!
//! Loops rather than closures over arrays: those may be compiled apart, without the tier's features.

use crate::codes::{ENTRY_MAX, Quad};
use crate::rotation::Rotation;

/// Values that the innermost transform takes at once.
const LANES: usize = 16;

/// Adding it to a value of magnitude below 2^22 rounds to an integer, to even when in the middle,
/// and leaves the integer in the low bits.
const ROUND: f32 = 12_582_912.0;

/// Defines the tier's own copies of the functions of this module.
macro_rules! portable_functions {
    ($(#[$attribute:meta])*) => {
        $(#[$attribute])*
        fn rotate(rotation: &crate::rotation::Rotation, values: &mut [f32]) {
            crate::portable::rotate(rotation, values);
        }

        $(#[$attribute])*
        fn fill_table(query: &[f32], quads: &mut [crate::codes::Quad]) -> (f32, f32) {
            crate::portable::fill_table(query, quads)
        }

        $(#[$attribute])*
        fn quantise_i8(values: &[f32], out: &mut [i8]) -> f32 {
            crate::portable::quantise_i8(values, out)
        }
    };
}

#[inline(always)]
pub(crate) fn rotate(rotation: &Rotation, values: &mut [f32]) {
    for (factors, transformed) in rotation.rounds() {
        for (value, factor) in values.iter_mut().zip(factors) {
            *value *= factor;
        }
        hadamard(&mut values[transformed]);
        if rotation.mixes() {
            butterflies(values);
        }
    }
}

/// The Hadamard transform without its scale; the length is a power of two from 64 up.
#[inline(always)]
fn hadamard(values: &mut [f32]) {
    let mut width = values.len();
    while width > 4 * LANES {
        for part in values.chunks_exact_mut(width) {
            butterflies(part);
        }
        width /= 2;
    }
    for part in values.as_chunks_mut::<LANES>().0.as_chunks_mut::<4>().0 {
        let [a, b, c, d] = *part;
        let (a, b, c, d) = (sum(a, c), sum(b, d), difference(a, c), difference(b, d));
        *part = [sum(a, b), difference(a, b), sum(c, d), difference(c, d)];
        for lanes in part {
            *lanes = lane_butterflies::<4>(lane_butterflies::<8>(*lanes));
            *lanes = lane_butterflies::<1>(lane_butterflies::<2>(*lanes));
        }
    }
}

#[inline(always)]
fn sum(a: [f32; LANES], b: [f32; LANES]) -> [f32; LANES] {
    let mut out = a;
    for (out, b) in out.iter_mut().zip(&b) {
        *out += b;
    }
    out
}

#[inline(always)]
fn difference(a: [f32; LANES], b: [f32; LANES]) -> [f32; LANES] {
    let mut out = a;
    for (out, b) in out.iter_mut().zip(&b) {
        *out -= b;
    }
    out
}

/// Sums of lanes at a distance, and differences in the farther one.
#[inline(always)]
fn lane_butterflies<const DISTANCE: usize>(lanes: [f32; LANES]) -> [f32; LANES] {
    let mut out = lanes;
    for (i, out) in out.iter_mut().enumerate() {
        let other = lanes[i ^ DISTANCE];
        *out = if i & DISTANCE == 0 { other + *out } else { other - *out };
    }
    out
}

/// Sums of the two halves to the front, differences to the back.
#[inline(always)]
fn butterflies(values: &mut [f32]) {
    let (front, back) = values.split_at_mut(values.len() / 2);
    for (x, y) in front.iter_mut().zip(back) {
        (*x, *y) = (*x + *y, *x - *y);
    }
}

#[inline(always)]
pub(crate) fn fill_table(query: &[f32], quads: &mut [Quad]) -> (f32, f32) {
    let groups = query.as_chunks::<4>().0;
    // Four chains of additions, so that none waits for the one before.
    let (mut largest, mut offset) = ([0.0_f32; 4], [0.0_f64; 4]);
    for groups in groups.as_chunks::<4>().0 {
        for ((group, largest), offset) in groups.iter().zip(&mut largest).zip(&mut offset) {
            let [a, b, c, d] = *group;
            let size = (a.abs() + b.abs()) + (c.abs() + d.abs());
            *largest = largest.max(size);
            *offset += f64::from(size);
        }
    }
    let largest = (largest[0].max(largest[1])).max(largest[2].max(largest[3]));
    let offset = (offset[0] + offset[1]) + (offset[2] + offset[3]);
    let inverse = f32::from(ENTRY_MAX) / (2.0 * largest);
    if !inverse.is_finite() {
        return (0.0, 0.0);
    }
    let tables = quads.iter_mut().flat_map(|quad| quad.0.as_chunks_mut::<16>().0);
    for (group, table) in groups.iter().zip(tables) {
        // What a set and an unset bit add, above the least sum.
        let mut parts = [[0.0_f32; 2]; 4];
        for (parts, value) in parts.iter_mut().zip(group) {
            *parts = [2.0 * (-value).max(0.0) * inverse, 2.0 * value.max(0.0) * inverse];
        }
        let mut sums = [0.0_f32; 16];
        for (pattern, sum) in sums.iter_mut().enumerate() {
            let bit = |i: usize| parts[i][pattern >> i & 1];
            *sum = (bit(0) + bit(1)) + (bit(2) + bit(3));
        }
        for (entry, sum) in table.iter_mut().zip(sums) {
            *entry = rounded(sum);
        }
    }
    #[expect(clippy::cast_possible_truncation, reason = "the nearest f32 is what is wanted")]
    (2.0 * largest / f32::from(ENTRY_MAX), -offset as f32)
}

#[inline(always)]
pub(crate) fn quantise_i8(values: &[f32], out: &mut [i8]) -> f32 {
    let mut largest = [0.0_f32; LANES];
    let (groups, tail) = values.as_chunks::<LANES>();
    for group in groups {
        largest = std::array::from_fn(|i| largest[i].max(group[i].abs()));
    }
    let largest = largest.iter().chain(tail).fold(0.0, |a: f32, b| a.max(b.abs()));
    let inverse = 127.0 / largest;
    if !inverse.is_finite() {
        out.fill(0);
        return 0.0;
    }
    for (value, code) in values.iter().zip(out) {
        *code = rounded(value * inverse).cast_signed();
    }
    largest / 127.0
}

/// The nearest integer of a magnitude below 256, as the low byte of its two's complement.
#[inline(always)]
fn rounded(value: f32) -> u8 {
    #[expect(clippy::cast_possible_truncation, reason = "the low byte is the integer")]
    let byte = (value + ROUND).to_bits() as u8;
    byte
}
