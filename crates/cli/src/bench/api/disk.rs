//! What the disk allows: with one connection, a durable write cannot be faster than a sync.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use lodgepole_types::Clock;

/// Syncs that are timed.
pub(super) const TIMES: usize = 100;
const BLOCK: [u8; 4_096] = [7; 4_096];

/// The median time of writing 4 KiB to a file in the folder and syncing it.
pub(super) fn sync_time(folder: &Path, clock: &dyn Clock) -> anyhow::Result<Duration> {
    let path = folder.join("sync-time");
    let file = OpenOptions::new().create(true).append(true).open(&path);
    let mut file = file.with_context(|| format!("cannot write to {}", folder.display()))?;
    let mut times = Vec::with_capacity(TIMES);
    for _ in 0..TIMES {
        let begun = clock.elapsed();
        file.write_all(&BLOCK)?;
        file.sync_all()?;
        times.push(clock.elapsed() - begun);
    }
    std::fs::remove_file(&path)?;
    times.sort_unstable();
    times.get(TIMES / 2).copied().context("nothing was timed")
}
