//! What can go wrong in a shard, one small enum per family of operations.

use lodgepole_search::ChunkError;
use lodgepole_storage::StorageError;
use lodgepole_types::{Classify, ErrorKind, IndexId};

use crate::rows::RowError;

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
    /// Rows did not fit together: a defect of ours.
    #[error("rows do not fit together")]
    Chunk(#[from] ChunkError),
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

impl Classify for EngineError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Storage(error) => error.kind(),
            Self::Row(_) => ErrorKind::DataLoss,
            Self::Chunk(error) => error.kind(),
            Self::Deadline(_) => ErrorKind::DeadlineExceeded,
            Self::SearchDied => ErrorKind::Internal,
            Self::Retired(_) => ErrorKind::NotFound,
            Self::Stopped(_) | Self::ShuttingDown => ErrorKind::Unavailable,
        }
    }
}

/// A failed write. Unless the kind says that the request was refused, its outcome is unknown: all
/// of it or nothing.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The namespace of a delete does not exist.
    #[error("Namespace not found")]
    NamespaceNotFound,
    /// The shard failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl Classify for WriteError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NamespaceNotFound => ErrorKind::NotFound,
            Self::Engine(error) => error.kind(),
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
