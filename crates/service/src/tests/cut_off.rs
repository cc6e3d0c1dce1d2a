//! Goal: whatever a crash cuts off between two steps is put right. Method: do the first steps by
//! hand, restart, and look.

use lodgepole_catalog::{NewBackup, NewRestoreJob};
use lodgepole_types::{
    BackupId, BackupPurpose, BackupStatus, IndexId, IndexName, RestoreJobId, RestoreStatus,
    SeededRng, Timestamp,
};

use super::{Bench, ctx, status, text, to_json};
use crate::service::shard_of;

fn new_backup(source: IndexId) -> NewBackup {
    NewBackup {
        id: BackupId::random(&SeededRng::new(99)),
        source_index_id: source,
        name: None,
        description: None,
        created_at: Timestamp(1),
        purpose: BackupPurpose::User,
        expires_at: None,
    }
}

#[tokio::test]
async fn a_backup_cut_off_before_or_after_its_checkpoint_has_failed() {
    for with_checkpoint in [false, true] {
        let bench = Bench::new().await;
        let index = bench.create("a").await;
        let new = new_backup(index.id);
        let (id, name) = (new.id, new.id.to_string());
        bench.catalog.insert_backup(new).await.unwrap();
        if with_checkpoint {
            bench.engine.checkpoint(shard_of(&index), &name).await.unwrap();
        }
        let bench = bench.restarted().await;
        assert_eq!(bench.catalog.backup(id).unwrap().status, BackupStatus::Failed);
        assert_eq!(bench.engine.find_pin(index.id, &name).await.unwrap(), None);
        assert_eq!(status(bench.restore(&name, "b").await), 412);
        bench.service.delete_backup(&ctx(), &name).await.unwrap();
    }
}

#[tokio::test]
async fn a_restore_cut_off_before_or_after_the_clone_leaves_nothing() {
    for with_clone in [false, true] {
        let bench = Bench::new().await;
        let source = bench.create("a").await;
        bench.fill("a", 0..10).await;
        let backup = bench.backup("a").await;
        let backup_id = BackupId::parse(&backup).unwrap();
        let rng = SeededRng::new(99);
        let new = NewRestoreJob {
            id: RestoreJobId::random(&rng),
            backup_id,
            target_index_name: IndexName::parse("b").unwrap(),
            target_index_id: IndexId::random(&rng),
            created_at: Timestamp(1),
        };
        let (job, target) = (new.id, new.target_index_id);
        bench.catalog.begin_restore(new).await.unwrap();
        assert_eq!(status(bench.service.delete_backup(&ctx(), &backup).await), 412);
        assert_eq!(status(bench.restore(&backup, "b").await), 409);
        if with_clone {
            let pin = bench.catalog.backup(backup_id).unwrap().checkpoint.unwrap();
            bench.engine.clone_index(target, source.id, pin).await.unwrap();
        }
        let bench = bench.restarted().await;
        assert_eq!(bench.catalog.restore_job(job).unwrap().status, RestoreStatus::Failed);
        bench.restore(&backup, "b").await.unwrap();
        assert_eq!(bench.count("b").await, 10);
        bench.service.delete_backup(&ctx(), &backup).await.unwrap();
    }
}

#[tokio::test]
async fn a_backup_that_is_not_ready_cannot_be_restored_or_deleted() {
    let bench = Bench::new().await;
    let index = bench.create("a").await;
    let new = new_backup(index.id);
    let id = new.id.to_string();
    bench.catalog.insert_backup(new).await.unwrap();
    let error = bench.restore(&id, "b").await.unwrap_err();
    assert_eq!(error.kind().http_status(), 412);
    assert_eq!(error.message(), format!("Backup {id} is not completed"));
    assert_eq!(status(bench.service.delete_backup(&ctx(), &id).await), 412);
    let reply = to_json(&bench.service.describe_backup(&ctx(), &id).unwrap());
    assert_eq!(text(&reply["status"]), "Initializing");
}

#[tokio::test]
async fn what_is_being_worked_on_is_left_alone() {
    let bench = Bench::new().await;
    let index = bench.create("a").await;
    let new = new_backup(index.id);
    let id = new.id;
    let running = bench.service.shared.running.enter(&id);
    bench.catalog.insert_backup(new).await.unwrap();
    bench.service.settle().await.unwrap();
    assert_eq!(bench.catalog.backup(id).unwrap().status, BackupStatus::Initializing);
    drop(running);
    bench.service.settle().await.unwrap();
    assert_eq!(bench.catalog.backup(id).unwrap().status, BackupStatus::Failed);
}

#[tokio::test]
async fn a_restore_whose_checkpoint_is_gone_fails_as_our_fault_and_leaves_nothing() {
    let bench = Bench::new().await;
    let index = bench.create("a").await;
    let backup = bench.backup("a").await;
    let pin = bench.catalog.backups()[0].checkpoint.unwrap();
    bench.engine.unpin(index.id, pin).await.unwrap();
    assert_eq!(status(bench.restore(&backup, "b").await), 500);
    assert_eq!(bench.catalog.restore_jobs()[0].status, RestoreStatus::Failed);
    assert_eq!(bench.catalog.indexes().len(), 1);
    bench.create("b").await;
}
