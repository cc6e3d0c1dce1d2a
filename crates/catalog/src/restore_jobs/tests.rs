//! Goal: a restore makes its index exactly once or not at all, and ended jobs stay bounded. Method:
//! each rule once, against a store in memory.

use lodgepole_types::{Classify, ErrorKind};

use super::*;
use crate::testing::{
    at, backup_id, catalog, config, cut, index_id, job_id, memory, name, new_backup, new_index,
    new_job, options, reopened,
};

/// Makes the index 1, "a", and its Ready backup 1.
async fn with_backup(catalog: &Catalog) {
    catalog.create_index(new_index(1, "a")).await.unwrap();
    catalog.insert_backup(new_backup(1, 1)).await.unwrap();
    catalog.complete_backup(backup_id(1), cut(1)).await.unwrap();
}

#[tokio::test]
async fn a_restore_needs_a_ready_backup_and_a_free_name() {
    let (_, catalog) = catalog().await;
    let unknown = catalog.begin_restore(new_job(1, 1, 2, "r")).await.unwrap_err();
    assert_eq!(unknown.to_string(), format!("Backup {} not found.", backup_id(1)));
    with_backup(&catalog).await;
    catalog.insert_backup(new_backup(2, 1)).await.unwrap();
    let early = catalog.begin_restore(new_job(1, 2, 2, "r")).await.unwrap_err();
    assert_eq!(early.kind(), ErrorKind::FailedPrecondition);
    assert_eq!(early.to_string(), format!("Backup {} is not completed", backup_id(2)));
    let taken = catalog.begin_restore(new_job(1, 1, 2, "a")).await.unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::AlreadyExists);
    catalog.begin_restore(new_job(1, 1, 2, "r")).await.unwrap();
    let reserved = catalog.begin_restore(new_job(2, 1, 3, "r")).await.unwrap_err();
    assert_eq!(reserved.kind(), ErrorKind::AlreadyExists);
    let same_id = catalog.begin_restore(new_job(1, 1, 3, "s")).await.unwrap_err();
    let same_target = catalog.begin_restore(new_job(2, 1, 2, "s")).await.unwrap_err();
    let live_target = catalog.begin_restore(new_job(2, 1, 1, "s")).await.unwrap_err();
    for error in [same_id, same_target, live_target] {
        assert_eq!(error.kind(), ErrorKind::Internal);
    }
}

#[tokio::test]
async fn a_completed_restore_is_a_live_index_also_after_a_crash() {
    let (storage, catalog) = catalog().await;
    with_backup(&catalog).await;
    let begun = catalog.begin_restore(new_job(1, 1, 2, "r")).await.unwrap();
    assert_eq!((begun.status, begun.completed_at), (RestoreStatus::Pending, None));
    let catalog = reopened(&storage, catalog).await;
    assert_eq!(catalog.restore_job(job_id(1)), Some(begun));
    assert!(catalog.index(&name("r")).is_none(), "no index before the end");
    assert!(catalog.contents().owns(index_id(2)));
    let (index, job) = catalog.complete_restore(job_id(1), new_index(2, "r"), at(9)).await.unwrap();
    assert_eq!((index.port, index.source_backup_id), (11, Some(backup_id(1))));
    assert_eq!((job.status, job.completed_at), (RestoreStatus::Completed, Some(at(9))));
    let catalog = reopened(&storage, catalog).await;
    assert_eq!(catalog.index(&name("r")), Some(index));
    assert_eq!(catalog.restore_job(job_id(1)), Some(job));
}

#[tokio::test]
async fn a_restore_ends_once_and_with_its_own_index() {
    let (_, catalog) = catalog().await;
    with_backup(&catalog).await;
    catalog.begin_restore(new_job(1, 1, 2, "r")).await.unwrap();
    for other in [new_index(3, "r"), new_index(2, "s")] {
        let error = catalog.complete_restore(job_id(1), other, at(2)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal);
    }
    catalog.complete_restore(job_id(1), new_index(2, "r"), at(3)).await.unwrap();
    let twice = catalog.complete_restore(job_id(1), new_index(2, "r"), at(4)).await.unwrap_err();
    let failed = catalog.fail_restore(job_id(1), at(4)).await.unwrap_err();
    assert_eq!((twice.kind(), failed.kind()), (ErrorKind::Conflict, ErrorKind::Conflict));
    let unknown = catalog.fail_restore(job_id(2), at(4)).await.unwrap_err();
    assert_eq!(unknown.to_string(), format!("Restore job {} not found.", job_id(2)));
}

#[tokio::test]
async fn a_failed_restore_frees_the_name_and_owns_no_data() {
    let (_, catalog) = catalog().await;
    with_backup(&catalog).await;
    catalog.begin_restore(new_job(1, 1, 2, "r")).await.unwrap();
    let job = catalog.fail_restore(job_id(1), at(5)).await.unwrap();
    assert_eq!((job.status, job.completed_at), (RestoreStatus::Failed, Some(at(5))));
    assert!(!catalog.contents().owns(index_id(2)));
    catalog.create_index(new_index(3, "r")).await.unwrap();
}

#[tokio::test]
async fn a_restored_index_may_differ_in_what_the_user_may_set() {
    let (_, catalog) = catalog().await;
    with_backup(&catalog).await;
    catalog.begin_restore(new_job(1, 1, 2, "r")).await.unwrap();
    let mut new = new_index(2, "r");
    new.config.deletion_protection = lodgepole_types::DeletionProtection::Enabled;
    let (index, _) = catalog.complete_restore(job_id(1), new.clone(), at(2)).await.unwrap();
    assert_eq!(index.config, new.config);
    assert_eq!(catalog.backup(backup_id(1)).unwrap().source, config("a"));
}

#[tokio::test]
async fn jobs_are_listed_newest_first() {
    let (_, catalog) = catalog().await;
    with_backup(&catalog).await;
    for (n, moment) in [(4, 30), (3, 10), (2, 30), (1, 20)] {
        let new =
            NewRestoreJob { created_at: at(moment), ..new_job(n, 1, 10 + n, &format!("r{n}")) };
        catalog.begin_restore(new).await.unwrap();
    }
    let ids: Vec<_> = catalog.restore_jobs().iter().map(|job| job.id.as_uuid().as_u128()).collect();
    assert_eq!(ids, [2, 4, 1, 3]);
}

#[tokio::test]
async fn the_oldest_ended_jobs_are_forgotten_above_the_limit() {
    let storage = memory();
    let mut options = options(100);
    options.ended_restore_jobs_max = 2;
    let catalog = Catalog::open(&storage, options.clone()).await.unwrap();
    with_backup(&catalog).await;
    for n in 1..=6 {
        catalog.begin_restore(new_job(n, 1, 10 + n, &format!("r{n}"))).await.unwrap();
    }
    // Job 1 stays pending: age alone does not make a job go.
    for n in [4, 2, 5, 3] {
        catalog.fail_restore(job_id(n), at(100)).await.unwrap();
    }
    let ids = |catalog: &Catalog| -> Vec<_> {
        catalog.restore_jobs().iter().map(|job| job.id.as_uuid().as_u128()).collect()
    };
    assert_eq!(ids(&catalog), [6, 5, 3, 1], "3 was the last to end, so 4 was the oldest other");
    catalog.crash().await;
    options.ended_restore_jobs_max = 1;
    let catalog = Catalog::open(&storage, options).await.unwrap();
    catalog.complete_restore(job_id(6), new_index(16, "r6"), at(101)).await.unwrap();
    assert_eq!(ids(&catalog), [6, 1], "a smaller limit holds from the next end on");
}
