//! Goal: loading a namespace into memory races safely with writes, and a namespace above the budget
//! is searched all the same. Method: query in a loop while writers overwrite and delete; compare
//! the streamed answer with the one from memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lodgepole_types::{Kind, Limits, MetadataPatch, Metric, Record};

use super::filtered::filter;
use super::{Bench, id, metadata, near, ns, record, small_vector};
use crate::{Deletion, EngineOptions, FilterPage, Update};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_record_overwritten_in_a_loop_is_found_exactly_once() {
    let bench = Arc::new(Bench::new());
    let shard = bench.create(2, Metric::Euclidean).await;
    let fixed: Vec<_> = (0..500).map(|i| record(&format!("f{i:03}"), &[0.0, 1.0])).collect();
    bench.engine.upsert(shard, &ns(""), fixed).await.unwrap();
    bench.engine.upsert(shard, &ns(""), vec![moved_to(5)]).await.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let writer = {
        let (bench, stop) = (Arc::clone(&bench), Arc::clone(&stop));
        tokio::spawn(async move {
            for step in 0_u16.. {
                if step > 10 && stop.load(Ordering::SeqCst) {
                    return;
                }
                bench.engine.upsert(shard, &ns(""), vec![moved_to(step % 7)]).await.unwrap();
            }
        })
    };
    for round in 0..200 {
        if round % 10 == 0 {
            // Forget what is in memory, so that the next query loads while the writer writes.
            bench.engine.commons.tails.forget(shard.index);
        }
        let answer = bench.engine.query(shard, &ns(""), near(&[5.0, 3.0], 1_000)).await.unwrap();
        let moving: Vec<_> =
            answer.hits.iter().filter(|hit| hit.record.id == id("moving")).collect();
        assert_eq!(moving.len(), 1, "round {round}");
        let expected = (moving[0].record.values[1] - 3.0).powi(2);
        assert!((moving[0].score - expected).abs() < 1e-6, "score and values are of one version");
        let at = moving[0].record.values[1];
        let said = metadata(&format!(r#"{{"at":{at}}}"#));
        assert_eq!(moving[0].record.metadata, said, "values and metadata are of one version");
        assert_eq!(answer.hits.len(), 501);
    }
    stop.store(true, Ordering::SeqCst);
    writer.await.unwrap();
}

/// The record that moves; its metadata says where to.
fn moved_to(at: u16) -> Record {
    let metadata = metadata(&format!(r#"{{"at":{at}}}"#));
    Record { metadata, ..record("moving", &[5.0, f32::from(at)]) }
}

/// The number under a key of a record's metadata.
fn number_of(record: &Record, key: &str) -> Option<f64> {
    match record.metadata.as_struct().fields.get(key)?.kind {
        Some(Kind::Number(number)) => Some(number),
        _ => None,
    }
}

/// Three kinds of writes change one record: whole, its metadata alone, its values and metadata.
async fn keep_changing(bench: Arc<Bench>, shard: crate::ShardRef, stop: Arc<AtomicBool>) {
    let patch = |json: String| {
        MetadataPatch::parse(serde_json::from_str(&json).unwrap(), &Limits::default()).unwrap()
    };
    for step in 1_u16.. {
        if step > 3 && stop.load(Ordering::SeqCst) {
            return;
        }
        let at = step % 7;
        match step % 3 {
            0 => {
                bench.engine.upsert(shard, &ns(""), vec![moved_to(at)]).await.unwrap();
            }
            1 => {
                let patch = patch(format!(r#"{{"rev":{step}}}"#));
                let moving = filter(r#"{"at":{"$exists":true}}"#);
                bench.engine.update_matching(shard, &ns(""), moving, patch, 10).await.unwrap();
            }
            _ => {
                let update = Update {
                    id: id("moving"),
                    values: Some(vec![5.0, f32::from(at)]),
                    sparse: None,
                    metadata: Some(patch(format!(r#"{{"at":{at}}}"#))),
                };
                bench.engine.update(shard, &ns(""), update).await.unwrap();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hit_is_of_one_version_whatever_part_of_the_record_changes() {
    let rooms = [EngineOptions::default().tail_bytes_max, 1_000];
    for tail_bytes_max in rooms {
        let options = EngineOptions { tail_bytes_max, ..EngineOptions::default() };
        let bench = Arc::new(Bench::with(options));
        let shard = bench.create(2, Metric::Euclidean).await;
        let fixed: Vec<_> = (0..100).map(|i| record(&format!("f{i:03}"), &[0.0, 1.0])).collect();
        bench.engine.upsert(shard, &ns(""), fixed).await.unwrap();
        bench.engine.upsert(shard, &ns(""), vec![moved_to(5)]).await.unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let writer = tokio::spawn(keep_changing(Arc::clone(&bench), shard, Arc::clone(&stop)));
        let moving = filter(r#"{"at":{"$gte":0}}"#);
        for round in 0..100 {
            if round % 10 == 0 {
                bench.engine.commons.tails.forget(shard.index);
            }
            let mut query = near(&[5.0, 3.0], 1_000);
            query.filter = Some(Arc::clone(&moving));
            let answer = bench.engine.query(shard, &ns(""), query).await.unwrap();
            let page = FilterPage { filter: Arc::clone(&moving), after: None, limit: 10 };
            let page = bench.engine.fetch_by_metadata(shard, &ns(""), &page).await.unwrap();
            let fetched = bench.engine.fetch(shard, &ns(""), &[id("moving")]).await.unwrap();
            assert_eq!(answer.hits.len(), 1, "round {round}");
            let score = f64::from(answer.hits[0].score);
            let found = [vec![answer.hits[0].record.clone()], page.records, fetched.records];
            for record in found.iter().flatten() {
                let at = number_of(record, "at").unwrap();
                assert!((f64::from(record.values[1]) - at).abs() < 1e-9, "{record:?}");
            }
            assert_eq!(found.iter().map(Vec::len).sum::<usize>(), 3);
            let at = number_of(&found[0][0], "at").unwrap();
            assert!((score - (at - 3.0).powi(2)).abs() < 1e-6, "the score is of that version");
        }
        stop.store(true, Ordering::SeqCst);
        writer.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_namespace_that_is_emptied_and_filled_is_seen_whole_or_empty() {
    let rooms = [EngineOptions::default().tail_bytes_max, 1_000];
    for tail_bytes_max in rooms {
        let options = EngineOptions { tail_bytes_max, ..EngineOptions::default() };
        let bench = Arc::new(Bench::with(options));
        let shard = bench.create(1, Metric::Cosine).await;
        let stop = Arc::new(AtomicBool::new(false));
        let writer = {
            let (bench, stop) = (Arc::clone(&bench), Arc::clone(&stop));
            tokio::spawn(async move {
                let records: Vec<_> = (0..200).map(|i| record(&format!("r{i}"), &[1.0])).collect();
                while !stop.load(Ordering::SeqCst) {
                    bench.engine.upsert(shard, &ns("n"), records.clone()).await.unwrap();
                    bench.engine.delete(shard, &ns("n"), Deletion::All).await.unwrap();
                }
            })
        };
        let all = filter("{}");
        let mut seen = [0, 0];
        for round in 0..10_000 {
            if round >= 100 && seen.iter().all(|times| *times > 0) {
                break;
            }
            if round % 5 == 0 {
                bench.engine.commons.tails.forget(shard.index);
            }
            let hits = bench.engine.query(shard, &ns("n"), near(&[1.0], 500)).await.unwrap().hits;
            let page = FilterPage { filter: Arc::clone(&all), after: None, limit: 500 };
            let page = bench.engine.fetch_by_metadata(shard, &ns("n"), &page).await.unwrap();
            let counted = bench.engine.count(shard, None, &all).await.unwrap();
            let count = counted.namespaces.get(&ns("n")).copied().unwrap_or(0);
            for found in [hits.len(), page.records.len(), usize::try_from(count).unwrap()] {
                assert!(found == 0 || found == 200, "round {round}: {found}");
                seen[found / 200] += 1;
            }
        }
        stop.store(true, Ordering::SeqCst);
        writer.await.unwrap();
        assert!(seen[0] > 0 && seen[1] > 0, "both states were met: {seen:?}");
    }
}

#[tokio::test]
async fn a_namespace_above_the_memory_budget_gives_the_same_answer() {
    let large = Bench::new();
    let small = Bench::with(EngineOptions { tail_bytes_max: 1_000, ..EngineOptions::default() });
    let rng = lodgepole_types::SeededRng::new(3);
    let records: Vec<_> =
        (0..900).map(|i| record(&format!("r{i:03}"), &small_vector(&rng, 8))).collect();
    let mut answers = Vec::new();
    for bench in [&large, &small] {
        let shard = bench.create(8, Metric::Cosine).await;
        for part in records.chunks(300) {
            bench.engine.upsert(shard, &ns(""), part.to_vec()).await.unwrap();
        }
        let gone = Deletion::Ids(vec![id("r007"), id("r500")]);
        bench.engine.delete(shard, &ns(""), gone).await.unwrap();
        let query = near(&records[7].values, 25);
        answers.push(bench.engine.query(shard, &ns(""), query).await.unwrap().hits);
    }
    assert_eq!(answers[0].len(), 25);
    assert_eq!(answers[0], answers[1]);
    assert!(small.engine.commons.tails.bytes() <= 1_000);
}
