//! Goal: whatever was written, every way of reading by filter gives what a plain look at the fetched
//! records gives: queries of every kind, pages of records, counts.
//!
//! Method: generated requests of all kinds on indexes of all metrics, with names and values few
//! enough to collide, against a map; the tail is forgotten at random, so that answers come from
//! memory, from a load that follows writes, and from storage. Values are small whole numbers, so
//! scores other than cosines are exact.

use std::collections::BTreeMap;
use std::sync::Arc;

use lodgepole_types::{
    Filter, Limits, MetadataPatch, Metric, Record, ScoredRecord, SparseVector, StoredMetadata,
};
use proptest::collection::vec;
use proptest::prelude::*;

use super::{Bench, id, metadata, near, ns};
use crate::{Deletion, Effort, EngineOptions, FilterPage, Near, Query, ShardRef, Update};

const DIMENSION: u32 = 2;
const FILTERS: [&str; 8] = [
    "{}",
    r#"{"n":{"$lt":2}}"#,
    r#"{"n":{"$ne":1}}"#,
    r#"{"n":{"$in":[0,3]}}"#,
    r#"{"tags":"a"}"#,
    r#"{"tags":{"$nin":["a","b"]}}"#,
    r#"{"$or":[{"n":1},{"tags":"b"}]}"#,
    r#"{"x":{"$exists":true}}"#,
];

pub(super) fn filter(json: &str) -> Arc<Filter> {
    Arc::new(Filter::parse(&serde_json::from_str(json).unwrap(), &Limits::default()).unwrap())
}

fn sparse(entries: &[(u32, i8)]) -> SparseVector {
    SparseVector {
        indices: entries.iter().map(|entry| entry.0).collect(),
        values: entries.iter().map(|entry| f32::from(entry.1)).collect(),
    }
}

#[derive(Debug, Clone)]
enum Step {
    Upsert(Vec<(u8, Parts)>),
    Update(u8, Parts, u8),
    UpdateMatching(usize, u8, usize),
    Delete(Vec<u8>),
    DeleteMatching(usize),
    Empty,
    Forget,
    Restart,
    Query(Look, usize, u32),
    Page(usize, usize),
    Count(usize),
}

/// What a record is made of. Whether dense or sparse values are used depends on the index.
#[derive(Debug, Clone)]
struct Parts {
    dense: Option<[i8; 2]>,
    sparse: Vec<(u32, i8)>,
    number: u8,
    tags: u8,
}

#[derive(Debug, Clone)]
enum Look {
    Dense([i8; 2]),
    Sparse(Vec<(u32, i8)>),
    Hybrid([i8; 2], Vec<(u32, i8)>),
    Record(u8),
}

fn entries() -> impl Strategy<Value = Vec<(u32, i8)>> {
    let index = prop_oneof![4 => 0_u32..5, 1 => Just(u32::MAX)];
    proptest::collection::hash_map(index, -3_i8..=3, 1..4)
        .prop_map(|entries| entries.into_iter().collect())
}

fn dense() -> impl Strategy<Value = [i8; 2]> {
    [-3_i8..=3, -3_i8..=3]
}

fn parts() -> impl Strategy<Value = Parts> {
    let dense = prop::option::weighted(0.9, dense());
    let sparse = prop_oneof![entries(), Just(Vec::new())];
    (dense, sparse, 0_u8..4, 0_u8..4).prop_map(|(dense, sparse, number, tags)| Parts {
        dense,
        sparse,
        number,
        tags,
    })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let filter = 0..FILTERS.len();
    let look = prop_oneof![
        dense().prop_map(Look::Dense),
        entries().prop_map(Look::Sparse),
        (dense(), entries()).prop_map(|(dense, sparse)| Look::Hybrid(dense, sparse)),
        (0_u8..14).prop_map(Look::Record),
    ];
    let step = prop_oneof![
        6 => vec((0_u8..12, parts()), 1..6).prop_map(Step::Upsert),
        3 => (0_u8..14, parts(), 1_u8..8).prop_map(|(id, parts, what)| Step::Update(id, parts, what)),
        2 => (1..FILTERS.len(), 0_u8..4, 1_usize..8)
            .prop_map(|(filter, number, max)| Step::UpdateMatching(filter, number, max)),
        2 => vec(0_u8..14, 1..4).prop_map(Step::Delete),
        1 => (1..FILTERS.len()).prop_map(Step::DeleteMatching),
        1 => Just(Step::Empty),
        2 => Just(Step::Forget),
        1 => Just(Step::Restart),
        8 => (look, filter.clone(), prop_oneof![1_u32..5, Just(100)])
            .prop_map(|(look, filter, k)| Step::Query(look, filter, k)),
        2 => (filter.clone(), 1_usize..5).prop_map(|(filter, limit)| Step::Page(filter, limit)),
        2 => filter.prop_map(Step::Count),
    ];
    vec(step, 1..40)
}

/// The kind of an index; `None` for a sparse one.
type Shape = Option<Metric>;
type Model = BTreeMap<String, Record>;

struct Run {
    bench: Bench,
    shape: Shape,
    shard: ShardRef,
    model: Model,
}

fn name(number: u8) -> String {
    format!("r{:02}", number * 5 % 14)
}

fn floats(values: [i8; 2]) -> Vec<f32> {
    values.map(f32::from).to_vec()
}

/// The scores by the plainest arithmetic; `None` for a record that is no candidate.
fn score(shape: Shape, near: &Near, record: &Record) -> Option<f64> {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum()
    };
    let shared = |query: &SparseVector| {
        let own = record.sparse.as_ref()?;
        let pairs = query.indices.iter().zip(&query.values).filter_map(|(index, x)| {
            let at = own.indices.iter().position(|other| other == index)?;
            Some(f64::from(*x) * f64::from(own.values[at]))
        });
        pairs.fold(None, |sum, product| Some(sum.unwrap_or(0.0) + product))
    };
    let dense = |values: &[f32]| {
        let own = &record.values;
        if own.is_empty() {
            return None;
        }
        Some(match shape {
            Some(Metric::Euclidean) => {
                own.iter().zip(values).map(|(x, y)| f64::from(x - y).powi(2)).sum()
            }
            Some(Metric::Cosine) => {
                let norms = (dot(own, own) * dot(values, values)).sqrt();
                if norms == 0.0 { 0.0 } else { dot(own, values) / norms }
            }
            Some(Metric::DotProduct) | None => dot(own, values),
        })
    };
    match near {
        Near::Dense(values) => dense(values),
        Near::Sparse(query) => shared(query),
        Near::Hybrid { dense: values, sparse } => {
            Some(dense(values)? + shared(sparse).unwrap_or(0.0))
        }
        Near::Record(_) => panic!("resolved by the caller"),
    }
}

impl Run {
    async fn new(shape: Shape, options: EngineOptions) -> Self {
        let bench = Bench::with(options);
        let shard = match shape {
            Some(metric) => bench.create(DIMENSION, metric).await,
            None => {
                let shard = ShardRef { dense: None, ..bench.new_index(1, Metric::DotProduct) };
                bench.engine.create(shard).await.unwrap();
                shard
            }
        };
        Self { bench, shape, shard, model: Model::new() }
    }

    fn takes_sparse(&self) -> bool {
        matches!(self.shape, None | Some(Metric::DotProduct))
    }

    fn record(&self, number: u8, parts: &Parts) -> Record {
        let mut sparse_values = (!parts.sparse.is_empty()).then(|| sparse(&parts.sparse));
        let mut values = parts.dense.map(floats).unwrap_or_default();
        match self.shape {
            None => {
                values.clear();
                sparse_values.get_or_insert_with(|| sparse(&[(1, 1)]));
            }
            Some(Metric::DotProduct) if sparse_values.is_some() => {}
            Some(Metric::DotProduct) => values.resize(2, 1.0),
            Some(Metric::Cosine | Metric::Euclidean) => {
                values.resize(2, 1.0);
                sparse_values = None;
            }
        }
        let tags = ["", r#","tags":"a""#, r#","tags":["b"]"#, r#","tags":["b","a"],"x":true"#];
        let json = format!(r#"{{"n":{}{}}}"#, parts.number, tags[usize::from(parts.tags)]);
        Record { id: id(&name(number)), values, sparse: sparse_values, metadata: metadata(&json) }
    }

    async fn write(&mut self, step: Step) {
        let engine = Arc::clone(&self.bench.engine);
        match step {
            Step::Upsert(records) => {
                let records: Vec<_> =
                    records.iter().map(|(number, parts)| self.record(*number, parts)).collect();
                for record in &records {
                    self.model.insert(record.id.as_str().to_owned(), record.clone());
                }
                engine.upsert(self.shard, &ns(""), records).await.unwrap();
            }
            Step::Update(number, parts, what) => self.update(number, &parts, what).await,
            Step::UpdateMatching(which, number, max) => {
                let filter = filter(FILTERS[which]);
                let patch = patch(number);
                let ids = self.matching(&filter);
                for id in ids.iter().take(max) {
                    let record = self.model.get_mut(id).unwrap();
                    record.metadata = patch.apply(&record.metadata).unwrap();
                }
                let done = engine.update_matching(self.shard, &ns(""), filter, patch, max).await;
                assert_eq!(done.unwrap().count, ids.len() as u64);
            }
            Step::Delete(numbers) => {
                let ids: Vec<_> = numbers.iter().map(|number| id(&name(*number))).collect();
                self.model.retain(|key, _| ids.iter().all(|id| id.as_str() != key));
                engine.delete(self.shard, &ns(""), Deletion::Ids(ids)).await.unwrap();
            }
            Step::DeleteMatching(which) => {
                let filter = filter(FILTERS[which]);
                let ids = self.matching(&filter);
                self.model.retain(|key, _| !ids.contains(key));
                let done = engine.delete_matching(self.shard, &ns(""), filter).await;
                assert_eq!(done.unwrap().count, ids.len() as u64);
            }
            Step::Empty => {
                self.model.clear();
                engine.delete(self.shard, &ns(""), Deletion::All).await.unwrap();
            }
            Step::Forget => engine.commons.tails.forget(self.shard.index),
            Step::Restart => self.bench.reopen().await,
            Step::Query(look, which, k) => self.check_query(&look, FILTERS[which], k).await,
            Step::Page(which, limit) => self.check_pages(FILTERS[which], limit).await,
            Step::Count(which) => self.check_count(FILTERS[which]).await,
        }
    }

    /// `what` is a set of bits: values, sparse values, metadata.
    async fn update(&mut self, number: u8, parts: &Parts, what: u8) {
        let new = self.record(number, parts);
        // An update may store sparse values on any index; they must never count where the metric is
        // not the inner product.
        let values = Some(new.values).filter(|values| what & 1 != 0 && !values.is_empty());
        let sparse = (what & 2 != 0 && !parts.sparse.is_empty()).then(|| sparse(&parts.sparse));
        let metadata = (what & 4 != 0).then(|| patch(parts.number));
        if let Some(record) = self.model.get_mut(new.id.as_str()) {
            record.values = values.clone().unwrap_or(std::mem::take(&mut record.values));
            record.sparse = sparse.clone().or(record.sparse.take());
            if let Some(patch) = &metadata {
                record.metadata = patch.apply(&record.metadata).unwrap();
            }
        }
        let update = Update { id: new.id, values, sparse, metadata };
        self.bench.engine.update(self.shard, &ns(""), update).await.unwrap();
    }

    /// Ids of the records that match, ascending.
    fn matching(&self, filter: &Filter) -> Vec<String> {
        let matches =
            |record: &Record| filter.matches(StoredMetadata::new(&record.metadata.to_stored()));
        let found = self.model.iter().filter(|(_, record)| matches(record));
        found.map(|(id, _)| id.clone()).collect()
    }

    fn near(&self, look: &Look) -> Option<Near> {
        let dense_only = |values: Vec<f32>| self.shape.map(|_| Near::Dense(values));
        match look {
            Look::Dense(values) => dense_only(floats(*values)),
            Look::Sparse(entries) => self.takes_sparse().then(|| Near::Sparse(sparse(entries))),
            Look::Hybrid(values, entries) => {
                let sparse = sparse(entries);
                let hybrid = self.shape == Some(Metric::DotProduct);
                hybrid.then(|| Near::Hybrid { dense: floats(*values), sparse })
            }
            Look::Record(number) => Some(Near::Record(id(&name(*number)))),
        }
    }

    async fn check_query(&self, look: &Look, json: &str, top_k: u32) {
        let Some(near) = self.near(look) else { return };
        let filter = filter(json);
        let resolved = match &near {
            Near::Record(id) => self.model.get(id.as_str()).and_then(|record| {
                let sparse = record.sparse.clone().filter(|_| self.takes_sparse());
                match (record.values.is_empty(), sparse) {
                    (false, Some(sparse)) => {
                        Some(Near::Hybrid { dense: record.values.clone(), sparse })
                    }
                    (false, None) => Some(Near::Dense(record.values.clone())),
                    (true, sparse) => sparse.map(Near::Sparse),
                }
            }),
            Near::Dense(_) | Near::Sparse(_) | Near::Hybrid { .. } => Some(near.clone()),
        };
        let query = Query {
            near,
            top_k,
            filter: (json != "{}").then(|| Arc::clone(&filter)),
            include_values: true,
            include_metadata: true,
            effort: Effort::default(),
        };
        let answer = self.bench.engine.query(self.shard, &ns(""), query).await.unwrap();
        let lower_first = self.shape == Some(Metric::Euclidean);
        let mut expected: Vec<_> = self
            .matching(&filter)
            .iter()
            .filter_map(|id| Some((score(self.shape, resolved.as_ref()?, &self.model[id])?, id)))
            // Plus zero, because -0 and 0 are one score.
            .map(|(score, id)| (if lower_first { score } else { -score } + 0.0, id.clone()))
            .collect();
        expected.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(&b.1)));
        let k = (top_k as usize).min(expected.len());
        assert_eq!(answer.hits.len(), k, "{look:?} {json}");
        for (hit, (distance, id)) in answer.hits.iter().zip(&expected) {
            let ScoredRecord { score, record } = hit;
            let distance = if lower_first { *distance } else { -distance };
            assert!((f64::from(*score) - distance).abs() < 1e-6, "{look:?} {json} {hit:?}");
            assert_eq!(record, &self.model[record.id.as_str()]);
            if self.shape != Some(Metric::Cosine) {
                assert_eq!(record.id.as_str(), id, "{look:?} {json}");
            }
        }
    }

    async fn check_pages(&self, json: &str, limit: usize) {
        let filter = filter(json);
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = FilterPage { filter: Arc::clone(&filter), after, limit };
            let page =
                self.bench.engine.fetch_by_metadata(self.shard, &ns(""), &page).await.unwrap();
            assert!(page.records.len() == limit || !page.more, "only the last page is shorter");
            after = page.records.last().map(|record| record.id.as_str().to_owned());
            found.extend(page.records);
            if !page.more {
                break;
            }
        }
        let expected = self.matching(&filter).into_iter().map(|id| self.model[&id].clone());
        assert_eq!(found, expected.collect::<Vec<_>>(), "{json}");
    }

    async fn check_count(&self, json: &str) {
        let filter = filter(json);
        let expected = self.matching(&filter).len() as u64;
        for space in [Some(ns("")), None] {
            let counted =
                self.bench.engine.count(self.shard, space.as_ref(), &filter).await.unwrap();
            let count = counted.namespaces.get(&ns("")).copied().unwrap_or(0);
            assert_eq!(count, expected, "{json}");
        }
    }
}

fn patch(number: u8) -> MetadataPatch {
    let json = match number {
        0 => r#"{"x":null,"n":0}"#.to_owned(),
        3 => r#"{"tags":["a","c"],"n":null}"#.to_owned(),
        number => format!(r#"{{"n":{number}}}"#),
    };
    MetadataPatch::parse(serde_json::from_str(&json).unwrap(), &Limits::default()).unwrap()
}

async fn run(shape: Shape, tail_bytes_max: u64, steps: Vec<Step>) {
    let options = EngineOptions { tail_bytes_max, ..EngineOptions::default() };
    let mut run = Run::new(shape, options).await;
    for step in steps {
        run.write(step).await;
    }
    for json in FILTERS {
        run.check_pages(json, 3).await;
        run.check_count(json).await;
        for look in [Look::Dense([1, -2]), Look::Sparse(vec![(1, 2), (0, -1)]), Look::Record(3)] {
            run.check_query(&look, json, 100).await;
        }
    }
    run.bench.engine.shutdown().await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn reads_by_filter_agree_with_a_plain_look_at_the_records(
        shape in prop::sample::select(vec![
            Some(Metric::Cosine), Some(Metric::DotProduct), Some(Metric::DotProduct),
            Some(Metric::Euclidean), None,
        ]),
        tail_bytes_max in prop::sample::select(vec![1 << 30, 1 << 30, 600]),
        steps in steps(),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(run(shape, tail_bytes_max, steps));
    }
}

#[tokio::test]
async fn a_query_by_the_id_of_a_record_that_fails_the_filter_finds_the_others() {
    let bench = Bench::new();
    let shard = bench.create(1, Metric::Euclidean).await;
    let record = |name: &str, value: f32, n: u8| Record {
        metadata: metadata(&format!(r#"{{"n":{n}}}"#)),
        ..super::record(name, &[value])
    };
    let records = vec![record("a", 1.0, 1), record("b", 2.0, 2), record("c", 5.0, 2)];
    bench.engine.upsert(shard, &ns(""), records).await.unwrap();
    let filter = Some(filter(r#"{"n":2}"#));
    let query = Query { near: Near::Record(id("a")), filter, ..near(&[], 10) };
    let answer = bench.engine.query(shard, &ns(""), query).await.unwrap();
    let found: Vec<_> = answer.hits.iter().map(|hit| (hit.record.id.as_str(), hit.score)).collect();
    assert_eq!(found, [("b", 1.0), ("c", 16.0)]);
}

#[tokio::test]
async fn a_zero_vector_is_a_query_like_any_other() {
    let bench = Bench::new();
    for (metric, expected) in
        [(Metric::Euclidean, ["near", "far"]), (Metric::Cosine, ["far", "near"])]
    {
        let shard = bench.create(2, metric).await;
        let records = vec![super::record("far", &[3.0, 4.0]), super::record("near", &[1.0, 0.0])];
        bench.engine.upsert(shard, &ns(""), records).await.unwrap();
        let answer = bench.engine.query(shard, &ns(""), near(&[0.0, 0.0], 10)).await.unwrap();
        let found: Vec<_> = answer.hits.iter().map(|hit| hit.record.id.as_str()).collect();
        assert_eq!(found, expected, "{metric:?}: by score, and where that is equal by id");
        assert!(answer.hits.iter().all(|hit| hit.score >= 0.0));
    }
}

#[tokio::test]
async fn what_was_not_asked_for_is_not_in_a_hit() {
    let bench = Bench::new();
    let shard = bench.create(1, Metric::DotProduct).await;
    let record = Record { sparse: Some(sparse(&[(7, 2), (3, 1)])), ..super::record("a", &[1.0]) };
    bench.engine.upsert(shard, &ns(""), vec![record.clone()]).await.unwrap();
    let query = Query { include_values: false, include_metadata: false, ..near(&[1.0], 1) };
    let answer = bench.engine.query(shard, &ns(""), query.clone()).await.unwrap();
    let bare = Record { values: vec![], sparse: None, metadata: metadata("{}"), id: id("a") };
    assert_eq!(answer.hits[0].record, bare);
    let query = Query { include_values: true, ..query };
    let answer = bench.engine.query(shard, &ns(""), query).await.unwrap();
    assert_eq!(answer.hits[0].record, Record { metadata: metadata("{}"), ..record });
}

#[tokio::test]
async fn counts_of_all_namespaces_are_of_one_moment() {
    let bench = Bench::new();
    let shard = bench.create(1, Metric::Cosine).await;
    for (space, count) in [("", 3), ("one", 0), ("two", 5)] {
        let records = (0..count).map(|i| super::record(&format!("r{i}"), &[1.0])).collect();
        bench.engine.upsert(shard, &ns(space), records).await.unwrap();
    }
    let all = filter(r#"{"name":{"$in":["r0","r4"]}}"#);
    let counted = bench.engine.count(shard, None, &all).await.unwrap();
    assert_eq!(counted.namespaces, BTreeMap::from([(ns(""), 1), (ns("one"), 0), (ns("two"), 2)]));
    let unknown = bench.engine.count(shard, Some(&ns("three")), &all).await.unwrap();
    assert!(unknown.namespaces.is_empty());
}
