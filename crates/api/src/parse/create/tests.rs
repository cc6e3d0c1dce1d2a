//! Goal: both dialects make one configuration, and what is wrong is named. Method: JSON in.

use lodgepole_types::{DeletionProtection, ReadCapacity, SeededRng};
use serde_json::{Value, json};

use super::*;
use crate::parse::ModelShape;

fn read(body: &Value, version: ApiVersion) -> Result<IndexConfig, ApiError> {
    read_new(body, version).map(|new| new.config)
}

fn read_new(body: &Value, version: ApiVersion) -> Result<NewIndex, ApiError> {
    let (body, rng) = (body.to_string(), SeededRng::new(1));
    create_index(body.as_bytes(), version, &Rules::default(), &no_models, &rng)
}

fn no_models(_: &str) -> Option<ModelShape> {
    None
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
    assert_eq!(wanted.dense, Some(DenseField { dimension: 8, metric: Metric::Euclidean }));
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
    assert_eq!(config.metric(), Metric::Cosine);
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
    assert_eq!(config.dimension(), Some(8));
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
    let made = create_index(body.as_bytes(), ApiVersion::V2025_10, &rules, &no_models, &rng);
    assert!(made.is_ok());
}

#[test]
fn what_is_wrong_or_not_served_is_named() {
    for (change, part) in [
        (json!({"spec": {}}), "exactly one of"),
        (json!({"vector_type": "round"}), "vector_type"),
        (json!({"deletion_protection": "maybe"}), "deletion_protection"),
        (json!({"tags": {"a b": "c"}}), "Tag key"),
        (json!({"spec": {"byoc": {"environment": ""}}}), "environment"),
    ] {
        refused(classic(&change), 400, part);
    }
    let field = |name: &str, field: Value| json!({"schema": {"fields": {name: field}}});
    for (change, part) in [
        (field("body", json!({"type": "string", "full_text_search": {}})), "'body'"),
        (field("emb", json!({"type": "dense_vector", "dimension": 8})), "'emb'"),
        (field("_values", json!({"type": "sparse_vector"})), "'_values'"),
        (field("genre", json!({"filterable": true})), "'genre'"),
        (field("text", json!({"type": "semantic_text", "model": "m"})), "create-for-model"),
        (field("_sparse_values", json!({"type": "sparse_vector", "description": "d"})), "descrip"),
        (json!({"schema": {"fields": {}}}), "at least one vector field"),
        (json!({"source_collection": "c"}), "not yet supported"),
        (json!({"source_backup_id": "b"}), "not yet supported"),
        (json!({"deployment": {"deployment_type": "byoc", "environment": "e"}}), "Dedicated"),
    ] {
        refused(read(&schema_body(&change), ApiVersion::V2026_07), 400, part);
    }
}

#[test]
fn sparse_indexes_have_no_dimension_and_one_metric() {
    let sparse = json!({"vector_type": "sparse", "dimension": null, "metric": null});
    let config = classic(&sparse).unwrap();
    assert_eq!((config.dense, config.metric()), (None, Metric::DotProduct));
    let named = json!({"vector_type": "sparse", "dimension": null, "metric": "dotproduct"});
    assert_eq!(classic(&named).unwrap(), config);
    refused(classic(&json!({"vector_type": "sparse", "metric": null})), 400, "dimension must not");
    let cosine = json!({"vector_type": "sparse", "dimension": null, "metric": "cosine"});
    refused(classic(&cosine), 400, "must be dotproduct");
    let pod = json!({"vector_type": "sparse", "dimension": null, "metric": null,
        "spec": {"pod": {"environment": "e", "pod_type": "p1.x1"}}});
    refused(classic(&pod), 400, "sparse index cannot be a pod index");
    let fields = json!({"schema": {"fields": {"_sparse_values": {"type": "sparse_vector"}}}});
    for version in [ApiVersion::V2026_01Alpha, ApiVersion::V2026_07] {
        assert_eq!(read(&schema_body(&fields), version).unwrap().dense, None);
    }
}

#[test]
fn pods_and_own_clouds_are_taken() {
    let spec = json!({"environment": "us-east1-gcp", "pod_type": "p1.x2", "replicas": 2,
        "metadata_config": {"indexed": ["genre"]}, "source_collection": "c"});
    let body = classic_body(&json!({"spec": {"pod": spec}}));
    let new = read_new(&body, ApiVersion::V2024_07).unwrap();
    assert_eq!(new.source_collection.as_deref(), Some("c"));
    let Deployment::Pod(pod) = &new.config.deployment else { panic!("{new:?}") };
    assert_eq!((pod.replicas, pod.pods, pod.pod_type.as_str()), (2, 2, "p1.x2"));
    assert_eq!(
        (new.config.deployment.cloud(), new.config.deployment.region()),
        ("gcp", "us-east1")
    );
    let many = json!({"spec": {"pod": {"environment": "e", "pod_type": "p1", "replicas": 30}}});
    refused(classic(&many), 403, "You've reached the max pods allowed");
    let alpha = json!({"deployment": {"deployment_type": "pod", "environment": "us-east1-gcp",
        "pod_type": "p1.x1", "replicas": 1, "shards": 1}, "source_collection": "c"});
    let new = read_new(&schema_body(&alpha), ApiVersion::V2026_01Alpha).unwrap();
    assert!(new.config.is_pod() && new.source_collection.is_some());
    // The newest Python client sends its pods so, and the hosted service still reads them.
    let newest = json!({"deployment": {"deployment_type": "pod", "environment": "us-east1-gcp",
        "pod_type": "p1.x1", "replicas": 1, "shards": 1}});
    assert!(read(&schema_body(&newest), ApiVersion::V2026_07).unwrap().is_pod());
    let capacity = json!({"mode": "Dedicated", "dedicated": {
        "node_type": "t1", "scaling": "Manual", "manual": {"shards": 1, "replicas": 1}}});
    let byoc = json!({"deployment": {"deployment_type": "byoc", "environment": "mine"},
        "read_capacity": capacity, "cmek_id": "k"});
    let config = read(&schema_body(&byoc), ApiVersion::V2026_07).unwrap();
    assert_eq!(config.deployment, Deployment::Byoc { environment: "mine".to_owned() });
    assert_eq!(config.cmek_id.as_deref(), Some("k"));
    let spec = json!({"spec": {"byoc": {"environment": "mine", "read_capacity": capacity,
        "schema": {"fields": {"a": {"filterable": true}}}}}});
    let config = classic(&spec).unwrap();
    assert!(matches!(config.read_capacity, ReadCapacity::Dedicated(_)));
    assert!(config.metadata_schema.is_some());
}

#[test]
fn the_newest_version_refuses_unknown_names() {
    let unknown = json!({"unknown": 1});
    refused(read(&schema_body(&unknown), ApiVersion::V2026_07), 422, "unknown field `unknown`");
    assert!(read(&schema_body(&unknown), ApiVersion::V2026_01Alpha).is_ok());
    for (deployment, part) in [
        (json!({"deployment_type": "cloud"}), "unknown variant `cloud`"),
        (json!({"deployment_type": "Managed", "cloud": "aws", "region": "us-east-1"}), "Managed"),
        (json!({"deployment_type": "managed", "cloud": "aws"}), "missing field `region`"),
        (
            json!({"deployment_type": "byoc", "environment": "e", "region": "us-east-1"}),
            "unknown field `region`",
        ),
    ] {
        let body = schema_body(&json!({"deployment": deployment}));
        refused(read(&body, ApiVersion::V2026_07), 422, part);
    }
    for field in [
        json!({"type": "dense_vector", "dimension": 8}),
        json!({"type": "dense_vector", "metric": "cosine"}),
        json!({"type": "dense_vector", "dimension": 8, "metric": "cosine", "other": 1}),
    ] {
        let body = schema_body(&json!({"schema": {"fields": {"_values": field}}}));
        refused(read(&body, ApiVersion::V2026_07), 422, "field `");
    }
}

#[test]
fn a_definition_that_is_too_large_is_refused() {
    let names = "n".repeat(70_000);
    let spec =
        json!({"environment": "e", "pod_type": "p1", "metadata_config": {"indexed": [names]}});
    refused(classic(&json!({"spec": {"pod": spec}})), 400, "the limit is 65536");
}

#[test]
fn a_body_of_another_shape_is_unprocessable() {
    let start = "Failed to deserialize the JSON body into the target type: ";
    refused(classic(&json!({"name": null})), 422, &format!("{start}missing field `name`"));
    refused(classic(&json!({"dimension": 1.5})), 422, start);
    let deployment = json!({"deployment": {"cloud": "aws", "region": "us-east-1"}});
    refused(read(&schema_body(&deployment), ApiVersion::V2026_07), 422, "deployment_type");
    let classic_body = classic_body(&json!({}));
    refused(read(&classic_body, ApiVersion::V2026_01Alpha), 422, "missing field `schema`");
    refused(read(&classic_body, ApiVersion::V2026_07), 422, "unknown field `dimension`");
    let rng = SeededRng::new(1);
    let cut_off = create_index(b"{", ApiVersion::V2025_10, &Rules::default(), &no_models, &rng)
        .map(|new| new.config);
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
