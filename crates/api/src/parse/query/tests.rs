//! Goal: a query has exactly one target and served parts only. Method: JSON in.

use lodgepole_types::Metric;

use super::*;

fn read(json: &str) -> Result<Query, ApiError> {
    let dense = DenseField { dimension: 2, metric: Metric::Cosine };
    query(serde_json::from_str(json).unwrap(), dense, &Limits::default())
}

#[test]
fn vector_and_record_are_targets() {
    let by_vector = read(r#"{"vector":[0,0],"topK":10000,"filter":{},"id":""}"#).unwrap();
    assert_eq!(by_vector.near, Near::Vector(vec![0.0, 0.0]));
    assert!(!by_vector.include_values && !by_vector.include_metadata);
    let by_id =
        read(r#"{"id":"a","topK":1,"includeValues":true,"vector":[],"namespace":"n"}"#).unwrap();
    assert_eq!(by_id.near, Near::Record(RecordId::parse("a").unwrap()));
    assert!(by_id.include_values);
    assert_eq!(by_id.namespace.name.as_str(), "n");
    assert!(read(r#"{"id":"a","topK":5,"scanFactor":4,"maxCandidates":5}"#).is_ok());
}

#[test]
fn everything_else_is_refused() {
    for (json, part) in [
        (r#"{"topK":1}"#, "either 'vector' or 'id'"),
        (
            r#"{"topK":1,"id":"a","vector":[1,2]}"#,
            "Cannot provide both 'ID' and 'vector' at the same time",
        ),
        (
            r#"{"topK":1,"id":"a","sparseVector":{}}"#,
            "Cannot provide both 'ID' and 'sparse_vector'",
        ),
        (r#"{"topK":1,"vector":[1]}"#, "Vector dimension 1 does not match"),
        (r#"{"topK":0,"vector":[1,2]}"#, "topK must be between 1 and 10000, got 0"),
        (r#"{"vector":[1,2]}"#, "topK"),
        (r#"{"topK":10001,"vector":[1,2]}"#, "topK"),
        (r#"{"topK":1,"vector":[1,2],"filter":{"a":1}}"#, "filters in queries are not served"),
        (
            r#"{"topK":1,"vector":[1,2],"sparseVector":{"indices":[1],"values":[1]}}"#,
            "does not support sparse values",
        ),
        (r#"{"topK":1,"vector":[1,2],"queries":[{}]}"#, "queries"),
        (r#"{"topK":1,"vector":[1,2],"scanFactor":5}"#, "between 0.5 and 4.0, got 5"),
        (r#"{"topK":9,"vector":[1,2],"maxCandidates":8}"#, "between 9 (top_k) and 100000, got 8"),
    ] {
        let error = read(json).unwrap_err();
        assert_eq!(error.kind().http_status(), 400);
        assert!(error.message().contains(part), "{error} lacks {part}");
    }
}

#[test]
fn a_vector_that_is_not_finite_is_refused() {
    let dense = DenseField { dimension: 2, metric: Metric::Cosine };
    let request = QueryRequest { top_k: 1, vector: vec![1.0, f32::NAN], ..QueryRequest::default() };
    let error = query(request, dense, &Limits::default()).unwrap_err();
    assert!(error.message().contains("finite"), "{error}");
}
