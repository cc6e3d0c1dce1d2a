//! Goal: inner products of 8-bit rows are exact on every tier, for all codes, dimensions and
//! alignments; quantising is as near as 127 steps allow and the same everywhere.
//!
//! Method: each tier against a sum in i64; the scalar tier's codes against each other's.

use proptest::prelude::*;

use super::*;
use crate::Tier;
use crate::tests::{tiers, values};

const LARGE: [usize; 8] = [191, 192, 384, 385, 768, 1_536, 4_099, 20_480];

/// Random codes, −128 among them.
fn codes(count: usize, seed: u64) -> Vec<i8> {
    let byte =
        |value: &f32| value.to_bits().wrapping_mul(0x9e37_79b1).to_le_bytes()[3].cast_signed();
    values(count, seed).iter().map(byte).collect()
}

fn exact(a: &[i8], b: &[i8]) -> i32 {
    let sum: i64 = a.iter().zip(b).map(|(x, y)| i64::from(*x) * i64::from(*y)).sum();
    i32::try_from(sum).unwrap()
}

fn check_rows(kernels: Kernels, query: &[i8], rows: &[i8], count: usize) {
    let dimension = query.len();
    let expected: Vec<i32> = rows.chunks_exact(dimension).map(|row| exact(query, row)).collect();
    let mut found = vec![1; count];
    kernels.dot_i8_rows(query, rows, &mut found);
    assert_eq!(found, expected, "{kernels:?} {dimension}");
    for (row, expected) in rows.chunks_exact(dimension).zip(&expected) {
        assert_eq!(kernels.dot_i8(query, row), *expected, "{kernels:?} {dimension}");
    }
    for picked in [0, 1, 3, 4, 7, 8, 9, 30] {
        let picked = if count == 0 { 0 } else { picked };
        let at: Vec<usize> = (0..picked).map(|i| (i * 5 + 2) % count).collect();
        let expected: Vec<i32> = at.iter().map(|row| expected[*row]).collect();
        let at: Vec<u32> = at.into_iter().map(|row| u32::try_from(row).unwrap()).collect();
        let mut found = vec![1; picked];
        kernels.dot_i8_at(query, rows, &at, &mut found);
        assert_eq!(found, expected, "{kernels:?} {dimension} at {at:?}");
    }
}

#[test]
fn every_dimension_is_summed_exactly_at_any_alignment() {
    for dimension in (1..=140).chain(LARGE) {
        let offset = dimension % 7;
        let query = codes(dimension + offset, 1);
        let rows = codes(dimension * 5 + offset, 2);
        for kernels in tiers() {
            check_rows(kernels, &query[offset..], &rows[offset..], 5);
        }
    }
}

#[test]
fn the_largest_sums_fit() {
    for dimension in [63, 20_480, VALUES_MAX - 1] {
        for (x, y) in [(-128, -128), (-128, 127), (127, 127)] {
            let (a, b) = (vec![x; dimension], vec![y; dimension]);
            for kernels in tiers() {
                assert_eq!(kernels.dot_i8(&a, &b), exact(&a, &b), "{kernels:?} {dimension}");
            }
        }
    }
}

#[test]
fn codes_are_the_nearest_steps_and_the_same_on_every_tier() {
    let scalar = Kernels::with_tier(Tier::Scalar).unwrap();
    for dimension in (1..=70).chain(LARGE) {
        for size in [1e-30_f32, 1.0, 1e30] {
            let values: Vec<f32> = values(dimension + 1, 4).iter().map(|x| x * size).collect();
            let values = &values[1..];
            let mut expected = vec![99; dimension];
            let scale = scalar.quantise_i8(values, &mut expected);
            for kernels in tiers() {
                let mut found = vec![99; dimension];
                let same = kernels.quantise_i8(values, &mut found);
                assert_eq!(same.to_bits(), scale.to_bits(), "{kernels:?} {dimension}");
                assert_eq!(found, expected, "{kernels:?} {dimension}");
            }
            for (value, code) in values.iter().zip(&expected) {
                let error = (f64::from(*value) - f64::from(scale) * f64::from(*code)).abs();
                assert!(error <= f64::from(scale) * 0.5001, "{value} as {code} of {scale}");
            }
            assert_eq!(expected.iter().map(|code| code.unsigned_abs()).max(), Some(127));
        }
    }
}

#[test]
fn nothing_but_zeros_gives_zeros() {
    for kernels in tiers() {
        for value in [0.0, -0.0, 1e-40] {
            let mut found = [99; 19];
            assert!(kernels.quantise_i8(&[value; 19], &mut found).abs() == 0.0);
            assert_eq!(found, [0; 19]);
        }
        assert!(kernels.quantise_i8(&[], &mut []).abs() == 0.0);
        assert_eq!(kernels.dot_i8(&[], &[]), 0);
        let mut found = [1; 2];
        kernels.dot_i8_rows(&[], &[], &mut found);
        assert_eq!(found, [0; 2]);
        kernels.dot_i8_at(&[1], &[], &[], &mut []);
    }
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    for kernels in tiers() {
        let refused = |name: &str, call: &dyn Fn()| {
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(call));
            assert!(outcome.is_err(), "{kernels:?} took {name}");
        };
        refused("two lengths", &|| assert_eq!(kernels.dot_i8(&[1; 70], &[1; 71]), 0));
        refused("half a row", &|| kernels.dot_i8_rows(&[1; 4], &[1; 10], &mut [0; 2]));
        refused("a row that is not", &|| kernels.dot_i8_at(&[1; 4], &[1; 8], &[2], &mut [0]));
        refused("half a row", &|| kernels.dot_i8_at(&[1; 4], &[1; 9], &[0], &mut [0]));
        refused("few places", &|| kernels.dot_i8_at(&[1; 4], &[1; 8], &[0, 1], &mut [0]));
        refused("few codes", &|| assert!(kernels.quantise_i8(&[1.0; 4], &mut [0; 3]) > 0.0));
        let long = vec![1; VALUES_MAX];
        refused("too long rows", &|| assert_eq!(kernels.dot_i8(&long, &long), 0));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn tiers_agree_on_random_shapes(
        dimension in 1_usize..=600,
        count in 0_usize..=11,
        offset in 0_usize..8,
        seed in any::<u64>(),
    ) {
        let query = codes(dimension + offset, seed);
        let rows = codes(count * dimension + offset, seed ^ 0x5555);
        for kernels in tiers() {
            check_rows(kernels, &query[offset..], &rows[offset..], count);
        }
    }
}
