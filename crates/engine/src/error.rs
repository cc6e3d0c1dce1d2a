//! What can go wrong in a shard, one small enum per family of operations.

use lodgepole_rows::{RowError, SegmentId};
use lodgepole_search::{ChunkError, SegmentError};
use lodgepole_storage::{SealError, StorageError};
use lodgepole_types::{Classify, ErrorKind, IndexId, MetadataError, NamespaceName, RecordId};

/// A failed life-cycle operation: open, checkpoint, clone, reap.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A stored row is damaged.
    #[error(transparent)]
    Row(#[from] RowError),
    /// The shard stopped because its store failed; it opens again with the next call.
    #[error("the shard of index {0} stopped; it opens again with the next call")]
    Stopped(IndexId),
    /// The store did not confirm a write in time. The outcome is unknown: all of it or nothing.
    #[error("the write was not confirmed within {0:?}; its outcome is unknown")]
    Deadline(std::time::Duration),
    /// Writes before a read were not confirmed by the store for so long that the read gave up.
    #[error("earlier writes were not confirmed within {0:?}, so their state cannot be read")]
    Unsettled(std::time::Duration),
    /// Rows did not fit together: a defect of ours.
    #[error("rows do not fit together")]
    Chunk(#[from] ChunkError),
    /// A segment is damaged or missing. It is built anew from the records.
    #[error(transparent)]
    Segment(#[from] SegmentError),
    /// As [`Self::Segment`], where it is known which one.
    #[error("segment {id}: {source}")]
    NamedSegment {
        /// Which.
        id: SegmentId,
        /// What is wrong with it.
        #[source]
        source: SegmentError,
    },
    /// A segment's file is gone. It is built anew from the records.
    #[error("a segment is missing; it is rebuilt from the records")]
    SegmentMissing,
    /// A segment's file is cut, or is another one. It is built anew from the records.
    #[error("{0}; the segment is rebuilt from the records")]
    SegmentSeal(SealError),
    /// A search thread died: a defect of ours.
    #[error("a search died")]
    SearchDied,
    /// The index was deleted.
    #[error("index {0} was deleted")]
    Retired(IndexId),
    /// The engine is shutting down.
    #[error("the server is shutting down")]
    ShuttingDown,
}

impl EngineError {
    /// Whether a segment is at fault, which can be built anew.
    pub(crate) fn is_of_segment(&self) -> bool {
        match self {
            Self::Segment(error) | Self::NamedSegment { source: error, .. } => {
                !matches!(error, SegmentError::Stopped | SegmentError::Io(_))
            }
            Self::SegmentMissing | Self::SegmentSeal(_) => true,
            Self::Storage(_)
            | Self::Row(_)
            | Self::Stopped(_)
            | Self::Deadline(_)
            | Self::Unsettled(_)
            | Self::Chunk(_)
            | Self::SearchDied
            | Self::Retired(_)
            | Self::ShuttingDown => false,
        }
    }
}

impl Classify for EngineError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Storage(error) => error.kind(),
            Self::Row(_) | Self::SegmentMissing | Self::SegmentSeal(_) => ErrorKind::DataLoss,
            Self::Chunk(error) => error.kind(),
            Self::Segment(error) | Self::NamedSegment { source: error, .. } => error.kind(),
            Self::Deadline(_) => ErrorKind::DeadlineExceeded,
            Self::SearchDied => ErrorKind::Internal,
            Self::Retired(_) => ErrorKind::NotFound,
            Self::Unsettled(_) | Self::Stopped(_) | Self::ShuttingDown => ErrorKind::Unavailable,
        }
    }
}

/// A failed write. Unless the kind says that the request was refused, its outcome is unknown: all
/// of it or nothing.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The namespace does not exist, and the write does not make one.
    #[error("Namespace not found")]
    NamespaceNotFound,
    /// A namespace of this name exists already.
    #[error("Namespace already exists")]
    NamespaceExists,
    /// Aliases stand for the namespace that was to be deleted.
    #[error("Namespace is the target of the aliases {}; delete or repoint them first", aliases.join(", "))]
    NamespaceTargeted {
        /// Their names, sorted.
        aliases: Vec<String>,
    },
    /// The metadata of a record would exceed its limit.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// Other writes changed the records that a filter matched, again and again.
    #[error("The matching records were changed by other requests meanwhile. Retry.")]
    Contended,
    /// More records match than fit into one request.
    #[error("Too many records match for one request. Narrow the filter and repeat.")]
    TooManyMatches,
    /// The namespace or its segments are not what they were when the work on them began.
    #[error("the namespace was changed meanwhile")]
    Superseded,
    /// An alias stands in the way.
    #[error(transparent)]
    Alias(#[from] AliasError),
    /// What was staged does not fit.
    #[error(transparent)]
    Staging(#[from] StagingError),
    /// The shard failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl WriteError {
    /// Whether the request was refused before anything was done. Otherwise the shard failed.
    pub(crate) fn is_refusal(&self) -> bool {
        !matches!(self, Self::Engine(_))
    }
}

impl Classify for WriteError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NamespaceNotFound => ErrorKind::NotFound,
            Self::NamespaceExists => ErrorKind::AlreadyExists,
            Self::NamespaceTargeted { .. } | Self::Metadata(_) | Self::TooManyMatches => {
                ErrorKind::InvalidArgument
            }
            Self::Contended | Self::Superseded => ErrorKind::Conflict,
            Self::Alias(error) => error.kind(),
            Self::Staging(error) => error.kind(),
            Self::Engine(error) => error.kind(),
        }
    }
}

/// Why an alias cannot be made, changed or written to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AliasError {
    /// A namespace has the name that the alias was to get.
    #[error("A namespace of this name exists already")]
    NameInUseByNamespace,
    /// An alias has the name that a namespace was to get.
    #[error("The name is that of an alias of namespace '{}'", target.listed())]
    NameInUseByAlias {
        /// What the alias stands for.
        target: NamespaceName,
    },
    /// The alias exists already.
    #[error("The alias exists already, for namespace '{}'", target.listed())]
    AlreadyExists {
        /// What it stands for.
        target: NamespaceName,
    },
    /// The alias does not exist.
    #[error("Alias not found")]
    NotFound,
    /// There is no namespace for it to stand for.
    #[error("The target namespace does not exist")]
    TargetNotFound,
    /// Aliases do not stand for aliases.
    #[error("The target is an alias itself")]
    TargetIsAlias,
    /// The index has as many aliases as it may.
    #[error("The index has {max} aliases already, which is the limit")]
    TooMany {
        /// As many as it may have.
        max: usize,
    },
    /// Records are changed under the name of their namespace only.
    #[error("The name is an alias of namespace '{}'; write to the namespace", target.listed())]
    WriteToAlias {
        /// What the alias stands for.
        target: NamespaceName,
    },
    /// Namespaces are deleted under their own name only.
    #[error("The name is an alias of namespace '{}', not a namespace", target.listed())]
    IsNoNamespace {
        /// What the alias stands for.
        target: NamespaceName,
    },
}

impl Classify for AliasError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NameInUseByNamespace
            | Self::NameInUseByAlias { .. }
            | Self::AlreadyExists { .. } => ErrorKind::AlreadyExists,
            Self::NotFound => ErrorKind::NotFound,
            Self::TargetNotFound
            | Self::TargetIsAlias
            | Self::TooMany { .. }
            | Self::WriteToAlias { .. }
            | Self::IsNoNamespace { .. } => ErrorKind::InvalidArgument,
        }
    }
}

/// Why records cannot be staged, or what was staged cannot become visible.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StagingError {
    /// The job stages nothing under that name: it was never begun, or is committed or aborted.
    #[error("nothing is staged by this job")]
    NotBegun,
    /// The namespace is there already; the default one must be empty.
    #[error("The namespace \"{}\" already exists. Imports are only allowed into nonexistent namespaces.", .0.listed())]
    NamespaceTaken(NamespaceName),
    /// The name is that of an alias.
    #[error("The name \"{}\" is that of an alias. Imports are only allowed into nonexistent namespaces.", .0.listed())]
    NameIsAlias(NamespaceName),
    /// A record of this id has been staged already.
    #[error("The id \"{0}\" occurs more than once")]
    Duplicate(RecordId),
}

impl Classify for StagingError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NotBegun => ErrorKind::NotFound,
            Self::NamespaceTaken(_) | Self::NameIsAlias(_) => ErrorKind::AlreadyExists,
            Self::Duplicate(_) => ErrorKind::InvalidArgument,
        }
    }
}

impl From<StorageError> for WriteError {
    fn from(error: StorageError) -> Self {
        Self::Engine(error.into())
    }
}

impl From<RowError> for WriteError {
    fn from(error: RowError) -> Self {
        Self::Engine(error.into())
    }
}

/// A failed read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The shard failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl Classify for ReadError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Engine(error) => error.kind(),
        }
    }
}

impl From<ChunkError> for ReadError {
    fn from(error: ChunkError) -> Self {
        Self::Engine(error.into())
    }
}

impl From<StorageError> for ReadError {
    fn from(error: StorageError) -> Self {
        Self::Engine(error.into())
    }
}

impl From<RowError> for ReadError {
    fn from(error: RowError) -> Self {
        Self::Engine(error.into())
    }
}
