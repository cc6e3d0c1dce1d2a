//! Goal: a query has a target that its index knows. Method: JSON in, by kind of index.

use super::*;
use crate::parse::testing;

fn read_on(index: &IndexConfig, version: ApiVersion, json: &str) -> Result<Query, ApiError> {
    query(serde_json::from_str(json).unwrap(), index, version, &Limits::default())
}

fn read(json: &str) -> Result<Query, ApiError> {
    read_on(&testing::dense(), ApiVersion::V2025_10, json)
}

fn refused(result: Result<Query, ApiError>, part: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.kind().http_status(), 400);
    assert!(error.message().contains(part), "{error} lacks {part}");
}

#[test]
fn vector_and_record_are_targets() {
    let by_vector = read(r#"{"vector":[0,0],"topK":10000,"filter":{},"id":""}"#).unwrap();
    assert_eq!(by_vector.near, Near::Dense(vec![0.0, 0.0]));
    assert!(!by_vector.include_values && !by_vector.include_metadata);
    assert_eq!(by_vector.filter, None);
    let by_id =
        read(r#"{"id":"a","topK":1,"includeValues":true,"vector":[],"namespace":"n"}"#).unwrap();
    assert_eq!(by_id.near, Near::Record(RecordId::parse("a").unwrap()));
    assert!(by_id.include_values);
    assert_eq!(by_id.namespace.name.as_str(), "n");
    assert!(read(r#"{"id":"a","topK":5,"scanFactor":4,"maxCandidates":5}"#).is_ok());
    let filtered = read(r#"{"topK":1,"vector":[1,2],"filter":{"a":1}}"#).unwrap().filter.unwrap();
    assert_eq!(filtered.fields().collect::<Vec<_>>(), ["a"]);
}

#[test]
fn each_kind_of_index_has_its_targets() {
    let version = ApiVersion::V2025_10;
    let sparse_part = r#""sparseVector":{"indices":[9,1],"values":[1,2]}"#;
    let sparse_only = format!(r#"{{"topK":1,{sparse_part}}}"#);
    let hybrid = format!(r#"{{"topK":1,"vector":[1,2],{sparse_part}}}"#);
    let sparse = SparseVector { indices: vec![9, 1], values: vec![1.0, 2.0] };
    for index in [testing::hybrid(), testing::sparse()] {
        let near = read_on(&index, version, &sparse_only).unwrap().near;
        assert_eq!(near, Near::Sparse(sparse.clone()));
    }
    let near = read_on(&testing::hybrid(), version, &hybrid).unwrap().near;
    assert_eq!(near, Near::Hybrid { dense: vec![1.0, 2.0], sparse });
    for body in [&sparse_only, &hybrid] {
        refused(read(body), "Index configuration does not support sparse values");
    }
    refused(read_on(&testing::sparse(), version, &hybrid), "not supported for sparse indexes");
    refused(read_on(&testing::sparse(), version, r#"{"topK":1}"#), "'sparseVector' or 'id'");
    let odd = r#"{"topK":1,"sparseVector":{"indices":[1],"values":[]}}"#;
    refused(read_on(&testing::sparse(), version, odd), "same length");
}

#[test]
fn the_effort_needs_its_version_and_a_dense_index() {
    for effort in [r#""scanFactor":2"#, r#""maxCandidates":5"#] {
        let body = format!(r#"{{"topK":1,"id":"a",{effort}}}"#);
        refused(
            read_on(&testing::dense(), ApiVersion::V2025_04, &body),
            "version 2025-10 or later",
        );
        let sparse = read_on(&testing::sparse(), ApiVersion::V2026_07, &body);
        refused(sparse, "not supported for sparse indexes");
        assert!(read_on(&testing::hybrid(), ApiVersion::V2026_07, &body).is_ok());
    }
}

#[test]
fn several_queries_are_refused_where_they_existed_and_unknown_later() {
    let body = r#"{"topK":1,"vector":[1,2],"queries":[{}]}"#;
    refused(read_on(&testing::dense(), ApiVersion::V2026_04, body), "queries");
    assert!(read_on(&testing::dense(), ApiVersion::V2026_07, body).is_ok());
}

#[test]
fn everything_else_is_refused() {
    for (json, part) in [
        (r#"{"topK":1}"#, "'vector' or 'id'"),
        (
            r#"{"topK":1,"id":"a","vector":[1,2]}"#,
            "Cannot provide both 'ID' and 'vector' at the same time",
        ),
        (
            r#"{"topK":1,"id":"a","sparseVector":{}}"#,
            "Cannot provide both 'ID' and 'sparse_vector' at the same time",
        ),
        (r#"{"topK":1,"vector":[1]}"#, "Vector dimension 1 does not match"),
        (r#"{"topK":0,"vector":[1,2]}"#, "topK must be between 1 and 10000, got 0"),
        (r#"{"vector":[1,2]}"#, "topK"),
        (r#"{"topK":10001,"vector":[1,2]}"#, "topK"),
        (r#"{"topK":1,"vector":[1,2],"filter":{"a":{"$gt":"x"}}}"#, "$gt"),
        (r#"{"topK":1,"vector":[1,2],"scanFactor":5}"#, "between 0.5 and 4.0, got 5"),
        (r#"{"topK":9,"vector":[1,2],"maxCandidates":8}"#, "between 9 (top_k) and 100000, got 8"),
    ] {
        refused(read(json), part);
    }
}

#[test]
fn a_vector_that_is_not_finite_is_refused() {
    let request = QueryRequest { top_k: 1, vector: vec![1.0, f32::NAN], ..QueryRequest::default() };
    let index = testing::dense();
    refused(query(request, &index, ApiVersion::V2025_10, &Limits::default()), "finite");
}
