//! Goal: a change touches what it names and nothing else. Method: lay changes over one index.

use lodgepole_types::{
    DedicatedCapacity, DenseField, Deployment, IndexName, Limits, Metric, ReadCapacity, Tags,
};
use serde_json::{Value, json};

use super::*;

fn config() -> IndexConfig {
    let tags = [("a", "1"), ("b", "2")].map(|(key, value)| (key.to_owned(), value.to_owned()));
    IndexConfig {
        name: IndexName::parse("movies").unwrap(),
        dense: DenseField { dimension: 8, metric: Metric::Cosine },
        deployment: Deployment::Serverless {
            cloud: "aws".to_owned(),
            region: "us-east-1".to_owned(),
        },
        read_capacity: ReadCapacity::OnDemand,
        deletion_protection: DeletionProtection::Disabled,
        tags: Tags::parse(tags.into(), &Limits::default()).unwrap(),
        metadata_schema: None,
    }
}

fn apply(body: &Value) -> Result<IndexConfig, ApiError> {
    let mut config = config();
    let before = config.clone();
    let change = configure_index(body.to_string().as_bytes())?;
    change.apply(&mut config, &Rules::default()).inspect_err(|_| assert_eq!(config, before))?;
    Ok(config)
}

#[test]
fn tags_are_merged_and_removed() {
    let config = apply(&json!({"tags": {"a": "", "b": null, "c": "3"}})).unwrap();
    assert_eq!(config.tags.as_map().iter().collect::<Vec<_>>(), [(&"c".into(), &"3".into())]);
}

#[test]
fn an_empty_change_changes_nothing() {
    assert_eq!(apply(&json!({})).unwrap(), config());
    assert_eq!(apply(&json!({"tags": null, "spec": null, "other": 1})).unwrap(), config());
}

#[test]
fn capacity_is_read_in_both_dialects() {
    let capacity = json!({"mode": "Dedicated", "dedicated": {
        "node_type": "b1", "scaling": "Manual", "manual": {"shards": 2, "replicas": 1}}});
    let wanted = DedicatedCapacity { node_type: "b1".to_owned(), replicas: 1, shards: 2 };
    for body in [
        json!({"read_capacity": capacity, "deletion_protection": "enabled"}),
        json!({"spec": {"serverless": {"read_capacity": capacity}},
            "deletion_protection": "enabled"}),
    ] {
        let config = apply(&body).unwrap();
        assert_eq!(config.read_capacity, ReadCapacity::Dedicated(wanted.clone()));
        assert_eq!(config.deletion_protection, DeletionProtection::Enabled);
    }
}

#[test]
fn a_bad_part_refuses_the_whole_change() {
    for body in [
        json!({"tags": {"c": "3"}, "deletion_protection": "maybe"}),
        json!({"deletion_protection": "enabled", "tags": {"c": "x".repeat(121)}}),
        json!({"tags": {"c": "3"}, "read_capacity": {"mode": "Dedicated"}}),
        json!({"tags": {"c": "3"}, "spec": {"pod": {"replicas": 2}}}),
        json!({"tags": {"c": "3"}, "embed": {"model": "m"}}),
        json!({"tags": {"c": "3"}, "schema": {"fields": {}}}),
        json!({"tags": {"c": "3"}, "deployment": {"replicas": 2}}),
    ] {
        assert_eq!(apply(&body).unwrap_err().kind().http_status(), 400, "{body}");
    }
    assert_eq!(apply(&json!({"tags": 1})).unwrap_err().kind().http_status(), 422);
}
