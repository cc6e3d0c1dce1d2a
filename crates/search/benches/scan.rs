//! How long one query takes over 100,000 records on one thread: dense vectors of 384 dimensions
//! without a filter and with filters that some percent of the records pass, sparse vectors with 100
//! values in a vocabulary of 30,000, and both together.
//!
//! Every record has metadata of four fields, some 90 bytes. Run with
//! `cargo bench -p lodgepole-search`.
#![allow(missing_docs, reason = "the bench macros generate undocumented items")]

use std::collections::BTreeMap;
use std::sync::OnceLock;

use divan::black_box;
use lodgepole_kernels::Kernels;
use lodgepole_search::{
    FlatChunk, FlatChunkBuilder, PreparedQuery, RowParts, Scope, SparseRef, TopK,
};
use lodgepole_types::{
    Filter, Kind, Limits, Lsn, Metadata, Metric, RecordId, Rng, SeededRng, SparseVector,
    StoredMetadata, Struct, Value,
};

const RECORDS: usize = 100_000;
const CHUNK_ROWS: usize = 8_192;
const DIMENSION: usize = 384;
const VOCABULARY: u64 = 30_000;
const SPARSE_VALUES: usize = 100;
const NEAREST: usize = 10;

fn main() {
    divan::main();
}

fn uniform(rng: &SeededRng) -> f32 {
    f32::from(u16::try_from(rng.next_u64() % 65_536).unwrap_or(0)) / 65_536.0 - 0.5
}

fn dense_vector(rng: &SeededRng) -> Vec<f32> {
    (0..DIMENSION).map(|_| uniform(rng)).collect()
}

fn sparse_vector(rng: &SeededRng) -> SparseVector {
    let mut entries = BTreeMap::new();
    while entries.len() < SPARSE_VALUES {
        let index = u32::try_from(rng.next_u64() % VOCABULARY).unwrap_or(0);
        entries.insert(index, uniform(rng));
    }
    let (indices, values) = entries.into_iter().unzip();
    SparseVector { indices, values }
}

fn number(number: u64) -> Value {
    Value::from(f64::from(u32::try_from(number).unwrap_or(0)))
}

fn metadata(rng: &SeededRng) -> Vec<u8> {
    let genre = if rng.next_u64().is_multiple_of(2) { "drama" } else { "comedy" };
    let fields = BTreeMap::from([
        ("genre".to_owned(), Value::from(genre)),
        ("percent".to_owned(), number(rng.next_u64() % 100)),
        ("title".to_owned(), Value::from("a title of ordinary length")),
        ("year".to_owned(), number(1950 + rng.next_u64() % 70)),
    ]);
    let metadata = Metadata::parse(Struct { fields }, &Limits::default());
    metadata.map(|metadata| metadata.to_stored()).unwrap_or_default()
}

fn chunks(dimension: usize, with_sparse: bool) -> Vec<FlatChunk> {
    let rng = SeededRng::new(1);
    let mut chunks = Vec::new();
    for first in (0..RECORDS).step_by(CHUNK_ROWS) {
        let mut builder = FlatChunkBuilder::with_capacity(dimension, CHUNK_ROWS);
        for number in first..RECORDS.min(first + CHUNK_ROWS) {
            let Ok(id) = RecordId::parse(&format!("record-{number}")) else { continue };
            let values = if dimension > 0 { dense_vector(&rng) } else { Vec::new() };
            let sparse = with_sparse.then(|| sparse_vector(&rng));
            let (sparse, metadata) = (sparse.as_ref().map(SparseRef::from), metadata(&rng));
            let metadata = StoredMetadata::new(&metadata);
            let parts = RowParts { id: &id, values: &values, sparse, metadata };
            assert!(builder.push(number as u64, Lsn(1), parts).is_ok(), "rows come in order");
        }
        chunks.push(builder.finish());
    }
    chunks
}

fn dense() -> &'static [FlatChunk] {
    static CHUNKS: OnceLock<Vec<FlatChunk>> = OnceLock::new();
    CHUNKS.get_or_init(|| chunks(DIMENSION, false))
}

fn sparse() -> &'static [FlatChunk] {
    static CHUNKS: OnceLock<Vec<FlatChunk>> = OnceLock::new();
    CHUNKS.get_or_init(|| chunks(0, true))
}

fn both() -> &'static [FlatChunk] {
    static CHUNKS: OnceLock<Vec<FlatChunk>> = OnceLock::new();
    CHUNKS.get_or_init(|| chunks(DIMENSION, true))
}

/// A filter that so many percent of the records pass; none for 100.
fn filter(percent: u64) -> Option<Filter> {
    let condition = BTreeMap::from([("$lt".to_owned(), number(percent))]);
    let condition = Value::of(Kind::Struct(Struct { fields: condition }));
    let fields = BTreeMap::from([("percent".to_owned(), condition)]);
    let filter = Filter::parse(&Struct { fields }, &Limits::default()).ok();
    filter.filter(|_| percent < 100)
}

fn run(bencher: divan::Bencher<'_, '_>, chunks: &[FlatChunk], query: &PreparedQuery, percent: u64) {
    let filter = filter(percent);
    let scope = Scope { at: Lsn(1), filter: filter.as_ref() };
    bencher.bench_local(|| {
        let mut top = TopK::new(NEAREST, query.metric());
        for chunk in chunks {
            let mut part = TopK::new(NEAREST, query.metric());
            chunk.scan(Kernels::detect(), query, scope, &mut part);
            top.merge(part);
        }
        black_box(top.into_sorted().len())
    });
}

#[divan::bench(args = [100, 90, 50, 1, 0], sample_count = 20, sample_size = 1)]
fn dense_384(bencher: divan::Bencher<'_, '_>, percent: u64) {
    let vector = dense_vector(&SeededRng::new(7));
    let query = PreparedQuery::dense(Metric::Cosine, vector, Kernels::detect());
    run(bencher, dense(), &query, percent);
}

#[divan::bench(args = [100, 50, 1], sample_count = 20, sample_size = 1)]
fn sparse_100(bencher: divan::Bencher<'_, '_>, percent: u64) {
    let query = PreparedQuery::sparse(&sparse_vector(&SeededRng::new(7)));
    run(bencher, sparse(), &query, percent);
}

#[divan::bench(args = [100, 50, 1], sample_count = 20, sample_size = 1)]
fn hybrid(bencher: divan::Bencher<'_, '_>, percent: u64) {
    let rng = SeededRng::new(7);
    let vector = dense_vector(&rng);
    let query = PreparedQuery::hybrid(vector, &sparse_vector(&rng), Kernels::detect());
    run(bencher, both(), &query, percent);
}

/// Every record is looked at: what a filter alone costs.
#[divan::bench(args = [50, 1], sample_count = 20, sample_size = 1)]
fn count(bencher: divan::Bencher<'_, '_>, percent: u64) {
    let filter = filter(percent);
    let scope = Scope { at: Lsn(1), filter: filter.as_ref() };
    bencher.bench_local(|| dense().iter().map(|chunk| chunk.rows_in(scope).count()).sum::<usize>());
}
