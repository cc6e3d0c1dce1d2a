//! Goal: segments whose clusters are split into short lists, as those of many rows are, find as much
//! as others.
//!
//! Method: they are built of few rows, by moving the bound. What they answer is compared with the
//! truth, by metric, with filters at random and by region, with most rows of a region dead, and from
//! elsewhere; bytes are damaged in the sections that only they have.

use lodgepole_kernels::Rotation;

use super::data::{Maker, dense_query, filter};
use super::*;
use crate::rowset::RowSet;
use crate::segment::build::build_split_from;
use crate::segment::directions::Directions;

const ROWS: usize = 41_000;
const QUERIES: usize = 100;

fn split_bytes(rows: &Rows, shape: SegmentShape) -> Vec<u8> {
    let (mut bytes, stop) = (Vec::new(), AtomicBool::new(false));
    let summary = build_split_from(0, rows, shape, Kernels::detect(), (&mut bytes, &stop)).unwrap();
    assert_eq!(summary.kind, SegmentKind::Lists);
    bytes
}

/// The share of the ten nearest that are found.
fn recall(
    live: LiveSegment<'_>,
    rows: &Rows,
    queries: &[PreparedQuery],
    (json, keep): (&str, impl Fn(&data::Row) -> bool + Copy),
) -> f64 {
    let only = (!json.is_empty()).then(|| filter(json));
    let options = SearchOptions { filter: only.as_ref(), ..SearchOptions::nearest(10) };
    let mut found = 0;
    for query in queries {
        let truth = rows.truth(query, 10, keep);
        let (hits, counters) = search(&[live], query, &options);
        assert_eq!(hits.len(), 10);
        assert!(counters.rows_scored_f32 >= 10);
        found += hits.iter().filter(|hit| truth.contains(&hit.0)).count();
    }
    found as f64 / (queries.len() * 10) as f64
}

#[test]
fn short_lists_find_nearly_all() {
    for metric in [Metric::Cosine, Metric::Euclidean, Metric::DotProduct] {
        let mut maker = Maker::new(96, 5);
        let rows = maker.rows(1, ROWS);
        let segment = open(&split_bytes(&rows, shape(96, metric))).unwrap();
        assert!(segment.has_list_codes() && segment.meta.lists > ROWS / 64);
        let none = RowSet::new(segment.rows());
        let live = LiveSegment { segment: &segment, dead: &none };
        let near: Vec<_> = (0..QUERIES).map(|_| dense_query(metric, maker.vector())).collect();
        let strange: Vec<_> = (0..QUERIES).map(|_| dense_query(metric, maker.strange())).collect();
        for (what, queries) in [("near", &near), ("strange", &strange)] {
            let plain = recall(live, &rows, queries, ("", |_| true));
            assert!(plain >= 0.95, "{metric:?}, {what}: {plain}");
            let only = ("{\"mark\":{\"$lt\":100}}", |row: &data::Row| row.mark < 100);
            let filtered = recall(live, &rows, queries, only);
            assert!(filtered >= 0.95, "{metric:?}, {what}, filtered: {filtered}");
        }
        let mut dead = RowSet::new(segment.rows());
        for row in 0..u32::try_from(segment.rows() / 3).unwrap() {
            // Rows lie in the order of their lists, so these are whole lists.
            dead.insert(row);
        }
        let gone: std::collections::HashSet<u64> =
            dead.iter().map(|row| segment.row(row).unwrap().docid).collect();
        let live = LiveSegment { segment: &segment, dead: &dead };
        let mut alive = rows.clone();
        alive.0.retain(|row| !gone.contains(&row.docid));
        let left = recall(live, &alive, &near, ("", |_| true));
        assert!(left >= 0.95, "{metric:?}, a third dead: {left}");
    }
}

/// Goal: codes along a few directions find as much as codes of all dimensions, where the rows are
/// such that few directions say nearly all. Method: rows of 80 dimensions put into 256 by a rotation,
/// with a little noise in all of them; queries like them, and ones with as much in the directions that
/// the rows hardly have.
#[test]
fn codes_along_few_directions_find_nearly_all() {
    const FEW: usize = 80;
    let rotation = Rotation::new(256, 1);
    for metric in [Metric::Cosine, Metric::Euclidean, Metric::DotProduct] {
        let mut maker = Maker::new(FEW, 5);
        let mut noise = Maker::new(256 - FEW, 6);
        let mut spread = |values: &[f32], share: f32| {
            let rest = noise.vector().into_iter().map(|value| value * share);
            let all: Vec<f32> = values.iter().copied().chain(rest).collect();
            let mut rotated = vec![0.0; 256];
            rotation.apply(&all, &mut rotated);
            rotated
        };
        let mut rows = maker.rows(1, ROWS);
        for row in &mut rows.0 {
            row.values = spread(&row.values, 0.1);
        }
        let segment = open(&split_bytes(&rows, shape(256, metric))).unwrap();
        let directions = Directions::read(&segment.container, segment.meta.padded).unwrap();
        assert_eq!(directions.coded(), 128);
        let none = RowSet::new(segment.rows());
        let live = LiveSegment { segment: &segment, dead: &none };
        for (what, share) in [("near", 0.1), ("strange", 1.0)] {
            let queries: Vec<_> =
                (0..QUERIES).map(|_| dense_query(metric, spread(&maker.vector(), share))).collect();
            let plain = recall(live, &rows, &queries, ("", |_| true));
            assert!(plain >= 0.95, "{metric:?}, {what}: {plain}");
            let only = ("{\"mark\":{\"$lt\":100}}", |row: &data::Row| row.mark < 100);
            let filtered = recall(live, &rows, &queries, only);
            assert!(filtered >= 0.95, "{metric:?}, {what}, filtered: {filtered}");
        }
    }
}

#[test]
fn every_row_is_in_one_block_of_one_list() {
    let rows = Maker::new(70, 9).rows(1, ROWS);
    let segment = open(&split_bytes(&rows, shape(70, Metric::Cosine))).unwrap();
    let container = &segment.container;
    let starts: &[u32] = container.all_numbers(Section::ListOffsets).unwrap();
    let blocks: &[u32] = container.all_numbers(Section::BlockOffsets).unwrap();
    let block_rows: &[u32] = container.all_numbers(Section::BlockRows).unwrap();
    assert_eq!((starts[0], *starts.last().unwrap()), (0, u32::try_from(ROWS).unwrap()));
    for (list, bounds) in starts.windows(2).enumerate() {
        assert!(bounds[0] < bounds[1] && bounds[1] - bounds[0] <= 64, "list {list}: {bounds:?}");
        let of_list = &block_rows[blocks[list] as usize..blocks[list + 1] as usize];
        let expected: Vec<u32> = (bounds[0]..bounds[1]).step_by(32).collect();
        assert_eq!(of_list, expected, "list {list}");
    }
}

#[test]
fn damage_to_codes_of_centroids_is_found() {
    let mut maker = Maker::new(64, 3);
    let rows = maker.rows(1, ROWS);
    let bytes = split_bytes(&rows, shape(64, Metric::Cosine));
    let aligned = Arc::new(AlignedBytes::copy_of(&bytes));
    let segment = Segment::open(Arc::<AlignedBytes>::clone(&aligned)).unwrap();
    for section in [Section::ListBlocks, Section::Blocks, Section::BlockRows, Section::BlockOffsets]
    {
        let all = segment.container.bytes(section, 0..segment.container.len(section)).unwrap();
        let start = all.as_ptr() as usize - aligned.bytes().as_ptr() as usize;
        let mut damaged = bytes.clone();
        for at in (start..start + all.len()).step_by(4_096) {
            damaged[at] ^= 0x10;
        }
        let segment = open(&damaged).unwrap();
        let dead = RowSet::new(segment.rows());
        let live = [LiveSegment { segment: &segment, dead: &dead }];
        let query = dense_query(Metric::Cosine, maker.vector());
        let mut top = TopK::new(10, Metric::Cosine);
        let options = SearchOptions::nearest(10);
        let outcome = search_segments(Kernels::detect(), &query, &live, &options, &mut top);
        let found = outcome.unwrap_err();
        assert!(matches!(found, SegmentError::Damaged { section: s } if s == section), "{found}");
    }
}
