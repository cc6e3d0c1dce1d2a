//! Goal: scores are right for every pair of finite vectors, extreme ones included.
//!
//! Method: comparison with f64, on every tier that the machine has, with values over the whole
//! range of f32.

use lodgepole_kernels::{Kernels, Tier};
use lodgepole_types::Metric;
use proptest::collection::vec;
use proptest::prelude::*;

use super::PreparedQuery;

fn tiers() -> impl Iterator<Item = Kernels> {
    Tier::ALL.into_iter().filter_map(Kernels::with_tier)
}

fn score(kernels: Kernels, metric: Metric, a: &[f32], b: &[f32]) -> f32 {
    PreparedQuery::dense(metric, a.to_vec(), kernels).rescore(kernels, b, None).unwrap()
}

/// The score in f64, and what rounding may change of it. The bound on the f32 sums follows the
/// kernels' documentation: n / 16 + 8 roundings of the sum of absolute terms; cosine adds those of
/// the two norms and of two products.
fn exact(metric: Metric, a: &[f32], b: &[f32]) -> (f64, f64) {
    let pairs = || a.iter().zip(b).map(|(x, y)| (f64::from(*x), f64::from(*y)));
    let unit = f64::from(u32::try_from(a.len() / 16 + 8).unwrap()) * 2.0_f64.powi(-24);
    let dot: f64 = pairs().map(|(x, y)| x * y).sum();
    let size: f64 = pairs().map(|(x, y)| (x * y).abs()).sum();
    let norms = pairs().map(|(x, _)| x * x).sum::<f64>().sqrt()
        * pairs().map(|(_, y)| y * y).sum::<f64>().sqrt();
    match metric {
        Metric::Cosine if norms == 0.0 => (0.0, 0.0),
        Metric::Cosine => (dot / norms, 3.0 * unit),
        Metric::DotProduct => (dot, unit * size + 1e-40),
        Metric::Euclidean => {
            let distance: f64 = pairs().map(|(x, y)| (x - y).powi(2)).sum();
            (distance, unit * distance + 1e-40)
        }
    }
}

#[test]
fn a_vector_is_its_own_nearest_whatever_its_size() {
    for dimension in [1, 2, 3, 64, 383, 1_536, 20_000] {
        for scale in [1e-44, 1e-38, 1e-20, 1e-14, 1e-3, 1.0, 1e3, 1e14, 1e20, 1e38_f32] {
            let wave = |i: usize| f32::from(u8::try_from(i * 37 % 101).unwrap()) / 50.0 - 0.99;
            let vector: Vec<f32> = (0..dimension).map(|i| wave(i) * scale).collect();
            let opposite: Vec<f32> = vector.iter().map(|value| -value).collect();
            for kernels in tiers() {
                let same = score(kernels, Metric::Cosine, &vector, &vector);
                let against = score(kernels, Metric::Cosine, &vector, &opposite);
                let case = format!("{kernels:?}, {dimension} x {scale}: {same}, {against}");
                assert!((same - 1.0).abs() <= 1e-6 && same <= 1.0, "{case}");
                assert!((against + 1.0).abs() <= 1e-6 && against >= -1.0, "{case}");
                assert!(score(kernels, Metric::Euclidean, &vector, &vector) == 0.0, "{case}");
            }
        }
    }
}

#[test]
fn a_zero_vector_has_cosine_0_with_everything() {
    for kernels in tiers() {
        for other in [[0.0, 0.0], [1.0, -3.0], [1e-44, 0.0], [f32::MAX, f32::MAX]] {
            for (a, b) in [([0.0, -0.0], other), (other, [0.0, -0.0])] {
                assert!(score(kernels, Metric::Cosine, &a, &b).abs() == 0.0, "{a:?} {b:?}");
            }
        }
    }
}

#[test]
fn scores_beyond_f32_are_the_nearest_finite_number() {
    let large = [f32::MAX, f32::MAX, 1.0];
    let mixed = [f32::MAX, -f32::MAX, 5.0];
    for kernels in tiers() {
        assert!(score(kernels, Metric::DotProduct, &large, &large) >= f32::MAX);
        assert!(score(kernels, Metric::DotProduct, &large, &large.map(|x| -x)) <= f32::MIN);
        assert!(score(kernels, Metric::Euclidean, &large, &mixed) >= f32::MAX);
        // Infinity minus infinity in f32; the two huge terms cancel, and f64 forgets the small one.
        assert!(score(kernels, Metric::DotProduct, &large, &mixed).abs() <= 5.0);
        assert!(score(kernels, Metric::Cosine, &large, &mixed).abs() <= 1e-6);
    }
}

#[test]
fn a_vector_that_is_no_number_has_no_score() {
    for kernels in tiers() {
        for metric in [Metric::Cosine, Metric::DotProduct, Metric::Euclidean] {
            assert!(score(kernels, metric, &[1.0, f32::NAN], &[1.0, 1.0]).is_nan());
            assert!(score(kernels, metric, &[1.0, 1.0], &[f32::NAN, 1.0]).is_nan());
        }
    }
}

proptest! {
    #[test]
    fn scores_agree_with_f64(
        (a, b) in (1_usize..200).prop_flat_map(|n| (vec(-1.0_f32..1.0, n), vec(-1.0_f32..1.0, n))),
        scale_a in -30_i32..=30,
        scale_b in -30_i32..=30,
    ) {
        let scaled = |values: &[f32], power: i32| -> Vec<f32> {
            values.iter().map(|value| value * 10.0_f32.powi(power)).collect()
        };
        for metric in [Metric::Cosine, Metric::DotProduct, Metric::Euclidean] {
            // Only cosine does not care for scale; the others leave the range of f32.
            let extreme = metric == Metric::Cosine;
            let a = scaled(&a, if extreme { scale_a } else { scale_a / 4 });
            let b = scaled(&b, if extreme { scale_b } else { scale_b / 4 });
            let (expected, bound) = exact(metric, &a, &b);
            for kernels in tiers() {
                let found = f64::from(score(kernels, metric, &a, &b));
                prop_assert!(
                    (found - expected).abs() <= bound,
                    "{metric:?} {kernels:?}: {found} for {expected}, bound {bound:e}"
                );
            }
        }
    }
}
