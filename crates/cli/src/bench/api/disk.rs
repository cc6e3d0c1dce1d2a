//! What the disk allows: with one connection, a durable write cannot be faster than a sync.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use lodgepole_types::Clock;

use crate::sync_times;

/// Syncs that are timed.
pub(super) const TIMES: usize = 100;

/// The median time of writing 4 KiB to a file in the folder and syncing it.
pub(super) fn sync_time(folder: &Path, clock: &dyn Clock) -> anyhow::Result<Duration> {
    let times = sync_times::measure(folder, TIMES, clock);
    let times = times.with_context(|| format!("cannot write to {}", folder.display()))?;
    Ok(times.median)
}
