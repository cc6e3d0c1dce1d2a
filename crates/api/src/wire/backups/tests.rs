//! Goal: each version shows backups and jobs as its clients read them. Method: literals.

use lodgepole_types::{
    BackupId, BackupPurpose, DeletionProtection, DenseField, Deployment, IndexConfig, IndexId,
    IndexName, Lsn, Metric, ReadCapacity, RestoreJobId, SeededRng, Tags, Timestamp,
};
use serde_json::json;

use super::*;

fn backup(status: BackupStatus) -> Backup {
    let rng = SeededRng::new(1);
    Backup {
        id: BackupId::random(&rng),
        source_index_id: IndexId::random(&rng),
        source: IndexConfig {
            name: IndexName::parse("movies").unwrap(),
            dense: Some(DenseField { dimension: 3, metric: Metric::DotProduct }),
            deployment: Deployment::Serverless {
                cloud: "gcp".to_owned(),
                region: "us-central1".to_owned(),
            },
            read_capacity: ReadCapacity::OnDemand,
            deletion_protection: DeletionProtection::Disabled,
            tags: Tags::default(),
            metadata_schema: Some(json!({"fields": {"genre": {"filterable": true}}})),
            embed: None,
            cmek_id: None,
        },
        name: Some("nightly".to_owned()),
        description: Some("before the change".to_owned()),
        status,
        created_at: Timestamp(1_700_000_000_123),
        lsn: Lsn(9),
        record_count: 120,
        namespace_count: 2,
        size_bytes: 4_096,
        checkpoint: None,
        segments: Vec::new(),
        source_index_deleted_at: Some(Timestamp(1_700_000_001_000)),
        purpose: BackupPurpose::User,
        expires_at: None,
    }
}

/// The reply with the random ids replaced.
fn print(backup: &Backup, version: ApiVersion) -> String {
    let text = serde_json::to_string(&BackupReply::of(backup, version)).unwrap();
    text.replace(&backup.id.to_string(), "B").replace(&backup.source_index_id.to_string(), "I")
}

const CLASSIC: &str = r#"{"backup_id":"B","source_index_name":"movies","source_index_id":"I","name":"nightly","description":"before the change","status":"Ready","cloud":"gcp","region":"us-central1","dimension":3,"metric":"dotproduct","record_count":120,"namespace_count":2,"size_bytes":4096,"created_at":"2023-11-14T22:13:20.123Z"}"#;

const SCHEMA: &str = r#"{"backup_id":"B","source_index_name":"movies","source_index_id":"I","source_index_deleted_at":"2023-11-14T22:13:21.000Z","name":"nightly","description":"before the change","status":"Ready","cloud":"gcp","region":"us-central1","schema":{"fields":{"_sparse_values":{"type":"sparse_vector"},"_values":{"dimension":3,"metric":"dotproduct","type":"dense_vector"},"genre":{"filterable":true}}},"record_count":120,"namespace_count":2,"size_bytes":4096,"created_at":"2023-11-14T22:13:20.123Z"}"#;

#[test]
fn a_finished_backup_in_both_dialects() {
    let backup = backup(BackupStatus::Ready);
    assert_eq!(print(&backup, ApiVersion::V2025_04), CLASSIC);
    let with_schema = CLASSIC.replace(
        r#""record_count""#,
        r#""schema":{"fields":{"genre":{"filterable":true}}},"record_count""#,
    );
    assert_eq!(print(&backup, ApiVersion::V2025_10), with_schema);
    assert_eq!(print(&backup, ApiVersion::V2026_04), with_schema);
    assert_eq!(print(&backup, ApiVersion::V2026_07), SCHEMA);
    let alpha = print(&backup, ApiVersion::V2026_01Alpha);
    assert!(alpha.contains(r#""schema":{"fields":{"_values":{"#), "{alpha}");
    assert!(!alpha.contains("deleted_at") && !alpha.contains("genre"), "{alpha}");
}

#[test]
fn counts_are_absent_until_they_are_true_and_nothing_is_null() {
    let mut backup = backup(BackupStatus::Initializing);
    backup.name = None;
    backup.description = None;
    backup.source.metadata_schema = None;
    for version in ApiVersion::ALL {
        let text = print(&backup, version);
        assert!(!text.contains("count") && !text.contains("size_bytes"), "{text}");
        assert!(text.contains(r#""status":"Initializing""#) && !text.contains("null"), "{text}");
    }
}

#[test]
fn a_sparse_index_has_dimension_0_in_backups() {
    let mut backup = backup(BackupStatus::Ready);
    backup.source.dense = None;
    assert!(
        print(&backup, ApiVersion::V2025_10).contains(r#""dimension":0,"metric":"dotproduct""#)
    );
    assert!(!print(&backup, ApiVersion::V2026_07).contains("dimension"));
}

#[test]
fn a_failure_has_the_name_of_its_version() {
    let backup = backup(BackupStatus::Failed);
    for (version, status) in [
        (ApiVersion::V2025_04, "Failed"),
        (ApiVersion::V2026_01Alpha, "Failed"),
        (ApiVersion::V2026_07, "InitializationFailed"),
    ] {
        assert!(print(&backup, version).contains(&format!(r#""status":"{status}""#)));
    }
}

#[test]
fn restore_jobs() {
    let rng = SeededRng::new(1);
    let mut job = RestoreJob {
        id: RestoreJobId::random(&rng),
        backup_id: BackupId::random(&rng),
        target_index_name: IndexName::parse("copy").unwrap(),
        target_index_id: IndexId::random(&rng),
        status: RestoreStatus::Completed,
        created_at: Timestamp(1_700_000_000_123),
        completed_at: Some(Timestamp(1_700_000_000_130)),
    };
    let print = |job: &RestoreJob| {
        let text = serde_json::to_string(&RestoreJobReply::of(job)).unwrap();
        text.replace(&job.id.to_string(), "J")
            .replace(&job.backup_id.to_string(), "B")
            .replace(&job.target_index_id.to_string(), "I")
    };
    assert_eq!(
        print(&job),
        r#"{"restore_job_id":"J","backup_id":"B","target_index_name":"copy","target_index_id":"I","status":"Completed","created_at":"2023-11-14T22:13:20.123Z","completed_at":"2023-11-14T22:13:20.130Z","percent_complete":100}"#
    );
    (job.status, job.completed_at) = (RestoreStatus::Pending, None);
    assert!(
        print(&job).ends_with(r#""status":"Pending","created_at":"2023-11-14T22:13:20.123Z"}"#)
    );
}

#[test]
fn the_last_page_has_no_token() {
    let list = |pagination| RestoreJobList { data: Vec::new(), pagination };
    assert_eq!(serde_json::to_string(&list(None)).unwrap(), r#"{"data":[]}"#);
    let next = Pagination { next: "t".to_owned() };
    assert_eq!(
        serde_json::to_string(&list(Some(next))).unwrap(),
        r#"{"data":[],"pagination":{"next":"t"}}"#
    );
}
