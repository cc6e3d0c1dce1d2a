//! Goal: memory is bounded by settings, not by the number of indexes. Method: many indexes, small
//! budgets, one round of upkeep.

use std::time::Duration;

use lodgepole_types::Metric;

use super::{Bench, near, ns, record};
use crate::EngineOptions;

#[tokio::test]
async fn idle_shards_are_closed_and_open_again_on_demand() {
    let bench = Bench::new();
    let mut shards = Vec::new();
    for number in 0..5 {
        let shard = bench.create(1, Metric::Cosine).await;
        let records = vec![record(&format!("r{number}"), &[1.0])];
        bench.engine.upsert(shard, &ns(""), records).await.unwrap();
        shards.push(shard);
    }
    assert_eq!(bench.engine.open_shards().await, 5);
    bench.clock.advance(bench.options.idle_close + Duration::from_secs(1));
    bench.engine.stats(shards[0]).await.unwrap();
    bench.engine.upkeep_once().await;
    assert_eq!(bench.engine.open_shards().await, 1);
    for shard in shards {
        let answer = bench.engine.query(shard, &ns(""), near(&[1.0], 5)).await.unwrap();
        assert_eq!(answer.hits.len(), 1);
    }
}

#[tokio::test]
async fn the_fullest_shard_is_flushed_above_the_budget() {
    let options = EngineOptions { write_buffer_bytes: 20_000, ..EngineOptions::default() };
    let bench = Bench::with(options);
    let (large, small) =
        (bench.create(100, Metric::Cosine).await, bench.create(100, Metric::Cosine).await);
    for (shard, count) in [(large, 60), (small, 20)] {
        let records = (0..count).map(|i| record(&format!("r{i}"), &[1.0; 100])).collect();
        bench.engine.upsert(shard, &ns(""), records).await.unwrap();
    }
    bench.engine.upkeep_once().await;
    assert_eq!(unflushed_of(&bench, large).await, 0);
    assert!(unflushed_of(&bench, small).await > 0);
}

async fn unflushed_of(bench: &Bench, shard: crate::ShardRef) -> u64 {
    bench.engine.shard(shard).await.unwrap().database.unflushed_bytes()
}
