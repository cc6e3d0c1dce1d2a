//! Reading records: fetch, list, stats.
//!
//! Every read shows all acknowledged writes and only durable ones. Values and metadata of a record
//! lie in two rows; the one with metadata names the version of the other, and a read that catches
//! them on different sides of a write is done again, so two versions are never mixed.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;
use lodgepole_rows::{self as rows, CountRow, NamespaceRow, Place, RecordRow, VectorRow};
use lodgepole_storage::{View, Visibility, prefix_range};
use lodgepole_types::{Lsn, NamespaceName, Record, RecordId};

use crate::shard::Shard;
use crate::{EngineError, ReadError, slots};

/// Reads of one record that may meet a write in between before the rows count as damaged. Each such
/// write must fall into some microseconds.
const MIXED_READS_MAX: usize = 10_000;

/// Records found, in the order asked for; unknown ids are missing.
#[derive(Debug, Clone, PartialEq)]
pub struct Fetched {
    /// The records.
    pub records: Vec<Record>,
    /// Everything up to here is reflected.
    pub lsn: Lsn,
}

/// Which ids to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListPage {
    /// Only ids that start with it.
    pub prefix: String,
    /// Only ids after it, bytewise.
    pub after: Option<String>,
    /// At most so many.
    pub limit: usize,
}

/// A page of ids, ascending bytewise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The ids.
    pub ids: Vec<RecordId>,
    /// Whether more follow.
    pub more: bool,
    /// Everything up to here is reflected.
    pub lsn: Lsn,
}

/// Exact counts of one namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NamespaceStats {
    /// Records.
    pub record_count: u64,
    /// Bytes of ids, values and metadata.
    pub bytes: u64,
}

/// Exact counts of an index, all of one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stats {
    /// By namespace; emptied ones are there with zero.
    pub namespaces: BTreeMap<NamespaceName, NamespaceStats>,
    /// Everything up to here is reflected.
    pub lsn: Lsn,
}

impl Shard {
    pub(crate) async fn fetch(
        &self,
        namespace: &NamespaceName,
        ids: &[RecordId],
    ) -> Result<Fetched, ReadError> {
        let lsn = self.database.durable_lsn();
        let mut records = Vec::with_capacity(ids.len());
        if let Some(place) = self.place(namespace).await? {
            for id in ids {
                records.extend(self.record(place, id).await?);
            }
        }
        Ok(Fetched { records, lsn })
    }

    /// One record, both rows of one version.
    pub(crate) async fn record(
        &self,
        place: Place,
        id: &RecordId,
    ) -> Result<Option<Record>, EngineError> {
        let (record_key, vector_key) =
            (rows::record_key(place, id.as_str()), rows::vector_key(place, id.as_str()));
        for _ in 0..MIXED_READS_MAX {
            let record = self.database.get(&record_key, Visibility::Durable).await?;
            let vector = self.database.get(&vector_key, Visibility::Durable).await?;
            let (Some(record), Some(vector)) = (record, vector) else {
                // Both are written and removed together; one alone is a write in between.
                if self.database.get(&record_key, Visibility::Durable).await?.is_none() {
                    return Ok(None);
                }
                continue;
            };
            let record = RecordRow::decode(&record)?;
            let vector = VectorRow::decode(&vector)?;
            if record.vector_docid == vector.docid {
                return Ok(Some(Record {
                    id: id.clone(),
                    values: vector.values,
                    sparse: vector.sparse,
                    metadata: record.metadata,
                }));
            }
        }
        Err(rows::RowError::unmatched().into())
    }

    pub(crate) async fn list(
        &self,
        namespace: &NamespaceName,
        page: &ListPage,
    ) -> Result<Listed, ReadError> {
        let lsn = self.database.durable_lsn();
        let mut listed = Listed { ids: Vec::new(), more: false, lsn };
        let Some(place) = self.place(namespace).await? else { return Ok(listed) };
        let (mut start, end) = prefix_range(&rows::record_key(place, &page.prefix));
        if let Some(after) = page.after.as_deref().filter(|after| **after >= *page.prefix) {
            start = Bound::Excluded(Bytes::from(rows::record_key(place, after)));
        }
        let mut scan = self.database.view().map_err(EngineError::from)?.scan((start, end)).await?;
        while let Some(entry) = scan.next().await? {
            if listed.ids.len() == page.limit {
                listed.more = true;
                break;
            }
            listed.ids.push(rows::record_id_of_key(&entry.key)?);
        }
        Ok(listed)
    }

    pub(crate) async fn stats(&self) -> Result<Stats, ReadError> {
        let view = self.settled_view().await?;
        let mut found = Vec::new();
        slots::for_each(&view, rows::namespace_prefix, |entry| {
            if let Some(name) = rows::namespace_of_key(&entry.key) {
                found.push((name, NamespaceRow::decode(&entry.value)?));
            }
            Ok(())
        })
        .await?;
        let mut namespaces = BTreeMap::new();
        for (name, row) in found {
            let place = Place { slot: rows::slot_of(&name), id: row.id };
            let count = count(&view, place).await?;
            let stats = NamespaceStats { record_count: count.record_count, bytes: count.bytes };
            namespaces.insert(name, stats);
        }
        Ok(Stats { namespaces, lsn: view.lsn() })
    }

    /// The counts of one namespace.
    pub(crate) async fn count(&self, place: Place) -> Result<CountRow, EngineError> {
        match self.database.get(&rows::count_key(place), Visibility::Durable).await? {
            Some(bytes) => Ok(CountRow::decode(&bytes)?),
            None => Ok(CountRow::default()),
        }
    }
}

pub(crate) async fn count(view: &View, place: Place) -> Result<CountRow, EngineError> {
    match view.get(&rows::count_key(place)).await? {
        Some(bytes) => Ok(CountRow::decode(&bytes)?),
        None => Ok(CountRow::default()),
    }
}
