//! Numbers of a field, in ascending order, each with its row.
//!
//! A comparison or an equality is a run of this order, found by binary search. What the run's rows
//! are then used for decides how they are read. A few are copied. Many are turned to bits: bits of
//! all numbers below some places ([`STEPS`]) are kept, so that only the rows between the ends of the
//! run and the nearest such places are looked at one by one. And where the rows to check are already
//! few, each is looked up in the ranks: the place of each row's number in the order.
//!
//! INVARIANT: numbers are kept as keys ([`key`]) whose order as integers is the order of the
//! numbers; 0 and -0 have one key, and NaN, which equals and follows nothing, is not kept.

use std::ops::Range;

use lodgepole_types::Comparison;

use super::layout::{index, put_bits};
use crate::rowset::Mask;
use lodgepole_container::SegmentError;
use lodgepole_container::{Container, Section};

/// Into how many equal parts the order is cut by places whose bits are kept.
const STEPS: usize = 16;
/// Fewer numbers have neither such bits nor ranks.
const DENSE_MIN: usize = 2_048;
/// Nor have numbers of fewer than one in so many rows.
const DENSE_SHARE: usize = 8;
/// The rank of a row without a number.
const NO_RANK: u32 = u32::MAX;

/// Where the numbers of a field are.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Place {
    count: usize,
    /// First key in [`Section::ColumnsNumbers`].
    keys: usize,
    /// First row in [`Section::ColumnsNumberRows`]; behind them, the ranks.
    rows: usize,
    /// First word of the first step in [`Section::ColumnsSets`].
    steps: usize,
}

/// The number as an integer that sorts the same.
pub(super) fn key(number: f64) -> u64 {
    // WHY plus zero: it turns -0 into 0.
    let bits = (number + 0.0).to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

fn is_dense(count: usize, rows: usize) -> bool {
    count >= DENSE_MIN && count >= rows / DENSE_SHARE
}

/// What the numbers of all fields are written to.
#[derive(Debug, Default)]
pub(super) struct NumberSections {
    pub(super) keys: Vec<u64>,
    pub(super) rows: Vec<u32>,
}

impl Place {
    /// Lays out the numbers of some rows, by key; of a row there may be several.
    pub(super) fn put(mut numbers: Vec<(u64, u32)>, sections: &mut NumberSections) -> Self {
        numbers.sort_unstable();
        numbers.dedup();
        let place = Self {
            count: numbers.len(),
            keys: sections.keys.len(),
            rows: sections.rows.len(),
            steps: 0,
        };
        sections.keys.extend(numbers.iter().map(|number| number.0));
        sections.rows.extend(numbers.iter().map(|number| number.1));
        place
    }

    /// Lays out the numbers of some rows, one a row, with what makes long runs cheap.
    pub(super) fn put_one_a_row(
        rows: usize,
        numbers: Vec<(u64, u32)>,
        sections: &mut NumberSections,
        sets: &mut Vec<u64>,
    ) -> Self {
        let place = Self { steps: sets.len(), ..Self::put(numbers, sections) };
        if is_dense(place.count, rows) {
            let ordered = &sections.rows[place.rows..];
            for step in 1..=STEPS {
                put_bits(rows, &ordered[..step_at(place.count, step)], sets);
            }
            let mut ranks = vec![NO_RANK; rows];
            for (rank, &row) in (0_u32..).zip(ordered) {
                ranks[row as usize] = rank;
            }
            sections.rows.extend(ranks);
        }
        place
    }

    pub(super) fn encode(&self) -> [u64; 4] {
        [self.count, self.keys, self.rows, self.steps].map(|place| place as u64)
    }

    pub(super) fn decode(words: [u64; 4]) -> Result<Self, SegmentError> {
        let [count, keys, rows, steps] = words;
        Ok(Self {
            count: index(count)?,
            keys: index(keys)?,
            rows: index(rows)?,
            steps: index(steps)?,
        })
    }

    /// The run of numbers that stand so to `bound`.
    pub(super) fn compared(
        &self,
        container: &Container,
        comparison: Comparison,
        bound: f64,
    ) -> Result<Range<usize>, SegmentError> {
        if self.count == 0 || bound.is_nan() {
            return Ok(0..0);
        }
        let keys = self.keys(container)?;
        let bound = key(bound);
        let below = || keys.partition_point(|&key| key < bound);
        let up_to = || keys.partition_point(|&key| key <= bound);
        Ok(match comparison {
            Comparison::Greater => up_to()..self.count,
            Comparison::GreaterOrEqual => below()..self.count,
            Comparison::Less => 0..below(),
            Comparison::LessOrEqual => 0..up_to(),
        })
    }

    /// The run of numbers equal to `number`; its rows ascend.
    pub(super) fn equal(
        &self,
        container: &Container,
        number: f64,
    ) -> Result<Range<usize>, SegmentError> {
        if self.count == 0 || number.is_nan() {
            return Ok(0..0);
        }
        let keys = self.keys(container)?;
        let number = key(number);
        let start = keys.partition_point(|&key| key < number);
        let equal = keys[start..].partition_point(|&key| key == number);
        Ok(start..start + equal)
    }

    /// The rows of a run, in the order of numbers, and of rows where these are equal.
    pub(super) fn rows<'a>(
        &self,
        container: &'a Container,
        run: &Range<usize>,
    ) -> Result<&'a [u32], SegmentError> {
        let range = self.rows + run.start..self.rows + run.end;
        container.u32s(Section::ColumnsNumberRows, range)
    }

    /// Keeps those of some rows that are in the run of numbers laid out one a row. `false`, and
    /// nothing done, when there are no ranks.
    pub(super) fn keep(
        &self,
        container: &Container,
        rows: usize,
        run: &Range<usize>,
        some: &mut Vec<u32>,
    ) -> Result<bool, SegmentError> {
        if !is_dense(self.count, rows) {
            return Ok(false);
        }
        let start = self.rows + self.count;
        let mut kept = 0;
        for at in 0..some.len() {
            // One by one: each read checks no more than the chunk that it needs.
            let place = start + some[at] as usize;
            let rank = container.u32s(Section::ColumnsNumberRows, place..place + 1)?[0];
            if rank != NO_RANK && run.contains(&(rank as usize)) {
                some[kept] = some[at];
                kept += 1;
            }
        }
        some.truncate(kept);
        Ok(true)
    }

    /// The rows of a run of numbers laid out one a row, as bits.
    pub(super) fn mask(
        &self,
        container: &Container,
        rows: usize,
        run: &Range<usize>,
    ) -> Result<Mask, SegmentError> {
        if !is_dense(self.count, rows) {
            return Ok(Mask::of_rows(rows, self.rows(container, run)?));
        }
        let (first, last) = (self.nearest_step(run.start), self.nearest_step(run.end));
        if first >= last {
            return Ok(Mask::of_rows(rows, self.rows(container, run)?));
        }
        let above = self.step(container, rows, last)?;
        let mut mask = match first {
            0 => Mask::of_words(rows, above.to_vec()),
            _ => {
                let below = self.step(container, rows, first)?;
                let words = above.iter().zip(below).map(|(above, below)| above & !below);
                Mask::of_words(rows, words.collect())
            }
        };
        let (from, to) = (step_at(self.count, first), step_at(self.count, last));
        if run.start < from {
            mask.insert_all(self.rows(container, &(run.start..from))?);
        } else {
            mask.remove_all(self.rows(container, &(from..run.start))?);
        }
        if to < run.end {
            mask.insert_all(self.rows(container, &(to..run.end))?);
        } else {
            mask.remove_all(self.rows(container, &(run.end..to))?);
        }
        Ok(mask)
    }

    fn keys<'a>(&self, container: &'a Container) -> Result<&'a [u64], SegmentError> {
        container.u64s(Section::ColumnsNumbers, self.keys..self.keys + self.count)
    }

    fn nearest_step(&self, place: usize) -> usize {
        let below = place * STEPS / self.count;
        let next = (below + 1).min(STEPS);
        let is_nearer =
            place.abs_diff(step_at(self.count, next)) < place.abs_diff(step_at(self.count, below));
        if is_nearer { next } else { below }
    }

    /// The bits of all numbers before a step; before the last one, of all numbers.
    fn step<'a>(
        &self,
        container: &'a Container,
        rows: usize,
        step: usize,
    ) -> Result<&'a [u64], SegmentError> {
        let words = rows.div_ceil(64);
        let start = self.steps + (step - 1) * words;
        container.u64s(Section::ColumnsSets, start..start + words)
    }
}

/// How many numbers stand before a step.
fn step_at(count: usize, step: usize) -> usize {
    count * step / STEPS
}
