//! The rows of backup schedules.
//!
//! A schedule belongs to a live index and goes with it. Invariant: at most one schedule of an index
//! is enabled. A run is ended by the transaction that moves `next_run` on and gives the schedule the id
//! of its next backup; whoever names another id than the present one comes too late.

use std::sync::Arc;

use lodgepole_types::{
    BackupId, BackupSchedule, Frequency, IndexId, IndexName, ScheduleId, Timestamp,
};

use crate::rows::{Row, RowKey};
use crate::{Catalog, CatalogError, Contents};

/// Schedules that one index may have, enabled or not.
const SCHEDULES_PER_INDEX_MAX: usize = 100;

/// A schedule to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSchedule {
    /// Its identity; never used before.
    pub id: ScheduleId,
    /// The index that it backs up.
    pub index: IndexName,
    /// Name given by the user.
    pub name: String,
    /// How often it runs.
    pub frequency: Frequency,
    /// Days after which its backups are deleted.
    pub expire_after_days: u32,
    /// When the call arrived.
    pub created_at: Timestamp,
    /// The id of its first backup; never used before.
    pub next_backup_id: BackupId,
}

/// What a user changes of a schedule; absent parts stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScheduleChange {
    /// How often it runs.
    pub frequency: Option<Frequency>,
    /// Days after which its later backups are deleted.
    pub expire_after_days: Option<u32>,
    /// Whether it runs.
    pub enabled: Option<bool>,
}

impl Catalog {
    /// Adds an enabled schedule.
    ///
    /// # Errors
    /// `NotFound` for an unknown index; `InvalidArgument` for a pod index; `AlreadyExists` when the
    /// index has an enabled schedule; `FailedPrecondition` when it has too many; `Unavailable` when
    /// the store fails.
    pub async fn create_schedule(
        &self,
        new: NewSchedule,
    ) -> Result<Arc<BackupSchedule>, CatalogError> {
        self.commit(|contents, transaction| {
            let index = contents
                .index(&new.index)
                .ok_or_else(|| CatalogError::IndexNotFound(new.index.clone()))?;
            if index.config.is_pod() {
                return Err(CatalogError::ScheduleOfPods);
            }
            check_none_enabled(contents, index.id, None)?;
            if contents.schedules_of(index.id).len() >= SCHEDULES_PER_INDEX_MAX {
                return Err(CatalogError::TooManySchedules(SCHEDULES_PER_INDEX_MAX));
            }
            let mut schedule = BackupSchedule {
                id: new.id,
                name: new.name,
                index_id: index.id,
                frequency: new.frequency,
                expire_after_days: new.expire_after_days,
                enabled: true,
                next_run: new.created_at,
                next_backup_id: new.next_backup_id,
                created_at: new.created_at,
            };
            schedule.next_run = schedule.run_after(new.created_at);
            let schedule = Arc::new(schedule);
            transaction.put(Row::Schedule(Arc::clone(&schedule)));
            Ok(schedule)
        })
        .await
    }

    /// Changes a schedule. Says whether the change enabled it, which asks for a backup at once.
    ///
    /// # Errors
    /// `NotFound`; `AlreadyExists` when it is to be enabled beside another one; `Unavailable` when
    /// the store fails.
    pub async fn update_schedule(
        &self,
        id: ScheduleId,
        change: ScheduleChange,
        now: Timestamp,
    ) -> Result<(Arc<BackupSchedule>, bool), CatalogError> {
        self.commit(|contents, transaction| {
            let before = contents.schedule(id).ok_or(CatalogError::ScheduleNotFound)?;
            let mut after = BackupSchedule::clone(&before);
            after.frequency = change.frequency.unwrap_or(before.frequency);
            after.expire_after_days = change.expire_after_days.unwrap_or(before.expire_after_days);
            after.enabled = change.enabled.unwrap_or(before.enabled);
            let enables = after.enabled && !before.enabled;
            if enables {
                check_none_enabled(contents, before.index_id, Some(id))?;
            }
            if enables || after.frequency != before.frequency {
                after.next_run = after.run_after(now);
            }
            if after == *before {
                return Ok((before, false));
            }
            let after = Arc::new(after);
            transaction.put(Row::Schedule(Arc::clone(&after)));
            Ok((after, enables))
        })
        .await
    }

    /// Deletes a schedule; its backups stay, and are deleted when their time has come.
    ///
    /// # Errors
    /// `NotFound`; `Unavailable` when the store fails.
    pub async fn delete_schedule(&self, id: ScheduleId) -> Result<(), CatalogError> {
        self.commit(|contents, transaction| {
            contents.schedule(id).ok_or(CatalogError::ScheduleNotFound)?;
            transaction.remove(RowKey::Schedule(id));
            Ok(())
        })
        .await
    }

    /// Ends the run whose backup is `ended`: the next one is at `next_run`, with the id `next`. False
    /// when that run was ended before, or the schedule is gone.
    ///
    /// # Errors
    /// `Unavailable` when the store fails.
    pub async fn advance_schedule(
        &self,
        id: ScheduleId,
        ended: BackupId,
        next_run: Timestamp,
        next: BackupId,
    ) -> Result<bool, CatalogError> {
        self.commit(|contents, transaction| {
            let current = contents.schedule(id).filter(|one| one.next_backup_id == ended);
            let Some(schedule) = current else { return Ok(false) };
            let mut schedule = Arc::unwrap_or_clone(schedule);
            (schedule.next_run, schedule.next_backup_id) = (next_run, next);
            transaction.put(Row::Schedule(Arc::new(schedule)));
            Ok(true)
        })
        .await
    }
}

impl Contents {
    /// The schedule of this id.
    #[must_use]
    pub fn schedule(&self, id: ScheduleId) -> Option<Arc<BackupSchedule>> {
        self.schedules().get(&id).cloned()
    }

    /// The schedules of an index, newest first, ties by id.
    #[must_use]
    pub fn schedules_of(&self, index: IndexId) -> Vec<Arc<BackupSchedule>> {
        let of_index = self.schedules().values().filter(|one| one.index_id == index);
        let mut found: Vec<_> = of_index.cloned().collect();
        found.sort_by_key(|one| (std::cmp::Reverse(one.created_at), one.id));
        found
    }

    /// The schedules whose run is due, the longest overdue first.
    #[must_use]
    pub fn schedules_due(&self, now: Timestamp) -> Vec<Arc<BackupSchedule>> {
        let due = self.schedules().values().filter(|one| one.is_due(now));
        let mut found: Vec<_> = due.cloned().collect();
        found.sort_by_key(|one| (one.next_run, one.id));
        found
    }
}

fn check_none_enabled(
    contents: &Contents,
    index: IndexId,
    but: Option<ScheduleId>,
) -> Result<(), CatalogError> {
    let others = contents.schedules_of(index);
    if others.iter().any(|one| one.enabled && Some(one.id) != but) {
        return Err(CatalogError::ScheduleEnabled);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
