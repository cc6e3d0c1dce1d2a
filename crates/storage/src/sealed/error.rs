//! What is wrong with an object, and how that travels through SlateDB.

use lodgepole_types::{Classify, ErrorKind};
use object_store::Error;
use object_store::path::Path;
use slatedb_common::retry::NonRetryable;

/// An object is not what was written under its name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// It was changed, cut or exchanged.
    #[error("the file {path} is damaged: {problem}")]
    Damaged {
        /// Its path below the root of the store.
        path: String,
        /// What shows it.
        problem: &'static str,
    },
    /// A newer version wrote it.
    #[error(
        "the file {path} has format {found}, which is newer than this version of Lodgepole knows \
         ({known}); use the version that wrote it, or a later one"
    )]
    TooNew {
        /// Its path below the root of the store.
        path: String,
        /// The format it has.
        found: u8,
        /// The newest one that is known.
        known: u8,
    },
}

impl SealError {
    pub(super) fn of(location: &Path, problem: &'static str) -> Self {
        Self::Damaged { path: location.to_string(), problem }
    }
}

impl From<SealError> for Error {
    /// SlateDB repeats what fails unless it is told that this is of no use.
    fn from(error: SealError) -> Self {
        Self::Generic { store: "seal", source: Box::new(NonRetryable(Box::new(error))) }
    }
}

impl Classify for SealError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Damaged { .. } => ErrorKind::DataLoss,
            Self::TooNew { .. } => ErrorKind::FailedPrecondition,
        }
    }
}
