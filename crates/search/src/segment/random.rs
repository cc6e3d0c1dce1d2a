//! A small generator of numbers for the builder.
//!
//! WHY not `types::Rng`: the same rows and seed must give the same segment, so what the builder
//! draws is a function of the seed alone.

/// SplitMix64.
#[derive(Debug, Clone)]
pub(super) struct Draw(u64);

impl Draw {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which must not be 0.
    pub(super) fn below(&mut self, end: usize) -> usize {
        let product = u128::from(self.next()) * end as u128;
        usize::try_from(product >> 64).unwrap_or(0)
    }

    /// `count` different numbers below `end`, ascending; all of them when there are not so many.
    pub(super) fn sample(&mut self, count: usize, end: usize) -> Vec<usize> {
        let mut left = count.min(end);
        let mut chosen = Vec::with_capacity(left);
        for number in 0..end {
            if left == 0 {
                break;
            }
            if self.below(end - number) < left {
                chosen.push(number);
                left -= 1;
            }
        }
        chosen
    }
}
