//! What is true of some rows, and how much of it a search finds.
//!
//! Recall counts a hit when it is as near as the k-th nearest: of equal scores any will do, and of
//! scores that differ by no more than rounding. Whatever else can be wrong with an answer (a row that is dead, does not match or comes twice, a score, the
//! order, too few hits) fails at once.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use lodgepole_kernels::Kernels;
use lodgepole_search::{
    AlignedBytes, LiveSegment, PreparedQuery, RowSet, RowSource, SearchCounters, SearchOptions,
    Segment, SegmentShape, TopK, build_segment, search_segments,
};
use lodgepole_types::{Filter, Limits, Metric};

use super::made::{Mix, Set};

/// The least recall that is promised.
pub(crate) const PROMISED: f64 = 0.95;
/// What a search aims at: where it is reached, as much as can be asked for.
const TYPICAL: f64 = 0.97;
pub(crate) const METRICS: [Metric; 3] = [Metric::Cosine, Metric::DotProduct, Metric::Euclidean];

pub(crate) fn shape(dimension: usize, metric: Metric) -> SegmentShape {
    SegmentShape { dimension, metric, seed: 42 }
}

pub(crate) fn bytes_of(rows: &dyn RowSource, shape: SegmentShape, kernels: Kernels) -> Vec<u8> {
    let mut bytes = Vec::new();
    build_segment(rows, shape, kernels, &mut bytes, &AtomicBool::new(false)).unwrap();
    bytes
}

pub(crate) fn opened(bytes: &[u8]) -> Segment {
    Segment::open(Arc::new(AlignedBytes::copy_of(bytes))).unwrap()
}

pub(crate) fn segment(rows: &dyn RowSource, shape: SegmentShape) -> Segment {
    opened(&bytes_of(rows, shape, Kernels::detect()))
}

pub(crate) fn filter(json: &str) -> Filter {
    Filter::parse(&serde_json::from_str(json).unwrap(), &Limits::default()).unwrap()
}

/// The empty set of dead rows.
pub(crate) fn none_dead(segment: &Segment) -> RowSet {
    RowSet::new(segment.rows())
}

/// A query, and the distance of every row by docid; NaN for a row that it cannot find.
pub(crate) struct Asked {
    pub(crate) query: PreparedQuery,
    pub(crate) distances: Vec<f32>,
}

impl Asked {
    /// Of rows whose docids follow each other from 0 on.
    pub(crate) fn of(query: PreparedQuery, sets: &[&Set]) -> Self {
        let kernels = Kernels::detect();
        let sign = if query.metric().lower_is_nearer() { 1.0 } else { -1.0 };
        let mut distances = Vec::with_capacity(sets.iter().map(|set| set.len()).sum());
        for set in sets {
            assert_eq!(set.first, distances.len());
            distances.extend((0..set.len()).map(|row| {
                let sparse = set.sparse[row].as_ref().map(Into::into);
                query.rescore(kernels, set.values(row), sparse).map_or(f32::NAN, |s| s * sign)
            }));
        }
        Self { query, distances }
    }
}

pub(crate) fn dense(metric: Metric, values: Vec<f32>) -> PreparedQuery {
    PreparedQuery::dense(metric, values, Kernels::detect())
}

/// Queries like the rows.
pub(crate) fn asked(mix: &mut Mix, metric: Metric, sets: &[&Set], count: usize) -> Vec<Asked> {
    (0..count).map(|_| Asked::of(dense(metric, mix.vector()), sets)).collect()
}

/// Queries from another distribution.
pub(crate) fn foreign(mix: &mut Mix, metric: Metric, sets: &[&Set], count: usize) -> Vec<Asked> {
    (0..count).map(|_| Asked::of(dense(metric, mix.elsewhere()), sets)).collect()
}

/// What was found of what should have been.
#[derive(Debug)]
pub(crate) struct Recall {
    /// By query.
    shares: Vec<f64>,
    pub(crate) counters: SearchCounters,
}

impl Recall {
    /// The mean over the queries; 1 where there is nothing to find.
    pub(crate) fn mean(&self) -> f64 {
        if self.shares.is_empty() {
            return 1.0;
        }
        self.shares.iter().sum::<f64>() / self.shares.len() as f64
    }

    /// Whether it is what was promised, beyond what so few queries say by chance: one standard error,
    /// which for the single nearest row of each is several hundredths.
    pub(crate) fn is_promised(&self) -> bool {
        let count = self.shares.len().max(2) as f64;
        let mean = self.mean();
        let variance =
            self.shares.iter().map(|share| (share - mean).powi(2)).sum::<f64>() / (count - 1.0);
        mean + (variance / count).sqrt() >= PROMISED
    }

    /// Whether the same queries found no smaller share than those of `other`, beyond what so many
    /// queries say by chance: two standard errors of the difference, and half a hundredth.
    pub(crate) fn is_not_below(&self, other: &Self) -> bool {
        let pairs = self.shares.iter().zip(&other.shares);
        let differences: Vec<f64> = pairs.map(|(this, other)| other - this).collect();
        let count = differences.len().max(2) as f64;
        let mean = differences.iter().sum::<f64>() / count;
        let variance = differences.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / (count - 1.0);
        mean <= 0.005 + 2.0 * (variance / count).sqrt()
    }
}

/// By how much scores of equally near rows may differ: some units in the last place. A large set of
/// few dimensions has many rows within that.
pub(crate) fn rounding(metric: Metric, distance: f32) -> f32 {
    const SHARE: f32 = 5e-7;
    match metric {
        Metric::Cosine => SHARE,
        Metric::DotProduct | Metric::Euclidean => distance.abs() * SHARE,
    }
}

/// Searches, checks all that must be right, and measures the rest. `keep` says by docid which rows
/// may be found.
pub(crate) fn measure(
    live: &[LiveSegment<'_>],
    asked: &[Asked],
    options: &SearchOptions<'_>,
    keep: impl Fn(usize) -> bool,
) -> Recall {
    let kernels = Kernels::detect();
    let mut recall = Recall { shares: Vec::new(), counters: SearchCounters::default() };
    for asked in asked {
        let all = asked.distances.iter().enumerate();
        let mut near: Vec<f32> = all
            .filter(|(docid, distance)| !distance.is_nan() && keep(*docid))
            .map(|(_, distance)| *distance)
            .collect();
        let wanted = options.k.min(near.len());
        let mut top = TopK::new(options.k, asked.query.metric());
        let done = search_segments(kernels, &asked.query, live, options, &mut top);
        recall.counters += done.unwrap();
        let hits: Vec<usize> = top
            .into_sorted()
            .iter()
            .map(|hit| {
                let docid = hit.docid as usize;
                let distance = asked.distances[docid];
                let found = if asked.query.metric().lower_is_nearer() { 1.0 } else { -1.0 };
                assert!(keep(docid), "row {docid} must not be found");
                assert!((hit.score * found - distance).abs() == 0.0, "the score of row {docid}");
                docid
            })
            .collect();
        assert_eq!(hits.len(), wanted, "as many as there are, up to {}", options.k);
        assert!(hits.is_sorted_by(|a, b| asked.distances[*a] <= asked.distances[*b]), "order");
        let mut unique = hits.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), hits.len(), "each row once");
        if wanted > 0 {
            let last = *near.select_nth_unstable_by(wanted - 1, f32::total_cmp).1;
            let last = last + rounding(asked.query.metric(), last);
            let found = hits.iter().filter(|docid| asked.distances[**docid] <= last).count();
            recall.shares.push(found as f64 / wanted as f64);
        }
    }
    recall
}

/// Collects what was measured, so that one failure does not hide the others.
#[derive(Debug, Default)]
pub(crate) struct Report {
    failures: Vec<String>,
}

impl Report {
    pub(crate) fn expect(&mut self, what: &str, holds: bool) {
        println!("{what}{}", if holds { "" } else { "  <-- too low" });
        if !holds {
            self.failures.push(what.to_owned());
        }
    }

    pub(crate) fn expect_promised(&mut self, what: &str, recall: &Recall) {
        let mean = recall.mean();
        self.expect(&format!("{what}: {mean:.4}"), recall.is_promised());
    }

    /// As much as was promised, and as much as was found otherwise or was aimed at.
    pub(crate) fn expect_not_below(&mut self, what: &str, recall: &Recall, plain: &Recall) {
        let (mean, other) = (recall.mean(), plain.mean());
        let enough = mean >= TYPICAL || recall.is_not_below(plain);
        let holds = recall.is_promised() && enough;
        self.expect(&format!("{what}: {mean:.4}, otherwise {other:.4}"), holds);
    }

    pub(crate) fn finish(self) {
        assert!(self.failures.is_empty(), "{:#?}", self.failures);
    }
}
