//! A query vector made ready, and the scores in the API's sense.
//!
//! INVARIANT: finite values give a finite score. Scores are summed in f32; where that overflows, or
//! where the norms are so extreme that products would vanish or overflow, the row is scored again
//! in f64 and rounded to the nearest finite f32. So no record drops out of an answer for the size
//! of its values, and no reply holds an infinity, which JSON cannot say.
//!
//! INVARIANT: the score of a row is the same bits in a scan and alone ([`PreparedQuery::rescore`]).

use std::ops::RangeInclusive;

use lodgepole_kernels::Kernels;
use lodgepole_types::Metric;

/// 2^-50 to 2^50: inverse norms for which f32 sums are safe. The inner product of two such vectors
/// is at most 2^100, and what its smallest terms lose below f32's range (2^-149 each) is less than
/// 2^-34 of the norms' product even at 20,000 dimensions.
const ORDINARY_INVERSE: RangeInclusive<f32> = 8.881_784e-16..=1.125_899_9e15;

/// The squares of the same range, a little narrower.
const ORDINARY_SQUARE: RangeInclusive<f32> = 1e-30..=1e30;

/// A query vector with what its metric needs precomputed. Share it between threads.
#[derive(Debug, Clone)]
pub struct PreparedQuery {
    metric: Metric,
    values: Box<[f32]>,
    inverse_norm: f32,
}

impl PreparedQuery {
    /// Prepares a query. The values must be finite; a query with a NaN finds nothing.
    #[must_use]
    pub fn new(metric: Metric, values: Vec<f32>, kernels: Kernels) -> Self {
        let inverse_norm = match metric {
            Metric::Cosine => inverse_norm(kernels, &values),
            Metric::DotProduct | Metric::Euclidean => 0.0,
        };
        Self { metric, values: values.into_boxed_slice(), inverse_norm }
    }

    /// The metric of the scores.
    #[must_use]
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// The query vector, as given.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The score of one vector: the bits that a scan gives it with the same kernels.
    ///
    /// # Panics
    /// When `values` has another dimension than the query.
    #[must_use]
    pub fn rescore(&self, kernels: Kernels, values: &[f32]) -> f32 {
        let inverse_norm = match self.metric {
            Metric::Cosine => inverse_norm(kernels, values),
            Metric::DotProduct | Metric::Euclidean => 0.0,
        };
        let mut score = [0.0];
        self.score_rows(kernels, values, &[inverse_norm], &mut score);
        score[0]
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

/// The score between two vectors, for one that was not scored by a scan. Uses the best kernels; for
/// several vectors against one query prepare it and call [`PreparedQuery::rescore`].
///
/// # Panics
/// When the two have different dimensions.
#[must_use]
pub fn rescore(metric: Metric, query: &[f32], values: &[f32]) -> f32 {
    let kernels = Kernels::detect();
    PreparedQuery::new(metric, query.to_vec(), kernels).rescore(kernels, values)
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
fn narrow(value: f64) -> f32 {
    value.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32
}

#[cfg(test)]
mod tests;
