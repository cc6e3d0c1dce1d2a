//! Goal: every rule refuses the whole request with its message. Method: one bad record among good.

use super::*;
use crate::parse::testing;

fn read_on(index: &IndexConfig, json: &str) -> Result<Upsert, ApiError> {
    upsert(serde_json::from_str(json).unwrap(), index, &Limits::default())
}

fn read(json: &str) -> Result<Upsert, ApiError> {
    read_on(&testing::dense(), json)
}

fn message(vector: &str) -> String {
    let good = r#"{"id":"good","values":[1,2]}"#;
    let error = read(&format!(r#"{{"vectors":[{good},{vector},{good}]}}"#)).unwrap_err();
    assert_eq!(error.kind().http_status(), 400);
    error.message().to_owned()
}

#[test]
fn the_last_of_equal_ids_wins_and_all_are_counted() {
    let upsert = read(
        r#"{"vectors":[{"id":"a","values":[1,2]},{"id":"b","values":[0,1e-8]},
            {"id":"a","values":[3,4],"metadata":{"k":null,"n":1}}],"namespace":"__default__"}"#,
    )
    .unwrap();
    assert_eq!(upsert.count, 3);
    let ids: Vec<_> = upsert.records.iter().map(|record| record.id.as_str()).collect();
    assert_eq!(ids, ["a", "b"]);
    assert_eq!(upsert.records[0].values, [3.0, 4.0]);
    assert_eq!(upsert.records[0].metadata.as_struct().fields.len(), 1);
    assert!(upsert.namespace.name.is_default());
    assert_eq!(upsert.namespace.spelling, "__default__");
}

#[test]
fn values_are_checked() {
    assert_eq!(
        message(r#"{"id":"a","values":[1,2,3]}"#),
        "Vector dimension 3 does not match the dimension of the index 2"
    );
    assert_eq!(
        message(r#"{"id":"a"}"#),
        "Vector dimension 0 does not match the dimension of the index 2"
    );
    assert_eq!(
        message(r#"{"id":"a","values":[0,9e-9]}"#),
        "Dense vectors must contain at least one non-zero value."
    );
    for value in [f32::NAN, f32::INFINITY] {
        let vectors =
            vec![Vector { id: "a".into(), values: vec![value, 1.0], ..Vector::default() }];
        let request = UpsertRequest { vectors, namespace: String::new() };
        let error = upsert(request, &testing::dense(), &Limits::default()).unwrap_err();
        assert!(error.message().contains("finite"), "{error}");
    }
}

#[test]
fn ids_metadata_and_namespaces_are_checked() {
    assert!(message(r#"{"values":[1,2]}"#).contains("must not be empty"));
    assert!(message(r#"{"id":"ü","values":[1,2]}"#).contains("ASCII"));
    assert_eq!(
        message(r#"{"id":"a","values":[1,2],"metadata":{"f":[10]}}"#),
        "Metadata value must be a string, number, boolean or list of strings, got '[10.0]' for \
         field 'f'"
    );
    let long = "n".repeat(513);
    let json = format!(r#"{{"vectors":[{{"id":"a","values":[1,2]}}],"namespace":"{long}"}}"#);
    assert!(read(&json).unwrap_err().message().contains("512"));
}

#[test]
fn sparse_values_are_refused_by_metric() {
    let sparse = r#"{"id":"a","values":[1,2],"sparseValues":{"indices":[1],"values":[1]}}"#;
    assert_eq!(
        message(sparse),
        "Index configuration does not support sparse values - only indexes that are sparse or \
         using dotproduct are supported"
    );
}

#[test]
fn an_index_for_both_takes_records_with_either() {
    let body = r#"{"vectors":[{"id":"a","values":[1,2]},
        {"id":"b","values":[1,2],"sparseValues":{"indices":[7,3],"values":[1,2]}},
        {"id":"c","sparse_values":{"indices":[7],"values":[1]}}]}"#;
    let records = read_on(&testing::hybrid(), body).unwrap().records;
    assert_eq!(records[0].sparse, None);
    assert_eq!(records[1].sparse.as_ref().unwrap().indices, [7, 3]);
    assert!(records[2].values.is_empty() && records[2].sparse.is_some());
    for vector in [r#"{"id":"a"}"#, r#"{"id":"a","values":[1]}"#] {
        let error = read_on(&testing::hybrid(), &format!(r#"{{"vectors":[{vector}]}}"#));
        assert!(error.unwrap_err().message().starts_with("Vector dimension"));
    }
}

#[test]
fn a_sparse_index_takes_sparse_values_only() {
    let one = |vector: &str| read_on(&testing::sparse(), &format!(r#"{{"vectors":[{vector}]}}"#));
    let sparse = r#""sparseValues":{"indices":[1],"values":[1]}"#;
    for vector in
        [format!(r#"{{"id":"a","values":[],{sparse}}}"#), format!(r#"{{"id":"a",{sparse}}}"#)]
    {
        assert_eq!(one(&vector).unwrap().records[0].values, [0.0; 0]);
    }
    for (vector, message) in [
        (
            format!(r#"{{"id":"a","values":[1],{sparse}}}"#),
            "Upserting dense vectors is not supported for sparse indexes",
        ),
        (
            r#"{"id":"a","values":[1]}"#.to_owned(),
            "Upserting dense vectors is not supported for sparse indexes",
        ),
        (
            r#"{"id":"a"}"#.to_owned(),
            "Vector 'a' has no sparse values, which a sparse index requires",
        ),
        (
            r#"{"id":"a","sparseValues":{}}"#.to_owned(),
            "Sparse vector must contain at least one value",
        ),
    ] {
        assert_eq!(one(&vector).unwrap_err().message(), message);
    }
}

#[test]
fn the_number_of_records_is_limited() {
    let many = |count: usize| {
        let vector = r#"{"id":"a","values":[1,2]}"#;
        read(&format!(r#"{{"vectors":[{}]}}"#, vec![vector; count].join(",")))
    };
    assert!(many(0).is_err());
    assert!(many(1_000).is_ok());
    assert!(many(1_001).unwrap_err().message().contains("between 1 and 1000"));
}
