//! Goal: the main job, and the documented refusals around it. Method: the calls of a client.

use std::time::Duration;

use lodgepole_api::{ApiVersion, PageQuery};
use serde_json::{Value, json};

use super::{Bench, at, ctx, status, text, to_json};

fn pages(limit: Option<&str>, token: Option<&str>, include_deleted: bool) -> PageQuery {
    PageQuery {
        limit: limit.map(str::to_owned),
        pagination_token: token.map(str::to_owned),
        include_deleted: include_deleted.then(|| "true".to_owned()),
    }
}

fn ids(list: &Value) -> Vec<String> {
    list["data"].as_array().unwrap().iter().map(|backup| text(&backup["backup_id"])).collect()
}

#[tokio::test]
async fn an_index_made_from_a_backup_holds_exactly_what_was_acknowledged() {
    let bench = Bench::new().await;
    bench.create("a").await;
    bench.fill("a", 0..20).await;
    let expected = bench.nearest("a").await;
    let body = br#"{"name":"nightly","description":"all of it"}"#;
    let backup = to_json(&bench.service.create_backup(&ctx(), "a", body).await.unwrap());
    assert_eq!(backup["status"], json!("Ready"));
    assert_eq!((&backup["record_count"], &backup["namespace_count"]), (&json!(20), &json!(1)));
    assert_eq!((&backup["name"], &backup["description"]), (&json!("nightly"), &json!("all of it")));
    assert_eq!((&backup["dimension"], &backup["cloud"]), (&json!(2), &json!("aws")));
    bench.fill("a", 20..30).await;
    let id = text(&backup["backup_id"]);
    let made = bench.restore(&id, "b").await.unwrap();
    assert_eq!(bench.nearest("b").await, expected);
    assert_eq!((bench.count("a").await, bench.count("b").await), (30, 20));

    let job = bench.service.describe_restore_job(&ctx(), &text(&made["restore_job_id"])).unwrap();
    let job = to_json(&job);
    assert_eq!((&job["status"], &job["percent_complete"]), (&json!("Completed"), &json!(100)));
    assert_eq!(job["target_index_id"], made["index_id"]);
    let jobs = bench.service.list_restore_jobs(&ctx(), &PageQuery::default()).unwrap();
    assert_eq!(to_json(&jobs)["data"], json!([job]));
    let index = bench.service.describe_index(&at(ApiVersion::V2026_07), "b").unwrap();
    let index = to_json(&index);
    assert_eq!(index["source_backup_id"], json!(id));
    assert_eq!(index["tags"], json!({"made": "here"}));
    assert_eq!(index["status"]["ready"], json!(true));
    assert_eq!(bench.ports.open.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn tags_protection_and_capacity_of_the_request_win() {
    let bench = Bench::new().await;
    bench.create("a").await;
    let id = bench.backup("a").await;
    let body = json!({"name": "b", "tags": {"x": "1"}, "deletion_protection": "enabled",
        "read_capacity": {"mode": "Dedicated", "dedicated": {"node_type": "b1",
            "scaling": "Manual", "manual": {"shards": 1, "replicas": 1}}}});
    let body = body.to_string();
    bench.service.create_index_from_backup(&ctx(), &id, body.as_bytes()).await.unwrap();
    let index = to_json(&bench.service.describe_index(&ctx(), "b").unwrap());
    assert_eq!(index["tags"], json!({"x": "1"}));
    assert_eq!(index["deletion_protection"], json!("enabled"));
    assert_eq!(index["spec"]["serverless"]["read_capacity"]["mode"], json!("Dedicated"));
}

#[tokio::test]
async fn a_clone_of_a_clone_outlives_its_ancestors() {
    let bench = Bench::new().await;
    bench.create("a").await;
    bench.fill("a", 0..20).await;
    let expected = bench.nearest("a").await;
    let first = bench.backup("a").await;
    bench.delete_index("a").await;
    bench.restore(&first, "b").await.unwrap();
    let second = bench.backup("b").await;
    bench.service.delete_backup(&ctx(), &first).await.unwrap();
    bench.delete_index("b").await;
    bench.restore(&second, "c").await.unwrap();
    bench.service.delete_backup(&ctx(), &second).await.unwrap();
    for _ in 0..8 {
        bench.advance(Duration::from_secs(3_600));
        bench.service.reap_once().await.unwrap();
    }
    assert!(bench.catalog.hidden().is_empty(), "everything deleted is gone");
    let bench = bench.restarted().await;
    assert_eq!(bench.nearest("c").await, expected);
}

#[tokio::test]
async fn an_index_with_a_backup_is_not_reaped() {
    let bench = Bench::new().await;
    bench.create("a").await;
    bench.fill("a", 0..20).await;
    let id = bench.backup("a").await;
    bench.delete_index("a").await;
    for _ in 0..4 {
        bench.advance(Duration::from_secs(3_600));
        bench.service.reap_once().await.unwrap();
    }
    assert_eq!(bench.catalog.hidden().len(), 1);
    bench.restore(&id, "b").await.unwrap();
    assert_eq!(bench.count("b").await, 20);
}

#[tokio::test]
async fn refusals_have_their_status() {
    let bench = Bench::new().await;
    bench.create("a").await;
    let id = bench.backup("a").await;
    assert_eq!(status(bench.restore(&id, "a").await), 409);
    for missing in ["00000000-0000-4000-8000-000000000000", "no-uuid"] {
        let error = bench.restore(missing, "b").await.unwrap_err();
        assert_eq!(error.kind().http_status(), 404);
        assert_eq!(error.message(), format!("Backup {missing} not found."));
        assert_eq!(status(bench.service.describe_backup(&ctx(), missing)), 404);
        assert_eq!(status(bench.service.delete_backup(&ctx(), missing).await), 404);
        assert_eq!(status(bench.service.describe_restore_job(&ctx(), missing)), 404);
    }
    assert_eq!(status(bench.restore(&id, "Not-A-Name").await), 400);
    let body = b"{}";
    assert_eq!(status(bench.service.create_index_from_backup(&ctx(), &id, body).await), 422);
    assert_eq!(bench.catalog.indexes().len(), 1);
    assert!(bench.catalog.restore_jobs().is_empty());
    bench.service.delete_backup(&ctx(), &id).await.unwrap();
    assert_eq!(status(bench.service.describe_backup(&ctx(), &id)), 404);
    assert_eq!(status(bench.restore(&id, "b").await), 404);
}

#[tokio::test]
async fn lists_are_newest_first_and_paged() {
    let bench = Bench::new().await;
    bench.create("a").await;
    let empty = bench.service.list_index_backups(&ctx(), "a", &PageQuery::default()).unwrap();
    assert_eq!(to_json(&empty), json!({"data": []}));
    let mut newest_first = Vec::new();
    for _ in 0..3 {
        bench.advance(Duration::from_secs(1));
        newest_first.insert(0, bench.backup("a").await);
    }
    let page = pages(Some("2"), None, false);
    let first = to_json(&bench.service.list_project_backups(&ctx(), &page).unwrap());
    assert_eq!(ids(&first), newest_first[..2]);
    let token = text(&first["pagination"]["next"]);
    let page = pages(None, Some(&token), false);
    let second = to_json(&bench.service.list_project_backups(&ctx(), &page).unwrap());
    assert_eq!(ids(&second), newest_first[2..]);
    assert!(second.get("pagination").is_none());
    let bad = pages(Some("0"), None, false);
    assert_eq!(status(bench.service.list_index_backups(&ctx(), "a", &bad)), 400);
}

#[tokio::test]
async fn backups_of_deleted_indexes_are_listed_on_request() {
    let bench = Bench::new().await;
    let list = |name: &str, deleted: bool| {
        let page = pages(None, None, deleted);
        bench
            .service
            .list_index_backups(&at(ApiVersion::V2026_07), name, &page)
            .map(|list| to_json(&list))
    };
    assert_eq!(status(list("a", false)), 404);
    assert_eq!(status(list("a", true)), 404);
    bench.create("a").await;
    let old = bench.backup("a").await;
    assert_eq!(ids(&list("a", false).unwrap()), std::slice::from_ref(&old));
    bench.delete_index("a").await;
    assert_eq!(status(list("a", false)), 404);
    let of_deleted = list("a", true).unwrap();
    assert_eq!(ids(&of_deleted), std::slice::from_ref(&old));
    assert!(of_deleted["data"][0]["source_index_deleted_at"].is_string());
    bench.advance(Duration::from_secs(1));
    bench.create("a").await;
    let new = bench.backup("a").await;
    assert_eq!(ids(&list("a", false).unwrap()), std::slice::from_ref(&new));
    assert_eq!(ids(&list("a", true).unwrap()), [new, old]);
}
