//! Goal: a change touches what it names and nothing else. Method: lay changes over one index.

use lodgepole_types::{
    DedicatedCapacity, DenseField, Deployment, IndexName, Limits, Metric, PodSpec, ReadCapacity,
    Tags,
};
use serde_json::{Value, json};

use super::*;
use crate::parse::{ModelShape, ModelVectors};

fn config() -> IndexConfig {
    let tags = [("a", "1"), ("b", "2")].map(|(key, value)| (key.to_owned(), value.to_owned()));
    IndexConfig {
        name: IndexName::parse("movies").unwrap(),
        dense: Some(DenseField { dimension: 8, metric: Metric::Cosine }),
        deployment: Deployment::Serverless {
            cloud: "aws".to_owned(),
            region: "us-east-1".to_owned(),
        },
        read_capacity: ReadCapacity::OnDemand,
        deletion_protection: DeletionProtection::Disabled,
        tags: Tags::parse(tags.into(), &Limits::default()).unwrap(),
        metadata_schema: None,
        embed: None,
        cmek_id: None,
    }
}

fn apply(body: &Value) -> Result<IndexConfig, ApiError> {
    apply_to(config(), body, ApiVersion::V2025_10)
}

fn apply_to(
    mut config: IndexConfig,
    body: &Value,
    version: ApiVersion,
) -> Result<IndexConfig, ApiError> {
    let before = config.clone();
    let change = configure_index(body.to_string().as_bytes(), version)?;
    let done = change.apply(&mut config, &Rules::default(), &models);
    done.inspect_err(|_| assert_eq!(config, before))?;
    Ok(config)
}

/// One model, `m`, for 8 dimensions and cosine; `s` is sparse.
fn models(name: &str) -> Option<ModelShape> {
    let dense = ModelVectors::Dense { default: 8, supported: &[8] };
    match name {
        "m" => Some(ModelShape { vectors: dense, metrics: &[Metric::Cosine] }),
        "s" => Some(ModelShape {
            vectors: ModelVectors::Sparse,
            metrics: &[Metric::DotProduct, Metric::Cosine],
        }),
        _ => None,
    }
}

fn pod_config() -> IndexConfig {
    let pod = PodSpec {
        environment: "us-east1-gcp".to_owned(),
        pod_type: "p1.x2".to_owned(),
        replicas: 1,
        shards: 1,
        pods: 1,
        metadata_config: None,
    };
    IndexConfig { deployment: Deployment::Pod(pod), ..config() }
}

fn refused(result: Result<IndexConfig, ApiError>, status: u16, part: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.kind().http_status(), status, "{error}");
    assert!(error.message().contains(part), "{error} lacks {part}");
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
        json!({"tags": {"c": "3"}, "spec": {"byoc": {}}}),
        json!({"tags": {"c": "3"}, "spec": {"serverless": {}, "byoc": {}}}),
    ] {
        assert_eq!(apply(&body).unwrap_err().kind().http_status(), 400, "{body}");
    }
    assert_eq!(apply(&json!({"tags": 1})).unwrap_err().kind().http_status(), 422);
}

#[test]
fn pods_change_by_their_own_rules_in_both_dialects() {
    let change = |change: Value| {
        let schema_style = apply_to(
            pod_config(),
            &json!({"deployment": change.clone()}),
            ApiVersion::V2026_01Alpha,
        );
        let body = json!({"spec": {"pod": change}, "tags": {"a": ""}});
        let classic = apply_to(pod_config(), &body, ApiVersion::V2025_10);
        assert_eq!(schema_style.is_ok(), classic.is_ok());
        classic
    };
    let after = change(json!({"replicas": 3, "pod_type": "p1.x4"})).unwrap();
    let Deployment::Pod(pod) = &after.deployment else { panic!("{after:?}") };
    assert_eq!((pod.replicas, pod.pods, pod.pod_type.as_str()), (3, 3, "p1.x4"));
    assert!(!after.tags.as_map().contains_key("a"));
    refused(change(json!({"replicas": 30})), 403, "You've reached the max pods allowed");
    refused(change(json!({"pod_type": "p1.x1"})), 400, "Cannot scale down");
    refused(change(json!({"pod_type": "p2.x2"})), 400, "change pod");
    for body in [
        json!({"spec": {"serverless": {}}}),
        json!({"read_capacity": {"mode": "OnDemand"}}),
        json!({"embed": {"model": "m", "field_map": {"text": "t"}}}),
    ] {
        refused(apply_to(pod_config(), &body, ApiVersion::V2025_10), 400, "");
    }
}

#[test]
fn a_repeated_change_succeeds() {
    let capacity = json!({"mode": "Dedicated", "dedicated": {
        "node_type": "b1", "scaling": "Manual", "manual": {"shards": 2, "replicas": 1}}});
    let body = json!({"read_capacity": capacity, "tags": {"c": "3"},
        "embed": {"model": "m", "field_map": {"text": "t"}}});
    let once = apply(&body).unwrap();
    assert_eq!(apply_to(once.clone(), &body, ApiVersion::V2025_10).unwrap(), once);
}

#[test]
fn a_plain_index_gets_a_model_that_fits_and_keeps_it() {
    let body = json!({"embed": {"model": "m", "field_map": {"text": "t"},
        "write_parameters": {"truncate": "END"}}});
    let config = apply(&body).unwrap();
    let embed = config.embed.clone().unwrap();
    assert_eq!((embed.model.as_str(), embed.field_map["text"].as_str()), ("m", "t"));
    let change = json!({"embed": {"field_map": {"text": "u"}, "read_parameters": {"a": 1}}});
    let after = apply_to(config.clone(), &change, ApiVersion::V2025_10).unwrap().embed.unwrap();
    assert_eq!(after.field_map["text"], "u");
    assert_eq!(after.write_parameters, embed.write_parameters, "kept");
    let text = |name: &str| {
        let field = json!({"type": "semantic_text", "read_parameters": {"a": 2}});
        json!({"schema": {"fields": {name: field}}})
    };
    let changed = apply_to(config.clone(), &text("t"), ApiVersion::V2026_07).unwrap();
    assert_eq!(changed.embed.unwrap().read_parameters, Some(json!({"a": 2})));
    refused(apply_to(config.clone(), &text("u"), ApiVersion::V2026_07), 400, "no field 'u'");
    let other = json!({"embed": {"model": "s"}});
    refused(apply_to(config, &other, ApiVersion::V2025_10), 400, "cannot be changed");
}

#[test]
fn a_model_that_does_not_fit_is_refused() {
    let embed = |embed: Value| apply(&json!({"embed": embed, "tags": {"c": "3"}}));
    let fields = json!({"text": "t"});
    refused(embed(json!({"model": "x", "field_map": fields})), 404, "Model x not found");
    refused(embed(json!({"model": "s", "field_map": fields})), 400, "dimension");
    refused(embed(json!({"model": "m"})), 400, "field_map is required");
    refused(embed(json!({"field_map": fields})), 400, "model is required");
    refused(embed(json!({"model": "m", "field_map": {}})), 400, "must map 'text'");
    refused(embed(json!({"model": "m", "fields": 1})), 422, "unknown field");
    let wide = IndexConfig {
        dense: Some(DenseField { dimension: 9, metric: Metric::Cosine }),
        ..config()
    };
    let body = json!({"embed": {"model": "m", "field_map": fields}});
    refused(apply_to(wide, &body, ApiVersion::V2025_10), 400, "dimension 9");
    let other = IndexConfig {
        dense: Some(DenseField { dimension: 8, metric: Metric::Euclidean }),
        ..config()
    };
    refused(apply_to(other, &body, ApiVersion::V2025_10), 400, "metric 'euclidean'");
}

#[test]
fn unknown_names_are_refused_from_2026_07() {
    let body = json!({"dimension": 9});
    refused(apply_to(config(), &body, ApiVersion::V2026_07), 422, "unknown field `dimension`");
    assert_eq!(apply(&body).unwrap(), config());
}
