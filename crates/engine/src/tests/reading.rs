//! Goal: what was written is read back, by every way of reading. Method: small namespaces whose
//! answers can be worked out by hand.

use lodgepole_types::Metric;

use super::{Bench, id, near, ns, record};
use crate::{Deletion, ListPage, Near, Query, WriteError};

#[tokio::test]
async fn records_come_back_as_they_were_sent() {
    let bench = Bench::new();
    let shard = bench.create(2, Metric::Cosine).await;
    let records = vec![record("a", &[1.0, 0.5]), record("b", &[-0.1, 3.0])];
    let lsn = bench.engine.upsert(shard, &ns(""), records.clone()).await.unwrap();
    let ids = [id("b"), id("unknown"), id("a")];
    let fetched = bench.engine.fetch(shard, &ns(""), &ids).await.unwrap();
    assert_eq!(fetched.records, [records[1].clone(), records[0].clone()]);
    assert!(fetched.lsn >= lsn);
    let elsewhere = bench.engine.fetch(shard, &ns("other"), &ids).await.unwrap();
    assert!(elsewhere.records.is_empty());
}

#[tokio::test]
async fn the_last_of_two_records_with_one_id_counts() {
    let bench = Bench::new();
    let shard = bench.create(1, Metric::DotProduct).await;
    let records = vec![record("a", &[1.0]), record("b", &[2.0]), record("a", &[3.0])];
    bench.engine.upsert(shard, &ns(""), records).await.unwrap();
    let stats = bench.engine.stats(shard).await.unwrap();
    assert_eq!(stats.namespaces[&ns("")].record_count, 2);
    let answer = bench.engine.query(shard, &ns(""), near(&[1.0], 10)).await.unwrap();
    let found: Vec<_> = answer.hits.iter().map(|hit| (hit.record.id.as_str(), hit.score)).collect();
    assert_eq!(found, [("a", 3.0), ("b", 2.0)]);
}

#[tokio::test]
async fn each_metric_orders_by_its_own_rule() {
    let bench = Bench::new();
    for (metric, expected) in [
        (Metric::Cosine, [("near", 1.0), ("far", 0.0), ("opposite", -1.0)]),
        (Metric::DotProduct, [("near", 4.0), ("far", 0.0), ("opposite", -2.0)]),
        (Metric::Euclidean, [("near", 1.0), ("opposite", 9.0), ("far", 13.0)]),
    ] {
        let shard = bench.create(2, metric).await;
        let records = vec![
            record("far", &[0.0, 3.0]),
            record("opposite", &[-1.0, 0.0]),
            record("near", &[if metric == Metric::DotProduct { 2.0 } else { 3.0 }, 0.0]),
        ];
        bench.engine.upsert(shard, &ns(""), records).await.unwrap();
        let answer = bench.engine.query(shard, &ns(""), near(&[2.0, 0.0], 3)).await.unwrap();
        let found: Vec<_> =
            answer.hits.iter().map(|hit| (hit.record.id.as_str(), hit.score)).collect();
        assert_eq!(found, expected, "{metric:?}");
    }
}

#[tokio::test]
async fn a_query_by_id_finds_the_record_itself_and_unknown_ids_find_nothing() {
    let bench = Bench::new();
    let shard = bench.create(2, Metric::Cosine).await;
    let records = vec![record("a", &[1.0, 0.0]), record("b", &[0.0, 1.0])];
    bench.engine.upsert(shard, &ns("n"), records).await.unwrap();
    let by_id = |name| Query { near: Near::Record(id(name)), ..near(&[], 1) };
    let answer = bench.engine.query(shard, &ns("n"), by_id("b")).await.unwrap();
    assert_eq!(answer.hits[0].record, record("b", &[0.0, 1.0]));
    assert!(bench.engine.query(shard, &ns("n"), by_id("c")).await.unwrap().hits.is_empty());
    assert!(bench.engine.query(shard, &ns("m"), by_id("b")).await.unwrap().hits.is_empty());
}

#[tokio::test]
async fn writes_show_in_the_next_query() {
    let bench = Bench::new();
    let shard = bench.create(1, Metric::Euclidean).await;
    for round in 0..20_u8 {
        let name = format!("r{round:02}");
        let vector = [f32::from(round)];
        bench.engine.upsert(shard, &ns(""), vec![record(&name, &vector)]).await.unwrap();
        let answer = bench.engine.query(shard, &ns(""), near(&vector, 1)).await.unwrap();
        assert_eq!(answer.hits[0].record.id.as_str(), name);
        if round % 3 == 0 {
            let deletion = Deletion::Ids(vec![id(&name)]);
            bench.engine.delete(shard, &ns(""), deletion).await.unwrap();
            let answer = bench.engine.query(shard, &ns(""), near(&vector, 100)).await.unwrap();
            assert!(answer.hits.iter().all(|hit| hit.record.id.as_str() != name));
        }
    }
}

#[tokio::test]
async fn ids_are_listed_in_byte_order_page_by_page() {
    let bench = Bench::new();
    let shard = bench.create(1, Metric::Cosine).await;
    let names = ["b", "a#2", "a#1", "B", "a", "a#10"];
    let records = names.iter().map(|name| record(name, &[1.0])).collect();
    bench.engine.upsert(shard, &ns(""), records).await.unwrap();
    let mut page = ListPage { prefix: "a#".to_owned(), after: None, limit: 2 };
    let first = bench.engine.list(shard, &ns(""), &page).await.unwrap();
    assert_eq!(first.ids, [id("a#1"), id("a#10")]);
    assert!(first.more);
    page.after = Some("a#10".to_owned());
    let second = bench.engine.list(shard, &ns(""), &page).await.unwrap();
    assert_eq!(second.ids, [id("a#2")]);
    assert!(!second.more);
    let all = ListPage { prefix: String::new(), after: None, limit: 100 };
    let all = bench.engine.list(shard, &ns(""), &all).await.unwrap();
    assert_eq!(all.ids, ["B", "a", "a#1", "a#10", "a#2", "b"].map(id));
}

#[tokio::test]
async fn emptying_a_namespace_leaves_it_there_without_records() {
    let bench = Bench::new();
    let shard = bench.create(1, Metric::Cosine).await;
    let records: Vec<_> = (0..50).map(|i| record(&format!("r{i}"), &[1.0])).collect();
    bench.engine.upsert(shard, &ns("n"), records.clone()).await.unwrap();
    assert_eq!(
        bench.engine.query(shard, &ns("n"), near(&[1.0], 100)).await.unwrap().hits.len(),
        50
    );
    bench.engine.delete(shard, &ns("n"), Deletion::All).await.unwrap();
    assert!(bench.engine.query(shard, &ns("n"), near(&[1.0], 9)).await.unwrap().hits.is_empty());
    let stats = bench.engine.stats(shard).await.unwrap();
    assert_eq!((stats.namespaces[&ns("n")].record_count, stats.namespaces[&ns("n")].bytes), (0, 0));
    bench.engine.delete(shard, &ns("n"), Deletion::All).await.unwrap();
    bench.engine.upsert(shard, &ns("n"), records[..3].to_vec()).await.unwrap();
    let fetched = bench.engine.fetch(shard, &ns("n"), &[id("r0"), id("r9")]).await.unwrap();
    assert_eq!(fetched.records, [records[0].clone()]);
}

#[tokio::test]
async fn deletes_in_unknown_namespaces_are_refused_but_not_in_the_default_one() {
    let bench = Bench::new();
    let shard = bench.create(1, Metric::Cosine).await;
    for deletion in [Deletion::All, Deletion::Ids(vec![id("a")])] {
        let refused = bench.engine.delete(shard, &ns("n"), deletion.clone()).await;
        assert!(matches!(refused, Err(WriteError::NamespaceNotFound)), "{refused:?}");
        bench.engine.delete(shard, &ns(""), deletion).await.unwrap();
    }
}

#[tokio::test]
async fn stats_find_every_namespace_among_many() {
    let bench = Bench::new();
    let shard = bench.create(1, Metric::Cosine).await;
    let names: Vec<_> = (0..300).map(|number| format!("space-{number}")).collect();
    for (count, name) in names.iter().enumerate() {
        let records = (0..=count % 3).map(|i| record(&format!("r{i}"), &[1.0])).collect();
        bench.engine.upsert(shard, &ns(name), records).await.unwrap();
        if count % 50 == 0 {
            bench.engine.delete(shard, &ns(name), Deletion::All).await.unwrap();
        }
    }
    let stats = bench.engine.stats(shard).await.unwrap();
    assert_eq!(stats.namespaces.len(), 300);
    for (count, name) in names.iter().enumerate() {
        let expected = if count % 50 == 0 { 0 } else { count as u64 % 3 + 1 };
        assert_eq!(stats.namespaces[&ns(name)].record_count, expected, "{name}");
    }
}

#[tokio::test]
async fn a_record_without_its_vector_is_reported_as_damage() {
    let bench = Bench::new();
    let shard = bench.create(1, Metric::Cosine).await;
    bench.engine.upsert(shard, &ns(""), vec![record("a", &[1.0])]).await.unwrap();
    let open = bench.engine.shard(shard).await.unwrap();
    let place = open.place(&ns("")).await.unwrap().unwrap();
    open.sweep_rows(vec![lodgepole_rows::vector_key(place, "a")]).await.unwrap();
    // A later write that is durable shows that the sweep is, too.
    bench.engine.upsert(shard, &ns(""), vec![record("b", &[1.0])]).await.unwrap();
    let error = bench.engine.fetch(shard, &ns(""), &[id("a")]).await.unwrap_err();
    assert_eq!(lodgepole_types::Classify::kind(&error), lodgepole_types::ErrorKind::DataLoss);
}
