//! Sparse and hybrid queries.

use super::data::{Maker, filter};
use super::*;
use crate::rowset::RowSet;

fn rows(maker: &mut Maker, count: usize) -> Rows {
    let mut rows = maker.rows(0, count);
    for (at, row) in rows.0.iter_mut().enumerate() {
        if at % 4 != 0 {
            row.sparse = Some(maker.sparse(6, 400));
        }
        if at % 9 == 0 {
            row.values.clear();
        }
    }
    rows
}

#[test]
fn sparse_queries_are_exact() {
    let mut maker = Maker::new(64, 37);
    let rows = rows(&mut maker, 18_000);
    let segment = segment(&rows, shape(64, Metric::DotProduct));
    let mut dead = RowSet::new(segment.rows());
    for row in rows.0.iter().filter(|row| row.mark > 900) {
        dead.insert(segment.find(row.docid).unwrap().unwrap());
    }
    let live = [LiveSegment { segment: &segment, dead: &dead }];
    let only = filter("{\"mark\":{\"$gte\":500}}");
    for _ in 0..20 {
        let query = PreparedQuery::sparse(&maker.sparse(8, 400));
        let (hits, _) = search(&live, &query, &SearchOptions::nearest(25));
        let found: Vec<u64> = hits.iter().map(|hit| hit.0).collect();
        assert_eq!(found, rows.truth(&query, 25, |row| row.mark <= 900));
        let options = SearchOptions { filter: Some(&only), ..SearchOptions::nearest(25) };
        let found: Vec<u64> = search(&live, &query, &options).0.iter().map(|hit| hit.0).collect();
        assert_eq!(found, rows.truth(&query, 25, |row| (500..=900).contains(&row.mark)));
    }
}

#[test]
fn hybrid_queries_find_the_best_sums_with_exact_scores() {
    for count in [18_000, 50_000] {
        let mut maker = Maker::new(64, 41);
        let rows = rows(&mut maker, count);
        let segment = segment(&rows, shape(64, Metric::DotProduct));
        let dead = RowSet::new(segment.rows());
        let live = [LiveSegment { segment: &segment, dead: &dead }];
        let (mut found, mut wanted) = (0, 0);
        for at in 0..30 {
            let weight = [0.05, 1.0, 20.0][at % 3];
            let dense = maker.vector().iter().map(|value| value * weight).collect();
            let query = PreparedQuery::hybrid(dense, &maker.sparse(6, 400), Kernels::detect());
            let truth = rows.truth(&query, 10, |_| true);
            let (hits, _) = search(&live, &query, &SearchOptions::nearest(10));
            assert_eq!(hits.len(), 10);
            for (docid, score) in hits {
                let row = &rows.0[usize::try_from(docid).unwrap()];
                let sparse = row.sparse.as_ref().map(Into::into);
                let alone = query.rescore(Kernels::detect(), &row.values, sparse).unwrap();
                assert_eq!(score.to_bits(), alone.to_bits());
                found += usize::from(truth.contains(&docid));
            }
            wanted += truth.len();
        }
        let recall = found as f64 / wanted as f64;
        assert!(recall >= 0.95, "{count} rows: {recall}");
    }
}
