//! What a write asks for, and what it does to the search structures once it is durable.

use lodgepole_storage::local::Need;
use lodgepole_types::{Lsn, NamespaceName, Record, RecordId};
use tokio::sync::oneshot;

use crate::WriteError;
use crate::rows::{DocId, Place};

/// One request, which is applied whole or not at all.
#[derive(Debug)]
pub(crate) enum Change {
    /// Stores records, replacing those of the same id. Of two with one id the last one counts.
    Upsert(Vec<Record>),
    /// Removes records; unknown ids are fine.
    Delete(Vec<RecordId>),
    /// Empties the namespace.
    DeleteAll,
}

impl Change {
    /// What it needs room for, and about how many bytes. Deleting must work on a full disk.
    pub(crate) fn room(&self) -> (Need, u64) {
        match self {
            Self::Upsert(records) => {
                let bytes: usize = records.iter().map(|record| 64 + 4 * record.values.len()).sum();
                (Need::Growth, bytes as u64)
            }
            Self::Delete(ids) => (Need::Upkeep, 64 * ids.len() as u64),
            Self::DeleteAll => (Need::Upkeep, 0),
        }
    }
}

/// A request in the queue of its shard.
#[derive(Debug)]
pub(crate) struct WriteRequest {
    pub(crate) namespace: NamespaceName,
    pub(crate) change: Change,
    pub(crate) reply: oneshot::Sender<Result<Lsn, WriteError>>,
}

/// What a durable write did, for the rows that are held in memory for search.
#[derive(Debug, Default)]
pub(crate) struct Effect {
    /// The namespace; none when nothing that is searched changed.
    pub(crate) place: Option<Place>,
    /// New versions, by ascending docid.
    pub(crate) added: Vec<Added>,
    /// Versions that are gone.
    pub(crate) buried: Vec<DocId>,
    /// The whole namespace number is dead.
    pub(crate) emptied: bool,
}

/// A new version of a record.
#[derive(Debug)]
pub(crate) struct Added {
    pub(crate) docid: DocId,
    pub(crate) id: RecordId,
    pub(crate) values: Vec<f32>,
}
