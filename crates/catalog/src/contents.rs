//! Everything in the catalog at one moment, in memory.
//!
//! A [`Contents`] never changes: a transaction makes the next one, which shares every table that it
//! leaves alone. So a reader that needs several answers to fit together holds one, and waits for
//! nobody. Loading from disk and publishing a change go through the same two functions, `put` and
//! `remove`, so memory and disk cannot drift apart.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use lodgepole_types::{
    Backup, BackupId, BackupSchedule, BackupStatus, Import, ImportId, Index, IndexId, IndexName,
    RestoreJob, RestoreJobId, RestoreStatus, ScheduleId, Timestamp,
};
use sha2::{Digest as _, Sha256};

use crate::imports::ImportKey;
use crate::keys::{ApiKey, KeyId};
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
    keys: Arc<BTreeMap<KeyId, Arc<ApiKey>>>,
    imports: Arc<BTreeMap<ImportKey, Arc<Import>>>,
    schedules: Arc<BTreeMap<ScheduleId, Arc<BackupSchedule>>>,
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

    /// The backup of this id, unless it is the content of a collection.
    #[must_use]
    pub fn listed_backup(&self, id: BackupId) -> Option<Arc<Backup>> {
        self.backup(id).filter(|backup| backup.collection().is_none())
    }

    /// All backups, the contents of collections among them, newest first, ties by id.
    #[must_use]
    pub fn backups(&self) -> Vec<Arc<Backup>> {
        self.backups_where(|_| true)
    }

    /// All backups that users see as such, newest first, ties by id.
    #[must_use]
    pub fn listed_backups(&self) -> Vec<Arc<Backup>> {
        self.backups_where(|backup| backup.collection().is_none())
    }

    /// The backups of one index, live or not, the contents of collections among them, newest first.
    #[must_use]
    pub fn backups_of(&self, index: IndexId) -> Vec<Arc<Backup>> {
        self.backups_where(|backup| backup.source_index_id == index)
    }

    /// The backups of one index that users see as such, newest first.
    #[must_use]
    pub fn listed_backups_of(&self, index: IndexId) -> Vec<Arc<Backup>> {
        let mut backups = self.backups_of(index);
        backups.retain(|backup| backup.collection().is_none());
        backups
    }

    /// The backups of every index that has or had this name, as far as users see them as such,
    /// newest first.
    #[must_use]
    pub fn backups_named(&self, source: &IndexName) -> Vec<Arc<Backup>> {
        self.backups_where(|backup| backup.source.name == *source && backup.collection().is_none())
    }

    /// The content of the collection of this name.
    #[must_use]
    pub fn collection(&self, name: &IndexName) -> Option<Arc<Backup>> {
        self.backups.values().find(|backup| backup.collection() == Some(name)).cloned()
    }

    /// The contents of all collections, by the name of the collection.
    #[must_use]
    pub fn collections(&self) -> Vec<Arc<Backup>> {
        let mut collections: Vec<_> =
            self.backups.values().filter(|backup| backup.collection().is_some()).cloned().collect();
        collections.sort_by(|a, b| a.collection().cmp(&b.collection()));
        collections
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

    /// The restore job of this id, unless it makes an index from a collection.
    #[must_use]
    pub fn listed_restore_job(&self, id: RestoreJobId) -> Option<Arc<RestoreJob>> {
        self.restore_job(id).filter(|job| !self.reads_collection(job))
    }

    /// The restore jobs that users see, newest first, ties by id.
    #[must_use]
    pub fn listed_restore_jobs(&self) -> Vec<Arc<RestoreJob>> {
        let mut jobs = self.restore_jobs();
        jobs.retain(|job| !self.reads_collection(job));
        jobs
    }

    /// Whether a job makes an index from a collection. Such a job is never shown, and its row goes
    /// when it ends, so that only a pending one has to be told from others.
    pub(crate) fn reads_collection(&self, job: &RestoreJob) -> bool {
        job.status == RestoreStatus::Pending
            && self.backups.get(&job.backup_id).is_some_and(|backup| backup.collection().is_some())
    }

    /// The pending jobs that read a backup.
    pub(crate) fn readers_of(&self, backup: BackupId) -> impl Iterator<Item = &Arc<RestoreJob>> {
        self.pending_jobs().filter(move |job| job.backup_id == backup)
    }

    /// All restore jobs, also those that make an index from a collection, newest first, ties by id.
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

    /// A short name for everything in this catalog, the same for as long as it lives: part of the
    /// host names of indexes. It tells one server from another and is no secret, so it is made from
    /// the moment when the catalog was.
    #[must_use]
    pub fn project_id(&self) -> String {
        let text = format!("lodgepole project {}", self.created_at().0);
        let hash: [u8; 32] = Sha256::digest(text.as_bytes()).into();
        let letter =
            |byte: &u8| char::from(b"abcdefghijkmnpqrstuvwxyz23456789"[usize::from(byte % 32)]);
        hash.iter().take(7).map(letter).collect()
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

    pub(crate) fn schedules(&self) -> &BTreeMap<ScheduleId, Arc<BackupSchedule>> {
        &self.schedules
    }

    /// The import of this id into this index.
    #[must_use]
    pub fn import(&self, index: IndexId, id: ImportId) -> Option<Arc<Import>> {
        self.imports.get(&ImportKey { index, id }).cloned()
    }

    /// The imports into one index, newest first, ties by id.
    #[must_use]
    pub fn imports_of(&self, index: IndexId) -> Vec<Arc<Import>> {
        let mut imports: Vec<_> =
            self.imports.range(ImportKey::all_of(index)).map(|(_, row)| Arc::clone(row)).collect();
        imports.sort_by_key(|import| (Reverse(import.created_at), import.id));
        imports
    }

    /// Every import, by index and id.
    pub fn imports(&self) -> impl Iterator<Item = &Arc<Import>> {
        self.imports.values()
    }

    pub(crate) fn keys(&self) -> &BTreeMap<KeyId, Arc<ApiKey>> {
        &self.keys
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
            Row::Key(key) => {
                Arc::make_mut(&mut self.keys).insert(key.id.clone(), key);
            }
            Row::Import(import) => {
                Arc::make_mut(&mut self.imports).insert(ImportKey::of(&import), import);
            }
            Row::Schedule(schedule) => {
                Arc::make_mut(&mut self.schedules).insert(schedule.id, schedule);
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
            RowKey::Key(id) => {
                Arc::make_mut(&mut self.keys).remove(id);
            }
            RowKey::Import(key) => {
                Arc::make_mut(&mut self.imports).remove(key);
            }
            RowKey::Schedule(id) => {
                Arc::make_mut(&mut self.schedules).remove(id);
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
        if let Some(orphan) =
            self.schedules.values().find(|one| !self.indexes.contains_key(&one.index_id))
        {
            return Err(format!("schedule {} backs up no live index", orphan.id));
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
        let mut collections = BTreeSet::new();
        for name in self.backups.values().filter_map(|backup| backup.collection()) {
            if !collections.insert(name) {
                return Err(format!("two collections are named {name}"));
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
