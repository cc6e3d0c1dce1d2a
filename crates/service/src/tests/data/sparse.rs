//! Goal: sparse values are stored, found and given back as they were sent. Method: one index of
//! each kind, scores worked out by hand.

use serde_json::json;

use super::{Bench, call, dense, hybrid, ids, refusal, sparse};

#[tokio::test]
async fn a_sparse_index_scores_shared_dimensions() {
    let bench = Bench::new().await;
    let index = sparse(&bench).await;
    let vectors = json!([
        {"id": "a", "sparseValues": {"indices": [4_294_967_295_u32, 3], "values": [0.5, 0.4]}},
        {"id": "b", "sparse_values": {"indices": [3], "values": [2.0]}, "metadata": {"k": 1}},
        {"id": "c", "sparseValues": {"indices": [7], "values": [9.0]}},
    ]);
    let counted = call!(bench, index, upsert, json!({ "vectors": vectors })).unwrap();
    assert_eq!(counted, json!({"upsertedCount": 3}));

    let query = json!({"topK": 10, "sparseVector": {"indices": [3], "values": [1.0]},
        "includeValues": true});
    let reply = call!(bench, index, query, query).unwrap();
    assert_eq!(ids(&reply), ["b", "a"], "c shares no dimension");
    assert_eq!(
        reply["matches"][1],
        json!({"id": "a", "score": 0.4_f32, "values": [],
            "sparseValues": {"indices": [4_294_967_295_u32, 3], "values": [0.5_f32, 0.4_f32]}})
    );
    let by_id = call!(bench, index, query, json!({"topK": 1, "id": "c"})).unwrap();
    assert_eq!(by_id["matches"], json!([{"id": "c", "score": 81.0, "values": []}]));

    let fetched = call!(bench, index, fetch, json!({"ids": ["a", "a"]})).unwrap();
    assert_eq!(
        fetched["vectors"],
        json!({"a": {"id": "a", "values": [],
            "sparseValues": {"indices": [4_294_967_295_u32, 3], "values": [0.5_f32, 0.4_f32]}}})
    );
    let stats = call!(bench, index, describe_index_stats, json!({})).unwrap();
    assert_eq!(
        stats,
        json!({"namespaces": {"__default__": {"vectorCount": 3}}, "indexFullness": 0.0,
            "totalVectorCount": 3, "metric": "dotproduct", "vectorType": "sparse"})
    );
}

#[tokio::test]
async fn a_hybrid_query_adds_both_scores() {
    let bench = Bench::new().await;
    let index = hybrid(&bench).await;
    let vectors = json!([
        {"id": "both", "values": [1, 0], "sparseValues": {"indices": [5, 2], "values": [3, 1]}},
        {"id": "dense", "values": [4, 0]},
        {"id": "sparse", "sparseValues": {"indices": [2], "values": [100]}},
    ]);
    call!(bench, index, upsert, json!({ "vectors": vectors })).unwrap();

    let hybrid = json!({"topK": 5, "vector": [1, 0],
        "sparseVector": {"indices": [2, 5], "values": [1, 2]}});
    let reply = call!(bench, index, query, hybrid).unwrap();
    assert_eq!(ids(&reply), ["both", "dense"]);
    assert_eq!(
        (&reply["matches"][0]["score"], &reply["matches"][1]["score"]),
        (&json!(8.0), &json!(4.0))
    );
    let plain = call!(bench, index, query, json!({"topK": 5, "vector": [1, 0]})).unwrap();
    assert_eq!(ids(&plain), ["dense", "both"]);
    let sparse_only = json!({"topK": 5, "sparseVector": {"indices": [2], "values": [1]}});
    let reply = call!(bench, index, query, sparse_only).unwrap();
    assert_eq!(ids(&reply), ["sparse", "both"]);
    let by_id = call!(bench, index, query, json!({"topK": 1, "id": "both"})).unwrap();
    assert_eq!(by_id["matches"][0]["score"], json!(11.0));
    let fetched = call!(bench, index, fetch, json!({"ids": ["both"]})).unwrap();
    assert_eq!(fetched["vectors"]["both"]["sparseValues"]["indices"], json!([5, 2]));
}

#[tokio::test]
async fn other_metrics_take_sparse_values_in_updates_only() {
    let bench = Bench::new().await;
    let index = dense(&bench).await;
    let values = json!({"indices": [9, 1], "values": [0.5, 0.25]});
    let refused = "Index configuration does not support sparse values - only indexes that are \
                   sparse or using dotproduct are supported";
    let upsert = json!({"vectors": [{"id": "a", "values": [1, 2], "sparseValues": values}]});
    assert_eq!(refusal(call!(bench, index, upsert, upsert)), (400, 3, refused.to_owned()));
    let query = json!({"topK": 1, "vector": [1, 2], "sparseVector": values});
    assert_eq!(refusal(call!(bench, index, query, query)), (400, 3, refused.to_owned()));

    call!(bench, index, upsert, json!({"vectors": [{"id": "a", "values": [1, 2]}]})).unwrap();
    call!(bench, index, update, json!({"id": "a", "sparseValues": values})).unwrap();
    let fetched = call!(bench, index, fetch, json!({"ids": ["a"]})).unwrap();
    assert_eq!(
        fetched["vectors"]["a"],
        json!({"id": "a", "values": [1.0, 2.0], "sparseValues": values})
    );
    let reply = call!(bench, index, query, json!({"topK": 1, "id": "a"})).unwrap();
    assert!((reply["matches"][0]["score"].as_f64().unwrap() - 1.0).abs() < 1e-4);
}

#[tokio::test]
async fn a_refused_record_keeps_the_others_out() {
    let bench = Bench::new().await;
    let index = sparse(&bench).await;
    let good = json!({"id": "a", "sparseValues": {"indices": [1], "values": [1]}});
    for (bad, message) in [
        (
            json!({"id": "b", "values": [1], "sparseValues": {"indices": [1], "values": [1]}}),
            "Upserting dense vectors is not supported for sparse indexes",
        ),
        (
            json!({"id": "b", "sparseValues": {"indices": [1, 1], "values": [1, 2]}}),
            "Sparse vector indices must be unique, but 1 occurs more than once",
        ),
    ] {
        let refused = call!(bench, index, upsert, json!({"vectors": [good, bad]}));
        assert_eq!(refusal(refused), (400, 3, message.to_owned()));
    }
    assert_eq!(bench.count("i").await, 0);
}
