//! Backups that are taken by the clock.
//!
//! The API leaves the hour to the server: every schedule runs at 06:00 UTC, the first time at the
//! next one, then every day, every seven days, or on the same day of each month (the last one of a
//! month that is too short). Invariant: the next run depends only on the schedule and the time, so
//! a server that was off when it was due takes one backup and not one for each time that it missed.

use chrono::{DateTime, Days, Months, NaiveTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{BackupId, IndexId, ScheduleId, Timestamp};

/// The hour at which schedules run, UTC.
const HOUR: u32 = 6;
/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// How often a schedule runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Frequency {
    /// Every day.
    Daily,
    /// Every seven days.
    Weekly,
    /// Once a month.
    Monthly,
}

impl Frequency {
    /// The name in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Daily => "daily",
            Self::Weekly => "weekly",
            Self::Monthly => "monthly",
        }
    }

    /// Reads the name in the API; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Daily, Self::Weekly, Self::Monthly].into_iter().find(|one| one.as_str() == text)
    }

    /// The first run of the series of `first` that is later than `now`. `None` beyond what a
    /// calendar can say.
    fn next(self, first: DateTime<Utc>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let days = now.signed_duration_since(first).num_days();
        let days = u64::try_from(days).unwrap_or(0);
        // Started a little early, because months differ in length.
        let (step, begin) = match self {
            Self::Daily => (1, days),
            Self::Weekly => (7, days / 7),
            Self::Monthly => (0, (days / 31).saturating_sub(1)),
        };
        (begin..=begin + 4).find_map(|number| {
            let run = match self {
                Self::Daily | Self::Weekly => first.checked_add_days(Days::new(number * step)),
                Self::Monthly => first.checked_add_months(Months::new(u32::try_from(number).ok()?)),
            }?;
            (run > now).then_some(run)
        })
    }
}

/// A schedule of an index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupSchedule {
    /// Its identity.
    pub id: ScheduleId,
    /// Name given by the user; its backups are named after it.
    pub name: String,
    /// The live index that it backs up.
    pub index_id: IndexId,
    /// How often it runs.
    pub frequency: Frequency,
    /// Days after which its backups are deleted, at least 1.
    pub expire_after_days: u32,
    /// Whether it runs at all.
    pub enabled: bool,
    /// The next run that is due; kept while it is disabled, but not shown.
    pub next_run: Timestamp,
    /// The id that the backup of the next run gets. It is known before, so that a run that a crash
    /// cut off between its backup and its end is recognised.
    pub next_backup_id: BackupId,
    /// When it was created; the series of its runs begins at the first 06:00 UTC after it.
    pub created_at: Timestamp,
}

impl BackupSchedule {
    /// Whether a run is due. That is also so when the next one is farther away than the one after
    /// the next can be: the clock was ahead when it was named, and would keep it from running.
    ///
    /// WHY not "than the next one": a clock that is set back a little, just after a run, would make
    /// that run a second time.
    #[must_use]
    pub fn is_due(&self, now: Timestamp) -> bool {
        let overdue = self.next_run <= now;
        self.enabled && (overdue || self.next_run > self.run_after(self.run_after(now)))
    }

    /// The run that follows `now`.
    #[must_use]
    pub fn run_after(&self, now: Timestamp) -> Timestamp {
        let far = Timestamp(i64::MAX);
        let (Some(created), Some(now)) = (moment(self.created_at), moment(now)) else {
            return far;
        };
        // A schedule that was made while the clock was ahead begins now.
        let Some(first) = first_run(created.min(now)) else { return far };
        let next = self.frequency.next(first, now);
        next.map_or(far, |run| Timestamp(run.timestamp_millis()))
    }

    /// The name of the backup that it takes at `now`: `{name}-{YYYYMMDDTHHMMSSZ}`.
    #[must_use]
    pub fn backup_name(&self, now: Timestamp) -> String {
        let time = moment(now).unwrap_or_default();
        format!("{}-{}", self.name, time.format("%Y%m%dT%H%M%SZ"))
    }

    /// When a backup taken at `now` is to be deleted.
    #[must_use]
    pub fn expiry(&self, now: Timestamp) -> Timestamp {
        Timestamp(now.0.saturating_add(DAY_MS * i64::from(self.expire_after_days)))
    }
}

fn moment(time: Timestamp) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_millis(time.0)
}

/// The first 06:00 UTC after a moment.
fn first_run(after: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let hour = NaiveTime::from_hms_opt(HOUR, 0, 0)?;
    let same_day = after.date_naive().and_time(hour).and_utc();
    if same_day > after { Some(same_day) } else { same_day.checked_add_days(Days::new(1)) }
}

#[cfg(test)]
mod tests {
    //! Goal: every schedule runs when its name says. Method: dates by hand, and the law that runs
    //! ascend and none is missed.
    use proptest::prelude::*;

    use super::*;

    fn schedule(frequency: Frequency, created: &str) -> BackupSchedule {
        let created_at = Timestamp::from_rfc3339(created).unwrap();
        let mut schedule = BackupSchedule {
            id: ScheduleId::from_uuid(uuid::Uuid::nil()),
            name: "nightly".to_owned(),
            index_id: IndexId::from_uuid(uuid::Uuid::nil()),
            frequency,
            expire_after_days: 7,
            enabled: true,
            next_run: Timestamp(0),
            next_backup_id: BackupId::from_uuid(uuid::Uuid::nil()),
            created_at,
        };
        schedule.next_run = schedule.run_after(created_at);
        schedule
    }

    fn runs(frequency: Frequency, created: &str, count: usize) -> Vec<String> {
        let schedule = schedule(frequency, created);
        let mut at = schedule.created_at;
        let next = || {
            at = schedule.run_after(at);
            at.rfc3339()[..10].to_owned()
        };
        std::iter::repeat_with(next).take(count).collect()
    }

    #[test]
    fn the_first_run_is_at_the_next_six_in_the_morning() {
        for frequency in [Frequency::Daily, Frequency::Weekly, Frequency::Monthly] {
            for (created, first) in [
                ("2026-01-30T05:59:59Z", "2026-01-30T06:00:00.000Z"),
                ("2026-01-30T06:00:00Z", "2026-01-31T06:00:00.000Z"),
                ("2026-12-31T23:00:00Z", "2027-01-01T06:00:00.000Z"),
            ] {
                assert_eq!(schedule(frequency, created).next_run.rfc3339(), first);
            }
        }
    }

    #[test]
    fn later_runs_follow_the_calendar() {
        let created = "2028-01-31T01:00:00Z";
        assert_eq!(runs(Frequency::Daily, created, 2), ["2028-01-31", "2028-02-01"]);
        assert_eq!(runs(Frequency::Weekly, created, 2), ["2028-01-31", "2028-02-07"]);
        let monthly = runs(Frequency::Monthly, created, 4);
        assert_eq!(monthly, ["2028-01-31", "2028-02-29", "2028-03-31", "2028-04-30"]);
    }

    #[test]
    fn after_a_long_absence_there_is_one_run_and_it_is_in_the_future() {
        let schedule = schedule(Frequency::Monthly, "2020-05-31T07:00:00Z");
        let now = Timestamp::from_rfc3339("2026-02-28T06:00:00Z").unwrap();
        let next = schedule.run_after(now);
        assert_eq!(next.rfc3339(), "2026-03-01T06:00:00.000Z");
    }

    #[test]
    fn backups_are_named_and_expire() {
        let schedule = schedule(Frequency::Daily, "2026-01-30T05:59:59Z");
        let now = Timestamp::from_rfc3339("2026-01-30T06:00:01Z").unwrap();
        assert_eq!(schedule.backup_name(now), "nightly-20260130T060001Z");
        assert_eq!(schedule.expiry(now).rfc3339(), "2026-02-06T06:00:01.000Z");
    }

    #[test]
    fn a_run_that_a_wrong_clock_named_does_not_silence_a_schedule() {
        let at = |text: &str| Timestamp::from_rfc3339(text).unwrap();
        let now = at("2026-01-30T12:00:00Z");
        for frequency in [Frequency::Daily, Frequency::Weekly, Frequency::Monthly] {
            let mut schedule = schedule(frequency, "2026-01-01T00:00:00Z");
            schedule.next_run = schedule.run_after(now);
            assert!(!schedule.is_due(now), "the next run is later");
            // The clock is set back by an hour, to just before the run that was just done.
            schedule.next_run = schedule.run_after(schedule.run_after(now));
            assert!(!schedule.is_due(now), "nothing runs twice");
            schedule.next_run = schedule.run_after(at("2039-01-01T00:00:00Z"));
            assert!(schedule.is_due(now), "2039 was a mistake");
            schedule.created_at = at("2039-01-01T00:00:00Z");
            assert!(schedule.is_due(now) && schedule.run_after(now) < at("2026-02-01T00:00:00Z"));
            schedule.enabled = false;
            assert!(!schedule.is_due(now));
        }
    }

    proptest! {
        #[test]
        fn runs_ascend_and_none_is_missed(
            created in 0_i64..4_000_000_000_000,
            later in 0_i64..40_000_000_000,
            which in 0_usize..3,
        ) {
            let frequency = [Frequency::Daily, Frequency::Weekly, Frequency::Monthly][which];
            let mut schedule = schedule(frequency, "2026-01-30T05:59:59Z");
            schedule.created_at = Timestamp(created);
            let now = Timestamp(created + later);
            let next = schedule.run_after(now);
            prop_assert!(next > now);
            // The run before it was due by now: there is none between.
            let longest = [1, 7, 31][which];
            prop_assert!(next.0 - now.0 <= longest * DAY_MS + DAY_MS);
            let mut at = Timestamp(created);
            while at <= now {
                at = schedule.run_after(at);
            }
            prop_assert_eq!(at, next);
        }
    }
}
