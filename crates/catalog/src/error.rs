//! Why the catalog refused.
//!
//! The texts of refusals that are the caller's to mend are the ones users see, worded as Pinecone's
//! clients expect them. The others are for the log; the service replaces them.

use lodgepole_storage::StorageError;
use lodgepole_types::{BackupId, Classify, ErrorKind, ImportId, IndexId, IndexName, RestoreJobId};

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
    /// The index has no import of this id.
    #[error("Import {0} not found.")]
    ImportNotFound(ImportId),
    /// Too many imports into the index have not ended.
    #[error("There are {0} imports into this index already. Wait until one has ended.")]
    TooManyImports(usize),
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
    /// No collection has this name.
    #[error("Collection {0} not found.")]
    CollectionNotFound(IndexName),
    /// Only a collection that is Ready can be read or deleted.
    #[error("Collection {0} is not ready")]
    CollectionNotReady(IndexName),
    /// The collection is being read.
    #[error("Unable to delete collection. Indexes are being created from it: [{}]", quoted(.0))]
    CollectionInUse(Vec<IndexName>),
    /// A collection is being made of the index.
    #[error(
        "Unable to delete an index. There are pending collections for this index: [{}]",
        quoted(.0)
    )]
    PendingCollections(Vec<IndexName>),
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
    /// No schedule has this id.
    #[error("Backup schedule not found.")]
    ScheduleNotFound,
    /// One enabled schedule is all that an index may have.
    #[error("This index already has an enabled backup schedule. Disable or delete it first.")]
    ScheduleEnabled,
    /// Pod indexes have collections.
    #[error("Backup schedules of pod indexes are not supported")]
    ScheduleOfPods,
    /// An index has too many schedules, most of them disabled.
    #[error("The index has {0} backup schedules, the most there can be. Delete one first.")]
    TooManySchedules(usize),
    /// No key in use is called so.
    #[error("No key is called '{0}'. `lodgepole keys list` shows them.")]
    KeyNotFound(String),
    /// Another key in use has the name.
    #[error("A key named '{0}' exists. Choose another name, or revoke that key first.")]
    KeyNameTaken(String),
    /// What was given as the name of a key cannot be one.
    #[error("The name of a key has 1 to 80 bytes and no control characters.")]
    BadKeyName,
    /// No more keys can be made.
    #[error("There are {0} keys already, the most there can be. Revoke some first.")]
    TooManyKeys(usize),
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
            | Self::RestoreJobNotFound(_)
            | Self::CollectionNotFound(_)
            | Self::ScheduleNotFound
            | Self::KeyNotFound(_)
            | Self::ImportNotFound(_) => ErrorKind::NotFound,
            Self::TooManyImports(_) => ErrorKind::RateLimited,
            Self::NameTaken | Self::KeyNameTaken(_) | Self::ScheduleEnabled => {
                ErrorKind::AlreadyExists
            }
            Self::BadKeyName | Self::ScheduleOfPods => ErrorKind::InvalidArgument,
            Self::DeletionProtected => ErrorKind::Forbidden,
            Self::BackupNotReady(_)
            | Self::BackupInUse(_)
            | Self::CollectionNotReady(_)
            | Self::CollectionInUse(_)
            | Self::PendingCollections(_)
            | Self::IndexHasBackups(_)
            | Self::PortsExhausted { .. }
            | Self::TooManyKeys(_)
            | Self::TooManySchedules(_)
            | Self::TooNew { .. } => ErrorKind::FailedPrecondition,
            Self::AlreadyEnded { .. } => ErrorKind::Conflict,
            Self::Damaged(_) => ErrorKind::DataLoss,
            Self::Poisoned => ErrorKind::Unavailable,
            Self::Misuse(_) => ErrorKind::Internal,
            Self::Storage(error) => error.kind(),
        }
    }
}

fn quoted(names: &[impl std::fmt::Display]) -> String {
    names.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ")
}
