//! The space in which vectors are compared approximately: rotated, and for cosine of unit length.
//!
//! A rotation does not change inner products, but spreads what is in a few dimensions over all of
//! them, so that the signs of the rotated values say about as much about every vector.
//!
//! WHY cosine is an inner product here, and not a distance between unit vectors: the two rank alike,
//! but a zero vector, whose cosine is 0, would lie nearer to a query than half of all vectors do.

use lodgepole_kernels::{Kernels, Rotation};
use lodgepole_types::Metric;

use super::SegmentShape;

/// Squared norms that f32 sums of squares can be trusted with, with room for sums over rows.
const TRUSTED_SQUARE: std::ops::RangeInclusive<f64> = 1e-24..=1e24;

/// Turns vectors of one shape into their rotated form.
#[derive(Debug)]
pub(super) struct Space {
    pub(super) shape: SegmentShape,
    pub(super) kernels: Kernels,
    /// Values of a rotated vector.
    pub(super) padded: usize,
    rotation: Rotation,
}

impl Space {
    pub(super) fn new(shape: SegmentShape, kernels: Kernels) -> Self {
        let rotation = Rotation::new(shape.dimension, shape.seed);
        Self { shape, kernels, padded: rotation.padded(), rotation }
    }

    /// Whether near is a small distance, not a large inner product.
    pub(super) fn is_euclidean(&self) -> bool {
        self.shape.metric == Metric::Euclidean
    }

    /// The rotated form of a row: of unit length for cosine, zero vectors apart.
    pub(super) fn place_row(&self, values: &[f32], out: &mut [f32]) {
        match self.shape.metric {
            Metric::Cosine => self.place_unit(values, square(self.kernels, values), out),
            Metric::DotProduct | Metric::Euclidean => self.rotation.apply(values, out),
        }
    }

    /// The rotated form of a query. Only for the distance its length matters; for the others it is
    /// 1, which makes the estimates of all segments comparable. `square` is the squared norm.
    pub(super) fn place_query(&self, values: &[f32], square: f64, out: &mut [f32]) {
        match self.shape.metric {
            Metric::Cosine | Metric::DotProduct => self.place_unit(values, square, out),
            Metric::Euclidean => self.rotation.apply(values, out),
        }
    }

    /// The distance of a placed query and a placed row, in the unit of estimates.
    pub(super) fn estimate(&self, query: &[f32], row: &[f32]) -> f32 {
        if self.is_euclidean() {
            self.kernels.squared_l2(query, row) / 2.0
        } else {
            -self.kernels.dot(query, row)
        }
    }

    fn place_unit(&self, values: &[f32], square: f64, out: &mut [f32]) {
        if square == 0.0 {
            out.fill(0.0);
        } else if TRUSTED_SQUARE.contains(&square) {
            self.rotation.apply(values, out);
            scale(out, square.sqrt().recip());
        } else {
            let inverse = square.sqrt().recip();
            let unit: Vec<f32> = values.iter().map(|v| to_f32(f64::from(*v) * inverse)).collect();
            self.rotation.apply(&unit, out);
        }
    }
}

/// Whether the squared norm of a row, or a query, allows estimates in f32.
pub(super) fn is_trusted(metric: Metric, square: f64) -> bool {
    match metric {
        Metric::Cosine => true,
        Metric::DotProduct | Metric::Euclidean => square == 0.0 || TRUSTED_SQUARE.contains(&square),
    }
}

/// The squared norm, right for any finite values.
pub(super) fn square(kernels: Kernels, values: &[f32]) -> f64 {
    let square = f64::from(kernels.squared_norm(values));
    if TRUSTED_SQUARE.contains(&square) {
        return square;
    }
    values.iter().map(|value| f64::from(*value).powi(2)).sum()
}

fn scale(values: &mut [f32], factor: f64) {
    let factor = to_f32(factor);
    for value in values {
        *value *= factor;
    }
}

#[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is the purpose")]
pub(super) fn to_f32(value: f64) -> f32 {
    value as f32
}
