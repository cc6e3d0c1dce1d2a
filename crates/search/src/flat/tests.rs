//! Goal: a scan finds exactly the nearest rows in its scope, however the rows are spread.
//!
//! Method: random rows with births and burials, dense and sparse vectors and metadata are searched
//! through chunks cut at random places, and compared with a naive scan in f64. Values are small
//! integers, so inner products and distances are exact in f32, and ties abound.

use std::collections::BTreeMap;
use std::sync::Arc;

use lodgepole_kernels::{Kernels, Tier};
use lodgepole_types::{
    Filter, Kind, Limits, Lsn, Metadata, Metric, RecordId, SparseVector, StoredMetadata, Struct,
    Value as Meta,
};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::{ChunkError, FlatChunk, FlatChunkBuilder, RowParts, Scope, SparseRef};
use crate::{Candidate, PreparedQuery, TopK};

const METRICS: [Metric; 3] = [Metric::Cosine, Metric::DotProduct, Metric::Euclidean];

#[derive(Debug, Clone, Default)]
struct Row {
    id: String,
    born: u64,
    dead: Option<u64>,
    values: Vec<f32>,
    sparse: Option<SparseVector>,
    /// Its metadata: this number under `n`.
    number: Option<u8>,
}

impl Row {
    fn visible(&self, at: u64) -> bool {
        self.born <= at && self.dead.is_none_or(|dead| at < dead)
    }

    fn metadata(&self) -> Vec<u8> {
        let number = |number: u8| ("n".to_owned(), Meta::from(f64::from(number)));
        let fields = self.number.map(number).into_iter().collect();
        Metadata::parse(Struct { fields }, &Limits::default()).unwrap().to_stored()
    }

    /// The score by the plainest arithmetic; `None` when the row is no candidate.
    fn score(&self, query: &Asked) -> Option<f64> {
        let dot = |a: &[f32], b: &[f32]| -> f64 {
            a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum()
        };
        let sparse =
            query.sparse.as_ref().and_then(|query| sparse_dot(query, self.sparse.as_ref()?));
        let Some(values) = &query.dense else { return sparse };
        let (own, other) = (dot(&self.values, &self.values), dot(values, values));
        Some(match query.metric {
            Metric::Cosine if own * other == 0.0 => 0.0,
            Metric::Cosine => dot(values, &self.values) / (own * other).sqrt(),
            Metric::DotProduct => dot(values, &self.values) + sparse.unwrap_or(0.0),
            Metric::Euclidean => own + other - 2.0 * dot(values, &self.values),
        })
    }
}

fn sparse_dot(a: &SparseVector, b: &SparseVector) -> Option<f64> {
    let mut sum = None;
    for (i, x) in a.indices.iter().zip(&a.values) {
        for (_, y) in b.indices.iter().zip(&b.values).filter(|(j, _)| *j == i) {
            sum = Some(sum.unwrap_or(0.0) + f64::from(*x) * f64::from(*y));
        }
    }
    sum
}

/// A query, its filter (a bound below which `n` must be, or a value that it must not be) and all.
#[derive(Debug, Clone)]
struct Asked {
    metric: Metric,
    dense: Option<Vec<f32>>,
    sparse: Option<SparseVector>,
    below: Option<u8>,
    not: Option<u8>,
}

impl Asked {
    fn dense(metric: Metric, values: Vec<f32>) -> Self {
        Self { metric, dense: Some(values), sparse: None, below: None, not: None }
    }

    fn prepare(&self, kernels: Kernels) -> PreparedQuery {
        match (&self.dense, &self.sparse) {
            (Some(values), None) => PreparedQuery::dense(self.metric, values.clone(), kernels),
            (None, Some(sparse)) => PreparedQuery::sparse(sparse),
            (Some(values), Some(sparse)) => PreparedQuery::hybrid(values.clone(), sparse, kernels),
            (None, None) => panic!("a query looks for something"),
        }
    }

    fn filter(&self) -> Option<Filter> {
        let condition = |operator: &str, number: u8| {
            let number = Meta::from(f64::from(number));
            let fields = BTreeMap::from([(operator.to_owned(), number)]);
            Meta::of(Kind::Struct(Struct { fields }))
        };
        let all = [("$lt", self.below), ("$ne", self.not)];
        let mut conditions =
            all.iter().filter_map(|(operator, number)| Some((operator, (*number)?)));
        let (operator, number) = conditions.next()?;
        let fields = BTreeMap::from([("n".to_owned(), condition(operator, number))]);
        Some(Filter::parse(&Struct { fields }, &Limits::default()).unwrap())
    }

    fn admits(&self, row: &Row) -> bool {
        match (self.below, self.not) {
            (Some(bound), _) => row.number.is_some_and(|number| number < bound),
            (None, Some(not)) => row.number != Some(not),
            (None, None) => true,
        }
    }
}

/// Docids are ten times the position, so there are gaps.
fn docid(position: usize) -> u64 {
    10 * u64::try_from(position).unwrap()
}

fn push(builder: &mut FlatChunkBuilder, docid: u64, row: &Row) -> Result<(), ChunkError> {
    let metadata = row.metadata();
    let parts = RowParts {
        id: &RecordId::parse(&row.id).unwrap(),
        values: &row.values,
        sparse: row.sparse.as_ref().map(SparseRef::from),
        metadata: StoredMetadata::new(&metadata),
    };
    builder.push(docid, Lsn(row.born), parts)
}

fn chunk_of(kernels: Kernels, dimension: usize, first: usize, rows: &[Row]) -> FlatChunk {
    let mut builder = FlatChunkBuilder::with_capacity(dimension, rows.len()).with_kernels(kernels);
    for (i, row) in rows.iter().enumerate() {
        push(&mut builder, docid(first + i), row).unwrap();
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
    query: &Asked,
    (at, k): (u64, usize),
) -> Vec<Candidate<'a>> {
    let (prepared, filter) = (query.prepare(kernels), query.filter());
    let mut top = TopK::new(k, query.metric);
    for chunk in chunks {
        let half = chunk.rows() / 2;
        for rows in [half..chunk.rows(), 0..half] {
            let mut part = TopK::new(k, query.metric);
            let scope = Scope { at: Lsn(at), filter: filter.as_ref() };
            chunk.scan_rows(rows, kernels, &prepared, scope, &mut part);
            top.merge(part);
        }
    }
    top.into_sorted()
}

/// Every answer is a row in scope with its own score, and no row left out was nearer.
fn assert_nearest(found: &[Candidate<'_>], rows: &[Row], query: &Asked, (at, k): (u64, usize)) {
    let metric = query.metric;
    let tolerance = if metric == Metric::Cosine { 1e-6 } else { 0.0 };
    let in_scope = rows.iter().enumerate().filter(|(_, row)| row.visible(at) && query.admits(row));
    let mut expected: Vec<_> =
        in_scope.filter_map(|(i, row)| Some((row.score(query)?, row, docid(i)))).collect();
    assert_eq!(found.len(), k.min(expected.len()), "as many as wanted, or all there are");
    for candidate in found {
        let own = expected.iter().find(|(_, _, docid)| *docid == candidate.docid);
        let (score, row, _) = own.expect("an answer is a row in scope");
        assert_eq!((candidate.id, candidate.values), (row.id.as_str(), row.values.as_slice()));
        assert_eq!(candidate.sparse.map(SparseRef::to_vector), row.sparse);
        assert_eq!(candidate.metadata.as_bytes(), row.metadata());
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
        values: values.to_vec(),
        ..Row::default()
    };
    chunk_of(Kernels::detect(), 2, 1, &rows.iter().map(row).collect::<Vec<_>>())
}

fn row(id: &str, values: &[f32]) -> Row {
    Row { id: id.to_owned(), born: 1, values: values.to_vec(), ..Row::default() }
}

fn sparse(entries: &[(u32, f32)]) -> SparseVector {
    SparseVector {
        indices: entries.iter().map(|entry| entry.0).collect(),
        values: entries.iter().map(|entry| entry.1).collect(),
    }
}

#[test]
fn a_row_is_visible_from_its_birth_to_just_before_its_death() {
    let mut builder = FlatChunkBuilder::with_capacity(1, 1);
    push(&mut builder, 5, &Row { born: 10, ..row("a", &[1.0]) }).unwrap();
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
    // Three rows: docid, birth, death, two values, norm, ends of id and metadata; nine letters.
    assert_eq!(chunk.bytes(), 3 * (8 + 8 + 8 + 8 + 4 + 4 + 4) + 9);
}

#[test]
fn a_refused_row_leaves_no_trace() {
    let mut builder = FlatChunkBuilder::with_capacity(2, 0);
    push(&mut builder, 5, &row("a", &[1.0, 2.0])).unwrap();
    let refused = push(&mut builder, 5, &row("a", &[1.0, 2.0]));
    assert_eq!(refused, Err(ChunkError::Order { last: 5, docid: 5 }));
    let refused = push(&mut builder, 6, &row("a", &[1.0]));
    assert_eq!(refused, Err(ChunkError::Dimension { expected: 2, found: 1 }));
    assert_eq!(builder.rows(), 1);
    push(&mut builder, 6, &row("a", &[3.0, 4.0])).unwrap();
    assert_eq!(builder.finish().values_of(1), [3.0, 4.0]);
}

#[test]
fn chunks_that_do_not_follow_each_other_are_not_joined() {
    let one = Arc::new(simple(&[("a", [1.0, 2.0])]));
    let error = FlatChunk::merged(&[Arc::clone(&one), Arc::clone(&one)], Lsn(0)).unwrap_err();
    assert_eq!(error, ChunkError::Order { last: 10, docid: 10 });
    let wide = Arc::new(chunk_of(Kernels::detect(), 1, 7, &[row("w", &[1.0])]));
    let error = FlatChunk::merged(&[one, wide], Lsn(0)).unwrap_err();
    assert_eq!(error, ChunkError::Dimension { expected: 2, found: 1 });
}

#[test]
fn a_chunk_without_rows_answers_nothing() {
    let empty = Arc::new(FlatChunk::merged(&[], Lsn(0)).unwrap());
    assert_eq!((empty.rows(), empty.bytes(), empty.docid_range()), (0, 0, None));
    let kernels = Kernels::detect();
    let query = Asked::dense(Metric::Cosine, vec![1.0, 2.0]);
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
            values: (0..dimension).map(|j| value(i * dimension + j)).collect(),
            ..Row::default()
        })
        .collect();
    let chunk = chunk_of(kernels, dimension, 0, &rows);
    for metric in METRICS {
        let query = PreparedQuery::dense(metric, rows[500].values.clone(), kernels);
        let mut top = TopK::new(10_000, metric);
        chunk.scan(kernels, &query, Scope { at: Lsn(1), filter: None }, &mut top);
        let found = top.into_sorted();
        assert_eq!(found.len(), rows.len(), "more wanted than there are: all come");
        for candidate in &found {
            let alone = query.rescore(kernels, candidate.values, None).unwrap();
            assert_eq!(alone.to_bits(), candidate.score.to_bits(), "{metric:?}");
        }
    }
}

#[test]
fn a_record_that_shares_a_dimension_is_found_even_with_the_score_0() {
    let kernels = Kernels::detect();
    let rows = [
        Row { sparse: Some(sparse(&[(7, 1.0), (3, -1.0)])), ..row("cancels", &[]) },
        Row { sparse: Some(sparse(&[(u32::MAX, 5.0)])), ..row("elsewhere", &[]) },
        Row { sparse: Some(sparse(&[(3, 0.0)])), ..row("zero", &[]) },
        row("nothing", &[]),
    ];
    let chunk = [Arc::new(chunk_of(kernels, 0, 0, &rows))];
    let query = Asked {
        metric: Metric::DotProduct,
        dense: None,
        sparse: Some(sparse(&[(3, -2.0), (7, -2.0)])),
        below: None,
        not: None,
    };
    let found = search(&chunk, kernels, &query, (1, 10));
    let found: Vec<_> = found.iter().map(|candidate| (candidate.id, candidate.score)).collect();
    assert_eq!(found, [("cancels", 0.0), ("zero", 0.0)]);
    let dense = Asked::dense(Metric::DotProduct, vec![1.0]);
    assert!(search(&chunk, kernels, &dense, (1, 10)).is_empty(), "no dense vectors, no hits");
}

#[test]
fn the_order_in_which_sparse_values_were_sent_is_kept_through_a_merge() {
    let sent = sparse(&[(4_000_000_000, 0.5), (1, 2.0), (77, -3.0)]);
    let rows = [row("a", &[1.0]), Row { sparse: Some(sent.clone()), ..row("b", &[1.0]) }];
    let chunk = Arc::new(chunk_of(Kernels::detect(), 1, 0, &rows));
    let merged = FlatChunk::merged(&[chunk], Lsn(0)).unwrap();
    assert_eq!(merged.sparse_of(0), None);
    assert_eq!(merged.sparse_of(1).unwrap().to_vector(), sent);
}

/// Many rows: the filter goes first in some blocks and last in others, by what it costs.
#[test]
fn long_filtered_scans_find_the_nearest_whatever_goes_first() {
    let kernels = Kernels::detect();
    for (dimension, per_mille) in [(2, 500), (2, 10), (600, 10), (600, 900), (600, 0)] {
        let value = |i: usize| f32::from(i8::try_from(i * 7_919 % 31).unwrap()) - 15.0;
        let rows: Vec<Row> = (0..3_000)
            .map(|i| Row {
                number: Some(u8::from(i * 37 % 1_000 >= per_mille)),
                sparse: (i % 3 == 0).then(|| sparse(&[(5, 1.0), (2, value(i))])),
                values: (0..dimension).map(|j| value(i * dimension + j)).collect(),
                ..row(&format!("r{i:04}"), &[])
            })
            .collect();
        let chunks = chunks_of(kernels, dimension, &rows, &[700]);
        let values = rows[9].values.clone();
        for sparse in [None, Some(sparse(&[(2, 3.0), (5, -40.0)]))] {
            for below in [None, Some(1)] {
                let metric = Metric::DotProduct;
                let dense = Some(values.clone());
                let query = Asked { metric, dense, sparse: sparse.clone(), below, not: None };
                for k in [3, 5_000] {
                    let found = search(&chunks, kernels, &query, (1, k));
                    assert_nearest(&found, &rows, &query, (1, k));
                }
            }
        }
    }
}

fn sparse_vectors() -> impl Strategy<Value = Option<SparseVector>> {
    let dimension = prop_oneof![8 => 0_u32..6, 1 => Just(u32::MAX)];
    let entries = btree_map(dimension, -3_i8..=3, 1..5);
    let vector = (entries, any::<bool>()).prop_map(|(entries, reversed)| {
        let mut entries: Vec<_> = entries.into_iter().map(|(i, v)| (i, f32::from(v))).collect();
        if reversed {
            entries.reverse();
        }
        sparse(&entries)
    });
    prop::option::of(vector)
}

fn rows(dimension: usize) -> impl Strategy<Value = Vec<Row>> {
    let value = prop_oneof![3 => -3_i8..=3, 1 => Just(0_i8)].prop_map(f32::from);
    let number = prop::option::of(0_u8..4);
    let row =
        (1_u64..20, prop::option::of(0_u64..20), vec(value, dimension), sparse_vectors(), number);
    vec(row, 0..90).prop_map(|rows| {
        let named =
            rows.into_iter().enumerate().map(|(i, (born, life, values, sparse, number))| {
                let id = format!("r{}", i * 37 % 91);
                Row { id, born, dead: life.map(|life| born + life), values, sparse, number }
            });
        named.collect()
    })
}

/// Queries of every kind, and rows of the same dimension; 0 for a chunk without dense vectors.
fn searches() -> impl Strategy<Value = (Asked, Vec<Row>)> {
    let small = || (-3_i8..=3).prop_map(f32::from);
    (0_usize..24)
        .prop_flat_map(move |n| (vec(small(), n), sparse_vectors(), rows(n)))
        .prop_flat_map(|(values, sparse, rows)| {
            let filter = (prop::option::of(0_u8..5), prop::option::of(0_u8..4));
            let metric = prop::sample::select(METRICS.to_vec());
            (Just((values, sparse, rows)), metric, filter, any::<bool>())
        })
        .prop_map(|((values, sparse, rows), metric, (below, not), sparse_only)| {
            let sparse_only = sparse.is_some() && (sparse_only || values.is_empty());
            let metric = if sparse.is_some() { Metric::DotProduct } else { metric };
            // A dense query of no dimension finds nothing in a chunk without dense vectors.
            let rows = if values.is_empty() && !sparse_only { Vec::new() } else { rows };
            let dense = (!sparse_only).then_some(values);
            (Asked { metric, dense, sparse, below, not }, rows)
        })
}

fn dimension_of(rows: &[Row]) -> usize {
    rows.first().map_or(0, |row| row.values.len())
}

proptest! {
    #[test]
    fn a_scan_finds_what_a_naive_scan_finds(
        (query, rows) in searches(),
        cuts in vec(any::<usize>(), 0..4),
        at in 0_u64..40,
        k in prop_oneof![1_usize..12, Just(10_000)],
        tier in prop::sample::select(Tier::ALL.to_vec()),
    ) {
        let kernels = Kernels::with_tier(tier).unwrap_or(Kernels::detect());
        let chunks = chunks_of(kernels, dimension_of(&rows), &rows, &cuts);
        let found = search(&chunks, kernels, &query, (at, k));
        assert_nearest(&found, &rows, &query, (at, k));
        let seen: usize = chunks.iter().map(|chunk| chunk.live_rows_at(Lsn(at))).sum();
        prop_assert_eq!(seen, rows.iter().filter(|row| row.visible(at)).count());
        let filter = query.filter();
        let scope = Scope { at: Lsn(at), filter: filter.as_ref() };
        let matching: usize = chunks.iter().map(|chunk| chunk.rows_in(scope).count()).sum();
        let expected = rows.iter().filter(|row| row.visible(at) && query.admits(row)).count();
        prop_assert_eq!(matching, expected);
    }

    #[test]
    fn a_score_is_the_same_bits_in_a_scan_and_alone(
        (query, rows) in searches(),
        scale in -1e-3_f32..1e3,
    ) {
        // Values that are not whole, so that rounding would show.
        let scaled = |values: &[f32]| -> Vec<f32> { values.iter().map(|v| v * scale).collect() };
        let rows: Vec<_> = rows
            .into_iter()
            .map(|row| {
                let sparse = row.sparse.as_ref().map(|sparse| SparseVector {
                    indices: sparse.indices.clone(),
                    values: scaled(&sparse.values),
                });
                Row { values: scaled(&row.values), sparse, dead: None, ..row }
            })
            .collect();
        let kernels = Kernels::detect();
        let chunks = chunks_of(kernels, dimension_of(&rows), &rows, &[]);
        let prepared = query.prepare(kernels);
        let query = Asked { below: None, not: None, ..query };
        let found = search(&chunks, kernels, &query, (100, 10_000));
        for candidate in &found {
            let alone = prepared.rescore(kernels, candidate.values, candidate.sparse).unwrap();
            // A sum of -0 is 0 in an answer.
            prop_assert_eq!((alone + 0.0).to_bits(), candidate.score.to_bits());
        }
        let candidates = rows.iter().filter(|row| {
            let sparse = row.sparse.as_ref().map(SparseRef::from);
            prepared.rescore(kernels, &row.values, sparse).is_some()
        });
        prop_assert_eq!(found.len(), candidates.count());
    }

    #[test]
    fn joined_chunks_answer_as_before(
        (query, rows) in searches(),
        cuts in vec(any::<usize>(), 0..4),
        dead_before in 0_u64..40,
        later in 0_u64..20,
        k in prop_oneof![1_usize..12, Just(10_000)],
    ) {
        let kernels = Kernels::detect();
        let chunks = chunks_of(kernels, dimension_of(&rows), &rows, &cuts);
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
        prop_assert_eq!(joined.dead_rows(), kept.iter().filter(|(_, row)| row.dead.is_some()).count());
        for (row, (position, original)) in kept.into_iter().enumerate() {
            prop_assert_eq!(joined.docid_of(row), docid(position));
            prop_assert_eq!(joined.id_of(row), original.id.as_str());
            prop_assert_eq!(joined.values_of(row), original.values.as_slice());
            prop_assert_eq!(joined.sparse_of(row).map(SparseRef::to_vector), original.sparse.clone());
            prop_assert_eq!(joined.metadata_of(row).as_bytes(), original.metadata());
            prop_assert_eq!(joined.born_of(row), Lsn(original.born));
            prop_assert_eq!(joined.dead_of(row), original.dead.map(Lsn));
            let buried = joined.bury(docid(position), Lsn(100));
            prop_assert_eq!(buried, original.dead.is_none(), "a joined row can still die, once");
        }
        prop_assert_eq!(joined.dead_rows(), joined.rows());
    }
}
