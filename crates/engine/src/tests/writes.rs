//! Goal: every kind of write does what it says, and counts stay exact. Method: generated sequences of
//! writes, restarts and clones against a plain model; after each step the answer is compared, and at
//! the end everything that can be read.
#![expect(clippy::wildcard_enum_match_arm, reason = "several functions share the kinds of step")]

use std::collections::BTreeMap;
use std::sync::Arc;

use lodgepole_types::{
    Filter, Limits, Lsn, Metadata, MetadataPatch, Metric, Record, SparseVector, Struct, Value,
};
use proptest::prelude::*;
use uuid::Uuid;

use super::{Bench, id, ns};
use crate::{
    AliasError, Deletion, Duplicate, NamespacePage, ShardRef, StageBatch, StagingError, Update,
    WriteError,
};

type Keys = Vec<(u8, i8)>;

#[derive(Debug, Clone)]
enum Step {
    Upsert(u8, Keys),
    /// The record, and which parts change.
    Update(u8, u8, i8, u8),
    Delete(u8, Vec<u8>),
    Empty(u8),
    UpdateMatching(u8, i8, usize),
    DeleteMatching(u8, i8),
    Create(u8),
    Drop(u8),
    Alias(u8, u8),
    Repoint(u8, u8),
    Unalias(u8),
    Begin(u8, u8),
    Stage(u8, u8, Keys),
    Commit(u8),
    Abort(u8),
    Restart,
    MoveToClone,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    use Step::{
        Abort, Alias, Begin, Commit, Create, Delete, DeleteMatching, Drop, Empty, MoveToClone,
        Repoint, Restart, Stage, Unalias, Update, UpdateMatching, Upsert,
    };
    let name = 0..4_u8;
    let job = 0..2_u8;
    let keys = || proptest::collection::vec((0..8_u8, -5..5_i8), 1..5);
    let some = || proptest::collection::vec(0..8_u8, 1..4);
    proptest::collection::vec(
        prop_oneof![
            6 => (name.clone(), keys()).prop_map(|(name, keys)| Upsert(name, keys)),
            6 => (name.clone(), 0..8_u8, -5..5_i8, 0..8_u8)
                .prop_map(|(name, key, value, parts)| Update(name, key, value, parts)),
            2 => (name.clone(), some()).prop_map(|(name, ids)| Delete(name, ids)),
            1 => name.clone().prop_map(Empty),
            4 => (name.clone(), -5..5_i8, 0..5_usize)
                .prop_map(|(name, above, max)| UpdateMatching(name, above, max)),
            2 => (name.clone(), 0..5_i8).prop_map(|(name, above)| DeleteMatching(name, above)),
            1 => name.clone().prop_map(Create),
            1 => name.clone().prop_map(Drop),
            2 => (name.clone(), name.clone()).prop_map(|(name, to)| Alias(name, to)),
            1 => (name.clone(), name.clone()).prop_map(|(name, to)| Repoint(name, to)),
            1 => name.clone().prop_map(Unalias),
            2 => (job.clone(), name.clone()).prop_map(|(job, name)| Begin(job, name)),
            3 => (job.clone(), name, keys()).prop_map(|(job, name, keys)| Stage(job, name, keys)),
            1 => job.clone().prop_map(Commit),
            1 => job.prop_map(Abort),
            1 => Just(Restart),
            1 => Just(MoveToClone),
        ],
        1..40,
    )
}

const NAMES: [&str; 4] = ["", "one", "two", "three"];

fn name_of(number: u8) -> &'static str {
    NAMES[usize::from(number)]
}

fn job_id(number: u8) -> Uuid {
    Uuid::from_u128(u128::from(number) + 1)
}

fn parsed(json: &str) -> Struct {
    serde_json::from_str(json).unwrap()
}

fn metadata(json: &str) -> Metadata {
    Metadata::parse(parsed(json), &Limits::default()).unwrap()
}

fn made(key: u8, value: i8) -> Record {
    let sparse = (value % 2 == 0)
        .then(|| SparseVector { indices: vec![9, 3], values: vec![f32::from(value), 1.0] });
    Record {
        id: id(&format!("k{key}")),
        values: vec![f32::from(value)],
        sparse,
        metadata: metadata(&format!(r#"{{"n":{value},"tag":"t{key}"}}"#)),
    }
}

fn records(keys: &Keys) -> Vec<Record> {
    keys.iter().map(|(key, value)| made(*key, *value)).collect()
}

/// Everything above a number.
fn above(limit: i8) -> Arc<Filter> {
    let source = parsed(&format!(r#"{{"n":{{"$gt":{limit}}}}}"#));
    Arc::new(Filter::parse(&source, &Limits::default()).unwrap())
}

fn is_above(record: &Record, limit: i8) -> bool {
    let found = record.metadata.as_struct().fields.get("n");
    (limit + 1..=120).any(|n| found == Some(&Value::from(f64::from(n))))
}

fn patch() -> MetadataPatch {
    MetadataPatch::parse(parsed(r#"{"seen":true,"tag":null}"#), &Limits::default()).unwrap()
}

type Records = BTreeMap<String, Record>;

#[derive(Debug, Default, Clone)]
struct Model {
    spaces: BTreeMap<String, Records>,
    aliases: BTreeMap<String, String>,
    jobs: BTreeMap<u8, BTreeMap<String, Records>>,
}

/// Why a write is refused; the answer of the engine in the same words.
fn reason(error: &WriteError) -> &'static str {
    match error {
        WriteError::NamespaceNotFound => "no namespace",
        WriteError::NamespaceExists => "namespace exists",
        WriteError::NamespaceTargeted { .. } => "targeted",
        WriteError::Metadata(_)
        | WriteError::Contended
        | WriteError::Superseded
        | WriteError::TooManyMatches => "other",
        WriteError::Alias(AliasError::NameInUseByNamespace) => "name of namespace",
        WriteError::Alias(AliasError::NameInUseByAlias { .. }) => "name of alias",
        WriteError::Alias(AliasError::AlreadyExists { .. }) => "alias exists",
        WriteError::Alias(AliasError::NotFound) => "no alias",
        WriteError::Alias(AliasError::TargetNotFound) => "no target",
        WriteError::Alias(AliasError::TargetIsAlias) => "target is alias",
        WriteError::Alias(AliasError::TooMany { .. }) => "too many",
        WriteError::Alias(AliasError::WriteToAlias { .. }) => "write to alias",
        WriteError::Alias(AliasError::IsNoNamespace { .. }) => "no namespace but alias",
        WriteError::Staging(StagingError::NotBegun) => "not begun",
        WriteError::Staging(StagingError::NamespaceTaken(_)) => "taken",
        WriteError::Staging(StagingError::NameIsAlias(_)) => "taken by alias",
        WriteError::Staging(StagingError::Duplicate(_)) => "duplicate",
        WriteError::Engine(error) => panic!("{error}"),
    }
}

type Answer = Result<u64, &'static str>;

impl Model {
    /// The records of a namespace that is changed under its own name.
    fn records(&mut self, name: &str) -> Result<&mut Records, &'static str> {
        if self.aliases.contains_key(name) {
            return Err("write to alias");
        }
        if name.is_empty() || self.spaces.contains_key(name) {
            // What does not exist has no records; the default one may come into being unnoticed.
            return Ok(self.spaces.entry(name.to_owned()).or_default());
        }
        Err("no namespace")
    }

    fn target(&self, to: &str) -> Result<(), &'static str> {
        match () {
            () if self.aliases.contains_key(to) => Err("target is alias"),
            () if to.is_empty() || self.spaces.contains_key(to) => Ok(()),
            () => Err("no target"),
        }
    }

    fn free(&self, name: &str) -> Result<(), &'static str> {
        match self.spaces.get(name) {
            _ if self.aliases.contains_key(name) => Err("taken by alias"),
            Some(held) if !name.is_empty() || !held.is_empty() => Err("taken"),
            _ => Ok(()),
        }
    }

    fn apply(&mut self, step: &Step) -> Answer {
        match step {
            Step::Upsert(name, keys) => {
                if self.aliases.contains_key(name_of(*name)) {
                    return Err("name of alias");
                }
                let held = self.spaces.entry(name_of(*name).to_owned()).or_default();
                for record in records(keys) {
                    held.insert(record.id.as_str().to_owned(), record);
                }
            }
            Step::Update(name, key, value, parts) => {
                let held = self.records(name_of(*name))?;
                if let Some(record) = held.get_mut(&format!("k{key}")) {
                    change(record, *value, *parts);
                }
            }
            Step::Delete(name, ids) => {
                let held = self.records(name_of(*name))?;
                held.retain(|key, _| !ids.iter().any(|id| *key == format!("k{id}")));
            }
            Step::Empty(name) => self.records(name_of(*name))?.clear(),
            Step::UpdateMatching(name, limit, max) => {
                let held = self.records(name_of(*name))?;
                let matches = held.values_mut().filter(|record| is_above(record, *limit));
                let mut count = 0;
                for (at, record) in matches.enumerate() {
                    count += 1;
                    if at < *max {
                        record.metadata = patch().apply(&record.metadata).unwrap();
                    }
                }
                return Ok(count);
            }
            Step::DeleteMatching(name, limit) => {
                let held = self.records(name_of(*name))?;
                let before = held.len();
                held.retain(|_, record| !is_above(record, *limit));
                return Ok((before - held.len()) as u64);
            }
            _ => return self.apply_to_names(step),
        }
        Ok(0)
    }

    fn apply_to_names(&mut self, step: &Step) -> Answer {
        match step {
            Step::Create(name) => {
                let name = name_of(*name);
                match () {
                    () if name.is_empty() || self.spaces.contains_key(name) => {
                        return Err("namespace exists");
                    }
                    () if self.aliases.contains_key(name) => return Err("name of alias"),
                    () => self.spaces.insert(name.to_owned(), Records::new()),
                };
            }
            Step::Drop(name) => {
                let name = name_of(*name);
                match () {
                    () if self.aliases.contains_key(name) => return Err("no namespace but alias"),
                    () if name.is_empty() => self.records(name)?.clear(),
                    () if !self.spaces.contains_key(name) => return Err("no namespace"),
                    () if self.aliases.values().any(|target| target == name) => {
                        return Err("targeted");
                    }
                    () => drop(self.spaces.remove(name)),
                }
            }
            Step::Alias(name, to) => {
                let (name, to) = (name_of(*name), name_of(*to));
                match () {
                    () if self.aliases.contains_key(name) => return Err("alias exists"),
                    () if name.is_empty() || self.spaces.contains_key(name) => {
                        return Err("name of namespace");
                    }
                    () => self.target(to)?,
                }
                self.aliases.insert(name.to_owned(), to.to_owned());
            }
            Step::Repoint(name, to) => {
                let (name, to) = (name_of(*name), name_of(*to));
                if !self.aliases.contains_key(name) {
                    return Err("no alias");
                }
                self.target(to)?;
                self.aliases.insert(name.to_owned(), to.to_owned());
            }
            Step::Unalias(name) => {
                self.aliases.remove(name_of(*name)).ok_or("no alias")?;
            }
            _ => return self.apply_to_jobs(step),
        }
        Ok(0)
    }

    fn apply_to_jobs(&mut self, step: &Step) -> Answer {
        match step {
            Step::Begin(job, name) => {
                let name = name_of(*name);
                if !self.jobs.get(job).is_some_and(|staged| staged.contains_key(name)) {
                    self.free(name)?;
                    let staged = self.jobs.entry(*job).or_default();
                    staged.insert(name.to_owned(), Records::new());
                }
            }
            Step::Stage(job, name, keys) => {
                let staged = self.jobs.get_mut(job).and_then(|job| job.get_mut(name_of(*name)));
                let held = staged.ok_or("not begun")?;
                let before = held.len();
                for record in records(keys) {
                    held.entry(record.id.as_str().to_owned()).or_insert(record);
                }
                return Ok((held.len() - before) as u64);
            }
            Step::Commit(job) => {
                let staged = self.jobs.get(job).ok_or("not begun")?;
                for name in staged.keys() {
                    self.free(name)?;
                }
                self.spaces.extend(self.jobs.remove(job).unwrap_or_default());
            }
            Step::Abort(job) => drop(self.jobs.remove(job)),
            _ => {}
        }
        Ok(0)
    }
}

/// Changes the parts of a record whose bits are set.
fn change(record: &mut Record, value: i8, parts: u8) {
    let new = made(0, value);
    if parts & 1 > 0 {
        record.values = new.values;
    }
    if parts & 2 > 0 {
        record.sparse = Some(SparseVector { indices: vec![1], values: vec![1.5] });
    }
    if parts & 4 > 0 {
        record.metadata = patch().apply(&record.metadata).unwrap();
    }
}

async fn answer(bench: &Bench, shard: ShardRef, step: &Step) -> Result<u64, WriteError> {
    let engine = &bench.engine;
    let space = |name: &u8| ns(name_of(*name));
    Ok(match step {
        Step::Upsert(name, keys) => {
            engine.upsert(shard, &space(name), records(keys)).await?;
            0
        }
        Step::Update(name, key, value, parts) => {
            let update = Update {
                id: id(&format!("k{key}")),
                values: (parts & 1 > 0).then(|| vec![f32::from(*value)]),
                sparse: (parts & 2 > 0)
                    .then(|| SparseVector { indices: vec![1], values: vec![1.5] }),
                metadata: (parts & 4 > 0).then(patch),
            };
            engine.update(shard, &space(name), update).await?;
            0
        }
        Step::Delete(name, ids) => {
            let ids = ids.iter().map(|key| id(&format!("k{key}"))).collect();
            engine.delete(shard, &space(name), Deletion::Ids(ids)).await?;
            0
        }
        Step::Empty(name) => {
            engine.delete(shard, &space(name), Deletion::All).await?;
            0
        }
        Step::UpdateMatching(name, limit, max) => {
            let (name, limit) = (space(name), above(*limit));
            engine.update_matching(shard, &name, limit, patch(), *max).await?.count
        }
        Step::DeleteMatching(name, limit) => {
            engine.delete_matching(shard, &space(name), above(*limit)).await?.count
        }
        _ => answer_of_names(bench, shard, step).await?,
    })
}

async fn answer_of_names(bench: &Bench, shard: ShardRef, step: &Step) -> Result<u64, WriteError> {
    let engine = &bench.engine;
    let space = |name: &u8| ns(name_of(*name));
    match step {
        Step::Create(name) => {
            let schema = Some(serde_json::json!({"fields": {}}));
            let (info, _) = engine.create_namespace(shard, &space(name), schema.clone()).await?;
            assert_eq!((info.name, info.record_count, info.schema), (space(name), 0, schema));
        }
        Step::Drop(name) => {
            let lsn = engine.delete_namespace(shard, &space(name)).await?;
            assert!(lsn > Lsn(0));
        }
        Step::Alias(name, to) => {
            let (alias, _) = engine.create_alias(shard, name_of(*name), &space(to)).await?;
            assert_eq!((alias.name.as_str(), alias.target), (name_of(*name), space(to)));
        }
        Step::Repoint(name, to) => {
            drop(engine.repoint_alias(shard, name_of(*name), &space(to)).await?);
        }
        Step::Unalias(name) => drop(engine.delete_alias(shard, name_of(*name)).await?),
        Step::Begin(job, name) => {
            let lsn = engine.stage_begin(shard, job_id(*job), &space(name)).await?;
            assert!(lsn > Lsn(0));
        }
        Step::Stage(job, name, keys) => {
            let batch = StageBatch {
                records: records(keys),
                progress: vec![*job, *name],
                on_duplicate: Duplicate::Skip,
            };
            let staged = engine.stage_write(shard, job_id(*job), &space(name), batch).await?;
            assert_eq!(staged.added + staged.skipped, keys.len() as u64);
            return Ok(staged.added);
        }
        Step::Commit(job) => {
            let lsn = engine.stage_commit(shard, job_id(*job)).await?;
            assert!(lsn > Lsn(0));
        }
        Step::Abort(job) => {
            let lsn = engine.stage_abort(shard, job_id(*job)).await?;
            assert!(lsn > Lsn(0));
        }
        _ => {}
    }
    Ok(0)
}

fn bytes_of(records: &Records) -> u64 {
    let one = |record: &Record| {
        let sparse = record.sparse.as_ref().map_or(0, |sparse| 8 * sparse.values.len());
        let metadata = record.metadata.to_stored().len();
        record.id.as_str().len() + 4 * record.values.len() + sparse + metadata
    };
    records.values().map(|record| one(record) as u64).sum()
}

async fn check(bench: &Bench, shard: ShardRef, model: &Model) {
    let engine = &bench.engine;
    let page = NamespacePage { limit: 100, ..NamespacePage::default() };
    let listed = engine.list_namespaces(shard, &page).await.unwrap();
    let mut found = BTreeMap::new();
    for info in &listed.namespaces {
        found.insert(info.name.as_str().to_owned(), (info.record_count, info.bytes));
        assert_eq!(
            engine.describe_namespace(shard, &info.name).await.unwrap().as_ref(),
            Some(info)
        );
    }
    let mut expected: BTreeMap<_, _> = model
        .spaces
        .iter()
        .map(|(name, held)| (name.clone(), (held.len() as u64, bytes_of(held))))
        .collect();
    // Whether the empty default namespace has a row is nobody's business.
    for counts in [&mut found, &mut expected] {
        counts.entry(String::new()).or_default();
    }
    assert_eq!(found, expected);
    for (name, held) in &model.spaces {
        let ids: Vec<_> = (0..8).map(|key| id(&format!("k{key}"))).collect();
        let fetched = engine.fetch(shard, &ns(name), &ids).await.unwrap().records;
        assert_eq!(fetched, held.values().cloned().collect::<Vec<_>>(), "in '{name}'");
        let near = super::near(&[1.0], 100);
        let hits = engine.query(shard, &ns(name), near).await.unwrap().hits;
        assert_eq!(hits.len(), held.len(), "in '{name}'");
        for hit in hits {
            assert_eq!(hit.record, held[hit.record.id.as_str()]);
        }
    }
    let aliases = engine.list_aliases(shard).await.unwrap();
    let aliases: BTreeMap<_, _> =
        aliases.into_iter().map(|alias| (alias.name, alias.target.as_str().to_owned())).collect();
    assert_eq!(aliases, model.aliases);
    for name in NAMES {
        let resolved = engine.resolve(shard, &ns(name)).await.unwrap();
        let expected = model.aliases.get(name).map_or(name, String::as_str);
        assert_eq!(resolved.namespace, ns(expected));
        assert_eq!(resolved.is_alias, model.aliases.contains_key(name));
    }
    for job in 0..2 {
        let state = engine.stage_progress(shard, job_id(job)).await.unwrap();
        let found = state.map(|state| {
            let counts = |staged: crate::StagedNamespace| {
                (staged.name.as_str().to_owned(), (staged.record_count, staged.bytes))
            };
            state.namespaces.into_iter().map(counts).collect::<BTreeMap<_, _>>()
        });
        let expected = model.jobs.get(&job).map(|staged| {
            let counts = |(name, held): (&String, &Records)| {
                (name.clone(), (held.len() as u64, bytes_of(held)))
            };
            staged.iter().map(counts).collect()
        });
        assert_eq!(found, expected, "job {job}");
    }
}

async fn run(steps: Vec<Step>) {
    let mut bench = Bench::new();
    let mut shard = bench.create(1, Metric::DotProduct).await;
    let mut model = Model::default();
    for (number, step) in steps.into_iter().enumerate() {
        match step {
            Step::Restart => bench.reopen().await,
            Step::MoveToClone => {
                let cut = bench.engine.checkpoint(shard, &format!("c{number}")).await.unwrap();
                let records: usize = model.spaces.values().map(BTreeMap::len).sum();
                let bytes: u64 = model.spaces.values().map(bytes_of).sum();
                assert_eq!((cut.record_count, cut.size_bytes), (records as u64, bytes));
                let named = model.spaces.keys().filter(|name| !name.is_empty()).count() as u64;
                assert!((named..=named + 1).contains(&cut.namespace_count));
                let target = bench.new_index(1, Metric::DotProduct);
                bench.engine.clone_index(target.index, shard.index, cut.pin).await.unwrap();
                shard = target;
                model.jobs.clear();
                check(&bench, shard, &model).await;
            }
            step => {
                let expected = model.apply(&step);
                let answered = answer(&bench, shard, &step).await.map_err(|error| reason(&error));
                assert_eq!(answered, expected, "{step:?}");
            }
        }
    }
    check(&bench, shard, &model).await;
    bench.reopen().await;
    check(&bench, shard, &model).await;
    bench.engine.shutdown().await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn all_writes_do_what_the_model_does(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(run(steps));
    }
}
