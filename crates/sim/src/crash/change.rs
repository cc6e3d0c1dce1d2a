//! Writes of every other kind than upsert and delete: parts of records, matches of a filter,
//! namespaces, aliases, staged records.
//!
//! Each is one request of one engine call, and what it makes of an index is computed here without
//! the engine. An alias stands in [`Contents`] as an entry of its own, `@name=target`, so that it is
//! compared like everything else. Staged records are in nobody's contents until they are committed;
//! the note of their job says how many there must be.

use std::sync::Arc;

use lodgepole_engine::{Duplicate, Engine, ShardRef, StageBatch, Update, WriteError};
use lodgepole_types::{Filter, Kind, Limits, Metadata, MetadataPatch, Record, Struct, Value};
use uuid::Uuid;

use super::contents::{Contents, record, record_id, space};
use super::{Mutant, Violation};

/// The job that stages records, in every index.
const JOB: Uuid = Uuid::from_u128(7);
/// More than any run matches.
const MATCHES_MAX: usize = 1_000;

/// One write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Values and metadata of a record get this version.
    Update(&'static str, &'static str, u16),
    /// The metadata of a record gets this version; its values stay.
    Revise(&'static str, &'static str, u16),
    /// Metadata at or above one version gets another.
    ReviseMatching(&'static str, u16, u16),
    /// Records whose metadata is at or above a version go.
    DeleteMatching(&'static str, u16),
    /// A new namespace.
    CreateSpace(&'static str),
    /// A namespace goes.
    DropSpace(&'static str),
    /// A new alias.
    Alias(&'static str, &'static str),
    /// An alias gets another target.
    Repoint(&'static str, &'static str),
    /// An alias goes.
    Unalias(&'static str),
    /// Stages these keys in this version; the job has so many records then.
    Stage(&'static str, &'static [&'static str], u16, u8),
    /// Makes visible what was staged: these keys of these namespaces in this version.
    Commit(&'static [(&'static str, &'static [&'static str])], u16),
    /// Drops what was staged.
    Abort,
}

impl Change {
    /// Whether doing it twice is doing it once. Otherwise the second time is refused.
    pub(super) fn is_repeatable(self) -> bool {
        match self {
            Self::Update(..)
            | Self::Revise(..)
            | Self::ReviseMatching(..)
            | Self::DeleteMatching(..)
            | Self::Repoint(..)
            | Self::Stage(..)
            | Self::Abort => true,
            Self::CreateSpace(_)
            | Self::DropSpace(_)
            | Self::Alias(..)
            | Self::Unalias(_)
            | Self::Commit(..) => false,
        }
    }

    /// What it makes of the contents of an index.
    pub(super) fn apply(self, contents: &mut Contents) -> Result<(), Violation> {
        match self {
            Self::Update(name, key, version) => {
                if let Some(held) = held(contents, name, key) {
                    *held = record(key, version)?;
                }
            }
            Self::Revise(name, key, version) => {
                if let Some(held) = held(contents, name, key) {
                    held.metadata = record(key, version)?.metadata;
                }
            }
            Self::ReviseMatching(name, from, to) => {
                for (key, held) in contents.entry(name.to_owned()).or_default() {
                    if is_from(held, from) {
                        held.metadata = record(key, to)?.metadata;
                    }
                }
            }
            Self::DeleteMatching(name, from) => {
                let records = contents.entry(name.to_owned()).or_default();
                records.retain(|_, held| !is_from(held, from));
            }
            Self::CreateSpace(name) => {
                contents.entry(name.to_owned()).or_default();
            }
            Self::DropSpace(name) => drop(contents.remove(name)),
            Self::Alias(name, target) | Self::Repoint(name, target) => {
                contents.retain(|entry, _| !entry.starts_with(&alias_entry(name, "")));
                contents.insert(alias_entry(name, target), super::Records::new());
            }
            Self::Unalias(name) => {
                contents.retain(|entry, _| !entry.starts_with(&alias_entry(name, "")));
            }
            Self::Commit(spaces, version) => {
                for (name, keys) in spaces {
                    let records = contents.entry((*name).to_owned()).or_default();
                    for key in *keys {
                        records.insert((*key).to_owned(), record(key, version)?);
                    }
                }
            }
            Self::Stage(..) | Self::Abort => {}
        }
        Ok(())
    }

    /// Asks the engine for it.
    pub(super) async fn issue(
        self,
        engine: &Engine,
        shard: ShardRef,
        mutant: Option<Mutant>,
    ) -> Result<(), Violation> {
        let asked = match self {
            Self::Commit(spaces, version) if mutant == Some(Mutant::CommitsInSteps) => {
                return commit_in_steps(engine, shard, spaces, version).await;
            }
            Self::ReviseMatching(name, from, to) if mutant == Some(Mutant::SplitsRequests) => {
                // One after the other, as if there were no common batch.
                let (filter, patch) = (from_version(from)?, version_patch(to)?);
                for _ in 0..MATCHES_MAX {
                    let name = space(name)?;
                    let (filter, patch) = (Arc::clone(&filter), patch.clone());
                    let done = engine.update_matching(shard, &name, filter, patch, 1).await;
                    if answered(done)?.count == 0 || to >= from {
                        break;
                    }
                }
                Ok(())
            }
            Self::Update(..) | Self::Revise(..) => self.update(engine, shard).await?,
            Self::ReviseMatching(name, from, to) => {
                let (filter, patch, name) = (from_version(from)?, version_patch(to)?, space(name)?);
                let done = engine.update_matching(shard, &name, filter, patch, MATCHES_MAX).await;
                done.map(drop)
            }
            Self::DeleteMatching(name, from) => {
                let (filter, name) = (from_version(from)?, space(name)?);
                engine.delete_matching(shard, &name, filter).await.map(drop)
            }
            Self::CreateSpace(name) => {
                engine.create_namespace(shard, &space(name)?, None).await.map(drop)
            }
            Self::DropSpace(name) => engine.delete_namespace(shard, &space(name)?).await.map(drop),
            Self::Alias(name, target) => {
                engine.create_alias(shard, name, &space(target)?).await.map(drop)
            }
            Self::Repoint(name, target) => {
                engine.repoint_alias(shard, name, &space(target)?).await.map(drop)
            }
            Self::Unalias(name) => engine.delete_alias(shard, name).await.map(drop),
            Self::Stage(name, keys, version, total) => {
                stage(engine, shard, (name, keys, version), total).await?
            }
            Self::Commit(..) => engine.stage_commit(shard, JOB).await.map(drop),
            Self::Abort => engine.stage_abort(shard, JOB).await.map(drop),
        };
        answered(asked)
    }

    async fn update(
        self,
        engine: &Engine,
        shard: ShardRef,
    ) -> Result<Result<(), WriteError>, Violation> {
        let (Self::Update(name, key, version) | Self::Revise(name, key, version)) = self else {
            return Ok(Ok(()));
        };
        let replaces_values = matches!(self, Self::Update(..));
        let record = record(key, version)?;
        let values = replaces_values.then_some(record.values);
        let metadata = Some(version_patch(version)?);
        let update = Update { id: record_id(key)?, values, sparse: None, metadata };
        Ok(engine.update(shard, &space(name)?, update).await.map(drop))
    }
}

async fn stage(
    engine: &Engine,
    shard: ShardRef,
    (name, keys, version): (&str, &[&str], u16),
    total: u8,
) -> Result<Result<(), WriteError>, Violation> {
    let name = space(name)?;
    if let Err(error) = engine.stage_begin(shard, JOB, &name).await {
        return Ok(Err(error));
    }
    let records = keys.iter().map(|key| record(key, version)).collect::<Result<_, _>>()?;
    let batch = StageBatch { records, progress: vec![total], on_duplicate: Duplicate::Skip };
    Ok(engine.stage_write(shard, JOB, &name, batch).await.map(drop))
}

/// The defect of a commit that makes one namespace visible after the other.
async fn commit_in_steps(
    engine: &Engine,
    shard: ShardRef,
    spaces: &[(&str, &[&str])],
    version: u16,
) -> Result<(), Violation> {
    for (name, keys) in spaces {
        let records = keys.iter().map(|key| record(key, version)).collect::<Result<_, _>>()?;
        answered(engine.upsert(shard, &space(name)?, records).await)?;
    }
    answered(engine.stage_abort(shard, JOB).await).map(drop)
}

/// The aliases of an index, as entries of its contents; and whether its staged records are those
/// that the note of their job tells of.
pub(super) async fn read_names(engine: &Engine, shard: ShardRef) -> Result<Contents, Violation> {
    let unreadable = |error: &dyn std::error::Error| Violation::Unreadable(super::causes(error));
    let aliases = engine.list_aliases(shard).await.map_err(|error| unreadable(&error))?;
    let job = engine.stage_progress(shard, JOB).await.map_err(|error| unreadable(&error))?;
    if let Some(job) = job {
        let staged: u64 = job.namespaces.iter().map(|staged| staged.record_count).sum();
        let noted = job.progress.first().copied().unwrap_or(0);
        if staged != u64::from(noted) {
            return Err(Violation::Torn(format!("{staged} records staged, {noted} noted")));
        }
    }
    let entry = |alias: lodgepole_engine::Alias| alias_entry(&alias.name, alias.target.as_str());
    Ok(aliases.into_iter().map(|alias| (entry(alias), super::Records::new())).collect())
}

/// How an alias stands in [`Contents`].
fn alias_entry(name: &str, target: &str) -> String {
    format!("@{name}={target}")
}

/// Whether an entry of [`Contents`] is an alias.
pub(super) fn is_alias(entry: &str) -> bool {
    entry.starts_with('@')
}

fn held<'a>(contents: &'a mut Contents, name: &str, key: &str) -> Option<&'a mut Record> {
    contents.get_mut(name)?.get_mut(key)
}

pub(super) fn is_from(held: &Record, from: u16) -> bool {
    match held.metadata.as_struct().fields.get("version") {
        Some(Value { kind: Some(Kind::Number(version)) }) => *version >= f64::from(from),
        Some(_) | None => false,
    }
}

/// The filter for metadata at or above a version.
pub(super) fn from_version(from: u16) -> Result<Arc<Filter>, Violation> {
    let number = Value::of(Kind::Number(from.into()));
    let bound = Struct { fields: [("$gte".to_owned(), number)].into() };
    let bound = Value::of(Kind::Struct(bound));
    let source = Struct { fields: [("version".to_owned(), bound)].into() };
    let filter = Filter::parse(&source, &Limits::default());
    filter.map(Arc::new).map_err(|error| Violation::Unexpected(error.to_string()))
}

fn version_patch(version: u16) -> Result<MetadataPatch, Violation> {
    let metadata: Metadata = record("any", version)?.metadata;
    MetadataPatch::parse(metadata.into_struct(), &Limits::default())
        .map_err(|error| Violation::Unexpected(error.to_string()))
}

fn answered<T>(result: Result<T, WriteError>) -> Result<T, Violation> {
    result.map_err(|error| Violation::Unexpected(super::causes(&error)))
}
