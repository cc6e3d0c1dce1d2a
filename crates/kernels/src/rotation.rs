//! A random rotation, the same for all rows of an index, in O(d log d).
//!
//! Sign codes are good only if no coordinate of a vector matters much more than the others. A
//! random rotation makes it so whatever the data, and keeps lengths and inner products. A random
//! matrix would cost d² for a row; this one is four rounds of random signs, a Hadamard transform
//! over the largest power of two that fits (the front in even rounds, the back in odd ones) and,
//! where that leaves some coordinates out, a mix of the two halves.
//!
//! INVARIANT: for a dimension and a seed the rotation never changes, on any processor and in any
//! release: stored codes and centroids are in its coordinates. So the signs come from a generator
//! written here, and every tier does the same additions in the same order.

use crate::Kernels;
use crate::codes::DIMENSION_STEP;

/// Rounds of signs, transform and mix.
const ROUNDS: usize = 4;

/// The rotation of an index.
///
/// ```
/// use lodgepole_kernels::Rotation;
///
/// let rotation = Rotation::new(3, 7);
/// let mut rotated = vec![0.0; rotation.padded()];
/// rotation.apply(&[2.0, 3.0, 6.0], &mut rotated);
/// let norm: f32 = rotated.iter().map(|value| value * value).sum();
/// assert!((norm - 49.0).abs() < 1e-4);
/// ```
#[derive(Debug, Clone)]
pub struct Rotation {
    dimension: usize,
    padded: usize,
    /// The length of the transform: the largest power of two up to `padded`.
    span: usize,
    /// For each round and coordinate the sign, times what normalises the round.
    factors: Box<[f32]>,
}

impl Rotation {
    /// The rotation for vectors of `dimension` values. Takes 16 bytes of memory for each.
    ///
    /// # Panics
    /// When the dimension is 0.
    #[must_use]
    pub fn new(dimension: usize, seed: u64) -> Self {
        assert!(dimension > 0, "vectors have at least one dimension");
        let padded = dimension.next_multiple_of(DIMENSION_STEP);
        let span = (padded + 1).next_power_of_two() / 2;
        let mixes = span < padded;
        let mut signs = Signs { state: seed, bits: 0, left: 0 };
        let factor = |place: usize| {
            let (round, coordinate) = (place / padded, place % padded);
            let from = if round % 2 == 0 { 0 } else { padded - span };
            let mut factor = if signs.next() { 1.0 } else { -1.0 };
            if (from..from + span).contains(&coordinate) {
                factor /= length(span);
            }
            if mixes { factor / length(2) } else { factor }
        };
        #[expect(clippy::cast_possible_truncation, reason = "the nearest f32 is what is wanted")]
        let factors = (0..ROUNDS * padded).map(factor).map(|factor: f64| factor as f32).collect();
        Self { dimension, padded, span, factors }
    }

    /// The number of values in, as given to [`new`](Self::new).
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// The number of values out: the dimension, rounded up to a multiple of 64.
    #[must_use]
    pub fn padded(&self) -> usize {
        self.padded
    }

    /// Writes the rotated vector. Lengths and inner products stay, up to rounding; the bits are the
    /// same on every tier.
    ///
    /// # Panics
    /// When `values` has not the dimension, or `out` not the padded one.
    pub fn apply(&self, values: &[f32], out: &mut [f32]) {
        self.apply_with(Kernels::detect(), values, out);
    }

    /// As [`apply`](Self::apply), on a given tier.
    pub(crate) fn apply_with(&self, kernels: Kernels, values: &[f32], out: &mut [f32]) {
        assert_eq!(values.len(), self.dimension, "a vector of the dimension of the rotation");
        assert_eq!(out.len(), self.padded, "room for the padded dimension");
        let (front, rest) = out.split_at_mut(values.len());
        front.copy_from_slice(values);
        rest.fill(0.0);
        kernels.rotate(self, out);
    }

    /// One round after the other: its factors, and where its transform begins and ends.
    pub(crate) fn rounds(&self) -> impl Iterator<Item = (&[f32], std::ops::Range<usize>)> {
        self.factors.chunks_exact(self.padded).enumerate().map(|(round, factors)| {
            let from = if round % 2 == 0 { 0 } else { self.padded - self.span };
            (factors, from..from + self.span)
        })
    }

    /// Whether a transform leaves coordinates out, so that the halves are to be mixed.
    pub(crate) fn mixes(&self) -> bool {
        self.span < self.padded
    }
}

/// The length of a vector of `count` ones.
fn length(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX)).sqrt()
}

/// Random signs of a seed: the bits of SplitMix64, lowest first.
struct Signs {
    state: u64,
    bits: u64,
    left: u32,
}

impl Signs {
    fn next(&mut self) -> bool {
        if self.left == 0 {
            self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = self.state;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            self.bits = mixed ^ (mixed >> 31);
            self.left = u64::BITS;
        }
        let positive = self.bits & 1 == 0;
        self.bits >>= 1;
        self.left -= 1;
        positive
    }
}

#[cfg(test)]
mod tests;
