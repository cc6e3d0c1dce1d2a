//! Goal: a segment answers like an exact scan: with the same scores, without dead or filtered rows,
//! and missing no more than asked for.
//!
//! Method: generated rows with the traits of real embeddings (clusters of unequal size and width,
//! few strong directions), always from fixed seeds; the truth is a plain loop over all rows.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "made-up numbers are small"
)]

mod damage;
mod data;
mod fuzz;
mod golden;
mod recall;
mod records;
mod sparse;
mod split;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use lodgepole_kernels::Kernels;
use lodgepole_types::Metric;

use self::data::Rows;
use super::*;
use crate::query::PreparedQuery;
use crate::topk::TopK;

const SEED: u64 = 42;

fn shape(dimension: usize, metric: Metric) -> SegmentShape {
    SegmentShape { dimension, metric, seed: SEED }
}

fn build_bytes(rows: &Rows, shape: SegmentShape, kernels: Kernels) -> Vec<u8> {
    let mut bytes = Vec::new();
    let stop = AtomicBool::new(false);
    let summary = build_segment(rows, shape, kernels, &mut bytes, &stop).unwrap();
    assert_eq!(summary.bytes, bytes.len() as u64);
    assert_eq!(summary.rows, rows.rows() as u64);
    bytes
}

fn open(bytes: &[u8]) -> Result<Segment, SegmentError> {
    Segment::open(Arc::new(AlignedBytes::copy_of(bytes)))
}

fn segment(rows: &Rows, shape: SegmentShape) -> Segment {
    open(&build_bytes(rows, shape, Kernels::detect())).unwrap()
}

/// The docids and scores found, best first.
fn search(
    segments: &[LiveSegment<'_>],
    query: &PreparedQuery,
    options: &SearchOptions<'_>,
) -> (Vec<(u64, f32)>, SearchCounters) {
    let mut top = TopK::new(options.k, query.metric());
    let kernels = Kernels::detect();
    let counters = search_segments(kernels, query, segments, options, &mut top).unwrap();
    let found = top.into_sorted().into_iter().map(|hit| (hit.docid, hit.score)).collect();
    (found, counters)
}
