//! Goal: queries answer rightly, and no file goes that is needed, at every moment of a build and of a
//! merge. Method: one run counts the changes of the store from the beginning of the work to its end.
//! Then, in a run for each of them, that change is held, before it takes effect and before it is
//! answered; meanwhile everything is asked for, a record is written, and garbage is collected without
//! grace.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use lodgepole_storage::fault::{FaultStore, Timing};
use lodgepole_types::{Metric, Record};

use super::segment_races::{faulty, filter, segment_files};
use super::{Bench, id, metadata, near, ns};
use crate::{Deletion, Estate, Query, ShardRef};

/// Long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// For a collection to get as far as it can.
const HEAD_START: Duration = Duration::from_millis(20);
const EVEN: &str = r#"{"even":true}"#;

/// A namespace with segments, some dead rows in them, and a tail that is worth a segment.
struct Stage {
    bench: Bench,
    faults: FaultStore,
    shard: ShardRef,
    /// Numbers of the records that are there.
    there: BTreeSet<u8>,
}

impl Stage {
    async fn set() -> Self {
        let (bench, faults) = faulty();
        let shard = bench.create(4, Metric::DotProduct).await;
        let mut stage = Self { bench, faults, shard, there: BTreeSet::new() };
        for start in [0, 30, 60] {
            stage.write((start..start + 30).collect()).await;
            stage.bench.engine.index_now().await;
        }
        // Dead in the segments: deleted and overwritten.
        for gone in [1, 2, 31, 64] {
            stage.there.remove(&gone);
            let what = Deletion::Ids(vec![id(&name(gone))]);
            stage.bench.engine.delete(shard, &ns(""), what).await.unwrap();
        }
        stage.write((5..20).chain(90..110).collect()).await;
        stage
    }

    async fn write(&mut self, numbers: Vec<u8>) {
        let records = numbers.iter().map(|number| record(*number)).collect();
        self.bench.engine.upsert(self.shard, &ns(""), records).await.unwrap();
        self.there.extend(numbers);
    }

    /// All that is there is found, once, and nothing else; with a filter, too.
    async fn check(&self, what: &str) {
        let all = near(&[1.0, 0.0, 0.0, 0.0], 1_000);
        let even = Query { filter: Some(filter(EVEN)), ..all.clone() };
        for (query, kept) in [(all, 1), (even, 2)] {
            let expected: Vec<String> =
                self.there.iter().copied().filter(|n| n % kept == 0).map(name).collect();
            let namespace = ns("");
            let answer = self.bench.engine.query(self.shard, &namespace, query);
            let answer = tokio::time::timeout(PATIENCE, answer).await.expect(what).unwrap();
            let mut found: Vec<String> =
                answer.hits.iter().map(|hit| hit.record.id.as_str().to_owned()).collect();
            found.sort();
            assert_eq!(found, expected, "{what}");
        }
    }

    async fn collect(&self, what: &str) {
        let estate = Estate { live: vec![self.shard], ..Estate::default() };
        let collected = async { self.bench.engine.reap(&|| estate.clone()).await };
        tokio::time::timeout(PATIENCE, collected).await.expect(what).unwrap();
    }

    /// No segment is missing.
    async fn check_files(&self, what: &str) {
        let named = self.bench.engine.checkpoint(self.shard, "look").await.unwrap().segments;
        let files = segment_files(&self.bench.store).await;
        assert!(!named.is_empty(), "{what}");
        assert!(named.iter().all(|name| files.contains(name)), "{what}: {named:?} in {files:?}");
    }
}

fn name(number: u8) -> String {
    format!("r{number:03}")
}

fn record(number: u8) -> Record {
    Record {
        id: id(&name(number)),
        values: vec![1.0, f32::from(number), 0.0, 0.0],
        sparse: None,
        metadata: metadata(&format!(r#"{{"even":{}}}"#, number.is_multiple_of(2))),
    }
}

/// Changes of the store from the beginning of the work to its end, which must have merged.
async fn changes() -> u64 {
    let stage = Stage::set().await;
    let before = segment_files(&stage.bench.store).await.len();
    let first = stage.faults.changes();
    stage.bench.engine.index_now().await;
    let count = stage.faults.changes() - first;
    stage.collect("afterwards").await;
    let after = segment_files(&stage.bench.store).await.len();
    assert!(after <= before, "{before} segments before, {after} after: nothing was merged");
    stage.check("without holding").await;
    stage.bench.engine.shutdown().await;
    count
}

/// Whether the change came before the work was done.
async fn hold(number: u64, timing: Timing) -> bool {
    let what = format!("change {number} held, {timing:?}");
    let mut stage = Stage::set().await;
    let held = stage.faults.hold_change(stage.faults.changes() + number, timing);
    let engine = Arc::clone(&stage.bench.engine);
    let mut indexing = tokio::spawn(async move { engine.index_now().await });
    let came = tokio::select! {
        () = held.reached() => true,
        done = &mut indexing => { done.unwrap(); false }
    };
    stage.check(&what).await;
    // Both may have to wait for what is held.
    let (engine, shard) = (Arc::clone(&stage.bench.engine), stage.shard);
    let estate = Estate { live: vec![shard], ..Estate::default() };
    let collecting = tokio::spawn(async move { engine.reap(&|| estate.clone()).await });
    let (engine, late) = (Arc::clone(&stage.bench.engine), record(200));
    stage.bench.engine.commons.clock.sleep(HEAD_START).await;
    stage.check(&what).await;
    let writing = tokio::spawn(async move { engine.upsert(shard, &ns(""), vec![late]).await });
    drop(held);
    tokio::time::timeout(PATIENCE, writing).await.expect(&what).unwrap().unwrap();
    tokio::time::timeout(PATIENCE, collecting).await.expect(&what).unwrap().unwrap();
    stage.there.insert(200);
    stage.check(&what).await;
    if came {
        tokio::time::timeout(PATIENCE, indexing).await.expect(&what).unwrap();
    }
    stage.check(&what).await;
    stage.collect(&what).await;
    stage.check_files(&what).await;
    stage.bench.reopen().await;
    stage.check(&what).await;
    stage.bench.engine.shutdown().await;
    came
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_answer_rightly_while_each_change_of_a_merge_is_held() {
    let count = changes().await;
    let mut came = 0;
    for number in 1..=count {
        for timing in [Timing::Before, Timing::After] {
            came += u64::from(hold(number, timing).await);
        }
    }
    println!("{came} of {} moments", 2 * count);
    // What the database does in the background may come a little earlier or later.
    assert!(came * 4 >= 2 * count * 3, "only {came} of {} moments were met", 2 * count);
}
