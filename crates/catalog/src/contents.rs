//! Everything in the catalog at one moment, in memory.
//!
//! A [`Contents`] never changes: a transaction makes the next one, which shares every table that it
//! leaves alone. So a reader that needs several answers to fit together holds one, and waits for
//! nobody. Loading from disk and publishing a change go through the same two functions, `put` and
//! `remove`, so memory and disk cannot drift apart.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use lodgepole_types::{
    Backup, BackupId, BackupStatus, Index, IndexId, IndexName, RestoreJob, RestoreJobId,
    RestoreStatus, Timestamp,
};

use crate::rows::{HiddenIndex, Meta, PortRow, Row, RowKey};

/// A consistent set of answers.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Contents {
    meta: Option<Meta>,
    indexes: Arc<BTreeMap<IndexId, Arc<Index>>>,
    /// The same indexes by name and by port: derived, not stored.
    by_name: Arc<BTreeMap<IndexName, Arc<Index>>>,
    by_port: Arc<BTreeMap<u16, Arc<Index>>>,
    hidden: Arc<BTreeMap<IndexId, Arc<HiddenIndex>>>,
    backups: Arc<BTreeMap<BackupId, Arc<Backup>>>,
    restore_jobs: Arc<BTreeMap<RestoreJobId, Arc<RestoreJob>>>,
    ports: Arc<BTreeMap<IndexName, PortRow>>,
}

impl Contents {
    /// The live index of this name.
    #[must_use]
    pub fn index(&self, name: &IndexName) -> Option<Arc<Index>> {
        self.by_name.get(name).cloned()
    }

    /// The live index of this id.
    #[must_use]
    pub fn index_by_id(&self, id: IndexId) -> Option<Arc<Index>> {
        self.indexes.get(&id).cloned()
    }

    /// The live index whose data plane this port is.
    #[must_use]
    pub fn index_by_port(&self, port: u16) -> Option<Arc<Index>> {
        self.by_port.get(&port).cloned()
    }

    /// All live indexes, by name.
    #[must_use]
    pub fn indexes(&self) -> Vec<Arc<Index>> {
        self.by_name.values().cloned().collect()
    }

    /// All hidden indexes, the one deleted last first, ties by id.
    #[must_use]
    pub fn hidden(&self) -> Vec<Arc<HiddenIndex>> {
        let mut hidden: Vec<_> = self.hidden.values().cloned().collect();
        hidden.sort_by_key(|row| (Reverse(row.deleted_at), row.index.id));
        hidden
    }

    /// The hidden index of this id.
    #[must_use]
    pub fn hidden_by_id(&self, id: IndexId) -> Option<Arc<HiddenIndex>> {
        self.hidden.get(&id).cloned()
    }

    /// The hidden indexes that had this name, the one deleted last first.
    #[must_use]
    pub fn hidden_named(&self, name: &IndexName) -> Vec<Arc<HiddenIndex>> {
        let mut hidden = self.hidden();
        hidden.retain(|row| row.index.config.name == *name);
        hidden
    }

    /// Whether data under this id belongs to something: a live or hidden index, or one that a
    /// pending restore job is making. Data that belongs to nothing is a crash's left-over.
    #[must_use]
    pub fn owns(&self, id: IndexId) -> bool {
        self.indexes.contains_key(&id)
            || self.hidden.contains_key(&id)
            || self.pending_jobs().any(|job| job.target_index_id == id)
    }

    /// The backup of this id.
    #[must_use]
    pub fn backup(&self, id: BackupId) -> Option<Arc<Backup>> {
        self.backups.get(&id).cloned()
    }

    /// All backups, newest first, ties by id.
    #[must_use]
    pub fn backups(&self) -> Vec<Arc<Backup>> {
        self.backups_where(|_| true)
    }

    /// The backups of one index, live or not, newest first.
    #[must_use]
    pub fn backups_of(&self, index: IndexId) -> Vec<Arc<Backup>> {
        self.backups_where(|backup| backup.source_index_id == index)
    }

    /// The backups of every index that has or had this name, newest first.
    #[must_use]
    pub fn backups_named(&self, source: &IndexName) -> Vec<Arc<Backup>> {
        self.backups_where(|backup| backup.source.name == *source)
    }

    fn backups_where(&self, wanted: impl Fn(&Backup) -> bool) -> Vec<Arc<Backup>> {
        let mut backups: Vec<_> =
            self.backups.values().filter(|backup| wanted(backup)).cloned().collect();
        backups.sort_by_key(|backup| (Reverse(backup.created_at), backup.id));
        backups
    }

    /// The restore job of this id.
    #[must_use]
    pub fn restore_job(&self, id: RestoreJobId) -> Option<Arc<RestoreJob>> {
        self.restore_jobs.get(&id).cloned()
    }

    /// All restore jobs, newest first, ties by id.
    #[must_use]
    pub fn restore_jobs(&self) -> Vec<Arc<RestoreJob>> {
        let mut jobs: Vec<_> = self.restore_jobs.values().cloned().collect();
        jobs.sort_by_key(|job| (Reverse(job.created_at), job.id));
        jobs
    }

    /// When the catalog was made.
    #[must_use]
    pub fn created_at(&self) -> Timestamp {
        self.meta.map(|meta| meta.created_at).unwrap_or_default()
    }

    /// Ports that belonged to indexes which are gone, and that no other index has got since.
    #[must_use]
    pub fn freed_ports(&self) -> Vec<u16> {
        let rows = self.ports.values().filter(|row| row.freed.is_some());
        rows.map(|row| row.port).filter(|port| self.index_by_port(*port).is_none()).collect()
    }

    pub(crate) fn pending_jobs(&self) -> impl Iterator<Item = &Arc<RestoreJob>> {
        self.restore_jobs.values().filter(|job| job.status == RestoreStatus::Pending)
    }

    pub(crate) fn ended_jobs(&self) -> impl Iterator<Item = &Arc<RestoreJob>> {
        self.restore_jobs.values().filter(|job| job.status != RestoreStatus::Pending)
    }

    pub(crate) fn ports(&self) -> &BTreeMap<IndexName, PortRow> {
        &self.ports
    }

    pub(crate) fn meta(&self) -> Option<Meta> {
        self.meta
    }

    /// Adds a row, or replaces the one of its key.
    pub(crate) fn put(&mut self, row: Row) {
        match row {
            Row::Meta(meta) => self.meta = Some(meta),
            Row::Index(index) => {
                self.remove(&RowKey::Index(index.id));
                Arc::make_mut(&mut self.by_name)
                    .insert(index.config.name.clone(), Arc::clone(&index));
                Arc::make_mut(&mut self.by_port).insert(index.port, Arc::clone(&index));
                Arc::make_mut(&mut self.indexes).insert(index.id, index);
            }
            Row::Hidden(hidden) => {
                Arc::make_mut(&mut self.hidden).insert(hidden.index.id, hidden);
            }
            Row::Backup(backup) => {
                Arc::make_mut(&mut self.backups).insert(backup.id, backup);
            }
            Row::RestoreJob(job) => {
                Arc::make_mut(&mut self.restore_jobs).insert(job.id, job);
            }
            Row::Port(name, port) => {
                Arc::make_mut(&mut self.ports).insert(name, port);
            }
        }
    }

    /// Takes a row out; no matter whether it is there.
    pub(crate) fn remove(&mut self, key: &RowKey) {
        match key {
            RowKey::Meta => self.meta = None,
            RowKey::Index(id) => {
                if let Some(index) = Arc::make_mut(&mut self.indexes).remove(id) {
                    Arc::make_mut(&mut self.by_name).remove(&index.config.name);
                    Arc::make_mut(&mut self.by_port).remove(&index.port);
                }
            }
            RowKey::Hidden(id) => {
                Arc::make_mut(&mut self.hidden).remove(id);
            }
            RowKey::Backup(id) => {
                Arc::make_mut(&mut self.backups).remove(id);
            }
            RowKey::RestoreJob(id) => {
                Arc::make_mut(&mut self.restore_jobs).remove(id);
            }
            RowKey::Port(name) => {
                Arc::make_mut(&mut self.ports).remove(name);
            }
        }
    }

    /// Checks what every transaction keeps true, so that a catalog that was damaged or edited is
    /// refused at open and not believed. `Err` says what is wrong.
    pub(crate) fn check(&self) -> Result<(), String> {
        for index in self.indexes.values() {
            let name = &index.config.name;
            let found = self.by_name.get(name).map(|other| other.id);
            if found != Some(index.id) {
                return Err(format!("two indexes are named {name}"));
            }
            if self.by_port.get(&index.port).map(|other| other.id) != Some(index.id) {
                return Err(format!("two indexes have port {}", index.port));
            }
            let row = PortRow { port: index.port, freed: None };
            if self.ports.get(name) != Some(&row) {
                return Err(format!("port {} is not assigned to index {name}", index.port));
            }
            if self.hidden.contains_key(&index.id) {
                return Err(format!("index {} is both live and deleted", index.id));
            }
        }
        let mut owners = BTreeMap::new();
        for (name, row) in &*self.ports {
            if let Some(other) = owners.insert(row.port, name) {
                return Err(format!("port {} belongs to {other} and to {name}", row.port));
            }
            if row.freed.is_none() && !self.by_name.contains_key(name) {
                return Err(format!("port {} is in use by no index", row.port));
            }
        }
        for job in self.pending_jobs() {
            let status = self.backups.get(&job.backup_id).map(|backup| backup.status);
            if status != Some(BackupStatus::Ready) {
                return Err(format!("restore job {} reads a backup that is not there", job.id));
            }
        }
        Ok(())
    }
}
