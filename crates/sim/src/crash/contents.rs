//! What an index holds: as a model, as read through every path of the engine, and compared.
//!
//! INVARIANT: reading goes through counts, listing, fetching and searching, and the four must agree
//! before anything is compared with the model.

use std::collections::{BTreeMap, BTreeSet};

use lodgepole_engine::{Effort, Engine, ListPage, Near, Query, ShardRef};
use lodgepole_types::{
    DenseField, IdError, IndexId, Kind, Metadata, Metric, NamespaceName, Record, RecordId, Struct,
    Value,
};

use super::Violation;
use super::change::{from_version, is_from, read_names};

/// The version from which on the filter of every reading finds records.
const FILTERED_FROM: u16 = 4;

/// Records of one namespace by id.
pub type Records = BTreeMap<String, Record>;
/// Namespaces by name, emptied ones too; and aliases, as entries without records.
pub type Contents = BTreeMap<String, Records>;

/// Shape of every index in these runs.
#[must_use]
pub fn shape(index: IndexId) -> ShardRef {
    ShardRef { index, dense: Some(DenseField { dimension: 2, metric: Metric::DotProduct }) }
}

pub(crate) fn space(name: &str) -> Result<NamespaceName, Violation> {
    NamespaceName::parse(name).map_err(|error| invalid(&error))
}

pub(crate) fn record_id(key: &str) -> Result<RecordId, Violation> {
    RecordId::parse(key).map_err(|error| invalid(&error))
}

fn invalid(error: &IdError) -> Violation {
    Violation::Unexpected(format!("the script has a bad name: {error}"))
}

/// The record `key` in its version `version`: both values and metadata tell the two apart.
pub(crate) fn record(key: &str, version: u16) -> Result<Record, Violation> {
    let fields = [("version".to_owned(), Value::of(Kind::Number(version.into())))];
    let metadata =
        Metadata::parse(Struct { fields: fields.into() }, &lodgepole_types::Limits::default())
            .map_err(|error| Violation::Unexpected(error.to_string()))?;
    let spread = key.bytes().map(f32::from).sum();
    let values = vec![f32::from(version), spread];
    Ok(Record { id: record_id(key)?, values, sparse: None, metadata })
}

/// Reads everything an index holds.
///
/// # Errors
/// [`Violation::Unreadable`] when a read fails, [`Violation::Disagreement`] when two ways of reading
/// do not agree.
pub async fn read(engine: &Engine, index: IndexId) -> Result<Contents, Violation> {
    let shard = shape(index);
    let stats = engine.stats(shard).await.map_err(|error| unreadable("stats", &error))?;
    let mut contents = Contents::new();
    for (name, counted) in &stats.namespaces {
        let records = read_space(engine, shard, name).await?;
        if records.len() as u64 != counted.record_count {
            return Err(Violation::Disagreement(format!(
                "namespace '{}' counts {} records and lists {}",
                name.as_str(),
                counted.record_count,
                records.len()
            )));
        }
        contents.insert(name.as_str().to_owned(), records);
    }
    contents.extend(read_names(engine, shard).await?);
    Ok(contents)
}

async fn read_space(
    engine: &Engine,
    shard: ShardRef,
    name: &NamespaceName,
) -> Result<Records, Violation> {
    let page = ListPage { prefix: String::new(), after: None, limit: 10_000 };
    let listed =
        engine.list(shard, name, &page).await.map_err(|error| unreadable("list", &error))?;
    let fetched = engine
        .fetch(shard, name, &listed.ids)
        .await
        .map_err(|error| unreadable("fetch", &error))?;
    let query = |filter| Query {
        near: Near::Dense(vec![1.0, 1.0]),
        top_k: 10_000,
        filter,
        include_values: true,
        include_metadata: true,
        effort: Effort::default(),
    };
    let answer = engine
        .query(shard, name, query(None))
        .await
        .map_err(|error| unreadable("query", &error))?;
    let from = from_version(FILTERED_FROM)?;
    let filtered = engine.query(shard, name, query(Some(from))).await;
    let filtered = filtered.map_err(|error| unreadable("filtered query", &error))?;
    let by_id = |records: Vec<Record>| -> Records {
        records.into_iter().map(|record| (record.id.as_str().to_owned(), record)).collect()
    };
    let listed: BTreeSet<_> = listed.ids.iter().map(|id| id.as_str().to_owned()).collect();
    let fetched = by_id(fetched.records);
    let hits = answer.hits.len();
    let found = by_id(answer.hits.into_iter().map(|hit| hit.record).collect());
    if !fetched.keys().eq(listed.iter()) || found != fetched || hits != found.len() {
        return Err(Violation::Disagreement(format!(
            "in '{}': listed {listed:?}, fetched {:?}, found {:?}",
            name.as_str(),
            versions(&fetched),
            versions(&found)
        )));
    }
    let filtered = by_id(filtered.hits.into_iter().map(|hit| hit.record).collect());
    let matching = || fetched.iter().filter(|(_, record)| is_from(record, FILTERED_FROM));
    if !filtered.iter().eq(matching()) {
        return Err(Violation::Disagreement(format!(
            "in '{}': found {:?} by filter of {:?}",
            name.as_str(),
            versions(&filtered),
            versions(&fetched)
        )));
    }
    Ok(fetched)
}

fn unreadable(what: &str, error: &dyn std::error::Error) -> Violation {
    Violation::Unreadable(format!("{what}: {}", super::causes(error)))
}

/// Compares what was found with the state before the request in flight and the one after it.
///
/// # Errors
/// [`Violation::Torn`] when every record is in one of the two states but not all in the same one;
/// [`Violation::Lost`] when some record is in neither.
pub fn judge(
    found: &Contents,
    before: &Contents,
    after: &Contents,
    what: &str,
) -> Result<(), Violation> {
    if found == before || found == after {
        return Ok(());
    }
    let names = |contents: &Contents| contents.keys().cloned().collect::<BTreeSet<_>>();
    let all: BTreeSet<_> =
        names(found).into_iter().chain(names(before)).chain(names(after)).collect();
    let mixed = all.iter().all(|name| {
        let at = |contents: &Contents| contents.get(name).cloned().unwrap_or_default();
        let (found, before, after) = (at(found), at(before), at(after));
        let keys: BTreeSet<_> = found.keys().chain(before.keys()).chain(after.keys()).collect();
        keys.into_iter()
            .all(|key| found.get(key) == before.get(key) || found.get(key) == after.get(key))
    });
    let text = format!(
        "{what}: found {}, where before the request in flight there was {} and after it {}",
        shown(found),
        shown(before),
        shown(after)
    );
    Err(if mixed && before != after { Violation::Torn(text) } else { Violation::Lost(text) })
}

fn versions(records: &Records) -> BTreeMap<&str, f32> {
    let version = |record: &Record| record.values.first().copied().unwrap_or(f32::NAN);
    records.iter().map(|(key, record)| (key.as_str(), version(record))).collect()
}

/// Ids and versions, for messages.
fn shown(contents: &Contents) -> String {
    let spaces: BTreeMap<_, _> =
        contents.iter().map(|(name, records)| (name.as_str(), versions(records))).collect();
    format!("{spaces:?}")
}
