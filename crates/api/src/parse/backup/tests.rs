//! Goal: bodies of real clients are read and bad ones refused. Method: JSON literals.

use lodgepole_types::{DenseField, Deployment, Limits, Metric};
use serde_json::json;

use super::*;

fn restore(body: &str) -> Result<NewIndexFromBackup, ApiError> {
    create_index_from_backup(body.as_bytes(), &Rules::default())
}

fn source() -> IndexConfig {
    let tags = [("a".to_owned(), "1".to_owned())].into();
    IndexConfig {
        name: IndexName::parse("movies").unwrap(),
        dense: DenseField { dimension: 8, metric: Metric::Euclidean },
        deployment: Deployment::Serverless {
            cloud: "aws".to_owned(),
            region: "us-east-1".to_owned(),
        },
        read_capacity: ReadCapacity::OnDemand,
        deletion_protection: DeletionProtection::Enabled,
        tags: Tags::parse(tags, &Limits::default()).unwrap(),
        metadata_schema: Some(json!({"fields": {}})),
    }
}

#[test]
fn name_and_description_are_optional() {
    for body in ["", " ", "{}", r#"{"name":null}"#, r#"{"name":""}"#] {
        let wanted = NewBackup { name: None, description: None };
        assert_eq!(create_backup(body.as_bytes()).unwrap(), wanted, "{body}");
    }
    let backup = create_backup(br#"{"name":"nightly","description":"d"}"#).unwrap();
    assert_eq!(backup.name.unwrap().as_str(), "nightly");
    assert_eq!(backup.description.as_deref(), Some("d"));
    assert_eq!(create_backup(br#"{"name":"No"}"#).unwrap_err().kind().http_status(), 400);
    assert_eq!(create_backup(br#"{"name":1}"#).unwrap_err().kind().http_status(), 422);
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
