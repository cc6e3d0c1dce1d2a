//! The k nearest of the candidates seen so far.
//!
//! INVARIANT: the result is a function of the set of candidates pushed, not of their order: better
//! score first, equal scores by record id (bytes ascending), so merging the collections of several
//! threads gives the answer of one.
//!
//! WHY a buffer of 2 k that is cut back by selection, and not a heap: k goes up to 10,000, where a
//! heap moves a candidate through 13 levels; cutting costs a constant per candidate. The bar for
//! newcomers lags behind a heap's by at most k candidates, which scans do not notice.

use std::cmp::Ordering;

use lodgepole_types::{Metric, StoredMetadata};

use crate::flat::SparseRef;

/// Room beyond k before the buffer is cut back, so that a small k does not cut at every step.
const SLACK: usize = 64;

/// A row that may be among the nearest. Borrows from the structure that holds the row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate<'a> {
    /// In the API's sense: cosine and dot product, higher is nearer; squared distance, lower is.
    pub score: f32,
    /// Which version of the record this is.
    pub docid: u64,
    /// The record's id.
    pub id: &'a str,
    /// The dense values of this version; empty when it has none.
    pub values: &'a [f32],
    /// The sparse values of this version.
    pub sparse: Option<SparseRef<'a>>,
    /// The metadata of this version.
    pub metadata: StoredMetadata<'a>,
}

/// Collects candidates and keeps the k nearest.
#[derive(Debug, Clone)]
pub struct TopK<'a> {
    k: usize,
    metric: Metric,
    /// The worst of the k nearest as of the last cut.
    bar: Option<Candidate<'a>>,
    /// The distance of `bar`; infinite before the first cut.
    distance_max: f32,
    kept: Vec<Candidate<'a>>,
}

impl<'a> TopK<'a> {
    /// An empty collection. Memory grows with what is found, up to about 2 k candidates.
    #[must_use]
    pub fn new(k: usize, metric: Metric) -> Self {
        Self { k, metric, bar: None, distance_max: f32::INFINITY, kept: Vec::new() }
    }

    /// How many candidates are wanted.
    #[must_use]
    pub fn k(&self) -> usize {
        self.k
    }

    /// The metric whose scores are collected.
    #[must_use]
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// The score that a newcomer must at least match; the worst possible one while everything is
    /// still admitted. It only ever moves towards the query.
    #[must_use]
    pub fn threshold(&self) -> f32 {
        distance(self.metric, self.distance_max)
    }

    /// Whether every score is still admitted.
    #[must_use]
    pub fn admits_all(&self) -> bool {
        self.bar.is_none() && self.k > 0
    }

    /// Whether a candidate with this score is worth pushing. Never for NaN. One comparison: ask
    /// before looking up the rest of the candidate.
    #[inline]
    #[must_use]
    pub fn admits(&self, score: f32) -> bool {
        distance(self.metric, score) <= self.distance_max
    }

    /// Takes a candidate; drops it when it cannot be among the k nearest, or has no score (NaN).
    pub fn push(&mut self, candidate: Candidate<'a>) {
        // WHY plus zero: it turns -0 into 0, which are one score and must be one place in the order.
        let candidate = Candidate { score: candidate.score + 0.0, ..candidate };
        if self.k == 0 || !self.admits(candidate.score) {
            return;
        }
        let metric = self.metric;
        if self.bar.as_ref().is_some_and(|bar| nearer_first(metric, &candidate, bar).is_gt()) {
            return;
        }
        self.kept.push(candidate);
        if self.kept.len() >= self.k.saturating_mul(2).max(self.k.saturating_add(SLACK)) {
            self.cut();
        }
    }

    /// Takes everything that another collection kept, as if it had been pushed here.
    pub fn merge(&mut self, mut other: Self) {
        other.cut();
        for candidate in other.kept {
            self.push(candidate);
        }
    }

    /// The k nearest, or all there are when fewer: nearest first, equal scores by record id.
    #[must_use]
    pub fn into_sorted(mut self) -> Vec<Candidate<'a>> {
        self.cut();
        let metric = self.metric;
        self.kept.sort_unstable_by(|a, b| nearer_first(metric, a, b));
        self.kept
    }

    /// Drops all but the k nearest, and raises the bar to the last of them.
    fn cut(&mut self) {
        if self.k == 0 || self.kept.len() < self.k {
            return;
        }
        let metric = self.metric;
        let last = self.k - 1;
        self.kept.select_nth_unstable_by(last, |a, b| nearer_first(metric, a, b));
        self.kept.truncate(self.k);
        self.distance_max = distance(metric, self.kept[last].score);
        self.bar = Some(self.kept[last]);
    }
}

/// A score as a distance, smaller is nearer; and back, as negating twice gives the same bits.
#[inline]
fn distance(metric: Metric, score: f32) -> f32 {
    if metric.lower_is_nearer() { score } else { -score }
}

/// The order of answers. Ids are unique among the versions visible at one Lsn; the docid only makes
/// the order total for callers that break that.
fn nearer_first(metric: Metric, a: &Candidate<'_>, b: &Candidate<'_>) -> Ordering {
    distance(metric, a.score)
        .total_cmp(&distance(metric, b.score))
        .then_with(|| a.id.cmp(b.id))
        .then_with(|| a.docid.cmp(&b.docid))
}

#[cfg(test)]
mod tests;
