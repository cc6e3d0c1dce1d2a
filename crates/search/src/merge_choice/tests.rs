//! Goal: few segments, each row rewritten seldom, nothing beyond the largest size. Method: loads of
//! many sizes played through, with the work counted.

use super::*;

fn sizes(live: &[u64]) -> Vec<SegmentSize> {
    live.iter().map(|&live| SegmentSize { live, rows: live }).collect()
}

/// Adds rows in equal steps; gives the segments at the end and how many rows were written.
fn played(step: u64, steps: u64) -> (Vec<u64>, u64) {
    let (mut segments, mut written) = (Vec::new(), 0);
    for _ in 0..steps {
        let taken = merge_choice(&sizes(&segments), step, false, u64::MAX);
        let total = step + taken.iter().map(|&at| segments[at]).sum::<u64>();
        for at in taken.into_iter().rev() {
            segments.remove(at);
        }
        segments.push(total);
        written += total;
    }
    (segments, written)
}

#[test]
fn a_load_leaves_few_segments_and_rewrites_a_row_seldom() {
    for step in [4_096, 10_000, 50_000] {
        let steps = 1_000_000 / step;
        let (segments, written) = played(step, steps);
        assert!(segments.len() <= 13, "{step}: {segments:?}");
        assert_eq!(segments.iter().sum::<u64>(), step * steps);
        assert!(written <= 5 * step * steps, "{step}: wrote {written}");
    }
}

#[test]
fn small_segments_join_when_nothing_is_written() {
    let taken = merge_choice(&sizes(&[100_000, 60_000, 10_000]), 0, true, u64::MAX);
    assert_eq!(taken, [0, 1, 2], "two thirds as many rows as the largest has");
    assert!(merge_choice(&sizes(&[100_000, 60_000]), 0, false, u64::MAX).is_empty());
    assert!(merge_choice(&sizes(&[1_000_000, 4_096]), 0, true, u64::MAX).is_empty());
    assert!(merge_choice(&sizes(&[1_000_000]), 0, true, u64::MAX).is_empty());
}

#[test]
fn a_segment_that_is_mostly_dead_is_rewritten() {
    let decayed = SegmentSize { live: 60, rows: 100 };
    assert_eq!(
        merge_choice(&[decayed, SegmentSize { live: 900, rows: 1_000 }], 0, false, 10_000),
        [0]
    );
}

#[test]
fn nothing_grows_beyond_the_largest_size() {
    let taken = merge_choice(&sizes(&[4_000; 8]), 4_000, true, 20_000);
    assert_eq!(taken.len(), 4);
}
