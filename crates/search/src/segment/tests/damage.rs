//! A flipped byte is an error or makes no difference; it is never a wrong answer.

use super::super::random::Draw;
use super::data::{Maker, dense_query, filter};
use super::*;
use crate::rowset::RowSet;

#[test]
fn damage_never_changes_an_answer() {
    let mut maker = Maker::new(64, 43);
    let rows = maker.rows(0, 17_000);
    let bytes = build_bytes(&rows, shape(64, Metric::Cosine), Kernels::detect());
    let query = dense_query(Metric::Cosine, maker.vector());
    let only = filter("{\"mark\":{\"$lt\":500}}");
    let plain = SearchOptions::nearest(10);
    let filtered = SearchOptions { filter: Some(&only), ..plain };
    let answer = |segment: &Segment, options: &SearchOptions<'_>| {
        let dead = RowSet::new(segment.rows());
        let live = [LiveSegment { segment, dead: &dead }];
        let mut top = TopK::new(10, Metric::Cosine);
        search_segments(Kernels::detect(), &query, &live, options, &mut top)?;
        let hits =
            top.into_sorted().into_iter().map(|hit| (hit.docid, hit.score, hit.id.to_owned()));
        Ok::<_, SegmentError>(hits.collect::<Vec<_>>())
    };
    let whole = open(&bytes).unwrap();
    let right = [answer(&whole, &plain).unwrap(), answer(&whole, &filtered).unwrap()];
    let mut draw = Draw::new(1);
    let (mut detected, flips) = (0, 120);
    for _ in 0..flips {
        let mut damaged = AlignedBytes::copy_of(&bytes);
        let at = draw.below(bytes.len());
        damaged.bytes_mut()[at] ^= 1 << draw.below(8);
        let Ok(segment) = Segment::open(Arc::new(damaged)) else {
            detected += 1;
            continue;
        };
        assert!(segment.verify().is_err(), "byte {at}");
        for (options, right) in [&plain, &filtered].into_iter().zip(&right) {
            match answer(&segment, options) {
                Ok(found) => assert_eq!(&found, right, "byte {at}"),
                Err(_) => detected += 1,
            }
        }
    }
    assert!(detected > 10, "searches come across damage: {detected}");
    for end in [0, 1, 63, 64, bytes.len() / 2, bytes.len() - 1] {
        assert!(open(&bytes[..end]).is_err(), "cut off at {end}");
    }
}
