//! Keeps a nearly full disk usable.
//!
//! A database that fills its disk to the last byte cannot even delete: a delete is itself a write,
//! and freeing space means writing a manifest first. So free space is given out in three bands.
//! INVARIANT: what frees space is still possible when what grows the data no longer is, and what is
//! already acknowledged can still be flushed.
//!
//! | free bytes | a caller's growing writes | deletes, catalog, checkpoints | SlateDB's own files |
//! |---|---|---|---|
//! | above `free_bytes_min` | yes | yes | yes |
//! | down to a quarter of it | refused | yes | yes |
//! | down to a sixteenth | refused | yes | small ones (manifests, log) |
//! | below | refused | refused | wait |
//!
//! Callers are refused at [`SpaceGuard::admit`], at once and with a clear error, before SlateDB sees
//! the write. What SlateDB has already taken on waits, so nothing has to be reopened when space is
//! back. This needs its retries to be unbounded: with a bound it closes the database, reads and all.

use std::fmt::Debug;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::error::DiskError;

/// Most that `free_bytes_min` is by default.
const FREE_BYTES_MIN_CAP: u64 = 256 << 20;
/// By default `free_bytes_min` is at most this part of the disk: 5 %.
const FREE_PART_OF_DISK: u64 = 20;
/// Large files of SlateDB need this part of `free_bytes_min` to stay free.
const LARGE_PART: u64 = 4;
/// Everything needs this part of `free_bytes_min` to stay free.
const FLOOR_PART: u64 = 16;
/// A put of up to this size counts as small: manifests, log objects, compaction state.
const SMALL_PUT_BYTES_MAX: u64 = 1 << 20;

/// The size of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes that this process may still use.
    pub free_bytes: u64,
    /// Bytes in all.
    pub total_bytes: u64,
}

/// The files that a file system still has room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inodes {
    /// Files that may still be made.
    pub free: u64,
    /// Files in all; 0 where the file system makes room as it needs it.
    pub total: u64,
}

/// Measures the disk of a folder, for whoever looks without writing.
///
/// # Errors
/// When there is no such folder, or the operating system does not say.
pub fn measure(folder: &Path) -> io::Result<(Space, Inodes)> {
    let disk = rustix::fs::statvfs(folder)?;
    let space = Space {
        free_bytes: disk.f_bavail.saturating_mul(disk.f_frsize),
        total_bytes: disk.f_blocks.saturating_mul(disk.f_frsize),
    };
    Ok((space, Inodes { free: disk.f_favail, total: disk.f_files }))
}

impl Space {
    /// Free bytes below which growing writes are refused on such a disk, unless a test says otherwise.
    #[must_use]
    pub fn free_bytes_min(self) -> u64 {
        (self.total_bytes / FREE_PART_OF_DISK).min(FREE_BYTES_MIN_CAP)
    }
}

/// Measures a disk.
pub trait SpaceProbe: Debug + Send + Sync {
    /// Measures it now.
    ///
    /// # Errors
    /// When the operating system does not say; writes then go on.
    fn measure(&self) -> io::Result<Space>;
}

/// Asks the operating system (`statvfs`, about a microsecond on a local disk).
#[derive(Debug)]
pub(super) struct DiskProbe(pub(super) PathBuf);

impl SpaceProbe for DiskProbe {
    fn measure(&self) -> io::Result<Space> {
        measure(&self.0).map(|(space, _)| space)
    }
}

/// What a caller wants space for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// More data: upserts, new indexes, segments.
    Growth,
    /// A small write without which nothing can be freed: deletes, catalog changes.
    Upkeep,
}

/// Says whether there is room.
#[derive(Debug)]
pub struct SpaceGuard {
    probe: Arc<dyn SpaceProbe>,
    free_bytes_min: u64,
    /// Free bytes when last measured, less what was written since.
    free_bytes: AtomicU64,
}

impl SpaceGuard {
    /// A guard over what `probe` measures.
    pub(super) fn new(probe: Arc<dyn SpaceProbe>, free_bytes_min: Option<u64>) -> Self {
        let measured = probe.measure();
        let default = measured.as_ref().map_or(FREE_BYTES_MIN_CAP, |space| space.free_bytes_min());
        let free_bytes = measured.map_or(u64::MAX, |space| space.free_bytes);
        let free_bytes_min = free_bytes_min.unwrap_or(default);
        Self { probe, free_bytes_min, free_bytes: AtomicU64::new(free_bytes) }
    }

    /// Free bytes below which growing writes are refused.
    #[must_use]
    pub fn free_bytes_min(&self) -> u64 {
        self.free_bytes_min
    }

    /// Says whether a caller may write `bytes` more, before the write is begun.
    ///
    /// WHY it measures each time, and not only puts: other programs use the disk too. A write that is
    /// let in on an old figure finds the disk full below the database, where nobody refuses it any
    /// more: it waits, and with it whoever wants to see a state that holds it.
    ///
    /// # Errors
    /// [`DiskError::Full`]. It ends by itself as soon as there is room.
    pub fn admit(&self, need: Need, bytes: u64) -> Result<(), DiskError> {
        let wanted = match need {
            Need::Growth => self.free_bytes_min,
            Need::Upkeep => self.free_bytes_min / FLOOR_PART,
        };
        let measured = self.measured();
        let known = self.free_bytes.fetch_min(measured, Ordering::Relaxed).min(measured);
        if known.saturating_sub(bytes) >= wanted {
            // Callers may race here; the next put measures, so only wrapping round must not happen.
            let less = |free: u64| Some(free.saturating_sub(bytes));
            let _ = self.free_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
            return Ok(());
        }
        self.check(wanted, bytes)
    }

    /// Says whether a file of `bytes` may be written now. Measures each time: a put costs a
    /// thousand times more.
    pub(super) fn check_put(&self, bytes: u64) -> Result<(), DiskError> {
        let part = if bytes <= SMALL_PUT_BYTES_MAX { FLOOR_PART } else { LARGE_PART };
        self.check(self.free_bytes_min / part, bytes)
    }

    /// Says whether a file that grows the data may grow by `bytes` now. Measures each time.
    pub(super) fn check_growth(&self, bytes: u64) -> Result<(), DiskError> {
        self.check(self.free_bytes_min, bytes)
    }

    fn check(&self, wanted_bytes: u64, bytes: u64) -> Result<(), DiskError> {
        let free_bytes = self.measured();
        self.free_bytes.store(free_bytes, Ordering::Relaxed);
        if free_bytes.saturating_sub(bytes) < wanted_bytes {
            return Err(DiskError::Full { free_bytes, wanted_bytes });
        }
        Ok(())
    }

    /// Free bytes now; all there can be when the system does not say.
    fn measured(&self) -> u64 {
        match self.probe.measure() {
            Ok(space) => space.free_bytes,
            Err(error) => {
                tracing::warn!(%error, "could not measure free space");
                u64::MAX
            }
        }
    }
}
