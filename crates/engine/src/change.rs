//! What a write asks for, and what it does to the search structures once it is durable.

use bytes::Bytes;
use lodgepole_rows::{DocId, Place, SegmentEntry, SegmentId};
use lodgepole_storage::local::Need;
use lodgepole_types::{Lsn, MetadataPatch, NamespaceName, Record, RecordId, SparseVector};
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::matching::Matching;
use crate::segments::{OpenSegment, Unnamed};
use crate::staging::Duplicate;
use crate::{Alias, NamespaceInfo, WriteError};

/// Room counted for a record beside its values.
const RECORD_OVERHEAD_BYTES: usize = 64;

/// One request, which is applied whole or not at all.
#[derive(Debug)]
pub(crate) enum Change {
    /// Of the records of a namespace.
    Records(NamespaceName, RecordChange),
    /// Of a namespace itself.
    Namespace(NamespaceName, NamespaceChange),
    /// Of the alias of this name.
    Alias(String, AliasChange),
    /// Of what this job stages.
    Staging(Uuid, StagingChange),
    /// Of the segments of a namespace.
    Segments(NamespaceName, SegmentsChange),
}

/// A change of the records of a namespace.
#[derive(Debug)]
pub(crate) enum RecordChange {
    /// Stores records, replacing those of the same id. Of two with one id the last one counts.
    Upsert(Vec<Record>),
    /// Changes parts of one record; an unknown id is fine.
    Update(Box<Update>),
    /// Removes records; unknown ids are fine.
    Delete(Vec<RecordId>),
    /// Empties the namespace.
    DeleteAll,
    /// Changes or removes what a filter matches.
    Matching(Box<Matching>),
}

/// A change of a namespace itself.
#[derive(Debug)]
pub(crate) enum NamespaceChange {
    /// Makes it, with this schema.
    Create(Option<Bytes>),
    /// Removes its name and its records.
    Delete,
}

/// A change of an alias.
#[derive(Debug)]
pub(crate) enum AliasChange {
    /// Makes it, for this namespace.
    Create(NamespaceName),
    /// Lets it stand for this namespace.
    Repoint(NamespaceName),
    /// Removes it.
    Delete,
}

/// A change of what a job stages.
#[derive(Debug)]
pub(crate) enum StagingChange {
    /// A namespace is going to be staged.
    Begin(NamespaceName),
    /// More records, and what the job notes about itself.
    Write {
        namespace: NamespaceName,
        records: Vec<Record>,
        progress: Vec<u8>,
        on_duplicate: Duplicate,
    },
    /// All of its namespaces become visible.
    Commit,
    /// All of it goes.
    Abort,
}

/// A change of the segments of a namespace. None of the records changes.
#[derive(Debug)]
pub(crate) enum SegmentsChange {
    /// Changes are queued from now on.
    Queue,
    /// Segments take the place of others and of the beginning of the queue.
    Commit(Box<SegmentsCommit>),
    /// Of these queue rows, those go that a queue given up has left.
    DropStale(Vec<Vec<u8>>),
    /// Its segments are damaged: they are given up, and built anew from the records.
    Distrust,
}

/// New segments for a namespace.
#[derive(Debug)]
pub(crate) struct SegmentsCommit {
    /// The namespace as it was when the work began.
    pub(crate) place: Place,
    /// Its segments then, in the order of the directory.
    pub(crate) before: Vec<SegmentId>,
    /// Its segments from now on.
    pub(crate) after: Vec<SegmentEntry>,
    /// The dead rows of those that stay, as of the end of what is trimmed.
    pub(crate) deletions: Vec<(Uuid, Vec<u8>)>,
    /// Keys of the queue rows that the segments and deletions hold.
    pub(crate) trimmed: Vec<Vec<u8>>,
    /// Versions that stay in the queue, about.
    pub(crate) left: u64,
    /// What search is shown.
    pub(crate) indexed: Indexed,
}

/// What a commit of segments means for the rows that are held in memory.
#[derive(Debug)]
pub(crate) struct Indexed {
    /// The work that it comes from.
    pub(crate) job: u64,
    /// Segments that go.
    pub(crate) removed: Vec<SegmentId>,
    /// Segments that come.
    pub(crate) added: Vec<OpenSegment>,
    /// All versions up to this one are in segments.
    pub(crate) upto: DocId,
    /// Keeps the files from being collected until search is shown them, whoever still waits.
    pub(crate) unnamed: Vec<Unnamed>,
}

/// Which parts of a record to change; the rest is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    /// The record.
    pub id: RecordId,
    /// Its new dense values.
    pub values: Option<Vec<f32>>,
    /// Its new sparse values.
    pub sparse: Option<SparseVector>,
    /// What changes in its metadata.
    pub metadata: Option<MetadataPatch>,
}

impl Change {
    /// What it needs room for, and about how many bytes. Deleting must work on a full disk.
    pub(crate) fn room(&self) -> (Need, u64) {
        let growth = |bytes: usize| (Need::Growth, bytes as u64);
        match self {
            Self::Records(_, change) => match change {
                RecordChange::Upsert(records) => growth(room_of(records)),
                RecordChange::Update(update) => {
                    let values = update.values.as_ref().map_or(0, Vec::len);
                    growth(RECORD_OVERHEAD_BYTES + 4 * values)
                }
                RecordChange::Delete(ids) => {
                    (Need::Upkeep, (RECORD_OVERHEAD_BYTES * ids.len()) as u64)
                }
                RecordChange::DeleteAll => (Need::Upkeep, 0),
                RecordChange::Matching(matching) => matching.room(),
            },
            Self::Namespace(_, NamespaceChange::Create(_))
            | Self::Alias(_, AliasChange::Create(_) | AliasChange::Repoint(_))
            | Self::Staging(_, StagingChange::Begin(_)) => growth(RECORD_OVERHEAD_BYTES),
            Self::Staging(_, StagingChange::Write { records, progress, .. }) => {
                growth(room_of(records) + progress.len())
            }
            Self::Namespace(_, NamespaceChange::Delete)
            | Self::Segments(..)
            | Self::Alias(_, AliasChange::Delete)
            | Self::Staging(_, StagingChange::Commit | StagingChange::Abort) => (Need::Upkeep, 0),
        }
    }

    /// Whether it may leave rows that nothing refers to.
    pub(crate) fn may_leave_dead_rows(&self) -> bool {
        match self {
            Self::Records(_, change) => matches!(change, RecordChange::DeleteAll),
            Self::Namespace(_, change) => matches!(change, NamespaceChange::Delete),
            Self::Alias(..) | Self::Segments(..) => false,
            Self::Staging(_, change) => {
                matches!(change, StagingChange::Commit | StagingChange::Abort)
            }
        }
    }
}

fn room_of(records: &[Record]) -> usize {
    let sparse = |record: &Record| record.sparse.as_ref().map_or(0, |sparse| sparse.values.len());
    records
        .iter()
        .map(|record| RECORD_OVERHEAD_BYTES + 4 * record.values.len() + 8 * sparse(record))
        .sum()
}

/// A request in the queue of its shard.
#[derive(Debug)]
pub(crate) struct WriteRequest {
    pub(crate) change: Change,
    pub(crate) reply: oneshot::Sender<Result<Done, WriteError>>,
}

/// A durable write.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) lsn: Lsn,
    pub(crate) outcome: Outcome,
}

/// What a write has to say beside its Lsn.
#[derive(Debug, Default)]
pub(crate) enum Outcome {
    #[default]
    Nothing,
    /// So many records matched.
    Matched(u64),
    /// The namespace that was made.
    Namespace(NamespaceInfo),
    /// The alias as it is, or was before it was removed.
    Alias(Alias),
    /// Records staged, and records left out because their ids were there.
    Staged { added: u64, skipped: u64 },
}

/// What a durable write did, for the rows that are held in memory for search.
#[derive(Debug, Default)]
pub(crate) struct Effect {
    /// The namespace; none when nothing that is searched changed.
    pub(crate) place: Option<Place>,
    /// New versions, by ascending docid.
    pub(crate) added: Vec<Added>,
    /// New versions of which only metadata changed, by ascending docid.
    pub(crate) revised: Vec<Revised>,
    /// Versions that are gone.
    pub(crate) buried: Vec<DocId>,
    /// The whole namespace number is dead.
    pub(crate) emptied: bool,
    /// The last docid that was given out.
    pub(crate) seq: DocId,
    /// Segments were exchanged.
    pub(crate) indexed: Option<Indexed>,
    /// The segments are given up.
    pub(crate) distrusted: bool,
}

impl Effect {
    /// Whether versions of records come or go one by one.
    pub(crate) fn changes_versions(&self) -> bool {
        !(self.added.is_empty() && self.revised.is_empty() && self.buried.is_empty())
    }
}

/// A new version of a record.
#[derive(Debug)]
pub(crate) struct Added {
    pub(crate) docid: DocId,
    pub(crate) id: RecordId,
    pub(crate) values: Vec<f32>,
    pub(crate) sparse: Option<SparseVector>,
    /// As stored.
    pub(crate) metadata: Vec<u8>,
}

/// A new version of a record whose vectors are those of the version `old`, which is buried too.
#[derive(Debug)]
pub(crate) struct Revised {
    pub(crate) old: DocId,
    pub(crate) docid: DocId,
    pub(crate) id: RecordId,
    /// As stored.
    pub(crate) metadata: Vec<u8>,
}
