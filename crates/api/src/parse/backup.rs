//! Checks the creation of a backup, and of an index from one.

use lodgepole_types::{DeletionProtection, IndexConfig, IndexName, ReadCapacity, Tags};

use super::capacity::new_capacity;
use super::create::{new_tags, protection};
use super::{Rules, control_body, new_index_name};
use crate::ApiError;
use crate::wire::backups::{CreateBackup, CreateIndexFromBackup};

/// A backup to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBackup {
    /// Name, if one was given.
    pub name: Option<IndexName>,
    /// Description, if one was given.
    pub description: Option<String>,
}

/// Reads `POST /indexes/{index_name}/backups`. An empty body is an empty request; so is an empty
/// name, which some clients send for none.
///
/// # Errors
/// `Unprocessable` for a body of another shape, `InvalidArgument` for a bad name.
pub fn create_backup(body: &[u8]) -> Result<NewBackup, ApiError> {
    let request: CreateBackup =
        if body.trim_ascii().is_empty() { CreateBackup::default() } else { control_body(body)? };
    let name = request.name.filter(|name| !name.is_empty());
    Ok(NewBackup {
        name: name.as_deref().map(new_index_name).transpose()?,
        description: request.description,
    })
}

/// An index to make from a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewIndexFromBackup {
    /// Its name.
    pub name: IndexName,
    /// Its tags; `None` means those of the backup.
    pub tags: Option<Tags>,
    /// Whether it may be deleted. The backup's protection is never carried over.
    pub deletion_protection: DeletionProtection,
    /// Its read capacity. The backup's is never carried over.
    pub read_capacity: ReadCapacity,
}

/// Reads `POST /backups/{backup_id}/create-index`.
///
/// # Errors
/// `Unprocessable` for a body of another shape, otherwise `InvalidArgument`.
pub fn create_index_from_backup(
    body: &[u8],
    rules: &Rules,
) -> Result<NewIndexFromBackup, ApiError> {
    let request: CreateIndexFromBackup = control_body(body)?;
    let tags = request.tags.filter(|tags| !tags.is_empty());
    Ok(NewIndexFromBackup {
        name: new_index_name(&request.name)?,
        tags: tags.map(|tags| new_tags(Some(tags), rules)).transpose()?,
        deletion_protection: protection(request.deletion_protection.as_deref())?,
        read_capacity: new_capacity(request.read_capacity)?,
    })
}

impl NewIndexFromBackup {
    /// The configuration of the new index, given that of the backup.
    #[must_use]
    pub fn over(&self, source: &IndexConfig) -> IndexConfig {
        IndexConfig {
            name: self.name.clone(),
            dense: source.dense,
            deployment: source.deployment.clone(),
            read_capacity: self.read_capacity.clone(),
            deletion_protection: self.deletion_protection,
            tags: self.tags.clone().unwrap_or_else(|| source.tags.clone()),
            metadata_schema: source.metadata_schema.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
