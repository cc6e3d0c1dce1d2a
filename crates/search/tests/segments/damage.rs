//! A flipped bit anywhere in a segment of lists is found by whoever looks at it, and never changes
//! an answer: of a dense query, a filtered one, a sparse one or a hybrid one.

use std::sync::Arc;

use lodgepole_kernels::Kernels;
use lodgepole_search::{
    AlignedBytes, LiveSegment, PreparedQuery, SearchOptions, Segment, SegmentError, SegmentKind,
    TopK, search_segments,
};
use lodgepole_types::Metric;

use super::judge::{bytes_of, filter, none_dead, opened, shape};
use super::made::{Draw, Mix, words};

type Answer = Vec<(u64, u32, String, usize)>;

fn answer(
    segment: &Segment,
    query: &PreparedQuery,
    options: &SearchOptions<'_>,
) -> Result<Answer, SegmentError> {
    let dead = none_dead(segment);
    let live = [LiveSegment { segment, dead: &dead }];
    let mut top = TopK::new(options.k, query.metric());
    search_segments(Kernels::detect(), query, &live, options, &mut top)?;
    let hits = top.into_sorted().into_iter();
    Ok(hits
        .map(|hit| {
            let sparse = hit.sparse.map_or(0, |sparse| sparse.indices.len());
            (hit.docid, hit.score.to_bits(), hit.id.to_owned(), sparse + hit.values.len())
        })
        .collect())
}

#[test]
fn damage_to_lists_never_changes_an_answer_of_any_kind() {
    const FLIPS: usize = 150;
    let mut mix = Mix::new(64, 100, Metric::DotProduct, 61);
    let mut draw = Draw::new(62);
    let mut rows = mix.rows(0, 40_500);
    for sparse in &mut rows.sparse {
        *sparse = (draw.below(3) > 0).then(|| words(&mut draw, 6, 2_000));
    }
    let bytes = bytes_of(&rows, shape(64, Metric::DotProduct), Kernels::detect());
    let whole = opened(&bytes);
    assert_eq!(whole.kind(), SegmentKind::Lists);
    let dense = PreparedQuery::dense(Metric::DotProduct, mix.vector(), Kernels::detect());
    let sparse = PreparedQuery::sparse(&words(&mut draw, 10, 2_000));
    let hybrid =
        PreparedQuery::hybrid(mix.vector(), &words(&mut draw, 10, 2_000), Kernels::detect());
    let only = filter("{\"group\":{\"$in\":[\"g1\",\"g4\"]},\"price\":{\"$lt\":70}}");
    let plain = SearchOptions::nearest(10);
    let filtered = SearchOptions { filter: Some(&only), ..plain };
    let questions: Vec<_> = [&dense, &sparse, &hybrid]
        .into_iter()
        .flat_map(|query| [(query, &plain), (query, &filtered)])
        .collect();
    let ask = |segment: &Segment| -> Vec<Result<Answer, SegmentError>> {
        questions.iter().map(|(query, options)| answer(segment, query, options)).collect()
    };
    let right: Vec<Answer> = ask(&whole).into_iter().map(Result::unwrap).collect();
    let mut damaged = AlignedBytes::copy_of(&bytes);
    let mut refused = vec![0; questions.len() + 1];
    for _ in 0..FLIPS {
        let (at, bit) = (draw.below(bytes.len()), 1 << draw.below(8));
        damaged.bytes_mut()[at] ^= bit;
        // A segment opened anew: an open one has checked what it looked at.
        let segment = Segment::open(Arc::new(damaged.clone()));
        damaged.bytes_mut()[at] ^= bit;
        let Ok(segment) = segment else {
            refused[questions.len()] += 1;
            continue;
        };
        assert!(segment.verify().is_err(), "byte {at}");
        for (number, (found, right)) in ask(&segment).into_iter().zip(&right).enumerate() {
            match found {
                Ok(found) => assert_eq!(&found, right, "question {number}, byte {at}"),
                Err(_) => refused[number] += 1,
            }
        }
    }
    println!("refused, by question and when opened: {refused:?} of {FLIPS}");
    let by_queries: usize = refused[..questions.len()].iter().sum();
    assert!(by_queries > FLIPS / 5, "searches come across damage: {refused:?}");
}
