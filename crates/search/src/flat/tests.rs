//! Goal: a scan finds exactly the nearest rows visible at its Lsn, however the rows are spread.
//!
//! Method: random rows with births and burials are searched through chunks cut at random places,
//! and compared with a naive scan in f64. Values are small integers, so inner products and
//! distances are exact in f32, and ties abound.

use std::sync::Arc;

use lodgepole_kernels::{Kernels, Tier};
use lodgepole_types::{Lsn, Metric, RecordId};
use proptest::collection::vec;
use proptest::prelude::*;

use super::{ChunkError, FlatChunk, FlatChunkBuilder};
use crate::{Candidate, PreparedQuery, TopK};

const METRICS: [Metric; 3] = [Metric::Cosine, Metric::DotProduct, Metric::Euclidean];

#[derive(Debug, Clone)]
struct Row {
    id: String,
    born: u64,
    dead: Option<u64>,
    values: Vec<f32>,
}

impl Row {
    fn visible(&self, at: u64) -> bool {
        self.born <= at && self.dead.is_none_or(|dead| at < dead)
    }

    fn score(&self, metric: Metric, query: &[f32]) -> f64 {
        let dot = |a: &[f32], b: &[f32]| -> f64 {
            a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum()
        };
        let (own, other) = (dot(&self.values, &self.values), dot(query, query));
        match metric {
            Metric::Cosine if own * other == 0.0 => 0.0,
            Metric::Cosine => dot(query, &self.values) / (own * other).sqrt(),
            Metric::DotProduct => dot(query, &self.values),
            Metric::Euclidean => own + other - 2.0 * dot(query, &self.values),
        }
    }
}

/// Docids are ten times the position, so there are gaps.
fn docid(position: usize) -> u64 {
    10 * u64::try_from(position).unwrap()
}

fn chunk_of(kernels: Kernels, dimension: usize, first: usize, rows: &[Row]) -> FlatChunk {
    let mut builder = FlatChunkBuilder::with_capacity(dimension, rows.len()).with_kernels(kernels);
    for (i, row) in rows.iter().enumerate() {
        let id = RecordId::parse(&row.id).unwrap();
        builder.push(docid(first + i), &id, Lsn(row.born), &row.values).unwrap();
    }
    let chunk = builder.finish();
    for (i, row) in rows.iter().enumerate() {
        if let Some(dead) = row.dead {
            assert!(chunk.bury(docid(first + i), Lsn(dead)), "found alive");
        }
    }
    chunk
}

/// Cuts the rows into chunks at the given places.
fn chunks_of(
    kernels: Kernels,
    dimension: usize,
    rows: &[Row],
    cuts: &[usize],
) -> Vec<Arc<FlatChunk>> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut % (rows.len() + 1)).collect();
    places.extend([0, rows.len()]);
    places.sort_unstable();
    let pairs = places.windows(2);
    pairs.map(|p| Arc::new(chunk_of(kernels, dimension, p[0], &rows[p[0]..p[1]]))).collect()
}

/// Searches every chunk with a collection of its own, half of the rows each, and merges them.
fn search<'a>(
    chunks: &'a [Arc<FlatChunk>],
    kernels: Kernels,
    query: &PreparedQuery,
    (at, k): (u64, usize),
) -> Vec<Candidate<'a>> {
    let mut top = TopK::new(k, query.metric());
    for chunk in chunks {
        let half = chunk.rows() / 2;
        for rows in [half..chunk.rows(), 0..half] {
            let mut part = TopK::new(k, query.metric());
            chunk.scan_rows(rows, kernels, query, Lsn(at), &mut part);
            top.merge(part);
        }
    }
    top.into_sorted()
}

/// Every answer is a visible row with its own score, and no row left out was nearer.
fn assert_nearest(
    found: &[Candidate<'_>],
    rows: &[Row],
    query: &PreparedQuery,
    (at, k): (u64, usize),
) {
    let metric = query.metric();
    let tolerance = if metric == Metric::Cosine { 1e-6 } else { 0.0 };
    let visible = rows.iter().enumerate().filter(|(_, row)| row.visible(at));
    let mut expected: Vec<_> =
        visible.map(|(i, row)| (row.score(metric, query.values()), row, docid(i))).collect();
    assert_eq!(found.len(), k.min(expected.len()), "as many as wanted, or all there are");
    for candidate in found {
        let own = expected.iter().find(|(_, _, docid)| *docid == candidate.docid);
        let (score, row, _) = own.expect("an answer is a visible row");
        assert_eq!((candidate.id, candidate.values), (row.id.as_str(), row.values.as_slice()));
        assert!((f64::from(candidate.score) - score).abs() <= tolerance, "{metric:?} {score}");
    }
    let nearness = |score: f64| if metric.lower_is_nearer() { score } else { -score };
    expected.sort_by(|(a, x, _), (b, y, _)| {
        let by_score = nearness(*a).partial_cmp(&nearness(*b)).unwrap();
        by_score.then_with(|| x.id.as_bytes().cmp(y.id.as_bytes()))
    });
    for (candidate, (score, row, _)) in found.iter().zip(&expected) {
        assert!((f64::from(candidate.score) - score).abs() <= tolerance, "{metric:?} {score}");
        if metric != Metric::Cosine {
            assert_eq!(candidate.id, row.id, "ties go by id");
        }
    }
}

fn simple(rows: &[(&str, [f32; 2])]) -> FlatChunk {
    let row = |(id, values): &(&str, [f32; 2])| Row {
        id: (*id).to_owned(),
        born: 1,
        dead: None,
        values: values.to_vec(),
    };
    chunk_of(Kernels::detect(), 2, 1, &rows.iter().map(row).collect::<Vec<_>>())
}

#[test]
fn a_row_is_visible_from_its_birth_to_just_before_its_death() {
    let mut builder = FlatChunkBuilder::with_capacity(1, 1);
    builder.push(5, &RecordId::parse("a").unwrap(), Lsn(10), &[1.0]).unwrap();
    let chunk = builder.finish();
    assert_eq!((chunk.live_rows_at(Lsn(9)), chunk.live_rows_at(Lsn(10))), (0, 1));
    assert!(chunk.bury(5, Lsn(20)));
    let live = [9, 10, 19, 20, 21].map(|at| chunk.live_rows_at(Lsn(at)));
    assert_eq!(live, [0, 1, 1, 0, 0]);
}

#[test]
fn a_row_dies_once() {
    let chunk = simple(&[("a", [1.0, 0.0]), ("b", [0.0, 1.0])]);
    assert!(!chunk.bury(15, Lsn(3)), "no row has this docid");
    assert!(chunk.bury(20, Lsn(3)));
    assert!(!chunk.bury(20, Lsn(2)), "the first death stays");
    assert_eq!(chunk.dead_of(1), Some(Lsn(3)));
    assert_eq!(chunk.dead_of(0), None);
}

#[test]
fn rows_are_found_by_docid_with_all_they_hold() {
    let chunk = simple(&[("first", [1.0, 2.0]), ("2nd", [3.0, 4.0]), ("c", [5.0, 6.0])]);
    assert_eq!((chunk.rows(), chunk.dimension()), (3, 2));
    assert_eq!(chunk.docid_range(), Some((10, 30)));
    assert_eq!(chunk.find(25), None);
    let row = chunk.find(20).unwrap();
    assert_eq!((chunk.docid_of(row), chunk.id_of(row)), (20, "2nd"));
    assert_eq!((chunk.values_of(row), chunk.born_of(row)), ([3.0, 4.0].as_slice(), Lsn(1)));
    // Three rows: docid, birth, death, two values, norm, end of id; and nine letters.
    assert_eq!(chunk.bytes(), 3 * (8 + 8 + 8 + 8 + 4 + 4) + 9);
}

#[test]
fn a_refused_row_leaves_no_trace() {
    let id = RecordId::parse("a").unwrap();
    let mut builder = FlatChunkBuilder::with_capacity(2, 0);
    builder.push(5, &id, Lsn(1), &[1.0, 2.0]).unwrap();
    let refused = builder.push(5, &id, Lsn(1), &[1.0, 2.0]);
    assert_eq!(refused, Err(ChunkError::Order { last: 5, docid: 5 }));
    let refused = builder.push(6, &id, Lsn(1), &[1.0]);
    assert_eq!(refused, Err(ChunkError::Dimension { expected: 2, found: 1 }));
    assert_eq!(builder.rows(), 1);
    builder.push(6, &id, Lsn(1), &[3.0, 4.0]).unwrap();
    assert_eq!(builder.finish().values_of(1), [3.0, 4.0]);
}

#[test]
fn chunks_that_do_not_follow_each_other_are_not_joined() {
    let one = Arc::new(simple(&[("a", [1.0, 2.0])]));
    let error = FlatChunk::merged(&[Arc::clone(&one), Arc::clone(&one)], Lsn(0)).unwrap_err();
    assert_eq!(error, ChunkError::Order { last: 10, docid: 10 });
    let wide = Arc::new(chunk_of(
        Kernels::detect(),
        1,
        7,
        &[Row { id: "w".to_owned(), born: 1, dead: None, values: vec![1.0] }],
    ));
    let error = FlatChunk::merged(&[one, wide], Lsn(0)).unwrap_err();
    assert_eq!(error, ChunkError::Dimension { expected: 2, found: 1 });
}

#[test]
fn a_chunk_without_rows_answers_nothing() {
    let empty = Arc::new(FlatChunk::merged(&[], Lsn(0)).unwrap());
    assert_eq!((empty.rows(), empty.bytes(), empty.docid_range()), (0, 0, None));
    let kernels = Kernels::detect();
    let query = PreparedQuery::new(Metric::Cosine, vec![1.0, 2.0], kernels);
    assert!(search(&[empty], kernels, &query, (1, 10)).is_empty());
}

#[test]
fn rows_beyond_one_block_are_scored_as_if_alone() {
    let kernels = Kernels::detect();
    let dimension = 33;
    let value = |i: usize| f32::from(u8::try_from(i * i % 251).unwrap()) / 251.0 - 0.5;
    let rows: Vec<Row> = (0..1_000)
        .map(|i| Row {
            id: format!("{i}"),
            born: 1,
            dead: None,
            values: (0..dimension).map(|j| value(i * dimension + j)).collect(),
        })
        .collect();
    let chunk = chunk_of(kernels, dimension, 0, &rows);
    for metric in METRICS {
        let query = PreparedQuery::new(metric, rows[500].values.clone(), kernels);
        let mut top = TopK::new(10_000, metric);
        chunk.scan(kernels, &query, Lsn(1), &mut top);
        let found = top.into_sorted();
        assert_eq!(found.len(), rows.len(), "more wanted than there are: all come");
        for candidate in &found {
            let alone = query.rescore(kernels, candidate.values);
            assert_eq!(alone.to_bits(), candidate.score.to_bits(), "{metric:?}");
        }
    }
}

fn rows(dimension: usize) -> impl Strategy<Value = Vec<Row>> {
    let value = prop_oneof![3 => -3_i8..=3, 1 => Just(0_i8)].prop_map(f32::from);
    let row = (1_u64..20, prop::option::of(0_u64..20), vec(value, dimension));
    vec(row, 0..90).prop_map(|rows| {
        let named = rows.into_iter().enumerate().map(|(i, (born, life, values))| Row {
            id: format!("r{}", i * 37 % 91),
            born,
            dead: life.map(|life| born + life),
            values,
        });
        named.collect()
    })
}

proptest! {
    #[test]
    fn a_scan_finds_what_a_naive_scan_finds(
        (query, rows) in (1_usize..24)
            .prop_flat_map(|n| (vec((-3_i8..=3).prop_map(f32::from), n), rows(n))),
        cuts in vec(any::<usize>(), 0..4),
        at in 0_u64..40,
        k in prop_oneof![1_usize..12, Just(10_000)],
        metric in prop::sample::select(METRICS.to_vec()),
        tier in prop::sample::select(Tier::ALL.to_vec()),
    ) {
        let kernels = Kernels::with_tier(tier).unwrap_or(Kernels::detect());
        let dimension = query.len();
        let query = PreparedQuery::new(metric, query, kernels);
        let chunks = chunks_of(kernels, dimension, &rows, &cuts);
        let found = search(&chunks, kernels, &query, (at, k));
        assert_nearest(&found, &rows, &query, (at, k));
        let seen: usize = chunks.iter().map(|chunk| chunk.live_rows_at(Lsn(at))).sum();
        prop_assert_eq!(seen, rows.iter().filter(|row| row.visible(at)).count());
    }

    #[test]
    fn joined_chunks_answer_as_before(
        (query, rows) in (1_usize..24)
            .prop_flat_map(|n| (vec((-3_i8..=3).prop_map(f32::from), n), rows(n))),
        cuts in vec(any::<usize>(), 0..4),
        dead_before in 0_u64..40,
        later in 0_u64..20,
        k in prop_oneof![1_usize..12, Just(10_000)],
        metric in prop::sample::select(METRICS.to_vec()),
    ) {
        let kernels = Kernels::detect();
        let chunks = chunks_of(kernels, query.len(), &rows, &cuts);
        let query = PreparedQuery::new(metric, query, kernels);
        let joined = Arc::new(FlatChunk::merged(&chunks, Lsn(dead_before)).unwrap());
        let at = dead_before + later;
        let before = search(&chunks, kernels, &query, (at, k));
        let joined_alone = [Arc::clone(&joined)];
        prop_assert_eq!(search(&joined_alone, kernels, &query, (at, k)), before);

        // Row by row it is the concatenation without the dead.
        let kept: Vec<_> = rows
            .iter()
            .enumerate()
            .filter(|(_, row)| row.dead.is_none_or(|dead| dead > dead_before))
            .collect();
        prop_assert_eq!(joined.rows(), kept.len());
        for (row, (position, original)) in kept.into_iter().enumerate() {
            prop_assert_eq!(joined.docid_of(row), docid(position));
            prop_assert_eq!(joined.id_of(row), original.id.as_str());
            prop_assert_eq!(joined.values_of(row), original.values.as_slice());
            prop_assert_eq!(joined.born_of(row), Lsn(original.born));
            prop_assert_eq!(joined.dead_of(row), original.dead.map(Lsn));
            let buried = joined.bury(docid(position), Lsn(100));
            prop_assert_eq!(buried, original.dead.is_none(), "a joined row can still die, once");
        }
    }
}
