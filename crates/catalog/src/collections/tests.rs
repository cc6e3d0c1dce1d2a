//! Goal: the life of a collection, and who sees it. Method: each rule once, against a store in
//! memory.

use lodgepole_types::{Classify, ErrorKind};

use crate::testing::{
    at, backup_id, catalog, cut, index_id, job_id, name, new_backup, new_collection, new_index,
    new_job, reopened,
};
use crate::{Catalog, CatalogError};

/// A catalog with the index `a`, a backup of it and the collection `c`, all ready.
async fn with_collection() -> (lodgepole_storage::Storage, Catalog) {
    let (storage, catalog) = catalog().await;
    catalog.create_index(new_index(1, "a")).await.unwrap();
    catalog.insert_backup(new_backup(1, 1)).await.unwrap();
    catalog.complete_backup(backup_id(1), cut(1)).await.unwrap();
    catalog.insert_backup(new_collection(2, 1, "c")).await.unwrap();
    catalog.complete_backup(backup_id(2), cut(2)).await.unwrap();
    (storage, catalog)
}

fn text<T: std::fmt::Debug>(result: Result<T, CatalogError>) -> (ErrorKind, String) {
    let error = result.unwrap_err();
    (error.kind(), error.to_string())
}

#[tokio::test]
async fn a_collection_is_no_backup_to_users_but_keeps_its_data() {
    let (storage, catalog) = with_collection().await;
    let catalog = reopened(&storage, catalog).await;
    let contents = catalog.contents();
    assert_eq!(contents.listed_backups().len(), 1);
    assert_eq!(contents.listed_backups_of(index_id(1)).len(), 1);
    assert_eq!(contents.backups_named(&name("a")).len(), 1);
    assert_eq!(contents.listed_backup(backup_id(2)), None);
    assert_eq!(contents.backups_of(index_id(1)).len(), 2);
    assert_eq!(contents.collection(&name("c")).unwrap().record_count, 4);
    assert_eq!(contents.collections().len(), 1);
    let refused = catalog.delete_backup(backup_id(2)).await;
    assert_eq!(text(refused).0, ErrorKind::NotFound);
    catalog.delete_index(&name("a"), at(9)).await.unwrap();
    catalog.delete_backup(backup_id(1)).await.unwrap();
    let needed = catalog.forget_hidden(index_id(1)).await;
    assert_eq!(text(needed).0, ErrorKind::FailedPrecondition);
}

#[tokio::test]
async fn names_of_collections_are_unique_and_come_free_again() {
    let (_, catalog) = with_collection().await;
    let taken = catalog.insert_backup(new_collection(3, 1, "c")).await;
    assert_eq!(text(taken), (ErrorKind::AlreadyExists, "Resource already exists.".to_owned()));
    catalog.insert_backup(new_collection(3, 1, "a")).await.unwrap();
    assert_eq!(catalog.delete_collection(&name("c")).await.unwrap().id, backup_id(2));
    let again = catalog.delete_collection(&name("c")).await;
    assert_eq!(text(again), (ErrorKind::NotFound, "Collection c not found.".to_owned()));
    catalog.insert_backup(new_collection(4, 1, "c")).await.unwrap();
}

#[tokio::test]
async fn while_a_collection_is_made_its_index_stays() {
    let (_, catalog) = with_collection().await;
    catalog.insert_backup(new_collection(3, 1, "d")).await.unwrap();
    let kept = text(catalog.delete_index(&name("a"), at(9)).await);
    assert_eq!(kept.0, ErrorKind::FailedPrecondition);
    let wanted = "Unable to delete an index. There are pending collections for this index: ['d']";
    assert_eq!(kept.1, wanted);
    let early = text(catalog.delete_collection(&name("d")).await);
    assert_eq!(early, (ErrorKind::FailedPrecondition, "Collection d is not ready".to_owned()));
    let read = text(catalog.begin_restore(new_job(1, 3, 2, "b")).await);
    assert_eq!(read, early);
    catalog.fail_backup(backup_id(3)).await.unwrap();
    assert_eq!(catalog.backup(backup_id(3)), None, "it never was");
    catalog.delete_index(&name("a"), at(9)).await.unwrap();
}

#[tokio::test]
async fn an_index_from_a_collection_names_it_and_shows_no_job() {
    let (storage, catalog) = with_collection().await;
    catalog.begin_restore(new_job(1, 2, 2, "b")).await.unwrap();
    let catalog = reopened(&storage, catalog).await;
    let contents = catalog.contents();
    assert!(contents.owns(index_id(2)));
    assert!(contents.listed_restore_jobs().is_empty());
    assert_eq!(contents.listed_restore_job(job_id(1)), None);
    let in_use = text(catalog.delete_collection(&name("c")).await);
    assert_eq!(in_use.0, ErrorKind::FailedPrecondition);
    assert!(in_use.1.ends_with("['b']"), "{}", in_use.1);
    let (index, _) = catalog.complete_restore(job_id(1), new_index(2, "b"), at(6)).await.unwrap();
    assert_eq!((index.source_collection.clone(), index.source_backup_id), (Some(name("c")), None));
    assert!(catalog.restore_jobs().is_empty());
    catalog.begin_restore(new_job(2, 2, 3, "d")).await.unwrap();
    catalog.fail_restore(job_id(2), at(7)).await.unwrap();
    assert!(catalog.restore_jobs().is_empty());
    catalog.delete_collection(&name("c")).await.unwrap();
    let catalog = reopened(&storage, catalog).await;
    assert_eq!(catalog.index(&name("b")).unwrap().source_collection, Some(name("c")));
}
