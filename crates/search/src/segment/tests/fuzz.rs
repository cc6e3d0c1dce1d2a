//! No bytes can end a thread: they are refused, or answer what the whole segment answers. Method:
//! small segments of dense, sparse and hybrid rows, mutated, opened, searched in every way.

#[path = "../../../../types/src/fuzz.rs"]
mod inputs;

use self::inputs::fuzz;
use super::data::{Maker, dense_query, filter};
use super::*;
use crate::rowset::RowSet;

fn corpus() -> Vec<Vec<u8>> {
    let mut maker = Maker::new(8, 3);
    [0, 1, 40, 300]
        .map(|count| {
            let mut rows = maker.rows(10, count);
            for (at, row) in rows.0.iter_mut().enumerate() {
                row.sparse = (at % 3 != 0).then(|| maker.sparse(4, 50));
                if at % 5 == 1 {
                    row.values.clear();
                }
            }
            build_bytes(&rows, shape(8, Metric::DotProduct), Kernels::detect())
        })
        .to_vec()
}

/// Everything that a segment is asked.
fn ask(
    segment: &Segment,
    queries: &[PreparedQuery; 3],
    only: &Filter,
) -> Result<usize, SegmentError> {
    let dead = RowSet::new(segment.rows());
    let live = [LiveSegment { segment, dead: &dead }];
    let mut found = 0;
    for query in queries {
        for filter in [None, Some(only)] {
            let options = SearchOptions { filter, ..SearchOptions::nearest(5) };
            let mut top = TopK::new(5, query.metric());
            search_segments(Kernels::detect(), query, &live, &options, &mut top)?;
            found += top.into_sorted().len();
        }
    }
    for row in 0..u32::try_from(segment.rows()).unwrap() {
        let row = segment.row(row)?;
        segment.find(row.docid)?;
        row.metadata.to_metadata().ok();
    }
    Ok(found)
}

#[test]
fn mutated_segments_are_refused_or_answer() {
    let mut maker = Maker::new(8, 4);
    let queries = [
        dense_query(Metric::DotProduct, maker.vector()),
        PreparedQuery::sparse(&maker.sparse(5, 50)),
        PreparedQuery::hybrid(maker.vector(), &maker.sparse(5, 50), Kernels::detect()),
    ];
    let only = filter("{\"mark\":{\"$lt\":500}}");
    let corpus = corpus();
    fuzz("segment", &corpus, |bytes| {
        let Ok(segment) = open(bytes) else { return false };
        let answered = ask(&segment, &queries, &only);
        let whole = segment.verify().is_ok();
        if whole {
            assert!(
                corpus.iter().any(|known| known == bytes),
                "a changed segment passes for whole"
            );
        }
        whole && answered.is_ok()
    });
}
