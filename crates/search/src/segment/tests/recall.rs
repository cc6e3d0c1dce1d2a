//! How much is found, by kind of segment, metric, filter, k, and after changes.

use std::sync::LazyLock;

use super::data::{Maker, Row, dense_query, filter};
use super::*;
use crate::rowset::RowSet;

const QUERIES: usize = 100;

/// Rows of 64 dimensions and their segment of lists, by cosine: what most tests can share.
static SHARED: LazyLock<(Rows, Segment)> = LazyLock::new(|| {
    let rows = Maker::new(64, 11).rows(0, 44_000);
    let segment = segment(&rows, shape(64, Metric::Cosine));
    (rows, segment)
});

/// The share of the truth found over all queries. Also checks scores, order and that nothing else
/// is found.
fn recall(
    live: &[LiveSegment<'_>],
    rows: &Rows,
    queries: &[PreparedQuery],
    options: &SearchOptions<'_>,
    keep: impl Fn(&Row) -> bool + Copy,
) -> f64 {
    let (mut found, mut wanted) = (0, 0);
    for query in queries {
        let truth = rows.truth(query, options.k, keep);
        let (hits, _) = search(live, query, options);
        assert_eq!(hits.len(), truth.len(), "as many as there are");
        wanted += truth.len();
        found += hits.iter().filter(|hit| truth.contains(&hit.0)).count();
    }
    found as f64 / wanted as f64
}

fn queries(maker: &mut Maker, metric: Metric) -> Vec<PreparedQuery> {
    (0..QUERIES).map(|_| dense_query(metric, maker.vector())).collect()
}

/// One case: rows of a dimension, and what kind of segment they make.
fn check(metric: Metric, dimension: usize, count: usize, kind: SegmentKind) {
    let mut maker = Maker::new(dimension, 7 + dimension as u64);
    let mut rows = maker.rows(1, count);
    if metric == Metric::DotProduct {
        // Norms that differ by a factor of up to eight.
        for row in &mut rows.0 {
            let length = 0.25 * 8.0_f32.powf(maker.uniform());
            row.values.iter_mut().for_each(|value| *value *= length);
        }
    }
    let segment = segment(&rows, shape(dimension, metric));
    assert_eq!(segment.kind(), kind);
    let dead = RowSet::new(segment.rows());
    let live = [LiveSegment { segment: &segment, dead: &dead }];
    let queries = queries(&mut maker, metric);
    let plain = recall(&live, &rows, &queries, &SearchOptions::nearest(10), |_| true);
    assert!(plain >= 0.95, "{metric:?} of {dimension} dimensions: {plain}");
    let strange: Vec<_> = (0..QUERIES).map(|_| dense_query(metric, maker.strange())).collect();
    let strange = recall(&live, &rows, &strange, &SearchOptions::nearest(10), |_| true);
    assert!(strange >= 0.95, "{metric:?} of {dimension} dimensions, strange queries: {strange}");
    let only = filter("{\"mark\":{\"$lt\":100}}");
    let options = SearchOptions { filter: Some(&only), ..SearchOptions::nearest(10) };
    let filtered = recall(&live, &rows, &queries, &options, |row| row.mark < 100);
    assert!(filtered >= 0.95, "{metric:?} of {dimension} dimensions, filtered: {filtered}");
}

#[test]
fn lists_of_codes_find_nearly_all_by_cosine() {
    check(Metric::Cosine, 64, 41_000, SegmentKind::Lists);
}

#[test]
fn lists_of_codes_find_nearly_all_by_distance() {
    check(Metric::Euclidean, 64, 41_000, SegmentKind::Lists);
}

#[test]
fn lists_of_codes_find_nearly_all_by_inner_product_of_any_norms() {
    check(Metric::DotProduct, 64, 41_000, SegmentKind::Lists);
}

#[test]
fn one_list_finds_nearly_all() {
    for metric in [Metric::Cosine, Metric::Euclidean, Metric::DotProduct] {
        check(metric, 100, 12_000, SegmentKind::Flat);
        check(metric, 700, 2_000, SegmentKind::Flat);
    }
}

#[test]
fn few_dimensions_go_by_8_bit_rows() {
    for metric in [Metric::Cosine, Metric::Euclidean, Metric::DotProduct] {
        check(metric, 40, 30_000, SegmentKind::Lists);
    }
}

#[test]
fn small_segments_miss_nothing() {
    for (dimension, metric) in
        [(1, Metric::Euclidean), (3, Metric::Cosine), (90, Metric::DotProduct)]
    {
        let mut maker = Maker::new(dimension, 3);
        let rows = maker.rows(1, 900);
        let segment = segment(&rows, shape(dimension, metric));
        assert_eq!(segment.kind(), SegmentKind::Exact);
        let dead = RowSet::new(segment.rows());
        let live = [LiveSegment { segment: &segment, dead: &dead }];
        for query in queries(&mut maker, metric) {
            let (hits, _) = search(&live, &query, &SearchOptions::nearest(900));
            assert_eq!(hits.len(), 900);
            let (best, _) = search(&live, &query, &SearchOptions::nearest(5));
            assert_eq!(best[..], hits[..5]);
        }
    }
}

/// Every selectivity and k, for filters at random and by region, on one segment of lists.
#[test]
fn filters_cost_no_recall() {
    let mut maker = Maker::new(64, 11);
    let (rows, segment) = &*SHARED;
    let dead = RowSet::new(segment.rows());
    let live = [LiveSegment { segment, dead: &dead }];
    let queries = queries(&mut maker, Metric::Cosine);
    let mut sides: Vec<i64> = rows.0.iter().map(|row| (row.values[0] * 1_000.0) as i64).collect();
    sides.sort_unstable();
    for k in [1, 10, 100] {
        for thousandths in [500, 100, 10, 1] {
            let only = filter(&format!("{{\"mark\":{{\"$lt\":{thousandths}}}}}"));
            let options = SearchOptions { filter: Some(&only), ..SearchOptions::nearest(k) };
            let random = recall(&live, rows, &queries, &options, |row| row.mark < thousandths);
            assert!(random >= 0.95, "{thousandths} of 1,000 at random, k {k}: {random}");
            let bound = sides[sides.len() * thousandths / 1_000];
            let only = filter(&format!("{{\"side\":{{\"$lt\":{bound}}}}}"));
            let options = SearchOptions { filter: Some(&only), ..options };
            let inside = |row: &Row| ((row.values[0] * 1_000.0) as i64) < bound;
            let region = recall(&live, rows, &queries, &options, inside);
            assert!(region >= 0.95, "{thousandths} of 1,000 in a region, k {k}: {region}");
        }
    }
}

#[test]
fn thousands_of_nearest_are_found() {
    let mut maker = Maker::new(64, 11);
    let (rows, segment) = &*SHARED;
    let dead = RowSet::new(segment.rows());
    let live = [LiveSegment { segment, dead: &dead }];
    let queries: Vec<_> = (0..4).map(|_| dense_query(Metric::Cosine, maker.vector())).collect();
    for k in [1_000, 10_000] {
        let share = recall(&live, rows, &queries, &SearchOptions::nearest(k), |_| true);
        assert!(share >= 0.95, "k {k}: {share}");
    }
}

/// A fifth of the records overwritten, a tenth deleted: the new versions are in a second segment.
#[test]
fn overwritten_and_deleted_rows_are_not_found_and_cost_no_recall() {
    let mut maker = Maker::new(64, 17);
    let old = maker.rows(1, 44_000);
    let first = segment(&old, shape(64, Metric::Cosine));
    let mut dead = RowSet::new(first.rows());
    let (mut alive, mut new) = (Rows::default(), Rows::default());
    for row in &old.0 {
        if row.mark < 300 {
            dead.insert(first.find(row.docid).unwrap().unwrap());
        } else {
            alive.0.push(row.clone());
        }
        if row.mark < 200 {
            let docid = 100_000 + row.docid;
            new.0.push(Row { id: row.id.clone(), ..maker.row(docid) });
        }
    }
    let second = segment(&new, shape(64, Metric::Cosine));
    alive.0.extend(new.0.iter().cloned());
    let none = RowSet::new(second.rows());
    let live = [
        LiveSegment { segment: &second, dead: &none },
        LiveSegment { segment: &first, dead: &dead },
    ];
    let queries = queries(&mut maker, Metric::Cosine);
    let plain = recall(&live, &alive, &queries, &SearchOptions::nearest(10), |_| true);
    assert!(plain >= 0.95, "{plain}");
    let only = filter("{\"odd\":1}");
    let options = SearchOptions { filter: Some(&only), ..SearchOptions::nearest(10) };
    let odd = recall(&live, &alive, &queries, &options, |row| row.docid % 2 == 1);
    assert!(odd >= 0.95, "{odd}");
    let counted = live.iter().map(|live| count_matches(live, &only).unwrap()).sum::<u64>();
    assert_eq!(counted, alive.0.iter().filter(|row| row.docid % 2 == 1).count() as u64);
}

#[test]
fn scores_are_those_of_a_rescore_to_the_bit() {
    let mut maker = Maker::new(96, 19);
    let rows = maker.rows(0, 12_000);
    for metric in [Metric::Cosine, Metric::Euclidean, Metric::DotProduct] {
        let segment = segment(&rows, shape(96, metric));
        let dead = RowSet::new(segment.rows());
        let live = [LiveSegment { segment: &segment, dead: &dead }];
        for query in queries(&mut maker, metric) {
            for (docid, score) in search(&live, &query, &SearchOptions::nearest(20)).0 {
                let values = &rows.0[usize::try_from(docid).unwrap()].values;
                let alone = query.rescore(Kernels::detect(), values, None).unwrap();
                assert_eq!(score.to_bits(), alone.to_bits());
            }
        }
    }
}

#[test]
fn asking_for_more_recall_or_scan_looks_at_more() {
    let mut maker = Maker::new(64, 11);
    let segment = &SHARED.1;
    let dead = RowSet::new(segment.rows());
    let live = [LiveSegment { segment, dead: &dead }];
    let query = dense_query(Metric::Cosine, maker.vector());
    let scanned = |options: &SearchOptions<'_>| search(&live, &query, options).1.rows_scanned;
    let plain = SearchOptions::nearest(10);
    let low = SearchOptions { recall: RecallTarget::new(0.8), ..plain };
    let high = SearchOptions { recall: RecallTarget::new(0.995), ..plain };
    let wide = SearchOptions { scan_factor: 4.0, ..plain };
    assert!(scanned(&low) < scanned(&plain) && scanned(&plain) < scanned(&high));
    assert!(scanned(&plain) < scanned(&wide));
    let capped = SearchOptions { max_candidates: Some(3), ..plain };
    let (hits, counters) = search(&live, &query, &capped);
    assert_eq!((hits.len(), counters.rows_scored_f32), (10, 10), "never fewer than k");
}

/// Values at the ends of f32, zero vectors, and queries of either kind.
#[test]
fn extreme_values_are_searched_exactly() {
    let mut maker = Maker::new(80, 29);
    for metric in [Metric::Cosine, Metric::Euclidean, Metric::DotProduct] {
        let mut rows = maker.rows(0, 14_000);
        for (at, row) in rows.0.iter_mut().enumerate() {
            let factor = match at % 50 {
                0 => 0.0,
                1 => 1e30,
                2 => 1e-30,
                _ => 1.0,
            };
            row.values.iter_mut().for_each(|value| *value *= factor);
        }
        let segment = segment(&rows, shape(80, metric));
        let dead = RowSet::new(segment.rows());
        let live = [LiveSegment { segment: &segment, dead: &dead }];
        for factor in [1.0, 1e30, 1e-30, 0.0] {
            let values = maker.vector().iter().map(|value| value * factor).collect();
            let query = dense_query(metric, values);
            let best = rows.truth(&query, 1, |_| true);
            let (hits, _) = search(&live, &query, &SearchOptions::nearest(10));
            assert!(hits.len() == 10 && hits.iter().all(|hit| hit.1.is_finite()));
            let score = |docid: u64| {
                let row = &rows.0[usize::try_from(docid).unwrap()];
                query.rescore(Kernels::detect(), &row.values, None).unwrap()
            };
            assert_eq!(hits[0].1, score(best[0]), "{metric:?}, query times {factor}");
        }
    }
}
