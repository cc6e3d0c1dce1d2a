//! Turns a request into one batch of rows.
//!
//! The planner is the only place that hands out docids and changes counts. It runs inside the one
//! writer of the shard and reads at memory level, so it sees every earlier request of the queue,
//! durable or not. Invariants: counts, totals and rows change in the same batch; a request that is
//! refused has changed nothing in the planner. What one family of requests needs stands with that
//! family: records in `planner/records.rs`, the others in the files named after them.

mod records;
mod segments;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use lodgepole_rows::{self as rows, CountRow, MetaRow, NamespaceId, NamespaceRow, Place};
use lodgepole_storage::{Batch, Database, Visibility};
use lodgepole_types::{IndexId, NamespaceName, RecordId, Timestamp};
use uuid::Uuid;

use crate::aliases::{self, AliasMap};
use crate::change::{Change, Effect, NamespaceChange, Outcome, RecordChange};
use crate::options::IndexFrom;
use crate::staging::{self, Job};
use crate::{AliasError, EngineError, WriteError};

pub(crate) use records::{heads, length};
use segments::Directories;

/// Namespaces whose counts are kept in memory; the rest is read again when needed.
const NAMESPACES_CACHED_MAX: usize = 100_000;

/// The writer's knowledge of its shard.
#[derive(Debug)]
pub(crate) struct Planner {
    pub(crate) index: IndexId,
    pub(crate) meta: MetaRow,
    pub(crate) aliases: Arc<AliasMap>,
    /// What jobs of this index stage.
    pub(crate) jobs: BTreeMap<Uuid, Job>,
    /// The segments of this shard, and whose changes are queued.
    directories: Directories,
    pub(crate) limits: PlannerLimits,
    namespaces: HashMap<NamespaceName, KnownNamespace>,
}

/// What an operator has set about planning.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PlannerLimits {
    pub(crate) aliases_max: usize,
    pub(crate) index_from: IndexFrom,
    pub(crate) queue_versions_max: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct KnownNamespace {
    pub(crate) row: NamespaceRow,
    pub(crate) count: CountRow,
}

impl KnownNamespace {
    pub(crate) fn place(&self, name: &NamespaceName) -> Place {
        Place { slot: rows::slot_of(name), id: self.row.id }
    }
}

/// A planned request: its rows and their effect.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) batch: Batch,
    pub(crate) effect: Effect,
    /// Ids that change beside those of `effect.added`.
    pub(crate) touched: Vec<RecordId>,
    /// The aliases, when they change.
    pub(crate) aliases: Option<Arc<AliasMap>>,
    pub(crate) outcome: Outcome,
    /// Namespaces of which so much is in no segment that one should be built.
    pub(crate) unindexed: Vec<NamespaceName>,
}

impl Planner {
    /// Reads what a writer has to know of a shard, and lets go of what a clone has inherited from
    /// the jobs of its source.
    pub(crate) async fn open(
        database: &Database,
        index: IndexId,
        limits: PlannerLimits,
    ) -> Result<Self, EngineError> {
        let meta = match database.get(&rows::meta_key(), Visibility::Memory).await? {
            Some(bytes) => MetaRow::decode(&bytes)?,
            None => MetaRow::default(),
        };
        let aliases = Arc::new(aliases::load(database).await?);
        let jobs = staging::load(database, index).await?;
        let directories = segments::load(database).await?;
        let namespaces = HashMap::new();
        Ok(Self { index, meta, aliases, jobs, directories, limits, namespaces })
    }

    /// Totals over all namespaces, up to the last planned request.
    pub(crate) fn totals(&self) -> MetaRow {
        self.meta
    }

    /// Plans one request. The plan must be written, or the planner thrown away: it has already
    /// moved its marks.
    pub(crate) async fn plan(
        &mut self,
        database: &Database,
        change: Change,
        now: Timestamp,
    ) -> Result<Plan, WriteError> {
        let mut written = None;
        let mut plan = match change {
            Change::Records(name, change) => {
                let plan = self.plan_records(database, &name, change, now).await?;
                written = Some(name);
                plan
            }
            Change::Segments(name, change) => self.plan_segments(database, &name, change).await?,
            Change::Namespace(name, NamespaceChange::Create(schema)) => {
                self.create_namespace(database, &name, schema, now).await?
            }
            Change::Namespace(name, NamespaceChange::Delete) => {
                self.delete_namespace(database, &name).await?
            }
            Change::Alias(name, change) => self.plan_alias(database, name, change, now).await?,
            Change::Staging(job, change) => self.plan_staging(database, job, change, now).await?,
        };
        self.count_queue(database, &plan).await?;
        let known = written.as_ref().and_then(|name| self.namespaces.get(name));
        let record_count = known.map_or(0, |known| known.count.record_count);
        self.queue(&mut plan, record_count);
        // With this write counted: there may be no later one.
        plan.unindexed.extend(written.filter(|name| self.wants_index(name)));
        plan.batch.put(rows::meta_key(), self.meta.encode());
        Ok(plan)
    }

    async fn plan_records(
        &mut self,
        database: &Database,
        name: &NamespaceName,
        change: RecordChange,
        now: Timestamp,
    ) -> Result<Plan, WriteError> {
        let mut plan = Plan::default();
        match (change, self.known(database, name).await?) {
            (RecordChange::Upsert(records), known) => {
                let known = match known {
                    Some(known) => known,
                    None => {
                        self.refuse_alias(name, |target| AliasError::NameInUseByAlias { target })?;
                        self.create(&mut plan.batch, name, None, now)
                    }
                };
                self.upsert(database, name, known, records, &mut plan).await?;
            }
            (_, None) => {
                self.refuse_alias(name, |target| AliasError::WriteToAlias { target })?;
                if !name.is_default() {
                    return Err(WriteError::NamespaceNotFound);
                }
            }
            (RecordChange::Update(update), Some(known)) => {
                self.update(database, name, known, *update, &mut plan).await?;
            }
            (RecordChange::Delete(ids), Some(known)) => {
                self.delete(database, name, known, ids, &mut plan).await?;
            }
            (RecordChange::DeleteAll, Some(known)) => self.empty(name, known, &mut plan),
            (RecordChange::Matching(matching), Some(known)) => {
                self.matching(database, name, known, *matching, &mut plan).await?;
            }
        }
        Ok(plan)
    }

    /// Refuses a name that is an alias.
    pub(crate) fn refuse_alias(
        &self,
        name: &NamespaceName,
        error: impl FnOnce(NamespaceName) -> AliasError,
    ) -> Result<(), WriteError> {
        match self.aliases.get(name.as_str()) {
            Some(alias) => Err(error(alias.target.clone()).into()),
            None => Ok(()),
        }
    }

    pub(crate) async fn known(
        &mut self,
        database: &Database,
        name: &NamespaceName,
    ) -> Result<Option<KnownNamespace>, EngineError> {
        if let Some(known) = self.namespaces.get(name) {
            return Ok(Some(known.clone()));
        }
        let key = rows::namespace_key(name);
        let Some(bytes) = database.get(&key, Visibility::Memory).await? else {
            return Ok(None);
        };
        let row = NamespaceRow::decode(&bytes)?;
        let place = Place { slot: rows::slot_of(name), id: row.id };
        let count = match database.get(&rows::count_key(place), Visibility::Memory).await? {
            Some(bytes) => CountRow::decode(&bytes)?,
            None => CountRow::default(),
        };
        let known = KnownNamespace { row, count };
        self.remember(name, known.clone());
        Ok(Some(known))
    }

    pub(crate) fn remember(&mut self, name: &NamespaceName, known: KnownNamespace) {
        if self.namespaces.len() >= NAMESPACES_CACHED_MAX {
            self.namespaces.clear();
        }
        self.namespaces.insert(name.clone(), known);
    }

    pub(crate) fn forget(&mut self, name: &NamespaceName) {
        self.namespaces.remove(name);
    }

    /// The next namespace number.
    pub(crate) fn take_number(&mut self) -> NamespaceId {
        let id = NamespaceId(self.meta.next_namespace);
        self.meta.next_namespace += 1;
        id
    }

    pub(crate) fn create(
        &mut self,
        batch: &mut Batch,
        name: &NamespaceName,
        schema: Option<bytes::Bytes>,
        now: Timestamp,
    ) -> KnownNamespace {
        let id = self.take_number();
        self.meta.namespace_count += 1;
        let row = NamespaceRow { id, created_ms: now.0, schema };
        batch.put(rows::namespace_key(name), row.encode());
        KnownNamespace { row, count: CountRow::default() }
    }

    /// Leaves the number of a namespace to the sweeper, with all rows under it: constant cost,
    /// whatever its size.
    pub(crate) fn abandon(&mut self, old: Place, count: CountRow, plan: &mut Plan) {
        self.meta.record_count = self.meta.record_count.saturating_sub(count.record_count);
        self.meta.bytes = self.meta.bytes.saturating_sub(count.bytes);
        plan.batch.delete(rows::count_key(old));
        plan.batch.put(rows::dead_key(old), Vec::from([1]));
        plan.effect.place = Some(old);
        plan.effect.emptied = true;
    }

    /// Gives the namespace a new number.
    pub(crate) fn empty(&mut self, name: &NamespaceName, known: KnownNamespace, plan: &mut Plan) {
        self.abandon(known.place(name), known.count, plan);
        let row = NamespaceRow { id: self.take_number(), ..known.row };
        plan.batch.put(rows::namespace_key(name), row.encode());
        self.remember(name, KnownNamespace { row, count: CountRow::default() });
    }
}
