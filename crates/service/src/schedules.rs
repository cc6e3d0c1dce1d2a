//! Backups by the clock: the operations on schedules, and the round that takes and drops backups.
//!
//! A run takes an ordinary backup under the id that its schedule has named before, then moves the
//! schedule on. A crash between the two is harmless: the next round finds a backup of that id, and
//! only moves on. Invariant: a run that is due is neither lost nor done twice; after an absence there
//! is one backup, not one for each run that was missed. A run that fails is tried again after a
//! while, long before the next one is due.

use std::sync::Arc;
use std::time::Duration;

use lodgepole_api::wire::schedules::{HistoryItem, HistoryList, ScheduleList, ScheduleReply};
use lodgepole_api::{ApiError, PageQuery, parse};
use lodgepole_catalog::{CatalogError, NewBackup, NewSchedule, ScheduleChange};
use lodgepole_types::{
    BackupId, BackupPurpose, BackupSchedule, BackupStatus, Classify as _, ErrorKind, ScheduleId,
    Timestamp,
};

use crate::RequestContext;
use crate::indexes::known_name;
use crate::service::{Service, Shared, log_left_over, shard_of};

/// Pause after a run that failed.
const RETRY_PAUSE: Duration = Duration::from_secs(600);

impl Service {
    /// Creates a schedule, enabled.
    ///
    /// # Errors
    /// `InvalidArgument`, `Unprocessable`, `NotFound` for an unknown index, `AlreadyExists` beside
    /// another enabled schedule, `Unavailable`.
    pub async fn create_backup_schedule(
        &self,
        _ctx: &RequestContext,
        index_name: &str,
        body: &[u8],
    ) -> Result<ScheduleReply, ApiError> {
        let index = known_name(index_name)?;
        let asked = parse::create_schedule(body, &self.shared.rules.limits)?;
        let rng = self.shared.rng.as_ref();
        let new = NewSchedule {
            id: ScheduleId::random(rng),
            index,
            name: asked.name,
            frequency: asked.frequency,
            expire_after_days: asked.expire_after_days,
            created_at: self.shared.clock.now(),
            next_backup_id: BackupId::random(rng),
        };
        let schedule = self
            .run_whole(|shared| async move { Ok(shared.catalog.create_schedule(new).await?) })
            .await?;
        Ok(self.shared.schedule_reply(&schedule))
    }

    /// Lists the schedules of an index, newest first, disabled ones too.
    ///
    /// # Errors
    /// `NotFound` for an unknown index; `InvalidArgument` for a bad limit or token.
    pub fn list_backup_schedules(
        &self,
        ctx: &RequestContext,
        index_name: &str,
        query: &PageQuery,
    ) -> Result<ScheduleList, ApiError> {
        let index = self.shared.index(index_name)?;
        let page = query.page(ctx.version, &self.shared.rules.limits)?;
        let schedules = self.shared.catalog.contents().schedules_of(index.id);
        let (schedules, pagination) = page.cut(schedules);
        let data = schedules.iter().map(|one| self.shared.schedule_reply(one)).collect();
        Ok(ScheduleList { data, pagination })
    }

    /// Describes a schedule.
    ///
    /// # Errors
    /// `NotFound`, also for what is not an id.
    pub fn describe_backup_schedule(
        &self,
        _ctx: &RequestContext,
        id: &str,
    ) -> Result<ScheduleReply, ApiError> {
        Ok(self.shared.schedule_reply(&*self.shared.schedule(id)?))
    }

    /// Changes a schedule. One that is enabled by this takes a backup at once.
    ///
    /// # Errors
    /// `InvalidArgument`, `Unprocessable`, `NotFound`, `AlreadyExists` beside another enabled
    /// schedule, `Unavailable`.
    pub async fn update_backup_schedule(
        &self,
        _ctx: &RequestContext,
        id: &str,
        body: &[u8],
    ) -> Result<ScheduleReply, ApiError> {
        let id = self.shared.schedule(id)?.id;
        let asked = parse::update_schedule(body, &self.shared.rules.limits)?;
        let change = ScheduleChange {
            frequency: asked.frequency,
            expire_after_days: asked.expire_after_days,
            enabled: asked.enabled,
        };
        let schedule = self
            .run_whole(|shared| async move {
                let now = shared.clock.now();
                let (schedule, enabled) = shared.catalog.update_schedule(id, change, now).await?;
                if !enabled {
                    return Ok(schedule);
                }
                shared.run_schedule(&schedule, now).await?;
                Ok(shared.catalog.contents().schedule(id).unwrap_or(schedule))
            })
            .await?;
        Ok(self.shared.schedule_reply(&schedule))
    }

    /// Deletes a schedule. Its backups stay until their time has come.
    ///
    /// # Errors
    /// `NotFound`, `Unavailable`.
    pub async fn delete_backup_schedule(
        &self,
        _ctx: &RequestContext,
        id: &str,
    ) -> Result<(), ApiError> {
        let id = self.shared.schedule(id)?.id;
        self.run_whole(|shared| async move { Ok(shared.catalog.delete_schedule(id).await?) }).await
    }

    /// Lists the backups of a schedule, newest first; before them the one that is due next.
    ///
    /// # Errors
    /// `NotFound`; `InvalidArgument` for a bad limit or token.
    pub fn list_backup_schedule_history(
        &self,
        ctx: &RequestContext,
        id: &str,
        query: &PageQuery,
    ) -> Result<HistoryList, ApiError> {
        let schedule = self.shared.schedule(id)?;
        let page = query.page(ctx.version, &self.shared.rules.limits)?;
        let contents = self.shared.catalog.contents();
        let index = contents.index_by_id(schedule.index_id).filter(|_| schedule.enabled);
        let planned = index.map(|index| HistoryItem::planned(&schedule, &index));
        let purpose = BackupPurpose::Schedule(schedule.id);
        let taken = contents.listed_backups_of(schedule.index_id).into_iter();
        let taken = taken
            .filter(|backup| backup.purpose == purpose)
            .map(|backup| HistoryItem::taken(&backup, ctx.version));
        let (data, pagination) = page.cut(planned.into_iter().chain(taken).collect());
        Ok(HistoryList { data, pagination })
    }

    /// One round: takes the backups that are due, and deletes those of schedules whose time has
    /// come. What fails is done in a later round. Answers with how many were taken and deleted.
    ///
    /// # Errors
    /// `Unavailable` when the catalog fails.
    pub async fn run_schedules_once(&self) -> Result<ScheduleRound, ApiError> {
        self.run_whole(Shared::run_schedules).await
    }
}

/// What a round of schedules did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScheduleRound {
    /// Backups that were taken.
    pub taken: usize,
    /// Backups that were deleted because their time had come.
    pub expired: usize,
}

impl Shared {
    fn schedule_reply(&self, schedule: &BackupSchedule) -> ScheduleReply {
        ScheduleReply::of(schedule, &self.catalog.contents().project_id())
    }

    fn schedule(&self, id: &str) -> Result<Arc<BackupSchedule>, ApiError> {
        let known = ScheduleId::parse(id).and_then(|id| self.catalog.contents().schedule(id));
        known.ok_or_else(|| CatalogError::ScheduleNotFound.into())
    }

    async fn run_schedules(self: Arc<Self>) -> Result<ScheduleRound, ApiError> {
        let now = self.clock.now();
        let mut round = ScheduleRound::default();
        for schedule in self.catalog.contents().schedules_due(now) {
            round.taken += usize::from(self.run_schedule(&schedule, now).await?);
        }
        for backup in self.catalog.contents().backups() {
            if backup.expires_at.is_none_or(|time| time > now) {
                continue;
            }
            match self.catalog.delete_backup(backup.id).await {
                Ok(deleted) => {
                    self.give_up_pin(&deleted).await;
                    round.expired += 1;
                }
                // It is being read or made, or is gone already: the next round looks again.
                Err(error) if error.kind() != ErrorKind::Unavailable => {
                    tracing::debug!(backup = %backup.id, %error, "an expired backup stays for now");
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(round)
    }

    /// Takes the next backup of a schedule and moves it on; whether there is a backup.
    async fn run_schedule(
        self: &Arc<Self>,
        schedule: &BackupSchedule,
        now: Timestamp,
    ) -> Result<bool, ApiError> {
        let id = schedule.next_backup_id;
        let known = self.catalog.backup(id).map(|backup| backup.status);
        let taken = match known {
            Some(BackupStatus::Ready) => true,
            // Another caller is at it.
            Some(BackupStatus::Initializing) => return Ok(false),
            Some(BackupStatus::Failed) => false,
            None => self.take_scheduled(schedule, now).await,
        };
        let next_run = if taken {
            schedule.run_after(now)
        } else {
            let pause = i64::try_from(RETRY_PAUSE.as_millis()).unwrap_or(i64::MAX);
            schedule.run_after(now).min(Timestamp(now.0.saturating_add(pause)))
        };
        let next = BackupId::random(self.rng.as_ref());
        self.catalog.advance_schedule(schedule.id, id, next_run, next).await?;
        Ok(taken)
    }

    pub(crate) async fn take_scheduled(
        self: &Arc<Self>,
        schedule: &BackupSchedule,
        now: Timestamp,
    ) -> bool {
        let Some(index) = self.catalog.index_by_id(schedule.index_id) else { return false };
        let new = NewBackup {
            id: schedule.next_backup_id,
            source_index_id: index.id,
            name: Some(schedule.backup_name(now)),
            description: None,
            created_at: now,
            purpose: BackupPurpose::Schedule(schedule.id),
            expires_at: Some(schedule.expiry(now)),
        };
        match Arc::clone(self).create_backup(shard_of(&index), new).await {
            Ok(_) => true,
            Err(error) => {
                log_left_over("a scheduled backup", &error);
                false
            }
        }
    }
}
