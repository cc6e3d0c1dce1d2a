//! Checks an update: of parts of one record, or of the metadata of all that a filter matches.

use std::sync::Arc;

use lodgepole_types::{Filter, IndexConfig, Limits, MetadataPatch, RecordId, SparseVector, Struct};

use super::{Namespace, filter, values};
use crate::ApiError;
use crate::wire::vectors::UpdateRequest;

/// What to change.
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    /// Where.
    pub namespace: Namespace,
    /// Which records, and how.
    pub what: UpdateTarget,
}

/// Which records are changed, and how.
#[derive(Debug, Clone, PartialEq)]
pub enum UpdateTarget {
    /// Parts of one record; what is absent is kept.
    Record {
        /// The record.
        id: RecordId,
        /// New dense values.
        values: Option<Vec<f32>>,
        /// New sparse values.
        sparse: Option<SparseVector>,
        /// Metadata to set and to remove.
        metadata: Option<MetadataPatch>,
    },
    /// Metadata of all that match.
    Matching {
        /// The filter, never empty.
        filter: Arc<Filter>,
        /// Metadata to set and to remove; `None` only counts the matches.
        metadata: Option<MetadataPatch>,
    },
}

/// Reads an update of this index.
///
/// # Errors
/// `InvalidArgument`.
pub fn update(
    request: UpdateRequest,
    index: &IndexConfig,
    limits: &Limits,
) -> Result<Update, ApiError> {
    let namespace = Namespace::parse(request.namespace.clone())?;
    let what = match (&request.filter, request.id.is_empty()) {
        (Some(_), false) => {
            return Err(ApiError::invalid(
                "Cannot provide both 'id' and 'filter' at the same time",
            ));
        }
        (None, true) => return Err(ApiError::invalid("An update needs either 'id' or 'filter'")),
        (Some(filter), true) => matching(filter, &request, limits)?,
        (None, false) => record(request, index, limits)?,
    };
    Ok(Update { namespace, what })
}

fn record(
    request: UpdateRequest,
    index: &IndexConfig,
    limits: &Limits,
) -> Result<UpdateTarget, ApiError> {
    if request.dry_run == Some(true) {
        return Err(ApiError::invalid("'dryRun' is allowed only with 'filter'"));
    }
    let id = RecordId::parse(&request.id).map_err(|error| ApiError::invalid(error.0))?;
    let values = Some(request.values).filter(|values| !values.is_empty());
    if let Some(values) = &values {
        values::stored_dense(values, index)?;
    }
    // Unlike an upsert, an update takes sparse values whatever the metric; they do not score there.
    let sparse = request.sparse_values;
    let sparse = sparse.map(|sparse| values::sparse(sparse, limits)).transpose()?;
    let metadata = request.set_metadata.map(|set| patch(set, limits)).transpose()?;
    Ok(UpdateTarget::Record { id, values, sparse, metadata })
}

fn matching(
    filter: &Struct,
    request: &UpdateRequest,
    limits: &Limits,
) -> Result<UpdateTarget, ApiError> {
    if !request.values.is_empty() || request.sparse_values.is_some() {
        return Err(ApiError::invalid(
            "Update by metadata request does not support updating vector values.",
        ));
    }
    if filter.fields.is_empty() {
        return Err(ApiError::invalid("Update with empty metadata filter is not allowed"));
    }
    let filter = filter::required(filter, limits)?;
    let metadata = request.set_metadata.clone().map(|set| patch(set, limits)).transpose()?;
    let metadata = match (metadata, request.dry_run) {
        (_, Some(true)) => None,
        (None, _) => {
            return Err(ApiError::invalid("An update by 'filter' needs 'setMetadata'"));
        }
        (given, _) => given,
    };
    Ok(UpdateTarget::Matching { filter, metadata })
}

fn patch(set: Struct, limits: &Limits) -> Result<MetadataPatch, ApiError> {
    MetadataPatch::parse(set, limits).map_err(|error| ApiError::invalid(error.0))
}

#[cfg(test)]
mod tests;
