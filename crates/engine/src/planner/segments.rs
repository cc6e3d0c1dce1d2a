//! Planning what concerns search segments: the change queue, and the exchange of segments.
//!
//! Invariant: from the request on that made a namespace's directory, every change of its versions is
//! in its queue, in the same batch as the records, until a commit trims it. The directories that the
//! planner holds are those of the rows, so a cut knows exactly which segments it needs.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use lodgepole_storage::{Database, prefix_range};
use lodgepole_types::NamespaceName;

use super::{Plan, Planner};
use crate::change::{SegmentsChange, SegmentsCommit};
use crate::rows::{self, DirectoryRow, Place, QueueRow, SegmentEntry};
use crate::slots;
use crate::{EngineError, WriteError};

/// The segments of a namespace, and what came after them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Directory {
    pub(crate) segments: Vec<SegmentEntry>,
    /// Versions queued since this shard was opened or the last commit. A hint, no count.
    pending: u64,
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
            directories.insert(place, Directory { segments, pending: 0 });
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

    /// Adds to a plan what its effect means for the queue of the namespace.
    pub(super) fn queue(&mut self, plan: &mut Plan) {
        let effect = &mut plan.effect;
        let Some(place) = effect.place else { return };
        if effect.emptied {
            if self.directories.remove(&place).is_some() {
                plan.batch.delete(rows::directory_key(place));
            }
            return;
        }
        if let Some(directory) = self.directories.get_mut(&place)
            && !(effect.added.is_empty() && effect.revised.is_empty() && effect.buried.is_empty())
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
            directory.pending += (row.born.len() + row.buried.len()) as u64;
            let key = rows::queue_key(place, self.meta.next_docid - 1);
            plan.batch.put(key, row.encode());
        }
        effect.seq = self.meta.next_docid.saturating_sub(1);
    }

    /// Whether so much of a namespace is in no segment that one should be built.
    pub(crate) fn wants_index(&self, name: &NamespaceName) -> bool {
        let Some(known) = self.namespaces.get(name) else { return false };
        let rows = match self.directories.get(&known.place(name)) {
            Some(directory) if !directory.segments.is_empty() => directory.pending,
            _ => known.count.record_count,
        };
        let row_bytes = known.count.bytes / known.count.record_count.max(1);
        self.index_from.is_reached(rows, rows.saturating_mul(row_bytes))
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
                    vacant.insert(Directory::default());
                    plan.batch.put(rows::directory_key(place), DirectoryRow::default().encode());
                }
            }
            SegmentsChange::Commit(commit) => self.commit(place, *commit, &mut plan)?,
            SegmentsChange::Distrust => {
                let view = database.view().map_err(EngineError::from)?;
                let range = prefix_range(&rows::deletions_prefix(place));
                let mut scan = view.scan(range).await.map_err(EngineError::from)?;
                while let Some(entry) = scan.next().await.map_err(EngineError::from)? {
                    plan.batch.delete(entry.key.to_vec());
                }
                self.directories.insert(place, Directory::default());
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
        let unchanged =
            directory.segments.iter().map(|entry| entry.id).eq(commit.before.iter().copied());
        if place != commit.place || !unchanged {
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
        self.directories.insert(place, Directory { segments: row.segments, pending: 0 });
        plan.effect.indexed = Some(commit.indexed);
        Ok(())
    }
}
