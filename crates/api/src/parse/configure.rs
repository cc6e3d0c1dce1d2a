//! Checks a change of an index, in both dialects.

use lodgepole_types::{DeletionProtection, IndexConfig};

use super::capacity::changed_capacity;
use super::{Rules, control_body, deletion_protection, tags};
use crate::ApiError;
use crate::wire::capacity::ReadCapacityRequest;
use crate::wire::index_request::{Configure, ConfigureSpec, TagsRequest};

/// A change that was read but not yet laid over a configuration.
///
/// WHY two steps: what a change means depends on what was there before, and that is known for sure
/// only under the catalog's lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexChange {
    read_capacity: Option<ReadCapacityRequest>,
    deletion_protection: Option<DeletionProtection>,
    tags: Option<TagsRequest>,
}

/// Reads `PATCH /indexes/{index_name}`.
///
/// # Errors
/// `Unprocessable` for a body of another shape, otherwise `InvalidArgument`.
pub fn configure_index(body: &[u8]) -> Result<IndexChange, ApiError> {
    let request: Configure = control_body(body)?;
    for (given, what) in [
        (request.embed.is_some(), "Changes of integrated embedding (embed)"),
        (request.deployment.is_some(), "Changes of the deployment"),
        (request.schema.is_some(), "Changes of the schema"),
    ] {
        if given {
            return Err(ApiError::not_served(what));
        }
    }
    Ok(IndexChange {
        read_capacity: capacity(request.spec, request.read_capacity)?,
        deletion_protection: request
            .deletion_protection
            .as_deref()
            .map(deletion_protection)
            .transpose()?,
        tags: request.tags,
    })
}

/// The read capacity stands at the top or inside `spec`, depending on the dialect.
fn capacity(
    spec: Option<ConfigureSpec>,
    top: Option<ReadCapacityRequest>,
) -> Result<Option<ReadCapacityRequest>, ApiError> {
    let spec = spec.unwrap_or_default();
    if spec.pod.is_some() || spec.byoc.is_some() {
        return Err(ApiError::invalid(
            "This is a serverless index. spec.pod and spec.byoc cannot be changed on it",
        ));
    }
    Ok(top.or_else(|| spec.serverless.and_then(|serverless| serverless.read_capacity)))
}

impl IndexChange {
    /// Lays the change over a configuration. On an error `config` is as it was.
    ///
    /// # Errors
    /// `InvalidArgument` when the result would break a limit.
    pub fn apply(&self, config: &mut IndexConfig, rules: &Rules) -> Result<(), ApiError> {
        let read_capacity = match &self.read_capacity {
            Some(request) => changed_capacity(request.clone(), &config.read_capacity)?,
            None => config.read_capacity.clone(),
        };
        let change = tags(self.tags.clone().unwrap_or_default());
        config.tags = config
            .tags
            .merged(change, &rules.limits)
            .map_err(|error| ApiError::invalid(error.0))?;
        config.read_capacity = read_capacity;
        config.deletion_protection = self.deletion_protection.unwrap_or(config.deletion_protection);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
