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
        let lost = format!("a/{kind}/{:020}.{kind}", number + 1);
        assert!(matches!(&error, StorageError::ObjectMissing(name) if *name == lost), "{error:?}");
    }
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
