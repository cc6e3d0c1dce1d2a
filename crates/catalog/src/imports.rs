//! The rows of bulk imports.
//!
//! The row decides what an import is; what it staged in its shard only follows. A row says `staged`
//! before anything is staged, and stops saying so after everything of it is gone, so a crash leaves
//! either nothing or something that the row points to. Cancelling and committing are transactions
//! here, so that one of the two comes first: an import that is Committing cannot be cancelled, and
//! one that was cancelled cannot be committed.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

use lodgepole_types::{Import, ImportErrorMode, ImportId, ImportStatus, IndexId, Timestamp};
use uuid::Uuid;

use crate::catalog::Transaction;
use crate::rows::{Row, RowKey};
use crate::{Catalog, CatalogError, Contents};

/// What the row of an import is stored under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ImportKey {
    pub(crate) index: IndexId,
    pub(crate) id: ImportId,
}

impl ImportKey {
    pub(crate) fn of(import: &Import) -> Self {
        Self { index: import.index_id, id: import.id }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (index, id) = text.split_once('/')?;
        Some(Self { index: IndexId::parse(index)?, id: ImportId::parse(id)? })
    }

    /// The keys of all imports into an index.
    pub(crate) fn all_of(index: IndexId) -> RangeInclusive<Self> {
        let key = |id| Self { index, id: ImportId::from_uuid(id) };
        key(Uuid::nil())..=key(Uuid::max())
    }
}

impl fmt::Display for ImportKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.id)
    }
}

/// An import to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewImport {
    /// Its identity; never used before.
    pub id: ImportId,
    /// The index that it fills.
    pub index_id: IndexId,
    /// Where the files are.
    pub uri: String,
    /// What a bad record does.
    pub error_mode: ImportErrorMode,
    /// When the call arrived.
    pub created_at: Timestamp,
    /// Imports into this index, this one included, that may be open at one time.
    pub open_max: usize,
}

/// How an import ended.
#[derive(Debug, Clone, PartialEq)]
pub enum ImportEnd {
    /// All of its records are visible.
    Completed,
    /// It keeps nothing.
    Failed {
        /// Why, for the user.
        error: String,
        /// How far it had come.
        percent_complete: f32,
    },
}

impl Catalog {
    /// Adds an import as Pending.
    ///
    /// # Errors
    /// `NotFound` when there is no such live index; `RateLimited` when too many are open;
    /// `Unavailable` when the store fails.
    pub async fn begin_import(&self, new: NewImport) -> Result<Arc<Import>, CatalogError> {
        self.commit(|contents, transaction| {
            let index = new.index_id;
            contents.index_by_id(index).ok_or(CatalogError::IndexIdNotFound(index))?;
            let imports = contents.imports_of(index);
            if imports.iter().any(|import| import.id == new.id) {
                return Err(CatalogError::Misuse("the id of an import was used before"));
            }
            let open = imports.iter().filter(|import| !import.has_ended()).count();
            if open >= new.open_max {
                return Err(CatalogError::TooManyImports(open));
            }
            let import = Arc::new(Import {
                id: new.id,
                index_id: index,
                uri: new.uri,
                error_mode: new.error_mode,
                status: ImportStatus::Pending,
                created_at: new.created_at,
                finished_at: None,
                percent_complete: 0.0,
                records_imported: 0,
                rows_skipped: 0,
                error: None,
                staged: false,
            });
            transaction.put(Row::Import(Arc::clone(&import)));
            Ok(import)
        })
        .await
    }

    /// Makes an open import InProgress. From here on its shard may hold something of it.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when it has ended; `Unavailable` when the store fails.
    pub async fn run_import(
        &self,
        index: IndexId,
        id: ImportId,
    ) -> Result<Arc<Import>, CatalogError> {
        self.change_import(index, id, |import| {
            still_open(import)?;
            import.status = ImportStatus::InProgress;
            import.staged = true;
            Ok(())
        })
        .await
    }

    /// Makes an open import Committing, with what it is going to have brought.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when it has ended; `Unavailable` when the store fails.
    pub async fn commit_import(
        &self,
        index: IndexId,
        id: ImportId,
        records_imported: u64,
        rows_skipped: u64,
    ) -> Result<Arc<Import>, CatalogError> {
        self.change_import(index, id, |import| {
            still_open(import)?;
            import.status = ImportStatus::Committing;
            import.records_imported = records_imported;
            import.rows_skipped = rows_skipped;
            Ok(())
        })
        .await
    }

    /// Ends an open import.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when it has ended before; `Unavailable` when the store fails.
    pub async fn end_import(
        &self,
        index: IndexId,
        id: ImportId,
        end: ImportEnd,
        now: Timestamp,
    ) -> Result<Arc<Import>, CatalogError> {
        self.change_import(index, id, |import| {
            still_open(import)?;
            import.finished_at = Some(now);
            match end {
                ImportEnd::Completed => {
                    import.status = ImportStatus::Completed;
                    import.percent_complete = 100.0;
                    // What it staged are records of the index by now.
                    import.staged = false;
                }
                ImportEnd::Failed { error, percent_complete } => {
                    import.status = ImportStatus::Failed;
                    import.percent_complete = percent_complete;
                    import.records_imported = 0;
                    import.error = Some(error);
                }
            }
            Ok(())
        })
        .await
    }

    /// Cancels an import. One that has ended, or is Committing, stays as it is.
    ///
    /// # Errors
    /// `NotFound`; `Unavailable` when the store fails.
    pub async fn cancel_import(
        &self,
        index: IndexId,
        id: ImportId,
        percent_complete: f32,
        now: Timestamp,
    ) -> Result<Arc<Import>, CatalogError> {
        self.change_import(index, id, |import| {
            if matches!(import.status, ImportStatus::Pending | ImportStatus::InProgress) {
                import.status = ImportStatus::Cancelled;
                import.finished_at = Some(now);
                import.percent_complete = percent_complete;
            }
            Ok(())
        })
        .await
    }

    /// Notes that nothing is left of what an import staged.
    ///
    /// # Errors
    /// `NotFound`; `Unavailable` when the store fails.
    pub async fn import_unstaged(&self, index: IndexId, id: ImportId) -> Result<(), CatalogError> {
        let change = |import: &mut Import| {
            import.staged = false;
            Ok(())
        };
        self.change_import(index, id, change).await.map(|_| ())
    }

    /// Forgets the imports into indexes that are no longer live.
    ///
    /// # Errors
    /// `Unavailable` when the store fails.
    pub async fn forget_orphaned_imports(&self) -> Result<(), CatalogError> {
        let is_orphan =
            |contents: &Contents, import: &Import| contents.index_by_id(import.index_id).is_none();
        self.commit(|contents, transaction| {
            for import in contents.imports().filter(|import| is_orphan(contents, import)) {
                transaction.remove(RowKey::Import(ImportKey::of(import)));
            }
            Ok(())
        })
        .await
    }

    async fn change_import(
        &self,
        index: IndexId,
        id: ImportId,
        change: impl FnOnce(&mut Import) -> Result<(), CatalogError>,
    ) -> Result<Arc<Import>, CatalogError> {
        self.commit(|contents, transaction| {
            let before = contents.import(index, id).ok_or(CatalogError::ImportNotFound(id))?;
            let mut import = Import::clone(&before);
            change(&mut import)?;
            if import == *before {
                return Ok(before);
            }
            if import.has_ended() {
                let max = self.options().ended_imports_max;
                forget_oldest(contents, transaction, &import, max);
            }
            let import = Arc::new(import);
            transaction.put(Row::Import(Arc::clone(&import)));
            Ok(import)
        })
        .await
    }
}

fn still_open(import: &Import) -> Result<(), CatalogError> {
    if import.has_ended() {
        return Err(CatalogError::AlreadyEnded { what: "Import", id: import.id.as_uuid() });
    }
    Ok(())
}

/// Makes room for an ended import among those of its index, of which `max` are remembered. One that
/// may have left something staged is not forgotten.
fn forget_oldest(contents: &Contents, transaction: &mut Transaction, ended: &Import, max: usize) {
    let mut others = contents.imports_of(ended.index_id);
    others.retain(|other| other.id != ended.id && other.has_ended() && !other.staged);
    for oldest in others.iter().skip(max.saturating_sub(1)) {
        transaction.remove(RowKey::Import(ImportKey::of(oldest)));
    }
}

#[cfg(test)]
mod tests;
