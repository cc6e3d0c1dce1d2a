//! Goal: what is visible is durable, what failed changes nothing, and only a catalog that can be
//! understood is opened. Method: crashes, hang-ups, a store that fails, and rows written by hand.

use std::sync::Arc;

use lodgepole_storage::Storage;
use lodgepole_types::{Classify, ErrorKind};

use super::*;
use crate::testing::{
    FailingStore, Writes, at, catalog, index_id, memory, name, new_index, on, options, reopened,
    with_retries,
};

/// Writes rows behind the catalog's back.
async fn with_rows(storage: &Storage, rows: &[(&str, &str)]) {
    let database = storage.open(&DatabasePath::new(PATH)).await.unwrap();
    let mut batch = Batch::new();
    for (key, value) in rows {
        batch.put(key.as_bytes().to_vec(), value.as_bytes().to_vec());
    }
    database.write(batch).await.unwrap().durable().await.unwrap();
    database.close().await.unwrap();
}

const META: (&str, &str) = ("meta", r#"{"v":1,"row":{"format":1,"created_at":4}}"#);

#[tokio::test]
async fn a_new_catalog_is_empty_and_keeps_its_birthday() {
    let (storage, catalog) = catalog().await;
    let born = catalog.contents().created_at();
    assert!(born > at(0) && catalog.indexes().is_empty() && catalog.is_writable());
    let catalog = reopened(&storage, catalog).await;
    assert_eq!(catalog.contents().created_at(), born);
}

#[tokio::test]
async fn a_closed_catalog_takes_no_change_and_opens_again_with_everything() {
    let (storage, catalog) = catalog().await;
    catalog.create_index(new_index(1, "a")).await.unwrap();
    let before = catalog.contents();
    catalog.close().await.unwrap();
    assert!(!catalog.is_writable());
    let refused = catalog.create_index(new_index(2, "b")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    let catalog = Catalog::open(&storage, options(100)).await.unwrap();
    assert_eq!(catalog.contents(), before);
}

#[tokio::test]
async fn contents_that_were_taken_do_not_change() {
    let (_, catalog) = catalog().await;
    let before = catalog.contents();
    catalog.create_index(new_index(1, "a")).await.unwrap();
    assert!(before.indexes().is_empty());
    assert_eq!(catalog.contents().indexes().len(), 1);
}

#[tokio::test]
async fn a_caller_that_hangs_up_does_not_leave_memory_behind_the_disk() {
    let (storage, catalog) = catalog().await;
    let mut create = Box::pin(catalog.create_index(new_index(1, "a")));
    assert!(futures::poll!(&mut create).is_pending());
    drop(create);
    // The next change has to wait for the first one, and must see it.
    let error = catalog.create_index(new_index(2, "a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    let before = catalog.contents();
    let catalog = reopened(&storage, catalog).await;
    assert_eq!(catalog.contents(), before);
}

/// Fails one creation and checks what the poisoned catalog does; answers the reopened one.
async fn after_a_failed_creation(writes: Writes) -> (Arc<Contents>, Catalog) {
    let store = Arc::new(FailingStore::default());
    let storage = on(Arc::clone(&store) as _);
    let catalog = Catalog::open(&storage, options(100)).await.unwrap();
    catalog.create_index(new_index(1, "a")).await.unwrap();
    let before = catalog.contents();
    store.set(writes);
    let failed = catalog.create_index(new_index(2, "b")).await.unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::Unavailable, "{failed:?}");
    assert!(!catalog.is_writable());
    assert_eq!(catalog.contents(), before, "reads still answer what was confirmed");
    store.set(Writes::Work);
    let refused = catalog.create_index(new_index(3, "c")).await.unwrap_err();
    assert!(matches!(refused, CatalogError::Poisoned), "{refused}");
    drop(catalog);
    (before, Catalog::open(&storage, options(100)).await.unwrap())
}

#[tokio::test]
async fn a_change_that_the_store_refused_never_happened() {
    let (before, catalog) = after_a_failed_creation(Writes::Refused).await;
    assert_eq!(catalog.contents(), before);
    catalog.create_index(new_index(3, "c")).await.unwrap();
}

#[tokio::test]
async fn a_change_whose_answer_was_lost_is_there_after_reopening() {
    let (_, catalog) = after_a_failed_creation(Writes::AnswerLost).await;
    assert!(catalog.index(&name("b")).is_some());
    catalog.create_index(new_index(3, "c")).await.unwrap();
}

#[tokio::test]
async fn an_outage_that_storage_waits_out_delays_a_change_and_poisons_nothing() {
    let store = Arc::new(FailingStore::default());
    let storage = with_retries(Arc::clone(&store) as _, None);
    let catalog = Catalog::open(&storage, options(100)).await.unwrap();
    store.set(Writes::Refused);
    let writer = catalog.clone();
    let change = tokio::spawn(async move { writer.create_index(new_index(1, "a")).await });
    storage.clock().sleep(std::time::Duration::from_millis(30)).await;
    assert!(!change.is_finished() && catalog.index(&name("a")).is_none());
    store.set(Writes::Work);
    let made = change.await.unwrap().unwrap();
    assert_eq!(catalog.index(&name("a")), Some(made));
    assert!(catalog.is_writable());
}

#[tokio::test]
async fn a_second_opening_stops_the_first_handle() {
    let (storage, first) = catalog().await;
    first.create_index(new_index(1, "a")).await.unwrap();
    let second = Catalog::open(&storage, options(100)).await.unwrap();
    let error = first.create_index(new_index(2, "b")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert!(!first.is_writable());
    second.create_index(new_index(2, "b")).await.unwrap();
    let second = reopened(&storage, second).await;
    assert_eq!(second.indexes().len(), 2);
}

#[tokio::test]
async fn a_catalog_of_a_newer_version_is_refused_and_left_alone() {
    for (key, value) in [
        ("meta", r#"{"v":1,"row":{"format":3,"created_at":4}}"#),
        ("meta", r#"{"v":3,"else":1}"#),
        ("port/a", r#"{"v":3,"row":{}}"#),
    ] {
        let storage = memory();
        with_rows(&storage, &[META, (key, value)]).await;
        for _ in 0..2 {
            let error = Catalog::open(&storage, options(9)).await.unwrap_err();
            assert!(matches!(error, CatalogError::TooNew { found: 3, .. }), "{error}");
        }
    }
}

#[tokio::test]
async fn a_newer_format_is_recognised_among_kinds_of_row_that_are_unknown() {
    let storage = memory();
    let newer = ("meta", r#"{"v":1,"row":{"format":3,"created_at":4}}"#);
    with_rows(&storage, &[newer, ("alias/a", "{}")]).await;
    let error = Catalog::open(&storage, options(9)).await.unwrap_err();
    assert!(matches!(error, CatalogError::TooNew { .. }), "{error}");
}

#[tokio::test]
async fn an_older_format_is_raised_at_open_and_keeps_what_it_says() {
    let storage = memory();
    with_rows(&storage, &[META]).await;
    let catalog = Catalog::open(&storage, options(9)).await.unwrap();
    let catalog = reopened(&storage, catalog).await;
    let meta = catalog.contents().meta().unwrap();
    assert_eq!((meta.format, meta.created_at), (FORMAT_VERSION, at(4)));
    assert_eq!(catalog.contents().project_id().len(), 7);
}

#[tokio::test]
async fn a_catalog_that_contradicts_itself_is_damaged() {
    let ids = [index_id(1), index_id(2)];
    let index = |n: usize, text: &str, port: u16| {
        let row = Index {
            id: ids[n],
            config: crate::testing::config(text),
            created_at: at(1),
            port,
            source_backup_id: None,
            source_collection: None,
        };
        let row = Row::Index(Arc::new(row));
        (
            String::from_utf8(row.key().encode()).unwrap(),
            String::from_utf8(row.encode().unwrap()).unwrap(),
        )
    };
    let port = |port: u16| format!(r#"{{"v":1,"row":{{"port":{port}}}}}"#);
    let own = |key: &str, value: String| (key.to_owned(), value);
    let meta = || own(META.0, META.1.to_owned());
    let job = r#"{"v":1,"row":{"id":"00000000-0000-0000-0000-000000000003","backup_id":"00000000-0000-0000-0000-000000000002","target_index_name":"b","target_index_id":"00000000-0000-0000-0000-000000000004","status":"Pending","created_at":9,"completed_at":null}}"#;
    let job = own("restore_job/00000000-0000-0000-0000-000000000003", job.to_owned());
    for (rows, words) in [
        (vec![own("port/a", port(1))], "in use by no index"),
        (vec![index(0, "a", 9), own("port/a", port(9))], "'meta' is missing"),
        (vec![meta(), index(0, "a", 9)], "not assigned"),
        (vec![meta(), index(0, "a", 9), index(1, "a", 8)], "two indexes are named a"),
        (vec![meta(), index(0, "a", 9), index(1, "b", 9)], "two indexes have port 9"),
        (vec![meta(), index(0, "a", 9), own("port/a", port(8))], "not assigned"),
        (vec![meta(), job], "reads a backup that is not there"),
        (vec![meta(), own("odd", "{}".to_owned())], "no kind of row"),
    ] {
        let storage = memory();
        let rows: Vec<_> = rows.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        with_rows(&storage, &rows).await;
        let error = Catalog::open(&storage, options(9)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DataLoss);
        assert!(error.to_string().contains(words), "{error} should say: {words}");
    }
}

#[tokio::test]
async fn reads_of_one_moment_fit_together_during_changes() {
    let (_, catalog) = catalog().await;
    let writer = catalog.clone();
    let changes = tokio::spawn(async move {
        for n in 0..10 {
            writer.create_index(new_index(n, "a")).await.unwrap();
            writer.delete_index(&name("a"), at(1)).await.unwrap();
        }
    });
    while !changes.is_finished() {
        let contents = catalog.contents();
        contents.check().unwrap();
        let by_port: Vec<_> =
            contents.indexes().iter().filter_map(|i| contents.index_by_port(i.port)).collect();
        assert_eq!(by_port, contents.indexes());
        tokio::task::yield_now().await;
    }
    changes.await.unwrap();
    assert_eq!(catalog.hidden().len(), 10);
}
