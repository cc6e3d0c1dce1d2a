//! Looking for damage in everything that the catalog knows: indexes, and backups as if they were
//! restored.
//!
//! INVARIANT: nothing that a user can see is changed. A backup is made into an index that no row
//! names, which is looked through and removed again; while it is there the reaper takes it for the
//! target of a restore.

use lodgepole_api::ApiError;
use lodgepole_engine::{AuditDepth, AuditFinding, AuditReport, EngineError, ShardRef};
use lodgepole_types::{Backup, BackupStatus, Classify as _, ErrorKind, IndexId};

use crate::service::{Service, Shared, shard_of};

/// What was looked at, and found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Indexes.
    pub indexes: u64,
    /// Backups, those of collections included.
    pub backups: u64,
    /// Namespaces of both.
    pub namespaces: u64,
    /// Records of both.
    pub records: u64,
    /// Segments of both, as often as they are used.
    pub segments: u64,
    /// What is wrong, by the index or backup that it is in.
    pub findings: Vec<(String, AuditFinding)>,
    /// Findings left out.
    pub more_findings: u64,
}

impl VerifyReport {
    fn add(&mut self, whose: &str, audit: Result<AuditReport, EngineError>) {
        let audit = audit.unwrap_or_else(|error| AuditReport {
            findings: vec![AuditFinding {
                subject: "its database".to_owned(),
                problem: format!("cannot be opened: {error}"),
                is_repaired: false,
            }],
            ..AuditReport::default()
        });
        self.namespaces += audit.namespaces;
        self.records += audit.records;
        self.segments += audit.segments;
        self.more_findings += audit.more_findings;
        self.findings.extend(audit.findings.into_iter().map(|finding| (whose.to_owned(), finding)));
    }
}

impl Service {
    /// Looks through all indexes and all complete backups. `progress` is told what comes next, and how
    /// many records of it were read.
    ///
    /// # Errors
    /// `Unavailable` when the server shuts down; damage is in the report.
    pub async fn verify(
        &self,
        depth: AuditDepth,
        progress: &(dyn Fn(&str, u64) + Send + Sync),
    ) -> Result<VerifyReport, ApiError> {
        let shared = &self.shared;
        let mut report = VerifyReport::default();
        let contents = shared.catalog.contents();
        for index in contents.indexes() {
            let whose = format!("index \"{}\"", index.config.name);
            progress(&whose, 0);
            let told = |read| progress(&whose, read);
            let audit = shared.engine.audit(shard_of(&index), depth, &told).await;
            // Deleted meanwhile: there is nothing to find.
            if audit.is_err() && self.index_is_gone(index.id) {
                continue;
            }
            report.indexes += 1;
            report.add(&whose, checked(audit)?);
        }
        for backup in contents.backups() {
            if backup.status != BackupStatus::Ready {
                continue;
            }
            let whose = format!("backup {} of index \"{}\"", backup.id, backup.source.name);
            progress(&whose, 0);
            let audit = shared.audit_backup(&backup, depth, &|read| progress(&whose, read)).await;
            if audit.is_err() && shared.catalog.contents().backup(backup.id).is_none() {
                continue;
            }
            report.backups += 1;
            report.add(&whose, checked(audit)?);
        }
        Ok(report)
    }

    fn index_is_gone(&self, id: IndexId) -> bool {
        self.shared.catalog.contents().index_by_id(id).is_none()
    }
}

/// Sorts out what says nothing about the data.
fn checked(
    audit: Result<AuditReport, EngineError>,
) -> Result<Result<AuditReport, EngineError>, ApiError> {
    match audit {
        Err(error @ EngineError::ShuttingDown) => Err(error.into()),
        Err(error) if error.kind() == ErrorKind::Unavailable => Err(error.into()),
        other => Ok(other),
    }
}

impl Shared {
    /// Looks through a copy of a backup. Costs no more disk than a restore does: some kilobytes.
    async fn audit_backup(
        &self,
        backup: &Backup,
        depth: AuditDepth,
        progress: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<AuditReport, EngineError> {
        let Some(pin) = backup.checkpoint else { return Ok(AuditReport::default()) };
        let index = IndexId::random(self.rng.as_ref());
        let _guard = self.rowless.enter(index);
        self.engine.clone_index(index, backup.source_index_id, pin).await?;
        let shard = ShardRef { index, dense: backup.source.dense };
        let audit = self.engine.audit(shard, depth, progress).await;
        if let Err(error) = self.engine.discard(index).await {
            tracing::warn!(%error, "the copy of a backup is removed later");
        }
        let mut audit = audit?;
        if depth == AuditDepth::Deep && audit.records != backup.record_count {
            let (said, found) = (backup.record_count, audit.records);
            audit.findings.push(AuditFinding {
                subject: "the backup".to_owned(),
                problem: format!("{said} records when it was made, {found} now"),
                is_repaired: false,
            });
        }
        Ok(audit)
    }
}
