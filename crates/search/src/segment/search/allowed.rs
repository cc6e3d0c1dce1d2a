//! The rows of one segment that a search may find: alive, and matching the filter.

use std::ops::Range;

use lodgepole_types::Filter;

use crate::columns::{Columns, FilterMatches};
use crate::rowset::{Mask, RowSet};
use crate::segment::{LiveSegment, SegmentError};

/// Rows, in the form that costs least.
#[derive(Debug)]
pub(in crate::segment) enum Allowed<'a> {
    /// All of them.
    All,
    /// All but the dead ones.
    Living(&'a RowSet),
    /// Few, ascending.
    Few(Vec<u32>),
    /// Many, but not all.
    Many(Mask),
}

impl<'a> Allowed<'a> {
    /// Evaluates the filter.
    pub(in crate::segment) fn of(
        live: &LiveSegment<'a>,
        filter: Option<&Filter>,
    ) -> Result<Self, SegmentError> {
        let Some(filter) = filter.filter(|filter| !filter.is_empty()) else {
            return Ok(if live.dead.is_empty() { Self::All } else { Self::Living(live.dead) });
        };
        let segment = live.segment;
        let matches = Columns::open(&segment.container)?.mask(filter, segment.rows())?;
        Ok(match matches {
            FilterMatches::Few(mut rows) => {
                rows.retain(|row| !live.dead.contains(*row));
                Self::Few(rows)
            }
            FilterMatches::Many(mut mask) => {
                mask.and_not(live.dead);
                Self::Many(mask)
            }
        })
    }

    /// How many rows these are, of `rows`.
    pub(in crate::segment) fn count(&self, rows: usize) -> usize {
        match self {
            Self::All => rows,
            Self::Living(dead) => rows.saturating_sub(dead.len()),
            Self::Few(few) => few.len(),
            Self::Many(mask) => mask.ones(),
        }
    }

    /// Whether every row is allowed.
    pub(super) fn is_all(&self) -> bool {
        matches!(self, Self::All)
    }

    /// Those below `rows`, ascending.
    pub(super) fn below(&self, rows: usize) -> Vec<u32> {
        let all = 0..narrow(rows);
        match self {
            Self::All => all.collect(),
            Self::Living(dead) => all.filter(|row| !dead.contains(*row)).collect(),
            Self::Few(few) => few.iter().copied().filter(|row| (*row as usize) < rows).collect(),
            Self::Many(mask) => mask.iter().take_while(|row| (*row as usize) < rows).collect(),
        }
    }

    /// Those in a run of rows, ascending.
    pub(super) fn within(&self, rows: Range<usize>) -> Vec<u32> {
        let numbers = narrow(rows.start)..narrow(rows.end);
        match self {
            Self::All => numbers.collect(),
            Self::Living(dead) => numbers.filter(|row| !dead.contains(*row)).collect(),
            Self::Few(few) => few.iter().copied().filter(|row| numbers.contains(row)).collect(),
            Self::Many(mask) => numbers.filter(|row| mask.contains(*row)).collect(),
        }
    }

    /// How many of a run of rows are allowed.
    pub(super) fn count_in(&self, rows: Range<usize>) -> usize {
        let starts = rows.clone().step_by(64);
        starts
            .map(|start| self.bits(start, rows.end.min(start + 64) - start).count_ones() as usize)
            .sum()
    }

    /// One word for each 32 lists, by their first rows: which of them have rows that are allowed.
    pub(super) fn list_words(&self, starts: &[u32]) -> Vec<u32> {
        let mut words = vec![0_u32; starts.len().saturating_sub(1).div_ceil(32)];
        for (list, bounds) in starts.windows(2).enumerate() {
            let (start, end) = (bounds[0] as usize, bounds[1] as usize);
            let any = (start..end)
                .step_by(64)
                .any(|start| self.bits(start, end.min(start + 64) - start) != 0);
            words[list / 32] |= u32::from(any) << (list % 32);
        }
        words
    }

    /// One word for the up to 32 rows of a block.
    pub(super) fn block_word(&self, rows: Range<usize>) -> u32 {
        if self.is_all() {
            return u32::MAX;
        }
        u32::try_from(self.bits(rows.start, rows.len())).unwrap_or(u32::MAX)
    }

    /// Up to 64 rows from `start` on.
    fn bits(&self, start: usize, count: usize) -> u64 {
        let word = |at: usize| match self {
            Self::All => u64::MAX,
            Self::Living(dead) => !dead.word(at),
            Self::Few(few) => word_of(few, at),
            Self::Many(mask) => mask.words().get(at).copied().unwrap_or(0),
        };
        let (at, shift) = (start / 64, start % 64);
        let low = word(at) >> shift;
        let high = if shift == 0 || shift + count <= 64 { 0 } else { word(at + 1) << (64 - shift) };
        let keep = if count >= 64 { u64::MAX } else { (1 << count) - 1 };
        (low | high) & keep
    }
}

/// The rows from 64 `at` on.
fn word_of(few: &[u32], at: usize) -> u64 {
    let first = few.partition_point(|row| (*row as usize) < at * 64);
    let here = few[first..].iter().take_while(|row| **row as usize / 64 == at);
    here.fold(0, |word, row| word | 1 << (row % 64))
}

/// Rows are numbered in 32 bits.
fn narrow(row: usize) -> u32 {
    u32::try_from(row).unwrap_or(u32::MAX)
}
