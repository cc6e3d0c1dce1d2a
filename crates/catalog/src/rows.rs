//! Rows of the catalog and their form on disk (docs/format/catalog.md).
//!
//! A row is the domain's own type as JSON, inside an envelope that names the version of its form.
//! JSON because the catalog is small and a person must be able to read it after an accident. A form
//! that this program does not know is refused, never guessed at: to drop a field that a newer
//! version wrote would lose it with the next change of the row. So every change of a stored type
//! raises [`ROW_VERSION`], and the reader of the old form stays.

use std::sync::Arc;

use lodgepole_types::{
    Backup, BackupId, BackupSchedule, Import, Index, IndexId, IndexName, RestoreJob, RestoreJobId,
    ScheduleId, Timestamp,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::CatalogError;
use crate::imports::ImportKey;
use crate::keys::{ApiKey, KeyId};

/// The version of the set of kinds of row, in the row `meta`.
pub(crate) const FORMAT_VERSION: u32 = 2;
/// The version of the form of every row.
pub(crate) const ROW_VERSION: u32 = 2;

/// An index that was deleted, while its data is still there: backups or clones may need it, or the
/// reaper has not come by yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HiddenIndex {
    /// The index as it was when it was deleted.
    pub index: Index,
    /// When it was deleted.
    pub deleted_at: Timestamp,
}

/// The row about the catalog itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Meta {
    /// [`FORMAT_VERSION`] of the program that wrote it.
    pub(crate) format: u32,
    /// When the catalog was made.
    pub(crate) created_at: Timestamp,
}

/// The port that belongs to a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PortRow {
    /// The port.
    pub(crate) port: u16,
    /// Absent while an index of this name lives; then the place in the order in which ports were
    /// freed. A counter, not a time: two deletions in one millisecond have an order too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) freed: Option<u64>,
}

/// One row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Row {
    Meta(Meta),
    Index(Arc<Index>),
    Hidden(Arc<HiddenIndex>),
    Backup(Arc<Backup>),
    RestoreJob(Arc<RestoreJob>),
    Port(IndexName, PortRow),
    Key(Arc<ApiKey>),
    Import(Arc<Import>),
    Schedule(Arc<BackupSchedule>),
}

/// What a row is stored under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RowKey {
    Meta,
    Index(IndexId),
    Hidden(IndexId),
    Backup(BackupId),
    RestoreJob(RestoreJobId),
    Port(IndexName),
    Key(KeyId),
    Import(ImportKey),
    Schedule(ScheduleId),
}

#[derive(Deserialize)]
struct Version {
    v: u32,
}

#[derive(Serialize, Deserialize)]
struct Envelope<T> {
    v: u32,
    row: T,
}

impl RowKey {
    /// The key as stored: text, a kind and an id.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let text = match self {
            Self::Meta => "meta".to_owned(),
            Self::Index(id) => format!("index/{id}"),
            Self::Hidden(id) => format!("hidden/{id}"),
            Self::Backup(id) => format!("backup/{id}"),
            Self::RestoreJob(id) => format!("restore_job/{id}"),
            Self::Port(name) => format!("port/{name}"),
            Self::Key(id) => format!("key/{id}"),
            Self::Import(key) => format!("import/{key}"),
            Self::Schedule(id) => format!("schedule/{id}"),
        };
        text.into_bytes()
    }

    fn decode(key: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(key).ok()?;
        if text == "meta" {
            return Some(Self::Meta);
        }
        let (kind, id) = text.split_once('/')?;
        let decoded = match kind {
            "index" => Self::Index(IndexId::parse(id)?),
            "hidden" => Self::Hidden(IndexId::parse(id)?),
            "backup" => Self::Backup(BackupId::parse(id)?),
            "restore_job" => Self::RestoreJob(RestoreJobId::parse(id)?),
            "port" => Self::Port(IndexName::parse(id).ok()?),
            "key" => Self::Key(KeyId::parse(id)?),
            "import" => Self::Import(ImportKey::parse(id)?),
            "schedule" => Self::Schedule(ScheduleId::parse(id)?),
            _ => return None,
        };
        // One row has one key: other spellings of an id would make two.
        (decoded.encode() == key).then_some(decoded)
    }
}

impl Row {
    /// What it is stored under.
    pub(crate) fn key(&self) -> RowKey {
        match self {
            Self::Meta(_) => RowKey::Meta,
            Self::Index(index) => RowKey::Index(index.id),
            Self::Hidden(hidden) => RowKey::Hidden(hidden.index.id),
            Self::Backup(backup) => RowKey::Backup(backup.id),
            Self::RestoreJob(job) => RowKey::RestoreJob(job.id),
            Self::Port(name, _) => RowKey::Port(name.clone()),
            Self::Key(key) => RowKey::Key(key.id.clone()),
            Self::Import(import) => RowKey::Import(ImportKey::of(import)),
            Self::Schedule(schedule) => RowKey::Schedule(schedule.id),
        }
    }

    /// The value as stored.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, CatalogError> {
        match self {
            Self::Meta(meta) => to_json(meta),
            Self::Index(index) => to_json(&**index),
            Self::Hidden(hidden) => to_json(&**hidden),
            Self::Backup(backup) => to_json(&**backup),
            Self::RestoreJob(job) => to_json(&**job),
            Self::Port(_, port) => to_json(port),
            Self::Key(key) => to_json(&**key),
            Self::Import(import) => to_json(&**import),
            Self::Schedule(schedule) => to_json(&**schedule),
        }
    }

    /// Reads a stored row.
    ///
    /// # Errors
    /// [`CatalogError::TooNew`] for a form of a later version, [`CatalogError::Damaged`] for
    /// anything else that cannot be read.
    pub(crate) fn decode(key: &[u8], value: &[u8]) -> Result<Self, CatalogError> {
        let decoded =
            RowKey::decode(key).ok_or_else(|| damaged(key, "no kind of row has such a key"))?;
        let row = match &decoded {
            RowKey::Meta => Self::Meta(from_json(key, value)?),
            RowKey::Index(_) => Self::Index(Arc::new(from_json(key, value)?)),
            RowKey::Hidden(_) => Self::Hidden(Arc::new(from_json(key, value)?)),
            RowKey::Backup(_) => Self::Backup(Arc::new(from_json(key, value)?)),
            RowKey::RestoreJob(_) => Self::RestoreJob(Arc::new(from_json(key, value)?)),
            RowKey::Port(name) => Self::Port(name.clone(), from_json(key, value)?),
            RowKey::Key(_) => Self::Key(Arc::new(from_json(key, value)?)),
            RowKey::Import(_) => Self::Import(Arc::new(from_json(key, value)?)),
            RowKey::Schedule(_) => Self::Schedule(Arc::new(from_json(key, value)?)),
        };
        if row.key() != decoded {
            return Err(damaged(key, "it holds the row of another key"));
        }
        Ok(row)
    }
}

fn to_json<T: Serialize>(row: &T) -> Result<Vec<u8>, CatalogError> {
    serde_json::to_vec(&Envelope { v: ROW_VERSION, row })
        .map_err(|_| CatalogError::Misuse("a row that JSON cannot express"))
}

fn from_json<T: DeserializeOwned>(key: &[u8], value: &[u8]) -> Result<T, CatalogError> {
    let read = |error: serde_json::Error| damaged(key, &error.to_string());
    // The version first: what else is in a newer row is unknown.
    let Version { v } = serde_json::from_slice(value).map_err(read)?;
    if v > ROW_VERSION {
        let what = String::from_utf8_lossy(key).into_owned();
        return Err(CatalogError::TooNew { what, found: v, known: ROW_VERSION });
    }
    if v == 0 {
        return Err(damaged(key, "no row has version 0"));
    }
    let envelope: Envelope<T> = serde_json::from_slice(value).map_err(read)?;
    Ok(envelope.row)
}

fn damaged(key: &[u8], why: &str) -> CatalogError {
    CatalogError::Damaged(format!("row '{}': {why}", key.escape_ascii()))
}

#[cfg(test)]
mod tests;
