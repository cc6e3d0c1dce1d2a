//! A query made ready, and the scores in the API's sense.
//!
//! INVARIANT: finite values give a finite score. Scores are summed in f32; where that overflows, or
//! where the norms are so extreme that products would vanish or overflow, the row is scored again
//! in f64 and rounded to the nearest finite f32. So no record drops out of an answer for the size
//! of its values, and no reply holds an infinity, which JSON cannot say.
//!
//! INVARIANT: the score of a row is the same bits in a scan and alone ([`PreparedQuery::rescore`]).

use std::ops::RangeInclusive;

use lodgepole_kernels::Kernels;
use lodgepole_types::{Metric, SparseVector};

use crate::flat::SparseRef;

/// 2^-50 to 2^50: inverse norms for which f32 sums are safe. The inner product of two such vectors
/// is at most 2^100, and what its smallest terms lose below f32's range (2^-149 each) is less than
/// 2^-34 of the norms' product even at 20,000 dimensions.
const ORDINARY_INVERSE: RangeInclusive<f32> = 8.881_784e-16..=1.125_899_9e15;

/// The squares of the same range, a little narrower.
const ORDINARY_SQUARE: RangeInclusive<f32> = 1e-30..=1e30;

/// A query with what its metric needs precomputed. Share it between threads.
#[derive(Debug, Clone)]
pub struct PreparedQuery {
    metric: Metric,
    dense: Option<DenseQuery>,
    sparse: Option<SparseQuery>,
}

/// The dense part of a query.
#[derive(Debug, Clone)]
pub(crate) struct DenseQuery {
    metric: Metric,
    values: Box<[f32]>,
    inverse_norm: f32,
}

/// The sparse part of a query, by ascending dimension.
#[derive(Debug, Clone)]
pub(crate) struct SparseQuery(Box<[(u32, f32)]>);

impl PreparedQuery {
    /// Looks for dense vectors. The values must be finite; a query with a NaN finds nothing.
    #[must_use]
    pub fn dense(metric: Metric, values: Vec<f32>, kernels: Kernels) -> Self {
        Self { metric, dense: Some(DenseQuery::new(metric, values, kernels)), sparse: None }
    }

    /// Looks for sparse vectors by inner product. A vector that shares no dimension with the query
    /// is never found.
    #[must_use]
    pub fn sparse(vector: &SparseVector) -> Self {
        let sparse = Some(SparseQuery::new(vector));
        Self { metric: Metric::DotProduct, dense: None, sparse }
    }

    /// Looks by the sum of both inner products. What has no dense vector is never found; what has
    /// no sparse one is scored by the dense one.
    #[must_use]
    pub fn hybrid(values: Vec<f32>, sparse: &SparseVector, kernels: Kernels) -> Self {
        let dense = Some(DenseQuery::new(Metric::DotProduct, values, kernels));
        Self { metric: Metric::DotProduct, dense, sparse: Some(SparseQuery::new(sparse)) }
    }

    /// The metric of the scores.
    #[must_use]
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// What scanning so many rows costs, in multiplications, about. How many rows share a dimension
    /// with a sparse query is not known before.
    #[must_use]
    pub fn work(&self, rows: usize) -> usize {
        /// For a row that a sparse query may touch.
        const SPARSE_ROW: usize = 32;
        let dense = self.dense.as_ref().map_or(0, |dense| dense.values.len());
        let sparse = if self.sparse.is_some() { SPARSE_ROW } else { 0 };
        rows * (dense + sparse)
    }

    pub(crate) fn dense_part(&self) -> Option<&DenseQuery> {
        self.dense.as_ref()
    }

    pub(crate) fn sparse_part(&self) -> Option<&SparseQuery> {
        self.sparse.as_ref()
    }

    /// The score of one record's vectors: the bits that a scan gives it with the same kernels.
    /// `None` where a scan would not find it.
    ///
    /// # Panics
    /// When `values` has another dimension than the query, unless it is empty.
    #[must_use]
    pub fn rescore(
        &self,
        kernels: Kernels,
        values: &[f32],
        sparse: Option<SparseRef<'_>>,
    ) -> Option<f32> {
        let sum = self.sparse.as_ref().and_then(|query| query.sum(sparse?));
        match &self.dense {
            Some(_) if values.is_empty() => None,
            Some(dense) => Some(with_sparse(dense.score(kernels, values), sum)),
            None => sum.map(narrow),
        }
    }
}

impl SparseQuery {
    fn new(vector: &SparseVector) -> Self {
        let pairs = vector.indices.iter().zip(&vector.values);
        let mut entries: Vec<_> = pairs.map(|(index, value)| (*index, *value)).collect();
        entries.sort_unstable_by_key(|entry| entry.0);
        Self(entries.into_boxed_slice())
    }

    /// Dimensions, ascending, with their values.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (u32, f32)> {
        self.0.iter().copied()
    }

    fn sum(&self, vector: SparseRef<'_>) -> Option<f64> {
        let pairs = vector.indices.iter().zip(vector.values);
        let mut entries: Vec<_> = pairs.map(|(index, value)| (*index, *value)).collect();
        entries.sort_unstable_by_key(|entry| entry.0);
        let mut sum = None;
        for (index, value) in self.entries() {
            if let Ok(at) = entries.binary_search_by_key(&index, |entry| entry.0) {
                let product = f64::from(value) * f64::from(entries[at].1) + 0.0;
                sum = Some(sum.map_or(product, |sum: f64| sum + product));
            }
        }
        sum
    }
}

/// A hybrid score: the sum, rounded once.
pub(crate) fn with_sparse(dense: f32, sparse: Option<f64>) -> f32 {
    sparse.map_or(dense, |sparse| narrow(f64::from(dense) + sparse))
}

impl DenseQuery {
    fn new(metric: Metric, values: Vec<f32>, kernels: Kernels) -> Self {
        let inverse_norm = match metric {
            Metric::Cosine => inverse_norm(kernels, &values),
            Metric::DotProduct | Metric::Euclidean => 0.0,
        };
        Self { metric, values: values.into_boxed_slice(), inverse_norm }
    }

    /// The score of one vector, whose norm is not known.
    fn score(&self, kernels: Kernels, values: &[f32]) -> f32 {
        let inverse_norm = match self.metric {
            Metric::Cosine => inverse_norm(kernels, values),
            Metric::DotProduct | Metric::Euclidean => 0.0,
        };
        let mut score = [0.0];
        self.score_rows(kernels, values, &[inverse_norm], &mut score);
        score[0]
    }

    pub(crate) fn dimension(&self) -> usize {
        self.values.len()
    }

    pub(crate) fn values(&self) -> &[f32] {
        &self.values
    }

    /// The scores of n rows: `rows` is n × d, row-major, `inverse_norms` as [`inverse_norm`] gives
    /// them (looked at for cosine only), `scores` has room for n.
    pub(crate) fn score_rows(
        &self,
        kernels: Kernels,
        rows: &[f32],
        inverse_norms: &[f32],
        scores: &mut [f32],
    ) {
        match self.metric {
            Metric::Cosine => {
                kernels.dot_rows(&self.values, rows, scores);
                self.norm_scores(inverse_norms, scores);
            }
            Metric::DotProduct => kernels.dot_rows(&self.values, rows, scores),
            Metric::Euclidean => kernels.squared_l2_rows(&self.values, rows, scores),
        }
        let dimension = self.values.len();
        for (i, score) in scores.iter_mut().enumerate() {
            if !score.is_finite() {
                *score = self.exact_score(&rows[i * dimension..(i + 1) * dimension]);
            }
        }
    }

    /// Inner products to cosines; NaN where f32 cannot be trusted, so that the caller redoes it.
    fn norm_scores(&self, inverse_norms: &[f32], scores: &mut [f32]) {
        if !is_ordinary(self.inverse_norm) {
            scores.fill(f32::NAN);
            return;
        }
        for (score, &inverse_norm) in scores.iter_mut().zip(inverse_norms) {
            *score = if is_ordinary(inverse_norm) {
                (*score * self.inverse_norm * inverse_norm).clamp(-1.0, 1.0)
            } else {
                f32::NAN
            };
        }
    }

    /// The slow, sure way.
    #[cold]
    fn exact_score(&self, values: &[f32]) -> f32 {
        let query = &self.values;
        match self.metric {
            Metric::Cosine => {
                let norms = (exact_dot(query, query) * exact_dot(values, values)).sqrt();
                if norms == 0.0 { 0.0 } else { narrow(exact_dot(query, values) / norms) }
                    .clamp(-1.0, 1.0)
            }
            Metric::DotProduct => narrow(exact_dot(query, values)),
            Metric::Euclidean => {
                let pairs = query.iter().zip(values);
                narrow(pairs.map(|(x, y)| (f64::from(*x) - f64::from(*y)).powi(2)).sum())
            }
        }
    }
}

/// 1 / norm; 0 for the zero vector, NaN where a value is NaN. Right for any finite values; beyond
/// f32's range the nearest number in it, which [`is_ordinary`] then refuses.
pub(crate) fn inverse_norm(kernels: Kernels, values: &[f32]) -> f32 {
    let square = kernels.squared_norm(values);
    let square = if ORDINARY_SQUARE.contains(&square) {
        f64::from(square)
    } else {
        exact_dot(values, values)
    };
    if square == 0.0 { 0.0 } else { narrow(square.sqrt().recip()) }
}

/// Whether f32 arithmetic may be trusted with a vector of this inverse norm. The zero vector is
/// ordinary: its products are all 0, and so is its cosine.
fn is_ordinary(inverse_norm: f32) -> bool {
    inverse_norm == 0.0 || ORDINARY_INVERSE.contains(&inverse_norm)
}

/// Neither overflows nor vanishes: f64 has room for the product of any two f32.
fn exact_dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum()
}

/// The nearest finite f32; NaN stays.
#[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is the purpose")]
pub(crate) fn narrow(value: f64) -> f32 {
    value.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32
}

#[cfg(test)]
mod tests;
