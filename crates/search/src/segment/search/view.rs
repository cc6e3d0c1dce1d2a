//! A dense query as the segments see it.
//!
//! [`Look`] is made once for a query: rotated, and in 8 bits. [`View`] adds what one segment's mean and
//! directions change. All estimates are in one unit, in which smaller is nearer: half the squared
//! distance, or minus the inner product with the query at unit length.

use lodgepole_kernels::{CodeTable, Kernels};

use crate::segment::directions::Directions;
use crate::segment::space::{Space, is_trusted, square, to_f32};
use crate::segment::{Segment, SegmentError, SegmentShape};
use lodgepole_container::Section;

/// A query, rotated.
#[derive(Debug)]
pub(in crate::segment) struct Look {
    pub(in crate::segment) shape: SegmentShape,
    pub(in crate::segment) kernels: Kernels,
    rotated: Vec<f32>,
    eight: Eight,
    /// The norm as it was sent.
    pub(in crate::segment) length: f32,
    /// Whether f32 estimates can be trusted.
    pub(in crate::segment) trusted: bool,
}

/// A vector in 8 bits.
#[derive(Debug, Clone, Default)]
struct Eight {
    codes: Vec<i8>,
    scale: f32,
    norm: f32,
}

impl Eight {
    fn of(kernels: Kernels, values: &[f32]) -> Self {
        let mut codes = vec![0; values.len()];
        let scale = kernels.quantise_i8(values, &mut codes);
        Self { codes, scale, norm: kernels.squared_norm(values).sqrt() }
    }
}

impl Look {
    pub(in crate::segment) fn new(kernels: Kernels, space: &Space, values: &[f32]) -> Self {
        let square = square(kernels, values);
        let trusted = is_trusted(space.shape.metric, square);
        let mut rotated = vec![0.0; space.padded];
        if trusted {
            space.place_query(values, square, &mut rotated);
        }
        let eight =
            if space.is_euclidean() { Eight::default() } else { Eight::of(kernels, &rotated) };
        let length = to_f32(square.sqrt());
        Self { shape: space.shape, kernels, rotated, eight, length, trusted }
    }
}

/// The reach of a query for distances, by its length without the mean.
pub(in crate::segment) fn reach_of(norm: f32) -> f32 {
    norm.max(f32::MIN_POSITIVE)
}

/// A query, as one segment sees it.
#[derive(Debug)]
pub(in crate::segment) struct View<'a> {
    pub(in crate::segment) look: &'a Look,
    pub(in crate::segment) segment: &'a Segment,
    /// Without the segment's mean, for distances.
    own: Option<Eight>,
    /// What is added to every 8-bit estimate.
    base: f32,
    euclidean: bool,
}

impl<'a> View<'a> {
    pub(in crate::segment) fn new(
        look: &'a Look,
        space: &Space,
        segment: &'a Segment,
    ) -> Result<Self, SegmentError> {
        let mean = segment.container.f32s(Section::Mean, 0..space.padded)?;
        let euclidean = space.is_euclidean();
        if euclidean {
            let moved: Vec<f32> = look.rotated.iter().zip(mean).map(|(q, m)| q - m).collect();
            let own = Eight::of(look.kernels, &moved);
            let base = own.norm * own.norm / 2.0;
            return Ok(Self { look, segment, own: Some(own), base, euclidean });
        }
        let base = -look.kernels.dot(&look.rotated, mean);
        Ok(Self { look, segment, own: None, base, euclidean })
    }

    /// The unit of what calibration says about estimates: their errors grow with the length of the
    /// query as the segment sees it.
    pub(in crate::segment) fn reach(&self) -> f32 {
        self.own.as_ref().map_or(1.0, |own| reach_of(own.norm))
    }

    /// What a scan of the segment's codes needs.
    pub(in crate::segment) fn table(&self) -> Result<CodeTable, SegmentError> {
        let (container, meta) = (&self.segment.container, &self.segment.meta);
        let directions = Directions::read(container, meta.padded)?;
        let mean = container.f32s(Section::Mean, 0..meta.padded)?;
        Ok(directions.table(self.look.kernels, &self.look.rotated, mean, meta.reference))
    }

    /// What is added to the estimates of rows around the mean.
    pub(in crate::segment) fn around_mean(&self) -> f32 {
        self.base
    }

    fn eight(&self) -> &Eight {
        self.own.as_ref().unwrap_or(&self.look.eight)
    }

    /// The query's codes.
    pub(in crate::segment) fn codes(&self) -> &[i8] {
        &self.eight().codes
    }

    /// The estimate of a row or centroid by its 8-bit form: its terms are scale and norm, `sum` is
    /// the inner product of the codes.
    #[inline]
    pub(in crate::segment) fn estimate(&self, terms: [f32; 2], sum: i32) -> f32 {
        let product = terms[0] * self.eight().scale * sum as f32;
        let half = if self.euclidean { terms[1] * terms[1] / 2.0 } else { 0.0 };
        self.base + half - product
    }

    /// The standard error of such an estimate: both vectors were rounded, each value by up to half a
    /// step.
    #[inline]
    pub(in crate::segment) fn error(&self, terms: [f32; 2]) -> f32 {
        let eight = self.eight();
        let (a, b) = (terms[1] * eight.scale, eight.norm * terms[0]);
        ((a * a + b * b) / 12.0).sqrt()
    }

    pub(in crate::segment) fn is_euclidean(&self) -> bool {
        self.euclidean
    }
}
