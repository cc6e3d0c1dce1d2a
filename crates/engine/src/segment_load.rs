//! Reading what a namespace is made of: segments, dead rows, and what came after them.
//!
//! All of it is read from one view in which every write is durable, so the rows of the directory,
//! of deletions, of the queue and of the records belong together. Invariant: what is loaded is
//! exactly the records of the view; rows that contradict each other are damage, and are reported.

use std::collections::BTreeMap;

use futures::stream::{self, StreamExt, TryStreamExt};
use lodgepole_rows::{
    self as rows, DirectoryRow, DocId, MetaRow, Place, QueueRow, RecordRow, RowError, SegmentEntry,
    VectorRow,
};
use lodgepole_search::{RowSet, SegmentError};
use lodgepole_storage::{View, prefix_range};
use lodgepole_types::RecordId;

use crate::EngineError;
use crate::record_scan::ScannedRecord;
use crate::segments::{HeldSegment, OpenSegment, SegmentStore};

/// Versions read before it is looked at how much memory they take.
pub(crate) const VERSIONS_AT_ONCE: usize = 1_024;
/// Records read at once.
const READS_IN_FLIGHT: usize = 32;

/// The segments of a namespace as a view shows them; none when it is to be read from its records.
pub(crate) async fn segments_in(
    view: &View,
    place: Place,
) -> Result<Vec<SegmentEntry>, EngineError> {
    match view.get(&rows::directory_key(place)).await? {
        Some(bytes) => Ok(DirectoryRow::decode(&bytes)?.segments),
        None => Ok(Vec::new()),
    }
}

/// The last docid that a view's writes have taken.
pub(crate) async fn seq_in(view: &View) -> Result<DocId, EngineError> {
    let row = match view.get(&rows::meta_key()).await? {
        Some(bytes) => MetaRow::decode(&bytes)?,
        None => MetaRow::default(),
    };
    Ok(row.next_docid.saturating_sub(1))
}

/// Segments with their dead rows, and the versions that came after them.
#[derive(Debug)]
pub(crate) struct Indexed {
    pub(crate) segments: Vec<HeldSegment>,
    /// Versions that no segment holds, by docid.
    pub(crate) born: BTreeMap<DocId, RecordId>,
}

impl Indexed {
    /// Opens segments and brings them up to the view.
    pub(crate) async fn load(
        view: &View,
        place: Place,
        entries: &[SegmentEntry],
        store: &SegmentStore,
    ) -> Result<Self, EngineError> {
        let mut segments = Vec::new();
        for entry in entries {
            let open = store.open(entry.id).await?;
            let rows = open.segment.rows();
            if rows as u64 != entry.rows {
                return Err(named(&open, SegmentError::Truncated));
            }
            let stored = view.get(&rows::deletions_key(place, entry.id.id)).await?;
            let dead = match stored {
                Some(bytes) => {
                    RowSet::decode(&bytes, rows).map_err(|_| RowError::of_deletions())?
                }
                None => RowSet::new(rows),
            };
            segments.push(HeldSegment { open, dead });
        }
        let mut indexed = Self { segments, born: BTreeMap::new() };
        let mut queue = view.scan(prefix_range(&rows::queue_prefix(place))).await?;
        while let Some(entry) = queue.next().await? {
            indexed.follow(QueueRow::decode(&entry.value)?)?;
        }
        Ok(indexed)
    }

    fn follow(&mut self, row: QueueRow) -> Result<(), EngineError> {
        self.born.extend(row.born);
        for docid in row.buried {
            if self.born.remove(&docid).is_some() {
                continue;
            }
            for held in &mut self.segments {
                if held.bury(docid).map_err(|error| named(&held.open, error))? {
                    break;
                }
            }
        }
        Ok(())
    }
}

fn named(segment: &OpenSegment, source: SegmentError) -> EngineError {
    EngineError::NamedSegment { id: segment.id, source }
}

/// Reads the records of some versions, in the order of docids, and hands them out one by one.
pub(crate) async fn read_versions(
    view: &View,
    place: Place,
    versions: BTreeMap<DocId, RecordId>,
    mut found: impl FnMut(ScannedRecord) -> Result<bool, EngineError>,
) -> Result<bool, EngineError> {
    let reads = versions.into_iter().map(|(docid, id)| read_version(view, place, docid, id));
    let mut reads = stream::iter(reads).buffered(READS_IN_FLIGHT);
    while let Some(record) = reads.try_next().await? {
        if !found(record)? {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn read_version(
    view: &View,
    place: Place,
    docid: DocId,
    id: RecordId,
) -> Result<ScannedRecord, EngineError> {
    let head = view.get(&rows::record_key(place, id.as_str())).await?;
    let head_row = head.ok_or_else(RowError::unmatched)?;
    let (head, metadata) = RecordRow::split(&head_row)?;
    let metadata = head_row.slice_ref(metadata);
    let vectors = view.get(&rows::vector_key(place, id.as_str())).await?;
    let vectors = VectorRow::decode(&vectors.ok_or_else(RowError::unmatched)?)?;
    if head.docid != docid || vectors.docid != head.vector_docid {
        return Err(RowError::unmatched().into());
    }
    let VectorRow { values, sparse, .. } = vectors;
    Ok(ScannedRecord { docid, id, values, sparse, metadata })
}
