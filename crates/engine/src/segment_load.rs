//! Reading what a namespace is made of: segments, dead rows, and what came after them.
//!
//! All of it is read from one view in which every write is durable, so the rows of the directory,
//! of deletions, of the queue and of the records belong together. Invariant: what is loaded is
//! exactly the records of the view; rows that contradict each other are damage, and are reported.

use std::collections::BTreeMap;

use lodgepole_rows::{
    self as rows, DirectoryRow, DocId, MetaRow, Place, QueueRow, RowError, SegmentEntry,
};
use lodgepole_search::{RowSet, SegmentError};
use lodgepole_storage::{View, prefix_range};
use lodgepole_types::RecordId;

use crate::EngineError;
use crate::segments::{HeldSegment, OpenSegment, SegmentStore};

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
    /// The last docid of each request that is queued, ascending.
    requests: Vec<DocId>,
}

/// What was left out of the versions that no segment holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Later {
    /// The last docid of the requests that were not left out.
    pub(crate) upto: DocId,
    /// How many versions were.
    pub(crate) rows: u64,
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
        let mut indexed = Self { segments, born: BTreeMap::new(), requests: Vec::new() };
        let mut queue = view.scan(prefix_range(&rows::queue_prefix(place))).await?;
        while let Some(entry) = queue.next().await? {
            indexed.requests.push(rows::seq_of_queue_key(&entry.key)?);
            indexed.follow(QueueRow::decode(&entry.value)?)?;
        }
        Ok(indexed)
    }

    /// Keeps the first versions, about `rows` of them but no part of a request; says which ones it
    /// left out, if any. Deaths count up to the view all the same: they are found again in the rest
    /// of the queue, and a row does not die twice.
    pub(crate) fn leave_after(&mut self, rows: u64) -> Option<Later> {
        let last = *self.born.keys().nth(usize::try_from(rows.checked_sub(1)?).ok()?)?;
        let upto = *self.requests.get(self.requests.partition_point(|&request| request < last))?;
        let later = self.born.split_off(&(upto + 1));
        (!later.is_empty()).then_some(Later { upto, rows: later.len() as u64 })
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
