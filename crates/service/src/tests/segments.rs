//! Goal: segments go with backups and with the indexes made from them, and go away when nothing
//! needs them. Method: the calls of a client over a store in memory, few rows to a segment, no time
//! of grace; the files of the store are counted, because an index that lost its segment would
//! still answer rightly, from its records.

use std::time::Duration;

use lodgepole_api::wire::vectors::{DeleteRequest, QueryRequest, QueryResponse};
use lodgepole_storage::object_store::path::Path;
use lodgepole_types::BackupId;

use super::{Bench, ctx};

impl Bench {
    /// Everything in the default namespace, nearest first.
    async fn everything(&self, name: &str) -> QueryResponse {
        let request = QueryRequest {
            vector: vec![3.0, 5.0],
            top_k: 1_000,
            include_values: true,
            ..QueryRequest::default()
        };
        self.service.query(&ctx(), &self.index(name), request).await.unwrap().message
    }

    async fn remove(&self, name: &str, numbers: std::ops::Range<u16>) {
        let ids = numbers.map(|number| format!("r{number}")).collect();
        let request = DeleteRequest { ids, ..DeleteRequest::default() };
        self.service.delete(&ctx(), &self.index(name), request).await.unwrap();
    }

    /// The segments that a backup's row names.
    fn segments_of(&self, backup: &str) -> Vec<String> {
        self.catalog.backup(BackupId::parse(backup).unwrap()).unwrap().segments.clone()
    }

    /// The files of segments, of all indexes that are and were.
    async fn segment_files(&self) -> Vec<String> {
        let root = Path::from("ix");
        let indexes = self.store.list_with_delimiter(Some(&root)).await.unwrap().common_prefixes;
        let mut files = Vec::new();
        for index in indexes {
            let folder = Path::from(format!("{index}/seg"));
            let listed = self.store.list_with_delimiter(Some(&folder)).await.unwrap().objects;
            files.extend(listed.into_iter().map(|file| file.location.to_string()));
        }
        files
    }

    /// Enough rounds of the reaper for everything that can go.
    async fn reap(&self) {
        for _ in 0..8 {
            self.advance(Duration::from_secs(3_600));
            self.service.reap_once().await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_backup_keeps_its_segments_until_nothing_made_from_it_needs_them() {
    let bench = Bench::indexing().await;
    bench.create("a").await;
    bench.fill("a", 0..60).await;
    bench.everything("a").await;
    bench.engine.index_now().await;
    bench.remove("a", 0..5).await;
    let expected = bench.everything("a").await;
    let first = bench.backup("a").await;
    let kept = bench.segments_of(&first);
    assert_eq!(kept.len(), 1, "the row names what the engine's checkpoint names");

    bench.remove("a", 5..55).await;
    bench.fill("a", 100..220).await;
    bench.engine.index_now().await;
    let later = bench.everything("a").await;
    bench.reap().await;
    let files = bench.segment_files().await;
    assert!(files.len() >= 2, "that of the backup and that of the index: {files:?}");
    assert_eq!(bench.everything("a").await, later);

    bench.delete_index("a").await;
    bench.reap().await;
    assert_eq!(bench.segment_files().await.len(), 1, "only that of the backup is left");
    bench.restore(&first, "b").await.unwrap();
    assert_eq!(bench.everything("b").await, expected);
    let state = bench.search_state("b");
    assert_eq!((state.segments, state.tail_rows), (1, 0), "it goes on with the segment");

    let second = bench.backup("b").await;
    assert_eq!(bench.segments_of(&second), kept, "a backup of the clone names it too");
    bench.service.delete_backup(&ctx(), &first).await.unwrap();
    bench.reap().await;
    assert_eq!(bench.segment_files().await.len(), 1, "the clone needs it");
    bench.delete_index("b").await;
    bench.reap().await;
    assert_eq!(bench.segment_files().await.len(), 1, "the second backup needs it");

    let bench = bench.restarted().await;
    bench.restore(&second, "c").await.unwrap();
    assert_eq!(bench.everything("c").await, expected);
    assert_eq!(bench.search_state("c").segments, 1);
    bench.service.delete_backup(&ctx(), &second).await.unwrap();
    bench.delete_index("c").await;
    bench.reap().await;
    assert_eq!(bench.segment_files().await, Vec::<String>::new());
    assert!(bench.catalog.hidden().is_empty());
    bench.advance(Duration::from_secs(3_600));
    let nothing = bench.service.reap_once().await.unwrap();
    assert_eq!(nothing, lodgepole_engine::Reaped::default(), "there is nothing left to do");
}

#[tokio::test]
async fn an_index_that_has_no_backup_takes_its_segments_along() {
    let bench = Bench::indexing().await;
    bench.create("a").await;
    bench.fill("a", 0..60).await;
    bench.everything("a").await;
    bench.engine.index_now().await;
    assert_eq!(bench.segment_files().await.len(), 1);
    bench.delete_index("a").await;
    bench.reap().await;
    assert_eq!(bench.segment_files().await, Vec::<String>::new());
}
