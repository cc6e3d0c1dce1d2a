//! Goal: an index is ready with its answer and gone with its deletion. Method: call, then look at
//! the catalog, the ports and the data.

use lodgepole_api::ApiVersion;
use serde_json::json;

use super::{Bench, FIRST_PORT, at, ctx, index_body, status, text, to_json};
use crate::IndexHosts;

#[tokio::test]
async fn a_created_index_is_described_in_both_dialects_and_has_its_port() {
    let bench = Bench::new().await;
    let body = index_body("a").to_string();
    let created = bench.service.create_index(&ctx(), body.as_bytes()).await.unwrap();
    let described = bench.service.describe_index(&ctx(), "a").unwrap();
    assert_eq!(created, described);
    let reply = to_json(&described);
    assert_eq!(reply["host"], json!(format!("http://localhost:{FIRST_PORT}")));
    assert_eq!(reply["status"], json!({"ready": true, "state": "Ready"}));
    assert!(bench.ports.open.lock().unwrap().contains(&FIRST_PORT));
    assert_eq!(bench.service.index_by_port(FIRST_PORT).unwrap().config.name.as_str(), "a");
    let newest = bench.service.describe_index(&at(ApiVersion::V2026_07), "a").unwrap();
    assert_eq!(to_json(&newest)["schema"]["fields"]["_values"]["dimension"], json!(2));
    assert_eq!(bench.service.list_indexes(&ctx()).indexes, [described]);
    assert_eq!(bench.count("a").await, 0);
}

#[tokio::test]
async fn hosts_follow_the_request() {
    let bench = Bench::new().await;
    let index = bench.create("a").await;
    for (name, scheme, host) in [
        ("10.0.0.7", "http://", "http://10.0.0.7:5081"),
        ("localhost", "", "localhost:5081"),
        ("::1", "https://", "https://[::1]:5081"),
        ("[::1]", "", "[::1]:5081"),
    ] {
        assert_eq!(IndexHosts::on_ports_of(name, scheme).host_of(&index), host);
    }
    let named = IndexHosts::named("-abc1234.svc.example.com".to_owned(), "");
    assert_eq!(named.host_of(&index), "a-abc1234.svc.example.com");
}

#[tokio::test]
async fn a_taken_name_and_unknown_names_are_refused() {
    let bench = Bench::new().await;
    bench.create("a").await;
    let body = index_body("a").to_string();
    assert_eq!(status(bench.service.create_index(&ctx(), body.as_bytes()).await), 409);
    for name in ["b", "No_Name", ""] {
        assert_eq!(status(bench.service.describe_index(&ctx(), name)), 404);
        assert_eq!(status(bench.service.delete_index(&ctx(), name).await), 404);
        assert_eq!(status(bench.service.configure_index(&ctx(), name, b"{}").await), 404);
        assert_eq!(status(bench.service.create_backup(&ctx(), name, b"{}").await), 404);
    }
    assert_eq!(bench.service.list_indexes(&ctx()).indexes.len(), 1);
}

#[tokio::test]
async fn a_deleted_index_frees_name_and_port_and_its_successor_is_empty() {
    let bench = Bench::new().await;
    let old = bench.create("a").await;
    bench.fill("a", 0..10).await;
    bench.delete_index("a").await;
    assert_eq!(status(bench.service.describe_index(&ctx(), "a")), 404);
    assert!(bench.ports.open.lock().unwrap().is_empty());
    assert!(bench.service.index_by_port(old.port).is_none());
    let new = bench.create("a").await;
    assert_eq!((new.port, bench.count("a").await), (old.port, 0));
    assert_ne!(new.id, old.id);
    // What still holds the old index cannot reach the new one.
    let request = lodgepole_api::wire::vectors::DescribeIndexStatsRequest::default();
    assert_eq!(status(bench.service.describe_index_stats(&ctx(), &old, request).await), 404);
}

#[tokio::test]
async fn a_protected_index_stays() {
    let bench = Bench::new().await;
    bench.create("a").await;
    let protect = br#"{"deletion_protection":"enabled","tags":{"made":"","x":"1"}}"#;
    let reply = bench.service.configure_index(&ctx(), "a", protect).await.unwrap();
    assert_eq!(to_json(&reply)["tags"], json!({"x": "1"}));
    let error = bench.service.delete_index(&ctx(), "a").await.unwrap_err();
    assert_eq!(error.kind().http_status(), 403);
    assert!(error.message().starts_with("Deletion protection is enabled for this index"));
    assert!(bench.service.describe_index(&ctx(), "a").is_ok());
    let bad = br#"{"deletion_protection":"disabled","tags":{"a b":"1"}}"#;
    assert_eq!(status(bench.service.configure_index(&ctx(), "a", bad).await), 400);
    assert_eq!(status(bench.service.delete_index(&ctx(), "a").await), 403);
    let unprotect = br#"{"deletion_protection":"disabled"}"#;
    bench.service.configure_index(&ctx(), "a", unprotect).await.unwrap();
    bench.delete_index("a").await;
}

#[tokio::test]
async fn an_index_moves_away_from_a_port_in_use() {
    let bench = Bench::new().await;
    bench.ports.held.lock().unwrap().extend([FIRST_PORT, FIRST_PORT + 1]);
    let index = bench.create("a").await;
    assert_eq!(index.port, FIRST_PORT + 2);
    assert_eq!(*bench.ports.open.lock().unwrap(), [index.port].into());
}

#[tokio::test]
async fn a_long_row_of_ports_in_use_is_passed_over() {
    let bench = Bench::new().await;
    let first = bench.create("a").await;
    bench.ports.held.lock().unwrap().extend(first.port + 1..first.port + 60);
    assert_eq!(bench.create("b").await.port, first.port + 60);
    assert_eq!(bench.create("c").await.port, first.port + 61);
    assert_eq!(bench.index("b").port, first.port + 60);
}

#[tokio::test]
async fn an_index_without_any_port_is_taken_back() {
    let bench = Bench::new().await;
    bench.ports.held.lock().unwrap().extend(FIRST_PORT..FIRST_PORT + 100);
    let mut body = index_body("a");
    body["deletion_protection"] = json!("enabled");
    let result = bench.service.create_index(&ctx(), body.to_string().as_bytes()).await;
    assert_eq!(status(result), 412);
    assert!(bench.catalog.indexes().is_empty());
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let bench = Bench::new().await;
    let gone = bench.create("a").await;
    let index = bench.create("b").await;
    bench.fill("b", 0..10).await;
    bench.delete_index("a").await;
    let bench = bench.restarted().await;
    assert_eq!(bench.index("b").port, index.port);
    // The port of the deleted index is open too, so that it answers that there is nothing.
    assert_eq!(*bench.ports.open.lock().unwrap(), [gone.port, index.port].into());
    assert!(bench.service.index_by_port(gone.port).is_none());
    assert_eq!(bench.count("b").await, 10);
}

#[tokio::test]
async fn after_the_shutdown_changes_are_refused() {
    let bench = Bench::new().await;
    bench.service.shutdown().await;
    let body = index_body("a").to_string();
    assert_eq!(status(bench.service.create_index(&ctx(), body.as_bytes()).await), 503);
    bench.service.shutdown().await;
}

#[tokio::test]
async fn an_index_without_a_name_gets_one() {
    let bench = Bench::new().await;
    let fields = json!({"_values": {"type": "dense_vector", "dimension": 2, "metric": "cosine"}});
    let body = json!({"schema": {"fields": fields}}).to_string();
    let ctx = at(ApiVersion::V2026_07);
    let reply = bench.service.create_index(&ctx, body.as_bytes()).await.unwrap();
    let name = text(&to_json(&reply)["name"]);
    assert!(bench.service.describe_index(&ctx, &name).is_ok());
}
