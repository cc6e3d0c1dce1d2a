//! Goal: bodies of real clients are read and bad ones refused. Method: JSON literals.

use lodgepole_types::{DenseField, Metric};
use serde_json::json;

use super::*;

fn restore(body: &str) -> Result<NewIndexFromBackup, ApiError> {
    restore_at(body, ApiVersion::V2025_10)
}

fn restore_at(body: &str, version: ApiVersion) -> Result<NewIndexFromBackup, ApiError> {
    create_index_from_backup(body.as_bytes(), version, &Rules::default())
}

fn create(body: &str, version: ApiVersion) -> Result<NewBackup, ApiError> {
    create_backup(body.as_bytes(), version, &Limits::default())
}

fn source() -> IndexConfig {
    let tags = [("a".to_owned(), "1".to_owned())].into();
    IndexConfig {
        name: IndexName::parse("movies").unwrap(),
        dense: Some(DenseField { dimension: 8, metric: Metric::Euclidean }),
        deployment: Deployment::Serverless {
            cloud: "aws".to_owned(),
            region: "us-east-1".to_owned(),
        },
        read_capacity: ReadCapacity::OnDemand,
        deletion_protection: DeletionProtection::Enabled,
        tags: Tags::parse(tags, &Limits::default()).unwrap(),
        metadata_schema: Some(json!({"fields": {}})),
        embed: None,
        cmek_id: None,
    }
}

#[test]
fn name_and_description_are_optional() {
    for body in ["", " ", "{}", r#"{"name":null}"#, r#"{"name":""}"#] {
        let wanted = NewBackup { name: None, description: None };
        assert_eq!(create(body, ApiVersion::V2026_07).unwrap(), wanted, "{body}");
    }
    let backup = create(r#"{"name":"nightly","description":"d"}"#, ApiVersion::V2026_07).unwrap();
    assert_eq!(backup.name.as_deref(), Some("nightly"));
    assert_eq!(backup.description.as_deref(), Some("d"));
}

#[test]
fn names_have_a_rule_from_2026_07_and_texts_have_limits() {
    let status = |body: &str, version| create(body, version).unwrap_err().kind().http_status();
    assert_eq!(status(r#"{"name":"My backup"}"#, ApiVersion::V2026_07), 400);
    let old = create(r#"{"name":"My backup"}"#, ApiVersion::V2026_04).unwrap();
    assert_eq!(old.name.as_deref(), Some("My backup"));
    assert_eq!(status(r#"{"name":1}"#, ApiVersion::V2026_07), 422);
    let long = json!({"name": "n".repeat(513)}).to_string();
    assert_eq!(status(&long, ApiVersion::V2025_04), 400);
    let long = json!({"description": "d".repeat(4_097)}).to_string();
    assert_eq!(status(&long, ApiVersion::V2025_04), 400);
}

#[test]
fn what_is_not_said_comes_from_the_backup_except_protection() {
    // The second body is what Python 7 and 8 send.
    for body in
        [r#"{"name":"copy"}"#, r#"{"name":"copy","deletion_protection":"disabled","tags":{}}"#]
    {
        let config = restore(body).unwrap().over(&source());
        let wanted = IndexConfig {
            name: IndexName::parse("copy").unwrap(),
            deletion_protection: DeletionProtection::Disabled,
            ..source()
        };
        assert_eq!(config, wanted);
    }
}

#[test]
fn what_is_said_replaces() {
    let body = r#"{"name":"copy","tags":{"b":"2"},"deletion_protection":"enabled",
        "read_capacity":{"mode":"Dedicated","dedicated":{"node_type":"b1","scaling":"Manual",
        "manual":{"shards":1,"replicas":1}}}}"#;
    let config = restore(body).unwrap().over(&source());
    assert_eq!(config.tags.as_map().keys().collect::<Vec<_>>(), ["b"]);
    assert_eq!(config.deletion_protection, DeletionProtection::Enabled);
    assert!(matches!(config.read_capacity, ReadCapacity::Dedicated(_)));
}

#[test]
fn bad_bodies_have_their_status() {
    for (body, status) in [
        ("", 422),
        ("{}", 422),
        (r#"{"name":7}"#, 422),
        (r#"{"name":"Copy"}"#, 400),
        (r#"{"name":"copy","tags":{"a b":"c"}}"#, 400),
        (r#"{"name":"copy","deletion_protection":"yes"}"#, 400),
        (r#"{"name":"copy","read_capacity":{"mode":"Fast"}}"#, 400),
    ] {
        assert_eq!(restore(body).unwrap_err().kind().http_status(), status, "{body}");
    }
}

#[test]
fn a_restored_index_in_the_own_cloud_reads_from_one_node() {
    let deployment = Deployment::Byoc { environment: "mine".to_owned() };
    let source = IndexConfig { deployment, ..source() };
    let config = restore(r#"{"name":"copy"}"#).unwrap().over(&source);
    let node = DedicatedCapacity { node_type: "b1".to_owned(), replicas: 1, shards: 1 };
    assert_eq!(config.read_capacity, ReadCapacity::Dedicated(node));
    assert_eq!(config.deployment, source.deployment);
}

#[test]
fn another_region_is_for_the_unstable_version() {
    let body = r#"{"name":"copy","cloud":"gcp","region":"us-central1"}"#;
    let region = |version| restore_at(body, version).unwrap().over(&source()).deployment;
    assert_eq!(region(ApiVersion::Unstable).region(), "us-central1");
    assert_eq!(region(ApiVersion::V2026_07).region(), "us-east-1");
    let unknown = restore_at(&body.replace("us-central1", "mars"), ApiVersion::Unstable);
    assert_eq!(unknown.unwrap_err().kind().http_status(), 404);
    let half = restore_at(r#"{"name":"copy","region":"us-east-1"}"#, ApiVersion::Unstable);
    assert_eq!(half.unwrap_err().kind().http_status(), 400);
}
