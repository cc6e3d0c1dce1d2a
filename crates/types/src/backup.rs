//! Backups and restore jobs as users see them.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{BackupId, IndexConfig, IndexId, IndexName, Lsn, RestoreJobId, ScheduleId, Timestamp};

/// The state of one index at one moment, kept until it is deleted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Backup {
    /// Its identity.
    pub id: BackupId,
    /// The index it was made of; it may be gone by now.
    pub source_index_id: IndexId,
    /// The configuration of that index at that moment.
    pub source: IndexConfig,
    /// Name given by the user. Free text before 2026-07, the rule of index names from then on.
    pub name: Option<String>,
    /// Description given by the user.
    pub description: Option<String>,
    /// How far it is.
    pub status: BackupStatus,
    /// When the call arrived.
    pub created_at: Timestamp,
    /// The last write it holds.
    pub lsn: Lsn,
    /// Records it holds, over all namespaces.
    pub record_count: u64,
    /// Namespaces it holds.
    pub namespace_count: u64,
    /// Bytes of ids, values and metadata of its records.
    pub size_bytes: u64,
    /// The pin on the source's database; absent until it is taken. The checkpoint's name is the id
    /// of the backup, so that a crash between the two leaves something that can be found.
    pub checkpoint: Option<Uuid>,
    /// Search segments that it needs. Sorted.
    pub segments: Vec<String>,
    /// When the source index was deleted, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_index_deleted_at: Option<Timestamp>,
    /// Why it was taken.
    #[serde(default, skip_serializing_if = "BackupPurpose::is_user")]
    pub purpose: BackupPurpose,
    /// When it is to be deleted, if it was taken by a schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// Why a backup was taken. It decides where users see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum BackupPurpose {
    /// A user asked for it.
    #[default]
    User,
    /// It is the content of a collection of this name; not listed among the backups.
    Collection(IndexName),
    /// The schedule of this id took it.
    Schedule(ScheduleId),
}

impl BackupPurpose {
    /// Whether a user asked for it, which a row does not say.
    fn is_user(&self) -> bool {
        *self == Self::User
    }
}

impl Backup {
    /// The collection whose content it is.
    #[must_use]
    pub fn collection(&self) -> Option<&IndexName> {
        match &self.purpose {
            BackupPurpose::Collection(name) => Some(name),
            BackupPurpose::User | BackupPurpose::Schedule(_) => None,
        }
    }
}

/// How far a backup is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum BackupStatus {
    /// The checkpoint is being taken.
    Initializing,
    /// It can be used.
    Ready,
    /// It was cut off by a crash; nothing is in it.
    Failed,
}

impl BackupStatus {
    /// The name in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Initializing => "Initializing",
            Self::Ready => "Ready",
            Self::Failed => "Failed",
        }
    }
}

/// The making of an index from a backup.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RestoreJob {
    /// Its identity.
    pub id: RestoreJobId,
    /// The backup it reads.
    pub backup_id: BackupId,
    /// The name of the index it makes.
    pub target_index_name: IndexName,
    /// The identity of the index it makes.
    pub target_index_id: IndexId,
    /// How far it is.
    pub status: RestoreStatus,
    /// When the call arrived.
    pub created_at: Timestamp,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
}

/// How far a restore job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RestoreStatus {
    /// The clone is being made.
    Pending,
    /// The index can be used.
    Completed,
    /// It was cut off; there is no index.
    Failed,
}

impl RestoreStatus {
    /// The name in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Completed => "Completed",
            Self::Failed => "Failed",
        }
    }
}
