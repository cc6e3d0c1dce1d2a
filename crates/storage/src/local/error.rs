//! Failures of a local disk, and how they travel through SlateDB.
//!
//! SlateDB repeats a failed operation unless the error says that it must not. A poisoned store says
//! so: repeating the call after a failed sync would turn lost bytes into a success. A full disk does
//! not: SlateDB waits and goes on by itself when there is room again, while callers are refused
//! before anything reaches it ([`SpaceGuard::admit`](super::SpaceGuard::admit)).

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lodgepole_types::{Classify, ErrorKind};
use slatedb_common::retry::NonRetryable;

use super::options::DiskStep;

/// The name by which object store errors say where they come from.
pub(super) const STORE: &str = "local disk";

/// Why the disk did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DiskError {
    /// A sync failed earlier. What is on the disk is not known, so nothing is written or deleted
    /// until the store is opened again.
    #[error("the disk failed to sync {}; check the disk, then restart", path.display())]
    Poisoned {
        /// What could not be synced.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// There is not enough room. Reads go on, and writes will again once there is room.
    #[error("the disk is {}; delete indexes or backups, or add space", fullness(*free_bytes, *wanted_bytes))]
    Full {
        /// Free bytes when last measured; 0 when the operating system refused.
        free_bytes: u64,
        /// Free bytes below which this kind of write is refused.
        wanted_bytes: u64,
    },
    /// A step failed for another reason, and had no effect.
    #[error("could not {} {}", step.name(), path.display())]
    Step {
        /// The step.
        step: DiskStep,
        /// What it was done to.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: Arc<io::Error>,
    },
}

impl DiskError {
    /// A failed step, told apart from a full disk.
    pub(super) fn step(step: DiskStep, path: &Path, source: io::Error) -> Self {
        if is_full(&source) {
            return Self::Full { free_bytes: 0, wanted_bytes: 1 };
        }
        Self::Step { step, path: path.to_path_buf(), source: Arc::new(source) }
    }

    /// The error in `error` or among its causes, also through SlateDB's wrappers.
    pub fn find_in<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Self> {
        crate::error::find_cause(error)
    }
}

impl Classify for DiskError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Full { .. } => ErrorKind::RateLimited,
            Self::Poisoned { .. } | Self::Step { .. } => ErrorKind::Unavailable,
        }
    }
}

impl From<DiskError> for object_store::Error {
    fn from(error: DiskError) -> Self {
        match error {
            DiskError::Poisoned { .. } => final_error(error),
            DiskError::Full { .. } | DiskError::Step { .. } => {
                Self::Generic { store: STORE, source: Box::new(error) }
            }
        }
    }
}

/// An error that SlateDB hands up at once instead of repeating the call.
pub(crate) fn final_error(source: impl Error + Send + Sync + 'static) -> object_store::Error {
    object_store::Error::Generic { store: STORE, source: Box::new(NonRetryable(Box::new(source))) }
}

/// Whether the operating system said that there is no room.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Why a folder cannot be used as a store.
#[derive(Debug, thiserror::Error)]
pub enum LocalOpenError {
    /// Another process has it.
    #[error("another process is using {}{}", path.display(), process(*pid))]
    InUse {
        /// The folder.
        path: PathBuf,
        /// The other process, if it said.
        pid: Option<u32>,
    },
    /// It cannot be made, locked or cleaned.
    #[error("cannot {action} {}", path.display())]
    Folder {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// `object_store` does not take it, for instance because its name is not Unicode.
    #[error("cannot use {} as a store", path.display())]
    Unusable {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<object_store::Error>,
    },
}

impl LocalOpenError {
    pub(super) fn folder(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Folder { action, path: path.to_path_buf(), source }
    }
}

impl Classify for LocalOpenError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::InUse { .. } => ErrorKind::FailedPrecondition,
            Self::Folder { .. } | Self::Unusable { .. } => ErrorKind::Unavailable,
        }
    }
}

fn fullness(free_bytes: u64, wanted_bytes: u64) -> String {
    if free_bytes == 0 {
        return "full".to_owned();
    }
    format!("nearly full ({free_bytes} bytes are free, {wanted_bytes} must stay free)")
}

fn process(pid: Option<u32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" (process {pid})"))
}
