//! Goal: the engine is a map. Method: generated sequences of requests, checkpoints, clones and
//! restarts, compared with a plain map after every step that reads.

use std::collections::BTreeMap;

use lodgepole_types::{Metric, Record};
use proptest::prelude::*;

use super::{Bench, id, near, ns, record};
use crate::{Deletion, ListPage, ShardRef};

#[derive(Debug, Clone)]
enum Step {
    Upsert(u8, Vec<(u8, i8)>),
    Delete(u8, Vec<u8>),
    Empty(u8),
    Query(u8, i8),
    Restart,
    /// Go on in a clone of the present state.
    MoveToClone,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let space = 0..3_u8;
    let record = (0..12_u8, -9..9_i8);
    proptest::collection::vec(
        prop_oneof![
            6 => (space.clone(), proptest::collection::vec(record, 1..6))
                .prop_map(|(space, records)| Step::Upsert(space, records)),
            3 => (space.clone(), proptest::collection::vec(0..12_u8, 1..4))
                .prop_map(|(space, ids)| Step::Delete(space, ids)),
            1 => space.clone().prop_map(Step::Empty),
            4 => (space, -9..9_i8).prop_map(|(space, at)| Step::Query(space, at)),
            1 => Just(Step::Restart),
            1 => Just(Step::MoveToClone),
        ],
        1..25,
    )
}

type Model = BTreeMap<String, BTreeMap<String, Record>>;

fn space_name(space: u8) -> &'static str {
    ["", "one", "two"][usize::from(space)]
}

async fn check(bench: &Bench, shard: ShardRef, model: &Model, space: u8, at: f32) {
    let name = space_name(space);
    let empty = BTreeMap::new();
    let expected = model.get(name).unwrap_or(&empty);
    let answer = bench.engine.query(shard, &ns(name), near(&[at], 7)).await.unwrap();
    let mut scores: Vec<_> = expected
        .values()
        .map(|record| ((record.values[0] - at).powi(2), record.id.as_str().to_owned()))
        .collect();
    scores.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(&b.1)));
    scores.truncate(7);
    let found: Vec<_> =
        answer.hits.iter().map(|hit| (hit.score, hit.record.id.as_str().to_owned())).collect();
    assert_eq!(found, scores);
    for hit in &answer.hits {
        assert_eq!(&hit.record, &expected[hit.record.id.as_str()]);
    }
    let page = ListPage { prefix: String::new(), after: None, limit: 100 };
    let listed = bench.engine.list(shard, &ns(name), &page).await.unwrap();
    assert!(listed.ids.iter().map(lodgepole_types::RecordId::as_str).eq(expected.keys()));
    let stats = bench.engine.stats(shard).await.unwrap();
    let counted = stats.namespaces.get(&ns(name)).map_or(0, |stats| stats.record_count);
    assert_eq!(counted, expected.len() as u64);
}

async fn run(steps: Vec<Step>) {
    let mut bench = Bench::new();
    let mut shard = bench.create(1, Metric::Euclidean).await;
    let mut model = Model::new();
    for (number, step) in steps.into_iter().enumerate() {
        match step {
            Step::Upsert(space, records) => {
                let name = space_name(space);
                let records: Vec<_> = records
                    .into_iter()
                    .map(|(key, value)| record(&format!("k{key:02}"), &[f32::from(value)]))
                    .collect();
                let held = model.entry(name.to_owned()).or_default();
                for record in &records {
                    held.insert(record.id.as_str().to_owned(), record.clone());
                }
                bench.engine.upsert(shard, &ns(name), records).await.unwrap();
            }
            Step::Delete(space, keys) => {
                let name = space_name(space);
                let ids: Vec<_> = keys.iter().map(|key| id(&format!("k{key:02}"))).collect();
                let done = bench.engine.delete(shard, &ns(name), Deletion::Ids(ids.clone())).await;
                assert_eq!(done.is_ok(), name.is_empty() || model.contains_key(name));
                if let Some(held) = model.get_mut(name) {
                    for id in ids {
                        held.remove(id.as_str());
                    }
                }
            }
            Step::Empty(space) => {
                let name = space_name(space);
                let done = bench.engine.delete(shard, &ns(name), Deletion::All).await;
                assert_eq!(done.is_ok(), name.is_empty() || model.contains_key(name));
                if let Some(held) = model.get_mut(name) {
                    held.clear();
                }
            }
            Step::Query(space, at) => check(&bench, shard, &model, space, f32::from(at)).await,
            Step::Restart => bench.reopen().await,
            Step::MoveToClone => {
                let cut = bench.engine.checkpoint(shard, &format!("c{number}")).await.unwrap();
                let target = bench.new_index(1, Metric::Euclidean);
                bench.engine.clone_index(target.index, shard.index, cut.pin).await.unwrap();
                shard = target;
            }
        }
    }
    for space in 0..3 {
        check(&bench, shard, &model, space, 0.0).await;
    }
    bench.engine.shutdown().await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn the_engine_behaves_like_a_map(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(run(steps));
    }
}
