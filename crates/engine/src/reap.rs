//! Removing the data of deleted indexes, and only what nothing needs.
//!
//! A deleted index stays as a hidden database as long as a backup of it exists, or a clone reads its
//! files. SlateDB deletes a database whatever hangs on it, so the decision is made here (rules:
//! ARCHITECTURE.md, Deletion; model: crates/lifetimes):
//!
//! 1. The catalog is read, then the pins of the database, then the catalog again. Every backup has
//!    its row before its pin, so a pin without a row is an orphan; and a hidden index without
//!    backups can get no new ones, so once it has no foreign pin it never gets one again.
//! 2. A clone lets go of its ancestors only when it has been rewritten. That is asked for here, but
//!    only where it helps: not for a clone that has backups of its own, whose files stay needed.
//! 3. Deleting the database comes last. It also gives up the pins on its own parents, so a chain of
//!    deleted indexes goes from its end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lodgepole_storage::{DatabasePath, Pin};
use lodgepole_types::IndexId;
use uuid::Uuid;

use crate::engine::{Engine, database_path};
use crate::{EngineError, ShardRef};

/// Longest wait for the rewriting of one clone in one round.
const REWRITE_WAIT_MAX: Duration = Duration::from_secs(600);

/// How long data without an owner is left alone: an index that is being made has its data before
/// its row.
const STRAY_AGE: Duration = Duration::from_secs(600);

/// What the catalog knows, at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Estate {
    /// Indexes that exist.
    pub live: Vec<ShardRef>,
    /// Deleted indexes whose data has not been removed yet.
    pub hidden: Vec<IndexId>,
    /// Names of the checkpoints that backups hold, by index. Also of those being taken.
    pub backups: BTreeMap<IndexId, BTreeSet<String>>,
    /// Indexes that are being made: by a running restore job, or with data and no row yet. Nothing of
    /// them is touched.
    pub restoring: BTreeSet<IndexId>,
    /// Segments that complete backups need.
    pub segments: BTreeSet<String>,
    /// Whether a backup is between its cut and its row: what it needs is not known.
    pub backups_under_way: bool,
}

impl Estate {
    fn owns(&self, index: IndexId) -> bool {
        self.live.iter().any(|shape| shape.index == index)
            || self.hidden.contains(&index)
            || self.restoring.contains(&index)
    }

    fn has_backups(&self, index: IndexId) -> bool {
        self.backups.get(&index).is_some_and(|names| !names.is_empty())
    }

    fn holds(&self, index: IndexId, name: &str) -> bool {
        self.backups.get(&index).is_some_and(|names| names.contains(name))
    }
}

/// What one round did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reaped {
    /// Hidden indexes whose data is gone; their catalog rows can go.
    pub deleted: Vec<IndexId>,
    /// Clones that were rewritten so that they let go of a deleted ancestor.
    pub rewritten: Vec<IndexId>,
    /// Checkpoints of backups that no longer exist.
    pub orphans: usize,
    /// Data that a crash left without an owner.
    pub strays: usize,
    /// Files of segments that nothing needed any more.
    pub segments: usize,
}

/// A round in which something failed.
#[derive(Debug, thiserror::Error)]
#[error("not all that nothing needs could be removed")]
pub struct Unfinished {
    /// What was done all the same.
    pub reaped: Reaped,
    /// What failed first.
    #[source]
    pub cause: Box<EngineError>,
}

/// A round under way. One index that cannot be read must not keep the data of all others for ever, so
/// what fails of one is noted, and the round goes on with the next.
pub(crate) struct Round<'a> {
    estate: &'a (dyn Fn() -> Estate + Send + Sync),
    pub(crate) reaped: Reaped,
    /// What failed first.
    failure: Option<EngineError>,
}

impl Round<'_> {
    /// What the catalog knows now.
    pub(crate) fn estate(&self) -> Estate {
        (self.estate)()
    }

    /// What came of a step for one index, unless it failed.
    fn note<T>(&mut self, index: IndexId, outcome: Result<T, EngineError>) -> Option<T> {
        match outcome {
            Ok(value) => Some(value),
            Err(error) => {
                let cause: &dyn std::error::Error = &error;
                tracing::warn!(%index, error = cause, "cleaning up an index failed; others go on");
                self.failure.get_or_insert(error);
                None
            }
        }
    }
}

impl Engine {
    /// One round: collects files, lets clones go of deleted ancestors, removes what nothing needs.
    /// Several rounds, some time apart, are needed until everything is gone, because the files that
    /// compaction reads stay for [`collection_age`](lodgepole_storage::StorageOptions).
    ///
    /// # Errors
    /// [`Unfinished`] when something failed. What belongs to other indexes is done all the same, but for
    /// segments, of which none is removed unless all that is needed is known.
    pub async fn reap(
        &self,
        estate: &(dyn Fn() -> Estate + Send + Sync),
    ) -> Result<Reaped, Unfinished> {
        let mut round = Round { estate, reaped: Reaped::default(), failure: None };
        self.unpin_orphans(&mut round).await;
        self.rewrite_dependants(&mut round).await;
        let now = round.estate();
        for index in now.live.iter().map(|shape| shape.index).chain(now.hidden.iter().copied()) {
            let collected = self.storage.collect(&database_path(index)).await;
            round.note(index, collected.map_err(EngineError::from));
        }
        for index in now.hidden {
            let deleted = self.delete_unneeded(index, estate).await;
            if round.note(index, deleted) == Some(true) {
                round.reaped.deleted.push(index);
            }
        }
        let rest = match self.remove_strays(&mut round).await {
            Ok(()) => self.collect_segments(&mut round).await,
            Err(error) => Err(error),
        };
        let Round { reaped, failure, .. } = round;
        match failure.or(rest.err()) {
            Some(cause) => Err(Unfinished { reaped, cause: Box::new(cause) }),
            None => Ok(reaped),
        }
    }

    /// Removes databases that no row knows: a crash came between data and row. They have no clones
    /// and no backups, because those need a row.
    async fn remove_strays(&self, round: &mut Round<'_>) -> Result<(), EngineError> {
        let found = self.storage.folders("ix").await?;
        let after = round.estate();
        let now = self.commons.clock.elapsed();
        let mut strays: Vec<_> = found
            .iter()
            .filter_map(|name| IndexId::parse(name))
            .filter(|index| !after.owns(*index) && !round.reaped.deleted.contains(index))
            .collect();
        let mut at = 0;
        while let Some(index) = strays.get(at) {
            // Segments of an index that is gone may be in use elsewhere, and go one by one.
            if self.storage.folders(&format!("ix/{index}")).await?.iter().any(|name| name == "db") {
                at += 1;
            } else {
                strays.remove(at);
            }
        }
        let mut aged = Vec::new();
        {
            let mut seen = self.strays.lock();
            seen.retain(|index, _| strays.contains(index));
            for index in strays {
                let first = *seen.entry(index).or_insert(now);
                if now.saturating_sub(first) >= STRAY_AGE {
                    aged.push(index);
                }
            }
        }
        for index in aged {
            let discarded = self.discard(index).await;
            if round.note(index, discarded).is_some() {
                round.reaped.strays += 1;
            }
        }
        Ok(())
    }

    /// Gives up a pin of a backup that is being deleted.
    ///
    /// # Errors
    /// [`EngineError`] when the store fails.
    pub async fn unpin(&self, index: IndexId, pin: Uuid) -> Result<(), EngineError> {
        Ok(self.storage.unpin(&database_path(index), pin).await?)
    }

    /// Finds the pin that was taken under `name`, for a backup that a crash cut off.
    ///
    /// # Errors
    /// [`EngineError`] when the store fails.
    pub async fn find_pin(&self, index: IndexId, name: &str) -> Result<Option<Uuid>, EngineError> {
        let pins = self.storage.pins(&database_path(index)).await?;
        Ok(pins.into_iter().find(|pin| pin.name.as_deref() == Some(name)).map(|pin| pin.id))
    }

    /// Closes and removes an index that no row names: what a restore job left that never completed, or
    /// a copy of a backup that was made to be looked at.
    ///
    /// # Errors
    /// [`EngineError`] when the store fails.
    pub async fn discard(&self, index: IndexId) -> Result<(), EngineError> {
        self.retire(index).await;
        self.delete_data(index).await
    }

    /// Removes the database of an index. Its segments stay: others may use them.
    async fn delete_data(&self, index: IndexId) -> Result<(), EngineError> {
        self.storage.delete_database(&database_path(index)).await?;
        self.retired.lock().data_is_gone(index);
        self.storage.remove_empty_folder(&format!("ix/{index}/db")).await?;
        Ok(self.storage.remove_empty_folder(&format!("ix/{index}")).await?)
    }

    async fn unpin_orphans(&self, round: &mut Round<'_>) {
        let before = round.estate();
        let live = before.live.iter().map(|shape| shape.index);
        for index in live.chain(before.hidden.iter().copied()) {
            let unpinned = self.unpin_orphans_of(index, round).await;
            round.note(index, unpinned);
        }
    }

    async fn unpin_orphans_of(
        &self,
        index: IndexId,
        round: &mut Round<'_>,
    ) -> Result<(), EngineError> {
        let pins = self.storage.pins(&database_path(index)).await?;
        let after = round.estate();
        for pin in pins {
            let orphan = pin.name.as_deref().is_some_and(|name| !after.holds(index, name));
            if orphan && !pin.expires {
                self.storage.unpin(&database_path(index), pin.id).await?;
                round.reaped.orphans += 1;
            }
        }
        Ok(())
    }

    /// Removes a hidden database if nothing needs it any more, and says whether it did.
    async fn delete_unneeded(
        &self,
        index: IndexId,
        estate: &(dyn Fn() -> Estate + Send + Sync),
    ) -> Result<bool, EngineError> {
        let is_deletable = self.is_deletable(index, estate).await?;
        if is_deletable {
            // Whoever deleted the index may not have come to this yet, and a read may be opening it: it would
            // find its data gone, and tell of damage.
            self.retire(index).await;
            self.delete_data(index).await?;
        }
        Ok(is_deletable)
    }

    /// Whether nothing needs a hidden database any more.
    async fn is_deletable(
        &self,
        index: IndexId,
        estate: &(dyn Fn() -> Estate + Send + Sync),
    ) -> Result<bool, EngineError> {
        if estate().has_backups(index) {
            return Ok(false);
        }
        let pins = self.storage.pins(&database_path(index)).await?;
        let after = estate();
        let still_hidden = after.hidden.contains(&index);
        Ok(still_hidden && !after.has_backups(index) && !pins.iter().any(is_foreign))
    }

    async fn rewrite_dependants(&self, round: &mut Round<'_>) {
        let estate = round.estate();
        let gone: BTreeSet<_> = estate
            .hidden
            .iter()
            .filter(|index| !estate.has_backups(**index))
            .map(|index| database_path(*index))
            .collect();
        if gone.is_empty() {
            return;
        }
        for shape in &estate.live {
            let index = shape.index;
            if estate.has_backups(index) || estate.restoring.contains(&index) {
                continue;
            }
            let rewritten = self.rewrite_dependant(*shape, &gone).await;
            if round.note(index, rewritten) == Some(true) {
                round.reaped.rewritten.push(index);
            }
        }
    }

    /// Rewrites an index that reads files of deleted ones, and says whether that was so and was done.
    async fn rewrite_dependant(
        &self,
        shape: ShardRef,
        gone: &BTreeSet<DatabasePath>,
    ) -> Result<bool, EngineError> {
        let parents = self.storage.parents(&database_path(shape.index)).await?.unwrap_or_default();
        if !parents.iter().any(|parent| parent.borrowed_files > 0 && gone.contains(&parent.path)) {
            return Ok(false);
        }
        let shard = self.shard(shape).await?;
        let clock = self.commons.clock.as_ref();
        Ok(shard.database.compact_fully(clock, REWRITE_WAIT_MAX).await?)
    }
}

/// Whether a pin is a clone's: no name of ours, and it never goes by itself. A compactor's pins
/// protect only its own reading, and the database is closed by now.
fn is_foreign(pin: &Pin) -> bool {
    !pin.expires
}
