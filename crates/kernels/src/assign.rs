//! The nearest centroid of each of many vectors.
//!
//! A product of two matrices of which only the best column of each row is kept. Each tier sums a
//! small tile of vectors and centroids at once, so that a value loaded serves several sums; the
//! tiles run over the centroids inside a strip of vectors that stays in a cache.

use crate::Kernels;

/// Values of a strip that stays in the first-level cache, with a few centroids: 32 KiB.
const NEAR_VALUES: usize = 8 << 10;
/// Vectors of a strip when only a few would fit there: it stays in the second-level cache, and each
/// centroid is loaded less often.
const FAR_VECTORS: usize = 32;

/// Vectors of a strip.
pub(crate) fn strip_vectors(dimension: usize) -> usize {
    let near = NEAR_VALUES / dimension / 4 * 4;
    if near >= 8 { near } else { FAR_VECTORS }
}

/// The centroids to choose from.
#[derive(Debug, Clone, Copy)]
pub struct Centroids<'a> {
    /// Row-major, as many as half norms.
    pub values: &'a [f32],
    /// What is taken off the inner product with each. Half its squared norm makes the best centroid
    /// the nearest one; 0 makes it the one of largest inner product.
    pub half_norms: &'a [f32],
    /// Values of a centroid and of a vector.
    pub dimension: usize,
}

impl Kernels {
    /// For each vector the centroid of largest `<vector, centroid> - half_norm`, the first of equal
    /// ones, and that number. A result depends only on the vector and the centroids, not on what
    /// else is in the call; tiers differ in the last bits. A vector with a NaN gets centroid 0.
    ///
    /// # Panics
    /// When the dimension is 0 or there is no centroid, or when lengths do not fit together.
    pub fn assign(
        self,
        vectors: &[f32],
        centroids: Centroids<'_>,
        out_index: &mut [u32],
        out_value: &mut [f32],
    ) {
        let (dimension, count) = (centroids.dimension, centroids.half_norms.len());
        assert!(dimension > 0 && count > 0, "centroids to choose from");
        assert!(u32::try_from(count).is_ok(), "centroid numbers of 32 bits");
        assert_eq!(centroids.values.len(), count * dimension, "a half norm for each centroid");
        assert_eq!(vectors.len(), out_index.len() * dimension, "an index for each vector");
        assert_eq!(out_index.len(), out_value.len(), "a value for each vector");
        // SAFETY: a Kernels exists only for a tier that this processor has.
        unsafe { (self.table().assign)(vectors, centroids, out_index, out_value) }
    }
}

/// The best centroid of a vector so far.
pub(crate) struct Best<'a> {
    pub(crate) index: &'a mut u32,
    pub(crate) value: &'a mut f32,
}

impl Best<'_> {
    /// Takes the centroid when it is better. Its number fits 32 bits.
    #[inline]
    pub(crate) fn offer(&mut self, index: usize, value: f32) {
        if value > *self.value {
            *self.value = value;
            #[expect(clippy::cast_possible_truncation, reason = "checked for all centroids")]
            let index = index as u32;
            *self.index = index;
        }
    }
}

/// Defines `assign` from `tile(vectors, centroids) -> [[f32; CENTROIDS]; VECTORS]` in scope, which
/// sums the inner products of the given slices, all of one length.
macro_rules! assign_function {
    ($(#[$attribute:meta])* vectors: $vectors:expr, centroids: $centroids:expr) => {
        $(#[$attribute])*
        pub(crate) fn assign(
            vectors: &[f32],
            centroids: crate::assign::Centroids<'_>,
            out_index: &mut [u32],
            out_value: &mut [f32],
        ) {
            let strip = crate::assign::strip_vectors(centroids.dimension);
            let strips = vectors.chunks(strip * centroids.dimension);
            let outs = out_index.chunks_mut(strip).zip(out_value.chunks_mut(strip));
            for (vectors, (indexes, values)) in strips.zip(outs) {
                indexes.fill(0);
                values.fill(f32::NEG_INFINITY);
                assign_strip(vectors, centroids, indexes, values);
            }
        }

        // A tile over the edge takes the last vector or centroid again, which changes nothing.
        #[inline]
        $(#[$attribute])*
        fn assign_strip(
            vectors: &[f32],
            centroids: crate::assign::Centroids<'_>,
            indexes: &mut [u32],
            values: &mut [f32],
        ) {
            let dimension = centroids.dimension;
            let last_centroid = centroids.half_norms.len() - 1;
            let last_vector = indexes.len() - 1;
            for first in (0..=last_centroid).step_by($centroids) {
                let numbers: [usize; $centroids] =
                    std::array::from_fn(|i| (first + i).min(last_centroid));
                let columns = numbers.map(|i| &centroids.values[i * dimension..][..dimension]);
                let half_norms = numbers.map(|i| centroids.half_norms[i]);
                for from in (0..=last_vector).step_by($vectors) {
                    let places: [usize; $vectors] =
                        std::array::from_fn(|i| (from + i).min(last_vector));
                    let rows = places.map(|i| &vectors[i * dimension..][..dimension]);
                    let products = tile(rows, columns);
                    for (place, products) in places.into_iter().zip(products) {
                        let (index, value) = (&mut indexes[place], &mut values[place]);
                        let mut best = crate::assign::Best { index, value };
                        for ((number, product), half) in
                            numbers.into_iter().zip(products).zip(half_norms)
                        {
                            best.offer(number, product - half);
                        }
                    }
                }
            }
        }
    };
}

#[cfg(test)]
mod tests;
