//! Sparse queries are exact to the bit, and hybrid ones in score, over several segments, with
//! filters and dead rows.
//!
//! The truth adds products in f64, dimension by dimension, upwards.

use std::collections::BTreeMap;

use lodgepole_kernels::Kernels;
use lodgepole_search::{
    LiveSegment, PreparedQuery, RowSet, SearchOptions, Segment, SegmentKind, TopK, search_segments,
};
use lodgepole_types::{Metric, SparseVector};

use super::judge::{Asked, Report, filter, measure, none_dead, segment, shape};
use super::made::{Draw, Mix, Set, Traits, words};

const METRIC: Metric = Metric::DotProduct;
const VOCABULARY: usize = 30_000;

/// The sum of what two vectors share; `None` when they share no dimension.
fn shared(a: &SparseVector, b: &SparseVector) -> Option<f64> {
    let b: BTreeMap<u32, f32> = b.indices.iter().copied().zip(b.values.iter().copied()).collect();
    let a: BTreeMap<u32, f32> = a.indices.iter().copied().zip(a.values.iter().copied()).collect();
    let products =
        a.iter().filter_map(|(index, x)| Some(f64::from(*x) * f64::from(*b.get(index)?)));
    products.fold(None, |sum, product| Some(sum.unwrap_or(0.0) + product))
}

fn buried(segment: &Segment, rows: &Set) -> RowSet {
    let mut dead = none_dead(segment);
    for (docid, traits) in (rows.first..).zip(&rows.traits) {
        if is_dead(traits) {
            dead.insert(segment.find(docid as u64).unwrap().unwrap());
        }
    }
    dead
}

fn is_dead(of: &Traits) -> bool {
    of.mark % 9 == 4
}

type Holds = fn(&Traits) -> bool;

const FILTERS: [(&str, Holds); 4] = [
    ("{}", |_| true),
    (r#"{"group":{"$in":["g1","g2","g3"]}}"#, |of| [1, 2, 3].contains(&of.group)),
    (r#"{"price":{"$gte":90}}"#, |of| of.price.is_some_and(|p| p >= 360)),
    (r#"{"mark":7}"#, |of| of.mark == 7),
];

/// Texts of very different lengths over a large vocabulary, in segments without dense vectors.
#[test]
fn sparse_queries_find_exactly_the_best_over_segments() {
    let mut mix = Mix::new(1, 4, METRIC, 31);
    let mut draw = Draw::new(32);
    let mut sets = [mix.rows(0, 9_000), mix.rows(9_000, 13_000), mix.rows(22_000, 500)];
    for set in &mut sets {
        for sparse in &mut set.sparse {
            let count = 1 + draw.below(60) * draw.below(2);
            *sparse = Some(words(&mut draw, count, VOCABULARY));
        }
    }
    let sets = sets.map(Set::without_values);
    let built = sets.each_ref().map(|set| segment(set, shape(0, METRIC)));
    let dead: Vec<_> = built.iter().zip(&sets).map(|(built, set)| buried(built, set)).collect();
    let live: Vec<_> =
        built.iter().zip(&dead).map(|(segment, dead)| LiveSegment { segment, dead }).collect();
    for number in 0..24 {
        let query = words(&mut draw, 1 + number * 2, VOCABULARY);
        let prepared = PreparedQuery::sparse(&query);
        for (json, holds) in FILTERS {
            let only = filter(json);
            let rows =
                sets.iter().flat_map(|set| (set.first..).zip(set.traits.iter().zip(&set.sparse)));
            let mut truth: Vec<(u64, u32)> = rows
                .filter(|(_, (of, _))| !is_dead(of) && holds(of))
                .filter_map(|(docid, (_, sparse))| {
                    let sum = shared(sparse.as_ref().unwrap(), &query)?;
                    Some((docid as u64, (sum as f32 + 0.0).to_bits()))
                })
                .collect();
            let score = |of: &(u64, u32)| f32::from_bits(of.1);
            let id = |of: &(u64, u32)| format!("record-{}", of.0);
            truth.sort_by(|a, b| score(b).total_cmp(&score(a)).then_with(|| id(a).cmp(&id(b))));
            for k in [1, 10, 10_000] {
                let options = SearchOptions { filter: Some(&only), ..SearchOptions::nearest(k) };
                let mut top = TopK::new(k, METRIC);
                search_segments(Kernels::detect(), &prepared, &live, &options, &mut top).unwrap();
                let found: Vec<_> =
                    top.into_sorted().iter().map(|hit| (hit.docid, hit.score.to_bits())).collect();
                assert_eq!(found, truth[..k.min(truth.len())], "query {number}, {json}, k {k}");
            }
        }
    }
}

/// Three quarters of the rows have both kinds of values. The sparse part counts from next to nothing
/// to nearly everything.
#[test]
fn hybrid_queries_find_the_best_sums_over_segments() {
    let mut report = Report::default();
    let mut mix = Mix::new(64, 150, METRIC, 33);
    let mut draw = Draw::new(34);
    let mut sets = [mix.rows(0, 41_000), mix.rows(41_000, 17_000), mix.rows(58_000, 2_000)];
    for set in &mut sets {
        for sparse in &mut set.sparse {
            *sparse = (draw.below(4) > 0).then(|| words(&mut draw, 12, 3_000));
        }
    }
    let built = sets.each_ref().map(|set| segment(set, shape(64, METRIC)));
    use SegmentKind::{Exact, Flat, Lists};
    assert_eq!(built.each_ref().map(Segment::kind), [Lists, Flat, Exact]);
    let dead: Vec<_> = built.iter().zip(&sets).map(|(built, set)| buried(built, set)).collect();
    let live: Vec<_> =
        built.iter().zip(&dead).map(|(segment, dead)| LiveSegment { segment, dead }).collect();
    let sets: Vec<&Set> = sets.iter().collect();
    let traits: Vec<_> = sets.iter().flat_map(|set| &set.traits).collect();
    for weight in [0.02, 1.0, 30.0] {
        let queries: Vec<Asked> = (0..24)
            .map(|_| {
                let mut sparse = words(&mut draw, 8, 3_000);
                sparse.values.iter_mut().for_each(|value| *value *= weight);
                let dense = mix.vector();
                let hybrid = PreparedQuery::hybrid(dense.clone(), &sparse, Kernels::detect());
                let asked = Asked::of(hybrid, &sets);
                check_sums(&asked, &dense, &sparse, &sets);
                asked
            })
            .collect();
        for (json, holds) in FILTERS {
            let only = filter(json);
            for k in [1, 10, 100] {
                let options = SearchOptions { filter: Some(&only), ..SearchOptions::nearest(k) };
                let found = measure(&live, &queries, &options, |docid| {
                    !is_dead(traits[docid]) && holds(traits[docid])
                });
                report.expect_promised(&format!("hybrid of {weight}, {json}, k {k}"), &found);
            }
        }
    }
    report.finish();
}

/// A score is the dense score and the sparse sum, rounded once.
fn check_sums(asked: &Asked, dense: &[f32], sparse: &SparseVector, sets: &[&Set]) {
    let alone = PreparedQuery::dense(METRIC, dense.to_vec(), Kernels::detect());
    let rows = sets.iter().flat_map(|set| (0..set.len()).map(move |row| (set, row)));
    for ((set, row), distance) in rows.zip(&asked.distances).step_by(997) {
        let score = alone.rescore(Kernels::detect(), set.values(row), None).unwrap();
        let sum = set.sparse[row].as_ref().and_then(|own| shared(own, sparse));
        let expected = sum.map_or(score, |sum| (f64::from(score) + sum) as f32);
        assert!((expected + distance).abs() == 0.0, "{expected} for {distance}");
    }
}
