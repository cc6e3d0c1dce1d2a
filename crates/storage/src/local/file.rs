//! A large object that its writer fills piece by piece on a blocking thread.
//!
//! INVARIANT: a file of which a write failed is never published. Its bytes count as growth, so the
//! writer is refused while there is still room for deletes and for what is already acknowledged.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use object_store::Result;

use super::changes::finish_replace;
use super::disk::{Disk, Staged};
use super::error::DiskError;

/// Free space is measured once for so many bytes: other writers use the disk too.
const MEASURE_BYTES: u64 = 1 << 20;
/// Bytes are synced in portions of this size. One sync of gigabytes at the end would make every
/// small sync of the log wait behind it.
const SYNC_BYTES: u64 = 32 << 20;

/// A staging file on its way to being an object. Dropping it removes it.
#[derive(Debug)]
pub(crate) struct LocalFile {
    disk: Arc<Disk>,
    target: PathBuf,
    staged: Staged,
    written: u64,
    unmeasured: u64,
    unsynced: u64,
    failed: Option<DiskError>,
}

impl LocalFile {
    pub(super) fn new(disk: Arc<Disk>, target: PathBuf, staged: Staged) -> Self {
        Self {
            disk,
            target,
            staged,
            written: 0,
            // The first write measures.
            unmeasured: MEASURE_BYTES,
            unsynced: 0,
            failed: None,
        }
    }

    /// Bytes written so far.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// Syncs the file and gives it its name for good. Blocks.
    #[expect(clippy::result_large_err, reason = "the error is object_store's")]
    pub(crate) fn finish(self) -> Result<u64> {
        if let Some(error) = self.failed {
            return Err(error.into());
        }
        self.disk.healthy()?;
        self.disk.sync_file(&self.staged)?;
        finish_replace(&self.disk, &self.staged, &self.target)?;
        Ok(self.written)
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), DiskError> {
        self.disk.healthy()?;
        let length = bytes.len() as u64;
        self.unmeasured += length;
        if self.unmeasured >= MEASURE_BYTES {
            self.disk.space.check_growth(length)?;
            self.unmeasured = 0;
        }
        let Self { disk, staged, .. } = self;
        disk.write(&staged.path, || (&staged.file).write_all(bytes))?;
        self.written += length;
        self.unsynced += length;
        if self.unsynced >= SYNC_BYTES {
            self.disk.sync_file(&self.staged)?;
            self.unsynced = 0;
        }
        Ok(())
    }
}

impl Write for LocalFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let appended = match &self.failed {
            Some(error) => Err(error.clone()),
            None => self.append(bytes),
        };
        appended.map_err(|error| {
            self.failed = Some(error.clone());
            into_io(error)
        })?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The error as one that a writer of bytes may see; [`DiskError::find_in`] finds it again.
fn into_io(error: DiskError) -> io::Error {
    let kind = match &error {
        DiskError::Full { .. } => io::ErrorKind::StorageFull,
        DiskError::Poisoned { .. } | DiskError::Step { .. } => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}
