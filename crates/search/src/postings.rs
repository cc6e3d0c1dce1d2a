//! The sparse vectors of a segment by dimension: for each that occurs, the rows that have it.
//!
//! A query walks over the postings of its own dimensions only. It does so in windows of rows small
//! enough that their sums stay in the nearest cache; windows without postings, or without a row that
//! may be found, are skipped.
//!
//! INVARIANT: the score of a row is the bits of
//! [`PreparedQuery::rescore`](crate::PreparedQuery::rescore): products in ascending order of
//! dimension, summed in f64, where a product of two f32 is exact, and rounded once.
//!
//! WHY no bounds per block, with which others skip most postings: measured on real text they cost
//! more than they saved, and negative values void them.

mod build;

use std::ops::Range;

pub(crate) use self::build::PostingsBuilder;
use crate::query::{SparseQuery, narrow};
use crate::rowset::{Mask, RowSet};
use lodgepole_container::SegmentError;
use lodgepole_container::{Container, Section};

/// Rows whose sums are kept at a time: 32 KiB of them.
const WINDOW_ROWS: u32 = 4_096;

/// The sum of a row that shares no dimension with the query. No sum of products is ever -0, because
/// products are taken with +0 for -0.
const UNTOUCHED: f64 = -0.0;

/// A sum as [`Postings::accumulate`] leaves it; `None` for a row that shares no dimension.
pub(crate) fn touched(sum: f64) -> Option<f64> {
    (sum.to_bits() != UNTOUCHED.to_bits()).then_some(sum)
}

/// The rows that a scan may find.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowed<'a> {
    /// Only these; `None` allows all.
    pub(crate) mask: Option<&'a Mask>,
    /// None of these.
    pub(crate) dead: &'a RowSet,
}

impl Allowed<'_> {
    fn contains(&self, row: u32) -> bool {
        self.mask.is_none_or(|mask| mask.contains(row)) && !self.dead.contains(row)
    }

    /// The first row at or after `row` that the mask allows.
    fn next(&self, row: u32) -> Option<u32> {
        let Some(mask) = self.mask else { return Some(row) };
        let words = mask.words().get(row as usize / 64..)?;
        let (first, rest) = words.split_first()?;
        let here = first >> (row % 64);
        if here != 0 {
            return Some(row + here.trailing_zeros());
        }
        let at = rest.iter().position(|word| *word != 0)?;
        let ahead = u32::try_from((at + 1) * 64).ok()?;
        Some(row / 64 * 64 + ahead + rest[at].trailing_zeros())
    }
}

/// Takes what a scan finds.
pub(crate) trait SparseHits {
    /// The least score that is still wanted.
    fn threshold(&self) -> f32;

    /// An allowed row with at least that score.
    ///
    /// # Errors
    /// Ends the scan.
    fn hit(&mut self, row: u32, score: f32) -> Result<(), SegmentError>;
}

/// The postings of a segment, read in place. Cheap to make: one for each query.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Postings<'a> {
    container: &'a Container,
    terms: usize,
}

/// What is left of the postings of one dimension of the query.
#[derive(Debug, Clone, Copy)]
struct List<'a> {
    weight: f64,
    rows: &'a [u32],
    values: &'a [f32],
}

impl<'a> List<'a> {
    /// Drops the postings before a row.
    fn skip_to(&mut self, row: u32) {
        if self.rows.first().is_some_and(|&first| first < row) {
            self.skip(self.rows.partition_point(|&before| before < row));
        }
    }

    fn skip(&mut self, postings: usize) {
        self.rows = &self.rows[postings..];
        self.values = &self.values[postings..];
    }

    /// Adds the products of the rows from `start` on to their sums, as far as there are sums, and
    /// drops these postings. Returns how many they were.
    fn add_to(&mut self, start: u32, sums: &mut [f64]) -> usize {
        let mut added = 0;
        for (&row, &value) in self.rows.iter().zip(self.values) {
            let Some(sum) = sums.get_mut(row.wrapping_sub(start) as usize) else { break };
            *sum += self.weight * f64::from(value) + 0.0;
            added += 1;
        }
        self.skip(added);
        added
    }
}

impl<'a> Postings<'a> {
    /// Opens the postings of a segment; one without any has none to find.
    ///
    /// # Errors
    /// [`SegmentError::Damaged`] when their parts do not belong together.
    pub(crate) fn open(container: &'a Container) -> Result<Self, SegmentError> {
        let terms = container.count::<u32>(Section::PostingsTerms);
        if container.count::<u64>(Section::PostingsEnds) != terms {
            return Err(SegmentError::damaged(Section::PostingsEnds));
        }
        Ok(Self { container, terms })
    }

    /// Finds every allowed row of a range that shares a dimension with the query and whose score is
    /// wanted, by ascending row.
    ///
    /// # Errors
    /// [`SegmentError::Damaged`] when the postings are; and what `hits` reports.
    pub(crate) fn scan(
        &self,
        query: &SparseQuery,
        rows: Range<u32>,
        allowed: Allowed<'_>,
        hits: &mut impl SparseHits,
    ) -> Result<(), SegmentError> {
        let mut lists = self.lists(query, rows.start)?;
        let mut sums = vec![UNTOUCHED; WINDOW_ROWS as usize];
        let mut counted = Vec::with_capacity(lists.len());
        while let Some(first) = lists.iter().filter_map(|list| list.rows.first().copied()).min() {
            let Some(next) = allowed.next(first).filter(|next| *next < rows.end) else { break };
            let start = next - next % WINDOW_ROWS;
            let length = WINDOW_ROWS.min(rows.end - start) as usize;
            counted.clear();
            for list in &mut lists {
                list.skip_to(start);
                let before = *list;
                counted.push((before.rows, list.add_to(start, &mut sums[..length])));
            }
            let postings: usize = counted.iter().map(|(_, count)| count).sum();
            let window = Window { start, sums: &mut sums[..length], allowed };
            if postings < length / 8 {
                let touched = counted.iter().flat_map(|(rows, count)| &rows[..*count]);
                window.visit(touched, hits)?;
            } else {
                window.visit_all(hits)?;
            }
            lists.retain(|list| !list.rows.is_empty());
        }
        Ok(())
    }

    /// The inner product of the query with each row of a window, one for each of `sums`; read them
    /// with [`touched`]. Returns whether any row shares a dimension.
    ///
    /// # Errors
    /// [`SegmentError::Damaged`] when the postings are.
    pub(crate) fn accumulate(
        &self,
        query: &SparseQuery,
        start: u32,
        sums: &mut [f64],
    ) -> Result<bool, SegmentError> {
        sums.fill(UNTOUCHED);
        let mut any = false;
        for mut list in self.lists(query, start)? {
            any |= list.add_to(start, sums) > 0;
        }
        Ok(any)
    }

    /// The postings of the query's dimensions from a row on, by ascending dimension.
    fn lists(&self, query: &SparseQuery, start: u32) -> Result<Vec<List<'a>>, SegmentError> {
        let places = self.places(query)?;
        let mut lists = Vec::with_capacity(places.len());
        for (weight, place) in places {
            let rows = self.container.u32s(Section::PostingsRows, place.clone())?;
            let values = self.container.f32s(Section::PostingsValues, place)?;
            let mut list = List { weight: f64::from(weight), rows, values };
            list.skip_to(start);
            if !list.rows.is_empty() {
                lists.push(list);
            }
        }
        Ok(lists)
    }

    fn places(&self, query: &SparseQuery) -> Result<Vec<(f32, Range<usize>)>, SegmentError> {
        let terms = self.container.u32s(Section::PostingsTerms, 0..self.terms)?;
        let mut places = Vec::new();
        for (dimension, weight) in query.entries() {
            let Ok(term) = terms.binary_search(&dimension) else { continue };
            places.push((weight, self.end_of(term)?..self.end_of(term + 1)?));
        }
        Ok(places)
    }

    /// Where the postings before a term end.
    fn end_of(&self, terms: usize) -> Result<usize, SegmentError> {
        let Some(last) = terms.checked_sub(1) else { return Ok(0) };
        let end = self.container.u64s(Section::PostingsEnds, last..terms)?[0];
        usize::try_from(end).map_err(|_| SegmentError::damaged(Section::PostingsEnds))
    }
}

/// The sums of some rows in a row.
struct Window<'s, 'a> {
    start: u32,
    sums: &'s mut [f64],
    allowed: Allowed<'a>,
}

impl Window<'_, '_> {
    /// Looks at some rows, which may repeat, and clears their sums.
    fn visit<'r>(
        self,
        rows: impl Iterator<Item = &'r u32>,
        hits: &mut impl SparseHits,
    ) -> Result<(), SegmentError> {
        for &row in rows {
            let at = (row - self.start) as usize;
            let sum = std::mem::replace(&mut self.sums[at], UNTOUCHED);
            if let Some(sum) = touched(sum) {
                self.offer(row, sum, hits)?;
            }
        }
        Ok(())
    }

    /// Looks at every row, and clears the sums.
    fn visit_all(self, hits: &mut impl SparseHits) -> Result<(), SegmentError> {
        const AT_ONCE: u32 = 16;
        for (block, sums) in (0_u32..).zip(self.sums.chunks(AT_ONCE as usize)) {
            // PERF: nearly all rows are below the bar; asked together, without branches.
            let bar = f64::from(hits.threshold().next_down());
            let best = sums.iter().fold(false, |any, sum| any | (*sum >= bar));
            if !best {
                continue;
            }
            let first = self.start + block * AT_ONCE;
            for (row, sum) in (first..).zip(sums) {
                if let Some(sum) = touched(*sum) {
                    self.offer(row, sum, hits)?;
                }
            }
        }
        self.sums.fill(UNTOUCHED);
        Ok(())
    }

    fn offer(&self, row: u32, sum: f64, hits: &mut impl SparseHits) -> Result<(), SegmentError> {
        let score = narrow(sum);
        if score >= hits.threshold() && self.allowed.contains(row) {
            hits.hit(row, score)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
