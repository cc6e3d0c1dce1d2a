//! The sparse vectors of a chunk, twice: as they were sent, for replies, and by dimension.
//!
//! The second form has, for each dimension that occurs, the rows that have a value there. A query
//! walks over its own dimensions only, so what it costs does not depend on what else the rows hold.
//!
//! INVARIANT: the products of a row are added in ascending order of dimension, in f64, where a
//! product of two f32 is exact. So a sum is the same bits however rows are spread over chunks.

use std::ops::Range;

use lodgepole_types::SparseVector;

use crate::query::SparseQuery;

/// The sum of a row that shares no dimension with the query. No sum of products is ever -0, because
/// products are taken with +0 for -0, and so a record with the score 0 can be told from one without.
const UNTOUCHED: f64 = -0.0;

/// A sparse vector inside of a chunk: indices as they were sent, values aligned.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SparseRef<'a> {
    /// Dimensions, in the order sent.
    pub indices: &'a [u32],
    /// Values, aligned with `indices`.
    pub values: &'a [f32],
}

impl SparseRef<'_> {
    /// A copy that does not borrow.
    #[must_use]
    pub fn to_vector(self) -> SparseVector {
        SparseVector { indices: self.indices.to_vec(), values: self.values.to_vec() }
    }
}

impl<'a> From<&'a SparseVector> for SparseRef<'a> {
    fn from(vector: &'a SparseVector) -> Self {
        Self { indices: &vector.indices, values: &vector.values }
    }
}

#[derive(Debug, Default)]
pub(super) struct SparseColumn {
    indices: Box<[u32]>,
    values: Box<[f32]>,
    /// Where the values of row i end. Empty when no row has any.
    ends: Box<[u32]>,
    /// The dimensions that occur, ascending.
    terms: Box<[u32]>,
    /// The postings of term i are those from `starts[i]` to `starts[i + 1]`.
    starts: Box<[u32]>,
    /// Ascending for each term.
    posting_rows: Box<[u32]>,
    posting_values: Box<[f32]>,
}

impl SparseColumn {
    /// The vector of a row; `None` when it has none.
    pub(super) fn of(&self, row: usize) -> Option<SparseRef<'_>> {
        let end = *self.ends.get(row)? as usize;
        let start = row.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        (start < end).then(|| SparseRef {
            indices: &self.indices[start..end],
            values: &self.values[start..end],
        })
    }

    /// The sums of some rows, in their order; `None` when none of them shares a dimension with the
    /// query.
    pub(super) fn sums(&self, query: &SparseQuery, rows: &Range<usize>) -> Option<SparseSums> {
        let mut sums: Option<Vec<f64>> = None;
        for (dimension, weight) in query.entries() {
            let Ok(term) = self.terms.binary_search(&dimension) else { continue };
            let postings = self.starts[term] as usize..self.starts[term + 1] as usize;
            let posting_rows = &self.posting_rows[postings.clone()];
            let posting_values = &self.posting_values[postings];
            let first = posting_rows.partition_point(|&row| (row as usize) < rows.start);
            let last = posting_rows.partition_point(|&row| (row as usize) < rows.end);
            if first == last {
                continue;
            }
            let sums = sums.get_or_insert_with(|| vec![UNTOUCHED; rows.len()]);
            let weight = f64::from(weight);
            for (&row, &value) in posting_rows[first..last].iter().zip(&posting_values[first..last])
            {
                sums[row as usize - rows.start] += weight * f64::from(value) + 0.0;
            }
        }
        sums.map(SparseSums)
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val::<[u32]>(&self.indices)
            + size_of_val::<[f32]>(&self.values)
            + size_of_val::<[u32]>(&self.ends)
            + size_of_val::<[u32]>(&self.terms)
            + size_of_val::<[u32]>(&self.starts)
            + size_of_val::<[u32]>(&self.posting_rows)
            + size_of_val::<[f32]>(&self.posting_values)
    }
}

/// The inner product of the query with each of some rows.
#[derive(Debug)]
pub(super) struct SparseSums(Vec<f64>);

impl SparseSums {
    /// The sum of a row; `None` when it shares no dimension.
    pub(super) fn get(&self, at: usize) -> Option<f64> {
        let sum = self.0[at];
        (sum.to_bits() != UNTOUCHED.to_bits()).then_some(sum)
    }

    /// The rows that share a dimension, with their sums.
    pub(super) fn touched(&self) -> impl Iterator<Item = (usize, f64)> {
        (0..self.0.len()).filter_map(|at| self.get(at).map(|sum| (at, sum)))
    }
}

/// Collects sparse vectors, row by row.
#[derive(Debug, Default)]
pub(super) struct SparseColumnBuilder {
    indices: Vec<u32>,
    values: Vec<f32>,
    ends: Vec<u32>,
}

impl SparseColumnBuilder {
    /// Where the values will end after `more` of them; `None` when they are too many for one chunk.
    pub(super) fn end_after(&self, more: usize) -> Option<u32> {
        u32::try_from(self.values.len() + more).ok()
    }

    /// Adds the vector of the next row, which must fit ([`end_after`](Self::end_after)).
    pub(super) fn push(&mut self, vector: Option<SparseRef<'_>>, end: u32) {
        if let Some(vector) = vector {
            self.indices.extend_from_slice(vector.indices);
            self.values.extend_from_slice(vector.values);
        }
        self.ends.push(end);
    }

    pub(super) fn finish(self) -> SparseColumn {
        if self.values.is_empty() {
            return SparseColumn::default();
        }
        let mut postings = Vec::with_capacity(self.values.len());
        let mut start = 0;
        for (row, &end) in (0_u32..).zip(&self.ends) {
            let entries = start as usize..end as usize;
            for (&term, &value) in self.indices[entries.clone()].iter().zip(&self.values[entries]) {
                postings.push((u64::from(term) << 32 | u64::from(row), value));
            }
            start = end;
        }
        postings.sort_unstable_by_key(|posting| posting.0);
        let (mut terms, mut starts) = (Vec::new(), Vec::new());
        for (at, posting) in (0_u32..).zip(&postings) {
            let term = high_half(posting.0);
            if terms.last() != Some(&term) {
                terms.push(term);
                starts.push(at);
            }
        }
        starts.push(start);
        SparseColumn {
            indices: self.indices.into_boxed_slice(),
            values: self.values.into_boxed_slice(),
            ends: self.ends.into_boxed_slice(),
            terms: terms.into_boxed_slice(),
            starts: starts.into_boxed_slice(),
            posting_rows: postings.iter().map(|posting| low_half(posting.0)).collect(),
            posting_values: postings.iter().map(|posting| posting.1).collect(),
        }
    }
}

fn high_half(number: u64) -> u32 {
    (number >> 32) as u32
}

#[expect(clippy::cast_possible_truncation, reason = "half of the bits is the purpose")]
fn low_half(number: u64) -> u32 {
    number as u32
}
