//! Which seeds a program of this crate runs, and how it closes.
//!
//! The programs of examples/ that run one case for each seed take the same words and end with the same
//! lines, which scripts/long.py reads.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

const THREADS_DEFAULT: usize = 2;

/// Seeds to be run in one go. Portions can be run one after the other and added up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Portion {
    /// The seeds; the end is not included.
    pub seeds: Range<u64>,
    /// How many run at once, at least 1.
    pub threads: usize,
}

impl Portion {
    /// From the words `FIRST END [THREADS]`; `None` for any others.
    #[must_use]
    pub fn parse(words: impl Iterator<Item = String>) -> Option<Self> {
        let numbers: Option<Vec<u64>> = words.map(|text| text.parse().ok()).collect();
        let (first, end, threads) = match numbers?.as_slice() {
            [first, end] => (*first, *end, THREADS_DEFAULT),
            [first, end, threads] => (*first, *end, usize::try_from(*threads).ok()?),
            _ => return None,
        };
        (threads > 0).then_some(Self { seeds: first..end, threads })
    }

    /// The last lines: how long `cases` took, and how many of them `failed`.
    #[must_use]
    pub fn closing(&self, took: Duration, cases: u64, failed: u64) -> impl fmt::Display + use<> {
        let Range { start, end } = self.seeds;
        let passed = cases.saturating_sub(failed);
        format!("seeds {start} to {end}, {} s\n{passed} passed, {failed} failed", took.as_secs())
    }
}

#[cfg(test)]
mod tests {
    //! Goal: what is not understood is refused, and not run as something else. Method: words by hand.
    use super::*;

    fn parsed(words: &str) -> Option<Portion> {
        Portion::parse(words.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn a_portion_is_two_numbers_and_threads_if_wanted() {
        assert_eq!(parsed("3 9"), Some(Portion { seeds: 3..9, threads: THREADS_DEFAULT }));
        assert_eq!(parsed("3 9 1"), Some(Portion { seeds: 3..9, threads: 1 }));
        for words in ["", "3", "3 x", "3 9 0", "3 9 1 1", "-1 9"] {
            assert_eq!(parsed(words), None, "{words}");
        }
    }

    #[test]
    fn the_last_line_counts_what_passed() {
        let portion = parsed("3 9").unwrap();
        let closing = portion.closing(Duration::from_secs(7), 6, 2).to_string();
        assert_eq!(closing, "seeds 3 to 9, 7 s\n4 passed, 2 failed");
    }
}
