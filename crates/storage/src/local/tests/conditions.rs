//! Goal: conditional writes have exactly one winner, and a stale version never wins.
//! Method: tasks on several threads race for the same names; every tag the store gives is tried.

use std::sync::Arc;

use object_store::path::Path;
use object_store::{
    Error, GetOptions, ObjectStore, ObjectStoreExt, PutMode, PutPayload, PutResult, Result,
    UpdateVersion,
};

use super::super::*;
use super::{content, open};

async fn update(
    store: &LocalStore,
    path: &Path,
    e_tag: Option<String>,
    value: impl Into<PutPayload>,
) -> Result<PutResult> {
    let version = UpdateVersion { e_tag, version: None };
    store.put_opts(path, value.into(), PutMode::Update(version).into()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixteen_writers_creating_fifty_objects_win_fifty_times() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(open(folder.path()));
    let writers: Vec<_> = (0..16)
        .map(|writer| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let mut won = Vec::new();
                for key in 0..50 {
                    let path = Path::from(format!("keys/{key}"));
                    let value = PutPayload::from(format!("{writer}"));
                    match store.put_opts(&path, value, PutMode::Create.into()).await {
                        Ok(_) => won.push((key, writer)),
                        Err(Error::AlreadyExists { .. }) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
                won
            })
        })
        .collect();
    let mut won = Vec::new();
    for writer in writers {
        won.extend(writer.await.unwrap());
    }
    assert_eq!(won.len(), 50);
    for (key, writer) in won {
        assert_eq!(content(store.as_ref(), &format!("keys/{key}")).await, writer.to_string());
    }
}

#[tokio::test]
async fn an_update_needs_the_tag_of_the_present_content() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let path = Path::from("gc/x.boundary");
    let absent = update(&store, &path, Some("\"00\"".into()), "1").await;
    assert!(matches!(absent, Err(Error::Precondition { .. })), "{absent:?}");
    let first = store.put(&path, "10".into()).await.unwrap().e_tag;
    assert!(first.is_some());
    assert_eq!(first, store.head(&path).await.unwrap().e_tag);
    assert_eq!(first, store.get(&path).await.unwrap().meta.e_tag);
    let second = update(&store, &path, first.clone(), "11").await.unwrap().e_tag;
    assert_ne!(first, second, "same length, same millisecond, other content");
    for stale in [first, None, Some("\"00\"".into())] {
        let refused = update(&store, &path, stale, "12").await;
        assert!(matches!(refused, Err(Error::Precondition { .. })), "{refused:?}");
    }
    assert_eq!(content(&store, "gc/x.boundary").await, "11");
    // A tag outlives the store that gave it.
    drop(store);
    let store = open(folder.path());
    update(&store, &path, second, "13").await.unwrap();
    assert_eq!(content(&store, "gc/x.boundary").await, "13");
}

#[tokio::test]
async fn conditional_reads_compare_the_same_tags() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for length in [2_usize, 5_000] {
        let path = Path::from(format!("{length}"));
        let tag = store.put(&path, vec![1; length].into()).await.unwrap().e_tag;
        let unchanged = GetOptions { if_none_match: tag.clone(), ..Default::default() };
        let answer = store.get_opts(&path, unchanged.clone()).await;
        assert!(matches!(answer, Err(Error::NotModified { .. })), "{length}");
        let wanted = GetOptions { if_match: tag, ..Default::default() };
        store.get_opts(&path, wanted.clone()).await.unwrap();
        store.put(&path, vec![2; length].into()).await.unwrap();
        store.get_opts(&path, unchanged).await.unwrap();
        let answer = store.get_opts(&path, wanted).await;
        assert!(matches!(answer, Err(Error::Precondition { .. })), "{length}");
    }
}

#[tokio::test]
async fn large_objects_are_not_updated_in_place() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let path = Path::from("a");
    let small = store.put(&path, "x".into()).await.unwrap().e_tag;
    let refused = update(&store, &path, small, vec![0; 4_097]).await;
    assert!(matches!(refused, Err(Error::NotSupported { .. })), "{refused:?}");
    let large = store.put(&path, vec![0; 4_097].into()).await.unwrap().e_tag;
    let refused = update(&store, &path, large, "x").await;
    assert!(matches!(refused, Err(Error::NotSupported { .. })), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_writers_adding_one_lose_no_addition() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(open(folder.path()));
    let path = Path::from("counter");
    store.put(&path, "0".into()).await.unwrap();
    let writers: Vec<_> = (0..8)
        .map(|_| {
            let (store, path) = (Arc::clone(&store), path.clone());
            tokio::spawn(async move {
                let mut added = 0;
                while added < 5 {
                    let read = store.get(&path).await.unwrap();
                    let tag = read.meta.e_tag.clone();
                    let bytes = read.bytes().await.unwrap();
                    let value: u32 = std::str::from_utf8(&bytes).unwrap().parse().unwrap();
                    match update(&store, &path, tag, (value + 1).to_string()).await {
                        Ok(_) => added += 1,
                        Err(Error::Precondition { .. }) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(content(store.as_ref(), "counter").await, "40");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_eight_updates_with_one_tag_one_wins() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(open(folder.path()));
    let path = Path::from("a");
    let tag = store.put(&path, "start".into()).await.unwrap().e_tag;
    let writers: Vec<_> = (0..8)
        .map(|i| {
            let (store, path, tag) = (Arc::clone(&store), path.clone(), tag.clone());
            tokio::spawn(async move { update(&store, &path, tag, format!("{i}")).await.is_ok() })
        })
        .collect();
    let mut wins = 0;
    for writer in writers {
        wins += u32::from(writer.await.unwrap());
    }
    assert_eq!(wins, 1);
}
