//! Backup schedules and what they did.

use lodgepole_types::{Backup, BackupSchedule, Index};
use serde::{Deserialize, Serialize};

use super::backups::BackupReply;
use crate::ApiVersion;
use crate::page::Pagination;

/// The only kind of schedule there is.
pub const TIME_BASED: &str = "time-based";

/// Create a schedule.
#[derive(Debug, Clone, Deserialize)]
pub struct CreateSchedule {
    /// Name; its backups are named after it.
    pub name: String,
    /// When it runs.
    pub schedule: ScheduleRequest,
    /// How long its backups are kept.
    pub retention: RetentionRequest,
}

/// When a schedule runs.
#[derive(Debug, Clone, Deserialize)]
pub struct ScheduleRequest {
    /// Always [`TIME_BASED`].
    #[serde(rename = "type")]
    pub kind: String,
    /// `daily`, `weekly` or `monthly`.
    pub frequency: String,
}

/// How long backups are kept.
#[derive(Debug, Clone, Deserialize)]
pub struct RetentionRequest {
    /// Days, at least 1.
    pub expire_after_days: i64,
}

/// Change a schedule; absent parts stay.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct UpdateSchedule {
    /// `daily`, `weekly` or `monthly`.
    pub frequency: Option<String>,
    /// How long its later backups are kept.
    pub retention: Option<RetentionRequest>,
    /// Whether it runs.
    pub enabled: Option<bool>,
}

/// A schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ScheduleReply {
    schedule_id: String,
    name: String,
    index_id: String,
    project_id: String,
    schedule_type: &'static str,
    frequency: &'static str,
    retention_expire_after_days: u32,
    enabled: bool,
    /// Null while it is disabled: clients read an absent one as a broken date.
    next_scheduled_run: Option<String>,
    created_at: String,
}

/// A page of schedules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ScheduleList {
    /// Newest first.
    pub data: Vec<ScheduleReply>,
    /// Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pagination: Option<Pagination>,
}

/// A backup that a schedule took, or the one that it takes next.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum HistoryItem {
    /// It was taken.
    Taken(Box<BackupReply>),
    /// It is due at some later time.
    Planned(Box<PlannedBackup>),
}

/// A backup to come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedBackup {
    backup_id: String,
    source_index_id: String,
    source_index_name: String,
    name: String,
    status: &'static str,
    cloud: String,
    region: String,
    created_at: String,
    scheduled_execution_at: String,
}

/// A page of what a schedule did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HistoryList {
    /// Newest first; the one to come is the first.
    pub data: Vec<HistoryItem>,
    /// Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pagination: Option<Pagination>,
}

impl ScheduleReply {
    /// Renders a schedule, in every version alike.
    #[must_use]
    pub fn of(schedule: &BackupSchedule, project_id: &str) -> Self {
        Self {
            schedule_id: schedule.id.to_string(),
            name: schedule.name.clone(),
            index_id: schedule.index_id.to_string(),
            project_id: project_id.to_owned(),
            schedule_type: TIME_BASED,
            frequency: schedule.frequency.as_str(),
            retention_expire_after_days: schedule.expire_after_days,
            enabled: schedule.enabled,
            next_scheduled_run: schedule.enabled.then(|| schedule.next_run.rfc3339()),
            created_at: schedule.created_at.rfc3339(),
        }
    }
}

impl HistoryItem {
    /// A backup that was taken.
    #[must_use]
    pub fn taken(backup: &Backup, version: ApiVersion) -> Self {
        Self::Taken(Box::new(BackupReply::of(backup, version)))
    }

    /// The next backup of an enabled schedule of this index.
    #[must_use]
    pub fn planned(schedule: &BackupSchedule, index: &Index) -> Self {
        let deployment = &index.config.deployment;
        Self::Planned(Box::new(PlannedBackup {
            backup_id: schedule.next_backup_id.to_string(),
            source_index_id: index.id.to_string(),
            source_index_name: index.config.name.to_string(),
            name: schedule.backup_name(schedule.next_run),
            status: "Scheduled",
            cloud: deployment.cloud().to_owned(),
            region: deployment.region().to_owned(),
            created_at: schedule.created_at.rfc3339(),
            scheduled_execution_at: schedule.next_run.rfc3339(),
        }))
    }
}
