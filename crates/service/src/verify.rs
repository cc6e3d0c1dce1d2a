//! Looking for damage in everything that the catalog knows: indexes, and backups as if they were
//! restored.
//!
//! INVARIANT: nothing that a user can see is changed. A backup is made into an index that no row
//! names, which is looked through and removed again; while it is there the reaper takes it for the
//! target of a restore. INVARIANT: one at a time, and not for nobody: each reads as fast as the disk
//! gives, so a second one is refused, and one whose caller has gone ends.

use std::future::Future;
use std::pin::{Pin, pin};

use lodgepole_api::ApiError;
use lodgepole_engine::{AuditDepth, AuditFinding, AuditReport, EngineError, ShardRef};
use lodgepole_types::{Backup, BackupStatus, ErrorKind, IndexId};

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
                // The causes name the file.
                problem: format!("cannot be opened: {}", lodgepole_types::causes(&error)),
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

/// What a stopped look ends with. Nobody is left to be told.
fn stopped() -> ApiError {
    ApiError::new(ErrorKind::Unavailable, "The verification was stopped.")
}

impl Service {
    /// Looks through all indexes and all complete backups, until `stop` completes. `progress` is told
    /// what comes next, and how many records of it were read.
    ///
    /// # Errors
    /// `FailedPrecondition` while another one is under way; `Unavailable` when it was stopped or the
    /// server shuts down. Damage is in the report.
    pub async fn verify(
        &self,
        depth: AuditDepth,
        progress: &(dyn Fn(&str, u64) + Send + Sync),
        stop: impl Future<Output = ()> + Send,
    ) -> Result<VerifyReport, ApiError> {
        let shared = &self.shared;
        let Ok(_turn) = shared.verify_turn.try_lock() else {
            let message = "Another verification is under way, and one is made at a time. Wait for \
                           its end.";
            return Err(ApiError::new(ErrorKind::FailedPrecondition, message));
        };
        let mut stop = pin!(stop);
        let mut report = VerifyReport::default();
        let contents = shared.catalog.contents();
        for index in contents.indexes() {
            let whose = format!("index \"{}\"", index.config.name);
            progress(&whose, 0);
            let told = |read| progress(&whose, read);
            let audit = tokio::select! {
                biased;
                audit = shared.engine.audit(shard_of(&index), depth, &told) => audit,
                () = &mut stop => return Err(stopped()),
            };
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
            let told = |read| progress(&whose, read);
            let audit = shared.audit_backup(&backup, depth, &told, stop.as_mut()).await;
            let Some(audit) = audit else { return Err(stopped()) };
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
        // A database that cannot be reached, or is fenced by what was lost, is a finding: others may be
        // in order.
        other => Ok(other),
    }
}

impl Shared {
    /// Looks through a copy of a backup; `None` when it was stopped. Costs no more disk than a restore
    /// does: some kilobytes, which are removed however it ends.
    async fn audit_backup(
        &self,
        backup: &Backup,
        depth: AuditDepth,
        progress: &(dyn Fn(u64) + Send + Sync),
        stop: Pin<&mut (impl Future<Output = ()> + Send)>,
    ) -> Option<Result<AuditReport, EngineError>> {
        let Some(pin) = backup.checkpoint else { return Some(Ok(AuditReport::default())) };
        let index = IndexId::random(self.rng.as_ref());
        let _guard = self.rowless.enter(index);
        if let Err(error) = self.engine.clone_index(index, backup.source_index_id, pin).await {
            return Some(Err(error));
        }
        let shard = ShardRef { index, dense: backup.source.dense };
        let audit = tokio::select! {
            biased;
            audit = self.engine.audit(shard, depth, progress) => Some(audit),
            () = stop => None,
        };
        if let Err(error) = self.engine.discard(index).await {
            tracing::warn!(%error, "the copy of a backup is removed later");
        }
        Some(audit?.map(|audit| counted(audit, backup, depth)))
    }
}

/// Compares what was found in a backup with what was noted when it was made.
fn counted(mut audit: AuditReport, backup: &Backup, depth: AuditDepth) -> AuditReport {
    if depth == AuditDepth::Deep && audit.records != backup.record_count {
        let (said, found) = (backup.record_count, audit.records);
        audit.findings.push(AuditFinding {
            subject: "the backup".to_owned(),
            problem: format!("{said} records when it was made, {found} now"),
            is_repaired: false,
        });
    }
    audit
}
