//! Goal: each operation with a filter acts on exactly what matches. Method: numbered records, and
//! filters whose matches are known.

use lodgepole_api::ApiVersion;
use serde_json::{Value, json};

use super::{Bench, call, dense, ids, index_with, refusal};

/// Ten records: `n` from 0 to 9, and `even` a truth.
fn ten(namespace: &str) -> Value {
    let vectors: Vec<_> = (0..10)
        .map(|n| {
            json!({"id": format!("r{n}"), "values": [1, n],
                "metadata": {"n": n, "even": n % 2 == 0, "tags": ["all", format!("t{n}")]}})
        })
        .collect();
    json!({"vectors": vectors, "namespace": namespace})
}

#[tokio::test]
async fn a_query_sees_only_what_matches() {
    let bench = Bench::new().await;
    let index = dense(&bench).await;
    call!(bench, index, upsert, ten("")).unwrap();
    let query = |filter: Value| json!({"topK": 10, "vector": [1, 0], "filter": filter});
    let reply = call!(bench, index, query, query(json!({"n": {"$lt": 3}}))).unwrap();
    assert_eq!(ids(&reply), ["r0", "r1", "r2"]);
    let reply = call!(bench, index, query, query(json!({"tags": "t7"}))).unwrap();
    assert_eq!(ids(&reply), ["r7"]);
    let reply = call!(bench, index, query, query(json!({}))).unwrap();
    assert_eq!(ids(&reply).len(), 10);
    let reply = call!(bench, index, query, query(json!({"n": "3"}))).unwrap();
    assert_eq!(reply["matches"], json!([]));
    let by_id = json!({"topK": 1, "id": "r9", "filter": {"n": 8}});
    assert_eq!(ids(&call!(bench, index, query, by_id).unwrap()), ["r8"]);
    let (status, code, _) = refusal(call!(bench, index, query, query(json!({"n": {"$gt": "a"}}))));
    assert_eq!((status, code), (400, 3));
}

#[tokio::test]
async fn a_delete_by_filter_removes_what_matches() {
    let bench = Bench::new().await;
    let index = dense(&bench).await;
    call!(bench, index, upsert, ten("n")).unwrap();
    let delete = json!({"filter": {"even": true}, "ids": [], "namespace": "n"});
    assert_eq!(call!(bench, index, delete, delete).unwrap(), json!({}));
    let listed = call!(bench, index, list, json!({"namespace": "n"})).unwrap();
    let left: Vec<_> = listed["vectors"].as_array().unwrap().iter().map(|v| &v["id"]).collect();
    assert_eq!(left, ["r1", "r3", "r5", "r7", "r9"]);
    // With a filter the ids are ignored.
    let delete = json!({"filter": {"n": 1}, "ids": ["r3"], "namespace": "n"});
    call!(bench, index, delete, delete).unwrap();
    assert_eq!(bench.count("i").await, 4);
    let refused = call!(bench, index, delete, json!({"filter": {"n": 1}, "namespace": "other"}));
    assert_eq!(refusal(refused), (404, 5, "Namespace not found".to_owned()));
    let refused = call!(bench, index, delete, json!({"filter": {}, "namespace": "n"}));
    assert_eq!(refusal(refused).2, "Delete with empty metadata filter is not allowed");
    // The default namespace always exists.
    call!(bench, index, delete, json!({"filter": {"n": 1}})).unwrap();
}

#[tokio::test]
async fn a_fetch_by_metadata_goes_page_by_page() {
    let bench = Bench::new().await;
    let index = dense(&bench).await;
    call!(bench, index, upsert, ten("n")).unwrap();
    let (mut seen, mut token) = (Vec::new(), Value::Null);
    loop {
        let body = json!({"filter": {"even": true}, "namespace": "n", "limit": 2,
            "paginationToken": token});
        let page = call!(bench, index, fetch_by_metadata, body).unwrap();
        assert_eq!((&page["namespace"], &page["usage"]), (&json!("n"), &json!({"readUnits": 1})));
        let vectors = page["vectors"].as_object().unwrap();
        assert!(vectors.len() <= 2);
        for (id, vector) in vectors {
            assert_eq!(vector["metadata"]["even"], json!(true));
            assert_eq!(vector["values"].as_array().unwrap().len(), 2);
            seen.push(id.clone());
        }
        let Some(next) = page.get("pagination") else { break };
        token = next["next"].clone();
    }
    assert_eq!(seen, ["r0", "r2", "r4", "r6", "r8"]);
    let none = json!({"filter": {"even": true}, "namespace": "unknown"});
    let page = call!(bench, index, fetch_by_metadata, none).unwrap();
    assert_eq!((&page["vectors"], page.get("pagination")), (&json!({}), None));
}

#[tokio::test]
async fn a_page_of_long_records_ends_early() {
    let bench = Bench::new().await;
    let index = dense(&bench).await;
    let text = "x".repeat(40_000);
    for part in 0..4 {
        let vectors: Vec<_> = (0..40)
            .map(|n| {
                json!({"id": format!("r{part}{n:02}"), "values": [1, n], "metadata": {"t": text}})
            })
            .collect();
        call!(bench, index, upsert, json!({ "vectors": vectors })).unwrap();
    }
    let body = |token: Value| json!({"filter": {"t": {"$exists": true}}, "limit": 1_000, "paginationToken": token});
    let first = call!(bench, index, fetch_by_metadata, body(Value::Null)).unwrap();
    let count = |page: &Value| page["vectors"].as_object().unwrap().len();
    assert!((90..100).contains(&count(&first)), "4 MB hold {} records", count(&first));
    let token = first["pagination"]["next"].clone();
    let second = call!(bench, index, fetch_by_metadata, body(token)).unwrap();
    assert_eq!(count(&first) + count(&second), 160);
    let (first, second) = (first["vectors"].as_object(), second["vectors"].as_object());
    assert!(first.unwrap().keys().next_back() < second.unwrap().keys().next());
}

#[tokio::test]
async fn statistics_take_a_filter_on_pod_indexes_only() {
    let bench = Bench::new().await;
    let pod = json!({"spec": {"pod": {"environment": "us-east1-gcp", "pod_type": "p1.x1"}}});
    let index = index_with(&bench, pod).await;
    call!(bench, index, upsert, ten("")).unwrap();
    call!(bench, index, upsert, ten("n")).unwrap();
    let filter = json!({"filter": {"n": {"$gte": 7}}});
    let stats = call!(bench, index, describe_index_stats, filter.clone()).unwrap();
    assert_eq!(stats["totalVectorCount"], json!(6));
    assert_eq!(
        stats["namespaces"],
        json!({"__default__": {"vectorCount": 3}, "n": {"vectorCount": 3}})
    );

    let other = Bench::new().await;
    let index = dense(&other).await;
    call!(other, index, upsert, ten("")).unwrap();
    let (status, code, message) = refusal(call!(other, index, describe_index_stats, filter));
    assert_eq!((status, code), (400, 3));
    assert!(message.starts_with("Serverless and Starter indexes do not support"), "{message}");
    let stats = call!(other, index, describe_index_stats, json!({"filter": {}})).unwrap();
    assert_eq!(stats["totalVectorCount"], json!(10));
}

#[tokio::test]
async fn every_index_counts_exactly() {
    let bench = Bench::new().await;
    let index = dense(&bench).await;
    call!(bench, index, upsert, ten("n")).unwrap();
    for (body, wanted) in [
        (
            json!({"filter": {"even": true}, "namespace": "n"}),
            json!({"count": 5, "namespace": "n"}),
        ),
        (json!({"namespace": "n"}), json!({"count": 10, "namespace": "n"})),
        (json!({"filter": {}, "namespace": "n"}), json!({"count": 10, "namespace": "n"})),
        (json!({"namespace": "unknown"}), json!({"count": 0, "namespace": "unknown"})),
        (json!({"filter": {"n": 1}}), json!({"count": 0, "namespace": ""})),
        (json!({}), json!({"count": 0, "namespace": ""})),
    ] {
        assert_eq!(call!(bench, index, count, body).unwrap(), wanted);
    }
}

#[tokio::test]
async fn only_selected_fields_can_be_filtered_by() {
    let bench = Bench::new().await;
    let schema = json!({"fields": {"n": {"filterable": true}}});
    let spec = json!({"serverless": {"cloud": "aws", "region": "us-east-1", "schema": schema}});
    let index = index_with(&bench, json!({ "spec": spec })).await;
    call!(bench, index, upsert, ten("")).unwrap();
    let own = json!({"name": "own", "schema": {"fields": {"even": {"filterable": true}}}});
    call!(bench, index, create_namespace, own).unwrap();
    call!(bench, index, upsert, ten("own")).unwrap();

    let even = json!({"even": true});
    let refused = "Field 'even' is not filterable: the metadata schema selects only 'n'".to_owned();
    let wanted = (400, 3, refused);
    let query = json!({"topK": 10, "vector": [1, 0], "filter": even});
    assert_eq!(refusal(call!(bench, index, query, query)), wanted);
    assert_eq!(refusal(call!(bench, index, delete, json!({ "filter": even }))), wanted);
    let update = json!({"filter": even, "setMetadata": {"x": 1}});
    assert_eq!(refusal(call!(bench, index, update, update)), wanted);
    let dry = json!({"filter": even, "dryRun": true});
    assert_eq!(refusal(call!(bench, index, update, dry)), wanted);
    assert_eq!(refusal(call!(bench, index, fetch_by_metadata, json!({ "filter": even }))), wanted);
    assert_eq!(refusal(call!(bench, index, count, json!({ "filter": even }))), wanted);

    // A namespace's own schema goes before that of the index; both keep all metadata.
    let query = json!({"topK": 10, "vector": [1, 0], "filter": even, "namespace": "own",
            "includeMetadata": true});
    let reply = call!(bench, index, query, query).unwrap();
    assert_eq!((ids(&reply).len(), &reply["matches"][0]["metadata"]["n"]), (5, &json!(0)));
    let refused = json!({"filter": {"n": 1}, "namespace": "own"});
    assert_eq!(refusal(call!(bench, index, count, refused)).0, 400);
}

#[tokio::test]
async fn the_newest_version_counts_the_bytes_that_leave() {
    let bench = Bench::new().await;
    let index = dense(&bench).await;
    call!(bench, index, upsert, ten("")).unwrap();
    let newest = ApiVersion::V2026_07;
    let query = || json!({"topK": 2, "vector": [1, 0]});
    let usage = |reply: Value| reply["usage"].clone();
    let new = usage(call!(at newest, bench, index, query, query()).unwrap());
    assert_eq!(new["readUnits"], json!(1));
    assert!(new["egressBytes"].as_u64().unwrap() > 0);
    let old = usage(call!(bench, index, query, query()).unwrap());
    assert_eq!(old, json!({"readUnits": 1}));
    let fetched = call!(at newest, bench, index, fetch, json!({"ids": ["r1", "none"]})).unwrap();
    assert!(usage(fetched)["egressBytes"].as_u64().unwrap() > new["egressBytes"].as_u64().unwrap());
}
