//! Goal: a name is a namespace or an alias, readers follow aliases, writers do not. Method: cases
//! through the engine with restarts and clones, and a race for one name.

use lodgepole_types::Metric;

use super::*;
use crate::tests::{Bench, ns, record};
use crate::{Deletion, EngineOptions, Update};

async fn with_namespaces(options: EngineOptions) -> (Bench, ShardRef) {
    let bench = Bench::with(options);
    let shard = bench.create(1, Metric::DotProduct).await;
    for name in ["blue", "green"] {
        bench.engine.upsert(shard, &ns(name), vec![record(name, &[1.0])]).await.unwrap();
    }
    (bench, shard)
}

fn refusal<T: std::fmt::Debug>(result: Result<T, WriteError>) -> AliasError {
    match result {
        Err(WriteError::Alias(error)) => error,
        other => panic!("{other:?}"),
    }
}

async fn target(bench: &Bench, shard: ShardRef, name: &str) -> String {
    let resolved = bench.engine.resolve(shard, &ns(name)).await.unwrap();
    assert_eq!(resolved.is_alias, resolved.namespace != ns(name));
    resolved.namespace.as_str().to_owned()
}

#[tokio::test]
async fn an_alias_follows_its_target_through_restarts_and_clones() {
    let (mut bench, shard) = with_namespaces(EngineOptions::default()).await;
    assert_eq!(target(&bench, shard, "live").await, "live");
    let (made, _) = bench.engine.create_alias(shard, "live", &ns("blue")).await.unwrap();
    assert_eq!(made.created_at, made.updated_at);
    assert_eq!(target(&bench, shard, "live").await, "blue");
    bench.clock.advance(std::time::Duration::from_secs(9));
    let (moved, _) = bench.engine.repoint_alias(shard, "live", &ns("green")).await.unwrap();
    assert_eq!(moved.created_at, made.created_at);
    assert!(moved.updated_at.0 >= made.updated_at.0 + 9_000);
    let cut = bench.engine.checkpoint(shard, "b").await.unwrap();
    bench.reopen().await;
    assert_eq!(target(&bench, shard, "live").await, "green");
    assert_eq!(bench.engine.describe_alias(shard, "live").await.unwrap(), Some(moved.clone()));
    let (gone, _) = bench.engine.delete_alias(shard, "live").await.unwrap();
    assert_eq!(gone, moved);
    assert_eq!(target(&bench, shard, "live").await, "live");
    bench.reopen().await;
    assert!(bench.engine.list_aliases(shard).await.unwrap().is_empty());

    let clone = bench.new_index(1, Metric::DotProduct);
    bench.engine.clone_index(clone.index, shard.index, cut.pin).await.unwrap();
    assert_eq!(bench.engine.list_aliases(clone).await.unwrap(), [moved]);
}

#[tokio::test]
async fn every_reason_to_refuse_has_its_error() {
    let options = EngineOptions { aliases_max: 2, ..EngineOptions::default() };
    let (bench, shard) = with_namespaces(options).await;
    let (engine, blue) = (&bench.engine, ns("blue"));
    engine.create_alias(shard, "live", &blue).await.unwrap();
    let target = || blue.clone();
    let exists = refusal(engine.create_alias(shard, "live", &ns("green")).await);
    assert_eq!(exists, AliasError::AlreadyExists { target: target() });
    let in_use = refusal(engine.create_alias(shard, "green", &blue).await);
    assert_eq!(in_use, AliasError::NameInUseByNamespace);
    let unknown = refusal(engine.create_alias(shard, "x", &ns("unknown")).await);
    assert_eq!(unknown, AliasError::TargetNotFound);
    let chain = refusal(engine.create_alias(shard, "x", &ns("live")).await);
    assert_eq!(chain, AliasError::TargetIsAlias);
    assert_eq!(refusal(engine.repoint_alias(shard, "x", &blue).await), AliasError::NotFound);
    assert_eq!(refusal(engine.delete_alias(shard, "x").await), AliasError::NotFound);
    let lost = refusal(engine.repoint_alias(shard, "live", &ns("unknown")).await);
    assert_eq!(lost, AliasError::TargetNotFound);

    let live = ns("live");
    let upsert = engine.upsert(shard, &live, vec![record("a", &[1.0])]).await;
    assert_eq!(refusal(upsert), AliasError::NameInUseByAlias { target: target() });
    let create = engine.create_namespace(shard, &live, None).await;
    assert_eq!(refusal(create), AliasError::NameInUseByAlias { target: target() });
    let update = Update { id: crate::tests::id("a"), values: None, sparse: None, metadata: None };
    let update = engine.update(shard, &live, update).await;
    assert_eq!(refusal(update), AliasError::WriteToAlias { target: target() });
    let delete = engine.delete(shard, &live, Deletion::All).await;
    assert_eq!(refusal(delete), AliasError::WriteToAlias { target: target() });
    let delete = engine.delete_namespace(shard, &live).await;
    assert_eq!(refusal(delete), AliasError::IsNoNamespace { target: target() });

    engine.create_alias(shard, "spare", &ns("")).await.unwrap();
    let full = refusal(engine.create_alias(shard, "third", &blue).await);
    assert_eq!(full, AliasError::TooMany { max: 2 });
    let targeted = engine.delete_namespace(shard, &blue).await;
    let names = match targeted {
        Err(WriteError::NamespaceTargeted { aliases }) => aliases,
        other => panic!("{other:?}"),
    };
    assert_eq!(names, ["live"]);
    engine.delete(shard, &blue, Deletion::All).await.unwrap();
    engine.delete_alias(shard, "live").await.unwrap();
    engine.delete_namespace(shard, &blue).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_name_becomes_a_namespace_or_an_alias_and_never_both() {
    let (bench, shard) = with_namespaces(EngineOptions::default()).await;
    let bench = Arc::new(bench);
    for round in 0..40 {
        let name = format!("wanted{round}");
        let upsert = {
            let (bench, name) = (Arc::clone(&bench), ns(&name));
            tokio::spawn(async move {
                bench.engine.upsert(shard, &name, vec![record("a", &[1.0])]).await
            })
        };
        let alias = bench.engine.create_alias(shard, &name, &ns("blue")).await;
        let upsert = upsert.await.unwrap();
        assert_ne!(alias.is_ok(), upsert.is_ok(), "{alias:?} {upsert:?}");
        let exists = bench.engine.describe_namespace(shard, &ns(&name)).await.unwrap().is_some();
        assert_eq!(exists, upsert.is_ok());
        let resolved = bench.engine.resolve(shard, &ns(&name)).await.unwrap();
        assert_eq!(resolved.is_alias, alias.is_ok());
    }
}
