//! The directions of a segment in which its codes are taken.
//!
//! Real vectors differ in some directions much more than in others. Where a third of the directions
//! holds most of what rows differ by, a code of one bit for each of these is hardly worse than one of
//! a bit for each dimension, and takes a third of the memory that a scan is bound by. Where no few
//! directions stand out, as in random data, the codes are taken of all dimensions.
//!
//! What a row is in the other directions is left out of the estimate, as if it were at a right angle
//! to the query; its length is not left out. Calibration sees the error that this makes.

use lodgepole_kernels::{CodeTable, Kernels};

use super::SegmentError;
use super::read::damaged;
use lodgepole_container::{Container, Section};

/// The directions, as rows of `padded` values at right angles to each other, each of length one;
/// none for all dimensions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Directions<'a> {
    pub(super) padded: usize,
    pub(super) rows: &'a [f32],
}

impl<'a> Directions<'a> {
    /// Those of a segment.
    pub(super) fn read(container: &'a Container, padded: usize) -> Result<Self, SegmentError> {
        let rows = container.all_numbers::<f32>(Section::Directions)?;
        let known = rows.len().is_multiple_of(padded.max(1));
        known.then_some(Self { padded, rows }).ok_or(damaged(Section::Directions))
    }

    /// Bits of a code of a segment.
    pub(super) fn coded_of(container: &Container, padded: usize) -> usize {
        let bytes = container.len(Section::Directions);
        if bytes == 0 { padded } else { bytes / size_of::<f32>() / padded.max(1) }
    }

    /// Bits of a code.
    pub(super) fn coded(&self) -> usize {
        if self.rows.is_empty() { self.padded } else { self.rows.len() / self.padded }
    }

    /// Writes the part of a vector of `padded` values along each direction.
    pub(super) fn apply(&self, kernels: Kernels, vector: &[f32], out: &mut [f32]) {
        if self.rows.is_empty() {
            out.copy_from_slice(vector);
        } else {
            kernels.dot_rows(vector, self.rows, out);
        }
    }

    /// The table of a query for scans, with the query's part that is not the `mean`. The unit of the
    /// rows' lengths is `reference`.
    pub(super) fn table(
        &self,
        kernels: Kernels,
        query: &[f32],
        mean: &[f32],
        reference: f32,
    ) -> CodeTable {
        let share = reference.recip();
        let moved: Vec<f32> = query.iter().zip(mean).map(|(q, m)| q - m * share).collect();
        let mut along = vec![0.0; self.coded()];
        self.apply(kernels, &moved, &mut along);
        kernels.code_table(&along)
    }
}
