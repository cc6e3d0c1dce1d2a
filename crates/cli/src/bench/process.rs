//! What the kernel tells about a process, and about a folder.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};

/// Ticks per second in `/proc`: 100 for every program on Linux, whatever the kernel counts in.
const TICK: Duration = Duration::from_millis(10);

/// Processor time of a process so far, in the kernel and out of it.
pub(super) fn processor_time(process_id: u32) -> anyhow::Result<Duration> {
    let path = format!("/proc/{process_id}/stat");
    let stat = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    // Behind the name, which stands in brackets and may hold spaces, comes the third field.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    let ticks: Vec<u32> = fields.filter_map(|field| field.parse().ok()).collect();
    ensure!(ticks.len() == 2, "{path} is not as expected");
    Ok(TICK * ticks.iter().sum())
}

/// Memory of this process that no file stands behind.
pub(super) fn anonymous_bytes() -> anyhow::Result<u64> {
    let text = std::fs::read_to_string("/proc/self/status").context("cannot read the status")?;
    let line = text.lines().find(|line| line.starts_with("RssAnon:")).context("no RssAnon")?;
    let kib: u64 = line.split_whitespace().nth(1).context("no size")?.parse()?;
    Ok(kib * 1_024)
}

/// What the files of a folder take on the disk.
pub(super) fn disk_bytes(folder: &Path) -> anyhow::Result<u64> {
    let mut total = 0;
    let shown = || format!("cannot read {}", folder.display());
    for entry in std::fs::read_dir(folder).with_context(shown)? {
        let entry = entry.with_context(shown)?;
        // A file may go while it is counted.
        let Ok(metadata) = entry.metadata() else { continue };
        total +=
            if metadata.is_dir() { disk_bytes(&entry.path())? } else { metadata.blocks() * 512 };
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    //! Goal: the time read is the time used. Method: this process, before and after some work.
    use super::*;

    #[test]
    fn processor_time_grows_with_work() {
        let me = std::process::id();
        let before = processor_time(me).unwrap();
        let mut rounds = 0_u64;
        while processor_time(me).unwrap() < before + Duration::from_millis(50) {
            rounds += 1;
            assert!(rounds < 10_000_000, "it does not grow");
        }
    }
    #[test]
    fn memory_and_files_are_counted() {
        assert!(anonymous_bytes().unwrap() > 100_000);
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("inner");
        std::fs::create_dir(&inner).unwrap();
        #[expect(clippy::disallowed_methods, reason = "a file for a test")]
        std::fs::write(inner.join("file"), [1; 10_000]).unwrap();
        assert!((10_000..100_000).contains(&disk_bytes(folder.path()).unwrap()));
    }
}
