//! Goal: who watches the indexer sees all of its work. Method: wishes, taken and given back, at times
//! that the test chooses.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use lodgepole_types::{IndexId, Metric, NamespaceName, SeededRng};

use super::{Step, Waiting, Wishes};
use crate::tests::{Bench, id, near, record, small_vector};
use crate::{Deletion, EngineOptions, IndexFrom, ShardRef};

fn name(text: &str) -> NamespaceName {
    NamespaceName::parse(text).unwrap()
}

#[test]
fn a_namespace_counts_as_waiting_until_the_work_on_it_has_ended() {
    let wishes = Arc::new(Wishes::default());
    let shape = ShardRef { index: IndexId::random(&SeededRng::new(1)), dense: None };
    let other = ShardRef { index: IndexId::random(&SeededRng::new(2)), dense: None };
    let at = Duration::from_secs;
    wishes.add(shape, name("a"), at(3));
    wishes.add(other, name("a"), at(4));
    let of = |shape: ShardRef| wishes.waiting().get(&shape.index).copied();
    assert_eq!(of(shape), Some(Waiting { namespaces: 1, since: at(3) }));
    let first = wishes.take(at(5)).unwrap();
    let second = wishes.take(at(5)).unwrap();
    assert_eq!(of(shape), Some(Waiting { namespaces: 1, since: at(3) }), "it is being worked on");
    wishes.add(shape, name("a"), at(6));
    assert_eq!(of(shape), Some(Waiting { namespaces: 1, since: at(3) }), "one namespace, once");
    drop((first, second));
    assert_eq!(of(shape), Some(Waiting { namespaces: 1, since: at(6) }));
    assert_eq!(of(other), None);
}

/// Goal: who waits for long is not passed over for one that has more to do than fits into a step.
#[test]
fn the_rest_of_a_namespace_waits_for_those_that_came_before() {
    let wishes = Arc::new(Wishes::default());
    let shape = ShardRef { index: IndexId::random(&SeededRng::new(1)), dense: None };
    let at = Duration::from_secs;
    wishes.add(shape, name("a"), at(1));
    let large = wishes.take(at(2)).unwrap();
    wishes.add(shape, name("b"), at(3));
    wishes.add_rest(shape, name("a"), (large.wish.since, at(4)));
    drop(large);
    assert_eq!(wishes.waiting()[&shape.index], Waiting { namespaces: 2, since: at(1) });
    assert_eq!(wishes.take(at(5)).unwrap().key.1, name("b"));
    let rest = wishes.take(at(5)).unwrap();
    assert_eq!((rest.key.1.clone(), rest.wish.since, rest.wish.quiet), (name("a"), at(1), false));
}

#[test]
fn a_merge_in_quiet_times_counts_while_it_runs() {
    let wishes = Arc::new(Wishes::default());
    let shape = ShardRef { index: IndexId::random(&SeededRng::new(1)), dense: None };
    wishes.add_later(shape, name("a"), Duration::from_secs(9));
    assert!(wishes.waiting().is_empty(), "nobody waits for it");
    let merge = wishes.take(Duration::from_secs(9)).unwrap();
    assert_eq!(wishes.waiting()[&shape.index].namespaces, 1);
    drop(merge);
    assert!(wishes.waiting().is_empty());
}

/// Goal: of a namespace too large for memory queries read from the records what is in no segment, so
/// that has to become less with each step and not at the end of all of them; and what is answered
/// stays the same. Method: ten requests wait, also ones that bury what waits and what is in segments;
/// step by step it is counted what waits, and asked for everything.
#[tokio::test]
async fn what_waits_of_a_namespace_too_large_for_memory_becomes_less_with_each_step() {
    let options = EngineOptions {
        tail_bytes_max: 20_000,
        index_batch_bytes: 8_000,
        index_from: IndexFrom { rows: 50, bytes: u64::MAX },
        ..EngineOptions::default()
    };
    let bench = Bench::with(options);
    let (shape, rng) = (bench.create(16, Metric::DotProduct).await, SeededRng::new(5));
    let mut model = BTreeMap::new();
    let mut request = |numbers: Range<usize>| -> Vec<_> {
        let key = |number: usize| format!("r{number:04}");
        let records = numbers.map(|number| record(&key(number), &small_vector(&rng, 16)));
        records.inspect(|made| drop(model.insert(made.id.clone(), made.values.clone()))).collect()
    };
    bench.engine.upsert(shape, &name(""), request(0..300)).await.unwrap();
    bench.engine.index_now().await;
    for round in 3..12 {
        let records = request(round * 100..round * 100 + 100);
        bench.engine.upsert(shape, &name(""), records).await.unwrap();
    }
    bench.engine.upsert(shape, &name(""), request(250..350)).await.unwrap();
    let gone: Vec<_> = (200..420).step_by(3).map(|number| id(&format!("r{number:04}"))).collect();
    for id in &gone {
        model.remove(id);
    }
    bench.engine.delete(shape, &name(""), Deletion::Ids(gone)).await.unwrap();

    let shard = bench.engine.shard(shape).await.unwrap();
    let place = shard.place(&name("")).await.unwrap().unwrap();
    let (mut left, mut steps) = (11, 0);
    loop {
        let step = shard.index_step(&name(""), false).await.unwrap();
        let now_left = shard.queued_until(place, u64::MAX).await.unwrap().0.len();
        let answer = bench.engine.query(shape, &name(""), near(&[1.0; 16], 10_000)).await.unwrap();
        let hits = answer.hits.into_iter().map(|hit| (hit.record.id, hit.record.values));
        assert_eq!(hits.collect::<BTreeMap<_, _>>(), model, "after step {steps}");
        if step == Step::Idle {
            break;
        }
        assert!(now_left < left, "{now_left} requests wait after step {steps}, {left} before");
        assert_eq!(step == Step::More, now_left > 1, "{step:?} with {now_left} that wait");
        (left, steps) = (now_left, steps + 1);
    }
    assert!(steps >= 5, "{steps} steps");
    assert!(left <= 1, "{left} requests wait for nothing");
}
