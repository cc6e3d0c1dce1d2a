//! Goal: loading a namespace into memory races safely with writes, and a namespace above the budget
//! is searched all the same. Method: query in a loop while writers overwrite and delete; compare
//! the streamed answer with the one from memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lodgepole_types::Metric;

use super::{Bench, id, metadata, near, ns, record, small_vector};
use crate::{Deletion, EngineOptions};

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
                if stop.load(Ordering::SeqCst) {
                    return step;
                }
                bench.engine.upsert(shard, &ns(""), vec![moved_to(step % 7)]).await.unwrap();
            }
            0
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
    assert!(writer.await.unwrap() > 10);
}

/// The record that moves; its metadata says where to.
fn moved_to(at: u16) -> lodgepole_types::Record {
    let metadata = metadata(&format!(r#"{{"at":{at}}}"#));
    lodgepole_types::Record { metadata, ..record("moving", &[5.0, f32::from(at)]) }
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
