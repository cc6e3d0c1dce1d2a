//! Goal: data operations answer in the words of the API. Method: one index, every operation.

use lodgepole_api::ApiVersion;
use lodgepole_api::wire::vectors::{
    DeleteRequest, DeleteResponse, DescribeIndexStatsRequest, FetchRequest, ListRequest,
    QueryRequest,
};
use serde_json::json;

use super::{Bench, at, ctx, status, to_json};

fn upserted(namespace: &str) -> lodgepole_api::wire::vectors::UpsertRequest {
    let vectors = json!([
        {"id": "a", "values": [1, 0], "metadata": {"k": "v", "gone": null}},
        {"id": "b", "values": [0, 1]},
    ]);
    serde_json::from_value(json!({"vectors": vectors, "namespace": namespace})).unwrap()
}

#[tokio::test]
async fn replies_echo_the_spelling_of_the_namespace() {
    let bench = Bench::new().await;
    let index = bench.create("i").await;
    bench.service.upsert(&ctx(), &index, upserted("__default__")).await.unwrap();
    for namespace in ["", "__default__"] {
        let ids = vec!["a".to_owned(), "unknown".to_owned()];
        let request = FetchRequest { ids, namespace: namespace.to_owned() };
        let fetched = bench.service.fetch(&ctx(), &index, request).await.unwrap().message;
        assert_eq!((fetched.namespace.as_str(), fetched.vectors.len()), (namespace, 1));
        let request = ListRequest { namespace: namespace.to_owned(), ..ListRequest::default() };
        let listed = bench.service.list(&ctx(), &index, request).await.unwrap().message;
        assert_eq!((listed.namespace.as_str(), listed.vectors.len()), (namespace, 2));
    }
}

#[tokio::test]
async fn every_operation_answers() {
    let bench = Bench::new().await;
    let index = bench.create("i").await;
    let upsert = bench.service.upsert(&ctx(), &index, upserted("n")).await.unwrap();
    assert!(upsert.wrote && upsert.message.upserted_count == 2);
    let query = QueryRequest {
        namespace: "n".to_owned(),
        top_k: 1,
        vector: vec![1.0, 0.1],
        include_metadata: true,
        ..QueryRequest::default()
    };
    let answer = bench.service.query(&ctx(), &index, query).await.unwrap();
    assert!(!answer.wrote && answer.lsn >= upsert.lsn);
    let hit = to_json(&answer.message)["matches"][0].clone();
    assert_eq!((&hit["id"], &hit["metadata"]), (&json!("a"), &json!({"k": "v"})));
    assert_eq!(hit["values"], json!([]));
    assert_eq!(to_json(&answer.message)["usage"], json!({"readUnits": 1}));

    let by_id = QueryRequest {
        namespace: "n".to_owned(),
        top_k: 2,
        id: "b".to_owned(),
        include_values: true,
        ..QueryRequest::default()
    };
    let answer = to_json(&bench.service.query(&ctx(), &index, by_id).await.unwrap().message);
    let wanted = json!({"id": "b", "score": 1.0, "values": [0.0, 1.0]});
    assert_eq!(answer["matches"][0], wanted);

    let page = |token| ListRequest {
        limit: Some(1),
        pagination_token: token,
        namespace: "n".to_owned(),
        ..ListRequest::default()
    };
    let first = bench.service.list(&ctx(), &index, page(None)).await.unwrap().message;
    assert_eq!(first.vectors[0].id, "a");
    let token = first.pagination.unwrap().next;
    let second = bench.service.list(&ctx(), &index, page(Some(token))).await.unwrap().message;
    assert_eq!((second.vectors[0].id.as_str(), second.pagination), ("b", None));
}

#[tokio::test]
async fn deletes_and_counts() {
    let bench = Bench::new().await;
    let index = bench.create("i").await;
    bench.service.upsert(&ctx(), &index, upserted("")).await.unwrap();
    bench.service.upsert(&ctx(), &index, upserted("n")).await.unwrap();
    let ids = DeleteRequest {
        ids: vec!["a".to_owned(), "unknown".to_owned()],
        namespace: "n".to_owned(),
        ..DeleteRequest::default()
    };
    let deleted = bench.service.delete(&ctx(), &index, ids).await.unwrap();
    assert_eq!((deleted.message, deleted.wrote), (DeleteResponse {}, true));
    let stats = |version| {
        let (service, index) = (bench.service.clone(), std::sync::Arc::clone(&index));
        async move {
            let request = DescribeIndexStatsRequest::default();
            let reply = service.describe_index_stats(&at(version), &index, request).await;
            to_json(&reply.unwrap().message)
        }
    };
    assert_eq!(
        stats(ApiVersion::V2025_10).await,
        json!({"namespaces": {"__default__": {"vectorCount": 2}, "n": {"vectorCount": 1}},
            "dimension": 2, "indexFullness": 0.0, "totalVectorCount": 3, "metric": "cosine",
            "vectorType": "dense"})
    );
    assert_eq!(
        stats(ApiVersion::V2024_07).await,
        json!({"namespaces": {"": {"vectorCount": 2}, "n": {"vectorCount": 1}},
            "dimension": 2, "indexFullness": 0.0, "totalVectorCount": 3})
    );
    let all = |namespace: &str| DeleteRequest {
        delete_all: true,
        namespace: namespace.to_owned(),
        ..DeleteRequest::default()
    };
    bench.service.delete(&ctx(), &index, all("n")).await.unwrap();
    bench.service.delete(&ctx(), &index, all("n")).await.unwrap();
    let error = bench.service.delete(&ctx(), &index, all("never")).await.unwrap_err();
    assert_eq!((error.kind().grpc_code(), error.message()), (5, "Namespace not found"));
}

#[tokio::test]
async fn a_refused_upsert_writes_nothing() {
    let bench = Bench::new().await;
    let index = bench.create("i").await;
    let mut request = upserted("");
    request.vectors[1].values.push(1.0);
    assert_eq!(status(bench.service.upsert(&ctx(), &index, request).await), 400);
    assert_eq!(bench.count("i").await, 0);
}
