//! Everything an index holds, read through every path of the engine.
//!
//! INVARIANT: counts, listing, fetching and searching are each compared with the model, so an index
//! is right only when all of them are.

use std::collections::BTreeSet;

use lodgepole_engine::{Effort, Engine, ListPage, Near, Query, ReadError, ShardRef};
use lodgepole_types::{
    Filter, Kind, Limits, NamespaceName, Record, ScoredRecord, SparseVector, Struct, Value, causes,
};

use super::model::{Contents, Records};

const ALL: u32 = 10_000;
/// The filter of every reading finds records from this version on.
const FILTERED_FROM: u32 = 2;

/// What a reading gave.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Read {
    /// Everything, and what it is.
    Whole(Contents),
    /// An error.
    Failed(String),
    /// Paths that contradict each other.
    Torn(String),
}

/// Why a reading of one namespace ended.
enum Stop {
    Failed(String),
    Torn(String),
}

impl From<ReadError> for Stop {
    fn from(error: ReadError) -> Self {
        Self::Failed(causes(&error))
    }
}

/// Reads all of an index.
pub(crate) async fn read(engine: &Engine, shape: ShardRef) -> Read {
    match contents(engine, shape).await {
        Ok(contents) => Read::Whole(contents),
        Err(Stop::Failed(text)) => Read::Failed(text),
        Err(Stop::Torn(text)) => Read::Torn(text),
    }
}

async fn contents(engine: &Engine, shape: ShardRef) -> Result<Contents, Stop> {
    let stats = engine.stats(shape).await?;
    let mut contents = Contents::new();
    for (name, counted) in &stats.namespaces {
        let records = namespace(engine, shape, name).await?;
        if records.len() as u64 != counted.record_count {
            let (counted, found) = (counted.record_count, records.len());
            return Err(torn(name, &format!("{counted} counted, {found} found")));
        }
        contents.insert(name.as_str().to_owned(), records);
    }
    Ok(contents)
}

fn torn(name: &NamespaceName, what: &str) -> Stop {
    Stop::Torn(format!("namespace '{}': {what}", name.as_str()))
}

async fn namespace(
    engine: &Engine,
    shape: ShardRef,
    name: &NamespaceName,
) -> Result<Records, Stop> {
    let page = ListPage { prefix: String::new(), after: None, limit: ALL as usize };
    let listed = engine.list(shape, name, &page).await?;
    let fetched = engine.fetch(shape, name, &listed.ids).await?;
    let ids: BTreeSet<_> = listed.ids.iter().map(|id| id.as_str().to_owned()).collect();
    let fetched: Records =
        fetched.records.into_iter().map(|found| (found.id.as_str().to_owned(), found)).collect();
    if !fetched.keys().eq(ids.iter()) {
        return Err(torn(name, "listed and fetched differ"));
    }
    for near in places(shape) {
        for filtered in [false, true] {
            let hits = search(engine, shape, name, near.clone(), filtered).await?;
            check_hits(&hits, &fetched, &near, filtered).map_err(|what| torn(name, &what))?;
        }
    }
    Ok(fetched)
}

/// Where every reading searches.
fn places(shape: ShardRef) -> Vec<Near> {
    let mut places = Vec::new();
    if shape.dimension() > 0 {
        places.push(Near::Dense(vec![0.5; shape.dimension()]));
    }
    // Every record of a sparse index has one of these.
    let sparse = SparseVector { indices: vec![0, 1, 2, 3, 4], values: vec![1.0; 5] };
    if shape.dimension() <= 16 {
        places.push(Near::Sparse(sparse));
    }
    places
}

async fn search(
    engine: &Engine,
    shape: ShardRef,
    name: &NamespaceName,
    near: Near,
    filtered: bool,
) -> Result<Vec<ScoredRecord>, Stop> {
    let query = Query {
        near,
        top_k: ALL,
        filter: if filtered { Some(from_version()?) } else { None },
        include_values: true,
        include_metadata: true,
        effort: Effort::default(),
    };
    Ok(engine.query(shape, name, query).await?.hits)
}

fn from_version() -> Result<std::sync::Arc<Filter>, Stop> {
    let from = Value::of(Kind::Number(f64::from(FILTERED_FROM)));
    let condition = Value::of(Kind::Struct(Struct { fields: [("$gte".to_owned(), from)].into() }));
    let filter = Struct { fields: [("version".to_owned(), condition)].into() };
    let filter = Filter::parse(&filter, &Limits::default());
    filter.map(std::sync::Arc::new).map_err(|error| Stop::Torn(error.to_string()))
}

/// The hits are exactly the records that can be found so, with their scores, nearest first.
fn check_hits(
    hits: &[ScoredRecord],
    records: &Records,
    near: &Near,
    filtered: bool,
) -> Result<(), String> {
    let wanted = records.values().filter(|record| !filtered || version_of(record) >= FILTERED_FROM);
    let wanted: BTreeSet<&str> = wanted
        .filter(|record| score_of(record, near).is_some())
        .map(|record| record.id.as_str())
        .collect();
    let found: BTreeSet<&str> = hits.iter().map(|hit| hit.record.id.as_str()).collect();
    if found != wanted || hits.len() != wanted.len() {
        let missing = wanted.difference(&found).count();
        let more = found.difference(&wanted).count();
        return Err(format!("a search misses {missing} records and finds {more} others"));
    }
    for hit in hits {
        let record = &records[hit.record.id.as_str()];
        if hit.record != *record {
            return Err(format!("a search finds another {} than a fetch", record.id));
        }
        let score = score_of(record, near).unwrap_or(f32::NAN);
        if (hit.score - score).abs() > 1e-4 * (1.0 + score.abs()) {
            return Err(format!("{} has score {} instead of {score}", record.id, hit.score));
        }
    }
    if hits.is_sorted_by(|a, b| a.score >= b.score) {
        Ok(())
    } else {
        Err("the hits of a search are not in order".to_owned())
    }
}

fn version_of(record: &Record) -> u32 {
    match record.metadata.as_struct().fields.get("version") {
        Some(Value { kind: Some(Kind::Number(version)) }) => *version as u32,
        Some(_) | None => 0,
    }
}

/// The inner product; `None` for a record that is no hit. Every index of the estate has that metric.
fn score_of(record: &Record, near: &Near) -> Option<f32> {
    match near {
        Near::Dense(query) => (!record.values.is_empty())
            .then(|| record.values.iter().zip(query).map(|(a, b)| a * b).sum()),
        Near::Sparse(query) => {
            let own = record.sparse.as_ref()?;
            let parts: Vec<f32> = own
                .indices
                .iter()
                .zip(&own.values)
                .filter_map(|(index, value)| {
                    let at = query.indices.iter().position(|other| other == index)?;
                    Some(value * query.values[at])
                })
                .collect();
            (!parts.is_empty()).then(|| parts.iter().sum())
        }
        Near::Hybrid { .. } | Near::Record(_) => None,
    }
}
