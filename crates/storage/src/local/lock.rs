//! One process at a time owns a data directory.
//!
//! Two processes on one directory would each collect what the other still needs. The lock is the
//! operating system's (`flock`), so it ends with the process however that ends; the process id in
//! the file is only for the message to the second one.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::Path;

use super::error::LocalOpenError;

/// The file in the root of a store that carries the lock.
pub(super) const LOCK_NAME: &str = "LOCK";

/// The process that holds the lock of `root`, as far as it noted its id; `None` when nobody does. The
/// lock is taken for this, and given back at once.
///
/// # Errors
/// When the lock is there but cannot be tried.
pub fn holder(root: &Path) -> io::Result<Option<String>> {
    let mut file = match File::open(root.join(LOCK_NAME)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => {
            let mut owner = String::new();
            file.read_to_string(&mut owner)?;
            Ok(Some(owner.trim().to_owned()))
        }
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Holds the lock while it lives.
#[derive(Debug)]
pub(super) struct DirectoryLock {
    _file: File,
}

impl DirectoryLock {
    /// Takes the lock of `root`, or says who has it.
    pub(super) fn take(root: &Path) -> Result<Self, LocalOpenError> {
        let path = root.join(LOCK_NAME);
        let failed = |source| LocalOpenError::folder("lock", &path, source);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut owner = String::new();
                let pid =
                    file.read_to_string(&mut owner).ok().and_then(|_| owner.trim().parse().ok());
                return Err(LocalOpenError::InUse { path: root.to_path_buf(), pid });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        // On a full disk the id cannot be written; the lock holds all the same, and a full disk is
        // when the directory most needs to be opened.
        let noted = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
        if let Err(error) = noted {
            tracing::warn!(%error, path = %path.display(), "could not note the process id");
        }
        Ok(Self { _file: file })
    }
}
