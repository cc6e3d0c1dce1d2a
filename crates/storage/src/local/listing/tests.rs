//! Goal: what is listed is what `LocalFileSystem` lists, whatever the names. Method: folders filled at
//! random, with odd names, links and folders in folders; both are asked for prefixes and offsets.
#![expect(clippy::disallowed_methods, reason = "what is listed is made without the store")]

use std::collections::BTreeMap;
use std::path::Path as FilePath;

use futures::TryStreamExt as _;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore};
use proptest::prelude::*;

use super::{BATCH, Listing};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn ours(root: &FilePath, prefix: Option<&Path>, offset: Option<&Path>) -> Vec<ObjectMeta> {
    let listing = Listing::of(root, prefix, offset, |_| false);
    runtime().block_on(listing.stream().try_collect()).unwrap()
}

fn theirs(root: &FilePath, prefix: Option<&Path>, offset: Option<&Path>) -> Vec<ObjectMeta> {
    let files = LocalFileSystem::new_with_prefix(root).unwrap();
    let listed = match offset {
        Some(offset) => files.list_with_offset(prefix, offset),
        None => files.list(prefix),
    };
    runtime().block_on(listed.try_collect()).unwrap()
}

/// By name: length and time.
fn by_name(objects: Vec<ObjectMeta>) -> BTreeMap<String, (u64, i64)> {
    let fact = |object: ObjectMeta| {
        (object.location.to_string(), (object.size, object.last_modified.timestamp_micros()))
    };
    objects.into_iter().map(fact).collect()
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => "[a-c]{1,2}",
        1 => Just("a b".to_owned()),
        1 => Just("a%20b".to_owned()),
        1 => Just("a#1".to_owned()),
        1 => Just("a#b".to_owned()),
        1 => Just("\u{e4}~[x]".to_owned()),
        1 => Just("00000000000000000012.sst".to_owned()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_listing_is_that_of_the_library(
        names in prop::collection::vec(prop::collection::vec(name(), 1..4), 0..12),
        prefix in prop::option::of(name()),
        offset in prop::option::of(prop::collection::vec(name(), 1..3)),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let root = std::fs::canonicalize(folder.path()).unwrap();
        for (number, parts) in names.iter().enumerate() {
            let file = root.join(parts.join("/"));
            // Where a file has the name of a folder, or the other way round, the first one stays.
            if std::fs::create_dir_all(file.parent().unwrap()).is_ok() && !file.exists() {
                std::fs::write(&file, vec![0; number * 700]).unwrap();
            }
        }
        let elsewhere = tempfile::tempdir().unwrap();
        std::fs::write(elsewhere.path().join("f"), b"there").unwrap();
        let _ = std::os::unix::fs::symlink(elsewhere.path(), root.join("link"));
        let _ = std::os::unix::fs::symlink(elsewhere.path().join("f"), root.join("one"));
        let prefix = prefix.and_then(|prefix| Path::parse(prefix).ok());
        let offset = offset.and_then(|parts| Path::parse(parts.join("/")).ok());
        let found = by_name(ours(&root, prefix.as_ref(), offset.as_ref()));
        prop_assert_eq!(found, by_name(theirs(&root, prefix.as_ref(), offset.as_ref())));
    }
}

#[test]
fn more_than_a_batch_is_listed_once_each() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..BATCH + 10 {
        std::fs::write(folder.path().join(format!("{number}")), b"x").unwrap();
    }
    let listed = ours(folder.path(), None, None);
    assert_eq!((listed.len(), by_name(listed).len()), (BATCH + 10, BATCH + 10));
}
