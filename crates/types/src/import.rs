//! Bulk imports as users see them.

use serde::{Deserialize, Serialize};

use crate::{ImportId, IndexId, Timestamp};

/// A bulk import into an index. Its records appear all at once, when it is Completed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Import {
    /// Its identity.
    pub id: ImportId,
    /// The index that it fills.
    pub index_id: IndexId,
    /// Where the files are.
    pub uri: String,
    /// What a bad record does.
    pub error_mode: ImportErrorMode,
    /// How far it is.
    pub status: ImportStatus,
    /// When the call arrived.
    pub created_at: Timestamp,
    /// When it ended, if it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// Percent of the bytes of its files that were read, up to the last change of this row.
    pub percent_complete: f32,
    /// Records that it brought into the index; none before it is Completed, nor if it never is.
    pub records_imported: u64,
    /// Rows that it passed over.
    pub rows_skipped: u64,
    /// Why it failed, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Whether the shard of the index may hold something that it staged.
    pub staged: bool,
}

impl Import {
    /// Whether it has come to its end.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        match self.status {
            ImportStatus::Completed | ImportStatus::Failed | ImportStatus::Cancelled => true,
            ImportStatus::Pending | ImportStatus::InProgress | ImportStatus::Committing => false,
        }
    }
}

/// What a bad record does to its import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum ImportErrorMode {
    /// The import fails.
    #[default]
    Abort,
    /// The record is passed over.
    Continue,
}

/// How far an import is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImportStatus {
    /// Nothing of it was read yet.
    Pending,
    /// Its files are being read.
    InProgress,
    /// Everything is staged and is being made visible: it can no longer be cancelled. Users see it
    /// as in progress.
    Committing,
    /// Its records are there.
    Completed,
    /// It left nothing, because of an error.
    Failed,
    /// It left nothing, because somebody cancelled it.
    Cancelled,
}

impl ImportStatus {
    /// The name that the API has for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::InProgress | Self::Committing => "InProgress",
            Self::Completed => "Completed",
            Self::Failed => "Failed",
            Self::Cancelled => "Cancelled",
        }
    }
}
