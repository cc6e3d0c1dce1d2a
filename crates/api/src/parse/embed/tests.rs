//! Goal: an index for a model is read in its three forms, and what does not fit the model is named.
//! Method: JSON in, over a list of three made-up models.

use lodgepole_types::SeededRng;
use serde_json::json;

use super::*;

fn models(name: &str) -> Option<ModelShape> {
    let dense = ModelVectors::Dense { default: 1024, supported: &[512, 1024] };
    let (vectors, metrics): (_, &[Metric]) = match name {
        "dense" => (dense, &[Metric::Cosine, Metric::DotProduct]),
        "sparse" => (ModelVectors::Sparse, &[Metric::DotProduct]),
        "rerank" => (ModelVectors::None, &[]),
        _ => return None,
    };
    Some(ModelShape { vectors, metrics })
}

fn read(body: &Value, version: ApiVersion) -> Result<IndexConfig, ApiError> {
    let (body, rng) = (body.to_string(), SeededRng::new(1));
    create_index_for_model(body.as_bytes(), version, &Rules::default(), &models, &rng)
}

/// A good body with parts of `embed` replaced.
fn body(change: &Value) -> Value {
    let mut body = json!({
        "name": "movies", "cloud": "aws", "region": "us-east-1",
        "embed": {"model": "dense", "field_map": {"text": "chunk-text"}},
    });
    for (key, value) in change.as_object().unwrap() {
        body["embed"][key] = value.clone();
    }
    body
}

fn refused(result: Result<IndexConfig, ApiError>, status: u16, part: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.kind().http_status(), status, "{error}");
    assert!(error.message().contains(part), "{error} lacks {part}");
}

#[test]
fn the_model_says_what_the_request_does_not() {
    let config = read(&body(&json!({})), ApiVersion::V2025_10).unwrap();
    assert_eq!(config.dense, Some(DenseField { dimension: 1024, metric: Metric::Cosine }));
    assert_eq!(config.embed.as_ref().unwrap().field_map["text"], "chunk-text");
    let change = json!({"dimension": 512, "metric": "dotproduct"});
    let config = read(&body(&change), ApiVersion::V2026_07).unwrap();
    assert_eq!(config.dense, Some(DenseField { dimension: 512, metric: Metric::DotProduct }));
    let config = read(&body(&json!({"model": "sparse"})), ApiVersion::V2025_01).unwrap();
    assert_eq!((config.dense, config.vector_type()), (None, "sparse"));
}

#[test]
fn everything_optional_is_taken() {
    let mut body = body(&json!({"read_parameters": {"a": 1}, "write_parameters": {"b": 2}}));
    body["schema"] = json!({"fields": {"genre": {"filterable": true}}});
    body["read_capacity"] = json!({"mode": "OnDemand"});
    body["tags"] = json!({"a": "b"});
    body["deletion_protection"] = json!("enabled");
    let config = read(&body, ApiVersion::V2025_10).unwrap();
    assert_eq!(config.metadata_schema, Some(body["schema"].clone()));
    assert_eq!(config.tags.as_map().len(), 1);
    assert_eq!(config.embed.unwrap().read_parameters, Some(json!({"a": 1})));
}

#[test]
fn the_preview_has_a_flat_form() {
    let flat = json!({"model": "dense", "field": "body", "metric": "dotproduct",
        "deployment": {"deployment_type": "managed", "cloud": "gcp", "region": "us-central1"}});
    let config = read(&flat, ApiVersion::V2026_01Alpha).unwrap();
    assert_eq!(config.embed.as_ref().unwrap().field_map["text"], "body");
    assert_eq!((config.metric(), config.deployment.cloud()), (Metric::DotProduct, "gcp"));
    assert!(config.name.as_str().starts_with("index-"));
    assert!(read(&body(&json!({})), ApiVersion::V2026_01Alpha).is_ok());
    refused(read(&flat, ApiVersion::V2026_07), 422, "field `");
}

#[test]
fn what_does_not_fit_the_model_is_refused() {
    for (change, status, part) in [
        (json!({"model": "none"}), 404, "Model none not found."),
        (json!({"model": "rerank"}), 400, "does not make vectors"),
        (json!({"metric": "euclidean"}), 400, "does not support metric 'euclidean'"),
        (json!({"metric": "manhattan"}), 400, "Metric must be cosine, euclidean, or dotproduct."),
        (json!({"dimension": 8}), 400, "does not support dimension 8. Supported: 512, 1024"),
        (json!({"model": "sparse", "dimension": 512}), 400, "dimension must not be given"),
        (json!({"model": "sparse", "metric": "cosine"}), 400, "does not support metric"),
        (json!({"field_map": {}}), 400, "must map 'text'"),
        (json!({"field_map": {"text": "a", "image": "b"}}), 400, "must map 'text'"),
        (json!({"field_map": {"text": "_a"}}), 400, "must not be empty or start"),
        (json!({"field_map": {"text": 1}}), 422, "invalid type"),
        (json!({"fieldmap": {}}), 422, "unknown field `fieldmap`"),
        (json!({"model": null}), 422, "invalid type: null"),
    ] {
        refused(read(&body(&change), ApiVersion::V2025_10), status, part);
    }
    let mut unknown = body(&json!({}));
    unknown["spec"] = json!({});
    refused(read(&unknown, ApiVersion::V2025_10), 422, "unknown field `spec`");
}

#[test]
fn the_preview_declares_a_field_of_text_in_a_schema() {
    let create = |fields: Value, version| {
        let body = json!({"name": "movies", "schema": {"fields": fields}}).to_string();
        let rng = SeededRng::new(1);
        crate::parse::create_index(body.as_bytes(), version, &Rules::default(), &models, &rng)
            .map(|new| new.config)
    };
    let text = json!({"type": "semantic_text", "model": "dense", "read_parameters": {"a": 1}});
    let config = create(json!({"body": text}), ApiVersion::V2026_01Alpha).unwrap();
    assert_eq!(config.dimension(), Some(1024));
    assert_eq!(config.embed.unwrap().field_map["text"], "body");
    let both = json!({"body": text, "_sparse_values": {"type": "sparse_vector"}});
    refused(create(both, ApiVersion::V2026_01Alpha), 400, "no other field");
    let nameless = json!({"body": {"type": "semantic_text"}});
    refused(create(nameless, ApiVersion::V2026_01Alpha), 422, "missing field `model`");
}
