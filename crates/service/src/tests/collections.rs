//! Goal: collections hold what they were made of, are told apart from backups, and refuse what
//! Pinecone refuses. Method: the calls of a client.

use lodgepole_api::{ApiError, ApiVersion, PageQuery};
use lodgepole_types::BackupStatus;
use serde_json::{Value, json};

use super::{Bench, at, ctx, index_body, status, to_json};

/// A body for a pod index with other parts of its spec.
fn pod_body(name: &str, change: &Value) -> Value {
    let mut body = index_body(name);
    body["spec"] = json!({"pod": {"environment": "us-east1-gcp", "pod_type": "p1.x1"}});
    for (key, value) in change.as_object().unwrap() {
        body["spec"]["pod"][key] = value.clone();
    }
    body
}

impl Bench {
    async fn make(&self, body: &Value) -> Result<Value, ApiError> {
        let body = body.to_string();
        let made = self.service.create_index(&ctx(), body.as_bytes()).await;
        made.map(|reply| to_json(&reply))
    }

    async fn collect(&self, name: &str, source: &str) -> Result<Value, ApiError> {
        let body = json!({"name": name, "source": source}).to_string();
        let made = self.service.create_collection(&ctx(), body.as_bytes()).await;
        made.map(|reply| to_json(&reply))
    }

    fn collection(&self, name: &str) -> Result<Value, ApiError> {
        self.service.describe_collection(&ctx(), name).map(|reply| to_json(&reply))
    }
}

fn refused(result: Result<Value, ApiError>, status: u16, part: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.kind().http_status(), status, "{error}");
    assert!(error.message().contains(part), "{error} lacks {part}");
}

#[tokio::test]
async fn an_index_from_a_collection_begins_with_its_records() {
    let bench = Bench::new().await;
    bench.make(&pod_body("a", &json!({}))).await.unwrap();
    bench.fill("a", 0..20).await;
    let expected = bench.nearest("a").await;
    let made = bench.collect("films", "a").await.unwrap();
    let wanted = json!({"name": "films", "status": "Initializing", "environment": "us-east1-gcp",
        "dimension": 2});
    assert_eq!(made, wanted);
    let found = bench.collection("films").unwrap();
    assert_eq!((&found["status"], &found["vector_count"]), (&json!("Ready"), &json!(20)));
    assert!(found["size"].as_u64().unwrap() > 0);
    bench.fill("a", 20..30).await;
    bench.delete_index("a").await;
    let reply = bench.make(&pod_body("b", &json!({"source_collection": "films"}))).await.unwrap();
    assert_eq!(reply["spec"]["pod"]["source_collection"], json!("films"));
    assert_eq!(bench.nearest("b").await, expected);
    let mut euclidean = pod_body("c", &json!({"source_collection": "films"}));
    euclidean["metric"] = json!("euclidean");
    bench.make(&euclidean).await.unwrap();
    assert_eq!(bench.nearest("c").await.matches[0].id, "r5");
    let mut serverless = index_body("d");
    serverless["spec"]["serverless"]["source_collection"] = json!("films");
    let reply = bench.make(&serverless).await.unwrap();
    assert_eq!(reply["spec"]["serverless"]["source_collection"], json!("films"));
    assert_eq!(bench.count("d").await, 20);
    let jobs = bench.service.list_restore_jobs(&ctx(), &PageQuery::default()).unwrap();
    assert_eq!(to_json(&jobs)["data"], json!([]));
    let bench = bench.restarted().await;
    assert_eq!((bench.count("b").await, bench.count("d").await), (20, 20));
    let newest = bench.service.describe_index(&at(ApiVersion::V2026_07), "b").unwrap();
    assert_eq!(to_json(&newest)["source_collection"], json!("films"));
}

#[tokio::test]
async fn a_collection_is_no_backup() {
    let bench = Bench::new().await;
    bench.make(&pod_body("a", &json!({}))).await.unwrap();
    bench.collect("films", "a").await.unwrap();
    let query = PageQuery::default();
    let id = bench.catalog.backups()[0].id.to_string();
    let service = &bench.service;
    let all = service.list_project_backups(&ctx(), &query).unwrap();
    let own = service.list_index_backups(&ctx(), "a", &query).unwrap();
    assert_eq!((all.data.len(), own.data.len()), (0, 0));
    assert_eq!(status(service.describe_backup(&ctx(), &id)), 404);
    assert_eq!(status(service.delete_backup(&ctx(), &id).await), 404);
    assert_eq!(status(bench.restore(&id, "b").await), 404);
    assert_eq!(service.list_collections(&ctx()).collections.len(), 1);
}

#[tokio::test]
async fn a_deleted_collection_is_gone_and_its_data_is_reaped() {
    let bench = Bench::new().await;
    bench.make(&pod_body("a", &json!({}))).await.unwrap();
    bench.fill("a", 0..5).await;
    bench.collect("films", "a").await.unwrap();
    bench.make(&pod_body("b", &json!({"source_collection": "films"}))).await.unwrap();
    bench.delete_index("a").await;
    for _ in 0..3 {
        bench.service.reap_once().await.unwrap();
        bench.advance(std::time::Duration::from_secs(3_600));
    }
    assert_eq!(bench.catalog.hidden().len(), 1, "the collection needs it");
    bench.service.delete_collection(&ctx(), "films").await.unwrap();
    refused(bench.collection("films"), 404, "Collection films not found.");
    for name in ["films", "No_Name"] {
        assert_eq!(status(bench.service.delete_collection(&ctx(), name).await), 404);
    }
    assert!(bench.service.list_collections(&ctx()).collections.is_empty());
    assert_eq!(bench.count("b").await, 5);
}

#[tokio::test]
async fn what_cannot_be_a_collection_is_refused() {
    let bench = Bench::new().await;
    bench.create("serverless").await;
    bench.make(&pod_body("pod", &json!({}))).await.unwrap();
    refused(bench.collect("c", "serverless").await, 400, "pod indexes only");
    refused(bench.collect("c", "none").await, 400, "Resource none not found");
    let body = br#"{"name":"c","source":"none"}"#;
    let newest = bench.service.create_collection(&at(ApiVersion::V2026_07), body).await;
    assert_eq!(status(newest), 404);
    refused(bench.collect("No", "pod").await, 400, "Name must consist");
    let shapeless = bench.service.create_collection(&ctx(), br#"{"name":"c"}"#).await;
    assert_eq!(status(shapeless), 422);
    bench.collect("c", "pod").await.unwrap();
    refused(bench.collect("c", "pod").await, 409, "Resource already exists.");
}

#[tokio::test]
async fn an_index_that_does_not_fit_its_collection_is_refused() {
    let bench = Bench::new().await;
    bench.make(&pod_body("a", &json!({}))).await.unwrap();
    bench.collect("c", "a").await.unwrap();
    let from = |collection: &str| pod_body("b", &json!({"source_collection": collection}));
    refused(bench.make(&from("none")).await, 400, "Resource none not found");
    let mut wide = from("c");
    wide["dimension"] = json!(3);
    refused(bench.make(&wide).await, 400, "dimension");
    let mut elsewhere = from("c");
    elsewhere["spec"]["pod"]["environment"] = json!("us-west1-gcp");
    let text = "collection must be in the same environment as the index";
    refused(bench.make(&elsewhere).await, 400, text);
    let mut taken = from("c");
    taken["name"] = json!("a");
    refused(bench.make(&taken).await, 409, "Resource already exists.");
    assert_eq!(bench.catalog.indexes().len(), 1);
    assert!(bench.catalog.restore_jobs().is_empty());
}

#[tokio::test]
async fn while_a_collection_is_made_its_index_stays() {
    let bench = Bench::new().await;
    bench.make(&pod_body("a", &json!({}))).await.unwrap();
    let new = lodgepole_catalog::NewBackup {
        id: lodgepole_types::BackupId::random(&lodgepole_types::SeededRng::new(99)),
        source_index_id: bench.index("a").id,
        name: None,
        description: None,
        created_at: lodgepole_types::Timestamp(1),
        purpose: lodgepole_types::BackupPurpose::Collection("c".to_owned().try_into().unwrap()),
        expires_at: None,
    };
    bench.catalog.insert_backup(new).await.unwrap();
    assert_eq!(status(bench.service.delete_index(&ctx(), "a").await), 412);
    let body = pod_body("b", &json!({"source_collection": "c"}));
    refused(bench.make(&body).await, 412, "Collection c is not ready");
    // Nobody works on it: it was cut off, and the restart takes it out.
    let bench = bench.restarted().await;
    assert_eq!(bench.collection("c").unwrap_err().kind().http_status(), 404);
    assert!(bench.catalog.backups().iter().all(|row| row.status != BackupStatus::Initializing));
    bench.delete_index("a").await;
}
