//! Segments on processors with other instructions: what one tier wrote another one searches.

use lodgepole_kernels::{Kernels, Tier};
use lodgepole_search::{LiveSegment, SearchOptions, SegmentKind, TopK, search_segments};
use lodgepole_types::Metric;

use super::judge::{PROMISED, Report, asked, bytes_of, filter, none_dead, opened, rounding, shape};
use super::made::Mix;

const QUERIES: usize = 25;

/// Built by the plainest and the widest tier that the machine has, and searched by all; scores are
/// always those of the tier that searches.
fn check(
    report: &mut Report,
    metric: Metric,
    (dimension, count): (usize, usize),
    kind: SegmentKind,
) {
    let tiers: Vec<Kernels> = Tier::ALL.into_iter().filter_map(Kernels::with_tier).collect();
    let mut mix = Mix::new(dimension, 100, metric, 51);
    let rows = mix.rows(0, count);
    let queries = asked(&mut mix, metric, &[&rows], QUERIES);
    let only = filter("{\"mark\":{\"$lt\":400}}");
    let matches = |row: usize| rows.traits[row].mark < 400;
    for builder in [tiers[0], tiers[tiers.len() - 1]] {
        let segment = opened(&bytes_of(&rows, shape(dimension, metric), builder));
        assert_eq!(segment.kind(), kind);
        let dead = none_dead(&segment);
        let live = [LiveSegment { segment: &segment, dead: &dead }];
        for searcher in &tiers {
            let mut found = [0, 0];
            for asked in &queries {
                let query = &asked.query;
                for (at, only) in [None, Some(&only)].into_iter().enumerate() {
                    let options = SearchOptions { filter: only, ..SearchOptions::nearest(10) };
                    let kept = asked.distances.iter().enumerate();
                    let kept = kept.filter(|(row, _)| only.is_none() || matches(*row));
                    let mut near: Vec<f32> = kept.map(|(_, distance)| *distance).collect();
                    let last = *near.select_nth_unstable_by(9, f32::total_cmp).1;
                    let last = last + rounding(metric, last);
                    let mut top = TopK::new(10, metric);
                    search_segments(*searcher, query, &live, &options, &mut top).unwrap();
                    for hit in top.into_sorted() {
                        let row = hit.docid as usize;
                        let alone = query.rescore(*searcher, rows.values(row), None).unwrap();
                        assert_eq!(hit.score.to_bits(), (alone + 0.0).to_bits());
                        assert!(only.is_none() || matches(row));
                        found[at] += usize::from(asked.distances[row] <= last);
                    }
                }
            }
            for (what, found) in ["all", "filtered"].into_iter().zip(found) {
                let recall = found as f64 / (QUERIES * 10) as f64;
                let what = format!(
                    "{metric:?} of {dimension}, built by {builder:?}, searched by {searcher:?}, \
                     {what}: {recall:.4}"
                );
                report.expect(&what, recall >= PROMISED);
            }
        }
    }
}

#[test]
fn what_one_tier_wrote_every_tier_searches() {
    let mut report = Report::default();
    check(&mut report, Metric::DotProduct, (136, 8_000), SegmentKind::Flat);
    check(&mut report, Metric::Euclidean, (40, 27_000), SegmentKind::Lists);
    check(&mut report, Metric::Cosine, (64, 40_500), SegmentKind::Lists);
    report.finish();
}
