//! Why the catalog refused.
//!
//! The texts of refusals that are the caller's to mend are the ones users see, worded as Pinecone's
//! clients expect them. The others are for the log; the service replaces them.

use lodgepole_storage::StorageError;
use lodgepole_types::{BackupId, Classify, ErrorKind, IndexId, IndexName, RestoreJobId};

/// A refused or failed operation on the catalog.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// No live index has this name.
    #[error("Index {0} not found.")]
    IndexNotFound(IndexName),
    /// No live index has this id.
    #[error("Index {0} not found.")]
    IndexIdNotFound(IndexId),
    /// No backup has this id.
    #[error("Backup {0} not found.")]
    BackupNotFound(BackupId),
    /// No restore job has this id.
    #[error("Restore job {0} not found.")]
    RestoreJobNotFound(RestoreJobId),
    /// The name belongs to a live index, or to one that is just being restored.
    #[error("Resource already exists.")]
    NameTaken,
    /// The index is protected.
    #[error(
        "Deletion protection is enabled for this index. Disable deletion protection before \
         retrying."
    )]
    DeletionProtected,
    /// Only a backup that is Ready can be restored, and only one that has ended can be deleted.
    #[error("Backup {0} is not completed")]
    BackupNotReady(BackupId),
    /// The backup is being read.
    #[error(
        "Unable to delete backup. There are pending restore jobs for this backup: [{}]",
        quoted(.0)
    )]
    BackupInUse(Vec<RestoreJobId>),
    /// The data of a hidden index is still needed by a backup.
    #[error("Index {0} still has backups, its data must stay")]
    IndexHasBackups(IndexId),
    /// The backup or the restore job has come to its end before.
    #[error("{what} {id} has already ended")]
    AlreadyEnded {
        /// What it is.
        what: &'static str,
        /// Its id.
        id: uuid::Uuid,
    },
    /// No port is left for another index.
    #[error(
        "All ports for indexes, {first} to {last}, are in use. Delete an index, or give the \
         server more ports."
    )]
    PortsExhausted {
        /// The first port of the range.
        first: u16,
        /// The last port of the range.
        last: u16,
    },
    /// The catalog was written by a newer version.
    #[error(
        "the catalog was written by a newer version of Lodgepole ({what} has version {found}, this \
         program reads versions up to {known}); start that version, or a newer one"
    )]
    TooNew {
        /// Which part of it.
        what: String,
        /// The version found.
        found: u32,
        /// The newest version that this program reads.
        known: u32,
    },
    /// What is stored makes no sense.
    #[error("the catalog is damaged: {0}")]
    Damaged(String),
    /// An earlier change failed half-way to the disk.
    #[error("the catalog takes no more changes because an earlier one failed; restart the server")]
    Poisoned,
    /// A call that the layers above must not make.
    #[error("the catalog was misused: {0}")]
    Misuse(&'static str),
    /// The database below failed. After a change, the outcome is unknown: all of it or nothing.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl Classify for CatalogError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::IndexNotFound(_)
            | Self::IndexIdNotFound(_)
            | Self::BackupNotFound(_)
            | Self::RestoreJobNotFound(_) => ErrorKind::NotFound,
            Self::NameTaken => ErrorKind::AlreadyExists,
            Self::DeletionProtected => ErrorKind::Forbidden,
            Self::BackupNotReady(_)
            | Self::BackupInUse(_)
            | Self::IndexHasBackups(_)
            | Self::PortsExhausted { .. }
            | Self::TooNew { .. } => ErrorKind::FailedPrecondition,
            Self::AlreadyEnded { .. } => ErrorKind::Conflict,
            Self::Damaged(_) => ErrorKind::DataLoss,
            Self::Poisoned => ErrorKind::Unavailable,
            Self::Misuse(_) => ErrorKind::Internal,
            Self::Storage(error) => error.kind(),
        }
    }
}

fn quoted(jobs: &[RestoreJobId]) -> String {
    jobs.iter().map(|job| format!("'{job}'")).collect::<Vec<_>>().join(", ")
}
