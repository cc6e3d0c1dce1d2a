//! Goal: every tier computes the distances, for every dimension, alignment and number of rows.
//!
//! Method: each tier that the machine has, and NEON emulated elsewhere, is compared with a sum in
//! f64. The tolerance is the proven bound, not a guess: all tiers keep at least 16 partial sums, so
//! a term passes through at most n / 16 roundings of its chain, 5 when the partial sums and the
//! tail are joined, and 3 of its own (difference, counted twice by the square, and product). Each
//! costs a relative 2^-24 of the sum of absolute terms, to first order.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::{Kernels, TIER_VARIABLE, Tier};

const LARGE: [usize; 12] = [96, 127, 128, 129, 383, 384, 385, 768, 1_536, 3_072, 4_099, 20_000];

/// Every tier that runs here, NEON emulated, and the widest one also without its sub-path.
pub(crate) fn tiers() -> Vec<Kernels> {
    let tiers = Tier::ALL.into_iter().filter_map(Kernels::with_tier);
    #[cfg(target_arch = "x86_64")]
    let tiers = tiers.chain(Kernels::avx512_without_vnni());
    #[cfg(not(target_arch = "aarch64"))]
    let tiers = tiers.chain([Kernels::emulated_neon()]);
    tiers.collect()
}

/// Repeatable values in -1 to 1 of a wide range of magnitudes.
pub(crate) fn values(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        let bits = u16::try_from(state >> 48).unwrap();
        let value = f32::from(bits) / 32_768.0 - 1.0;
        if bits % 7 == 0 { value * 1e-3 } else { value }
    };
    (0..count).map(next).collect()
}

/// The exact sum (to f64) and the sum of the absolute terms.
fn exact(terms: impl Iterator<Item = f64>) -> (f64, f64) {
    terms.fold((0.0, 0.0), |(sum, size), term| (sum + term, size + term.abs()))
}

fn exact_dot(a: &[f32], b: &[f32]) -> (f64, f64) {
    exact(a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)))
}

fn exact_squared_l2(a: &[f32], b: &[f32]) -> (f64, f64) {
    exact(a.iter().zip(b).map(|(x, y)| (f64::from(*x) - f64::from(*y)).powi(2)))
}

fn assert_near(found: f32, (sum, size): (f64, f64), dimension: usize, kernels: Kernels) {
    let roundings = f64::from(u32::try_from(dimension / 16 + 8).unwrap());
    let bound = roundings * f64::from(2.0_f32.powi(-24)) * size * 1.01 + 1e-40;
    let error = (f64::from(found) - sum).abs();
    assert!(error <= bound, "{kernels:?}, {dimension}: {found} for {sum}, {error:e} > {bound:e}");
}

fn check_pair(kernels: Kernels, a: &[f32], b: &[f32]) {
    let dimension = a.len();
    assert_near(kernels.dot(a, b), exact_dot(a, b), dimension, kernels);
    assert_near(kernels.squared_l2(a, b), exact_squared_l2(a, b), dimension, kernels);
    assert_near(kernels.squared_norm(a), exact_dot(a, a), dimension, kernels);
    assert_eq!(kernels.squared_l2(a, a).to_bits(), 0, "{kernels:?}: a vector is at itself");
}

/// The row forms give the bits of the single forms, in every place, and write every place.
fn check_rows(kernels: Kernels, query: &[f32], rows: &[f32], count: usize) {
    let dimension = query.len();
    let mut dots = vec![f32::NAN; count];
    let mut distances = vec![f32::NAN; count];
    kernels.dot_rows(query, rows, &mut dots);
    kernels.squared_l2_rows(query, rows, &mut distances);
    for (i, row) in rows.chunks_exact(dimension).enumerate() {
        assert_eq!(dots[i].to_bits(), kernels.dot(query, row).to_bits(), "{kernels:?}, row {i}");
        let alone = kernels.squared_l2(query, row);
        assert_eq!(distances[i].to_bits(), alone.to_bits(), "{kernels:?}, row {i}");
    }
}

#[test]
fn every_dimension_is_summed_in_full() {
    for dimension in (1..=70).chain(LARGE) {
        let a = values(dimension, 1);
        let b = values(dimension, 2);
        for kernels in tiers() {
            check_pair(kernels, &a, &b);
        }
    }
}

#[test]
fn a_single_value_counts_wherever_it_stands() {
    for dimension in 1..=140 {
        for place in 0..dimension {
            let mut a = vec![0.0; dimension];
            a[place] = 3.0;
            let b = vec![2.0; dimension];
            for kernels in tiers() {
                let expected = 4.0 * f64::from(u32::try_from(dimension).unwrap()) - 3.0;
                assert!((kernels.dot(&a, &b) - 6.0).abs() == 0.0, "{kernels:?} {dimension}");
                let distance = f64::from(kernels.squared_l2(&a, &b));
                assert!((distance - expected).abs() == 0.0, "{kernels:?} {dimension} {place}");
            }
        }
    }
}

#[test]
fn values_around_the_slices_are_never_read_into_the_sum() {
    for dimension in 1..=70 {
        for offset in 0..5 {
            let mut a = vec![f32::NAN; dimension + offset + 64];
            let mut b = a.clone();
            a[offset..offset + dimension].copy_from_slice(&values(dimension, 3));
            b[offset..offset + dimension].copy_from_slice(&values(dimension, 4));
            for kernels in tiers() {
                check_pair(kernels, &a[offset..][..dimension], &b[offset..][..dimension]);
            }
        }
    }
}

#[test]
fn no_dimensions_and_no_rows_are_answered() {
    for kernels in tiers() {
        assert!(kernels.dot(&[], &[]).abs() == 0.0);
        let mut out = [1.0; 3];
        kernels.dot_rows(&[], &[], &mut out);
        assert!(out.iter().all(|score| score.abs() == 0.0));
        kernels.squared_l2_rows(&[1.0], &[], &mut []);
    }
}

#[test]
fn lengths_that_differ_are_refused_by_every_tier() {
    for kernels in tiers() {
        let refused = |call: &dyn Fn() -> f32| {
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(call));
            assert!(outcome.is_err(), "{kernels:?} answered {outcome:?}");
        };
        let rows = |query: &[f32], rows: &[f32], count: usize| {
            let mut out = vec![0.0; count];
            kernels.dot_rows(query, rows, &mut out);
            kernels.squared_l2_rows(query, rows, &mut out);
            out[0]
        };
        refused(&|| kernels.dot(&[1.0; 20], &[1.0; 19]));
        refused(&|| kernels.squared_l2(&[1.0; 3], &[1.0; 40]));
        refused(&|| rows(&[1.0; 4], &[1.0; 11], 3));
        refused(&|| rows(&[1.0; 4], &[1.0; 12], 2));
    }
}

#[test]
fn the_best_tier_is_chosen_and_scalar_is_everywhere() {
    assert_eq!(Kernels::with_tier(Tier::Scalar).map(Kernels::tier), Some(Tier::Scalar));
    let best = Tier::ALL.into_iter().rev().find(|tier| Kernels::with_tier(*tier).is_some());
    assert_eq!(best, Some(Kernels::preferring(None).tier()));
    #[expect(clippy::disallowed_methods, reason = "the test may run under the override")]
    let forced = std::env::var(TIER_VARIABLE).ok().and_then(|name| Tier::parse(&name));
    assert_eq!(Kernels::detect().tier(), Kernels::preferring(forced).tier());
    for tier in Tier::ALL {
        assert_eq!(Tier::parse(tier.as_str()), Some(tier));
        assert!(Kernels::with_tier(tier).is_none_or(|kernels| kernels.tier() == tier));
        let has = Kernels::with_tier(tier).is_some();
        assert_eq!(
            Some(Kernels::preferring(Some(tier)).tier()),
            if has { Some(tier) } else { best }
        );
    }
    assert_eq!(Tier::parse("sse"), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn tiers_agree_with_exact_sums_at_any_alignment(
        dimension in 1_usize..=600,
        offset in 0_usize..9,
        scale in prop::sample::select(vec![1e-6_f32, 1.0, 1e6]),
        pool in vec(-1.0_f32..1.0, 2 * 609),
    ) {
        let pool: Vec<f32> = pool.iter().map(|value| value * scale).collect();
        let a = &pool[offset..offset + dimension];
        let b = &pool[609..609 + dimension];
        for kernels in tiers() {
            check_pair(kernels, a, b);
        }
    }

    #[test]
    fn a_row_scores_the_same_in_any_company(
        dimension in 1_usize..=150,
        count in 0_usize..=11,
        offset in 0_usize..4,
        seed in any::<u64>(),
    ) {
        let query = values(dimension + offset, seed);
        let rows = values(count * dimension + offset, seed ^ 0x5555);
        for kernels in tiers() {
            check_rows(kernels, &query[offset..], &rows[offset..], count);
        }
    }
}
