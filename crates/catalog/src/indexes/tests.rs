//! Goal: the rules of indexes hold, now and after a crash. Method: each rule once, against a store
//! in memory.

use lodgepole_types::{Classify, ErrorKind, Limits, Tags};

use super::*;
use crate::testing::{
    at, catalog, cut, index_id, memory, name, new_backup, new_index, new_job, options, reopened,
};

#[tokio::test]
async fn an_index_is_there_by_name_id_and_port_also_after_a_crash() {
    let (storage, catalog) = catalog().await;
    let made = catalog.create_index(new_index(1, "a")).await.unwrap();
    assert_eq!((made.port, made.source_backup_id), (10, None));
    let catalog = reopened(&storage, catalog).await;
    assert_eq!(catalog.index(&name("a")).as_ref(), Some(&made));
    assert_eq!(catalog.index_by_id(made.id).as_ref(), Some(&made));
    assert_eq!(catalog.index_by_port(10).as_ref(), Some(&made));
    assert_eq!(catalog.index(&name("b")), None);
    assert_eq!(catalog.index_by_port(11), None);
}

#[tokio::test]
async fn indexes_are_listed_by_name() {
    let (_, catalog) = catalog().await;
    for (n, text) in [(1, "b"), (2, "a"), (3, "c")] {
        catalog.create_index(new_index(n, text)).await.unwrap();
    }
    let names: Vec<_> = catalog.indexes().iter().map(|i| i.config.name.to_string()).collect();
    assert_eq!(names, ["a", "b", "c"]);
}

#[tokio::test]
async fn a_taken_name_is_refused() {
    let (_, catalog) = catalog().await;
    catalog.create_index(new_index(1, "a")).await.unwrap();
    let error = catalog.create_index(new_index(2, "a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert_eq!(error.to_string(), "Resource already exists.");
    assert_eq!(catalog.indexes().len(), 1);
}

#[tokio::test]
async fn of_many_creations_at_once_one_wins() {
    let (_, catalog) = catalog().await;
    let tries = (0..16).map(|n| catalog.create_index(new_index(n, "a")));
    let results = futures::future::join_all(tries).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    assert_eq!(catalog.indexes().len(), 1);
}

#[tokio::test]
async fn an_id_is_used_once() {
    let (_, catalog) = catalog().await;
    catalog.create_index(new_index(1, "a")).await.unwrap();
    let error = catalog.create_index(new_index(1, "b")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
    catalog.delete_index(&name("a"), at(2)).await.unwrap();
    let error = catalog.create_index(new_index(1, "b")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
}

#[tokio::test]
async fn a_change_of_the_configuration_is_kept() {
    let (storage, catalog) = catalog().await;
    catalog.create_index(new_index(1, "a")).await.unwrap();
    let tags = Tags::parse([("k".to_owned(), "v".to_owned())].into(), &Limits::default()).unwrap();
    let changed = catalog
        .configure_index(&name("a"), |config| {
            config.tags = tags.clone();
            config.deletion_protection = DeletionProtection::Enabled;
            Ok::<_, CatalogError>(())
        })
        .await
        .unwrap();
    assert_eq!(changed.config.tags, tags);
    let catalog = reopened(&storage, catalog).await;
    assert_eq!(catalog.index(&name("a")).as_ref(), Some(&changed));
    assert_eq!(catalog.index_by_port(changed.port).as_ref(), Some(&changed));
}

#[tokio::test]
async fn a_refused_change_changes_nothing() {
    let (_, catalog) = catalog().await;
    let made = catalog.create_index(new_index(1, "a")).await.unwrap();
    let error = catalog
        .configure_index(&name("a"), |config| {
            config.deletion_protection = DeletionProtection::Enabled;
            Err(CatalogError::NameTaken)
        })
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    let error = catalog
        .configure_index(&name("a"), |config| {
            config.dense = None;
            Ok::<_, CatalogError>(())
        })
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert_eq!(catalog.index(&name("a")), Some(made));
    let unknown = catalog.configure_index(&name("x"), |_| Ok::<_, CatalogError>(())).await;
    assert_eq!(unknown.unwrap_err().to_string(), "Index x not found.");
}

#[tokio::test]
async fn a_deleted_index_is_hidden_and_its_name_is_free() {
    let (storage, catalog) = catalog().await;
    let made = catalog.create_index(new_index(1, "a")).await.unwrap();
    catalog.delete_index(&name("a"), at(7)).await.unwrap();
    let catalog = reopened(&storage, catalog).await;
    assert_eq!((catalog.index(&name("a")), catalog.index_by_port(10)), (None, None));
    let again = catalog.delete_index(&name("a"), at(8)).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::NotFound);
    let second = catalog.create_index(new_index(2, "a")).await.unwrap();
    assert_eq!(second.port, made.port, "the port stays with the name");
    catalog.delete_index(&name("a"), at(9)).await.unwrap();
    let hidden: Vec<_> = catalog
        .contents()
        .hidden_named(&name("a"))
        .iter()
        .map(|row| (row.index.id, row.deleted_at))
        .collect();
    assert_eq!(hidden, [(index_id(2), at(9)), (index_id(1), at(7))]);
    assert!(catalog.contents().hidden_named(&name("b")).is_empty());
}

#[tokio::test]
async fn a_protected_index_is_not_deleted() {
    let (_, catalog) = catalog().await;
    let mut new = new_index(1, "a");
    new.config.deletion_protection = DeletionProtection::Enabled;
    catalog.create_index(new).await.unwrap();
    let error = catalog.delete_index(&name("a"), at(2)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    assert!(error.to_string().starts_with("Deletion protection is enabled for this index"));
    assert!(catalog.index(&name("a")).is_some());
}

#[tokio::test]
async fn deleting_an_index_marks_its_backups_and_no_others() {
    let (storage, catalog) = catalog().await;
    catalog.create_index(new_index(1, "a")).await.unwrap();
    catalog.create_index(new_index(2, "b")).await.unwrap();
    for (backup, source) in [(1, 1), (2, 2), (3, 1)] {
        catalog.insert_backup(new_backup(backup, source)).await.unwrap();
    }
    catalog.delete_index(&name("a"), at(50)).await.unwrap();
    let catalog = reopened(&storage, catalog).await;
    let marks: Vec<_> = catalog.backups().iter().map(|b| b.source_index_deleted_at).collect();
    assert_eq!(marks, [Some(at(50)), None, Some(at(50))]);
}

#[tokio::test]
async fn a_hidden_index_is_forgotten_only_without_backups() {
    let (storage, catalog) = catalog().await;
    catalog.create_index(new_index(1, "a")).await.unwrap();
    let backup = catalog.insert_backup(new_backup(1, 1)).await.unwrap();
    catalog.complete_backup(backup.id, cut(1)).await.unwrap();
    catalog.delete_index(&name("a"), at(2)).await.unwrap();
    let error = catalog.forget_hidden(index_id(1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FailedPrecondition);
    catalog.delete_backup(backup.id).await.unwrap();
    catalog.forget_hidden(index_id(1)).await.unwrap();
    catalog.forget_hidden(index_id(1)).await.unwrap();
    assert!(catalog.hidden().is_empty() && !catalog.contents().owns(index_id(1)));
    let catalog = reopened(&storage, catalog).await;
    assert!(catalog.hidden().is_empty());
}

#[tokio::test]
async fn ports_run_out_and_are_reused_in_the_order_they_were_freed() {
    let storage = memory();
    let catalog = Catalog::open(&storage, options(3)).await.unwrap();
    for (n, text) in [(1, "a"), (2, "b"), (3, "c")] {
        catalog.create_index(new_index(n, text)).await.unwrap();
    }
    let error = catalog.create_index(new_index(4, "d")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FailedPrecondition);
    assert!(error.to_string().contains("10 to 12"), "{error}");
    for text in ["b", "a"] {
        catalog.delete_index(&name(text), at(9)).await.unwrap();
    }
    catalog.crash().await;
    let catalog = Catalog::open(&storage, options(3)).await.unwrap();
    let port = |index: Arc<Index>| index.port;
    assert_eq!(catalog.create_index(new_index(5, "d")).await.map(port).unwrap(), 11);
    assert_eq!(catalog.create_index(new_index(6, "a")).await.map(port).unwrap(), 10);
    assert!(catalog.create_index(new_index(7, "b")).await.is_err(), "'b' has lost its port");
}

#[tokio::test]
async fn an_index_keeps_its_port_when_the_range_moves_away() {
    let (storage, catalog) = catalog().await;
    catalog.create_index(new_index(1, "a")).await.unwrap();
    catalog.crash().await;
    let elsewhere = crate::CatalogOptions::new(PortRange::new(500, 600).unwrap());
    let catalog = Catalog::open(&storage, elsewhere).await.unwrap();
    assert_eq!(catalog.index(&name("a")).unwrap().port, 10);
    assert_eq!(catalog.create_index(new_index(2, "b")).await.unwrap().port, 500);
}

#[tokio::test]
async fn an_index_can_leave_a_port_that_another_program_holds() {
    let (storage, catalog) = catalog().await;
    catalog.create_index(new_index(1, "a")).await.unwrap();
    assert_eq!(catalog.next_port(&name("a"), &[10, 11].into()), Some(12));
    let moved = catalog.move_index(index_id(1), &[10, 11].into()).await.unwrap();
    assert_eq!(moved.port, 12);
    let catalog = reopened(&storage, catalog).await;
    assert_eq!(catalog.index_by_port(10), None);
    assert_eq!(catalog.index_by_port(12), Some(moved));
    catalog.delete_index(&name("a"), at(3)).await.unwrap();
    assert_eq!(catalog.create_index(new_index(2, "a")).await.unwrap().port, 12);
    let unknown = catalog.move_index(index_id(9), &BTreeSet::new()).await.unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_name_that_is_being_restored_is_taken() {
    let (_, catalog) = catalog().await;
    catalog.create_index(new_index(1, "a")).await.unwrap();
    let backup = catalog.insert_backup(new_backup(1, 1)).await.unwrap();
    catalog.complete_backup(backup.id, cut(1)).await.unwrap();
    catalog.begin_restore(new_job(1, 1, 2, "r")).await.unwrap();
    let error = catalog.create_index(new_index(3, "r")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    let error = catalog.create_index(new_index(2, "other")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal, "the target's id is taken too");
}
