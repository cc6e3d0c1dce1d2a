//! Goal: an update changes what it names and nothing else. Method: update, then fetch.

use serde_json::{Value, json};

use super::{Bench, call, dense, hybrid, refusal};

fn full() -> Value {
    json!({"vectors": [{"id": "a", "values": [1, 2], "metadata": {"k": 1, "old": "x"},
        "sparseValues": {"indices": [9, 1], "values": [0.5, 0.25]}}]})
}

#[tokio::test]
async fn each_part_is_changed_alone() {
    let bench = Bench::new().await;
    let index = hybrid(&bench).await;
    call!(bench, index, upsert, full()).unwrap();
    let fetch = || json!({"ids": ["a"]});
    let mut wanted = full()["vectors"][0].clone();
    wanted["values"] = json!([1.0, 2.0]);
    for (update, part, value) in [
        (json!({"values": [3, 4]}), "values", json!([3.0, 4.0])),
        (
            json!({"sparseValues": {"indices": [7, 2], "values": [1, 2]}}),
            "sparseValues",
            json!({"indices": [7, 2], "values": [1.0, 2.0]}),
        ),
        (
            json!({"setMetadata": {"k": 2, "n": ["y"]}}),
            "metadata",
            json!({"k": 2, "n": ["y"], "old": "x"}),
        ),
        // An extension: null removes its key.
        (json!({"setMetadata": {"old": null}}), "metadata", json!({"k": 2, "n": ["y"]})),
        (json!({}), "id", json!("a")),
    ] {
        let mut body = update;
        body["id"] = json!("a");
        assert_eq!(call!(bench, index, update, body).unwrap(), json!({}));
        wanted[part] = value;
        let fetched = call!(bench, index, fetch, fetch()).unwrap();
        assert_eq!(fetched["vectors"]["a"], wanted);
    }
}

#[tokio::test]
async fn an_unknown_record_is_fine_and_an_unknown_namespace_is_not() {
    let bench = Bench::new().await;
    let index = dense(&bench).await;
    let body = |namespace: &str| json!({"id": "a", "values": [1, 2], "namespace": namespace});
    call!(bench, index, update, body("")).unwrap();
    let not_found = (404, 5, "Namespace not found".to_owned());
    assert_eq!(refusal(call!(bench, index, update, body("n"))), not_found);
    for dry_run in [true, false] {
        let body = json!({"filter": {"k": 1}, "setMetadata": {"a": 1}, "namespace": "n",
            "dryRun": dry_run});
        assert_eq!(refusal(call!(bench, index, update, body)), not_found);
        let body = json!({"filter": {"k": 1}, "setMetadata": {"a": 1}, "dryRun": dry_run});
        let counted = call!(bench, index, update, body).unwrap();
        assert_eq!(counted, json!({"matchedRecords": 0}));
    }
    assert_eq!(bench.count("i").await, 0);
}

#[tokio::test]
async fn an_update_by_filter_counts_and_changes_what_matches() {
    let bench = Bench::new().await;
    let index = dense(&bench).await;
    let vectors: Vec<_> = (0..6)
        .map(|n| json!({"id": format!("r{n}"), "values": [1, n], "metadata": {"n": n}}))
        .collect();
    call!(bench, index, upsert, json!({"vectors": vectors, "namespace": "x"})).unwrap();
    let body = |dry_run: Value| {
        json!({"filter": {"n": {"$gte": 4}}, "setMetadata": {"seen": true, "n": null},
            "namespace": "x", "dry_run": dry_run})
    };
    let count = |filter: Value| json!({"filter": filter, "namespace": "x"});
    let matched = json!({"matchedRecords": 2});
    assert_eq!(call!(bench, index, update, body(json!(true))).unwrap(), matched);
    let seen = call!(bench, index, count, count(json!({"seen": true}))).unwrap();
    assert_eq!(seen["count"], json!(0), "a dry run changes nothing");
    assert_eq!(call!(bench, index, update, body(json!(false))).unwrap(), matched);
    let seen = call!(bench, index, count, count(json!({"seen": true}))).unwrap();
    assert_eq!(seen["count"], json!(2));
    let again = call!(bench, index, update, body(Value::Null)).unwrap();
    assert_eq!(again, json!({"matchedRecords": 0}), "the key that matched is gone");
}

#[tokio::test]
async fn a_merge_that_grows_too_large_changes_nothing() {
    let bench = Bench::new().await;
    let index = dense(&bench).await;
    let vectors = json!([{"id": "a", "values": [1, 2], "metadata": {"t": "x".repeat(30_000)}}]);
    call!(bench, index, upsert, json!({ "vectors": vectors })).unwrap();
    let (status, code, message) = refusal(call!(
        bench,
        index,
        update,
        json!({"id": "a", "values": [3, 4], "setMetadata": {"u": "x".repeat(20_000)}})
    ));
    assert_eq!((status, code), (400, 3));
    assert!(message.contains("exceeds the limit of 40960 bytes per vector"), "{message}");
    let fetched = call!(bench, index, fetch, json!({"ids": ["a"]})).unwrap();
    assert_eq!(fetched["vectors"]["a"]["values"], json!([1.0, 2.0]));
}
