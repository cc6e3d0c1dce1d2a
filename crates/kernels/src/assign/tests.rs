//! Goal: every tier finds the best centroid of each vector, whatever the numbers of vectors and
//! centroids and the dimension, and a vector's result does not depend on its company.
//!
//! Method: each tier against sums in f64, with the error bound of a chain of additions; exact ties
//! from equal centroids.

use proptest::prelude::*;

use super::*;
use crate::tests::{tiers, values};

struct Case {
    vectors: Vec<f32>,
    centroids: Vec<f32>,
    half_norms: Vec<f32>,
    dimension: usize,
}

impl Case {
    fn new(vectors: usize, centroids: usize, dimension: usize, seed: u64) -> Self {
        Self {
            vectors: values(vectors * dimension, seed),
            centroids: values(centroids * dimension, seed ^ 1),
            half_norms: values(centroids, seed ^ 2),
            dimension,
        }
    }

    fn centroids(&self) -> Centroids<'_> {
        let (values, half_norms) = (&self.centroids, &self.half_norms);
        Centroids { values, half_norms, dimension: self.dimension }
    }
}

fn run(kernels: Kernels, vectors: &[f32], centroids: Centroids<'_>) -> (Vec<u32>, Vec<f32>) {
    let count = vectors.len() / centroids.dimension;
    let (mut index, mut value) = (vec![u32::MAX; count], vec![f32::NAN; count]);
    kernels.assign(vectors, centroids, &mut index, &mut value);
    (index, value)
}

fn check(kernels: Kernels, case: &Case) {
    let (index, value) = run(kernels, &case.vectors, case.centroids());
    for (i, vector) in case.vectors.chunks_exact(case.dimension).enumerate() {
        let score = |(centroid, half): (&[f32], &f32)| {
            let terms = vector.iter().zip(centroid).map(|(x, y)| f64::from(*x) * f64::from(*y));
            terms.sum::<f64>() - f64::from(*half)
        };
        let rows = case.centroids.chunks_exact(case.dimension).zip(&case.half_norms);
        let scores: Vec<f64> = rows.map(score).collect();
        let best = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        // Terms are at most 1, and no chain of additions is longer than the dimension.
        let dimension = f64::from(u32::try_from(case.dimension).unwrap());
        let bound = (dimension + 8.0) * (dimension + 1.0) * f64::from(2.0_f32.powi(-24));
        let found = scores[usize::try_from(index[i]).unwrap()];
        assert!(best - found <= 2.0 * bound, "{kernels:?}: {found} for {best}");
        assert!((f64::from(value[i]) - found).abs() <= bound, "{kernels:?}: {} {found}", value[i]);
        let alone = run(kernels, vector, case.centroids());
        assert_eq!(alone.0[0], index[i], "{kernels:?}: another centroid in company");
        assert_eq!(alone.1[0].to_bits(), value[i].to_bits(), "{kernels:?}: another value");
    }
}

#[test]
fn every_shape_is_assigned() {
    for dimension in [1, 7, 8, 9, 15, 16, 17, 31, 64, 100, 384] {
        for (vectors, centroids) in [(1, 1), (2, 3), (5, 4), (65, 5), (67, 9)] {
            let case = Case::new(vectors, centroids, dimension, 7);
            for kernels in tiers() {
                check(kernels, &case);
            }
        }
    }
}

#[test]
fn the_first_of_equal_centroids_wins() {
    let mut case = Case::new(70, 1, 20, 3);
    case.centroids = case.centroids.repeat(11);
    case.half_norms = vec![0.25; 11];
    for kernels in tiers() {
        let (index, _) = run(kernels, &case.vectors, case.centroids());
        assert!(index.iter().all(|index| *index == 0), "{kernels:?} {index:?}");
        case.half_norms[6] = 0.125;
        let (index, _) = run(kernels, &case.vectors, case.centroids());
        assert!(index.iter().all(|index| *index == 6), "{kernels:?} {index:?}");
        case.half_norms[6] = 0.25;
    }
}

#[test]
fn values_around_the_slices_are_never_read_into_the_sum() {
    for dimension in 1..=40 {
        let mut case = Case::new(5, 6, dimension, 5);
        for part in [&mut case.vectors, &mut case.centroids] {
            part.splice(0..0, [f32::NAN; 3]);
            part.extend([f32::NAN; 40]);
        }
        let values = &case.centroids[3..3 + 6 * dimension];
        let centroids = Centroids { values, half_norms: &case.half_norms, dimension };
        for kernels in tiers() {
            let (_, found) = run(kernels, &case.vectors[3..3 + 5 * dimension], centroids);
            assert!(found.iter().all(|value| value.is_finite()), "{kernels:?} {dimension}");
        }
    }
}

#[test]
fn no_vectors_are_assigned_and_no_centroids_are_refused() {
    for kernels in tiers() {
        let one = Centroids { values: &[1.0; 3], half_norms: &[0.0], dimension: 3 };
        kernels.assign(&[], one, &mut [], &mut []);
        let (index, value) = run(kernels, &[f32::NAN; 3], one);
        assert_eq!((index, value), (vec![0], vec![f32::NEG_INFINITY]));
        let refused = |name: &str, vectors: &[f32], centroids: Centroids<'_>| {
            let call = || kernels.assign(vectors, centroids, &mut [0], &mut [0.0]);
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(call));
            assert!(outcome.is_err(), "{kernels:?} took {name}");
        };
        refused("no centroid", &[1.0; 3], Centroids { values: &[], half_norms: &[], ..one });
        refused("no dimension", &[], Centroids { values: &[], dimension: 0, ..one });
        refused("a short vector", &[1.0; 2], one);
        refused("a short centroid", &[1.0; 3], Centroids { values: &[1.0; 2], ..one });
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn tiers_find_the_best_in_random_shapes(
        vectors in 1_usize..=20,
        centroids in 1_usize..=20,
        dimension in 1_usize..=70,
        seed in any::<u64>(),
    ) {
        let case = Case::new(vectors, centroids, dimension, seed);
        for kernels in tiers() {
            check(kernels, &case);
        }
    }
}
