//! Goal: staged records are nobody's until they are committed, all at once; and nothing of them is
//! left when they are not. Method: each state of a job seen through a restart, a backup, a clone,
//! and the rows in the database.

use lodgepole_storage::prefix_range;
use lodgepole_types::Metric;

use super::*;
use crate::tests::{Bench, id, near, ns, record};
use crate::{Deletion, ShardRef, slots};

const JOB: Uuid = Uuid::from_u128(77);

fn batch(keys: &[&str], progress: &[u8]) -> StageBatch {
    StageBatch {
        records: keys.iter().map(|key| record(key, &[1.0])).collect(),
        progress: progress.to_vec(),
        on_duplicate: Duplicate::Skip,
    }
}

async fn staged() -> (Bench, ShardRef) {
    let bench = Bench::new();
    let shard = bench.create(1, Metric::DotProduct).await;
    bench.engine.upsert(shard, &ns("old"), vec![record("o", &[1.0])]).await.unwrap();
    for (name, keys) in [("a", ["k1", "k2"]), ("b", ["k1", "k3"])] {
        bench.engine.stage_begin(shard, JOB, &ns(name)).await.unwrap();
        let batch = batch(&keys, name.as_bytes());
        bench.engine.stage_write(shard, JOB, &ns(name), batch).await.unwrap();
    }
    (bench, shard)
}

async fn names(bench: &Bench, shard: ShardRef) -> Vec<(String, u64)> {
    let stats = bench.engine.stats(shard).await.unwrap();
    let counts = |(name, stats): (&NamespaceName, &crate::NamespaceStats)| {
        (name.as_str().to_owned(), stats.record_count)
    };
    stats.namespaces.iter().map(counts).collect()
}

/// All rows of the database, once the sweeper has nothing to do.
async fn rows_left(bench: &Bench, shard: ShardRef) -> usize {
    for _ in 0..500 {
        let opened = bench.engine.shard(shard).await.unwrap();
        let view = opened.settled_view().await.unwrap();
        let mut dead = 0;
        slots::for_each(&view, rows::dead_prefix, |_| {
            dead += 1;
            Ok(())
        })
        .await
        .unwrap();
        if dead == 0 {
            let mut scan = view.scan(prefix_range(&[])).await.unwrap();
            let mut rows = 0;
            while scan.next().await.unwrap().is_some() {
                rows += 1;
            }
            return rows;
        }
        lodgepole_types::Clock::sleep(bench.clock.as_ref(), std::time::Duration::from_millis(5))
            .await;
    }
    panic!("the sweeper does not finish");
}

/// Rows of an index with one namespace of one record: totals, name, counts, record, vector.
const ROWS_OF_ONE_RECORD: usize = 5;

#[tokio::test]
async fn nobody_sees_staged_records_before_the_commit() {
    let (mut bench, shard) = staged().await;
    for _ in 0..2 {
        assert_eq!(names(&bench, shard).await, [("old".to_owned(), 1)]);
        let ids = [id("k1")];
        assert!(bench.engine.fetch(shard, &ns("a"), &ids).await.unwrap().records.is_empty());
        let hits = bench.engine.query(shard, &ns("a"), near(&[1.0], 9)).await.unwrap().hits;
        assert!(hits.is_empty());
        let missing = bench.engine.delete(shard, &ns("a"), Deletion::All).await;
        assert!(matches!(missing, Err(WriteError::NamespaceNotFound)), "{missing:?}");
        bench.reopen().await;
    }
    let state = bench.engine.stage_progress(shard, JOB).await.unwrap().unwrap();
    assert_eq!(state.progress, b"b");
    let counts: Vec<_> =
        state.namespaces.iter().map(|staged| (staged.name.as_str(), staged.record_count)).collect();
    assert_eq!(counts, [("a", 2), ("b", 2)]);

    let lsn = bench.engine.stage_commit(shard, JOB).await.unwrap();
    let expected = [("a".to_owned(), 2), ("b".to_owned(), 2), ("old".to_owned(), 1)];
    assert_eq!(names(&bench, shard).await, expected);
    let hits = bench.engine.query(shard, &ns("b"), near(&[1.0], 9)).await.unwrap();
    assert_eq!(hits.hits.len(), 2);
    assert!(hits.lsn >= lsn);
    bench.reopen().await;
    assert_eq!(names(&bench, shard).await, expected);
    assert_eq!(bench.engine.stage_progress(shard, JOB).await.unwrap(), None);
    assert!(bench.engine.staged_jobs(shard).await.unwrap().is_empty());
    let again = bench.engine.stage_commit(shard, JOB).await;
    assert!(matches!(again, Err(WriteError::Staging(StagingError::NotBegun))), "{again:?}");
}

#[tokio::test]
async fn an_aborted_job_leaves_no_rows() {
    let (mut bench, shard) = staged().await;
    assert_eq!(bench.engine.staged_jobs(shard).await.unwrap(), [JOB]);
    bench.reopen().await;
    bench.engine.stage_abort(shard, JOB).await.unwrap();
    assert_eq!(rows_left(&bench, shard).await, ROWS_OF_ONE_RECORD);
    bench.engine.stage_abort(shard, JOB).await.unwrap();
    assert_eq!(bench.engine.stage_progress(shard, JOB).await.unwrap(), None);
    let late = bench.engine.stage_write(shard, JOB, &ns("a"), batch(&["k9"], b"")).await;
    assert!(matches!(late, Err(WriteError::Staging(StagingError::NotBegun))), "{late:?}");
}

#[tokio::test]
async fn duplicates_are_left_out_or_refuse_the_call() {
    let (bench, shard) = staged().await;
    let mut refusing = batch(&["k8", "k2", "k9"], b"never");
    refusing.on_duplicate = Duplicate::Refuse;
    let refused = bench.engine.stage_write(shard, JOB, &ns("a"), refusing.clone()).await;
    let is_it = |error: &WriteError| matches!(error, WriteError::Staging(StagingError::Duplicate(found)) if *found == id("k2"));
    assert!(refused.as_ref().is_err_and(is_it), "{refused:?}");
    let state = bench.engine.stage_progress(shard, JOB).await.unwrap().unwrap();
    assert_eq!((&state.progress[..], state.namespaces[0].record_count), (&b"b"[..], 2));
    refusing.on_duplicate = Duplicate::Skip;
    refusing.records.push(record("k8", &[5.0]));
    let staged = bench.engine.stage_write(shard, JOB, &ns("a"), refusing).await.unwrap();
    assert_eq!((staged.added, staged.skipped), (2, 2));
    bench.engine.stage_commit(shard, JOB).await.unwrap();
    let found = bench.engine.fetch(shard, &ns("a"), &[id("k8")]).await.unwrap().records;
    assert_eq!(found[0].values, [1.0], "the first one stays");
}

#[tokio::test]
async fn names_that_are_taken_are_refused_at_the_begin_and_at_the_commit() {
    let (bench, shard) = staged().await;
    let engine = &bench.engine;
    let taken =
        |error: WriteError| matches!(error, WriteError::Staging(StagingError::NamespaceTaken(_)));
    assert!(taken(engine.stage_begin(shard, JOB, &ns("old")).await.unwrap_err()));
    engine.create_alias(shard, "other", &ns("old")).await.unwrap();
    let alias = engine.stage_begin(shard, JOB, &ns("other")).await;
    assert!(matches!(alias, Err(WriteError::Staging(StagingError::NameIsAlias(_)))), "{alias:?}");

    engine.create_namespace(shard, &ns("b"), None).await.unwrap();
    let refused = engine.stage_commit(shard, JOB).await.unwrap_err();
    let message = refused.to_string();
    assert!(message.contains("\"b\" already exists"), "{message}");
    assert!(!names(&bench, shard).await.iter().any(|(name, _)| name == "a"), "all or nothing");
    engine.delete_namespace(shard, &ns("b")).await.unwrap();
    engine.stage_commit(shard, JOB).await.unwrap();
    let expected = [("a".to_owned(), 2), ("b".to_owned(), 2), ("old".to_owned(), 1)];
    assert_eq!(names(&bench, shard).await, expected);
}

#[tokio::test]
async fn the_default_namespace_can_be_staged_while_it_is_empty() {
    let (mut bench, shard) = staged().await;
    let default = ns("");
    bench.engine.upsert(shard, &default, vec![record("x", &[1.0])]).await.unwrap();
    let refused = bench.engine.stage_begin(shard, JOB, &default).await;
    assert!(matches!(refused, Err(WriteError::Staging(_))), "{refused:?}");
    bench.engine.delete(shard, &default, Deletion::Ids(vec![id("x")])).await.unwrap();
    // A tail stands for the empty namespace when it is replaced.
    let hits = bench.engine.query(shard, &default, near(&[1.0], 9)).await.unwrap().hits;
    assert!(hits.is_empty());
    bench.engine.stage_begin(shard, JOB, &default).await.unwrap();
    bench.engine.stage_write(shard, JOB, &default, batch(&["d1"], b"")).await.unwrap();
    bench.engine.stage_commit(shard, JOB).await.unwrap();
    for _ in 0..2 {
        let hits = bench.engine.query(shard, &default, near(&[1.0], 9)).await.unwrap().hits;
        assert_eq!(hits.len(), 1);
        assert_eq!(names(&bench, shard).await[0], (String::new(), 1));
        bench.reopen().await;
    }
    let totals = bench.engine.checkpoint(shard, "b").await.unwrap();
    assert_eq!((totals.record_count, totals.namespace_count), (6, 4));
}

#[tokio::test]
async fn a_backup_and_its_clone_know_nothing_of_staged_records() {
    let (mut bench, shard) = staged().await;
    let cut = bench.engine.checkpoint(shard, "b").await.unwrap();
    assert_eq!((cut.record_count, cut.namespace_count), (1, 1));
    let target = bench.new_index(1, Metric::DotProduct);
    bench.engine.clone_index(target.index, shard.index, cut.pin).await.unwrap();
    assert_eq!(names(&bench, target).await, [("old".to_owned(), 1)]);
    assert!(bench.engine.staged_jobs(target).await.unwrap().is_empty());
    assert_eq!(bench.engine.stage_progress(target, JOB).await.unwrap(), None);
    let resumed = bench.engine.stage_commit(target, JOB).await;
    assert!(matches!(resumed, Err(WriteError::Staging(StagingError::NotBegun))), "{resumed:?}");
    assert_eq!(rows_left(&bench, target).await, ROWS_OF_ONE_RECORD);
    bench.reopen().await;
    assert_eq!(rows_left(&bench, target).await, ROWS_OF_ONE_RECORD);

    // The job of the source goes on, and a number of the clone is not mixed up with it.
    bench.engine.upsert(target, &ns("a"), vec![record("mine", &[1.0])]).await.unwrap();
    bench.engine.stage_commit(shard, JOB).await.unwrap();
    assert_eq!(names(&bench, shard).await.len(), 3);
    assert_eq!(names(&bench, target).await, [("a".to_owned(), 1), ("old".to_owned(), 1)]);
}
