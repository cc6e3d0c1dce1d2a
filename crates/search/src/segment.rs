//! A segment: many rows in one immutable run of bytes, with all that is needed to search them.
//!
//! The bytes are a map of a file or memory ([`SegmentBytes`]); they are checked chunk by chunk the
//! first time they are looked at. What a search touches at every query (centroids, codes) is small;
//! 8-bit rows, full vectors, ids and metadata are looked at for the few rows that may be answers.
//!
//! INVARIANT: the scores in an answer are the bits that
//! [`PreparedQuery::rescore`](crate::PreparedQuery::rescore) gives for the
//! vectors as they were sent; codes and 8-bit rows only decide which rows are scored.

mod build;
mod calibration;
mod directions;
mod meta;
mod random;
mod read;
mod search;
mod space;

use std::ops::AddAssign;

use lodgepole_types::{Filter, Metric, StoredMetadata};

pub use lodgepole_container::{AlignedBytes, Section, SegmentBytes, SegmentError};

pub use self::build::build_segment;
pub use self::read::Segment;
pub use self::search::{count_matches, search_segments};
use crate::flat::SparseRef;
use crate::rowset::RowSet;

/// One row on its way into a segment, or out of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SourceRow<'a> {
    /// Which version of the record this is. Unique in a segment.
    pub docid: u64,
    /// The record's id.
    pub id: &'a str,
    /// The dense values as sent; empty when the row has none.
    pub values: &'a [f32],
    /// The sparse values as sent.
    pub sparse: Option<SparseRef<'a>>,
    /// The metadata as stored.
    pub metadata: StoredMetadata<'a>,
}

/// Where a builder takes its rows from. Every row is asked for several times, in any order, so that
/// a builder need not hold a copy of them all.
pub trait RowSource: Sync {
    /// How many rows there are.
    fn rows(&self) -> usize;

    /// One of them.
    ///
    /// # Errors
    /// When the row cannot be read; the build ends with that error.
    fn row(&self, row: usize) -> Result<SourceRow<'_>, SegmentError>;
}

/// What all rows of a segment have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentShape {
    /// Values of a dense vector; 0 for rows with sparse values only.
    pub dimension: usize,
    /// How dense vectors are compared.
    pub metric: Metric,
    /// Decides the rotation of the vectors. All segments of an index must have the same one, so
    /// that a query is rotated once for all of them.
    pub seed: u64,
}

/// How the dense rows of a segment are searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SegmentKind {
    /// Every row is scored: few rows, few dimensions, or no dense vectors at all.
    Exact,
    /// One list of 1-bit codes.
    Flat,
    /// Many lists of 1-bit codes, of which the nearest are looked at.
    Lists,
}

/// What a builder wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentSummary {
    /// Rows.
    pub rows: u64,
    /// Bytes of the whole segment.
    pub bytes: u64,
    /// How it is searched.
    pub kind: SegmentKind,
    /// The lowest docid; 0 when there are no rows.
    pub docid_min: u64,
    /// The highest docid; 0 when there are no rows.
    pub docid_max: u64,
}

/// A segment with the rows that were deleted or overwritten since it was built.
#[derive(Debug, Clone, Copy)]
pub struct LiveSegment<'a> {
    /// The segment.
    pub segment: &'a Segment,
    /// Rows that a search must not find.
    pub dead: &'a RowSet,
}

/// The share of the true k nearest that a search should find on average, as calibrated when the
/// segment was built.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RecallTarget(f32);

impl RecallTarget {
    /// What queries get that ask for nothing special.
    pub const STANDARD: Self = Self(0.97);

    /// A target between 0.5 and 1; others are moved to the nearer end, NaN becomes the standard.
    #[must_use]
    pub fn new(recall: f32) -> Self {
        if recall.is_nan() { Self::STANDARD } else { Self(recall.clamp(0.5, 1.0)) }
    }

    /// The share.
    #[must_use]
    pub fn share(self) -> f32 {
        self.0
    }

    /// What to ask the calibration for. WHY more: it was measured with few queries, and not
    /// with what users ask.
    fn for_planning(self) -> f32 {
        const SAFETY: f32 = 0.85;
        1.0 - (1.0 - self.0) * SAFETY
    }
}

impl Default for RecallTarget {
    fn default() -> Self {
        Self::STANDARD
    }
}

/// What a search is asked for, besides the query.
#[derive(Debug, Clone, Copy)]
pub struct SearchOptions<'a> {
    /// How many rows are wanted.
    pub k: usize,
    /// Only rows whose metadata matches.
    pub filter: Option<&'a Filter>,
    /// Multiplies how much of a segment is looked at; 1 is what the calibration asks for.
    pub scan_factor: f32,
    /// At most so many rows are scored with their full vectors, but never fewer than k; `None`
    /// leaves it to the search.
    pub max_candidates: Option<usize>,
    /// How much may be missed.
    pub recall: RecallTarget,
}

impl SearchOptions<'_> {
    /// The k nearest with nothing special.
    #[must_use]
    pub fn nearest(k: usize) -> Self {
        Self {
            k,
            filter: None,
            scan_factor: 1.0,
            max_candidates: None,
            recall: RecallTarget::STANDARD,
        }
    }
}

/// What a search did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SearchCounters {
    /// Segments looked at.
    pub segments: u64,
    /// Lists whose codes were scanned.
    pub lists_probed: u64,
    /// Rows whose codes were scanned.
    pub rows_scanned: u64,
    /// Rows estimated by their 8-bit values.
    pub rows_reranked_i8: u64,
    /// Rows scored by their full vectors.
    pub rows_scored_f32: u64,
}

impl AddAssign for SearchCounters {
    fn add_assign(&mut self, other: Self) {
        self.segments += other.segments;
        self.lists_probed += other.lists_probed;
        self.rows_scanned += other.rows_scanned;
        self.rows_reranked_i8 += other.rows_reranked_i8;
        self.rows_scored_f32 += other.rows_scored_f32;
    }
}

#[cfg(test)]
mod tests;
