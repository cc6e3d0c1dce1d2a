//! Goal: a damaged index keeps only its own data from being removed. Method: the manifests of one index are
//! overwritten, and others are deleted beside it; the files of the store are counted.

use std::time::Duration;

use futures::TryStreamExt as _;
use lodgepole_storage::object_store::path::Path;
use lodgepole_storage::object_store::{ObjectStoreExt as _, PutPayload};
use lodgepole_types::IndexId;

use super::{Bench, ctx};

impl Bench {
    async fn files_of(&self, index: IndexId, folder: &str) -> Vec<Path> {
        let prefix = Path::from(format!("ix/{index}/{folder}"));
        let listed = self.store.list(Some(&prefix)).map_ok(|file| file.location);
        listed.try_collect().await.unwrap()
    }
}

#[tokio::test]
async fn a_damaged_index_keeps_no_other_from_being_removed() {
    let bench = Bench::new().await;
    let mut indexes = Vec::new();
    // Ids are drawn at random: whatever the order of a round is, something comes after the damage.
    for name in ["a", "b", "c", "damaged"] {
        indexes.push(bench.create(name).await.id);
        bench.fill(name, 0..5).await;
    }
    let backup = bench.backup("a").await;
    let bench = bench.restarted().await;
    let damaged = indexes.pop().unwrap();
    let manifests = bench.files_of(damaged, "db/0/manifest").await;
    assert!(!manifests.is_empty());
    for manifest in manifests {
        bench.store.put(&manifest, PutPayload::from_static(b"no manifest")).await.unwrap();
    }
    for name in ["a", "b", "c"] {
        bench.delete_index(name).await;
    }
    bench.service.delete_backup(&ctx(), &backup).await.unwrap();
    for _ in 0..8 {
        bench.advance(Duration::from_secs(3_600));
        let told = bench.service.reap_once().await;
        assert!(told.is_err(), "each round says that something is damaged");
    }
    assert!(bench.catalog.hidden().is_empty(), "the catalog has forgotten what is gone");
    for index in indexes {
        assert_eq!(bench.files_of(index, "").await, Vec::<Path>::new());
    }
    assert!(!bench.files_of(damaged, "").await.is_empty(), "what is damaged is left as it is");
}
