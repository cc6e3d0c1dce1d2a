//! Goal: the life of a backup, and what refuses to be deleted. Method: each rule once, against a
//! store in memory.

use lodgepole_types::{Classify, ErrorKind};

use super::*;
use crate::testing::{
    at, backup_id, catalog, config, cut, index_id, job_id, name, new_backup, new_index, new_job,
    reopened,
};

#[tokio::test]
async fn a_backup_begins_with_the_configuration_of_its_index() {
    let (_, catalog) = catalog().await;
    let unknown = catalog.insert_backup(new_backup(1, 1)).await.unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::NotFound);
    catalog.create_index(new_index(1, "a")).await.unwrap();
    let new = NewBackup {
        name: Some("nightly".to_owned()),
        description: Some("before the change".to_owned()),
        ..new_backup(1, 1)
    };
    let backup = catalog.insert_backup(new).await.unwrap();
    assert_eq!(backup.status, BackupStatus::Initializing);
    assert_eq!(backup.source, config("a"));
    assert_eq!(backup.name.as_deref(), Some("nightly"));
    assert_eq!(backup.description.as_deref(), Some("before the change"));
    assert_eq!(catalog.backup(backup.id), Some(backup));
    let twice = catalog.insert_backup(new_backup(1, 1)).await.unwrap_err();
    assert_eq!(twice.kind(), ErrorKind::Internal);
}

#[tokio::test]
async fn a_completed_backup_says_what_it_holds_also_after_a_crash() {
    let (storage, catalog) = catalog().await;
    catalog.create_index(new_index(1, "a")).await.unwrap();
    catalog.insert_backup(new_backup(1, 1)).await.unwrap();
    let done = catalog.complete_backup(backup_id(1), cut(7)).await.unwrap();
    assert_eq!(done.status, BackupStatus::Ready);
    assert_eq!((done.lsn, done.record_count, done.size_bytes), (Lsn(7), 14, 700));
    assert_eq!(done.checkpoint, Some(Uuid::from_u128(7)));
    assert_eq!(done.segments, ["a", "b"], "sorted, each once");
    let catalog = reopened(&storage, catalog).await;
    assert_eq!(catalog.backup(backup_id(1)), Some(done));
}

#[tokio::test]
async fn a_backup_ends_once() {
    let (_, catalog) = catalog().await;
    catalog.create_index(new_index(1, "a")).await.unwrap();
    for n in [1, 2] {
        catalog.insert_backup(new_backup(n, 1)).await.unwrap();
    }
    catalog.complete_backup(backup_id(1), cut(1)).await.unwrap();
    assert_eq!(catalog.fail_backup(backup_id(2)).await.unwrap().status, BackupStatus::Failed);
    for n in [1, 2] {
        let completed = catalog.complete_backup(backup_id(n), cut(2)).await.unwrap_err();
        let failed = catalog.fail_backup(backup_id(n)).await.unwrap_err();
        assert_eq!((completed.kind(), failed.kind()), (ErrorKind::Conflict, ErrorKind::Conflict));
    }
    let unknown = catalog.complete_backup(backup_id(3), cut(1)).await.unwrap_err();
    assert_eq!(unknown.to_string(), format!("Backup {} not found.", backup_id(3)));
}

#[tokio::test]
async fn a_backup_completes_after_its_index_was_deleted() {
    let (_, catalog) = catalog().await;
    catalog.create_index(new_index(1, "a")).await.unwrap();
    catalog.insert_backup(new_backup(1, 1)).await.unwrap();
    catalog.delete_index(&name("a"), at(5)).await.unwrap();
    let done = catalog.complete_backup(backup_id(1), cut(1)).await.unwrap();
    assert_eq!((done.status, done.source_index_deleted_at), (BackupStatus::Ready, Some(at(5))));
}

#[tokio::test]
async fn backups_are_listed_newest_first_by_index_and_by_name() {
    let (_, catalog) = catalog().await;
    catalog.create_index(new_index(1, "a")).await.unwrap();
    catalog.create_index(new_index(2, "b")).await.unwrap();
    for (n, source, moment) in [(4, 1, 30), (3, 2, 10), (2, 1, 30), (1, 1, 20)] {
        let new = NewBackup { created_at: at(moment), ..new_backup(n, source) };
        catalog.insert_backup(new).await.unwrap();
    }
    catalog.delete_index(&name("a"), at(40)).await.unwrap();
    catalog.create_index(new_index(3, "a")).await.unwrap();
    let again = NewBackup { created_at: at(50), ..new_backup(5, 3) };
    catalog.insert_backup(again).await.unwrap();
    let contents = catalog.contents();
    let ids = |backups: Vec<Arc<Backup>>| -> Vec<_> {
        backups.iter().map(|backup| backup.id.as_uuid().as_u128()).collect()
    };
    assert_eq!(ids(contents.backups()), [5, 2, 4, 1, 3]);
    assert_eq!(ids(contents.backups_of(index_id(1))), [2, 4, 1]);
    assert_eq!(ids(contents.backups_of(index_id(3))), [5]);
    assert_eq!(ids(contents.backups_named(&name("a"))), [5, 2, 4, 1]);
    assert!(contents.backups_named(&name("c")).is_empty());
}

#[tokio::test]
async fn a_backup_that_is_read_or_being_made_stays() {
    let (storage, catalog) = catalog().await;
    catalog.create_index(new_index(1, "a")).await.unwrap();
    catalog.insert_backup(new_backup(1, 1)).await.unwrap();
    let early = catalog.delete_backup(backup_id(1)).await.unwrap_err();
    assert_eq!(early.to_string(), format!("Backup {} is not completed", backup_id(1)));
    catalog.complete_backup(backup_id(1), cut(1)).await.unwrap();
    for (n, target, text) in [(1, 2, "r1"), (2, 3, "r2")] {
        catalog.begin_restore(new_job(n, 1, target, text)).await.unwrap();
    }
    let catalog = reopened(&storage, catalog).await;
    let read = catalog.delete_backup(backup_id(1)).await.unwrap_err();
    assert_eq!(read.kind(), ErrorKind::FailedPrecondition);
    assert_eq!(
        read.to_string(),
        format!(
            "Unable to delete backup. There are pending restore jobs for this backup: \
             ['{}', '{}']",
            job_id(1),
            job_id(2)
        )
    );
    catalog.fail_restore(job_id(1), at(5)).await.unwrap();
    catalog.complete_restore(job_id(2), new_index(3, "r2"), at(6)).await.unwrap();
    let gone = catalog.delete_backup(backup_id(1)).await.unwrap();
    assert_eq!(gone.checkpoint, Some(Uuid::from_u128(1)));
    let catalog = reopened(&storage, catalog).await;
    assert!(catalog.backups().is_empty());
    let again = catalog.delete_backup(backup_id(1)).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_failed_backup_can_be_deleted() {
    let (_, catalog) = catalog().await;
    catalog.create_index(new_index(1, "a")).await.unwrap();
    catalog.insert_backup(new_backup(1, 1)).await.unwrap();
    catalog.fail_backup(backup_id(1)).await.unwrap();
    assert_eq!(catalog.delete_backup(backup_id(1)).await.unwrap().checkpoint, None);
}
