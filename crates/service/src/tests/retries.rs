//! Goal: a retry after a lost answer gets the same ids, a second call hears that the name is taken.
//! Method: drop the future of a call while it runs, restart, or wait too long.

use std::time::Duration;

use serde_json::json;

use super::{Bench, ctx, status, text};
use crate::undelivered::RETRY_MAX;

/// Calls, and hangs up as soon as the call has begun.
async fn call_and_hang_up(bench: &Bench, backup: &str, name: &str) {
    let service = bench.service.clone();
    let (backup, body) = (backup.to_owned(), json!({"name": name}).to_string());
    let mut call = Box::pin(async move {
        service.create_index_from_backup(&ctx(), &backup, body.as_bytes()).await
    });
    tokio::select! {
        biased;
        _ = &mut call => panic!("the call ended at once"),
        () = tokio::task::yield_now() => {}
    }
}

async fn until_made(bench: &Bench, name: &str, count: usize) {
    while bench.catalog.indexes().len() < count {
        tokio::task::yield_now().await;
    }
    // The answer is kept before the turn is given up.
    let name = lodgepole_types::IndexName::parse(name).unwrap();
    drop(bench.service.shared.restore_turns.of(&name).lock().await);
}

#[tokio::test]
async fn a_restore_is_finished_and_a_retry_gets_its_ids() {
    let bench = Bench::new().await;
    bench.create("a").await;
    let backup = bench.backup("a").await;
    call_and_hang_up(&bench, &backup, "b").await;
    until_made(&bench, "b", 2).await;
    let made = bench.restore(&backup, "b").await.unwrap();
    assert_eq!(text(&made["index_id"]), bench.index("b").id.to_string());
    let jobs = bench.catalog.restore_jobs();
    assert_eq!((jobs.len(), jobs[0].id.to_string()), (1, text(&made["restore_job_id"])));
    assert_eq!(status(bench.restore(&backup, "b").await), 409, "the answer is given once");
}

#[tokio::test]
async fn a_retry_that_comes_while_the_first_attempt_runs_waits_for_it() {
    let bench = Bench::new().await;
    bench.create("a").await;
    let backup = bench.backup("a").await;
    call_and_hang_up(&bench, &backup, "b").await;
    let made = bench.restore(&backup, "b").await.unwrap();
    assert_eq!(text(&made["index_id"]), bench.index("b").id.to_string());
    assert_eq!(bench.catalog.restore_jobs().len(), 1);
}

#[tokio::test]
async fn another_request_for_the_name_is_refused() {
    let bench = Bench::new().await;
    bench.create("a").await;
    let (backup, other) = (bench.backup("a").await, bench.backup("a").await);
    call_and_hang_up(&bench, &backup, "b").await;
    until_made(&bench, "b", 2).await;
    assert_eq!(status(bench.restore(&other, "b").await), 409);
    let body = br#"{"name":"b","tags":{"x":"1"}}"#;
    let different = bench.service.create_index_from_backup(&ctx(), &backup, body).await;
    assert_eq!(status(different), 409);
    assert!(bench.restore(&backup, "b").await.is_ok());
}

#[tokio::test]
async fn a_second_call_after_a_delivered_answer_is_refused() {
    let bench = Bench::new().await;
    bench.create("a").await;
    let backup = bench.backup("a").await;
    bench.restore(&backup, "b").await.unwrap();
    assert_eq!(status(bench.restore(&backup, "b").await), 409);
    assert_eq!(bench.catalog.restore_jobs().len(), 1);
}

#[tokio::test]
async fn a_lost_answer_is_not_kept_for_ever_nor_beyond_its_index() {
    let bench = Bench::new().await;
    bench.create("a").await;
    let backup = bench.backup("a").await;
    call_and_hang_up(&bench, &backup, "b").await;
    until_made(&bench, "b", 2).await;
    bench.advance(RETRY_MAX + Duration::from_secs(1));
    assert_eq!(status(bench.restore(&backup, "b").await), 409);

    call_and_hang_up(&bench, &backup, "c").await;
    until_made(&bench, "c", 3).await;
    let first = bench.index("c").id;
    bench.delete_index("c").await;
    bench.restore(&backup, "c").await.unwrap();
    assert_ne!(bench.index("c").id, first);
}

#[tokio::test]
async fn a_retry_after_a_restart_gets_the_same_ids_for_a_while() {
    let bench = Bench::new().await;
    bench.create("a").await;
    let backup = bench.backup("a").await;
    let made = bench.restore(&backup, "b").await.unwrap();
    bench.advance(Duration::from_secs(1));
    let bench = bench.restarted().await;
    assert_eq!(bench.restore(&backup, "b").await.unwrap(), made);
    let body = br#"{"name":"b","deletion_protection":"enabled"}"#;
    let different = bench.service.create_index_from_backup(&ctx(), &backup, body).await;
    assert_eq!(status(different), 409);
    bench.advance(RETRY_MAX);
    assert_eq!(status(bench.restore(&backup, "b").await), 409);
}
