//! Turns a request into one batch of rows.
//!
//! The planner is the only place that hands out docids and changes counts. It runs inside the one
//! writer of the shard and reads at memory level, so it sees every earlier request of the queue,
//! durable or not. Invariant: counts, totals and rows change in the same batch.

use std::collections::{HashMap, HashSet};

use futures::stream::{self, StreamExt, TryStreamExt};
use lodgepole_storage::{Batch, Database, Visibility};
use lodgepole_types::{NamespaceName, Record, RecordId, Timestamp};

use crate::change::{Added, Change, Effect};
use crate::rows::{
    self, CountRow, DocId, MetaRow, NamespaceId, NamespaceRow, Place, RecordRow, VectorRow,
};
use crate::{EngineError, WriteError};

/// Point reads under way at once while a request is resolved.
const LOOKUPS_IN_FLIGHT: usize = 16;
/// Namespaces whose counts are kept in memory; the rest is read again when needed.
const NAMESPACES_CACHED_MAX: usize = 100_000;

/// The writer's knowledge of its shard.
#[derive(Debug)]
pub(crate) struct Planner {
    meta: MetaRow,
    namespaces: HashMap<NamespaceName, KnownNamespace>,
}

#[derive(Debug, Clone, Copy)]
struct KnownNamespace {
    row: NamespaceRow,
    count: CountRow,
}

/// A planned request: its rows and their effect.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) batch: Batch,
    pub(crate) effect: Effect,
}

impl Planner {
    /// Reads the allocation marks of a shard.
    pub(crate) async fn open(database: &Database) -> Result<Self, EngineError> {
        let meta = match database.get(&rows::meta_key(), Visibility::Memory).await? {
            Some(bytes) => MetaRow::decode(&bytes)?,
            None => MetaRow::default(),
        };
        Ok(Self { meta, namespaces: HashMap::new() })
    }

    /// Totals over all namespaces, up to the last planned request.
    pub(crate) fn totals(&self) -> MetaRow {
        self.meta
    }

    /// Plans one request. The plan must be written, or the planner thrown away: it has already
    /// moved its marks.
    pub(crate) async fn plan(
        &mut self,
        database: &Database,
        name: &NamespaceName,
        change: Change,
        now: Timestamp,
    ) -> Result<Plan, WriteError> {
        let known = self.known(database, name).await?;
        let mut plan = Plan { batch: Batch::new(), effect: Effect::default() };
        match (change, known) {
            (Change::Upsert(records), known) => {
                let known = match known {
                    Some(known) => known,
                    None => self.create(&mut plan.batch, name, now),
                };
                self.upsert(database, name, known, records, &mut plan).await?;
            }
            (Change::Delete(_) | Change::DeleteAll, None) => {
                if !name.is_default() {
                    return Err(WriteError::NamespaceNotFound);
                }
            }
            (Change::Delete(ids), Some(known)) => {
                self.delete(database, name, known, &ids, &mut plan).await?;
            }
            (Change::DeleteAll, Some(known)) => self.empty(name, known, &mut plan),
        }
        plan.batch.put(rows::meta_key(), self.meta.encode());
        Ok(plan)
    }

    async fn known(
        &mut self,
        database: &Database,
        name: &NamespaceName,
    ) -> Result<Option<KnownNamespace>, EngineError> {
        if let Some(known) = self.namespaces.get(name) {
            return Ok(Some(*known));
        }
        let key = rows::namespace_key(name);
        let Some(bytes) = database.get(&key, Visibility::Memory).await? else {
            return Ok(None);
        };
        let row = NamespaceRow::decode(&bytes)?;
        let place = Place { slot: rows::slot_of(name), id: row.id };
        let count = match database.get(&rows::count_key(place), Visibility::Memory).await? {
            Some(bytes) => CountRow::decode(&bytes)?,
            None => CountRow::default(),
        };
        let known = KnownNamespace { row, count };
        self.remember(name, known);
        Ok(Some(known))
    }

    fn remember(&mut self, name: &NamespaceName, known: KnownNamespace) {
        if self.namespaces.len() >= NAMESPACES_CACHED_MAX {
            self.namespaces.clear();
        }
        self.namespaces.insert(name.clone(), known);
    }

    fn create(
        &mut self,
        batch: &mut Batch,
        name: &NamespaceName,
        now: Timestamp,
    ) -> KnownNamespace {
        let id = NamespaceId(self.meta.next_namespace);
        self.meta.next_namespace += 1;
        self.meta.namespace_count += 1;
        let row = NamespaceRow { id, created_ms: now.0 };
        batch.put(rows::namespace_key(name), row.encode());
        KnownNamespace { row, count: CountRow::default() }
    }

    async fn upsert(
        &mut self,
        database: &Database,
        name: &NamespaceName,
        mut known: KnownNamespace,
        records: Vec<Record>,
        plan: &mut Plan,
    ) -> Result<(), EngineError> {
        let place = Place { slot: rows::slot_of(name), id: known.row.id };
        let records = last_of_each_id(records);
        let ids: Vec<_> = records.iter().map(|record| &record.id).collect();
        let before = heads(database, place, &ids).await?;
        plan.effect.place = Some(place);
        for (record, before) in records.into_iter().zip(before) {
            let metadata = record.metadata.to_stored();
            let sparse_len = record.sparse.as_ref().map_or(0, |sparse| sparse.indices.len());
            let bytes =
                rows::counted_bytes(&record.id, record.values.len(), sparse_len, metadata.len());
            if let Some((docid, old_bytes)) = before {
                plan.effect.buried.push(docid);
                self.uncount(&mut known.count, old_bytes);
            }
            let docid = self.meta.next_docid;
            self.meta.next_docid += 1;
            self.count(&mut known.count, bytes);
            let id = record.id.as_str();
            let record_row = RecordRow::encode(docid, bytes, &metadata);
            plan.batch.put(rows::record_key(place, id), record_row);
            let vector_row = VectorRow::encode(docid, &record.values, record.sparse.as_ref());
            plan.batch.put(rows::vector_key(place, id), vector_row);
            plan.effect.added.push(Added { docid, id: record.id, values: record.values });
        }
        plan.batch.put(rows::count_key(place), known.count.encode());
        self.remember(name, known);
        Ok(())
    }

    async fn delete(
        &mut self,
        database: &Database,
        name: &NamespaceName,
        mut known: KnownNamespace,
        ids: &[RecordId],
        plan: &mut Plan,
    ) -> Result<(), EngineError> {
        let place = Place { slot: rows::slot_of(name), id: known.row.id };
        let mut seen = HashSet::new();
        let ids: Vec<_> = ids.iter().filter(|id| seen.insert(id.as_str())).collect();
        let before = heads(database, place, &ids).await?;
        plan.effect.place = Some(place);
        for (id, before) in ids.into_iter().zip(before) {
            let Some((docid, bytes)) = before else { continue };
            plan.effect.buried.push(docid);
            self.uncount(&mut known.count, bytes);
            plan.batch.delete(rows::record_key(place, id.as_str()));
            plan.batch.delete(rows::vector_key(place, id.as_str()));
        }
        if !plan.effect.buried.is_empty() {
            plan.batch.put(rows::count_key(place), known.count.encode());
            self.remember(name, known);
        }
        Ok(())
    }

    /// Gives the namespace a new number: constant cost, whatever its size.
    fn empty(&mut self, name: &NamespaceName, known: KnownNamespace, plan: &mut Plan) {
        let old = Place { slot: rows::slot_of(name), id: known.row.id };
        let id = NamespaceId(self.meta.next_namespace);
        self.meta.next_namespace += 1;
        self.meta.record_count = self.meta.record_count.saturating_sub(known.count.record_count);
        self.meta.bytes = self.meta.bytes.saturating_sub(known.count.bytes);
        let row = NamespaceRow { id, created_ms: known.row.created_ms };
        plan.batch.put(rows::namespace_key(name), row.encode());
        plan.batch.delete(rows::count_key(old));
        plan.batch.put(rows::dead_key(old), Vec::from([1]));
        plan.effect.place = Some(old);
        plan.effect.emptied = true;
        self.remember(name, KnownNamespace { row, count: CountRow::default() });
    }

    fn count(&mut self, count: &mut CountRow, bytes: u32) {
        count.record_count += 1;
        count.bytes += u64::from(bytes);
        self.meta.record_count += 1;
        self.meta.bytes += u64::from(bytes);
    }

    fn uncount(&mut self, count: &mut CountRow, bytes: u32) {
        assert!(count.record_count > 0, "a namespace lost more records than it had");
        count.record_count -= 1;
        count.bytes = count.bytes.saturating_sub(u64::from(bytes));
        self.meta.record_count -= 1;
        self.meta.bytes = self.meta.bytes.saturating_sub(u64::from(bytes));
    }
}

/// Drops all but the last record of each id; the order stays.
fn last_of_each_id(mut records: Vec<Record>) -> Vec<Record> {
    let mut last = HashMap::with_capacity(records.len());
    for (at, record) in records.iter().enumerate() {
        last.insert(record.id.clone(), at);
    }
    if last.len() < records.len() {
        let mut at = 0;
        records.retain(|record| {
            let keep = last.get(&record.id) == Some(&at);
            at += 1;
            keep
        });
    }
    records
}

/// Version and counted bytes of each record, as far as it exists.
async fn heads(
    database: &Database,
    place: Place,
    ids: &[&RecordId],
) -> Result<Vec<Option<(DocId, u32)>>, EngineError> {
    let keys: Vec<_> = ids.iter().map(|id| rows::record_key(place, id.as_str())).collect();
    stream::iter(keys)
        .map(|key| head(database.clone(), key))
        .buffered(LOOKUPS_IN_FLIGHT)
        .try_collect()
        .await
}

async fn head(database: Database, key: Vec<u8>) -> Result<Option<(DocId, u32)>, EngineError> {
    let row = database.get(&key, Visibility::Memory).await?;
    Ok(row.map(|bytes| RecordRow::decode_head(&bytes)).transpose()?)
}
