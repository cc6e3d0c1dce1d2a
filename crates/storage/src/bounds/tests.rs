//! Goal: a database whose newest manifest or list of compactions is lost is found out, instead of being
//! looked for without an end. Method: the newest objects are removed, and the bound says that they were.

use std::sync::Arc;
use std::time::Duration;

use lodgepole_types::SeededRng;
use object_store::memory::InMemory;

use super::*;
use crate::{StorageOptions, SystemClock};

/// A database that has been closed, and what is above it in the store.
async fn closed() -> (Storage, DatabasePath) {
    let clock = Arc::new(SystemClock::new());
    let rng = Arc::new(SeededRng::new(1));
    let store = Arc::new(InMemory::new());
    let storage = Storage::on_store(store, clock, rng, StorageOptions::default());
    let path = DatabasePath::new("a");
    storage.open(&path).await.unwrap().close().await.unwrap();
    (storage, path)
}

async fn newest(storage: &Storage, path: &DatabasePath, kind: &str) -> u64 {
    let folder = StorePath::from(format!("{path}/{kind}"));
    let objects: Vec<_> = storage.store().list(Some(&folder)).try_collect().await.unwrap();
    let names = objects.iter().filter_map(|object| object.location.filename());
    names.filter_map(|name| name.split_once('.')?.0.parse().ok()).max().unwrap()
}

async fn set_bound(storage: &Storage, path: &DatabasePath, kind: &str, number: u64) {
    let bound = StorePath::from(format!("{path}/gc/{kind}.boundary"));
    storage.sealed().put(&bound, number.to_string().into()).await.unwrap();
}

#[tokio::test]
async fn a_database_whose_newest_numbered_object_is_lost_is_not_opened() {
    for kind in ["manifest", "compactions"] {
        let (storage, path) = closed().await;
        let number = newest(&storage, &path, kind).await;
        set_bound(&storage, &path, kind, number).await;
        let opened = tokio::time::timeout(Duration::from_secs(20), storage.open_existing(&path));
        let error = opened.await.unwrap().unwrap_err();
        let collected = tokio::time::timeout(Duration::from_secs(20), storage.collect(&path)).await;
        assert!(matches!(collected.unwrap(), Err(StorageError::ObjectMissing(_))), "{kind}");
        let lost = format!("a/{kind}/{:020}.{kind}", number + 1);
        assert!(matches!(&error, StorageError::ObjectMissing(name) if *name == lost), "{error:?}");
    }
}

/// A power cut may leave any part of a deletion done: here the newest manifest is gone, its bound is not, and
/// older manifests know pins that were given up since.
#[tokio::test]
async fn a_deletion_that_was_cut_off_is_completed() {
    let (storage, path) = closed().await;
    let number = newest(&storage, &path, "manifest").await;
    set_bound(&storage, &path, "manifest", number).await;
    storage.sealed().put(&mark_of(&path), bytes::Bytes::new().into()).await.unwrap();
    assert!(!storage.exists(&path).await.unwrap());
    assert!(storage.pins(&path).await.unwrap().is_empty());
    storage.unpin(&path, uuid::Uuid::nil()).await.unwrap();
    let rest = async {
        storage.collect(&path).await.unwrap();
        storage.delete_database(&path).await.unwrap();
    };
    tokio::time::timeout(Duration::from_secs(20), rest).await.unwrap();
    let left: Vec<_> = storage.store().list(None).try_collect().await.unwrap();
    assert!(left.is_empty(), "{left:?}");
}

/// Two faults at once: half of a clone is deleted, and what it hangs on has lost its newest manifest.
#[tokio::test]
async fn a_deletion_that_was_cut_off_ends_when_the_parent_is_damaged() {
    let (storage, parent) = closed().await;
    let clone = DatabasePath::new("b");
    let database = storage.open(&parent).await.unwrap();
    let pin = database.checkpoint("backup").await.unwrap();
    storage.clone_database(&clone, &parent, pin.id).await.unwrap();
    database.close().await.unwrap();
    assert_eq!(storage.pins(&parent).await.unwrap().len(), 2);
    storage.sealed().put(&mark_of(&clone), bytes::Bytes::new().into()).await.unwrap();
    let number = newest(&storage, &parent, "manifest").await;
    set_bound(&storage, &parent, "manifest", number).await;
    let deleted = tokio::time::timeout(Duration::from_secs(20), storage.delete_database(&clone));
    let error = deleted.await.unwrap().unwrap_err();
    let lost = format!("a/manifest/{:020}.manifest", number + 1);
    assert!(matches!(&error, StorageError::ObjectMissing(name) if *name == lost), "{error:?}");
    set_bound(&storage, &parent, "manifest", number - 1).await;
    storage.delete_database(&clone).await.unwrap();
    assert_eq!(storage.pins(&parent).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_bound_below_the_newest_is_in_order() {
    let (storage, path) = closed().await;
    for kind in ["manifest", "compactions"] {
        let number = newest(&storage, &path, kind).await;
        set_bound(&storage, &path, kind, number - 1).await;
    }
    storage.open_existing(&path).await.unwrap().close().await.unwrap();
}
