//! The tile of assignment in 256-bit registers: four vectors by three centroids.
//!
//! Twelve running sums, three centroids and one vector at a time are the sixteen registers.

use std::arch::x86_64::{
    __m256, _mm_add_ps, _mm_storeu_ps, _mm256_castps256_ps128, _mm256_extractf128_ps,
    _mm256_fmadd_ps, _mm256_hadd_ps, _mm256_loadu_ps, _mm256_maskload_ps, _mm256_setzero_ps,
};

/// Vectors of a tile.
const VECTORS: usize = 4;
/// Centroids of a tile.
const CENTROIDS: usize = 3;
/// Values in a register.
const LANES: usize = 8;

/// For each centroid the running sums with the vectors.
type Sums = [[__m256; VECTORS]; CENTROIDS];

assign_function! { #[target_feature(enable = "avx2,fma")] vectors: VECTORS, centroids: CENTROIDS }

#[inline]
#[target_feature(enable = "avx2,fma")]
fn tile(vectors: [&[f32]; VECTORS], centroids: [&[f32]; CENTROIDS]) -> [[f32; CENTROIDS]; VECTORS] {
    let dimension = vectors[0].len();
    assert!(vectors.iter().chain(&centroids).all(|row| row.len() == dimension), "one dimension");
    let mut sums = [[_mm256_setzero_ps(); VECTORS]; CENTROIDS];
    let mut start = 0;
    while dimension - start >= LANES {
        // SAFETY: start + LANES <= dimension, the length of every slice (asserted on entry).
        let load = |row: &[f32]| unsafe { _mm256_loadu_ps(row.as_ptr().add(start)) };
        multiply_add(&mut sums, centroids.map(load), vectors, load);
        start += LANES;
    }
    if start < dimension {
        let mask = super::first_lanes(dimension - start);
        let load = |row: &[f32]| {
            // SAFETY: start < dimension, the length of every slice (asserted on entry), and the
            // mask lets no lane past the end be read.
            unsafe { _mm256_maskload_ps(row.as_ptr().add(start), mask) }
        };
        multiply_add(&mut sums, centroids.map(load), vectors, load);
    }
    let mut totals = [[0.0; CENTROIDS]; VECTORS];
    for (centroid, sums) in sums.into_iter().enumerate() {
        for (totals, total) in totals.iter_mut().zip(sum_lanes(sums)) {
            totals[centroid] = total;
        }
    }
    totals
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn multiply_add(
    sums: &mut Sums,
    y: [__m256; CENTROIDS],
    vectors: [&[f32]; VECTORS],
    load: impl Fn(&[f32]) -> __m256,
) {
    for (vector, row) in vectors.into_iter().enumerate() {
        let x = load(row);
        for (sums, y) in sums.iter_mut().zip(y) {
            sums[vector] = _mm256_fmadd_ps(x, y, sums[vector]);
        }
    }
}

/// The sums of the lanes of four registers.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn sum_lanes([a, b, c, d]: [__m256; VECTORS]) -> [f32; VECTORS] {
    let halves = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
    let sums = _mm_add_ps(_mm256_castps256_ps128(halves), _mm256_extractf128_ps::<1>(halves));
    let mut totals = [0.0; VECTORS];
    // SAFETY: there are four places; the store has no demand on alignment.
    unsafe { _mm_storeu_ps(totals.as_mut_ptr(), sums) };
    totals
}
