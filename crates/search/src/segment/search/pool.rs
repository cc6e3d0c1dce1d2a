//! The rows that may be among the nearest by their codes, over all segments of a search.
//!
//! One threshold for all: what the first segments found keeps rows of the next ones out. It lies a
//! margin behind the k-th best estimate, as wide as the errors of the estimates were measured to be.

use std::cmp::Ordering;

/// A row with an estimate.
#[derive(Debug, Clone, Copy)]
pub(in crate::segment) struct Entry {
    pub(in crate::segment) estimate: f32,
    pub(in crate::segment) segment: u32,
    pub(in crate::segment) row: u32,
}

impl Entry {
    /// A total order, so that the same rows give the same answer.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        let by_place = (self.segment, self.row).cmp(&(other.segment, other.row));
        self.estimate.total_cmp(&other.estimate).then(by_place)
    }
}

/// The rows up to a margin behind the k-th best estimate. Cut back by selection whenever it holds
/// twice as many as after the last time.
#[derive(Debug)]
pub(in crate::segment) struct Pool {
    k: usize,
    margin: f32,
    entries: Vec<Entry>,
    threshold: f32,
    cut_at: usize,
    scratch: Vec<u32>,
}

/// Rows that are kept beside four for each that is wanted, whatever the margin: they cost little,
/// and where rows are copies of each other the builder saw no errors.
const LEAST: usize = 40;
/// Rows that are kept at most, and as many for each that is wanted: where nearly all rows are equally
/// far.
const MOST: usize = 8_192;
const MOST_FOR_EACH: usize = 16;

impl Pool {
    pub(in crate::segment) fn new(k: usize) -> Self {
        let mut pool = Self {
            k: k.max(1),
            margin: f32::INFINITY,
            entries: Vec::new(),
            threshold: f32::INFINITY,
            cut_at: 0,
            scratch: Vec::new(),
        };
        pool.cut_at = pool.least() * 2;
        pool
    }

    /// Keeps rows up to so far behind the k-th best from now on.
    pub(in crate::segment) fn set_margin(&mut self, margin: f32) {
        self.margin = margin;
        self.cut();
    }

    fn least(&self) -> usize {
        self.k * 4 + LEAST
    }

    /// What an estimate must be below.
    pub(in crate::segment) fn threshold(&self) -> f32 {
        self.threshold
    }

    pub(in crate::segment) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(in crate::segment) fn push(&mut self, entry: Entry) {
        if entry.estimate < self.threshold {
            self.entries.push(entry);
            if self.entries.len() >= self.cut_at {
                self.cut();
            }
        }
    }

    /// The k-th best estimate so far; infinite before there are k.
    pub(in crate::segment) fn kth(&mut self, k: usize) -> f32 {
        if k == 0 || self.entries.len() < k {
            return f32::INFINITY;
        }
        self.scratch.clear();
        self.scratch.extend(self.entries.iter().map(|entry| ascending(entry.estimate)));
        from_ascending(*self.scratch.select_nth_unstable(k - 1).1)
    }

    /// Of all that is kept, in no order.
    pub(in crate::segment) fn estimates(&self) -> impl Iterator<Item = f32> {
        self.entries.iter().map(|entry| entry.estimate)
    }

    /// The best, in no order.
    pub(in crate::segment) fn take(&mut self) -> Vec<Entry> {
        self.cut();
        std::mem::take(&mut self.entries)
    }

    fn cut(&mut self) {
        let (least, most) = (self.least(), self.k * MOST_FOR_EACH + MOST);
        if self.entries.len() <= least {
            return;
        }
        self.scratch.clear();
        self.scratch.extend(self.entries.iter().map(|entry| ascending(entry.estimate)));
        // The k-th best is among the best of those that are kept anyway.
        let (nearer, last, _) = self.scratch.select_nth_unstable(least - 1);
        let last = from_ascending(*last);
        let kth = from_ascending(*nearer.select_nth_unstable(self.k - 1).1);
        let last = last.max(kth + self.margin);
        // Integers are selected among, and entries only filtered.
        self.entries.retain(|entry| entry.estimate <= last);
        self.threshold = if last.is_finite() { last } else { f32::INFINITY };
        if self.entries.len() > most {
            self.entries.select_nth_unstable_by(most - 1, Entry::order);
            self.entries.truncate(most);
            self.threshold = self.kth(most);
        }
        self.cut_at = self.entries.len() * 2;
    }
}

/// A number in the order of the estimates.
pub(super) fn ascending(estimate: f32) -> u32 {
    let bits = estimate.to_bits();
    if bits >> 31 == 1 { !bits } else { bits | 1 << 31 }
}

/// Back from [`ascending`].
pub(super) fn from_ascending(number: u32) -> f32 {
    f32::from_bits(if number >> 31 == 1 { number & !(1 << 31) } else { !number })
}
