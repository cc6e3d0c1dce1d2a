//! Goal: checkpoints, clones and restarts keep exactly what was acknowledged. Method: change the
//! source after the cut and compare both sides.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use lodgepole_types::{Clock, Metric};

use super::{Bench, id, near, ns, record};
use crate::{Deletion, EngineError, EngineOptions, ShardRef};

async fn contents(bench: &Bench, shard: ShardRef, namespace: &str) -> Vec<(String, Vec<f32>)> {
    let answer = bench.engine.query(shard, &ns(namespace), near(&[1.0], 10_000)).await.unwrap();
    let mut all: Vec<_> = answer
        .hits
        .into_iter()
        .map(|hit| (hit.record.id.as_str().to_owned(), hit.record.values))
        .collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

#[tokio::test]
async fn a_clone_holds_exactly_the_state_of_the_cut() {
    let bench = Bench::new();
    let source = bench.create(1, Metric::DotProduct).await;
    let records: Vec<_> = (0..100).map(|i| record(&format!("r{i:03}"), &[1.0])).collect();
    bench.engine.upsert(source, &ns("n"), records).await.unwrap();
    let gone = (0..10).map(|i| id(&format!("r{i:03}"))).collect();
    let before = bench.engine.delete(source, &ns("n"), Deletion::Ids(gone)).await.unwrap();
    let expected = contents(&bench, source, "n").await;
    let cut = bench.engine.checkpoint(source, "b1").await.unwrap();
    assert_eq!((cut.record_count, cut.namespace_count), (90, 1));
    assert!(cut.lsn >= before);
    assert_eq!(
        cut.size_bytes,
        bench.engine.stats(source).await.unwrap().namespaces[&ns("n")].bytes
    );

    bench.engine.upsert(source, &ns("n"), vec![record("late", &[5.0])]).await.unwrap();
    bench.engine.delete(source, &ns("n"), Deletion::All).await.unwrap();
    let target = bench.new_index(1, Metric::DotProduct);
    bench.engine.clone_index(target.index, source.index, cut.pin).await.unwrap();
    assert_eq!(contents(&bench, target, "n").await, expected);
    assert_eq!(bench.engine.stats(target).await.unwrap().namespaces[&ns("n")].record_count, 90);
    bench.engine.upsert(target, &ns("n"), vec![record("mine", &[1.0])]).await.unwrap();
    assert!(contents(&bench, source, "n").await.is_empty());
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let mut bench = Bench::new();
    let shard = bench.create(1, Metric::DotProduct).await;
    bench.engine.upsert(shard, &ns(""), vec![record("a", &[1.0])]).await.unwrap();
    let lsn = bench.engine.upsert(shard, &ns(""), vec![record("b", &[2.0])]).await.unwrap();
    bench.reopen().await;
    assert_eq!(contents(&bench, shard, "").await.len(), 2);
    let next = bench.engine.upsert(shard, &ns(""), vec![record("a", &[3.0])]).await.unwrap();
    assert!(next > lsn, "Lsns go on after a restart");
    assert_eq!(contents(&bench, shard, "").await[0], ("a".to_owned(), vec![3.0]));
    assert_eq!(bench.engine.stats(shard).await.unwrap().namespaces[&ns("")].record_count, 2);
}

#[tokio::test]
async fn a_missing_pin_is_an_error_and_makes_no_index() {
    let bench = Bench::new();
    let source = bench.create(1, Metric::Cosine).await;
    let cut = bench.engine.checkpoint(source, "b").await.unwrap();
    bench.engine.unpin(source.index, cut.pin).await.unwrap();
    let target = bench.new_index(1, Metric::Cosine);
    assert!(bench.engine.clone_index(target.index, source.index, cut.pin).await.is_err());
    assert!(bench.engine.stats(target).await.is_err(), "a lost database is never silently empty");
}

#[tokio::test]
async fn a_retired_index_answers_that_it_is_gone() {
    let bench = Bench::new();
    let shard = bench.create(1, Metric::Cosine).await;
    bench.engine.retire(shard.index).await;
    let error = bench.engine.create(shard).await.unwrap_err();
    assert!(matches!(error, EngineError::Retired(_)), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn backups_under_load_are_whole_prefixes() {
    back_up_under_load(EngineOptions::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn backups_whose_flush_takes_too_long_are_whole_prefixes_too() {
    // Nothing is flushed in no time at all, so every cut relies on the log alone.
    let options = EngineOptions { cut_flush_max: Duration::ZERO, ..EngineOptions::default() };
    back_up_under_load(options).await;
}

async fn back_up_under_load(options: EngineOptions) {
    // Several writers upsert pairs of records with one stamp and delete older pairs. A checkpoint
    // must hold each pair whole, everything acknowledged before the call, and nothing sent after
    // the answer; and its count must be true.
    const WRITERS: usize = 4;
    const BACKUPS: usize = 25;
    let (bench, _folder) = Bench::on_disk(options);
    let bench = Arc::new(bench);
    let shard = bench.create(1, Metric::DotProduct).await;
    let counters = || -> Arc<Vec<AtomicUsize>> {
        Arc::new((0..WRITERS).map(|_| AtomicUsize::new(0)).collect())
    };
    let (acked, sent, stop) = (counters(), counters(), Arc::new(AtomicBool::new(false)));
    let read = |counters: &[AtomicUsize]| -> Vec<usize> {
        counters.iter().map(|count| count.load(SeqCst)).collect()
    };
    let writers: Vec<_> = (0..WRITERS)
        .map(|w| {
            let (bench, stop) = (Arc::clone(&bench), Arc::clone(&stop));
            let (acked, sent) = (Arc::clone(&acked), Arc::clone(&sent));
            tokio::spawn(async move {
                write_pairs(&bench, shard, w, &acked[w], &sent[w], &stop).await;
            })
        })
        .collect();
    for round in 0..BACKUPS {
        let reached = 10 * (round + 1);
        while read(&acked).iter().any(|count| *count < reached) {
            bench.clock.sleep(Duration::from_millis(1)).await;
        }
        let before = read(&acked);
        let cut = bench.engine.checkpoint(shard, &format!("b{round}")).await.unwrap();
        let after = read(&sent);
        let target = bench.new_index(1, Metric::DotProduct);
        bench.engine.clone_index(target.index, shard.index, cut.pin).await.unwrap();
        let records = contents(&bench, target, "n").await;
        assert_eq!(records.len() as u64, cut.record_count, "the count of the backup is true");
        for w in 0..WRITERS {
            check_writer(&records, w, before[w], after[w]);
        }
        bench.engine.retire(target.index).await;
    }
    stop.store(true, SeqCst);
    for writer in writers {
        writer.await.unwrap();
    }
}

/// Pairs that a writer leaves in place behind the newest one.
const KEPT_PAIRS: usize = 5;

async fn write_pairs(
    bench: &Bench,
    shard: ShardRef,
    writer: usize,
    acked: &AtomicUsize,
    sent: &AtomicUsize,
    stop: &AtomicBool,
) {
    let name = |step: usize, half: &str| format!("w{writer}-{step:06}-{half}");
    for step in 1.. {
        if stop.load(SeqCst) {
            return;
        }
        // Every third step is a delete of an old pair instead.
        sent.store(step, SeqCst);
        if step % 3 == 0 && step > 3 * KEPT_PAIRS {
            let old = step - 3 * KEPT_PAIRS + 1;
            let ids = ["a", "b"].map(|half| id(&name(old, half))).to_vec();
            bench.engine.delete(shard, &ns("n"), Deletion::Ids(ids)).await.unwrap();
        } else {
            let pair = ["a", "b"].map(|half| record(&name(step, half), &[1.0])).to_vec();
            bench.engine.upsert(shard, &ns("n"), pair).await.unwrap();
        }
        acked.store(step, SeqCst);
    }
}

/// Replays what a writer did up to some step, and looks for a step in the allowed range whose
/// result is what the backup holds.
fn check_writer(records: &[(String, Vec<f32>)], writer: usize, acked: usize, sent: usize) {
    let prefix = format!("w{writer}-");
    let held: Vec<&str> = records
        .iter()
        .map(|record| record.0.as_str())
        .filter(|name| name.starts_with(&prefix))
        .collect();
    let fits = (acked..=sent).any(|last| {
        let mut expected = std::collections::BTreeSet::new();
        for step in 1..=last {
            if step % 3 == 0 && step > 3 * KEPT_PAIRS {
                let old = step - 3 * KEPT_PAIRS + 1;
                expected.remove(&old);
            } else {
                expected.insert(step);
            }
        }
        let names: Vec<_> = expected
            .iter()
            .flat_map(|step| ["a", "b"].map(|half| format!("w{writer}-{step:06}-{half}")))
            .collect();
        names.iter().map(String::as_str).eq(held.iter().copied())
    });
    assert!(fits, "writer {writer}: no step from {acked} to {sent} explains {held:?}");
}
