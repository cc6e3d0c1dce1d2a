//! Records read in the order of their ids from one view.
//!
//! A record lies in two rows: one with its metadata, one with its vectors. A view all of whose
//! writes are durable shows both of one moment, so they are joined as they stream by. Invariant:
//! what is handed out is one version of one record; rows that do not fit together in such a view
//! are damage, and are reported.

use std::ops::Bound;

use bytes::Bytes;
use lodgepole_rows::{
    self as rows, DocId, NamespaceRow, Place, RecordHead, RecordRow, RowError, VectorRow,
};
use lodgepole_storage::{KeyValue, Scan, View, prefix_range};
use lodgepole_types::{Filter, NamespaceName, Record, RecordId, SparseVector, StoredMetadata};

use crate::EngineError;

/// One version of a record, with its metadata as stored.
#[derive(Debug)]
pub(crate) struct ScannedRecord {
    pub(crate) docid: DocId,
    pub(crate) id: RecordId,
    pub(crate) values: Vec<f32>,
    pub(crate) sparse: Option<SparseVector>,
    pub(crate) metadata: Bytes,
}

impl ScannedRecord {
    /// Bytes on the heap, about.
    pub(crate) fn bytes(&self) -> usize {
        let sparse = self.sparse.as_ref().map_or(0, |sparse| 8 * sparse.indices.len());
        self.id.as_str().len() + 4 * self.values.len() + sparse + self.metadata.len()
    }
}

/// All records of a namespace, metadata and vectors.
#[derive(Debug)]
pub(crate) struct RecordScan {
    records: HeadScan,
    vectors: Scan,
}

impl RecordScan {
    /// Starts at the first id of a namespace, in a settled view.
    pub(crate) async fn start(view: &View, place: Place) -> Result<Self, EngineError> {
        let records = HeadScan::start(view, place, None).await?;
        let vectors = view.scan(prefix_range(&rows::vector_key(place, ""))).await?;
        Ok(Self { records, vectors })
    }

    /// Only the records from one id to another, with both of them.
    pub(crate) async fn between(
        view: &View,
        place: Place,
        (first, last): (&str, &str),
    ) -> Result<Self, EngineError> {
        let range = |key_of: fn(Place, &str) -> Vec<u8>| {
            let bound = |id| Bound::Included(Bytes::from(key_of(place, id)));
            (bound(first), bound(last))
        };
        let records = HeadScan(view.scan(range(rows::record_key)).await?);
        Ok(Self { records, vectors: view.scan(range(rows::vector_key)).await? })
    }

    /// The next record by id.
    pub(crate) async fn next(&mut self) -> Result<Option<ScannedRecord>, EngineError> {
        self.next_pair().await?.map(RowPair::join).transpose()
    }

    /// The rows of the next record by id.
    pub(crate) async fn next_pair(&mut self) -> Result<Option<RowPair>, EngineError> {
        let (head, vectors) = (self.records.next().await?, self.vectors.next().await?);
        match (head, vectors) {
            (None, None) => Ok(None),
            (Some(head), Some(KeyValue { key, value })) => {
                let is_pair = rows::id_of_key(&key)? == head.id.as_str();
                let pair = RowPair { head, vectors: value };
                if is_pair { Ok(Some(pair)) } else { Err(RowError::unmatched().into()) }
            }
            (Some(_), None) | (None, Some(_)) => Err(RowError::unmatched().into()),
        }
    }
}

/// Both rows of a record.
#[derive(Debug)]
pub(crate) struct RowPair {
    head: ScannedHead,
    vectors: Bytes,
}

impl RowPair {
    /// The rows of one record, which must exist, in a settled view.
    pub(crate) async fn look_up(
        view: &View,
        place: Place,
        id: &RecordId,
    ) -> Result<Self, EngineError> {
        let stored = view.get(&rows::record_key(place, id.as_str())).await?;
        let stored = stored.ok_or_else(RowError::unmatched)?;
        let (head, metadata) = RecordRow::split(&stored)?;
        let head = ScannedHead { id: id.clone(), head, metadata: stored.slice_ref(metadata) };
        head.paired(view, place).await
    }

    pub(crate) fn id(&self) -> &RecordId {
        &self.head.id
    }

    /// The record, if both rows are of one version.
    pub(crate) fn join(self) -> Result<ScannedRecord, EngineError> {
        let ScannedHead { id, head, metadata } = self.head;
        let VectorRow { docid, values, sparse } = VectorRow::decode(&self.vectors)?;
        if docid != head.vector_docid {
            return Err(RowError::unmatched().into());
        }
        Ok(ScannedRecord { docid: head.docid, id, values, sparse, metadata })
    }
}

/// A record without its vectors.
#[derive(Debug)]
pub(crate) struct ScannedHead {
    pub(crate) id: RecordId,
    pub(crate) head: RecordHead,
    /// As stored.
    pub(crate) metadata: Bytes,
}

impl ScannedHead {
    pub(crate) fn matches(&self, filter: &Filter) -> bool {
        filter.matches(StoredMetadata::new(&self.metadata))
    }

    /// With the other row, read from the view that this came from.
    async fn paired(self, view: &View, place: Place) -> Result<RowPair, EngineError> {
        let vectors = view.get(&rows::vector_key(place, self.id.as_str())).await?;
        Ok(RowPair { head: self, vectors: vectors.ok_or_else(RowError::unmatched)? })
    }

    /// The whole record; its vectors are read from the view that this came from.
    pub(crate) async fn complete(self, view: &View, place: Place) -> Result<Record, EngineError> {
        let ScannedRecord { id, values, sparse, metadata, .. } =
            self.paired(view, place).await?.join()?;
        let metadata = StoredMetadata::new(&metadata).to_metadata();
        let metadata = metadata.map_err(|_| RowError::damaged_metadata())?;
        Ok(Record { id, values, sparse, metadata })
    }
}

/// All records of a namespace without their vectors.
#[derive(Debug)]
pub(crate) struct HeadScan(Scan);

impl HeadScan {
    /// Starts after an id, or at the first one, in a settled view.
    pub(crate) async fn start(
        view: &View,
        place: Place,
        after: Option<&str>,
    ) -> Result<Self, EngineError> {
        let (mut start, end) = prefix_range(&rows::record_key(place, ""));
        if let Some(after) = after {
            start = Bound::Excluded(Bytes::from(rows::record_key(place, after)));
        }
        Ok(Self(view.scan((start, end)).await?))
    }

    /// The next record by id.
    pub(crate) async fn next(&mut self) -> Result<Option<ScannedHead>, EngineError> {
        let Some(entry) = self.0.next().await? else { return Ok(None) };
        let (head, metadata) = RecordRow::split(&entry.value)?;
        let metadata = entry.value.slice_ref(metadata);
        Ok(Some(ScannedHead { id: rows::record_id_of_key(&entry.key)?, head, metadata }))
    }
}

/// The place of a namespace as a view shows it.
pub(crate) async fn place_in(
    view: &View,
    name: &NamespaceName,
) -> Result<Option<Place>, EngineError> {
    let Some(bytes) = view.get(&rows::namespace_key(name)).await? else { return Ok(None) };
    let row = NamespaceRow::decode(&bytes)?;
    Ok(Some(Place { slot: rows::slot_of(name), id: row.id }))
}
