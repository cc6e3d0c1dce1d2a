//! Planning changes of records: their rows, their versions, the counts.
//!
//! Invariant: `bytes` in a record's row is what the record adds to the counts, so taking it away
//! again leaves them exact. A change of metadata alone writes the record row only; the vector row
//! stays, and the record row says which version it is of.

use std::collections::{HashMap, HashSet};

use futures::stream::{self, StreamExt, TryStreamExt};
use lodgepole_rows::{
    self as rows, CountRow, DocId, Place, RecordHead, RecordRow, RowError, VectorRow,
};
use lodgepole_storage::{Database, Visibility};
use lodgepole_types::{NamespaceName, Record, RecordId};

use super::{KnownNamespace, Plan, Planner};
use crate::change::{Added, Revised, Update};
use crate::{EngineError, WriteError};

/// Point reads under way at once while a request is resolved.
const LOOKUPS_IN_FLIGHT: usize = 16;

impl Planner {
    pub(super) async fn upsert(
        &mut self,
        database: &Database,
        name: &NamespaceName,
        mut known: KnownNamespace,
        records: Vec<Record>,
        plan: &mut Plan,
    ) -> Result<(), EngineError> {
        let place = known.place(name);
        let records = last_of_each_id(records);
        let ids: Vec<_> = records.iter().map(|record| &record.id).collect();
        let before = heads(database, place, &ids).await?;
        plan.effect.place = Some(place);
        for (record, before) in records.into_iter().zip(before) {
            if let Some(head) = before {
                plan.effect.buried.push(head.docid);
                self.uncount(&mut known.count, head.bytes);
            }
            let (added, bytes) = self.put_record(place, record, plan);
            self.count(&mut known.count, bytes);
            plan.effect.added.push(added);
        }
        plan.batch.put(rows::count_key(place), known.count.encode());
        self.remember(name, known);
        Ok(())
    }

    /// Writes both rows of a record under a new version; returns what it counts for.
    pub(crate) fn put_record(
        &mut self,
        place: Place,
        record: Record,
        plan: &mut Plan,
    ) -> (Added, u32) {
        let docid = self.take_docid();
        let Record { id, values, sparse, metadata } = record;
        let metadata = metadata.to_stored();
        let sparse_len = sparse.as_ref().map_or(0, |sparse| sparse.indices.len());
        let bytes = rows::counted_bytes(&id, values.len(), sparse_len, metadata.len());
        let head = RecordHead { docid, vector_docid: docid, bytes };
        plan.batch.put(rows::record_key(place, id.as_str()), RecordRow::encode(head, &metadata));
        let vector_row = VectorRow::encode(docid, &values, sparse.as_ref());
        plan.batch.put(rows::vector_key(place, id.as_str()), vector_row);
        (Added { docid, id, values, sparse, metadata }, bytes)
    }

    pub(super) async fn update(
        &mut self,
        database: &Database,
        name: &NamespaceName,
        mut known: KnownNamespace,
        update: Update,
        plan: &mut Plan,
    ) -> Result<(), WriteError> {
        let place = known.place(name);
        let Update { id, values, sparse, metadata: patch } = update;
        let key = rows::record_key(place, id.as_str());
        let Some(row) = database.get(&key, Visibility::Memory).await? else { return Ok(()) };
        let (head, stored) = RecordRow::split(&row)?;
        let old = RecordRow::decode(&row)?;
        let metadata = match &patch {
            Some(patch) => patch.apply(&old.metadata)?,
            None => old.metadata,
        };
        plan.effect.place = Some(place);
        if values.is_none() && sparse.is_none() {
            let metadata = metadata.to_stored();
            if metadata != stored {
                let bytes = head.bytes - length(stored.len()) + length(metadata.len());
                self.revise(place, &mut known.count, (id, head), (metadata, bytes), plan);
            }
        } else {
            let key = rows::vector_key(place, id.as_str());
            let vectors = database.get(&key, Visibility::Memory).await?;
            let vectors = VectorRow::decode(&vectors.ok_or_else(RowError::unmatched)?)?;
            let values = values.unwrap_or(vectors.values);
            let sparse = sparse.or(vectors.sparse);
            self.uncount(&mut known.count, head.bytes);
            plan.effect.buried.push(head.docid);
            let record = Record { id, values, sparse, metadata };
            let (added, bytes) = self.put_record(place, record, plan);
            self.count(&mut known.count, bytes);
            plan.effect.added.push(added);
        }
        plan.batch.put(rows::count_key(place), known.count.encode());
        self.remember(name, known);
        Ok(())
    }

    /// Writes new metadata of a record whose vectors stay.
    pub(crate) fn revise(
        &mut self,
        place: Place,
        count: &mut CountRow,
        (id, old): (RecordId, RecordHead),
        (metadata, bytes): (Vec<u8>, u32),
        plan: &mut Plan,
    ) {
        self.uncount(count, old.bytes);
        self.count(count, bytes);
        let docid = self.take_docid();
        let head = RecordHead { docid, vector_docid: old.vector_docid, bytes };
        plan.batch.put(rows::record_key(place, id.as_str()), RecordRow::encode(head, &metadata));
        plan.effect.buried.push(old.docid);
        plan.touched.push(id.clone());
        plan.effect.revised.push(Revised { old: old.docid, docid, id, metadata });
    }

    pub(super) async fn delete(
        &mut self,
        database: &Database,
        name: &NamespaceName,
        mut known: KnownNamespace,
        ids: Vec<RecordId>,
        plan: &mut Plan,
    ) -> Result<(), EngineError> {
        let place = known.place(name);
        let mut seen = HashSet::new();
        let unique: Vec<_> = ids.iter().filter(|id| seen.insert(id.as_str())).collect();
        let before = heads(database, place, &unique).await?;
        plan.effect.place = Some(place);
        for (id, before) in unique.into_iter().zip(before) {
            let Some(head) = before else { continue };
            self.remove(place, &mut known.count, id.clone(), head, plan);
        }
        if !plan.effect.buried.is_empty() {
            plan.batch.put(rows::count_key(place), known.count.encode());
            self.remember(name, known);
        }
        Ok(())
    }

    /// Removes both rows of a record.
    pub(crate) fn remove(
        &mut self,
        place: Place,
        count: &mut CountRow,
        id: RecordId,
        old: RecordHead,
        plan: &mut Plan,
    ) {
        self.uncount(count, old.bytes);
        plan.effect.buried.push(old.docid);
        plan.batch.delete(rows::record_key(place, id.as_str()));
        plan.batch.delete(rows::vector_key(place, id.as_str()));
        plan.touched.push(id);
    }

    fn take_docid(&mut self) -> DocId {
        let docid = self.meta.next_docid;
        self.meta.next_docid += 1;
        docid
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

/// A length as it is counted.
pub(crate) fn length(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
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
pub(crate) async fn heads(
    database: &Database,
    place: Place,
    ids: &[&RecordId],
) -> Result<Vec<Option<RecordHead>>, EngineError> {
    let keys: Vec<_> = ids.iter().map(|id| rows::record_key(place, id.as_str())).collect();
    stream::iter(keys)
        .map(|key| head(database.clone(), key))
        .buffered(LOOKUPS_IN_FLIGHT)
        .try_collect()
        .await
}

async fn head(database: Database, key: Vec<u8>) -> Result<Option<RecordHead>, EngineError> {
    let row = database.get(&key, Visibility::Memory).await?;
    Ok(row.map(|bytes| RecordRow::split(&bytes).map(|(head, _)| head)).transpose()?)
}
