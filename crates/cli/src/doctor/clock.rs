//! The clock: whether it can be true.
//!
//! Nothing acknowledged depends on it, but the times in lists, the runs of schedules, the age of
//! backups and the validity of certificates do.

use lodgepole_types::Timestamp;

use super::report::{Check, span};

/// Lodgepole is younger than that: 2026-01-01.
const EARLIEST: Timestamp = Timestamp(1_767_225_600_000);

/// How far behind the newest time in the data it may be: two machines, or a step of NTP.
const BEHIND_MAX_S: u64 = 60;

/// How far the clock of the file system may be off.
const SKEW_MAX_S: u64 = 5;

/// Times that the clock is compared with.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Times {
    /// The newest in the catalog.
    pub(super) row: Option<Timestamp>,
    /// When the newest file was written.
    pub(super) file: Option<Timestamp>,
    /// When a file was written just now, as the file system says.
    pub(super) just_now: Option<(Timestamp, Timestamp)>,
}

/// Compares the clock with what the data says.
pub(super) fn judge(now: Timestamp, times: Times) -> Check {
    const NAME: &str = "clock";
    let found = now.rfc3339();
    if now < EARLIEST {
        return Check::fail(
            NAME,
            format!("{found}: it is not set"),
            "set it (timedatectl set-ntp true): certificates are refused, and schedules do not run",
        );
    }
    for (what, time) in [("row of the catalog", times.row), ("file", times.file)] {
        let behind = time.map_or(0, |time| time.since(now).as_secs());
        if behind > BEHIND_MAX_S {
            return Check::warn(
                NAME,
                format!("{found}, {} behind the newest {what}", span(behind)),
                "it was turned back, or was wrong when that was written: schedules wait until it has \
                 caught up. Compare it with another machine's, and let NTP keep it",
            );
        }
    }
    let skew = times
        .just_now
        .map_or(0, |(file, clock)| file.since(clock).max(clock.since(file)).as_secs());
    if skew > SKEW_MAX_S {
        return Check::warn(
            NAME,
            format!("{found}, {} off the clock of the file system", span(skew)),
            "the data folder is on another machine, whose clock is off: let NTP keep both",
        );
    }
    Check::ok(NAME, format!("{found}, not behind anything that was written"))
}

#[cfg(test)]
mod tests {
    //! Goal: a clock that cannot be true is told. Method: times by hand.
    use super::super::report::Verdict::{Fail, Ok as Good, Warn};
    use super::*;

    #[test]
    fn a_clock_that_cannot_be_true_is_told() {
        let now = Timestamp(EARLIEST.0 + 1_000_000_000);
        let at = |seconds: i64| Some(Timestamp(now.0 + 1_000 * seconds));
        let verdict = |times| judge(now, times).verdict;
        assert_eq!(verdict(Times::default()), Good);
        assert_eq!(verdict(Times { row: at(60), file: at(-9), just_now: None }), Good);
        assert_eq!(verdict(Times { row: at(61), ..Times::default() }), Warn);
        assert_eq!(verdict(Times { file: at(7_200), ..Times::default() }), Warn);
        let told = judge(now, Times { file: at(7_200), ..Times::default() });
        assert!(told.found.contains("2 hours behind the newest file"), "{}", told.found);
        for (skew, wanted) in [(5, Good), (6, Warn), (-5, Good), (-6, Warn)] {
            let just_now = at(skew).map(|file| (file, now));
            assert_eq!(verdict(Times { just_now, ..Times::default() }), wanted, "{skew}");
        }
        assert_eq!(judge(Timestamp(0), Times::default()).verdict, Fail);
        assert_eq!(judge(Timestamp(EARLIEST.0 - 1), Times::default()).verdict, Fail);
    }
}
