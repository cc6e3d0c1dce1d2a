//! Checks the creation of a backup, and of an index from one.

use lodgepole_types::{
    DedicatedCapacity, DeletionProtection, Deployment, IndexConfig, IndexName, Limits,
    ReadCapacity, Tags,
};

use super::capacity::new_capacity;
use super::create::{new_tags, protection};
use super::{Rules, control_body, new_index_name};
use crate::wire::backups::{CreateBackup, CreateIndexFromBackup};
use crate::{ApiError, ApiVersion};

/// A backup to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBackup {
    /// Name, if one was given.
    pub name: Option<String>,
    /// Description, if one was given.
    pub description: Option<String>,
}

/// Reads `POST /indexes/{index_name}/backups`. An empty body is an empty request; so is an empty
/// name, which some clients send for none. Names follow the rule of index names from 2026-07 on and
/// are free text before.
///
/// # Errors
/// `Unprocessable` for a body of another shape, `InvalidArgument` for a bad name or a description
/// that is too long.
pub fn create_backup(
    body: &[u8],
    version: ApiVersion,
    limits: &Limits,
) -> Result<NewBackup, ApiError> {
    let request: CreateBackup =
        if body.trim_ascii().is_empty() { CreateBackup::default() } else { control_body(body)? };
    let name = request.name.filter(|name| !name.is_empty());
    if let Some(name) = &name {
        if version.backup_names_follow_rule() {
            new_index_name(name)?;
        }
        check_length("Name", name, limits.backup_name_bytes_max)?;
    }
    if let Some(description) = &request.description {
        check_length("Description", description, limits.backup_description_bytes_max)?;
    }
    Ok(NewBackup { name, description: request.description })
}

fn check_length(what: &str, text: &str, max: usize) -> Result<(), ApiError> {
    if text.len() > max {
        return Err(ApiError::invalid(format!(
            "{what} of a backup must have at most {max} bytes, got {}",
            text.len()
        )));
    }
    Ok(())
}

/// An index to make from a backup.
#[derive(Debug, Clone, PartialEq)]
pub struct NewIndexFromBackup {
    /// Its name.
    pub name: IndexName,
    /// Its tags; `None` means those of the backup.
    pub tags: Option<Tags>,
    /// Whether it may be deleted. The backup's protection is never carried over.
    pub deletion_protection: DeletionProtection,
    /// Its read capacity; `None` means the one that a restored index has. The backup's is never
    /// carried over.
    pub read_capacity: Option<ReadCapacity>,
    /// Where it is to run instead of where the backup's index ran.
    pub place: Option<Deployment>,
}

/// Reads `POST /backups/{backup_id}/create-index`.
///
/// # Errors
/// `Unprocessable` for a body of another shape, otherwise `InvalidArgument`.
pub fn create_index_from_backup(
    body: &[u8],
    version: ApiVersion,
    rules: &Rules,
) -> Result<NewIndexFromBackup, ApiError> {
    let request: CreateIndexFromBackup = control_body(body)?;
    let place = match (request.cloud, request.region) {
        (Some(cloud), Some(region)) if version.restores_elsewhere() => {
            Some(rules.regions.check(cloud, region)?)
        }
        (None, None) => None,
        _ if !version.restores_elsewhere() => None,
        _ => return Err(ApiError::invalid("Give both cloud and region, or neither")),
    };
    let tags = request.tags.filter(|tags| !tags.is_empty());
    Ok(NewIndexFromBackup {
        name: new_index_name(&request.name)?,
        tags: tags.map(|tags| new_tags(Some(tags), rules)).transpose()?,
        deletion_protection: protection(request.deletion_protection.as_deref())?,
        read_capacity: request.read_capacity.map(|c| new_capacity(Some(c))).transpose()?,
        place,
    })
}

impl NewIndexFromBackup {
    /// The configuration of the new index, given that of the backup.
    #[must_use]
    pub fn over(&self, source: &IndexConfig) -> IndexConfig {
        let deployment = self.place.clone().unwrap_or_else(|| source.deployment.clone());
        let read_capacity = match (&self.read_capacity, &deployment) {
            (_, Deployment::Pod(_)) => ReadCapacity::OnDemand,
            (Some(capacity), _) => capacity.clone(),
            (None, Deployment::Byoc { .. }) => ReadCapacity::Dedicated(DedicatedCapacity {
                node_type: "b1".to_owned(),
                replicas: 1,
                shards: 1,
            }),
            (None, Deployment::Serverless { .. }) => ReadCapacity::OnDemand,
        };
        IndexConfig {
            name: self.name.clone(),
            dense: source.dense,
            deployment,
            read_capacity,
            deletion_protection: self.deletion_protection,
            tags: self.tags.clone().unwrap_or_else(|| source.tags.clone()),
            metadata_schema: source.metadata_schema.clone(),
            embed: source.embed.clone(),
            cmek_id: source.cmek_id.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
