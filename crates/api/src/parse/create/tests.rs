//! Goal: both dialects make one configuration, and what is wrong is named. Method: JSON in.

use lodgepole_types::{DeletionProtection, ReadCapacity, SeededRng};
use serde_json::{Value, json};

use super::*;

fn read(body: &Value, version: ApiVersion) -> Result<IndexConfig, ApiError> {
    let rng = SeededRng::new(1);
    create_index(body.to_string().as_bytes(), version, &Rules::default(), &rng)
}

fn classic(change: &Value) -> Result<IndexConfig, ApiError> {
    read(&classic_body(change), ApiVersion::V2025_10)
}

/// A good body with top-level keys replaced; null removes one.
fn classic_body(change: &Value) -> Value {
    let mut body = json!({
        "name": "movies",
        "dimension": 8,
        "metric": "euclidean",
        "spec": {"serverless": {"cloud": "gcp", "region": "us-central1"}},
        "unknown": 1,
    });
    lay_over(&mut body, change);
    body
}

fn schema_body(change: &Value) -> Value {
    let mut body = json!({
        "name": "movies",
        "schema": {"fields": {
            "_values": {"type": "dense_vector", "dimension": 8, "metric": "euclidean"}
        }},
        "deployment": {"deployment_type": "managed", "cloud": "gcp", "region": "us-central1"},
    });
    lay_over(&mut body, change);
    body
}

fn lay_over(body: &mut Value, change: &Value) {
    let body = body.as_object_mut().unwrap();
    for (key, value) in change.as_object().unwrap() {
        body.insert(key.clone(), value.clone());
        body.retain(|_, value| !value.is_null());
    }
}

fn refused(result: Result<IndexConfig, ApiError>, status: u16, part: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.kind().http_status(), status, "{error}");
    assert!(error.message().contains(part), "{error} lacks {part}");
}

#[test]
fn both_dialects_make_the_same_index() {
    let wanted = classic(&json!({})).unwrap();
    assert_eq!(wanted.dense, DenseField { dimension: 8, metric: Metric::Euclidean });
    assert_eq!((wanted.deployment.cloud(), wanted.deployment.region()), ("gcp", "us-central1"));
    assert_eq!(wanted.read_capacity, ReadCapacity::OnDemand);
    for version in [ApiVersion::V2026_01Alpha, ApiVersion::V2026_07, ApiVersion::Unstable] {
        assert_eq!(read(&schema_body(&json!({})), version).unwrap(), wanted);
    }
    assert_eq!(read(&classic_body(&json!({})), ApiVersion::V2024_07).unwrap(), wanted);
}

#[test]
fn everything_optional_is_taken() {
    let spec = json!({"serverless": {
        "cloud": "aws", "region": "us-east-1",
        "schema": {"fields": {"genre": {"filterable": true}}},
        "read_capacity": {"mode": "Dedicated", "dedicated": {
            "node_type": "t1", "scaling": "Manual", "manual": {"shards": 1, "replicas": 1}}},
    }});
    let change = json!({
        "metric": null, "spec": spec, "tags": {"a": "b", "c": ""}, "vector_type": "dense",
        "deletion_protection": "enabled",
    });
    let config = classic(&change).unwrap();
    assert_eq!(config.dense.metric, Metric::Cosine);
    assert_eq!(config.deletion_protection, DeletionProtection::Enabled);
    assert_eq!(config.tags.as_map().len(), 1);
    assert_eq!(config.metadata_schema, Some(json!({"fields": {"genre": {"filterable": true}}})));
    assert!(matches!(config.read_capacity, ReadCapacity::Dedicated(_)));
}

#[test]
fn the_schema_style_fills_in_name_and_place() {
    let body = schema_body(&json!({"name": null, "deployment": null}));
    let config = read(&body, ApiVersion::V2026_07).unwrap();
    assert!(config.name.as_str().starts_with("index-"));
    assert_eq!(config.deployment.region(), "us-east-1");
}

#[test]
fn a_described_schema_can_be_sent_back() {
    let fields = json!({"fields": {
        "_values": {"type": "dense_vector", "dimension": 8, "metric": "cosine"},
        "_sparse_values": {"type": "sparse_vector"},
    }});
    let config = read(&schema_body(&json!({"schema": fields})), ApiVersion::V2026_07).unwrap();
    assert_eq!(config.dense.dimension, 8);
}

#[test]
fn names_follow_the_rule() {
    for name in ["Movies", "-a", "a-", "a_b", "ä"] {
        let result = classic(&json!({"name": name}));
        let part = "Name must consist of lower case alphanumeric characters or '-'";
        refused(result, 400, part);
    }
    refused(classic(&json!({"name": ""})), 400, "1 to 45");
    refused(classic(&json!({"name": "a".repeat(46)})), 400, "1 to 45");
}

#[test]
fn dimension_and_metric_are_checked() {
    for dimension in [json!(0), json!(-1), json!(20_001)] {
        refused(classic(&json!({"dimension": dimension})), 400, "between 1 and 20000");
    }
    assert!(classic(&json!({"dimension": 20_000})).is_ok());
    refused(classic(&json!({"dimension": null})), 400, "dimension is required");
    refused(
        classic(&json!({"metric": "manhattan"})),
        400,
        "Metric must be cosine, euclidean, or dotproduct.",
    );
}

#[test]
fn unknown_places_are_not_found() {
    let place = |cloud, region| json!({"spec": {"serverless": {"cloud": cloud, "region": region}}});
    let text = "Resource cloud: aws region: invalid-region not found";
    refused(classic(&place("aws", "invalid-region")), 404, text);
    refused(classic(&place("cloudy", "us-east-1")), 404, "cloud: cloudy");
    let mut rules = Rules::default();
    rules.regions.allow("aws", "my-rack");
    let body = classic_body(&place("aws", "my-rack")).to_string();
    let rng = SeededRng::new(1);
    assert!(create_index(body.as_bytes(), ApiVersion::V2025_10, &rules, &rng).is_ok());
}

#[test]
fn what_is_not_served_is_named() {
    for (change, part) in [
        (json!({"vector_type": "sparse"}), "Sparse indexes are not served"),
        (json!({"spec": {"pod": {}}}), "Pod indexes"),
        (json!({"spec": {"byoc": {}}}), "Bring-your-own-cloud"),
        (json!({"spec": {}}), "exactly one of"),
        (json!({"vector_type": "round"}), "vector_type"),
        (json!({"deletion_protection": "maybe"}), "deletion_protection"),
        (json!({"tags": {"a b": "c"}}), "Tag key"),
    ] {
        refused(classic(&change), 400, part);
    }
    let field = |name: &str, field: Value| json!({"schema": {"fields": {name: field}}});
    for (change, part) in [
        (field("body", json!({"type": "string", "full_text_search": {}})), "'body'"),
        (field("emb", json!({"type": "dense_vector", "dimension": 8})), "'emb'"),
        (field("_values", json!({"type": "sparse_vector"})), "'_values'"),
        (field("genre", json!({"filterable": true})), "'genre'"),
        (field("_sparse_values", json!({"type": "sparse_vector"})), "Sparse indexes"),
        (json!({"schema": {"fields": {}}}), "at least one vector field"),
        (json!({"cmek_id": "k"}), "cmek_id"),
        (json!({"source_collection": "c"}), "source_collection"),
        (json!({"source_backup_id": "b"}), "create-index"),
        (json!({"deployment": {"deployment_type": "pod", "environment": "e"}}), "Pod"),
        (json!({"deployment": {"deployment_type": "byoc", "environment": "e"}}), "Bring"),
    ] {
        refused(read(&schema_body(&change), ApiVersion::V2026_07), 400, part);
    }
}

#[test]
fn a_body_of_another_shape_is_unprocessable() {
    let start = "Failed to deserialize the JSON body into the target type: ";
    refused(classic(&json!({"name": null})), 422, &format!("{start}missing field `name`"));
    refused(classic(&json!({"dimension": 1.5})), 422, start);
    let deployment = json!({"deployment": {"cloud": "aws", "region": "us-east-1"}});
    refused(read(&schema_body(&deployment), ApiVersion::V2026_07), 422, "deployment_type");
    refused(read(&classic_body(&json!({})), ApiVersion::V2026_07), 422, "missing field `schema`");
    let rng = SeededRng::new(1);
    let cut_off = create_index(b"{", ApiVersion::V2025_10, &Rules::default(), &rng);
    refused(cut_off, 422, start);
}

#[test]
fn the_metadata_selection_is_checked() {
    let selection = |schema: Value| {
        let place = json!({"cloud": "aws", "region": "us-east-1", "schema": schema});
        classic(&json!({"spec": {"serverless": place}}))
    };
    let field = |name: &str, field: Value| json!({"fields": {name: field}});
    refused(
        selection(field("a", json!({"filterable": false}))),
        400,
        "Field 'a' is set to filterable: false. Only filterable: true is supported.",
    );
    for name in ["$a", "_a", ""] {
        refused(selection(field(name, json!({"filterable": true}))), 400, "Field name");
    }
    refused(selection(field("a", json!({}))), 400, "Field 'a'");
    refused(selection(json!({})), 400, "'fields'");
    let many: serde_json::Map<_, _> =
        (0..51).map(|i| (format!("f{i}"), json!({"filterable": true}))).collect();
    refused(selection(json!({"fields": many})), 400, "at most 50");
}
