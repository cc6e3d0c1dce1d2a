//! How long the disk takes to keep a small write: no acknowledged write can be faster.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use lodgepole_types::{Clock, Timestamp};

const BLOCK: [u8; 4_096] = [7; 4_096];

/// What some synced writes took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SyncTimes {
    /// That of the middle one.
    pub(crate) median: Duration,
    /// The longest.
    pub(crate) worst: Duration,
    /// How many were timed.
    pub(crate) count: usize,
    /// When the file was last written, by the file system's clock.
    pub(crate) written_at: Option<Timestamp>,
}

/// Removes the file however the measuring ends.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Writes 4 KiB to a file of its own in the folder and syncs it, `count` times, and removes the file.
///
/// # Errors
/// When the folder cannot be written to, or the disk does not sync.
pub(crate) fn measure(folder: &Path, count: usize, clock: &dyn Clock) -> io::Result<SyncTimes> {
    let path = folder.join(format!("sync-time.{}", std::process::id()));
    let mut file = OpenOptions::new().create_new(true).append(true).open(&path)?;
    let scratch = Scratch(path);
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let begun = clock.elapsed();
        file.write_all(&BLOCK)?;
        file.sync_all()?;
        times.push(clock.elapsed().saturating_sub(begun));
    }
    let written_at = modified(&file);
    drop(scratch);
    times.sort_unstable();
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    let worst = times.last().copied().unwrap_or_default();
    Ok(SyncTimes { median, worst, count, written_at })
}

fn modified(file: &File) -> Option<Timestamp> {
    let time = file.metadata().ok()?.modified().ok()?;
    let since = time.duration_since(std::time::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_millis()).ok().map(Timestamp)
}

#[cfg(test)]
mod tests {
    //! Goal: true times, and no file left. Method: this machine's disk, and a folder that is none.
    use lodgepole_storage::SystemClock;

    use super::*;

    #[test]
    fn writes_are_timed_and_the_file_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let clock = SystemClock::new();
        let times = measure(folder.path(), 5, &clock).unwrap();
        assert!(times.median > Duration::ZERO && times.median <= times.worst, "{times:?}");
        let skew = clock.now().0 - times.written_at.unwrap().0;
        assert!((-1_000..60_000).contains(&skew), "{skew} ms");
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
        assert!(measure(&folder.path().join("none"), 5, &clock).is_err());
    }
}
