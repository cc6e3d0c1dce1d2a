//! Goal: a look for damage covers indexes and backups, changes nothing, and leaves nothing behind.
//! Method: indexes with segments, backups of living and of deleted indexes, files damaged below.

use std::collections::BTreeSet;
use std::future::pending;
use std::sync::Mutex;

use futures::TryStreamExt as _;
use lodgepole_engine::AuditDepth;
use lodgepole_storage::object_store::{ObjectStoreExt as _, PutPayload};
use tokio::sync::Notify;

use super::{Bench, ctx};
use crate::VerifyReport;

async fn look(bench: &Bench, depth: AuditDepth) -> VerifyReport {
    bench.service.verify(depth, &|_, _| {}, pending()).await.unwrap()
}

async fn files(bench: &Bench) -> Vec<String> {
    let listed: Vec<_> = bench.store.list(None).try_collect().await.unwrap();
    let mut files: Vec<_> = listed.into_iter().map(|file| file.location.to_string()).collect();
    files.sort();
    files
}

#[tokio::test]
async fn indexes_and_backups_in_order_have_no_findings_and_nothing_is_left_behind() {
    let bench = Bench::indexing().await;
    bench.create("a").await;
    bench.fill("a", 0..60).await;
    bench.engine.index_now().await;
    bench.create("b").await;
    bench.fill("b", 0..3).await;
    let of_a = bench.backup("a").await;
    bench.fill("a", 60..64).await;
    bench.backup("b").await;
    bench.service.delete_index(&ctx(), "b").await.unwrap();
    let before = bench.engine.open_shards().await;
    for depth in [AuditDepth::Quick, AuditDepth::Deep] {
        let looked = Mutex::new(Vec::new());
        let note = |whose: &str, _: u64| looked.lock().unwrap().push(whose.to_owned());
        let report = bench.service.verify(depth, &note, pending()).await.unwrap();
        assert_eq!(report.findings, []);
        assert_eq!((report.indexes, report.backups, report.namespaces), (1, 2, 3));
        assert_eq!(report.records, 64 + 60 + 3);
        assert_eq!(report.segments, 2);
        let looked = looked.into_inner().unwrap();
        assert!(looked.contains(&"index \"a\"".to_owned()), "{looked:?}");
        assert!(looked.contains(&format!("backup {of_a} of index \"a\"")), "{looked:?}");
    }
    assert_eq!(bench.engine.open_shards().await, before, "no copy of a backup stays open");
    let known: Vec<String> = {
        let contents = bench.catalog.contents();
        let live = contents.indexes().into_iter().map(|index| index.id.to_string());
        live.chain(contents.hidden().iter().map(|hidden| hidden.index.id.to_string())).collect()
    };
    for file in files(&bench).await {
        let Some(owner) = file.strip_prefix("ix/").and_then(|rest| rest.split('/').next()) else {
            continue;
        };
        assert!(known.iter().any(|known| known == owner), "{file} is left");
    }
}

#[tokio::test]
async fn damage_is_told_for_the_index_and_for_the_backup_that_need_the_file() {
    let bench = Bench::indexing().await;
    bench.create("a").await;
    bench.fill("a", 0..60).await;
    bench.engine.index_now().await;
    let backup = bench.backup("a").await;
    let segment = files(&bench).await.into_iter().find(|file| file.contains("/seg/")).unwrap();
    let path = lodgepole_storage::object_store::path::Path::from(segment);
    let mut bytes = bench.store.get(&path).await.unwrap().bytes().await.unwrap().to_vec();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    bench.store.put(&path, PutPayload::from(bytes)).await.unwrap();
    let bench = bench.restarted().await;
    let report = look(&bench, AuditDepth::Quick).await;
    let whose: Vec<&str> = report.findings.iter().map(|(whose, _)| whose.as_str()).collect();
    assert_eq!(whose, ["index \"a\"", format!("backup {backup} of index \"a\"").as_str()]);
    for (_, finding) in &report.findings {
        assert!(finding.is_repaired && finding.subject.contains("segment"), "{finding:?}");
    }
}

#[tokio::test]
async fn a_database_that_is_gone_is_told() {
    let bench = Bench::new().await;
    bench.create("a").await;
    bench.fill("a", 0..5).await;
    bench.create("b").await;
    bench.fill("b", 0..5).await;
    let id = bench.catalog.contents().indexes()[0].id;
    bench.engine.retire(id).await;
    for file in files(&bench).await {
        if file.starts_with(&format!("ix/{id}/")) {
            bench
                .store
                .delete(&lodgepole_storage::object_store::path::Path::from(file))
                .await
                .unwrap();
        }
    }
    let bench = bench.restarted().await;
    let report = look(&bench, AuditDepth::Deep).await;
    assert_eq!((report.indexes, report.findings.len()), (2, 1));
    let (whose, finding) = &report.findings[0];
    assert_eq!(whose, "index \"a\"");
    assert!(finding.problem.contains("cannot be opened") && !finding.is_repaired, "{finding:?}");
}

#[tokio::test]
async fn one_is_made_at_a_time() {
    let bench = Bench::new().await;
    bench.create("a").await;
    bench.fill("a", 0..5).await;
    let verify = || bench.service.verify(AuditDepth::Quick, &|_, _| {}, pending());
    let turn = bench.service.shared.verify_turn.try_lock().unwrap();
    let refused = verify().await.unwrap_err();
    drop(turn);
    assert!(refused.message().contains("under way"), "{refused:?}");
    assert!(verify().await.is_ok(), "the turn is given back");
}

#[tokio::test]
async fn one_that_is_stopped_ends_at_once_and_leaves_nothing_behind() {
    // It is stopped as soon as it comes to an index, and then as soon as it comes to a backup, when
    // the copy that it looks at is there.
    let bench = Bench::new().await;
    bench.create("a").await;
    bench.fill("a", 0..5).await;
    bench.backup("a").await;
    bench.backup("a").await;
    let databases = async || {
        let files = files(&bench).await;
        files.iter().filter_map(|file| Some(file.split_once("/db/")?.0.to_owned())).collect()
    };
    let before: BTreeSet<String> = databases().await;
    for (at, wanted) in [("index", 1), ("backup", 2)] {
        let told = Notify::new();
        let looked = Mutex::new(Vec::new());
        let progress = |whose: &str, _: u64| {
            looked.lock().unwrap().push(whose.to_owned());
            if whose.starts_with(at) {
                told.notify_one();
            }
        };
        let stopped = bench.service.verify(AuditDepth::Deep, &progress, told.notified()).await;
        assert_eq!(stopped.unwrap_err().kind(), lodgepole_types::ErrorKind::Unavailable, "{at}");
        assert_eq!(looked.lock().unwrap().len(), wanted, "{at}: nothing was looked at after it");
        assert_eq!(databases().await, before, "{at}: no copy is left");
    }
    assert_eq!(look(&bench, AuditDepth::Deep).await.backups, 2, "the turn is given back");
}
