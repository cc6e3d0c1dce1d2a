//! Goal: the k nearest come out, in one order, whatever way they went in.
//!
//! Method: the law is "sort everything, keep k", checked on random candidates with many equal
//! scores, split at random over collections that are merged at the end.

use proptest::collection::vec;
use proptest::prelude::*;

use super::{Candidate, SLACK, TopK};
use lodgepole_types::{Metric, StoredMetadata};

const METRICS: [Metric; 3] = [Metric::Cosine, Metric::DotProduct, Metric::Euclidean];

fn candidate(score: f32, id: &str) -> Candidate<'_> {
    Candidate { score, docid: 1, id, values: &[], sparse: None, metadata: StoredMetadata::new(&[]) }
}

fn ids(top: TopK<'_>) -> Vec<&str> {
    top.into_sorted().iter().map(|candidate| candidate.id).collect()
}

/// What must come out: all of them sorted, cut to k.
fn naive<'a>(candidates: &[Candidate<'a>], k: usize, metric: Metric) -> Vec<(f32, &'a str)> {
    let mut all: Vec<_> = candidates
        .iter()
        .filter(|candidate| !candidate.score.is_nan())
        .map(|candidate| (candidate.score, candidate.id))
        .collect();
    all.sort_by(|a, b| {
        let by_score = a.0.partial_cmp(&b.0).unwrap();
        let by_nearness = if metric.lower_is_nearer() { by_score } else { by_score.reverse() };
        by_nearness.then_with(|| a.1.as_bytes().cmp(b.1.as_bytes()))
    });
    all.truncate(k);
    all
}

#[test]
fn the_nearest_come_first_in_the_sense_of_the_metric() {
    for (metric, expected) in [
        (Metric::Cosine, ["high", "middle"]),
        (Metric::DotProduct, ["high", "middle"]),
        (Metric::Euclidean, ["low", "middle"]),
    ] {
        let mut top = TopK::new(2, metric);
        for (score, id) in [(0.5, "middle"), (0.1, "low"), (0.9, "high")] {
            top.push(candidate(score, id));
        }
        assert_eq!(ids(top), expected, "{metric:?}");
    }
}

#[test]
fn equal_scores_are_ordered_by_the_bytes_of_the_id() {
    for metric in METRICS {
        let mut top = TopK::new(4, metric);
        for id in ["b", "a10", "Z", "a9", "a"] {
            top.push(candidate(0.25, id));
        }
        assert_eq!(ids(top), ["Z", "a", "a10", "a9"], "{metric:?}");
    }
}

#[test]
fn zero_and_minus_zero_are_one_score() {
    for metric in METRICS {
        let mut top = TopK::new(3, metric);
        for (score, id) in [(0.0, "c"), (-0.0, "b"), (0.0, "a")] {
            top.push(candidate(score, id));
        }
        let sorted = top.into_sorted();
        assert!(sorted.iter().all(|candidate| candidate.score.is_sign_positive()));
        assert!(sorted.iter().map(|candidate| candidate.id).eq(["a", "b", "c"]), "{metric:?}");
    }
}

#[test]
fn a_candidate_without_a_score_never_enters() {
    for metric in METRICS {
        let mut top = TopK::new(5, metric);
        assert!(!top.admits(f32::NAN));
        top.push(candidate(f32::NAN, "nan"));
        top.push(candidate(-f32::NAN, "minus nan"));
        top.push(candidate(0.0, "zero"));
        assert_eq!(ids(top), ["zero"], "{metric:?}");
    }
}

#[test]
fn the_threshold_closes_once_more_than_enough_were_seen() {
    let mut top = TopK::new(2, Metric::Euclidean);
    assert!(top.admits(f32::INFINITY) && top.threshold().is_infinite());
    let names: Vec<String> = (0..2 + SLACK).map(|i| format!("{i:03}")).collect();
    for (name, score) in names.iter().zip(0_u8..) {
        top.push(candidate(f32::from(score), name));
    }
    assert!((top.threshold() - 1.0).abs() == 0.0);
    assert!(top.admits(1.0) && !top.admits(1.5) && top.admits(0.5));
}

#[test]
fn nothing_is_kept_when_nothing_is_wanted() {
    let mut top = TopK::new(0, Metric::Cosine);
    top.push(candidate(1.0, "a"));
    top.merge(TopK::new(0, Metric::Cosine));
    assert!(top.into_sorted().is_empty());
}

proptest! {
    #[test]
    fn the_result_is_the_sorted_whole_cut_to_k(
        scores in vec(prop_oneof![
            8 => (-4_i8..4).prop_map(f32::from),
            1 => Just(f32::NAN),
            1 => Just(f32::INFINITY),
            1 => Just(f32::NEG_INFINITY),
        ], 0..400),
        parts in vec(0_usize..4, 400),
        k in 0_usize..120,
        metric in prop::sample::select(METRICS.to_vec()),
    ) {
        let names: Vec<String> = (0..scores.len()).map(|i| format!("{}", i * 7_919 % 401)).collect();
        let all: Vec<_> =
            scores.iter().zip(&names).map(|(&score, name)| candidate(score, name)).collect();
        let mut tops = [(); 4].map(|()| TopK::new(k, metric));
        for (candidate, &part) in all.iter().zip(&parts) {
            tops[part].push(*candidate);
        }
        let merged = tops.into_iter().reduce(|mut one, other| { one.merge(other); one }).unwrap();
        let found: Vec<_> = merged.into_sorted().iter().map(|c| (c.score, c.id)).collect();
        prop_assert_eq!(found, naive(&all, k, metric));
    }
}
