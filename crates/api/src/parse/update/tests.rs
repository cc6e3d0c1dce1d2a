//! Goal: an update has one target and says what changes. Method: JSON in, by kind of index.

use serde_json::{Value, json};

use super::*;
use crate::parse::testing;

fn read_on(index: &IndexConfig, json: Value) -> Result<Update, ApiError> {
    update(serde_json::from_value(json).unwrap(), index, &Limits::default())
}

fn read(json: Value) -> Result<Update, ApiError> {
    read_on(&testing::dense(), json)
}

#[test]
fn what_is_absent_of_a_record_is_kept() {
    let update = read(json!({"id": "a", "setMetadata": {"k": null}, "dryRun": false})).unwrap();
    let UpdateTarget::Record { values, sparse, metadata, .. } = update.what else { panic!() };
    assert_eq!((values, sparse), (None, None));
    assert!(!metadata.unwrap().is_empty());
    let update = read(json!({"id": "a", "values": [1, 2], "values_x": 1})).unwrap();
    let UpdateTarget::Record { values, metadata, .. } = update.what else { panic!() };
    assert_eq!((values, metadata), (Some(vec![1.0, 2.0]), None));
}

#[test]
fn sparse_values_are_taken_whatever_the_metric() {
    let body = || json!({"id": "a", "sparseValues": {"indices": [7, 1], "values": [1, 2]}});
    for index in [testing::dense(), testing::hybrid(), testing::sparse()] {
        let UpdateTarget::Record { sparse, .. } = read_on(&index, body()).unwrap().what else {
            panic!()
        };
        assert_eq!(sparse.unwrap().indices, [7, 1]);
    }
}

#[test]
fn a_dry_run_counts_only() {
    let update = read(json!({"filter": {"a": 1}, "dry_run": true})).unwrap();
    assert!(matches!(update.what, UpdateTarget::Matching { metadata: None, .. }));
    let update = read(json!({"filter": {"a": 1}, "setMetadata": {"b": 1}, "dryRun": true}));
    assert!(matches!(update.unwrap().what, UpdateTarget::Matching { metadata: None, .. }));
    let update = read(json!({"filter": {"a": 1}, "setMetadata": {"b": 1}})).unwrap();
    assert!(matches!(update.what, UpdateTarget::Matching { metadata: Some(_), .. }));
}

#[test]
fn everything_else_is_refused() {
    for (json, part) in [
        (json!({}), "either 'id' or 'filter'"),
        (json!({"id": "a", "filter": {"a": 1}}), "both 'id' and 'filter'"),
        (json!({"id": "a", "dryRun": true}), "'dryRun'"),
        (json!({"id": "ü"}), "ASCII"),
        (json!({"id": "a", "values": [1]}), "Vector dimension 1 does not match the dimension"),
        (json!({"id": "a", "values": [0, 0]}), "at least one non-zero value"),
        (json!({"id": "a", "setMetadata": {"a": [1]}}), "Metadata value must be a string"),
        (json!({"filter": {}}), "Update with empty metadata filter is not allowed"),
        (json!({"filter": {"a": 1}}), "'setMetadata'"),
        (
            json!({"filter": {"a": 1}, "values": [1, 2]}),
            "Update by metadata request does not support updating vector values.",
        ),
        (
            json!({"filter": {"a": 1}, "sparseValues": {"indices": [1], "values": [1]}}),
            "Update by metadata request does not support updating vector values.",
        ),
    ] {
        let error = read(json).unwrap_err();
        assert_eq!(error.kind().http_status(), 400);
        assert!(error.message().contains(part), "{error} lacks {part}");
    }
    let error = read_on(&testing::sparse(), json!({"id": "a", "values": [1]})).unwrap_err();
    assert_eq!(error.message(), "Upserting dense vectors is not supported for sparse indexes");
}
