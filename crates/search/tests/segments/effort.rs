//! What a query may say about how hard to look is honoured.

use lodgepole_search::{LiveSegment, RecallTarget, SearchOptions, SegmentKind};
use lodgepole_types::Metric;

use super::judge::{METRICS, asked, measure, none_dead, segment, shape};

/// Over lists and one list together, and in each metric.
#[test]
fn scan_factor_and_target_change_the_work_and_the_recall_in_the_same_sense() {
    for (metric, (rows, segment)) in METRICS.into_iter().zip(&*super::recall::LISTS) {
        let mut mix = super::recall::mix_of_lists(metric);
        mix.draw = super::made::Draw::new(80);
        let queries = asked(&mut mix, metric, &[rows], 70);
        let dead = none_dead(segment);
        let live = [LiveSegment { segment, dead: &dead }];
        let plain = SearchOptions::nearest(10);
        let by_factor =
            [0.5, 1.0, 2.0, 4.0].map(|scan_factor| SearchOptions { scan_factor, ..plain });
        let by_target = [0.7, 0.9, 0.97, 0.999]
            .map(|recall| SearchOptions { recall: RecallTarget::new(recall), ..plain });
        for options in [by_factor, by_target] {
            let found = options.map(|options| measure(&live, &queries, &options, |_| true));
            for pair in found.windows(2) {
                let (less, more) = (&pair[0], &pair[1]);
                println!("{metric:?}: {:.4} {:?}", more.mean(), more.counters);
                let scanned = [less, more].map(|recall| recall.counters.rows_scanned);
                assert!(scanned[0] < scanned[1], "{metric:?}: {scanned:?}");
                assert!(less.mean() <= more.mean(), "{} then {}", less.mean(), more.mean());
            }
        }
        let high = SearchOptions { recall: RecallTarget::new(0.99), ..plain };
        let high = measure(&live, &queries, &high, |_| true).mean();
        assert!(high >= 0.97, "{metric:?}, 0.99 asked for: {high}");
    }
}

#[test]
fn no_more_candidates_are_scored_than_allowed_and_never_fewer_than_k() {
    let metric = Metric::Cosine;
    let (rows, lists) = &super::recall::LISTS[0];
    let mut mix = super::recall::mix_of_lists(metric);
    mix.draw = super::made::Draw::new(81);
    let more = mix.rows(rows.len(), 17_000);
    let flat = segment(&more, shape(64, metric));
    assert_eq!(flat.kind(), SegmentKind::Flat);
    let (first, second) = (none_dead(lists), none_dead(&flat));
    let live = [
        LiveSegment { segment: lists, dead: &first },
        LiveSegment { segment: &flat, dead: &second },
    ];
    for k in [1, 10, 100] {
        for most in [1, 10, 25, 150, 100_000] {
            for asked in asked(&mut mix, metric, &[rows, &more], 8) {
                let options =
                    SearchOptions { max_candidates: Some(most), ..SearchOptions::nearest(k) };
                let found = measure(&live, &[asked], &options, |_| true);
                let scored = found.counters.rows_scored_f32;
                assert!(scored >= k as u64, "{scored} for k {k}");
                assert!(scored <= most.max(k) as u64, "{scored} of {most} for k {k}");
            }
        }
    }
}
