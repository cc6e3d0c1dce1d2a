//! Planning what concerns search segments: the change queue, and the exchange of segments.
//!
//! Invariant: from the request on that made a namespace's directory, every change of its versions is
//! in its queue, in the same batch as the records, until a commit trims it. The directories that the
//! planner holds are those of the rows, so a cut knows exactly which segments it needs.
//!
//! A queue that nobody works off must not grow for ever. Above its cap, directory and queue are given
//! up together: the namespace is read from its records until it has been indexed anew. The cap is
//! never below the number of records, because up to there following the queue costs less than that.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use lodgepole_rows::{self as rows, DirectoryRow, DocId, Place, QueueRow, SegmentEntry};
use lodgepole_storage::{Batch, Database, prefix_range};
use lodgepole_types::NamespaceName;

use super::{Plan, Planner};
use crate::change::{SegmentsChange, SegmentsCommit};
use crate::slots;
use crate::{EngineError, WriteError};

/// The segments of a namespace, and what came after them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Directory {
    pub(crate) segments: Vec<SegmentEntry>,
    /// Versions in the queue; none until they were counted. Those that were queued while a commit
    /// was on its way may be missing: it decides how much is enough, and nothing hangs on it.
    queued: Option<u64>,
    /// The queue is whole from here on; what is older was left by a directory that was given up.
    since: DocId,
}

/// All directories of a shard.
pub(crate) type Directories = BTreeMap<Place, Directory>;

/// Reads the directories of a shard.
pub(crate) async fn load(database: &Database) -> Result<Directories, EngineError> {
    let mut directories = Directories::new();
    let view = database.view()?;
    slots::for_each(&view, rows::directory_prefix, |entry| {
        if let Some(place) = rows::place_of_directory_key(&entry.key) {
            let segments = DirectoryRow::decode(&entry.value)?.segments;
            directories.insert(place, Directory { segments, ..Directory::default() });
        }
        Ok(())
    })
    .await?;
    Ok(directories)
}

impl Planner {
    /// Segments that the shard needs, sorted and each once.
    pub(crate) fn segments(&self) -> Vec<String> {
        let entries = self.directories.values().flat_map(|directory| &directory.segments);
        let mut names: Vec<_> = entries.map(|entry| entry.id.to_string()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Counts the queue of the namespace that a plan changes, the first time since the shard was
    /// opened.
    pub(super) async fn count_queue(
        &mut self,
        database: &Database,
        plan: &Plan,
    ) -> Result<(), EngineError> {
        let Some(place) = plan.effect.place else { return Ok(()) };
        let Some(directory) = self.directories.get_mut(&place) else { return Ok(()) };
        if directory.queued.is_none() && plan.effect.changes_versions() {
            let mut queued = 0;
            let mut scan = database.view()?.scan(prefix_range(&rows::queue_prefix(place))).await?;
            while let Some(entry) = scan.next().await? {
                queued += QueueRow::versions(&entry.value)?;
            }
            directory.queued = Some(queued);
        }
        Ok(())
    }

    /// Adds to a plan what its effect means for the queue of the namespace, which has so many
    /// records by then.
    pub(super) fn queue(&mut self, plan: &mut Plan, record_count: u64) {
        let effect = &mut plan.effect;
        let Some(place) = effect.place else { return };
        if effect.emptied {
            if self.directories.remove(&place).is_some() {
                plan.batch.delete(rows::directory_key(place));
            }
            return;
        }
        if let Some(directory) = self.directories.get_mut(&place)
            && effect.changes_versions()
        {
            if effect.added.is_empty() && effect.revised.is_empty() {
                // A number of its own, so that no two requests share a key.
                self.meta.next_docid += 1;
            }
            let added = effect.added.iter().map(|added| (added.docid, added.id.clone()));
            let revised = effect.revised.iter().map(|revised| (revised.docid, revised.id.clone()));
            let mut born: Vec<_> = added.chain(revised).collect();
            born.sort_unstable_by_key(|(docid, _)| *docid);
            let row = QueueRow { born, buried: effect.buried.clone() };
            let queued = directory.queued.unwrap_or(0) + (row.born.len() + row.buried.len()) as u64;
            directory.queued = Some(queued);
            if queued > self.limits.queue_versions_max.max(record_count) {
                effect.distrusted = !directory.segments.is_empty();
                self.give_up_queue(place, &mut plan.batch);
            } else {
                let key = rows::queue_key(place, self.meta.next_docid - 1);
                plan.batch.put(key, row.encode());
            }
        }
        effect.seq = self.meta.next_docid.saturating_sub(1);
    }

    /// Has a namespace read from its records: it has segments no more, and no queue. What is left
    /// of the queue says nothing without a directory; the indexer removes it.
    fn give_up_queue(&mut self, place: Place, batch: &mut Batch) {
        for entry in self.directories.remove(&place).unwrap_or_default().segments {
            batch.delete(rows::deletions_key(place, entry.id.id));
        }
        batch.delete(rows::directory_key(place));
        tracing::warn!(
            slot = place.slot,
            namespace = place.id.0,
            "a namespace changes faster than it is indexed; it is indexed anew from its records"
        );
    }

    /// Whether so much of a namespace is in no segment that one should be built.
    pub(crate) fn wants_index(&self, name: &NamespaceName) -> bool {
        let Some(known) = self.namespaces.get(name) else { return false };
        let rows = match self.directories.get(&known.place(name)) {
            Some(directory) if !directory.segments.is_empty() => directory.queued.unwrap_or(0),
            _ => known.count.record_count,
        };
        let row_bytes = known.count.row_bytes();
        self.limits.index_from.is_reached(rows, rows.saturating_mul(row_bytes))
    }

    pub(super) async fn plan_segments(
        &mut self,
        database: &Database,
        name: &NamespaceName,
        change: SegmentsChange,
    ) -> Result<Plan, WriteError> {
        let mut plan = Plan::default();
        let Some(known) = self.known(database, name).await? else {
            return Err(WriteError::Superseded);
        };
        let place = known.place(name);
        plan.effect.place = Some(place);
        match change {
            SegmentsChange::Queue => {
                if let Entry::Vacant(vacant) = self.directories.entry(place) {
                    let since = self.meta.next_docid.saturating_sub(1);
                    vacant.insert(Directory { queued: Some(0), since, ..Directory::default() });
                    plan.batch.put(rows::directory_key(place), DirectoryRow::default().encode());
                }
            }
            SegmentsChange::Commit(commit) => self.commit(place, *commit, &mut plan)?,
            SegmentsChange::DropStale(keys) => {
                // Whatever is committed from now on reaches beyond these.
                let since = self.directories.get(&place).map_or(0, |directory| directory.since);
                let prefix = rows::queue_prefix(place);
                for key in keys.into_iter().filter(|key| key.starts_with(&prefix)) {
                    if rows::seq_of_queue_key(&key).map_err(EngineError::from)? <= since {
                        plan.batch.delete(key);
                    }
                }
            }
            SegmentsChange::Distrust => {
                let view = database.view().map_err(EngineError::from)?;
                let range = prefix_range(&rows::deletions_prefix(place));
                let mut scan = view.scan(range).await.map_err(EngineError::from)?;
                while let Some(entry) = scan.next().await.map_err(EngineError::from)? {
                    plan.batch.delete(entry.key.to_vec());
                }
                self.directories.entry(place).or_default().segments.clear();
                plan.batch.put(rows::directory_key(place), DirectoryRow::default().encode());
                plan.effect.distrusted = true;
            }
        }
        Ok(plan)
    }

    fn commit(
        &mut self,
        place: Place,
        commit: SegmentsCommit,
        plan: &mut Plan,
    ) -> Result<(), WriteError> {
        let directory = self.directories.get(&place).ok_or(WriteError::Superseded)?;
        let since = directory.since;
        let unchanged =
            directory.segments.iter().map(|entry| entry.id).eq(commit.before.iter().copied());
        if place != commit.place || !unchanged || commit.indexed.upto < since {
            return Err(WriteError::Superseded);
        }
        for entry in &directory.segments {
            if commit.after.iter().all(|kept| kept.id != entry.id) {
                plan.batch.delete(rows::deletions_key(place, entry.id.id));
            }
        }
        for (segment, deletions) in commit.deletions {
            plan.batch.put(rows::deletions_key(place, segment), deletions);
        }
        for key in commit.trimmed {
            plan.batch.delete(key);
        }
        let row = DirectoryRow { segments: commit.after };
        plan.batch.put(rows::directory_key(place), row.encode());
        let directory = Directory { segments: row.segments, queued: Some(commit.left), since };
        self.directories.insert(place, directory);
        plan.effect.indexed = Some(commit.indexed);
        Ok(())
    }
}
