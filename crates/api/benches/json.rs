//! How fast JSON of the data plane is read and written, in bytes per second of one core.
//!
//! Bodies are about 2 MB, the largest upsert that Pinecone takes, in the spellings that clients
//! send: Python prints a 32-bit number as the double it is (17 digits), others print the shortest
//! decimal (9 digits). `read_by_serde_json` reads the same bodies with serde_json alone, so that one
//! run gives a ratio. Run with `cargo bench -p lodgepole-api`.
#![allow(missing_docs, reason = "the bench macros generate undocumented items")]
#![allow(clippy::unwrap_used, reason = "a benchmark stops when its input is wrong")]

use std::fmt::{self, Write as _};

use divan::Bencher;
use divan::counter::BytesCount;
use lodgepole_api::parse;
use lodgepole_api::wire::vectors::{
    FetchResponse, QueryRequest, QueryResponse, ScoredVector, UpsertRequest, Vector,
};
use lodgepole_types::{Rng as _, SeededRng};

const BODY_BYTES: usize = 2 << 20;

fn main() {
    divan::main();
}

/// How numbers and separators are written.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Spelling {
    /// `json.dumps` of 32-bit numbers: 17 digits, a space after each comma.
    Python,
    /// Shortest decimals of 32-bit numbers, no spaces.
    Short,
}

#[derive(Debug, Clone, Copy)]
struct Case {
    spelling: Spelling,
    dimension: usize,
    /// Whether records carry metadata of about 250 bytes.
    metadata: bool,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let metadata = if self.metadata { " metadata" } else { "" };
        write!(f, "{:?} {}{metadata}", self.spelling, self.dimension)
    }
}

const CASES: [Case; 7] = [
    Case { spelling: Spelling::Python, dimension: 384, metadata: false },
    Case { spelling: Spelling::Short, dimension: 384, metadata: false },
    Case { spelling: Spelling::Python, dimension: 384, metadata: true },
    Case { spelling: Spelling::Short, dimension: 384, metadata: true },
    Case { spelling: Spelling::Python, dimension: 20_000, metadata: false },
    Case { spelling: Spelling::Short, dimension: 20_000, metadata: false },
    Case { spelling: Spelling::Short, dimension: 8, metadata: true },
];

/// Values as embeddings have them: around zero, of length 1.
fn values(rng: &SeededRng, dimension: usize) -> Vec<f32> {
    let uniform = || f64::from(u32::try_from(rng.next_u64() >> 32).unwrap_or(0)) / 4_294_967_296.0;
    let bell = || (0..4).map(|_| uniform() - 0.5).sum::<f64>();
    let values: Vec<f64> = (0..dimension).map(|_| bell()).collect();
    let length = values.iter().map(|value| value * value).sum::<f64>().sqrt();
    #[expect(clippy::cast_possible_truncation, reason = "embeddings are 32-bit numbers")]
    let narrow = |value: &f64| (value / length) as f32;
    values.iter().map(narrow).collect()
}

fn list(values: &[f32], spelling: Spelling) -> String {
    let mut text = String::from("[");
    for (place, &value) in values.iter().enumerate() {
        let separator = match (place, spelling) {
            (0, _) => "",
            (_, Spelling::Python) => ", ",
            (_, Spelling::Short) => ",",
        };
        let written = match spelling {
            Spelling::Python => write!(text, "{separator}{:?}", f64::from(value)),
            Spelling::Short => write!(text, "{separator}{value:?}"),
        };
        written.unwrap();
    }
    text + "]"
}

fn metadata(number: usize) -> String {
    format!(
        r#"{{"title":"Trees of the mountains, part {number}","url":"https://example.com/{number}","year":{},"rating":4.25,"open":true,"tags":["pine","lodgepole","Kiefer","höhe"],"text":"The lodgepole pine grows up to the timber line.\nIt is \"serotinous\"."}}"#,
        1900 + number % 120
    )
}

fn upsert(case: Case) -> String {
    let rng = SeededRng::new(7);
    let mut body = String::from(r#"{"namespace":"bench","vectors":["#);
    let mut number = 0;
    while body.len() < BODY_BYTES {
        let comma = if number == 0 { "" } else { "," };
        let list = list(&values(&rng, case.dimension), case.spelling);
        write!(body, r#"{comma}{{"id":"record-{number:08}","values":{list}"#).unwrap();
        if case.metadata {
            write!(body, r#","metadata":{}"#, metadata(number)).unwrap();
        }
        body.push('}');
        number += 1;
    }
    body + "]}"
}

#[divan::bench(args = CASES)]
fn read(bencher: Bencher<'_, '_>, case: Case) {
    let body = upsert(case);
    bencher
        .counter(BytesCount::of_str(&body))
        .bench_local(|| parse::data_body::<UpsertRequest>(body.as_bytes()).unwrap());
}

#[divan::bench(args = CASES)]
fn read_by_serde_json(bencher: Bencher<'_, '_>, case: Case) {
    let body = upsert(case);
    bencher
        .counter(BytesCount::of_str(&body))
        .bench_local(|| serde_json::from_slice::<UpsertRequest>(body.as_bytes()).unwrap());
}

#[divan::bench(args = [8, 384, 1_536])]
fn read_query(bencher: Bencher<'_, '_>, dimension: usize) {
    let values = list(&values(&SeededRng::new(7), dimension), Spelling::Python);
    let body = format!(r#"{{"vector":{values},"topK":10,"includeMetadata":true}}"#);
    bencher
        .counter(BytesCount::of_str(&body))
        .bench_local(|| parse::data_body::<QueryRequest>(body.as_bytes()).unwrap());
}

fn vectors(dimension: usize) -> Vec<Vector> {
    let case = Case { spelling: Spelling::Short, dimension, metadata: true };
    serde_json::from_str::<UpsertRequest>(&upsert(case)).unwrap().vectors
}

#[divan::bench]
fn write_fetch_of_100(bencher: Bencher<'_, '_>) {
    let vectors = vectors(384).into_iter().take(100);
    let vectors = vectors.map(|vector| (vector.id.clone(), vector)).collect();
    let reply = FetchResponse { vectors, namespace: "bench".to_owned(), usage: None };
    let bytes = serde_json::to_vec(&reply).unwrap().len();
    bencher.counter(BytesCount::new(bytes)).bench_local(|| serde_json::to_vec(&reply).unwrap());
}

#[divan::bench(args = [false, true])]
fn write_query_of_100(bencher: Bencher<'_, '_>, include_values: bool) {
    let hit = |vector: Vector| ScoredVector {
        id: vector.id,
        score: vector.values[0],
        values: if include_values { vector.values } else { Vec::new() },
        metadata: vector.metadata,
        sparse_values: None,
    };
    let matches = vectors(384).into_iter().take(100).map(hit).collect();
    let reply = QueryResponse { matches, namespace: "bench".to_owned(), usage: None };
    let bytes = serde_json::to_vec(&reply).unwrap().len();
    bencher.counter(BytesCount::new(bytes)).bench_local(|| serde_json::to_vec(&reply).unwrap());
}
