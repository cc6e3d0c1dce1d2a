//! What can go wrong below the records.
//!
//! SlateDB's public error already says what the caller can do; it is sorted here into the four
//! cases that the layers above treat differently.

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use lodgepole_types::{Classify, ErrorKind};
use slatedb::CloseReason;

use crate::local::DiskError;
use crate::{DatabasePath, SealError};

/// A failed operation on a database.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The local disk is full, or failed to sync.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Another process or a newer handle owns the database now, or it was closed.
    #[error("the database is closed ({reason})")]
    Closed {
        /// Why, in a word.
        reason: &'static str,
        /// What SlateDB said.
        #[source]
        source: Box<slatedb::Error>,
    },
    /// While a database was opened, something newer was met than the newest manifest knows.
    #[error(
        "database {0} is fenced: another process opened it meanwhile, or its newest file below \
         {0}/manifest is lost"
    )]
    Overtaken(String),
    /// The store cannot be reached or refuses to write. The outcome of a write is unknown.
    #[error("the store is unavailable")]
    Unavailable(#[source] Box<slatedb::Error>),
    /// Stored data is missing or damaged.
    #[error("stored data is missing or damaged")]
    Damaged(#[source] Box<slatedb::Error>),
    /// An object of a database is damaged, or was written by a newer version.
    #[error(transparent)]
    Sealed(#[from] SealError),
    /// An object of a database that should be there is not.
    #[error("the file {0} is missing")]
    ObjectMissing(String),
    /// An object of a log is missing, and others after it are there.
    #[error("the file {0} of a log is missing")]
    LogBroken(String),
    /// A call that SlateDB refuses: a defect of ours.
    #[error("the database refused a call")]
    Refused(#[source] Box<slatedb::Error>),
    /// A database that should be there is not.
    #[error("database {0} is gone")]
    DatabaseMissing(String),
    /// A blob that should be there is not.
    #[error("blob {0} is gone")]
    BlobMissing(String),
    /// A checkpoint that should be there is not.
    #[error("checkpoint {0} is gone")]
    CheckpointMissing(String),
    /// The object store itself failed.
    #[error("the store failed")]
    Store(#[source] Box<object_store::Error>),
}

impl From<slatedb::Error> for StorageError {
    fn from(error: slatedb::Error) -> Self {
        use slatedb::ErrorKind as Kind;
        if let Some(disk) = DiskError::find_in(&error) {
            return Self::Disk(disk.clone());
        }
        if let Some(seal) = find_cause::<SealError>(&error) {
            return Self::Sealed(seal.clone());
        }
        if let Some(object_store::Error::NotFound { path, .. }) = find_cause(&error) {
            return Self::ObjectMissing(path.clone());
        }
        let kind = error.kind();
        let source = Box::new(error);
        match kind {
            Kind::Closed(CloseReason::Clean) => Self::Closed { reason: "shut down", source },
            Kind::Closed(CloseReason::Fenced) => Self::Closed { reason: "fenced", source },
            Kind::Closed(_) => Self::Closed { reason: "after a failure", source },
            Kind::Transaction | Kind::Unavailable => Self::Unavailable(source),
            Kind::Data => Self::Damaged(source),
            Kind::Invalid | Kind::Internal | _ => Self::Refused(source),
        }
    }
}

/// What it means that a database cannot be opened.
pub(crate) fn opening_failed(path: &DatabasePath, error: slatedb::Error) -> StorageError {
    if matches!(error.kind(), slatedb::ErrorKind::Closed(CloseReason::Fenced)) {
        StorageError::Overtaken(path.to_string())
    } else {
        error.into()
    }
}

impl From<object_store::Error> for StorageError {
    fn from(error: object_store::Error) -> Self {
        match DiskError::find_in(&error) {
            Some(disk) => Self::Disk(disk.clone()),
            None => Self::Store(Box::new(error)),
        }
    }
}

impl Classify for StorageError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Disk(error) => error.kind(),
            Self::Closed { .. } | Self::Overtaken(_) | Self::Unavailable(_) | Self::Store(_) => {
                ErrorKind::Unavailable
            }
            Self::Sealed(error) => error.kind(),
            Self::ObjectMissing(_)
            | Self::LogBroken(_)
            | Self::Damaged(_)
            | Self::DatabaseMissing(_)
            | Self::BlobMissing(_)
            | Self::CheckpointMissing(_) => ErrorKind::DataLoss,
            Self::Refused(_) => ErrorKind::Internal,
        }
    }
}

/// The error of this type in `error` or among its causes, also through SlateDB's wrappers.
pub(crate) fn find_cause<'a, T: Error + 'static>(
    error: &'a (dyn Error + 'static),
) -> Option<&'a T> {
    let mut current = Some(error);
    while let Some(error) = current {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        if let Some(shared) = error.downcast_ref::<Arc<T>>() {
            return Some(shared.as_ref());
        }
        // `source()` of an I/O error steps over the error it carries.
        let carried = error
            .downcast_ref::<io::Error>()
            .or_else(|| error.downcast_ref::<Arc<io::Error>>().map(AsRef::as_ref))
            .and_then(io::Error::get_ref);
        current = match carried {
            Some(carried) => Some(carried),
            None => error.source(),
        };
    }
    None
}

/// A data directory that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder cannot be made, locked or read.
    #[error("cannot use the data directory {path}: {source}")]
    Directory {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}
