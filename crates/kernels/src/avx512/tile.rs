//! The tile of assignment in 512-bit registers: four vectors by four centroids.
//!
//! Sixteen running sums leave registers for eight operands, and each value loaded serves four
//! multiply-adds. The sixteen sums of lanes are taken together, by transposition.

use std::arch::x86_64::{
    __m512, _mm512_add_ps, _mm512_castpd_ps, _mm512_castps_pd, _mm512_fmadd_ps, _mm512_loadu_ps,
    _mm512_maskz_loadu_ps, _mm512_setzero_ps, _mm512_shuffle_f32x4, _mm512_storeu_ps,
    _mm512_unpackhi_pd, _mm512_unpackhi_ps, _mm512_unpacklo_pd, _mm512_unpacklo_ps,
};

/// Vectors, and centroids, of a tile.
const SIDE: usize = 4;
/// Values in a register.
const LANES: usize = 16;

assign_function! { #[target_feature(enable = "avx512f,avx512bw")] vectors: SIDE, centroids: SIDE }

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn tile(vectors: [&[f32]; SIDE], centroids: [&[f32]; SIDE]) -> [[f32; SIDE]; SIDE] {
    let dimension = vectors[0].len();
    assert!(vectors.iter().chain(&centroids).all(|row| row.len() == dimension), "one dimension");
    let mut sums = [[_mm512_setzero_ps(); SIDE]; SIDE];
    let mut start = 0;
    while dimension - start >= LANES {
        // SAFETY: start + LANES <= dimension, the length of every slice (asserted on entry).
        let load = |row: &[f32]| unsafe { _mm512_loadu_ps(row.as_ptr().add(start)) };
        multiply_add(&mut sums, vectors.map(load), centroids.map(load));
        start += LANES;
    }
    if start < dimension {
        let mask = (1 << (dimension - start)) - 1;
        let load = |row: &[f32]| {
            // SAFETY: start < dimension, the length of every slice (asserted on entry), and the
            // mask lets no lane past the end be read.
            unsafe { _mm512_maskz_loadu_ps(mask, row.as_ptr().add(start)) }
        };
        multiply_add(&mut sums, vectors.map(load), centroids.map(load));
    }
    totals(&sums)
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn multiply_add(sums: &mut [[__m512; SIDE]; SIDE], x: [__m512; SIDE], y: [__m512; SIDE]) {
    for (sums, x) in sums.iter_mut().zip(x) {
        for (sum, y) in sums.iter_mut().zip(y) {
            *sum = _mm512_fmadd_ps(x, y, *sum);
        }
    }
}

/// The sums of the lanes of the sixteen registers.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn totals(sums: &[[__m512; SIDE]; SIDE]) -> [[f32; SIDE]; SIDE] {
    let [a, b, c, d] =
        [quarters(&sums[0]), quarters(&sums[1]), quarters(&sums[2]), quarters(&sums[3])];
    let ab = _mm512_add_ps(
        _mm512_shuffle_f32x4::<0b01_00_01_00>(a, b),
        _mm512_shuffle_f32x4::<0b11_10_11_10>(a, b),
    );
    let cd = _mm512_add_ps(
        _mm512_shuffle_f32x4::<0b01_00_01_00>(c, d),
        _mm512_shuffle_f32x4::<0b11_10_11_10>(c, d),
    );
    let all = _mm512_add_ps(
        _mm512_shuffle_f32x4::<0b10_00_10_00>(ab, cd),
        _mm512_shuffle_f32x4::<0b11_01_11_01>(ab, cd),
    );
    let mut totals = [[0.0_f32; SIDE]; SIDE];
    // SAFETY: there are 16 places; the store has no demand on alignment.
    unsafe { _mm512_storeu_ps(totals.as_mut_ptr().cast(), all) };
    totals
}

/// In each quarter of the result the sums of that quarter of the four registers.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn quarters(sums: &[__m512; SIDE]) -> __m512 {
    let [a, b, c, d] = *sums;
    let ab = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
    let cd = _mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
    let (ab, cd) = (_mm512_castps_pd(ab), _mm512_castps_pd(cd));
    let low = _mm512_castpd_ps(_mm512_unpacklo_pd(ab, cd));
    _mm512_add_ps(low, _mm512_castpd_ps(_mm512_unpackhi_pd(ab, cd)))
}
