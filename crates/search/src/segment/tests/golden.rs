//! Results and work per seed, as a text that is reviewed when it changes.
//!
//! Run with `LODGEPOLE_UPDATE_GOLDEN=1` to write the file anew. Plain kernels, so that the file is
//! the same on every machine.

use std::fmt::Write as _;
use std::path::Path;

use lodgepole_kernels::Tier;

use super::data::{Maker, filter};
use super::*;
use crate::rowset::RowSet;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/segment/tests/golden.txt");

#[test]
#[expect(clippy::disallowed_methods, reason = "writes a file of the source, when told to")]
fn answers_and_work_are_as_recorded() {
    let kernels = Kernels::with_tier(Tier::Scalar).unwrap();
    let mut text = String::new();
    for (metric, dimension, count) in [
        (Metric::Cosine, 64, 41_000),
        (Metric::Euclidean, 96, 12_000),
        (Metric::DotProduct, 16, 70_000),
        (Metric::Euclidean, 10, 2_000),
    ] {
        let mut maker = Maker::new(dimension, 99);
        let rows = maker.rows(1, count);
        let segment = open(&build_bytes(&rows, shape(dimension, metric), kernels)).unwrap();
        let dead = RowSet::new(segment.rows());
        let live = [LiveSegment { segment: &segment, dead: &dead }];
        writeln!(text, "{metric:?}, {dimension} dimensions, {count} rows: {:?}", segment.kind())
            .unwrap();
        let only = [None, Some(filter("{\"mark\":{\"$lt\":200}}")), Some(filter("{\"mark\":3}"))];
        for (name, only) in ["all", "fifth", "thousandth"].into_iter().zip(&only) {
            for _ in 0..3 {
                let query = PreparedQuery::dense(metric, maker.vector(), kernels);
                let options = SearchOptions { filter: only.as_ref(), ..SearchOptions::nearest(5) };
                let mut top = TopK::new(5, metric);
                let counters = search_segments(kernels, &query, &live, &options, &mut top).unwrap();
                let docids: Vec<u64> = top.into_sorted().iter().map(|hit| hit.docid).collect();
                let SearchCounters {
                    lists_probed,
                    rows_scanned,
                    rows_reranked_i8,
                    rows_scored_f32,
                    ..
                } = counters;
                writeln!(
                    text,
                    "  {name}: {docids:?}, {lists_probed} lists, {rows_scanned} scanned, \
                     {rows_reranked_i8} refined, {rows_scored_f32} scored"
                )
                .unwrap();
            }
        }
    }
    if std::env::var_os("LODGEPOLE_UPDATE_GOLDEN").is_some() {
        std::fs::write(Path::new(FILE), &text).unwrap();
    }
    let recorded = std::fs::read_to_string(Path::new(FILE)).unwrap_or_default();
    assert_eq!(recorded, text, "if this is meant: LODGEPOLE_UPDATE_GOLDEN=1");
}
