//! Every operator of a filter, in every kind of segment, with dead rows: exactly the rows that match
//! are counted and found.
//!
//! What matches is said by plain conditions on what the rows were made from.

use lodgepole_search::{
    LiveSegment, RowSource, SearchOptions, Segment, SegmentError, SegmentKind, SourceRow,
    count_matches,
};
use lodgepole_types::Metric;

use super::judge::{Asked, METRICS, Report, asked, filter, measure, none_dead, segment, shape};
use super::made::{Mix, Set, Traits};

type Holds = fn(&Traits) -> bool;

/// `$ne` and `$nin` hold for rows without the field too; a list equals each of its elements; a text
/// is no number.
const FILTERS: [(&str, Holds); 26] = [
    (r#"{"group":"g3"}"#, |of| of.group == 3),
    (r#"{"group":{"$eq":"g3"}}"#, |of| of.group == 3),
    (r#"{"group":{"$ne":"g3"}}"#, |of| of.group != 3),
    (r#"{"group":{"$in":["g1","g2","other"]}}"#, |of| [1, 2].contains(&of.group)),
    (r#"{"group":{"$nin":["g1","g2","g4","g5","g6"]}}"#, |of| ![1, 2, 4, 5, 6].contains(&of.group)),
    (r#"{"group":"other"}"#, |_| false),
    (r#"{"group":{"$ne":"other"}}"#, |_| true),
    (r#"{"tags":"t1"}"#, |of| of.has_tag(1)),
    (r#"{"tags":{"$ne":"t1"}}"#, |of| !of.has_tag(1)),
    (r#"{"tags":{"$in":["t0","t4"]}}"#, |of| of.has_tag(0) || of.has_tag(4)),
    (r#"{"tags":{"$nin":["t0","t1","t2"]}}"#, |of| (0..3).all(|tag| !of.has_tag(tag))),
    (r#"{"tags":{"$exists":false}}"#, |of| of.tags == 0),
    (r#"{"price":{"$exists":true}}"#, |of| of.price.is_some()),
    (r#"{"price":{"$exists":false}}"#, |of| of.price.is_none()),
    (r#"{"price":{"$gte":10,"$lt":60.5}}"#, |of| of.price.is_some_and(|p| (40..242).contains(&p))),
    (r#"{"price":{"$gt":99}}"#, |of| of.price.is_some_and(|p| p > 396)),
    (r#"{"price":{"$lte":0}}"#, |of| of.price == Some(0)),
    (r#"{"price":{"$in":[1.5,20,77.25,0.1]}}"#, |of| {
        of.price.is_some_and(|p| [6, 80, 309].contains(&p))
    }),
    (r#"{"price":{"$ne":20}}"#, |of| of.price != Some(80)),
    (r#"{"price":"20"}"#, |_| false),
    (r#"{"flag":true}"#, |of| of.flag),
    (r#"{"flag":{"$ne":true}}"#, |of| !of.flag),
    (r#"{"mark":7,"flag":false}"#, |of| of.mark == 7 && !of.flag),
    (r#"{"$or":[{"group":"g0"},{"$and":[{"price":{"$lt":5}},{"tags":"t2"}]}]}"#, |of| {
        of.group == 0 || of.price.is_some_and(|p| p < 20) && of.has_tag(2)
    }),
    (r#"{"$and":[{"region":{"$lt":250}},{"group":{"$nin":["g7"]}},{"flag":true}]}"#, |of| {
        of.region < 250 && of.group != 7 && of.flag
    }),
    (r#"{"$not":{"$or":[{"tags":"t0"},{"price":{"$exists":false}}]}}"#, |of| {
        !of.has_tag(0) && of.price.is_some()
    }),
];

fn check(report: &mut Report, metric: Metric, (rows, segment): (&Set, &Segment), seed: u64) {
    let mut mix = Mix::new(rows.dimension, 150, metric, 1);
    mix.draw = super::made::Draw::new(seed);
    let queries = asked(&mut mix, metric, &[rows], 24);
    let is_dead = |row: usize| rows.traits[row].mark % 7 == 2;
    let mut dead = none_dead(segment);
    for row in (0..rows.len()).filter(|row| is_dead(*row)) {
        dead.insert(segment.find(row as u64).unwrap().unwrap());
    }
    let live = LiveSegment { segment, dead: &dead };
    let plain = measure(&[live], &queries, &SearchOptions::nearest(10), |row| !is_dead(row));
    for (json, holds) in FILTERS {
        let only = filter(json);
        let matches = |row: usize| !is_dead(row) && holds(&rows.traits[row]);
        let count = (0..rows.len()).filter(|row| matches(*row)).count();
        let counted = count_matches(&live, &only).unwrap();
        assert_eq!(counted, count as u64, "{:?}: {json}", segment.kind());
        let options = SearchOptions { filter: Some(&only), ..SearchOptions::nearest(10) };
        let near = measure(&[live], &queries, &options, matches);
        let what = format!("{metric:?}, {:?}, {json}, {count} rows", segment.kind());
        report.expect_not_below(&what, &near, &plain);
        // Asked for as many as may be, all that match are found when they are not more than that.
        if count <= 10_000 {
            let options = SearchOptions { k: 10_000, ..options };
            let all = measure(&[live], &queries[..1], &options, matches);
            assert!(all.mean() >= 1.0, "{what}: all that match");
        }
    }
}

#[test]
fn every_operator_finds_what_matches_where_all_rows_are_scored() {
    let mut report = Report::default();
    for metric in METRICS {
        let rows = Mix::new(8, 40, metric, 1).rows(0, 6_000);
        let segment = segment(&rows, shape(8, metric));
        assert_eq!(segment.kind(), SegmentKind::Exact);
        check(&mut report, metric, (&rows, &segment), 11);
    }
    report.finish();
}

#[test]
fn every_operator_finds_what_matches_in_one_list() {
    let mut report = Report::default();
    let rows = Mix::new(96, 150, Metric::Euclidean, 1).rows(0, 14_000);
    let segment = segment(&rows, shape(96, Metric::Euclidean));
    assert_eq!(segment.kind(), SegmentKind::Flat);
    check(&mut report, Metric::Euclidean, (&rows, &segment), 12);
    report.finish();
}

#[test]
fn every_operator_finds_what_matches_in_lists() {
    let mut report = Report::default();
    for at in [0, 1] {
        let (rows, segment) = &super::recall::LISTS[at];
        check(&mut report, METRICS[at], (rows, segment), 13);
    }
    report.finish();
}

/// Rows without dense values match too, and are counted, but no dense query finds them.
#[test]
fn rows_without_dense_values_are_counted_and_not_found() {
    let metric = Metric::DotProduct;
    let mut mix = Mix::new(64, 150, metric, 21);
    let mut rows = mix.rows(0, 17_500);
    let mut draw = super::made::Draw::new(3);
    for sparse in &mut rows.sparse {
        *sparse = Some(super::made::words(&mut draw, 3, 500));
    }
    let source = Thinned(&rows);
    let segment = segment(&source, shape(64, metric));
    assert_eq!((segment.kind(), segment.dense_rows()), (SegmentKind::Flat, 17_000));
    let dead = none_dead(&segment);
    let live = LiveSegment { segment: &segment, dead: &dead };
    let is_dense = |row: usize| !row.is_multiple_of(35);
    let queries: Vec<Asked> = asked(&mut mix, metric, &[&rows], 20);
    for (json, holds) in FILTERS {
        let only = filter(json);
        let count = rows.traits.iter().filter(|of| holds(of)).count();
        assert_eq!(count_matches(&live, &only).unwrap(), count as u64, "{json}");
        let options = SearchOptions { filter: Some(&only), ..SearchOptions::nearest(10) };
        let found =
            measure(&[live], &queries, &options, |row| is_dense(row) && holds(&rows.traits[row]));
        assert!(found.mean() >= super::judge::PROMISED, "{json}: {}", found.mean());
    }
}

/// Rows of which every 35th has lost its dense values.
struct Thinned<'a>(&'a Set);

impl RowSource for Thinned<'_> {
    fn rows(&self) -> usize {
        self.0.rows()
    }

    fn row(&self, row: usize) -> Result<SourceRow<'_>, SegmentError> {
        let mut found = self.0.row(row)?;
        if row.is_multiple_of(35) {
            found.values = &[];
        }
        Ok(found)
    }
}
