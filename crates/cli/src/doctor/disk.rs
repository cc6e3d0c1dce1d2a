//! The disk: how long it takes to keep a write, and how much it still takes.

use std::io;
use std::path::Path;
use std::time::Duration;

use lodgepole_storage::local::{self, Inodes, STAGING_NAME, Space};
use lodgepole_types::Clock;

use super::report::{Check, bytes};
use crate::sync_times::{self, SyncTimes};

/// Synced writes that are timed: a second on a disk on which each takes 20 ms.
const SYNCS: usize = 50;

/// A median above this is no flash disk: one client then gets fewer than 100 writes a second.
const SLOW: Duration = Duration::from_millis(10);

/// A median above this is no disk that works: some clients wait for a second in all.
const TOO_SLOW: Duration = Duration::from_millis(100);

/// One that takes longer than this among 50 is felt by somebody every minute.
const WORST_SLOW: Duration = Duration::from_secs(1);

/// No disk keeps a write in less. Flash with a battery behind it takes some 20 microseconds and more.
const TOO_FAST: Duration = Duration::from_micros(20);

/// Files that have to be left. Every group of writes makes one, so it is soon gone.
const INODES_LOW: u64 = 10_000;
const INODES_GONE: u64 = 100;

/// Times synced writes in a data folder.
pub(super) fn sync(data_dir: &Path, clock: &dyn Clock) -> (Check, Option<SyncTimes>) {
    // What a doctor that was killed leaves there is swept by the next server.
    let staging = data_dir.join(STAGING_NAME);
    let folder = if staging.is_dir() { staging.as_path() } else { data_dir };
    let measured = sync_times::measure(folder, SYNCS, clock);
    let times = measured.as_ref().ok().copied();
    (judge_sync(measured), times)
}

fn judge_sync(measured: io::Result<SyncTimes>) -> Check {
    const NAME: &str = "sync";
    let times = match measured {
        Ok(times) => times,
        Err(error) => {
            return Check::fail(
                NAME,
                format!("a file cannot be written and synced: {error}"),
                "until that works nothing is acknowledged: look at the log of the kernel (dmesg) for \
                 errors of the disk, and at the rights of the folder",
            );
        }
    };
    let SyncTimes { median, worst, count, .. } = times;
    let found = format!("{count} writes of 4 KiB: median {median:.1?}, worst {worst:.1?}");
    if median > TOO_SLOW {
        let advice = "every write of a client waits this long: move the data folder to a local disk \
                      that is not overloaded (iostat -x 1 shows it)";
        return Check::fail(NAME, found, advice);
    }
    if median < TOO_FAST {
        let advice = "no disk is that fast: it says that it keeps what it does not, or it is memory. \
                      Acknowledged writes may be lost at a power cut; turn off the disk's write cache \
                      or the host's \"unsafe\" caching";
        return Check::warn(NAME, found, advice);
    }
    if median > SLOW || worst > WORST_SLOW {
        let advice = "every write waits for this: a local flash disk takes about 1 ms. Send larger \
                      batches, or look for what else loads the disk (iostat -x 1)";
        return Check::warn(NAME, found, advice);
    }
    Check::ok(NAME, found)
}

/// Measures the room on the disk of a data folder.
pub(super) fn space(data_dir: &Path) -> Vec<Check> {
    judge_space(local::measure(data_dir))
}

fn judge_space(measured: io::Result<(Space, Inodes)>) -> Vec<Check> {
    match measured {
        Ok((space, inodes)) => vec![judge_bytes(space), judge_inodes(inodes)],
        Err(error) => vec![Check::warn(
            "space",
            format!("the system does not say how full the disk is: {error}"),
            "look with df; the server cannot see either, and refuses nothing early",
        )],
    }
}

fn judge_bytes(space: Space) -> Check {
    const NAME: &str = "space";
    let reserve = space.free_bytes_min();
    let (free, total) = (space.free_bytes, space.total_bytes);
    let found =
        format!("{} of {} free, {} of it in reserve", bytes(free), bytes(total), bytes(reserve));
    if free < reserve {
        let advice = "writes that grow the data are refused until there is room; reads and deletes go \
                      on. Free space, delete old backups and indexes, or enlarge the disk";
        return Check::fail(NAME, found, advice);
    }
    if free < (total / 10).min(4 * reserve) {
        let advice = "soon writes are refused. Free space, delete old backups and indexes, or enlarge \
                      the disk";
        return Check::warn(NAME, found, advice);
    }
    Check::ok(NAME, found)
}

fn judge_inodes(inodes: Inodes) -> Check {
    const NAME: &str = "inodes";
    let Inodes { free, total } = inodes;
    if total == 0 {
        return Check::ok(NAME, "as many files as there is space");
    }
    let found = format!("{free} more files of {total} can be made");
    let advice = "every group of writes makes a file. Remove small files of others from this file \
                  system, or put the data folder on one of its own";
    if free < INODES_GONE {
        Check::fail(NAME, found, advice)
    } else if free < INODES_LOW {
        Check::warn(NAME, found, advice)
    } else {
        Check::ok(NAME, found)
    }
}

#[cfg(test)]
mod tests {
    //! Goal: each verdict, at its bound. Method: times and sizes by hand, and this machine's disk.
    use lodgepole_storage::SystemClock;

    use super::super::report::Verdict::{self, Fail, Ok as Good, Warn};
    use super::*;

    fn sync_verdict(median_us: u64, worst_us: u64) -> Verdict {
        let [median, worst] = [median_us, worst_us].map(Duration::from_micros);
        judge_sync(Ok(SyncTimes { median, worst, count: 50, written_at: None })).verdict
    }

    #[test]
    fn slow_and_impossibly_fast_syncs_are_told() {
        assert_eq!(sync_verdict(1_000, 5_000), Good);
        assert_eq!(sync_verdict(20, 20), Good);
        assert_eq!(sync_verdict(19, 20), Warn, "no disk");
        assert_eq!(sync_verdict(10_001, 20_000), Warn);
        assert_eq!(sync_verdict(1_000, 1_000_001), Warn, "one took too long");
        assert_eq!(sync_verdict(100_001, 100_001), Fail);
        assert_eq!(judge_sync(Err(io::ErrorKind::StorageFull.into())).verdict, Fail);
    }

    #[test]
    fn a_folder_is_measured_and_left_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let (check, times) = sync(folder.path(), &SystemClock::new());
        assert!(check.found.contains("50 writes") && times.is_some(), "{check:?}");
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
        let (check, times) = sync(&folder.path().join("none"), &SystemClock::new());
        assert_eq!((check.verdict, times), (Fail, None));
        let names: Vec<_> = space(folder.path()).iter().map(|check| check.check).collect();
        assert_eq!(names, ["space", "inodes"]);
        assert_eq!(space(&folder.path().join("none"))[0].verdict, Warn);
    }

    #[test]
    fn a_full_disk_fails_and_a_nearly_full_one_warns() {
        const GIB: u64 = 1 << 30;
        let verdict =
            |free_bytes, total_bytes| judge_bytes(Space { free_bytes, total_bytes }).verdict;
        assert_eq!(verdict(10 * GIB, 100 * GIB), Good);
        assert_eq!(verdict(GIB, 100 * GIB), Good, "four times the reserve");
        assert_eq!(verdict(GIB - 1, 100 * GIB), Warn);
        assert_eq!(verdict(GIB / 4, 100 * GIB), Warn);
        assert_eq!(verdict(GIB / 4 - 1, 100 * GIB), Fail);
        let probed = judge_space(Ok((
            Space { free_bytes: 0, total_bytes: GIB },
            Inodes { free: 50, total: 1_000 },
        )));
        assert_eq!(probed.iter().map(|check| check.verdict).collect::<Vec<_>>(), [Fail, Fail]);
    }

    #[test]
    fn files_that_can_still_be_made_are_counted() {
        let verdict = |free, total| judge_inodes(Inodes { free, total }).verdict;
        assert_eq!(verdict(0, 0), Good, "the file system has no table of them");
        assert_eq!(verdict(10_000, 1_000_000), Good);
        assert_eq!(verdict(9_999, 1_000_000), Warn);
        assert_eq!(verdict(99, 1_000_000), Fail);
    }
}
