//! Goal: the row of an import goes only the ways it may, and survives a crash. Method: every change
//! on every state, on a store in memory that is opened again.

use super::*;
use crate::CatalogOptions;
use crate::testing::{at, catalog, index_id, memory, name, new_index, options, reopened};
use lodgepole_types::{Classify, ErrorKind};

fn id(n: u128) -> ImportId {
    ImportId::from_uuid(Uuid::from_u128(n))
}

fn new_import(n: u128, index: u128) -> NewImport {
    NewImport {
        id: id(n),
        index_id: index_id(index),
        uri: format!("s3://bucket/{n}"),
        error_mode: ImportErrorMode::Continue,
        created_at: at(i64::try_from(n).unwrap()),
        open_max: 3,
    }
}

fn failed() -> ImportEnd {
    ImportEnd::Failed { error: "User error: no".to_owned(), percent_complete: 12.5 }
}

#[tokio::test]
async fn an_import_lives_through_its_states_and_a_crash() {
    let (storage, catalog) = catalog().await;
    catalog.create_index(new_index(1, "a")).await.unwrap();
    let index = index_id(1);
    catalog.begin_import(new_import(7, 1)).await.unwrap();
    let running = catalog.run_import(index, id(7)).await.unwrap();
    assert!(running.staged && running.status == ImportStatus::InProgress);
    catalog.commit_import(index, id(7), 10, 2).await.unwrap();
    let cancelled = catalog.cancel_import(index, id(7), 50.0, at(9)).await.unwrap();
    assert_eq!(cancelled.status, ImportStatus::Committing, "too late to cancel");
    let done = catalog.end_import(index, id(7), ImportEnd::Completed, at(9)).await.unwrap();
    assert_eq!((done.records_imported, done.rows_skipped, done.staged), (10, 2, false));
    assert_eq!((done.percent_complete, done.finished_at), (100.0, Some(at(9))));
    let before = catalog.contents();
    let catalog = reopened(&storage, catalog).await;
    assert_eq!(catalog.contents(), before);
    assert_eq!(catalog.contents().import(index, id(7)), Some(done));
}

#[tokio::test]
async fn an_ended_import_changes_no_more() {
    let (_storage, catalog) = catalog().await;
    catalog.create_index(new_index(1, "a")).await.unwrap();
    let index = index_id(1);
    for n in [1, 2] {
        catalog.begin_import(new_import(n, 1)).await.unwrap();
        catalog.run_import(index, id(n)).await.unwrap();
    }
    catalog.cancel_import(index, id(1), 5.0, at(9)).await.unwrap();
    let end = catalog.end_import(index, id(2), failed(), at(9)).await.unwrap();
    assert_eq!((end.percent_complete, end.records_imported), (12.5, 0));
    for (n, status) in [(1, ImportStatus::Cancelled), (2, ImportStatus::Failed)] {
        let kinds = [
            catalog.run_import(index, id(n)).await.unwrap_err().kind(),
            catalog.commit_import(index, id(n), 1, 1).await.unwrap_err().kind(),
            catalog.end_import(index, id(n), failed(), at(10)).await.unwrap_err().kind(),
        ];
        assert_eq!(kinds, [ErrorKind::Conflict; 3]);
        let same = catalog.cancel_import(index, id(n), 9.0, at(10)).await.unwrap();
        assert_eq!((same.status, same.finished_at, same.staged), (status, Some(at(9)), true));
        catalog.import_unstaged(index, id(n)).await.unwrap();
        assert!(!catalog.contents().import(index, id(n)).unwrap().staged);
    }
    let error = catalog.cancel_import(index, id(3), 0.0, at(1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn open_imports_of_an_index_are_bounded_and_listed_newest_first() {
    let (_storage, catalog) = catalog().await;
    catalog.create_index(new_index(1, "a")).await.unwrap();
    catalog.create_index(new_index(2, "b")).await.unwrap();
    for n in [3, 5, 4] {
        catalog.begin_import(new_import(n, 1)).await.unwrap();
    }
    let refused = catalog.begin_import(new_import(6, 1)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::RateLimited);
    catalog.begin_import(new_import(6, 2)).await.unwrap();
    catalog.end_import(index_id(1), id(3), failed(), at(9)).await.unwrap();
    catalog.begin_import(new_import(7, 1)).await.unwrap();
    let listed: Vec<_> =
        catalog.contents().imports_of(index_id(1)).iter().map(|import| import.id).collect();
    assert_eq!(listed, [7, 5, 4, 3].map(id));
    let error = catalog.begin_import(new_import(8, 9)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn imports_go_with_their_index() {
    let (_storage, catalog) = catalog().await;
    catalog.create_index(new_index(1, "a")).await.unwrap();
    catalog.create_index(new_index(2, "b")).await.unwrap();
    catalog.begin_import(new_import(3, 1)).await.unwrap();
    catalog.begin_import(new_import(4, 2)).await.unwrap();
    catalog.delete_index(&name("a"), at(9)).await.unwrap();
    catalog.forget_orphaned_imports().await.unwrap();
    let left: Vec<_> = catalog.contents().imports().map(|import| import.id).collect();
    assert_eq!(left, [id(4)]);
}

#[tokio::test]
async fn only_so_many_ended_imports_are_remembered() {
    let options = CatalogOptions { ended_imports_max: 4, ..options(10) };
    let catalog = Catalog::open(&memory(), options).await.unwrap();
    catalog.create_index(new_index(1, "a")).await.unwrap();
    let index = index_id(1);
    for n in 1..=8 {
        catalog.begin_import(new_import(n, 1)).await.unwrap();
        if n == 1 {
            catalog.run_import(index, id(n)).await.unwrap();
        }
        catalog.end_import(index, id(n), failed(), at(1)).await.unwrap();
    }
    let left: Vec<_> =
        catalog.contents().imports_of(index).iter().map(|import| import.id).collect();
    assert_eq!(left, [8, 7, 6, 5, 1].map(id), "and the one that may have left something");
}
