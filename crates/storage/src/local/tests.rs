//! Goal: a folder behaves as an object store, also under races and across crashes.
//! Method: the store's own interface on a temporary folder, compared with memory where a law can be
//! stated, and raced by tasks on several threads.
#![expect(clippy::result_large_err, reason = "the error is object_store's")]

mod conditions;
mod failing_disk;

use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    Error, GetOptions, GetRange, MultipartUpload, ObjectStore, ObjectStoreExt, PutMultipartOptions,
    PutPayload,
};
use proptest::prelude::*;

use super::*;

pub(super) fn open(root: &FilePath) -> LocalStore {
    LocalStore::open(root, LocalOptions::default()).unwrap()
}

pub(super) async fn content(store: &dyn ObjectStore, path: &str) -> Bytes {
    store.get(&Path::from(path)).await.unwrap().bytes().await.unwrap()
}

pub(super) async fn listed(store: &dyn ObjectStore, prefix: Option<&str>) -> Vec<String> {
    let prefix = prefix.map(Path::from);
    let mut names: Vec<String> = store
        .list(prefix.as_ref())
        .map_ok(|object| object.location.to_string())
        .try_collect()
        .await
        .unwrap();
    names.sort();
    names
}

/// The files in the staging folder.
pub(super) fn staged(root: &FilePath) -> Vec<PathBuf> {
    std::fs::read_dir(root.join(".staging")).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[tokio::test]
async fn what_is_put_is_read_back_whole_and_in_ranges() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for length in [0_usize, 1, 4_096, 4_097, 300_000] {
        let bytes: Bytes = (0..length).map(|i| u8::try_from(i % 251).unwrap()).collect();
        let path = Path::from(format!("a/b/{length}"));
        let put = store.put(&path, PutPayload::from_bytes(bytes.clone())).await.unwrap();
        assert_eq!(content(&store, path.as_ref()).await, bytes);
        let head = store.head(&path).await.unwrap();
        assert_eq!((head.size, &head.e_tag), (length as u64, &put.e_tag), "{length}");
        if length > 1 {
            let (middle, end) = (length as u64 / 2, length as u64);
            let half = bytes.slice(length / 2..);
            assert_eq!(store.get_range(&path, middle..end).await.unwrap(), half);
            let ranges = [0..1, middle..end, 0..end];
            let read = store.get_ranges(&path, &ranges).await.unwrap();
            assert_eq!(read, [bytes.slice(0..1), half.clone(), bytes.clone()]);
            for range in [GetRange::Offset(middle), GetRange::Suffix(end - middle)] {
                let options = GetOptions { range: Some(range), ..Default::default() };
                let read = store.get_opts(&path, options).await.unwrap().bytes().await.unwrap();
                assert_eq!(read, half);
            }
        }
        let beyond = length as u64 + 1..length as u64 + 2;
        assert!(store.get_range(&path, beyond).await.is_err());
    }
}

#[tokio::test]
async fn missing_objects_are_said_to_be_missing() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let (path, other) = (Path::from("a/missing"), Path::from("a/other"));
    store.put(&Path::from("a/there"), "x".into()).await.unwrap();
    let answers = [
        store.get(&path).await.map(|_| ()),
        store.head(&path).await.map(|_| ()),
        store.head(&Path::from("a")).await.map(|_| ()),
        store.delete(&path).await,
        store.copy(&path, &other).await,
        store.copy_if_not_exists(&path, &other).await,
        store.rename(&path, &other).await,
    ];
    for (index, answer) in answers.into_iter().enumerate() {
        assert!(matches!(answer, Err(Error::NotFound { .. })), "{index}: {answer:?}");
    }
    assert_eq!(listed(&store, Some("none")).await, Vec::<String>::new());
}

#[tokio::test]
async fn listing_shows_objects_by_prefix_and_never_the_stores_own_files() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for name in ["a/1", "a/2", "a/b/3", "ab/4", "top"] {
        store.put(&Path::from(name), name.into()).await.unwrap();
    }
    // An upload under way has a staging file.
    let _upload = store.put_multipart(&Path::from("a/9")).await.unwrap();
    assert_eq!(staged(folder.path()).len(), 1);
    assert_eq!(listed(&store, None).await, ["a/1", "a/2", "a/b/3", "ab/4", "top"]);
    assert_eq!(listed(&store, Some("a")).await, ["a/1", "a/2", "a/b/3"]);
    let after: Vec<_> = store
        .list_with_offset(Some(&Path::from("a")), &Path::from("a/1"))
        .map_ok(|object| object.location.to_string())
        .try_collect()
        .await
        .unwrap();
    assert_eq!(after.len(), 2);
    let top = store.list_with_delimiter(None).await.unwrap();
    assert_eq!(top.common_prefixes, [Path::from("a"), Path::from("ab")]);
    assert_eq!(top.objects.len(), 1);
    let below = store.list_with_delimiter(Some(&Path::from("a"))).await.unwrap();
    assert_eq!((below.common_prefixes.len(), below.objects.len()), (1, 2));
    for own in ["LOCK", ".staging/0"] {
        let own = Path::from(own);
        let put = store.put(&own, "x".into()).await;
        assert!(matches!(put, Err(Error::NotSupported { .. })), "{put:?}");
        assert!(matches!(store.get(&own).await, Err(Error::NotFound { .. })));
    }
}

#[tokio::test]
async fn deleting_a_stream_of_names_deletes_them_and_empty_folders_can_be_removed() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for i in 0..30 {
        store.put(&Path::from(format!("db/x/{i}")), "x".into()).await.unwrap();
    }
    let names = futures::stream::iter((0..29).map(|i| Ok(Path::from(format!("db/x/{i}")))));
    let deleted: Vec<Path> = store.delete_stream(Box::pin(names)).try_collect().await.unwrap();
    assert_eq!(deleted.len(), 29);
    store.remove_empty_folders(&Path::from("db")).await.unwrap();
    assert_eq!(listed(&store, None).await, ["db/x/29"]);
    store.delete(&Path::from("db/x/29")).await.unwrap();
    store.remove_empty_folders(&Path::from("db")).await.unwrap();
    assert!(!folder.path().join("db").exists());
    store.sync_deletes().await.unwrap();
    // The folders come back when they are needed again.
    store.put(&Path::from("db/x/30"), "x".into()).await.unwrap();
    assert_eq!(listed(&store, None).await, ["db/x/30"]);
}

#[tokio::test]
async fn an_upload_in_parts_appears_only_when_complete() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let path = Path::from("a/big");
    let mut upload = store.put_multipart(&path).await.unwrap();
    let second_first = [upload.put_part("hello ".into()), upload.put_part("world".into())];
    for part in second_first.into_iter().rev() {
        part.await.unwrap();
    }
    assert!(store.head(&path).await.is_err());
    let put = upload.complete().await.unwrap();
    assert_eq!(content(&store, "a/big").await, "hello world");
    assert_eq!(store.head(&path).await.unwrap().e_tag, put.e_tag);
    assert!(upload.complete().await.is_err(), "it is complete already");

    let mut lacking = store.put_multipart(&Path::from("a/lacking")).await.unwrap();
    drop(lacking.put_part("never awaited".into()));
    lacking.put_part("x".into()).await.unwrap();
    assert!(lacking.complete().await.is_err(), "a part is missing");
    let mut given_up = store.put_multipart(&Path::from("a/given-up")).await.unwrap();
    given_up.put_part("x".into()).await.unwrap();
    given_up.abort().await.unwrap();
    let options = PutMultipartOptions::default();
    drop(store.put_multipart_opts(&Path::from("a/dropped"), options).await.unwrap());
    assert_eq!(listed(&store, None).await, ["a/big"]);
    drop(lacking);
    assert!(staged(folder.path()).is_empty());
}

#[tokio::test]
async fn copies_live_on_without_their_source() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let [a, b, c] = ["x/a", "y/b", "z/c"].map(Path::from);
    store.put(&a, "one".into()).await.unwrap();
    store.copy_if_not_exists(&a, &b).await.unwrap();
    let again = store.copy_if_not_exists(&a, &b).await;
    assert!(matches!(again, Err(Error::AlreadyExists { .. })), "{again:?}");
    // A copy onto a name of the same file, where the system's rename would do nothing.
    store.copy(&a, &b).await.unwrap();
    store.put(&a, "two".into()).await.unwrap();
    assert_eq!(content(&store, "y/b").await, "one");
    store.copy(&a, &b).await.unwrap();
    store.delete(&a).await.unwrap();
    assert_eq!(content(&store, "y/b").await, "two");
    store.rename(&b, &c).await.unwrap();
    assert_eq!(listed(&store, None).await, ["z/c"]);
    store.copy(&c, &a).await.unwrap();
    store.rename(&a, &c).await.unwrap();
    assert_eq!(listed(&store, None).await, ["z/c"], "renamed onto a name of the same file");
    store.put(&a, "three".into()).await.unwrap();
    let taken = store.rename_if_not_exists(&a, &c).await;
    assert!(matches!(taken, Err(Error::AlreadyExists { .. })), "{taken:?}");
    store.rename_if_not_exists(&a, &b).await.unwrap();
    assert_eq!(listed(&store, None).await, ["y/b", "z/c"]);
    assert!(staged(folder.path()).is_empty());
}

#[tokio::test]
async fn one_store_at_a_time_has_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("new/data");
    let store = open(&root);
    let copy = store.clone();
    let refused = LocalStore::open(&root, LocalOptions::default()).unwrap_err();
    let LocalOpenError::InUse { pid, .. } = &refused else { panic!("{refused}") };
    assert_eq!(*pid, Some(std::process::id()));
    assert!(refused.to_string().contains("another process is using"), "{refused}");
    assert_eq!(holder(&root).unwrap(), Some(std::process::id().to_string()));
    store.put(&Path::from("a"), "x".into()).await.unwrap();
    drop(store);
    assert!(LocalStore::open(&root, LocalOptions::default()).is_err(), "a clone still has it");
    drop(copy);
    assert_eq!(holder(&root).unwrap(), None);
    assert_eq!(holder(&root.join("none")).unwrap(), None);
    assert_eq!(content(&open(&root), "a").await, "x");
}

#[tokio::test]
async fn leftovers_of_a_crash_are_swept_and_objects_stay() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.put(&Path::from("a/1"), "x".into()).await.unwrap();
    let upload = store.put_multipart(&Path::from("a/2")).await.unwrap();
    // What a kill leaves: the destructor of the upload never runs.
    let left = staged(folder.path()).pop().unwrap();
    std::fs::hard_link(&left, folder.path().join(".staging/77")).unwrap();
    drop((upload, store));
    assert_eq!(staged(folder.path()).len(), 1);
    let store = open(folder.path());
    assert!(staged(folder.path()).is_empty());
    assert_eq!(listed(&store, None).await, ["a/1"]);
}

#[derive(Debug, Clone)]
enum Step {
    Put(u8, u8),
    Create(u8, u8),
    Delete(u8),
    Copy(u8, u8),
    Rename(u8, u8),
    Upload(u8, u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let name = || 0..5_u8;
    proptest::collection::vec(
        prop_oneof![
            (name(), any::<u8>()).prop_map(|(a, b)| Step::Put(a, b)),
            (name(), any::<u8>()).prop_map(|(a, b)| Step::Create(a, b)),
            name().prop_map(Step::Delete),
            (name(), name()).prop_map(|(a, b)| Step::Copy(a, b)),
            (name(), name()).prop_map(|(a, b)| Step::Rename(a, b)),
            (name(), any::<u8>()).prop_map(|(a, b)| Step::Upload(a, b)),
        ],
        1..30,
    )
}

/// What a step answers, as far as two stores must agree.
async fn take(store: &dyn ObjectStore, step: &Step) -> &'static str {
    let path = |name: &u8| Path::from(format!("dir{}/{name}", name % 2));
    let bytes = |seed: &u8| PutPayload::from(vec![*seed; usize::from(*seed) * 40]);
    let answer = match step {
        Step::Put(name, seed) => store.put(&path(name), bytes(seed)).await.map(|_| ()),
        Step::Create(name, seed) => {
            let mode = object_store::PutMode::Create;
            store.put_opts(&path(name), bytes(seed), mode.into()).await.map(|_| ())
        }
        // Memory does not mind deleting what is not there.
        Step::Delete(name) => match store.delete(&path(name)).await {
            Err(Error::NotFound { .. }) => Ok(()),
            answer => answer,
        },
        Step::Copy(from, to) => store.copy(&path(from), &path(to)).await,
        // Memory would delete an object that is renamed to itself.
        Step::Rename(from, to) if from == to => Ok(()),
        Step::Rename(from, to) => store.rename(&path(from), &path(to)).await,
        Step::Upload(name, seed) => {
            let mut upload = store.put_multipart(&path(name)).await.unwrap();
            upload.put_part(bytes(seed)).await.unwrap();
            upload.complete().await.map(|_| ())
        }
    };
    match answer {
        Ok(()) => "done",
        Err(Error::NotFound { .. }) => "not found",
        Err(Error::AlreadyExists { .. }) => "exists",
        Err(error) => panic!("{step:?}: {error}"),
    }
}

async fn everything(store: &dyn ObjectStore) -> Vec<(String, Bytes)> {
    let mut all = Vec::new();
    for name in listed(store, None).await {
        let bytes = content(store, &name).await;
        all.push((name, bytes));
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_folder_answers_as_memory_does(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let store = open(folder.path());
            let model = InMemory::new();
            for step in &steps {
                let (ours, expected) = (take(&store, step).await, take(&model, step).await);
                assert_eq!(ours, expected, "{step:?}");
            }
            assert_eq!(everything(&store).await, everything(&model).await);
            drop(store);
            let reopened = open(folder.path());
            assert_eq!(everything(&reopened).await, everything(&model).await);
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_of_one_new_folder_all_find_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(open(folder.path()));
    let writers: Vec<_> = (0..16)
        .map(|i| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                store.put(&Path::from(format!("deep/er/{}/{i}", i % 2)), "x".into()).await.unwrap();
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(listed(store.as_ref(), None).await.len(), 16);
}
