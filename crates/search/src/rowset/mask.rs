//! The rows that one query may find, one bit a row.

use super::RowSet;

/// A set of rows of one segment, as words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mask {
    rows: usize,
    words: Vec<u64>,
    ones: usize,
}

impl Mask {
    /// No row.
    pub(crate) fn none(rows: usize) -> Self {
        Self { rows, words: vec![0; rows.div_ceil(64)], ones: 0 }
    }

    /// Every row.
    pub(crate) fn all(rows: usize) -> Self {
        let mut words = vec![u64::MAX; rows.div_ceil(64)];
        if let Some(last) = words.last_mut()
            && !rows.is_multiple_of(64)
        {
            *last = (1 << (rows % 64)) - 1;
        }
        Self { rows, words, ones: rows }
    }

    /// The rows of words; bits past the last row are dropped.
    pub(crate) fn of_words(rows: usize, mut words: Vec<u64>) -> Self {
        words.resize(rows.div_ceil(64), 0);
        if let Some(last) = words.last_mut()
            && !rows.is_multiple_of(64)
        {
            *last &= (1 << (rows % 64)) - 1;
        }
        let mut mask = Self { rows, words, ones: 0 };
        mask.count();
        mask
    }

    /// Some rows, in any order; rows that the segment does not have are left out.
    pub(crate) fn of_rows(rows: usize, some: &[u32]) -> Self {
        let mut mask = Self::none(rows);
        mask.insert_all(some);
        mask
    }

    /// How many rows are in the set.
    pub(crate) fn ones(&self) -> usize {
        self.ones
    }

    /// The rows, 64 a word, lowest bit first.
    pub(crate) fn words(&self) -> &[u64] {
        &self.words
    }

    /// Whether the row is in the set.
    pub(crate) fn contains(&self, row: u32) -> bool {
        let word = self.words.get(row as usize / 64);
        word.is_some_and(|word| word >> (row % 64) & 1 != 0)
    }

    /// The rows, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.words.iter().enumerate().flat_map(|(at, word)| ones_of(at, *word))
    }

    /// Takes out what is in `set`.
    pub(crate) fn and_not(&mut self, set: &RowSet) {
        if set.is_empty() {
            return;
        }
        for (at, word) in self.words.iter_mut().enumerate() {
            *word &= !set.word(at);
        }
        self.count();
    }

    pub(super) fn count(&mut self) {
        self.ones = self.words.iter().map(|word| word.count_ones() as usize).sum();
    }

    /// Adds rows, in any order; those that the segment does not have are left out.
    pub(crate) fn insert_all(&mut self, some: &[u32]) {
        for &row in some.iter().filter(|&&row| (row as usize) < self.rows) {
            let word = &mut self.words[row as usize / 64];
            let bit = 1 << (row % 64);
            self.ones += usize::from(*word & bit == 0);
            *word |= bit;
        }
    }

    /// Takes out rows, in any order.
    pub(crate) fn remove_all(&mut self, some: &[u32]) {
        for &row in some.iter().filter(|&&row| (row as usize) < self.rows) {
            let word = &mut self.words[row as usize / 64];
            let bit = 1 << (row % 64);
            self.ones -= usize::from(*word & bit != 0);
            *word &= !bit;
        }
    }

    /// Combines each word with that of another set; bits past the last row stay 0 as long as
    /// `combine` does not make ones out of zeros of its first operand, or of both.
    pub(crate) fn combine(&mut self, words: &[u64], combine: impl Fn(u64, u64) -> u64) {
        let others = words.iter().copied().chain(std::iter::repeat(0));
        for (word, other) in self.words.iter_mut().zip(others) {
            *word = combine(*word, other);
        }
        self.count();
    }
}

/// The rows of a word.
pub(super) fn ones_of(at: usize, word: u64) -> impl Iterator<Item = u32> {
    #[expect(clippy::cast_possible_truncation, reason = "rows are numbered in 32 bits")]
    let first = at as u32 * 64;
    let mut rest = word;
    std::iter::from_fn(move || {
        let bit = (rest != 0).then(|| rest.trailing_zeros())?;
        rest &= rest - 1;
        Some(first + bit)
    })
}
