//! What an operator wants to know about all that is stored, at one look: what has no backup, which
//! schedules and restores went wrong, whether keys protect it.
//!
//! It is made from the catalog alone, so it costs nothing, and can be asked at any time. WHY a failed
//! run is told from the time of the next one: no row says how the last run ended, but only after a
//! failure the next one is due before the calendar says so ([`crate::schedules`]).

use std::collections::BTreeSet;
use std::time::Duration;

use lodgepole_catalog::{Contents, KeyState};
use lodgepole_types::{
    Backup, BackupPurpose, BackupSchedule, BackupStatus, RestoreJob, RestoreStatus, Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::Service;

/// How long a restore that failed is told.
const FAILED_RESTORE_TOLD: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// How late a run may be: rounds are made every 20 seconds, and one may take long.
const RUN_DELAY_MAX: Duration = Duration::from_secs(600);

/// All that is stored, as an operator sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// Indexes, by name.
    pub indexes: Vec<IndexItem>,
    /// Schedules that run.
    pub schedules: u64,
    /// What is wrong with some of them.
    pub schedule_problems: Vec<ScheduleProblem>,
    /// Restores that failed in the last seven days, and were not made good since.
    pub failed_restores: Vec<FailedRestore>,
    /// Whether requests need a key.
    pub key_is_needed: bool,
    /// The newest time that any row holds; there is none in a new folder.
    pub newest_at: Option<Timestamp>,
}

/// An index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexItem {
    /// Its name.
    pub name: String,
    /// The port of its data plane.
    pub port: u16,
    /// When its newest complete backup was taken.
    pub last_backup_at: Option<Timestamp>,
}

/// What is wrong with a schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleProblem {
    /// The schedule.
    pub schedule: String,
    /// The index that it backs up.
    pub index: String,
    /// What is wrong.
    pub trouble: ScheduleTrouble,
    /// The run that is due next, or was.
    pub next_run: Timestamp,
}

/// What can be wrong with a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScheduleTrouble {
    /// The last run failed.
    Failed,
    /// The next run should have been made.
    Overdue,
}

/// A restore that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedRestore {
    /// The job.
    pub job: String,
    /// The index that it should have made.
    pub index: String,
    /// When it was asked for.
    pub created_at: Timestamp,
}

impl Service {
    /// What is stored at this moment.
    #[must_use]
    pub fn inventory(&self) -> Inventory {
        Inventory::of(&self.shared.catalog.contents(), self.shared.clock.now())
    }
}

impl Inventory {
    fn of(contents: &Contents, now: Timestamp) -> Self {
        let (indexes, backups) = (contents.indexes(), contents.backups());
        let mut items: Vec<_> = indexes
            .iter()
            .map(|index| IndexItem {
                name: index.config.name.to_string(),
                port: index.port,
                last_backup_at: contents
                    .backups_of(index.id)
                    .iter()
                    .filter(|backup| backup.status == BackupStatus::Ready)
                    .map(|backup| backup.created_at)
                    .max(),
            })
            .collect();
        items.sort_by(|a, b| a.name.cmp(&b.name));
        let mut schedules = 0;
        let mut schedule_problems = Vec::new();
        for index in &indexes {
            let of_index = contents.backups_of(index.id);
            for schedule in contents.schedules_of(index.id) {
                schedules += u64::from(schedule.enabled);
                if let Some(trouble) = trouble(&schedule, &of_index, now) {
                    schedule_problems.push(ScheduleProblem {
                        schedule: schedule.name.clone(),
                        index: index.config.name.to_string(),
                        trouble,
                        next_run: schedule.next_run,
                    });
                }
            }
        }
        let jobs = contents.restore_jobs();
        let times = indexes.iter().map(|index| index.created_at);
        let times = times.chain(backups.iter().map(|backup| backup.created_at));
        let times = times.chain(jobs.iter().map(|job| job.completed_at.unwrap_or(job.created_at)));
        Self {
            newest_at: times.max(),
            indexes: items,
            schedules,
            schedule_problems,
            failed_restores: failed_restores(&jobs, now),
            key_is_needed: contents.key_state() != KeyState::Never,
        }
    }
}

fn trouble(
    schedule: &BackupSchedule,
    backups: &[impl AsRef<Backup>],
    now: Timestamp,
) -> Option<ScheduleTrouble> {
    if !schedule.enabled {
        return None;
    }
    if now.since(schedule.next_run) > RUN_DELAY_MAX {
        return Some(ScheduleTrouble::Overdue);
    }
    let purpose = BackupPurpose::Schedule(schedule.id);
    let taken = backups.iter().map(AsRef::as_ref).filter(|backup| backup.purpose == purpose);
    let last = taken.max_by_key(|backup| backup.created_at);
    let failed = last.is_some_and(|backup| backup.status == BackupStatus::Failed);
    let is_retry = schedule.next_run > now && schedule.next_run < schedule.run_after(now);
    (failed || is_retry).then_some(ScheduleTrouble::Failed)
}

/// The failed jobs that are worth a look: recent, and the index was not made by a later one.
fn failed_restores(jobs: &[impl AsRef<RestoreJob>], now: Timestamp) -> Vec<FailedRestore> {
    let mut made_since = BTreeSet::new();
    let mut failed = Vec::new();
    // The newest come first.
    for job in jobs.iter().map(AsRef::as_ref) {
        match job.status {
            RestoreStatus::Completed => {
                made_since.insert(&job.target_index_name);
            }
            RestoreStatus::Failed
                if now.since(job.created_at) <= FAILED_RESTORE_TOLD
                    && !made_since.contains(&job.target_index_name) =>
            {
                failed.push(FailedRestore {
                    job: job.id.to_string(),
                    index: job.target_index_name.to_string(),
                    created_at: job.created_at,
                });
            }
            RestoreStatus::Failed | RestoreStatus::Pending => {}
        }
    }
    failed
}
