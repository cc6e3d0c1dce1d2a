//! How much is found, by metric, dimension, selectivity, k, and where queries come from.

use std::sync::LazyLock;

use lodgepole_search::{LiveSegment, SearchOptions, Segment, SegmentKind};
use lodgepole_types::Metric;

use super::judge::{
    Asked, METRICS, Report, asked, dense, filter, foreign, measure, none_dead, segment, shape,
};
use super::made::{Draw, Mix, Set};

/// Rows of 64 dimensions with a segment of lists, for each metric: the hardest case for codes of
/// one bit, and what most tests can share.
pub(crate) static LISTS: LazyLock<[(Set, Segment); 3]> = LazyLock::new(|| {
    METRICS.map(|metric| {
        let rows = mix_of_lists(metric).rows(0, 41_000);
        let segment = segment(&rows, shape(64, metric));
        assert_eq!(segment.kind(), SegmentKind::Lists);
        (rows, segment)
    })
});

/// The same clusters as those of [`LISTS`], for queries.
pub(crate) fn mix_of_lists(metric: Metric) -> Mix {
    Mix::new(64, 150, metric, 1)
}

/// Draws what the rows did not.
fn queries_of_lists(metric: Metric) -> Mix {
    let mut mix = mix_of_lists(metric);
    mix.draw = Draw::new(77);
    mix
}

/// Dimension and rows: the fewest rows or somewhat more that are not all scored anyway, but for
/// dimensions where these would be hundreds of thousands.
const SHAPES: [(usize, usize, SegmentKind); 11] = [
    (1, 3_000, SegmentKind::Exact),
    (2, 3_000, SegmentKind::Exact),
    (3, 3_000, SegmentKind::Exact),
    (16, 3_000, SegmentKind::Exact),
    (63, 17_000, SegmentKind::Lists),
    (64, 17_000, SegmentKind::Flat),
    (100, 10_600, SegmentKind::Flat),
    (384, 4_000, SegmentKind::Flat),
    (768, 2_000, SegmentKind::Flat),
    (1_536, 1_000, SegmentKind::Flat),
    (20_000, 150, SegmentKind::Flat),
];

type Shape = (usize, usize, SegmentKind);

/// Rows of one dimension, their segment, and where they come from.
fn built(metric: Metric, (dimension, count, kind): Shape) -> (Mix, Set, Segment) {
    let mut mix = Mix::new(dimension, (count / 150).clamp(8, 150), metric, 5);
    let rows = mix.rows(0, count);
    let segment = segment(&rows, shape(dimension, metric));
    assert_eq!(segment.kind(), kind, "{dimension} dimensions");
    (mix, rows, segment)
}

/// Finds by k, and among three tenths of the rows.
fn check_like(report: &mut Report, metric: Metric, shape: Shape) {
    let (mut mix, rows, segment) = built(metric, shape);
    let dead = none_dead(&segment);
    let live = [LiveSegment { segment: &segment, dead: &dead }];
    // What few queries say by chance is more than what a segment may miss.
    let count = if shape.0 <= 100 { 150 } else { 50 };
    let queries = asked(&mut mix, metric, &[&rows], count);
    let what = format!("{metric:?} of {} dimensions, {:?}", shape.0, shape.2);
    let mut plain = Vec::new();
    for k in [1, 10, 100] {
        let recall = measure(&live, &queries, &SearchOptions::nearest(k), |_| true);
        report.expect_promised(&format!("{what}, k {k}"), &recall);
        plain.push(recall);
    }
    let only = filter("{\"mark\":{\"$lt\":300}}");
    let options = SearchOptions { filter: Some(&only), ..SearchOptions::nearest(10) };
    let recall = measure(&live, &queries, &options, |docid| rows.traits[docid].mark < 300);
    report.expect_not_below(&format!("{what}, three tenths of the rows"), &recall, &plain[1]);
    if segment.kind() == SegmentKind::Exact {
        assert!(plain.iter().all(|recall| recall.mean() >= 1.0), "{what}: nothing is missed");
    }
}

/// The same for queries from another distribution.
fn check_elsewhere(report: &mut Report, metric: Metric, shape: Shape) {
    let (mut mix, rows, segment) = built(metric, shape);
    let dead = none_dead(&segment);
    let live = [LiveSegment { segment: &segment, dead: &dead }];
    let queries = foreign(&mut mix, metric, &[&rows], 50);
    let what = format!("{metric:?} of {} dimensions, {:?}", shape.0, shape.2);
    for k in [1, 10, 100] {
        let recall = measure(&live, &queries, &SearchOptions::nearest(k), |_| true);
        report.expect_promised(&format!("{what}, from elsewhere, k {k}"), &recall);
    }
}

fn check_all(check: fn(&mut Report, Metric, Shape), metrics: &[Metric], shapes: &[Shape]) {
    let mut report = Report::default();
    for metric in metrics {
        shapes.iter().for_each(|shape| check(&mut report, *metric, *shape));
    }
    report.finish();
}

#[test]
fn every_dimension_is_searched_well() {
    check_all(check_like, &METRICS, &SHAPES);
}

#[test]
fn lists_without_and_with_codes_are_searched_well() {
    check_all(check_like, &[Metric::Euclidean], &[(16, 66_000, SegmentKind::Lists)]);
    check_all(check_like, &[Metric::Cosine], &[(384, 40_100, SegmentKind::Lists)]);
}

#[test]
fn queries_from_another_distribution_find_as_much_in_one_list() {
    use SegmentKind::Flat;
    let shapes = [(100, 12_000, Flat), (384, 6_000, Flat), (1_536, 1_500, Flat)];
    check_all(check_elsewhere, &METRICS, &shapes);
}

const FEW_DIMENSIONS: [(usize, usize); 4] =
    [(1, 1_060_000), (2, 530_000), (3, 350_000), (16, 150_000)];
const MANY_DIMENSIONS: [(usize, usize); 3] = [(100, 60_000), (384, 50_000), (768, 42_000)];

fn lists((dimension, count): (usize, usize)) -> Shape {
    (dimension, count, SegmentKind::Lists)
}

#[test]
#[ignore = "builds segments of up to 1,060,000 rows"]
fn lists_of_few_dimensions_are_searched_well() {
    check_all(check_like, &METRICS, &FEW_DIMENSIONS.map(lists));
}

#[test]
#[ignore = "builds nine segments of up to 60,000 rows and 768 dimensions"]
fn lists_of_many_dimensions_are_searched_well() {
    check_all(check_like, &METRICS, &MANY_DIMENSIONS.map(lists));
}

#[test]
#[ignore = "builds nine segments of up to 60,000 rows and 768 dimensions"]
fn queries_from_another_distribution_find_as_much_in_lists_of_many_dimensions() {
    check_all(check_elsewhere, &METRICS, &MANY_DIMENSIONS.map(lists));
}

/// k, and how many queries ask for it: up to the most that a query may ask for.
const DEPTHS: [(usize, usize); 5] = [(1, 80), (10, 80), (100, 50), (1_000, 25), (10_000, 12)];

fn check_depths(among_half: bool) {
    let mut report = Report::default();
    for (metric, (rows, segment)) in METRICS.into_iter().zip(&*LISTS) {
        let mut mix = queries_of_lists(metric);
        let queries = asked(&mut mix, metric, &[rows], 80);
        let dead = none_dead(segment);
        let live = [LiveSegment { segment, dead: &dead }];
        let only = filter("{\"mark\":{\"$lt\":500}}");
        for (k, count) in DEPTHS {
            let options = SearchOptions::nearest(k);
            let plain = measure(&live, &queries[..count], &options, |_| true);
            let share = plain.counters.lists_probed as f64 / count as f64 / 205.0;
            let what = format!("{metric:?}, k {k}, {:.0} % of the lists", share * 100.0);
            if !among_half {
                report.expect_promised(&what, &plain);
                continue;
            }
            let options = SearchOptions { filter: Some(&only), ..options };
            let is_in = |row: usize| rows.traits[row].mark < 500;
            let half = measure(&live, &queries[..count], &options, is_in);
            report.expect_not_below(&format!("{metric:?}, k {k}, half"), &half, &plain);
        }
    }
    report.finish();
}

#[test]
fn every_k_is_found() {
    check_depths(false);
}

#[test]
fn every_k_is_found_among_half_of_the_rows() {
    check_depths(true);
}

/// Every selectivity at every k, by a number that is random (`mark`) or the same in a region
/// (`region`): the same queries find no less than without a filter.
fn check_filters(
    report: &mut Report,
    metric: Metric,
    (rows, segment): (&Set, &Segment),
    field: &str,
) {
    let mut mix = Mix::new(rows.dimension, 150, metric, 1);
    mix.draw = Draw::new(78);
    let queries = asked(&mut mix, metric, &[rows], 40);
    let dead = none_dead(segment);
    let live = [LiveSegment { segment, dead: &dead }];
    for k in [1, 10, 100, 1_000] {
        let plain = measure(&live, &queries, &SearchOptions::nearest(k), |_| true);
        for thousandths in [500, 100, 10, 1] {
            let only = filter(&format!("{{\"{field}\":{{\"$lt\":{thousandths}}}}}"));
            let options = SearchOptions { filter: Some(&only), ..SearchOptions::nearest(k) };
            let found = measure(&live, &queries, &options, |row| {
                let traits = &rows.traits[row];
                (if field == "mark" { traits.mark } else { traits.region }) < thousandths
            });
            let what = format!(
                "{metric:?}, {:?}, {thousandths} thousandths by {field}, k {k}",
                segment.kind()
            );
            report.expect_not_below(&what, &found, &plain);
        }
    }
}

fn check_filters_of_all(field: &str) {
    let mut report = Report::default();
    for (metric, (rows, segment)) in METRICS.into_iter().zip(&*LISTS) {
        check_filters(&mut report, metric, (rows, segment), field);
    }
    let rows = Mix::new(100, 150, Metric::Cosine, 1).rows(0, 20_000);
    let segment = segment(&rows, shape(100, Metric::Cosine));
    assert_eq!(segment.kind(), SegmentKind::Flat);
    check_filters(&mut report, Metric::Cosine, (&rows, &segment), field);
    report.finish();
}

#[test]
fn filters_at_random_cost_no_recall() {
    check_filters_of_all("mark");
}

#[test]
fn filters_by_region_cost_no_recall() {
    check_filters_of_all("region");
}

/// With and without a filter, at any k.
#[test]
fn queries_from_another_distribution_find_as_much_in_lists() {
    let mut report = Report::default();
    for (metric, (rows, segment)) in METRICS.into_iter().zip(&*LISTS) {
        let mut mix = queries_of_lists(metric);
        let queries = foreign(&mut mix, metric, &[rows], 70);
        let dead = none_dead(segment);
        let live = [LiveSegment { segment, dead: &dead }];
        for k in [1, 10, 100] {
            let found = measure(&live, &queries, &SearchOptions::nearest(k), |_| true);
            report.expect_promised(&format!("{metric:?}, from elsewhere, k {k}"), &found);
            for field in ["mark", "region"] {
                let only = filter(&format!("{{\"{field}\":{{\"$lt\":100}}}}"));
                let options = SearchOptions { filter: Some(&only), ..SearchOptions::nearest(k) };
                let filtered = measure(&live, &queries, &options, |row| {
                    let traits = &rows.traits[row];
                    (if field == "mark" { traits.mark } else { traits.region }) < 100
                });
                let what = format!("{metric:?}, from elsewhere, a tenth by {field}, k {k}");
                report.expect_not_below(&what, &filtered, &found);
            }
        }
    }
    report.finish();
}

/// Makes ordinary rows unusual.
type Change = fn(&mut Set, &mut Draw);

/// Rows that are copies of few, rows that use few of their dimensions or nearly only one, and rows
/// of zeros and ones.
#[test]
fn rows_of_unusual_shape_are_found() {
    const DIMENSION: usize = 72;
    let shapes: [(&str, Change); 5] = [
        ("copies of 300 rows", |rows, _| {
            let (few, rest) = rows.values.split_at_mut(300 * DIMENSION);
            rest.chunks_mut(300 * DIMENSION).for_each(|rows| {
                let length = rows.len();
                rows.copy_from_slice(&few[..length]);
            });
        }),
        ("one row many times", |rows, _| {
            let (one, rest) = rows.values.split_at_mut(DIMENSION);
            rest.chunks_mut(DIMENSION).for_each(|row| row.copy_from_slice(one));
        }),
        ("three dimensions used", |rows, _| {
            let values = rows.values.iter_mut().enumerate();
            values.filter(|(at, _)| at % DIMENSION >= 3).for_each(|(_, value)| *value = 0.0);
        }),
        ("one strong dimension", |rows, _| {
            rows.values.iter_mut().step_by(DIMENSION).for_each(|value| *value *= 50.0);
        }),
        ("zeros and ones", |rows, draw| {
            rows.values.iter_mut().for_each(|value| {
                *value = f32::from(u8::from(*value > 0.3 || draw.below(20) == 0));
            });
        }),
    ];
    let mut report = Report::default();
    for metric in [Metric::Cosine, Metric::Euclidean] {
        for (name, change) in shapes {
            let mut mix = Mix::new(DIMENSION, 100, metric, 8);
            let mut rows = mix.rows(0, 14_700);
            change(&mut rows, &mut mix.draw);
            let segment = segment(&rows, shape(DIMENSION, metric));
            assert_eq!(segment.kind(), SegmentKind::Flat);
            let dead = none_dead(&segment);
            let live = [LiveSegment { segment: &segment, dead: &dead }];
            let mut asked_for = mix.rows(0, 300);
            change(&mut asked_for, &mut mix.draw);
            let queries: Vec<_> = (0..40)
                .map(|row| Asked::of(dense(metric, asked_for.values(row).to_vec()), &[&rows]))
                .collect();
            for k in [10, 100] {
                let found = measure(&live, &queries, &SearchOptions::nearest(k), |_| true);
                report.expect_promised(&format!("{metric:?}, {name}, k {k}"), &found);
            }
        }
    }
    report.finish();
}

/// Lists on a circle lie so close together that it matters how exactly their centres are known.
#[test]
fn lists_of_rows_on_a_circle_are_found() {
    let mut report = Report::default();
    for metric in [Metric::Cosine, Metric::Euclidean] {
        let mut mix = Mix::new(64, 100, metric, 8);
        let mut rows = mix.rows(0, 41_000);
        let mut asked_for = mix.rows(0, 60);
        for values in [&mut rows.values, &mut asked_for.values] {
            let values = values.iter_mut().enumerate();
            values.filter(|(at, _)| at % 64 >= 2).for_each(|(_, value)| *value = 0.0);
        }
        let segment = segment(&rows, shape(64, metric));
        assert_eq!(segment.kind(), SegmentKind::Lists);
        let dead = none_dead(&segment);
        let live = [LiveSegment { segment: &segment, dead: &dead }];
        let queries: Vec<_> = (0..60)
            .map(|row| Asked::of(dense(metric, asked_for.values(row).to_vec()), &[&rows]))
            .collect();
        for k in [1, 10, 100] {
            let found = measure(&live, &queries, &SearchOptions::nearest(k), |_| true);
            report.expect_promised(&format!("{metric:?}, two dimensions used, k {k}"), &found);
        }
    }
    report.finish();
}
