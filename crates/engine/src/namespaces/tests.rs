//! Goal: namespaces are made once, listed in order, and gone when they are deleted. Method: cases
//! through the engine, each looked at again after a restart.

use lodgepole_types::Metric;
use serde_json::json;

use super::*;
use crate::Deletion;
use crate::tests::{Bench, id, near, ns, record};

async fn listed(bench: &Bench, shard: ShardRef, page: &NamespacePage) -> Vec<String> {
    let list = bench.engine.list_namespaces(shard, page).await.unwrap();
    list.namespaces.iter().map(|info| info.name.listed().to_owned()).collect()
}

fn all() -> NamespacePage {
    NamespacePage { limit: 1_000, ..NamespacePage::default() }
}

#[tokio::test]
async fn a_namespace_is_made_once_whoever_makes_it() {
    let bench = Bench::new();
    let shard = bench.create(1, Metric::Cosine).await;
    let engine = &bench.engine;
    engine.upsert(shard, &ns("upserted"), vec![record("a", &[1.0])]).await.unwrap();
    let (info, _) = engine.create_namespace(shard, &ns("made"), None).await.unwrap();
    assert_eq!((info.record_count, info.schema), (0, None));
    assert!(info.created_at.0 > 0);
    for name in ["upserted", "made", ""] {
        let again = engine.create_namespace(shard, &ns(name), None).await;
        assert!(matches!(again, Err(WriteError::NamespaceExists)), "{name}: {again:?}");
    }
    let cut = engine.checkpoint(shard, "b").await.unwrap();
    assert_eq!(cut.namespace_count, 2);
}

#[tokio::test]
async fn the_schema_stays_while_the_namespace_is_emptied_and_reopened() {
    let mut bench = Bench::new();
    let shard = bench.create(1, Metric::Cosine).await;
    let schema = json!({"fields": {"genre": {"filterable": true}}});
    let made = bench.engine.create_namespace(shard, &ns("n"), Some(schema.clone())).await;
    assert_eq!(made.unwrap().0.schema, Some(schema.clone()));
    bench.engine.upsert(shard, &ns("n"), vec![record("a", &[1.0])]).await.unwrap();
    bench.engine.delete(shard, &ns("n"), Deletion::All).await.unwrap();
    bench.reopen().await;
    let info = bench.engine.describe_namespace(shard, &ns("n")).await.unwrap().unwrap();
    assert_eq!((info.record_count, info.bytes, info.schema), (0, 0, Some(schema.clone())));
    assert_eq!(bench.engine.namespace_schema(shard, &ns("n")).await.unwrap(), Some(schema));
    assert_eq!(bench.engine.namespace_schema(shard, &ns("other")).await.unwrap(), None);
    // Deleted and made again, it starts without one.
    bench.engine.delete_namespace(shard, &ns("n")).await.unwrap();
    bench.engine.upsert(shard, &ns("n"), vec![record("a", &[1.0])]).await.unwrap();
    assert_eq!(bench.engine.namespace_schema(shard, &ns("n")).await.unwrap(), None);
}

#[tokio::test]
async fn a_deleted_namespace_is_gone_with_its_records() {
    let mut bench = Bench::new();
    let shard = bench.create(1, Metric::DotProduct).await;
    for name in ["gone", "stays"] {
        bench.engine.upsert(shard, &ns(name), vec![record("a", &[1.0])]).await.unwrap();
        // Tails are held when one of the two goes.
        bench.engine.query(shard, &ns(name), near(&[1.0], 9)).await.unwrap();
    }
    bench.engine.delete_namespace(shard, &ns("gone")).await.unwrap();
    for _ in 0..2 {
        assert_eq!(listed(&bench, shard, &all()).await, ["stays"]);
        assert_eq!(bench.engine.describe_namespace(shard, &ns("gone")).await.unwrap(), None);
        let hits = bench.engine.query(shard, &ns("gone"), near(&[1.0], 9)).await.unwrap().hits;
        assert!(hits.is_empty());
        let again = bench.engine.delete_namespace(shard, &ns("gone")).await;
        assert!(matches!(again, Err(WriteError::NamespaceNotFound)), "{again:?}");
        let records = bench.engine.delete(shard, &ns("gone"), Deletion::Ids(vec![id("a")])).await;
        assert!(matches!(records, Err(WriteError::NamespaceNotFound)), "{records:?}");
        bench.reopen().await;
    }
    let cut = bench.engine.checkpoint(shard, "b").await.unwrap();
    assert_eq!((cut.record_count, cut.namespace_count), (1, 1));
    bench.engine.upsert(shard, &ns("gone"), vec![record("b", &[2.0])]).await.unwrap();
    let hits = bench.engine.query(shard, &ns("gone"), near(&[1.0], 9)).await.unwrap().hits;
    assert_eq!(hits.len(), 1, "the new one knows nothing of the old");
}

#[tokio::test]
async fn the_default_namespace_is_there_whatever_happens_to_it() {
    let bench = Bench::new();
    let shard = bench.create(1, Metric::DotProduct).await;
    let (engine, default) = (&bench.engine, ns(""));
    let info = engine.describe_namespace(shard, &default).await.unwrap().unwrap();
    assert_eq!((info.record_count, info.created_at), (0, Timestamp(0)));
    engine.delete_namespace(shard, &default).await.unwrap();
    engine.upsert(shard, &default, vec![record("a", &[1.0])]).await.unwrap();
    engine.delete_namespace(shard, &default).await.unwrap();
    let info = engine.describe_namespace(shard, &default).await.unwrap().unwrap();
    assert_eq!(info.record_count, 0);
    engine.delete(shard, &default, Deletion::Ids(vec![id("a")])).await.unwrap();
}

#[tokio::test]
async fn a_listing_pages_through_all_names_in_byte_order() {
    let bench = Bench::new();
    let shard = bench.create(1, Metric::DotProduct).await;
    let mut names: Vec<_> = (0..40).map(|n| format!("n{n}")).collect();
    names.extend(["A".to_owned(), "_z".to_owned(), "__default__".to_owned(), "other".to_owned()]);
    for name in &names {
        bench.engine.upsert(shard, &ns(name), vec![record("a", &[1.0])]).await.unwrap();
    }
    names.sort();
    assert_eq!(listed(&bench, shard, &all()).await, names);
    for limit in [1, 7, 40, 44, 45] {
        let mut found = Vec::new();
        let mut page = NamespacePage { limit, ..NamespacePage::default() };
        loop {
            let list = bench.engine.list_namespaces(shard, &page).await.unwrap();
            assert_eq!(list.total_count, 44);
            assert!(list.namespaces.len() <= limit);
            let on_page = list.namespaces.iter().map(|info| info.name.listed().to_owned());
            found.extend(on_page);
            if !list.more {
                break;
            }
            page.after = found.last().cloned();
        }
        assert_eq!(found, names, "limit {limit}");
    }
    let page = NamespacePage { prefix: "n1".to_owned(), after: Some("n12".to_owned()), limit: 3 };
    let list = bench.engine.list_namespaces(shard, &page).await.unwrap();
    assert_eq!((list.total_count, list.more), (11, true));
    assert_eq!(list.namespaces[0].record_count, 1);
    assert_eq!(listed(&bench, shard, &page).await, ["n13", "n14", "n15"]);
    let page = NamespacePage { prefix: "__d".to_owned(), ..all() };
    assert_eq!(listed(&bench, shard, &page).await, ["__default__"]);
    let none = NamespacePage { prefix: "x".to_owned(), ..all() };
    assert_eq!(bench.engine.list_namespaces(shard, &none).await.unwrap().total_count, 0);
}
