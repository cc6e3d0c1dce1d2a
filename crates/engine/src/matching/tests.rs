//! Goal: an update or delete by filter takes place at one moment, whatever else is written. Method:
//! concurrent writers, whose answers are replayed in the order of their Lsns on a plain map; and the
//! steps of one request taken apart, with writes in between.

use std::collections::BTreeMap;
use std::sync::Arc;

use lodgepole_types::{Limits, Lsn, Metric, Rng, SeededRng, Struct};

use super::*;
use crate::tests::{Bench, id, metadata, ns, record};
use crate::{Deletion, EngineOptions, ShardRef, Update};

fn parsed(json: &str) -> Struct {
    serde_json::from_str(json).unwrap()
}

fn filter(json: &str) -> Arc<Filter> {
    Arc::new(Filter::parse(&parsed(json), &Limits::default()).unwrap())
}

fn patch(json: &str) -> MetadataPatch {
    MetadataPatch::parse(parsed(json), &Limits::default()).unwrap()
}

/// A record whose metadata is `{"n": number}`.
fn numbered(key: &str, number: u64) -> lodgepole_types::Record {
    let mut record = record(key, &[1.0]);
    record.metadata = metadata(&format!(r#"{{"n":{number}}}"#));
    record
}

async fn fill(bench: &Bench, count: u64) -> ShardRef {
    let shard = bench.create(1, Metric::DotProduct).await;
    let records = (0..count).map(|n| numbered(&format!("r{n:03}"), n)).collect();
    bench.engine.upsert(shard, &ns("n"), records).await.unwrap();
    shard
}

/// The numbers in the metadata of all records, by id; none for one without.
async fn numbers(bench: &Bench, shard: ShardRef) -> BTreeMap<String, Option<u64>> {
    let page = crate::ListPage { prefix: String::new(), after: None, limit: 100_000 };
    let ids = bench.engine.list(shard, &ns("n"), &page).await.unwrap().ids;
    let records = bench.engine.fetch(shard, &ns("n"), &ids).await.unwrap().records;
    records.into_iter().map(|record| (record.id.as_str().to_owned(), number(&record))).collect()
}

fn number(record: &lodgepole_types::Record) -> Option<u64> {
    let value = record.metadata.as_struct().fields.get("n")?;
    (0..100_000_u32).find(|n| *value == f64::from(*n).into()).map(u64::from)
}

#[tokio::test]
async fn all_matches_are_counted_and_the_first_ones_by_id_changed() {
    let bench = Bench::new();
    let shard = fill(&bench, 100).await;
    let (ns, above) = (ns("n"), filter(r#"{"n":{"$gte":40}}"#));
    let set = patch(r#"{"n":7}"#);
    let matched =
        bench.engine.update_matching(shard, &ns, Arc::clone(&above), set, 10).await.unwrap();
    assert_eq!(matched.count, 60);
    let held = numbers(&bench, shard).await;
    let changed: Vec<_> =
        held.iter().filter(|(_, n)| **n == Some(7)).map(|(key, _)| key.as_str()).collect();
    assert_eq!(changed.len(), 11);
    assert_eq!((changed[0], changed[1], changed[10]), ("r007", "r040", "r049"));
    let matched = bench.engine.delete_matching(shard, &ns, above).await.unwrap();
    assert_eq!(matched.count, 50);
    assert_eq!(numbers(&bench, shard).await.len(), 50);
    let stats = bench.engine.stats(shard).await.unwrap();
    assert_eq!(stats.namespaces[&ns].record_count, 50);
}

#[tokio::test]
async fn nothing_is_changed_when_one_record_would_grow_too_large() {
    let bench = Bench::new();
    let shard = fill(&bench, 20).await;
    let limits = Limits { metadata_bytes_max: 40, ..Limits::default() };
    let mut large = numbered("r010", 10);
    large.metadata = metadata(r#"{"n":10,"text":"01234567890123"}"#);
    bench.engine.upsert(shard, &ns("n"), vec![large]).await.unwrap();
    let before = numbers(&bench, shard).await;
    let grow = MetadataPatch::parse(parsed(r#"{"n":1,"more":"012"}"#), &limits).unwrap();
    let all = filter(r#"{"n":{"$gte":0}}"#);
    let refused =
        bench.engine.update_matching(shard, &ns("n"), Arc::clone(&all), grow.clone(), 100).await;
    assert!(matches!(refused, Err(WriteError::Metadata(_))), "{refused:?}");
    assert_eq!(numbers(&bench, shard).await, before);
    let fits = bench.engine.update_matching(shard, &ns("n"), all, grow, 10).await.unwrap();
    assert_eq!(fits.count, 20, "the record that is too large is beyond the first ten");
}

#[tokio::test]
async fn unknown_namespaces_are_refused_and_the_default_one_is_empty() {
    let bench = Bench::new();
    let shard = fill(&bench, 1).await;
    let all = filter(r#"{"n":{"$exists":true}}"#);
    let unknown = bench.engine.delete_matching(shard, &ns("unknown"), Arc::clone(&all)).await;
    assert!(matches!(unknown, Err(WriteError::NamespaceNotFound)), "{unknown:?}");
    let none = bench.engine.delete_matching(shard, &ns(""), Arc::clone(&all)).await.unwrap();
    assert_eq!(none.count, 0);
    bench.engine.create_alias(shard, "alias", &ns("n")).await.unwrap();
    let through = bench.engine.delete_matching(shard, &ns("alias"), all).await;
    assert!(
        matches!(through, Err(WriteError::Alias(crate::AliasError::WriteToAlias { .. }))),
        "{through:?}"
    );
}

#[tokio::test]
async fn more_matches_than_memory_allows_are_refused() {
    let bench =
        Bench::with(EngineOptions { matching_bytes_max: 2_000, ..EngineOptions::default() });
    let shard = fill(&bench, 50).await;
    let all = filter(r#"{"n":{"$gte":0}}"#);
    let refused = bench.engine.delete_matching(shard, &ns("n"), all).await;
    assert!(matches!(refused, Err(WriteError::TooManyMatches)), "{refused:?}");
    assert_eq!(numbers(&bench, shard).await.len(), 50);
    let few = filter(r#"{"n":{"$lt":3}}"#);
    assert_eq!(bench.engine.delete_matching(shard, &ns("n"), few).await.unwrap().count, 3);
}

/// The search of a request, so that writes can be put between it and the command.
async fn found(bench: &Bench, shard: ShardRef, act: Act) -> Matching {
    let opened = bench.engine.shard(shard).await.unwrap();
    let registered = opened.watch(&ns("n")).await.unwrap().unwrap();
    let search = Search { filter: filter(r#"{"n":{"$gte":5}}"#), act };
    opened.find(registered, &search).await.unwrap().unwrap()
}

async fn command(bench: &Bench, shard: ShardRef, matching: Matching) -> Result<u64, WriteError> {
    let opened = bench.engine.shard(shard).await.unwrap();
    let change = RecordChange::Matching(Box::new(matching));
    let done = opened.write(Change::Records(ns("n"), change)).await?;
    let Outcome::Matched(count) = done.outcome else { panic!("{done:?}") };
    Ok(count)
}

#[tokio::test]
async fn what_changed_since_the_search_is_looked_at_again() {
    let bench = Bench::new();
    let shard = fill(&bench, 10).await;
    let matching = found(&bench, shard, Act::Delete).await;
    // One stops matching, one starts, one goes, one comes, one is replaced by a match.
    let fresh =
        vec![numbered("r005", 1), numbered("r001", 9), numbered("new", 8), numbered("r008", 6)];
    bench.engine.upsert(shard, &ns("n"), fresh).await.unwrap();
    let gone = Deletion::Ids(vec![id("r006")]);
    bench.engine.delete(shard, &ns("n"), gone).await.unwrap();
    let revise =
        Update { id: id("r009"), values: None, sparse: None, metadata: Some(patch(r#"{"n":2}"#)) };
    bench.engine.update(shard, &ns("n"), revise).await.unwrap();
    assert_eq!(command(&bench, shard, matching).await.unwrap(), 4, "r001, r007, r008, new");
    let left = numbers(&bench, shard).await;
    assert_eq!(left.keys().collect::<Vec<_>>(), ["r000", "r002", "r003", "r004", "r005", "r009"]);
    let stats = bench.engine.stats(shard).await.unwrap();
    assert_eq!(stats.namespaces[&ns("n")].record_count, 6);
}

#[tokio::test]
async fn matches_beyond_those_that_are_kept_are_counted_exactly_too() {
    let options = EngineOptions { revisit_ids_max: 4, ..EngineOptions::default() };
    let bench = Bench::with(options);
    let shard = fill(&bench, 40).await;
    // Two may be changed and four more are kept: 29 matches lie beyond.
    let act = Act::Update { patch: patch(r#"{"n":1}"#), max: 2 };
    let matching = found(&bench, shard, act.clone()).await;
    assert_eq!((matching.findings.kept.len(), matching.findings.beyond), (6, 29));
    let fresh = vec![numbered("r005", 0), numbered("r030", 0), numbered("zzz", 50)];
    bench.engine.upsert(shard, &ns("n"), fresh).await.unwrap();
    assert_eq!(command(&bench, shard, matching).await.unwrap(), 34);
    let held = numbers(&bench, shard).await;
    assert_eq!((held["r006"], held["r007"], held["r008"]), (Some(1), Some(1), Some(8)));

    // More is touched than the writer looks at again.
    let matching = found(&bench, shard, act).await;
    let fresh = (0..5).map(|n| numbered(&format!("r{n:03}"), 30)).collect();
    bench.engine.upsert(shard, &ns("n"), fresh).await.unwrap();
    let refused = command(&bench, shard, matching).await;
    assert!(matches!(refused, Err(WriteError::Contended)), "{refused:?}");
}

#[tokio::test]
async fn an_emptied_namespace_ends_the_watch() {
    let bench = Bench::new();
    let shard = fill(&bench, 10).await;
    for deletes in [false, true] {
        let matching = found(&bench, shard, Act::Delete).await;
        if deletes {
            bench.engine.delete_namespace(shard, &ns("n")).await.unwrap();
        } else {
            bench.engine.delete(shard, &ns("n"), Deletion::All).await.unwrap();
        }
        bench.engine.upsert(shard, &ns("n"), vec![numbered("r007", 7)]).await.unwrap();
        let refused = command(&bench, shard, matching).await;
        assert!(matches!(refused, Err(WriteError::Contended)), "{refused:?}");
        assert_eq!(numbers(&bench, shard).await.len(), 1);
    }
    let matched = bench.engine.delete_matching(shard, &ns("n"), filter(r#"{"n":7}"#)).await;
    assert_eq!(matched.unwrap().count, 1, "a whole request begins anew by itself");
}

/// A write, and what it answered.
#[derive(Debug, Clone)]
enum Write {
    Upsert(Vec<(u64, u64)>),
    Delete(Vec<u64>),
    Set(u64, u64),
    /// Sets the number of the first so many records at or above the first number.
    SetMatching {
        from: u64,
        to: u64,
        max: usize,
        count: u64,
    },
    DeleteMatching {
        from: u64,
        count: u64,
    },
    Empty,
}

const KEYS: u64 = 60;

fn key(number: u64) -> String {
    format!("r{number:03}")
}

impl Write {
    fn draw(rng: &dyn Rng) -> Self {
        let below = |limit: u64| rng.next_u64() % limit;
        match below(40) {
            0 => Self::Empty,
            1..=4 => Self::Delete((0..3).map(|_| below(KEYS)).collect()),
            5..=10 => Self::Set(below(KEYS), below(1_000)),
            11..=16 => {
                let max = [1, 5, 1_000][usize::try_from(below(3)).unwrap()];
                Self::SetMatching { from: 200 + below(700), to: below(1_000), max, count: 0 }
            }
            17..=19 => Self::DeleteMatching { from: 600 + below(400), count: 0 },
            _ => Self::Upsert((0..4).map(|_| (below(KEYS), below(1_000))).collect()),
        }
    }

    /// Carries it out; `None` when the caller is to retry.
    async fn issue(&mut self, bench: &Bench, shard: ShardRef) -> Option<Lsn> {
        let (engine, space) = (&bench.engine, ns("n"));
        let at_least = |from: &u64| filter(&format!(r#"{{"n":{{"$gte":{from}}}}}"#));
        let set = |to: &u64| patch(&format!(r#"{{"n":{to}}}"#));
        let matched = match self {
            Self::Upsert(keys) => {
                let records = keys.iter().map(|(id, n)| numbered(&key(*id), *n)).collect();
                return Some(engine.upsert(shard, &space, records).await.unwrap());
            }
            Self::Delete(keys) => {
                let ids = Deletion::Ids(keys.iter().map(|number| id(&key(*number))).collect());
                return Some(engine.delete(shard, &space, ids).await.unwrap());
            }
            Self::Empty => {
                return Some(engine.delete(shard, &space, Deletion::All).await.unwrap());
            }
            Self::Set(number, to) => {
                let metadata = Some(set(to));
                let update = Update { id: id(&key(*number)), values: None, sparse: None, metadata };
                return Some(engine.update(shard, &space, update).await.unwrap());
            }
            Self::SetMatching { from, to, max, count } => {
                let done = engine.update_matching(shard, &space, at_least(from), set(to), *max);
                done.await.map(|matched| (matched, count))
            }
            Self::DeleteMatching { from, count } => {
                let done = engine.delete_matching(shard, &space, at_least(from)).await;
                done.map(|matched| (matched, count))
            }
        };
        match matched {
            Ok((matched, count)) => {
                *count = matched.count;
                Some(matched.lsn)
            }
            Err(WriteError::Contended) => None,
            Err(error) => panic!("{error}"),
        }
    }

    fn replay(&self, held: &mut BTreeMap<String, Option<u64>>) {
        match self {
            Self::Upsert(keys) => {
                held.extend(keys.iter().map(|(id, n)| (key(*id), Some(*n))));
            }
            Self::Delete(keys) => {
                held.retain(|id, _| !keys.iter().any(|number| key(*number) == *id));
            }
            Self::Empty => held.clear(),
            Self::Set(number, to) => {
                if let Some(n) = held.get_mut(&key(*number)) {
                    *n = Some(*to);
                }
            }
            Self::SetMatching { from, to, max, count } => {
                let matches = held.values_mut().filter(|n| n.is_some_and(|n| n >= *from));
                let mut counted = 0;
                for (at, n) in matches.enumerate() {
                    counted += 1;
                    if at < *max {
                        *n = Some(*to);
                    }
                }
                assert_eq!(*count, counted, "{self:?}");
            }
            Self::DeleteMatching { from, count } => {
                let before = held.len();
                held.retain(|_, n| n.is_none_or(|n| n < *from));
                assert_eq!(*count, (before - held.len()) as u64, "{self:?}");
            }
        }
    }
}

/// Everything at once; then all answers are replayed in the order of their Lsns.
async fn race(seed: u64, options: EngineOptions) {
    const WRITERS: u64 = 6;
    const WRITES: usize = 60;
    let bench = Arc::new(Bench::with(options));
    let shard = fill(&bench, KEYS).await;
    let tasks: Vec<_> = (0..WRITERS)
        .map(|number| {
            let bench = Arc::clone(&bench);
            tokio::spawn(async move {
                let rng = SeededRng::new(seed ^ (number << 32));
                let mut done = Vec::new();
                let mut last = Lsn(0);
                for _ in 0..WRITES {
                    let mut write = Write::draw(&rng);
                    let Some(lsn) = write.issue(&bench, shard).await else { continue };
                    assert!(lsn > last, "later requests come later");
                    last = lsn;
                    done.push((lsn, write));
                }
                done
            })
        })
        .collect();
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await.unwrap());
    }
    all.sort_by_key(|(lsn, _)| *lsn);
    assert!(all.windows(2).all(|pair| pair[0].0 < pair[1].0), "each write has its own place");
    let mut held: BTreeMap<_, _> = (0..KEYS).map(|n| (key(n), Some(n))).collect();
    for (_, write) in &all {
        write.replay(&mut held);
    }
    assert_eq!(numbers(&bench, shard).await, held, "seed {seed}");
    let stats = bench.engine.stats(shard).await.unwrap();
    assert_eq!(stats.namespaces[&ns("n")].record_count, held.len() as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_writers_and_filters_are_linearizable() {
    for seed in 0..6 {
        race(seed, EngineOptions::default()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn they_are_linearizable_with_the_smallest_bounds_too() {
    for seed in 0..6 {
        let options = EngineOptions {
            watch_ids_max: 30,
            revisit_ids_max: 6,
            matching_tries_max: 50,
            ..EngineOptions::default()
        };
        race(seed, options).await;
    }
}
