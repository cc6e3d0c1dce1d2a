//! Goal: a rotation keeps lengths and angles, spreads what was concentrated, is the same on every
//! tier, and never changes from one release to the next.
//!
//! Method: inner products before and after in f64; unit vectors as the worst concentration; stored
//! bits of one vector, which were taken from the first version of this code.

use super::*;
use crate::tests::{tiers, values};

const DIMENSIONS: [usize; 13] = [1, 2, 63, 64, 65, 96, 128, 200, 384, 768, 1_536, 3_000, 20_000];

fn rotated(dimension: usize, seed: u64, values: &[f32]) -> Vec<f32> {
    let rotation = Rotation::new(dimension, seed);
    let mut out = vec![f32::NAN; rotation.padded()];
    rotation.apply(values, &mut out);
    out
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum()
}

#[test]
fn lengths_and_inner_products_stay() {
    for dimension in DIMENSIONS {
        let (a, b) = (values(dimension, 1), values(dimension, 2));
        let (ra, rb) = (rotated(dimension, 9, &a), rotated(dimension, 9, &b));
        let size = (dot(&a, &a) * dot(&b, &b)).sqrt();
        for (x, y, rx, ry) in [(&a, &b, &ra, &rb), (&a, &a, &ra, &ra), (&b, &b, &rb, &rb)] {
            let error = (dot(x, y) - dot(rx, ry)).abs();
            assert!(error < 4e-6 * size.max(dot(x, x)), "{dimension}: {error} of {size}");
        }
    }
}

/// A coordinate of a random unit vector of d dimensions has a deviation of 1/√d; six of them are
/// allowed.
#[test]
fn a_unit_vector_is_spread_over_all_coordinates() {
    for dimension in [64, 65, 96, 200, 384, 768, 1_536, 3_000] {
        for place in [0, 1, dimension / 2, dimension - 1] {
            let mut unit = vec![0.0; dimension];
            unit[place] = 1.0;
            let found = rotated(dimension, 3, &unit);
            let padded = f64::from(u32::try_from(found.len()).unwrap());
            let largest = found.iter().map(|x| f64::from(x.abs())).fold(0.0, f64::max);
            assert!(largest < 6.0 / padded.sqrt(), "{dimension} {place}: {largest}");
            let sum: f64 = found.iter().map(|x| f64::from(x.abs())).sum();
            // For normal coordinates √(2/π) √d, about 0.8 √d.
            assert!(sum > 0.7 * padded.sqrt(), "{dimension} {place}: {sum}");
        }
    }
}

#[test]
fn every_tier_gives_the_same_bits() {
    for dimension in DIMENSIONS {
        let rotation = Rotation::new(dimension, 5);
        let row = values(dimension, 8);
        let expected = rotated(dimension, 5, &row);
        for kernels in tiers() {
            let mut out = vec![f32::NAN; rotation.padded() + 1];
            rotation.apply_with(kernels, &row, &mut out[1..]);
            let same = out[1..].iter().zip(&expected).all(|(x, y)| x.to_bits() == y.to_bits());
            assert!(same, "{kernels:?} {dimension}");
        }
    }
}

#[test]
fn seeds_give_different_rotations_and_one_seed_the_same() {
    let row = values(100, 1);
    assert_eq!(rotated(100, 1, &row), rotated(100, 1, &row));
    let (one, two) = (rotated(100, 1, &row), rotated(100, 2, &row));
    assert!(dot(&one, &two).abs() < 0.5 * dot(&row, &row));
}

/// A change here makes every stored segment unreadable.
#[test]
fn the_rotation_of_a_seed_is_what_it_always_was() {
    for (dimension, expected) in GOLDEN {
        let found = rotated(dimension, 0x10d6_e901e, &values(dimension, 77));
        let hash = found.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, value| {
            (hash ^ u64::from(value.to_bits())).wrapping_mul(0x0000_0100_0000_01b3)
        });
        assert_eq!(hash, expected, "{dimension}");
    }
}

const GOLDEN: [(usize, u64); 3] = [
    (64, 17_467_510_107_066_963_905),
    (384, 8_859_191_723_533_196_812),
    (1_000, 11_681_049_101_063_340_118),
];

#[test]
#[should_panic(expected = "dimension of the rotation")]
fn another_dimension_is_refused() {
    Rotation::new(10, 1).apply(&[0.0; 11], &mut [0.0; 64]);
}
