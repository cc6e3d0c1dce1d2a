//! Deleted and overwritten rows, several segments, and the segment that a merge makes of them.

use lodgepole_kernels::Kernels;
use lodgepole_search::{
    LiveSegment, RowSet, RowSource, SearchOptions, Segment, SegmentError, SegmentKind, SourceRow,
    TopK, count_matches, search_segments,
};
use lodgepole_types::Metric;

use super::judge::{
    Asked, METRICS, Report, asked, dense, filter, measure, none_dead, segment, shape,
};
use super::made::{Mix, Set};

/// The rows of a segment by docid that a test has buried.
fn buried(segment: &Segment, rows: &Set, is_dead: impl Fn(usize) -> bool) -> RowSet {
    let mut dead = none_dead(segment);
    for row in (0..rows.len()).filter(|row| is_dead(*row)) {
        let docid = (rows.first + row) as u64;
        dead.insert(segment.find(docid).unwrap().unwrap());
    }
    dead
}

/// The new versions are in a second segment, which is searched by codes too.
#[test]
fn recall_stays_when_a_fifth_is_overwritten_and_a_tenth_deleted() {
    let mut report = Report::default();
    for metric in METRICS {
        let mut mix = Mix::new(128, 150, metric, 3);
        let old = mix.rows(0, 41_500);
        let first = segment(&old, shape(128, metric));
        let none = none_dead(&first);
        let whole = [LiveSegment { segment: &first, dead: &none }];
        let is_dead = |row: usize| old.traits[row].mark < 300;
        let overwritten = old.traits.iter().filter(|traits| traits.mark < 200).count();
        let new = mix.rows(old.len(), overwritten);
        let second = segment(&new, shape(128, metric));
        assert_eq!((first.kind(), second.kind()), (SegmentKind::Lists, SegmentKind::Flat));
        let dead = buried(&first, &old, is_dead);
        let fresh = none_dead(&second);
        let live = [
            LiveSegment { segment: &first, dead: &dead },
            LiveSegment { segment: &second, dead: &fresh },
        ];
        let queries = asked(&mut mix, metric, &[&old, &new], 50);
        let is_alive = |docid: usize| docid >= old.len() || !is_dead(docid);
        let only = filter("{\"group\":{\"$in\":[\"g1\",\"g2\"]}}");
        let in_groups = |docid: usize| {
            let traits = old.traits.get(docid).unwrap_or_else(|| &new.traits[docid - old.len()]);
            is_alive(docid) && [1, 2].contains(&traits.group)
        };
        for k in [1, 10, 100, 1_000] {
            let options = SearchOptions::nearest(k);
            let before = measure(&whole, &queries, &options, |docid| docid < old.len());
            let after = measure(&live, &queries, &options, is_alive);
            report.expect_not_below(&format!("{metric:?}, changed, k {k}"), &after, &before);
            let options = SearchOptions { filter: Some(&only), ..options };
            let filtered = measure(&live, &queries, &options, in_groups);
            report.expect_not_below(&format!("{metric:?}, filtered, k {k}"), &filtered, &after);
        }
        let counted: u64 = live.iter().map(|live| count_matches(live, &only).unwrap()).sum();
        let there = (0..old.len() + new.len()).filter(|docid| in_groups(*docid)).count();
        assert_eq!(counted, there as u64);
    }
    report.finish();
}

/// Up to a third of a segment may be dead before it is written anew, and all of that in one place:
/// queries for what was there find the nearest of what is left.
#[test]
fn recall_stays_where_a_whole_region_was_deleted() {
    let mut report = Report::default();
    for (metric, (rows, segment)) in METRICS.into_iter().zip(&*super::recall::LISTS) {
        for thousandths in [100, 320] {
            let is_dead = |row: usize| rows.traits[row].region < thousandths;
            let dead = buried(segment, rows, is_dead);
            let live = [LiveSegment { segment, dead: &dead }];
            let gone: Vec<usize> = (0..rows.len()).filter(|row| is_dead(*row)).collect();
            let queries: Vec<Asked> = gone
                .iter()
                .step_by(gone.len() / 50)
                .map(|row| {
                    let near = rows.values(*row).iter().enumerate();
                    let near = near.map(|(at, value)| value * (1.0 + 0.02 * (at % 3) as f32));
                    Asked::of(dense(metric, near.collect()), &[rows])
                })
                .collect();
            for k in [1, 10, 100] {
                let options = SearchOptions::nearest(k);
                let found = measure(&live, &queries, &options, |row| !is_dead(row));
                let what = format!("{metric:?}, {thousandths} thousandths deleted, k {k}");
                report.expect_promised(&what, &found);
            }
        }
    }
    report.finish();
}

/// Lists, one list, and rows that are all scored, in one answer.
#[test]
fn segments_of_all_kinds_are_searched_as_one() {
    let mut report = Report::default();
    for (metric, (rows, lists)) in METRICS.into_iter().zip(&*super::recall::LISTS) {
        let mut mix = super::recall::mix_of_lists(metric);
        mix.draw = super::made::Draw::new(79);
        let (mut sets, mut segments) = (vec![rows], vec![lists]);
        let more = [(41_000, 20_000), (61_000, 16_500), (77_500, 2_000)];
        let more = more.map(|(first, count)| mix.rows(first, count));
        let built: Vec<Segment> =
            more.iter().map(|rows| segment(rows, shape(64, metric))).collect();
        sets.extend(&more);
        segments.extend(&built);
        let kinds: Vec<_> = segments.iter().map(|segment| segment.kind()).collect();
        use SegmentKind::{Exact, Flat, Lists};
        assert_eq!(kinds, [Lists, Flat, Flat, Exact]);
        let dead: Vec<RowSet> = segments.iter().map(|segment| none_dead(segment)).collect();
        let live: Vec<LiveSegment<'_>> = segments
            .iter()
            .zip(&dead)
            .map(|(segment, dead)| LiveSegment { segment, dead })
            .collect();
        let queries = asked(&mut mix, metric, &sets, 40);
        let traits: Vec<_> = sets.iter().flat_map(|set| &set.traits).collect();
        let only = filter("{\"mark\":{\"$lt\":100}}");
        for k in [1, 10, 100, 1_000] {
            let options = SearchOptions::nearest(k);
            let plain = measure(&live, &queries, &options, |_| true);
            report.expect_promised(&format!("{metric:?}, four segments, k {k}"), &plain);
            let options = SearchOptions { filter: Some(&only), ..options };
            let filtered = measure(&live, &queries, &options, |docid| traits[docid].mark < 100);
            let what = format!("{metric:?}, four segments, a tenth, k {k}");
            report.expect_not_below(&what, &filtered, &plain);
        }
        let backwards: Vec<_> = live.iter().rev().copied().collect();
        for asked in &queries {
            assert_eq!(found(&live, asked), found(&backwards, asked), "in any order");
        }
    }
    report.finish();
}

fn found(live: &[LiveSegment<'_>], asked: &Asked) -> Vec<(u64, u32)> {
    let mut top = TopK::new(10, asked.query.metric());
    let options = SearchOptions::nearest(10);
    search_segments(Kernels::detect(), &asked.query, live, &options, &mut top).unwrap();
    top.into_sorted().iter().map(|hit| (hit.docid, hit.score.to_bits())).collect()
}

/// The living rows of some segments, as a merge reads them.
struct Merged<'a>(Vec<(&'a Segment, u32)>);

impl RowSource for Merged<'_> {
    fn rows(&self) -> usize {
        self.0.len()
    }

    fn row(&self, row: usize) -> Result<SourceRow<'_>, SegmentError> {
        let (segment, row) = self.0[row];
        segment.row(row)
    }
}

/// Before and after a merge the same rows are found with the same scores, up to recall.
#[test]
fn a_merge_of_living_rows_answers_as_its_parts_did() {
    let mut report = Report::default();
    let metric = Metric::Cosine;
    let mut mix = Mix::new(64, 150, metric, 9);
    let sets = [mix.rows(0, 16_500), mix.rows(16_500, 16_600), mix.rows(33_100, 16_700)];
    let is_dead = |set: &Set, row: usize| set.traits[row].mark % 10 == 3;
    let built: Vec<Segment> = sets.iter().map(|set| segment(set, shape(64, metric))).collect();
    let dead: Vec<RowSet> = built
        .iter()
        .zip(&sets)
        .map(|(segment, set)| buried(segment, set, |row| is_dead(set, row)))
        .collect();
    let living = built.iter().zip(&dead).flat_map(|(segment, dead)| {
        let rows = 0..u32::try_from(segment.rows()).unwrap();
        rows.filter(|row| !dead.contains(*row)).map(move |row| (segment, row))
    });
    let merged = segment(&Merged(living.collect()), shape(64, metric));
    assert_eq!(merged.kind(), SegmentKind::Lists);
    merged.verify().unwrap();
    let sets: Vec<&Set> = sets.iter().collect();
    let queries = asked(&mut mix, metric, &sets, 50);
    let traits: Vec<_> = sets.iter().flat_map(|set| &set.traits).collect();
    let is_alive = |docid: usize| traits[docid].mark % 10 != 3;
    let parts: Vec<_> =
        built.iter().zip(&dead).map(|(segment, dead)| LiveSegment { segment, dead }).collect();
    let none = none_dead(&merged);
    let whole = [LiveSegment { segment: &merged, dead: &none }];
    let only = filter("{\"tags\":\"t1\"}");
    for k in [10, 100] {
        let options = SearchOptions::nearest(k);
        let before = measure(&parts, &queries, &options, is_alive);
        let after = measure(&whole, &queries, &options, is_alive);
        report.expect_promised(&format!("parts, k {k}"), &before);
        report.expect_promised(&format!("merged, k {k}"), &after);
        let options = SearchOptions { filter: Some(&only), ..options };
        let filtered = measure(&whole, &queries, &options, |docid| {
            is_alive(docid) && traits[docid].has_tag(1)
        });
        report.expect_not_below(&format!("merged, filtered, k {k}"), &filtered, &after);
    }
    let counted: u64 = parts.iter().map(|part| count_matches(part, &only).unwrap()).sum();
    assert_eq!(count_matches(&whole[0], &only).unwrap(), counted);
    report.finish();
}
