//! Goal: rows written by this version are read for ever, and what cannot be read is refused.
//! Method: the exact text of one row of each kind, read and written; then broken ones.

use std::sync::Arc;

use lodgepole_types::{
    BackupPurpose, BackupStatus, DedicatedCapacity, DeletionProtection, Deployment, EmbedConfig,
    Limits, Lsn, PodSpec, ReadCapacity, RestoreStatus, ScheduleId, Tags,
};
use uuid::Uuid;

use super::*;

#[path = "fuzz.rs"]
mod fuzz;

use crate::testing::{at, backup_id, config, index_id, job_id, name};

const INDEX: &str = r#"{"id":"00000000-0000-0000-0000-000000000001","config":{"name":"a","dense":{"dimension":4,"metric":"cosine"},"deployment":{"serverless":{"cloud":"aws","region":"us-east-1"}},"read_capacity":"on_demand","deletion_protection":"disabled","tags":{}},"created_at":5,"port":5081}"#;

fn index() -> Index {
    Index {
        id: index_id(1),
        config: config("a"),
        created_at: at(5),
        port: 5081,
        source_backup_id: None,
        source_collection: None,
    }
}

fn full_index() -> Index {
    let tags = [("team".to_owned(), "search".to_owned())].into();
    let mut index = index();
    index.config.tags = Tags::parse(tags, &Limits::default()).unwrap();
    index.config.deletion_protection = DeletionProtection::Enabled;
    index.config.read_capacity = ReadCapacity::Dedicated(DedicatedCapacity {
        node_type: "b1".to_owned(),
        replicas: 2,
        shards: 1,
    });
    index.config.metadata_schema = Some(serde_json::json!({"fields": {"year": {}}}));
    index.source_backup_id = Some(backup_id(2));
    index
}

fn backup() -> Backup {
    Backup {
        id: backup_id(2),
        source_index_id: index_id(1),
        source: config("a"),
        name: Some("nightly".to_owned()),
        description: None,
        status: BackupStatus::Ready,
        created_at: at(6),
        lsn: Lsn(9),
        record_count: 10,
        namespace_count: 2,
        size_bytes: 300,
        checkpoint: Some(Uuid::from_u128(7)),
        segments: vec!["s1".to_owned()],
        source_index_deleted_at: Some(at(8)),
        purpose: BackupPurpose::User,
        expires_at: None,
    }
}

fn job() -> RestoreJob {
    RestoreJob {
        id: job_id(3),
        backup_id: backup_id(2),
        target_index_name: name("b"),
        target_index_id: index_id(4),
        status: RestoreStatus::Completed,
        created_at: at(9),
        completed_at: Some(at(10)),
    }
}

/// Key, value and meaning of one row of each kind as version 1 had it. Never change a line: add
/// lines.
fn golden() -> Vec<(&'static str, String, Row)> {
    let hidden = HiddenIndex { index: index(), deleted_at: at(8) };
    vec![
        (
            "meta",
            r#"{"v":1,"row":{"format":1,"created_at":4}}"#.to_owned(),
            Row::Meta(Meta { format: 1, created_at: at(4) }),
        ),
        (
            "index/00000000-0000-0000-0000-000000000001",
            format!(r#"{{"v":1,"row":{INDEX}}}"#),
            Row::Index(Arc::new(index())),
        ),
        (
            "index/00000000-0000-0000-0000-000000000001",
            r#"{"v":1,"row":{"id":"00000000-0000-0000-0000-000000000001","config":{"name":"a","dense":{"dimension":4,"metric":"cosine"},"deployment":{"serverless":{"cloud":"aws","region":"us-east-1"}},"read_capacity":{"dedicated":{"node_type":"b1","replicas":2,"shards":1}},"deletion_protection":"enabled","tags":{"team":"search"},"metadata_schema":{"fields":{"year":{}}}},"created_at":5,"port":5081,"source_backup_id":"00000000-0000-0000-0000-000000000002"}}"#.to_owned(),
            Row::Index(Arc::new(full_index())),
        ),
        (
            "hidden/00000000-0000-0000-0000-000000000001",
            format!(r#"{{"v":1,"row":{{"index":{INDEX},"deleted_at":8}}}}"#),
            Row::Hidden(Arc::new(hidden)),
        ),
        (
            "backup/00000000-0000-0000-0000-000000000002",
            r#"{"v":1,"row":{"id":"00000000-0000-0000-0000-000000000002","source_index_id":"00000000-0000-0000-0000-000000000001","source":{"name":"a","dense":{"dimension":4,"metric":"cosine"},"deployment":{"serverless":{"cloud":"aws","region":"us-east-1"}},"read_capacity":"on_demand","deletion_protection":"disabled","tags":{}},"name":"nightly","description":null,"status":"Ready","created_at":6,"lsn":9,"record_count":10,"namespace_count":2,"size_bytes":300,"checkpoint":"00000000-0000-0000-0000-000000000007","segments":["s1"],"source_index_deleted_at":8}}"#.to_owned(),
            Row::Backup(Arc::new(backup())),
        ),
        (
            "restore_job/00000000-0000-0000-0000-000000000003",
            r#"{"v":1,"row":{"id":"00000000-0000-0000-0000-000000000003","backup_id":"00000000-0000-0000-0000-000000000002","target_index_name":"b","target_index_id":"00000000-0000-0000-0000-000000000004","status":"Completed","created_at":9,"completed_at":10}}"#.to_owned(),
            Row::RestoreJob(Arc::new(job())),
        ),
        (
            "port/a",
            r#"{"v":1,"row":{"port":5081}}"#.to_owned(),
            Row::Port(name("a"), PortRow { port: 5081, freed: None }),
        ),
        (
            "port/b-2",
            r#"{"v":1,"row":{"port":5082,"freed":3}}"#.to_owned(),
            Row::Port(name("b-2"), PortRow { port: 5082, freed: Some(3) }),
        ),
        (
            "key/abcdefgh",
            r#"{"v":1,"row":{"id":"abcdefgh","name":"ci","role":"DataPlaneViewer","hash":"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f","created_at":5}}"#.to_owned(),
            Row::Key(Arc::new(serde_json::from_str(r#"{"id":"abcdefgh","name":"ci","role":"DataPlaneViewer","hash":"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f","created_at":5}"#).unwrap())),
        ),
    ]
}

#[test]
fn rows_of_version_1_are_read_and_written_byte_for_byte_in_the_newest() {
    for (key, value, row) in golden() {
        assert_eq!(Row::decode(key.as_bytes(), value.as_bytes()).unwrap(), row, "{key}");
        assert_eq!(row.key().encode(), key.as_bytes());
        let newest = value.replacen(r#"{"v":1,"#, r#"{"v":2,"#, 1);
        assert_eq!(String::from_utf8(row.encode().unwrap()).unwrap(), newest);
    }
}

/// An index with everything that version 2 added.
fn newer_index() -> Index {
    let mut index = index();
    index.config.dense = None;
    index.config.deployment = Deployment::Pod(PodSpec {
        environment: "us-east1-gcp".to_owned(),
        pod_type: "p1.x2".to_owned(),
        replicas: 2,
        shards: 3,
        pods: 6,
        metadata_config: Some(serde_json::json!({"indexed": ["year"]})),
    });
    index.config.embed = Some(EmbedConfig {
        model: "m".to_owned(),
        field_map: [("text".to_owned(), "body".to_owned())].into(),
        read_parameters: Some(serde_json::json!({"truncate": "END"})),
        write_parameters: None,
    });
    index.config.cmek_id = Some("k".to_owned());
    index.source_collection = Some(name("c"));
    index
}

/// As [`golden`], of what version 2 added.
fn golden_of_version_2() -> Vec<(&'static str, &'static str, Row)> {
    let mut byoc = index();
    byoc.config.deployment = Deployment::Byoc { environment: "mine".to_owned() };
    let mut collection = backup();
    collection.name = None;
    collection.purpose = BackupPurpose::Collection(name("c"));
    let mut scheduled = backup();
    scheduled.purpose = BackupPurpose::Schedule(ScheduleId::from_uuid(Uuid::from_u128(5)));
    scheduled.expires_at = Some(at(99));
    vec![
        (
            "index/00000000-0000-0000-0000-000000000001",
            r#"{"v":2,"row":{"id":"00000000-0000-0000-0000-000000000001","config":{"name":"a","deployment":{"pod":{"environment":"us-east1-gcp","pod_type":"p1.x2","replicas":2,"shards":3,"pods":6,"metadata_config":{"indexed":["year"]}}},"read_capacity":"on_demand","deletion_protection":"disabled","tags":{},"embed":{"model":"m","field_map":{"text":"body"},"read_parameters":{"truncate":"END"}},"cmek_id":"k"},"created_at":5,"port":5081,"source_collection":"c"}}"#,
            Row::Index(Arc::new(newer_index())),
        ),
        (
            "index/00000000-0000-0000-0000-000000000001",
            r#"{"v":2,"row":{"id":"00000000-0000-0000-0000-000000000001","config":{"name":"a","dense":{"dimension":4,"metric":"cosine"},"deployment":{"byoc":{"environment":"mine"}},"read_capacity":"on_demand","deletion_protection":"disabled","tags":{}},"created_at":5,"port":5081}}"#,
            Row::Index(Arc::new(byoc)),
        ),
        (
            "backup/00000000-0000-0000-0000-000000000002",
            r#"{"v":2,"row":{"id":"00000000-0000-0000-0000-000000000002","source_index_id":"00000000-0000-0000-0000-000000000001","source":{"name":"a","dense":{"dimension":4,"metric":"cosine"},"deployment":{"serverless":{"cloud":"aws","region":"us-east-1"}},"read_capacity":"on_demand","deletion_protection":"disabled","tags":{}},"name":null,"description":null,"status":"Ready","created_at":6,"lsn":9,"record_count":10,"namespace_count":2,"size_bytes":300,"checkpoint":"00000000-0000-0000-0000-000000000007","segments":["s1"],"source_index_deleted_at":8,"purpose":{"collection":"c"}}}"#,
            Row::Backup(Arc::new(collection)),
        ),
        (
            "backup/00000000-0000-0000-0000-000000000002",
            r#"{"v":2,"row":{"id":"00000000-0000-0000-0000-000000000002","source_index_id":"00000000-0000-0000-0000-000000000001","source":{"name":"a","dense":{"dimension":4,"metric":"cosine"},"deployment":{"serverless":{"cloud":"aws","region":"us-east-1"}},"read_capacity":"on_demand","deletion_protection":"disabled","tags":{}},"name":"nightly","description":null,"status":"Ready","created_at":6,"lsn":9,"record_count":10,"namespace_count":2,"size_bytes":300,"checkpoint":"00000000-0000-0000-0000-000000000007","segments":["s1"],"source_index_deleted_at":8,"purpose":{"schedule":"00000000-0000-0000-0000-000000000005"},"expires_at":99}}"#,
            Row::Backup(Arc::new(scheduled)),
        ),
    ]
}

#[test]
fn rows_of_version_2_are_read_and_written_byte_for_byte() {
    for (key, value, row) in golden_of_version_2() {
        assert_eq!(Row::decode(key.as_bytes(), value.as_bytes()).unwrap(), row, "{key}");
        assert_eq!(String::from_utf8(row.encode().unwrap()).unwrap(), value);
    }
}

#[test]
fn a_row_of_a_newer_version_is_refused_whatever_is_in_it() {
    for value in [r#"{"v":3,"row":{"port":1}}"#, r#"{"shape":[],"v":3}"#] {
        let error = Row::decode(b"port/a", value.as_bytes()).unwrap_err();
        assert!(
            matches!(&error, CatalogError::TooNew { what, found: 3, known: 2 } if what == "port/a"),
            "{error}"
        );
        assert!(error.to_string().contains("newer version of Lodgepole"), "{error}");
    }
}

#[test]
fn rows_that_make_no_sense_are_damage() {
    let port = r#"{"v":1,"row":{"port":1}}"#;
    let id = "00000000-0000-0000-0000-000000000001";
    let upper = format!("index/{}", "ABCDEF00-0000-0000-0000-000000000001");
    let other = "index/00000000-0000-0000-0000-000000000009".to_owned();
    let index = format!(r#"{{"v":1,"row":{INDEX}}}"#);
    for (key, value) in [
        ("port/a".to_owned(), "not JSON"),
        ("port/a".to_owned(), r#"{"row":{"port":1}}"#),
        ("port/a".to_owned(), r#"{"v":0,"row":{"port":1}}"#),
        ("port/a".to_owned(), r#"{"v":1,"row":{}}"#),
        ("port/a".to_owned(), r#"{"v":1,"row":{"port":70000}}"#),
        ("port/NO".to_owned(), port),
        ("ports".to_owned(), port),
        (format!("thing/{id}"), port),
        ("index/1".to_owned(), &index),
        (upper, &index),
        (other, &index),
    ] {
        let error = Row::decode(key.as_bytes(), value.as_bytes()).unwrap_err();
        assert!(matches!(error, CatalogError::Damaged(_)), "{key} {value}: {error}");
    }
}

#[test]
fn mutated_rows_are_refused_or_read_as_themselves() {
    fuzz::check(golden().into_iter().map(|(key, value, _)| (key.to_owned(), value)));
}
