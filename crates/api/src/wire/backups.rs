//! Backups and restore jobs as each version shows them.
//!
//! Up to 2026-04 a backup names `dimension` (0 for a sparse index) and `metric`, from then on its
//! `schema`. Counts are absent until they are true.

use std::collections::BTreeMap;

use lodgepole_types::{Backup, BackupStatus, RestoreJob, RestoreStatus};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::capacity::ReadCapacityRequest;
use super::index_reply::tags;
use super::index_request::TagsRequest;
use super::schema_reply::SchemaReply;
use crate::ApiVersion;
use crate::page::Pagination;

/// Create a backup. Both parts are optional.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct CreateBackup {
    /// Name.
    pub name: Option<String>,
    /// Description.
    pub description: Option<String>,
}

/// Create an index from a backup.
#[derive(Debug, Clone, Deserialize)]
pub struct CreateIndexFromBackup {
    /// Name of the index to make.
    pub name: String,
    /// Its tags instead of the backup's; empty ones count as absent, as old clients send them so.
    pub tags: Option<TagsRequest>,
    /// `enabled` or `disabled`.
    pub deletion_protection: Option<String>,
    /// Read capacity.
    pub read_capacity: Option<ReadCapacityRequest>,
    /// Another cloud than the backup's; `unstable` only.
    pub cloud: Option<String>,
    /// Another region than the backup's; `unstable` only.
    pub region: Option<String>,
}

/// Answer to [`CreateIndexFromBackup`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CreateIndexFromBackupReply {
    /// The job to watch.
    pub restore_job_id: String,
    /// The index that was made.
    pub index_id: String,
}

/// A backup.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BackupReply {
    backup_id: String,
    source_index_name: String,
    source_index_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_index_deleted_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    status: &'static str,
    cloud: String,
    region: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimension: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metric: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    schema: Option<BackupSchema>,
    #[serde(skip_serializing_if = "Option::is_none")]
    record_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<BTreeMap<String, String>>,
    created_at: String,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
enum BackupSchema {
    Metadata(Value),
    Index(SchemaReply),
}

/// A page of backups.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BackupList {
    /// Newest first.
    pub data: Vec<BackupReply>,
    /// Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pagination: Option<Pagination>,
}

/// A restore job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RestoreJobReply {
    restore_job_id: String,
    backup_id: String,
    target_index_name: String,
    target_index_id: String,
    status: &'static str,
    created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    completed_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    percent_complete: Option<u8>,
}

/// A page of restore jobs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RestoreJobList {
    /// Newest first.
    pub data: Vec<RestoreJobReply>,
    /// Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pagination: Option<Pagination>,
}

impl BackupReply {
    /// Renders a backup in the dialect of `version`.
    #[must_use]
    pub fn of(backup: &Backup, version: ApiVersion) -> Self {
        let ready = backup.status == BackupStatus::Ready;
        let schema_style = version.schema_style();
        let source = &backup.source;
        let schema = if schema_style {
            Some(BackupSchema::Index(SchemaReply::of(source, version)))
        } else {
            let metadata = source.metadata_schema.clone();
            metadata.filter(|_| version.has_read_capacity()).map(BackupSchema::Metadata)
        };
        Self {
            backup_id: backup.id.to_string(),
            source_index_name: source.name.to_string(),
            source_index_id: backup.source_index_id.to_string(),
            source_index_deleted_at: backup
                .source_index_deleted_at
                .filter(|_| version >= ApiVersion::V2026_07)
                .map(|time| time.rfc3339()),
            name: backup.name.clone(),
            description: backup.description.clone(),
            status: status(backup.status, version),
            cloud: source.deployment.cloud().to_owned(),
            region: source.deployment.region().to_owned(),
            dimension: (!schema_style).then(|| source.dimension().unwrap_or(0)),
            metric: (!schema_style).then(|| source.metric().as_str()),
            schema,
            record_count: ready.then_some(backup.record_count),
            namespace_count: ready.then_some(backup.namespace_count),
            size_bytes: ready.then_some(backup.size_bytes),
            tags: tags(source),
            created_at: backup.created_at.rfc3339(),
        }
    }
}

/// From 2026-07 a failure has a longer name.
fn status(status: BackupStatus, version: ApiVersion) -> &'static str {
    match status {
        BackupStatus::Failed if version >= ApiVersion::V2026_07 => "InitializationFailed",
        BackupStatus::Initializing | BackupStatus::Ready | BackupStatus::Failed => status.as_str(),
    }
}

impl RestoreJobReply {
    /// Renders a restore job, in every version alike.
    #[must_use]
    pub fn of(job: &RestoreJob) -> Self {
        Self {
            restore_job_id: job.id.to_string(),
            backup_id: job.backup_id.to_string(),
            target_index_name: job.target_index_name.to_string(),
            target_index_id: job.target_index_id.to_string(),
            status: job.status.as_str(),
            created_at: job.created_at.rfc3339(),
            completed_at: job.completed_at.map(|time| time.rfc3339()),
            percent_complete: (job.status == RestoreStatus::Completed).then_some(100),
        }
    }
}

#[cfg(test)]
mod tests;
