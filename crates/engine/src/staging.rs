//! Records that nobody sees until their job is done: the ground of bulk imports.
//!
//! A job writes records under namespace numbers that no namespace row names. Committing writes the
//! namespace rows: one batch of some rows for each namespace, whatever the number of records.
//! Aborting marks the numbers dead, for the sweeper. Invariants: records and the job's note of how
//! far it got are one batch, so a job that is resumed repeats nothing and misses nothing; totals and
//! listings know nothing of staged records, so a backup does not show them.
//!
//! A clone starts with the rows of its source, jobs included, but whoever drives a job knows it
//! under the source. Job rows therefore name their index; opening a shard drops those of others
//! before anything else is written ([`load`]).

use std::collections::{BTreeMap, HashSet};

use lodgepole_rows::{self as rows, CountRow, JobRow, NamespaceRow, Place, StagedRow};
use lodgepole_storage::{Batch, Database, Visibility, prefix_range};
use lodgepole_types::{IndexId, Lsn, NamespaceName, Record, Timestamp};
use uuid::Uuid;

use crate::change::{Change, Outcome, StagingChange};
use crate::planner::{KnownNamespace, Plan, Planner, heads};
use crate::shard::Shard;
use crate::{Engine, EngineError, ReadError, ShardRef, StagingError, WriteError};

/// What to do about a record whose id is staged already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duplicate {
    /// Leave it out; the first one stays.
    Skip,
    /// Refuse the whole call.
    Refuse,
}

/// What a call has staged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Staged {
    /// Records.
    pub added: u64,
    /// Records left out because their ids were there.
    pub skipped: u64,
    /// The write.
    pub lsn: Lsn,
}

/// How far a job has got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageState {
    /// What the job noted with its last records; empty before them.
    pub progress: Vec<u8>,
    /// Its namespaces, by name.
    pub namespaces: Vec<StagedNamespace>,
}

/// A namespace in the making.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StagedNamespace {
    /// The name that it will have.
    pub name: NamespaceName,
    /// Records staged.
    pub record_count: u64,
    /// Bytes of ids, values and metadata.
    pub bytes: u64,
}

/// The writer's knowledge of a job: the namespaces it stages.
pub(crate) type Job = BTreeMap<NamespaceName, StagedRow>;

impl Engine {
    /// Begins to stage a namespace, and the job with its first one. Safe to repeat.
    ///
    /// # Errors
    /// [`StagingError::NamespaceTaken`] when the namespace is there already (the default one, when
    /// it holds records); [`StagingError::NameIsAlias`].
    pub async fn stage_begin(
        &self,
        shard: ShardRef,
        job: Uuid,
        namespace: &NamespaceName,
    ) -> Result<Lsn, WriteError> {
        let change = Change::Staging(job, StagingChange::Begin(namespace.clone()));
        Ok(self.shard(shard).await?.write(change).await?.lsn)
    }

    /// Stages records of a namespace that was begun, together with what the job notes about itself:
    /// after a crash both are there or neither is. Of two records with one id the first counts.
    ///
    /// # Errors
    /// [`StagingError::NotBegun`]; [`StagingError::Duplicate`] with [`Duplicate::Refuse`], and then
    /// nothing was staged or noted.
    pub async fn stage_write(
        &self,
        shard: ShardRef,
        job: Uuid,
        namespace: &NamespaceName,
        batch: StageBatch,
    ) -> Result<Staged, WriteError> {
        let StageBatch { records, progress, on_duplicate } = batch;
        let namespace = namespace.clone();
        let change = StagingChange::Write { namespace, records, progress, on_duplicate };
        let shard = self.shard(shard).await?;
        let done = shard.write(Change::Staging(job, change)).await?;
        match done.outcome {
            Outcome::Staged { added, skipped } => Ok(Staged { added, skipped, lsn: done.lsn }),
            Outcome::Nothing | Outcome::Matched(_) | Outcome::Namespace(_) | Outcome::Alias(_) => {
                Err(shard.stopped_error().into())
            }
        }
    }

    /// Makes all namespaces of a job visible at once; the job is over then.
    ///
    /// # Errors
    /// [`StagingError::NamespaceTaken`] or [`StagingError::NameIsAlias`] when a name was taken
    /// meanwhile: nothing is visible then, and the job goes on. [`StagingError::NotBegun`] when
    /// there is no such job, so also when it was committed already.
    pub async fn stage_commit(&self, shard: ShardRef, job: Uuid) -> Result<Lsn, WriteError> {
        let change = Change::Staging(job, StagingChange::Commit);
        Ok(self.shard(shard).await?.write(change).await?.lsn)
    }

    /// Drops everything that a job has staged. A job that is not there is fine.
    ///
    /// # Errors
    /// [`WriteError`] when the store failed; the outcome is then unknown.
    pub async fn stage_abort(&self, shard: ShardRef, job: Uuid) -> Result<Lsn, WriteError> {
        let change = Change::Staging(job, StagingChange::Abort);
        Ok(self.shard(shard).await?.write(change).await?.lsn)
    }

    /// How far a job has got; `None` when it has not begun, is committed or was aborted.
    ///
    /// # Errors
    /// [`ReadError`] when the store fails or data is damaged.
    pub async fn stage_progress(
        &self,
        shard: ShardRef,
        job: Uuid,
    ) -> Result<Option<StageState>, ReadError> {
        self.shard(shard).await?.stage_progress(job).await
    }

    /// All jobs of this index that have staged something, so that those without an owner can be
    /// aborted.
    ///
    /// # Errors
    /// [`ReadError`] when the store fails or data is damaged.
    pub async fn staged_jobs(&self, shard: ShardRef) -> Result<Vec<Uuid>, ReadError> {
        self.shard(shard).await?.staged_jobs().await
    }
}

/// Records to stage.
#[derive(Debug, Clone, PartialEq)]
pub struct StageBatch {
    /// The records.
    pub records: Vec<Record>,
    /// What the job notes about itself; it replaces the note before.
    pub progress: Vec<u8>,
    /// What to do about ids that are there already.
    pub on_duplicate: Duplicate,
}

impl Shard {
    async fn stage_progress(&self, job: Uuid) -> Result<Option<StageState>, ReadError> {
        let view = self.settled_view().await?;
        let Some(bytes) = view.get(&rows::job_key(job)).await? else { return Ok(None) };
        let progress = JobRow::decode(&bytes)?.progress;
        let mut namespaces = Vec::new();
        let mut scan = view.scan(prefix_range(&rows::staged_prefix(job))).await?;
        while let Some(entry) = scan.next().await? {
            let count = StagedRow::decode(&entry.value)?.count;
            namespaces.push(StagedNamespace {
                name: rows::staged_of_key(&entry.key)?,
                record_count: count.record_count,
                bytes: count.bytes,
            });
        }
        Ok(Some(StageState { progress, namespaces }))
    }

    async fn staged_jobs(&self) -> Result<Vec<Uuid>, ReadError> {
        let prefix = rows::job_prefix();
        let mut scan = self.database.scan_prefix(&prefix, Visibility::Durable).await?;
        let mut jobs = Vec::new();
        while let Some(entry) = scan.next().await? {
            jobs.push(rows::job_of_key(&entry.key)?);
        }
        Ok(jobs)
    }
}

impl Planner {
    pub(crate) async fn plan_staging(
        &mut self,
        database: &Database,
        job: Uuid,
        change: StagingChange,
        now: Timestamp,
    ) -> Result<Plan, WriteError> {
        match change {
            StagingChange::Begin(name) => self.stage_begin(database, job, name).await,
            StagingChange::Write { namespace, records, progress, on_duplicate } => {
                let records =
                    self.unstaged(database, job, &namespace, records, on_duplicate).await?;
                Ok(self.stage_write(job, namespace, records, progress))
            }
            StagingChange::Commit => self.stage_commit(database, job, now).await,
            StagingChange::Abort => Ok(self.stage_abort(job)),
        }
    }

    async fn stage_begin(
        &mut self,
        database: &Database,
        job: Uuid,
        name: NamespaceName,
    ) -> Result<Plan, WriteError> {
        let mut plan = Plan::default();
        if self.jobs.get(&job).is_some_and(|staged| staged.contains_key(&name)) {
            return Ok(plan);
        }
        self.free_name(database, &name).await?;
        let row = StagedRow { id: self.take_number(), count: CountRow::default() };
        if !self.jobs.contains_key(&job) {
            let job_row = JobRow { owner: self.index, progress: Vec::new() };
            plan.batch.put(rows::job_key(job), job_row.encode());
        }
        plan.batch.put(rows::staged_key(job, &name), row.encode());
        self.jobs.entry(job).or_default().insert(name, row);
        Ok(plan)
    }

    /// Checks that a namespace can be made by a commit; gives the empty default one that it
    /// replaces.
    async fn free_name(
        &mut self,
        database: &Database,
        name: &NamespaceName,
    ) -> Result<Option<KnownNamespace>, WriteError> {
        if self.aliases.contains_key(name.as_str()) {
            return Err(StagingError::NameIsAlias(name.clone()).into());
        }
        let known = self.known(database, name).await?;
        let free =
            known.as_ref().is_none_or(|known| name.is_default() && known.count.record_count == 0);
        if free { Ok(known) } else { Err(StagingError::NamespaceTaken(name.clone()).into()) }
    }

    /// The records whose ids are not staged yet, each once, and how many were left out.
    async fn unstaged(
        &self,
        database: &Database,
        job: Uuid,
        name: &NamespaceName,
        mut records: Vec<Record>,
        on_duplicate: Duplicate,
    ) -> Result<(Vec<Record>, u64), WriteError> {
        let staged = self.jobs.get(&job).and_then(|staged| staged.get(name));
        let row = staged.ok_or(StagingError::NotBegun)?;
        let place = Place { slot: rows::slot_of(name), id: row.id };
        let ids: Vec<_> = records.iter().map(|record| &record.id).collect();
        let before = heads(database, place, &ids).await?;
        let mut seen = HashSet::new();
        let is_new: Vec<_> = ids
            .iter()
            .zip(&before)
            .map(|(id, before)| before.is_none() && seen.insert(id.as_str().to_owned()))
            .collect();
        if on_duplicate == Duplicate::Refuse
            && let Some(at) = is_new.iter().position(|is_new| !is_new)
        {
            return Err(StagingError::Duplicate(records.swap_remove(at).id).into());
        }
        let sent = records.len();
        let mut is_new = is_new.into_iter();
        records.retain(|_| is_new.next().unwrap_or(false));
        let skipped = (sent - records.len()) as u64;
        Ok((records, skipped))
    }

    fn stage_write(
        &mut self,
        job: Uuid,
        name: NamespaceName,
        (records, skipped): (Vec<Record>, u64),
        progress: Vec<u8>,
    ) -> Plan {
        let mut plan = Plan::default();
        let Some(mut row) = self.jobs.get(&job).and_then(|staged| staged.get(&name)).copied()
        else {
            return plan;
        };
        let place = Place { slot: rows::slot_of(&name), id: row.id };
        plan.outcome = Outcome::Staged { added: records.len() as u64, skipped };
        for record in records {
            let (_, bytes) = self.put_record(place, record, &mut plan);
            row.count.record_count += 1;
            row.count.bytes += u64::from(bytes);
        }
        plan.batch.put(rows::staged_key(job, &name), row.encode());
        let job_row = JobRow { owner: self.index, progress };
        plan.batch.put(rows::job_key(job), job_row.encode());
        self.jobs.entry(job).or_default().insert(name, row);
        plan
    }

    async fn stage_commit(
        &mut self,
        database: &Database,
        job: Uuid,
        now: Timestamp,
    ) -> Result<Plan, WriteError> {
        let names: Vec<_> = match self.jobs.get(&job) {
            Some(staged) => staged.keys().cloned().collect(),
            None => return Err(StagingError::NotBegun.into()),
        };
        let mut replaced = Vec::new();
        for name in &names {
            replaced.extend(self.free_name(database, name).await?.map(|known| (name, known)));
        }
        let mut plan = Plan::default();
        for (name, known) in replaced {
            // Empty, but a tail may stand for it, and a search by filter may be looking at it.
            self.abandon(known.place(name), known.count, &mut plan);
            self.meta.namespace_count -= 1;
        }
        for (name, staged) in self.jobs.remove(&job).unwrap_or_default() {
            let row = NamespaceRow { id: staged.id, created_ms: now.0, schema: None };
            self.meta.namespace_count += 1;
            self.meta.record_count += staged.count.record_count;
            self.meta.bytes += staged.count.bytes;
            let known = KnownNamespace { row, count: staged.count };
            plan.batch.put(rows::namespace_key(&name), known.row.encode());
            plan.batch.put(rows::count_key(known.place(&name)), staged.count.encode());
            plan.batch.delete(rows::staged_key(job, &name));
            self.remember(&name, known);
            if self.wants_index(&name) {
                plan.unindexed.push(name);
            }
        }
        plan.batch.delete(rows::job_key(job));
        Ok(plan)
    }

    fn stage_abort(&mut self, job: Uuid) -> Plan {
        let mut plan = Plan::default();
        if let Some(staged) = self.jobs.remove(&job) {
            drop_job(job, &staged, &mut plan.batch);
        }
        plan
    }
}

/// Removes the rows of a job, and leaves its records to the sweeper.
fn drop_job(job: Uuid, staged: &Job, batch: &mut Batch) {
    for (name, row) in staged {
        let place = Place { slot: rows::slot_of(name), id: row.id };
        batch.put(rows::dead_key(place), Vec::from([1]));
        batch.delete(rows::staged_key(job, name));
    }
    batch.delete(rows::job_key(job));
}

/// Reads what the jobs of an index stage, and drops what jobs of other indexes have left in it.
pub(crate) async fn load(
    database: &Database,
    index: IndexId,
) -> Result<BTreeMap<Uuid, Job>, EngineError> {
    let mut jobs = BTreeMap::new();
    let mut foreign = BTreeMap::new();
    let mut scan = database.scan_prefix(&rows::job_prefix(), Visibility::Memory).await?;
    while let Some(entry) = scan.next().await? {
        let is_ours = JobRow::decode(&entry.value)?.owner == index;
        let found = if is_ours { &mut jobs } else { &mut foreign };
        found.insert(rows::job_of_key(&entry.key)?, Job::new());
    }
    if jobs.is_empty() && foreign.is_empty() {
        return Ok(jobs);
    }
    let mut scan = database.scan_prefix(&rows::all_staged_prefix(), Visibility::Memory).await?;
    while let Some(entry) = scan.next().await? {
        let job = rows::job_of_key(&entry.key)?;
        let found = if foreign.contains_key(&job) { &mut foreign } else { &mut jobs };
        let row = StagedRow::decode(&entry.value)?;
        found.entry(job).or_default().insert(rows::staged_of_key(&entry.key)?, row);
    }
    if !foreign.is_empty() {
        let mut batch = Batch::new();
        for (job, staged) in &foreign {
            drop_job(*job, staged, &mut batch);
        }
        database.write(batch).await?.durable().await?;
    }
    Ok(jobs)
}

#[cfg(test)]
mod tests;
