//! Collects sparse vectors and lays them out by dimension.
//!
//! Memory: 8 bytes a value while collecting, 4 more while writing.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::flat::SparseRef;
use lodgepole_container::SegmentError;
use lodgepole_container::{Section, SegmentWriter};

/// Collects sparse vectors, by ascending row.
#[derive(Debug, Default)]
pub(crate) struct PostingsBuilder {
    /// A small number for each dimension that occurs.
    numbers: HashMap<u32, u32, BuildHasherDefault<DimensionHasher>>,
    /// Per number: the dimension, and how many values it has.
    terms: Vec<(u32, usize)>,
    /// Per value, in row order: the number of its dimension.
    value_terms: Vec<u32>,
    values: Vec<f32>,
    /// Per row with values: the row, and where its values end.
    ends: Vec<(u32, usize)>,
}

impl PostingsBuilder {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds the vector of a row, which follows all rows added before.
    ///
    /// # Errors
    /// [`SegmentError::TooLarge`] when more dimensions occur than can be numbered.
    pub(crate) fn push(&mut self, row: u32, vector: SparseRef<'_>) -> Result<(), SegmentError> {
        for (&dimension, &value) in vector.indices.iter().zip(vector.values) {
            let next = u32::try_from(self.terms.len())
                .map_err(|_| SegmentError::TooLarge { what: "sparse dimensions" })?;
            let number = *self.numbers.entry(dimension).or_insert(next);
            if number == next {
                self.terms.push((dimension, 0));
            }
            self.terms[number as usize].1 += 1;
            self.value_terms.push(number);
            self.values.push(value);
        }
        self.ends.push((row, self.values.len()));
        Ok(())
    }

    /// Writes the sections of the postings; none when no row has a sparse value.
    ///
    /// # Errors
    /// What writing reports.
    pub(crate) fn write(mut self, writer: &mut SegmentWriter<'_>) -> Result<(), SegmentError> {
        if self.values.is_empty() {
            return Ok(());
        }
        self.numbers = HashMap::default();
        let mut order: Vec<usize> = (0..self.terms.len()).collect();
        order.sort_unstable_by_key(|&number| self.terms[number].0);
        let mut starts = vec![0; order.len()];
        let (mut terms, mut ends) =
            (Vec::with_capacity(order.len()), Vec::with_capacity(order.len()));
        let mut end = 0;
        for number in order {
            starts[number] = end;
            end += self.terms[number].1;
            terms.push(self.terms[number].0);
            ends.push(end as u64);
        }
        writer.section(Section::PostingsTerms, &terms)?;
        writer.section(Section::PostingsEnds, &ends)?;
        drop((terms, ends));
        // Rows come in order, so putting each posting behind the last of its term sorts them.
        let mut rows = vec![0_u32; end];
        let mut next = starts.clone();
        let mut from = 0;
        for &(row, end) in &self.ends {
            for &term in &self.value_terms[from..end] {
                rows[next[term as usize]] = row;
                next[term as usize] += 1;
            }
            from = end;
        }
        writer.section(Section::PostingsRows, &rows)?;
        drop(rows);
        let mut values = vec![0_f32; end];
        for (&term, &value) in self.value_terms.iter().zip(&self.values) {
            values[starts[term as usize]] = value;
            starts[term as usize] += 1;
        }
        writer.section(Section::PostingsValues, &values)
    }
}

/// Spreads dimensions, which are chosen by whoever made the vectors and at worst cost time.
#[derive(Debug, Default, Clone, Copy)]
struct DimensionHasher(u64);

impl Hasher for DimensionHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u32(u32::from(byte));
        }
    }

    fn write_u32(&mut self, dimension: u32) {
        /// Odd, its bits without a pattern: the golden ratio.
        const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
        let product = (self.0 ^ u64::from(dimension)).wrapping_mul(SPREAD);
        self.0 = product ^ product >> 32;
    }
}
