//! The rows that may be among the nearest by their codes, over all segments of a search.
//!
//! One threshold for all: what the first segments found keeps rows of the next ones out.

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

/// The best so many by estimate. Cut back by selection whenever it holds twice as many.
#[derive(Debug)]
pub(in crate::segment) struct Pool {
    keep: usize,
    entries: Vec<Entry>,
    threshold: f32,
    scratch: Vec<u32>,
}

impl Pool {
    pub(in crate::segment) fn new(keep: usize) -> Self {
        Self {
            keep: keep.max(1),
            entries: Vec::new(),
            threshold: f32::INFINITY,
            scratch: Vec::new(),
        }
    }

    /// Keeps at least so many from now on.
    pub(in crate::segment) fn widen(&mut self, keep: usize) {
        self.keep = self.keep.max(keep);
    }

    /// Keeps so many from now on.
    pub(in crate::segment) fn keep(&mut self, keep: usize) {
        self.keep = keep.max(1);
        if self.entries.len() > self.keep {
            self.cut();
        }
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
            if self.entries.len() >= self.keep * 2 {
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

    /// The best, in no order.
    pub(in crate::segment) fn take(&mut self) -> Vec<Entry> {
        self.cut();
        std::mem::take(&mut self.entries)
    }

    fn cut(&mut self) {
        if self.entries.len() <= self.keep {
            return;
        }
        // Integers are selected among, and entries only filtered. No gain was measured beyond noise.
        let last = self.kth(self.keep);
        self.entries.retain(|entry| entry.estimate <= last);
        if self.entries.len() > self.keep {
            // Equal estimates, as of copies of one row.
            self.entries.select_nth_unstable_by(self.keep - 1, Entry::order);
            self.entries.truncate(self.keep);
        }
        self.threshold = last;
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
