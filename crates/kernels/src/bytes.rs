//! Rows of 8-bit values: quantising them, and their exact inner products.
//!
//! The second stage of a search: a quarter of the bytes of f32 rows, and an error small enough to
//! order candidates by. Inner products are exact sums of integers, so all tiers agree to the bit.

use crate::Kernels;

/// Rows are shorter than this: the largest sums still fit 32 bits.
const VALUES_MAX: usize = 1 << 17;

impl Kernels {
    /// Writes the values as multiples of the returned scale, nearest first: `value` is about
    /// `code * scale`. The largest magnitude gets 127; −128 does not occur. Scale and codes are 0
    /// when all values are, or are too small to divide by (below 4e-37). Values are finite. All
    /// tiers give the same bits.
    ///
    /// # Panics
    /// When the lengths differ.
    pub fn quantise_i8(self, values: &[f32], out: &mut [i8]) -> f32 {
        assert_eq!(values.len(), out.len(), "a code for each value");
        // SAFETY: a Kernels exists only for a tier that this processor has.
        unsafe { (self.table().quantise_i8)(values, out) }
    }

    /// The inner product, exact for all codes.
    ///
    /// # Panics
    /// When the lengths differ, or are 131,072 or above.
    #[must_use]
    pub fn dot_i8(self, a: &[i8], b: &[i8]) -> i32 {
        assert!(a.len() < VALUES_MAX, "sums of 32 bits");
        // SAFETY: a Kernels exists only for a tier that this processor has.
        unsafe { (self.table().dot_i8)(a, b) }
    }

    /// The inner product of the query with each row; shapes as in [`dot_rows`](Self::dot_rows).
    ///
    /// # Panics
    /// When `rows` does not have n × d codes, or d is 131,072 or above.
    pub fn dot_i8_rows(self, query: &[i8], rows: &[i8], out: &mut [i32]) {
        assert!(query.len() < VALUES_MAX, "sums of 32 bits");
        assert_eq!(rows.len(), query.len() * out.len(), "as many codes as rows times dimensions");
        if query.is_empty() {
            out.fill(0);
            return;
        }
        // SAFETY: a Kernels exists only for a tier that this processor has.
        unsafe { (self.table().dot_i8_rows)(query, rows, out) }
    }

    /// The inner product of the query with the rows of the numbers `at`, in their order. Asks for
    /// the next rows from memory while it sums the present ones, so candidates spread over a large
    /// segment cost less than with one call each.
    ///
    /// # Panics
    /// When `rows` is not whole rows, when `out` and `at` differ in length, when a number is beyond
    /// the rows, or when a row has 131,072 codes or more.
    pub fn dot_i8_at(self, query: &[i8], rows: &[i8], at: &[u32], out: &mut [i32]) {
        assert!(query.len() < VALUES_MAX, "sums of 32 bits");
        assert_eq!(at.len(), out.len(), "a place for each row");
        if query.is_empty() {
            out.fill(0);
            return;
        }
        assert!(rows.len().is_multiple_of(query.len()), "whole rows");
        // SAFETY: a Kernels exists only for a tier that this processor has.
        unsafe { (self.table().dot_i8_at)(query, rows, at, out) }
    }
}

/// Defines the functions of 8-bit rows from `byte_block::<ROWS>(query, rows) -> [i32; ROWS]` in
/// scope.
macro_rules! byte_functions {
    ($(#[$attribute:meta])* rows_at_once: $rows_at_once:expr) => {
        $(#[$attribute])*
        pub(crate) fn dot_i8(a: &[i8], b: &[i8]) -> i32 {
            byte_block::<1>(a, [b])[0]
        }

        $(#[$attribute])*
        pub(crate) fn dot_i8_rows(query: &[i8], rows: &[i8], out: &mut [i32]) {
            const AT_ONCE: usize = $rows_at_once;
            let dimension = query.len();
            let mut groups = rows.chunks_exact(AT_ONCE * dimension);
            let (outs, rest) = out.as_chunks_mut::<AT_ONCE>();
            for (group, out) in groups.by_ref().zip(outs) {
                let split = std::array::from_fn(|i| &group[i * dimension..(i + 1) * dimension]);
                *out = byte_block::<AT_ONCE>(query, split);
            }
            for (row, out) in groups.remainder().chunks_exact(dimension).zip(rest) {
                *out = byte_block::<1>(query, [row])[0];
            }
        }

        $(#[$attribute])*
        pub(crate) fn dot_i8_at(query: &[i8], rows: &[i8], at: &[u32], out: &mut [i32]) {
            const AT_ONCE: usize = $rows_at_once;
            let row = |number: u32| &rows[number as usize * query.len()..][..query.len()];
            let (groups, last) = at.as_chunks::<AT_ONCE>();
            let (outs, rest) = out.as_chunks_mut::<AT_ONCE>();
            let mut ahead = at.iter();
            for number in ahead.by_ref().take(crate::prefetch::ROWS_AHEAD) {
                crate::prefetch::prefetch_start(row(*number));
            }
            for (group, out) in groups.iter().zip(outs) {
                for number in ahead.by_ref().take(AT_ONCE) {
                    crate::prefetch::prefetch_start(row(*number));
                }
                *out = byte_block::<AT_ONCE>(query, group.map(row));
            }
            for (number, out) in last.iter().zip(rest) {
                *out = byte_block::<1>(query, [row(*number)])[0];
            }
        }
    };
}

#[cfg(test)]
mod tests;
