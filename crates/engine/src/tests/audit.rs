//! Goal: an audit finds every kind of damage, names what it is in, and finds nothing where nothing is
//! wrong. Method: an index with segments, dead rows, a queue, several namespaces; then one row or file
//! at a time is changed below the engine.

use lodgepole_rows::{self as rows, CountRow, MetaRow, NamespaceRow, Place};
use lodgepole_storage::object_store::path::Path;
use lodgepole_storage::object_store::{ObjectStoreExt as _, PutPayload};
use lodgepole_storage::{Batch, Visibility};
use lodgepole_types::{Metric, Record};

use super::segment_races::segment_files;
use super::{Bench, id, metadata, ns};
use crate::{AuditDepth, AuditReport, Deletion, EngineOptions, IndexFrom, ShardRef};

fn record(number: u8) -> Record {
    Record {
        id: id(&format!("r{number:03}")),
        values: vec![1.0, f32::from(number), 0.5, 0.0],
        sparse: None,
        metadata: metadata(&format!(r#"{{"number":{number}}}"#)),
    }
}

struct World {
    bench: Bench,
    shard: ShardRef,
}

impl World {
    /// 70 records in two segments, five dead rows, ten records in the queue; and two namespaces more.
    async fn new() -> Self {
        let options = EngineOptions {
            index_from: IndexFrom { rows: 24, bytes: u64::MAX },
            segment_rows_max: 40,
            ..EngineOptions::default()
        };
        let bench = Bench::with(options);
        let shard = bench.create(4, Metric::DotProduct).await;
        let world = Self { bench, shard };
        world.write("", 0..40).await;
        world.bench.engine.index_now().await;
        world.write("", 40..70).await;
        world.bench.engine.index_now().await;
        let gone = Deletion::Ids([3, 4, 5, 41].map(|n: u8| record(n).id).to_vec());
        world.bench.engine.delete(shard, &ns(""), gone).await.unwrap();
        // The last of these replaces a row of a segment.
        world.write("", 60..61).await;
        world.write("", 70..79).await;
        world.write("other", 0..5).await;
        world.write("empty", 0..5).await;
        world.bench.engine.delete(shard, &ns("empty"), Deletion::All).await.unwrap();
        world
    }

    async fn write(&self, name: &str, numbers: std::ops::Range<u8>) {
        let records = numbers.map(record).collect();
        self.bench.engine.upsert(self.shard, &ns(name), records).await.unwrap();
    }

    async fn audit(&self, depth: AuditDepth) -> AuditReport {
        self.bench.engine.audit(self.shard, depth, &|_| {}).await.unwrap()
    }

    async fn place(&self, name: &str) -> Place {
        let row = self.get(&rows::namespace_key(&ns(name))).await;
        Place { slot: rows::slot_of(&ns(name)), id: NamespaceRow::decode(&row).unwrap().id }
    }

    async fn get(&self, key: &[u8]) -> Vec<u8> {
        let shard = self.bench.engine.shard(self.shard).await.unwrap();
        shard.database.get(key, Visibility::Durable).await.unwrap().unwrap().to_vec()
    }

    /// Changes a row, or removes it.
    async fn set(&self, key: Vec<u8>, value: Option<Vec<u8>>) {
        let shard = self.bench.engine.shard(self.shard).await.unwrap();
        let mut batch = Batch::new();
        match value {
            Some(value) => batch.put(key, value),
            None => batch.delete(key),
        }
        shard.database.write(batch).await.unwrap().durable().await.unwrap();
    }

    /// What is found, quickly and by looking at everything, as text.
    async fn findings(&self) -> [String; 2] {
        let mut found = [AuditDepth::Quick, AuditDepth::Deep].map(|_| String::new());
        for (text, depth) in found.iter_mut().zip([AuditDepth::Quick, AuditDepth::Deep]) {
            let report = self.audit(depth).await;
            assert_eq!(report.more_findings, 0);
            for finding in report.findings {
                let repaired = if finding.is_repaired { "; repaired" } else { "" };
                *text += &format!("{}: {}{repaired}\n", finding.subject, finding.problem);
            }
        }
        found
    }
}

#[tokio::test]
async fn nothing_is_found_where_nothing_is_wrong() {
    let mut world = World::new().await;
    for _ in 0..2 {
        assert_eq!(world.findings().await, ["", ""]);
        for depth in [AuditDepth::Quick, AuditDepth::Deep] {
            let report = world.audit(depth).await;
            assert_eq!((report.namespaces, report.records, report.segments), (3, 80, 2));
        }
        world.bench.reopen().await;
    }
    world.bench.engine.index_now().await;
    assert_eq!(world.findings().await, ["", ""]);
}

#[tokio::test]
async fn wrong_counts_are_found() {
    let world = World::new().await;
    let place = world.place("other").await;
    let wrong = CountRow { record_count: 6, bytes: 7 };
    world.set(rows::count_key(place), Some(wrong.encode())).await;
    let [quick, deep] = world.findings().await;
    assert!(quick.contains("the index: 80 records by its totals, 81 by its namespaces"), "{quick}");
    assert!(!quick.contains("other"), "{quick}");
    assert!(
        deep.contains("namespace \"other\": 6 records by its count, 5 by its records"),
        "{deep}"
    );
    assert!(deep.contains("namespace \"other\": 7 bytes by its count"), "{deep}");
    let world = World::new().await;
    let mut totals = MetaRow::decode(&world.get(&rows::meta_key()).await).unwrap();
    totals.namespace_count += 1;
    world.set(rows::meta_key(), Some(totals.encode())).await;
    let [quick, _] = world.findings().await;
    assert_eq!(quick, "the index: 4 namespaces by its totals, 3 by its namespaces\n");
}

#[tokio::test]
async fn lost_and_changed_rows_of_records_are_found() {
    let world = World::new().await;
    let (here, other) = (world.place("").await, world.place("other").await);
    world.set(rows::vector_key(other, "r003"), None).await;
    let mut changed = world.get(&rows::vector_key(here, "r010")).await;
    let last = changed.len() - 3;
    changed[last] ^= 0x40;
    world.set(rows::vector_key(here, "r010"), Some(changed)).await;
    world.set(rows::record_key(here, "r011"), None).await;
    world.set(rows::vector_key(here, "r011"), None).await;
    let [quick, deep] = world.findings().await;
    assert_eq!(quick, "", "rows of records are not read");
    assert!(deep.contains("namespace \"other\": ") && deep.contains("record"), "{deep}");
    assert!(
        deep.contains("76 records by its count") || deep.contains("75 records by its count"),
        "{deep}"
    );
    assert!(deep.contains("differs from record \"r010\""), "{deep}");
    assert!(deep.contains("is no record: \"r011\""), "{deep}");
}

#[tokio::test]
async fn what_search_would_miss_is_found() {
    let world = World::new().await;
    let here = world.place("").await;
    // A request of the queue is gone: its records are in no segment.
    let shard = world.bench.engine.shard(world.shard).await.unwrap();
    let mut queue =
        shard.database.scan_prefix(&rows::queue_prefix(here), Visibility::Durable).await.unwrap();
    let mut keys = Vec::new();
    while let Some(entry) = queue.next().await.unwrap() {
        keys.push(entry.key.to_vec());
    }
    world.set(keys.pop().unwrap(), None).await;
    let [quick, deep] = world.findings().await;
    assert!(quick.contains("records, but a search looks at"), "{quick}");
    assert!(deep.contains("records are in no segment and in no queue"), "{deep}");
}

#[tokio::test]
async fn damaged_and_missing_segments_are_found_and_said_to_be_repaired() {
    for damage in ["missing", "cut", "flipped"] {
        let world = World::new().await;
        let file = segment_files(&world.bench.store).await.pop_first().unwrap();
        let (origin, segment) = file.split_once('/').unwrap();
        let path = Path::from(format!("ix/{origin}/seg/{segment}"));
        let mut bytes = world.bench.store.get(&path).await.unwrap().bytes().await.unwrap().to_vec();
        match damage {
            "missing" => world.bench.store.delete(&path).await.unwrap(),
            "cut" => bytes.truncate(bytes.len() - 1),
            // In the middle of the vectors, where no opening looks.
            _ => {
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
            }
        }
        if damage != "missing" {
            world.bench.store.put(&path, PutPayload::from(bytes)).await.unwrap();
        }
        let mut world = world;
        world.bench.reopen().await;
        let [quick, deep] = world.findings().await;
        assert_eq!(quick.is_empty(), damage == "flipped", "{damage}: {quick}");
        let named = format!("namespace \"__default__\", segment {file}");
        assert!(deep.contains(&named) && deep.contains("; repaired"), "{damage}: {deep}");
        assert!(!deep.contains("no queue"), "{damage}: {deep}");
        world.bench.engine.index_now().await;
    }
}

#[tokio::test]
async fn many_findings_are_cut_short() {
    let bench = Bench::new();
    let shard = bench.create(4, Metric::DotProduct).await;
    let world = World { bench, shard };
    for number in 0..120 {
        let name = format!("n{number}");
        world.write(&name, 0..1).await;
        let place = world.place(&name).await;
        world
            .set(rows::count_key(place), Some(CountRow { record_count: 2, bytes: 0 }.encode()))
            .await;
    }
    let report = world.audit(AuditDepth::Deep).await;
    assert_eq!(report.findings.len(), 100);
    assert_eq!(report.more_findings, 2 + 120 * 2 - 100);
}
