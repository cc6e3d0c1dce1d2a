//! Checks a query.

use lodgepole_types::{DenseField, Limits, RecordId, Struct};

use super::Namespace;
use super::upsert::{check_values, no_sparse};
use crate::ApiError;
use crate::wire::vectors::QueryRequest;

/// The most candidates that a query can ask for.
const MAX_CANDIDATES: u32 = 100_000;

/// What to look for.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// Where.
    pub namespace: Namespace,
    /// Near to what.
    pub near: Near,
    /// Records wanted.
    pub top_k: u32,
    /// Whether values are wanted.
    pub include_values: bool,
    /// Whether metadata is wanted.
    pub include_metadata: bool,
}

/// What the records should be near to.
#[derive(Debug, Clone, PartialEq)]
pub enum Near {
    /// This vector; it may be all zero.
    Vector(Vec<f32>),
    /// The vector of this record.
    Record(RecordId),
}

/// Reads a query of an index with this field.
///
/// # Errors
/// `InvalidArgument`.
pub fn query(request: QueryRequest, dense: DenseField, limits: &Limits) -> Result<Query, ApiError> {
    let namespace = Namespace::parse(request.namespace)?;
    if !request.queries.is_empty() {
        return Err(ApiError::not_served("Several queries in one request (queries)"));
    }
    no_filter(request.filter.as_ref())?;
    if !(1..=limits.top_k_max).contains(&request.top_k) {
        return Err(ApiError::invalid(format!(
            "topK must be between 1 and {}, got {}",
            limits.top_k_max, request.top_k
        )));
    }
    check_effort(request.scan_factor, request.max_candidates, request.top_k)?;
    let near = match (request.id.is_empty(), request.vector.is_empty()) {
        (false, false) => {
            return Err(ApiError::invalid(
                "Cannot provide both 'ID' and 'vector' at the same time",
            ));
        }
        (false, true) if request.sparse_vector.is_some() => {
            return Err(ApiError::invalid(
                "Cannot provide both 'ID' and 'sparse_vector' at the same time",
            ));
        }
        (false, true) => {
            Near::Record(RecordId::parse(&request.id).map_err(|error| ApiError::invalid(error.0))?)
        }
        (true, empty) => {
            if let Some(sparse) = &request.sparse_vector {
                no_sparse(sparse, dense.metric)?;
            }
            if empty {
                return Err(ApiError::invalid("A query needs either 'vector' or 'id'"));
            }
            check_values(&request.vector, dense)?;
            Near::Vector(request.vector)
        }
    };
    Ok(Query {
        namespace,
        near,
        top_k: request.top_k,
        include_values: request.include_values,
        include_metadata: request.include_metadata,
    })
}

/// An empty filter lets everything through; any other is not served yet.
fn no_filter(filter: Option<&Struct>) -> Result<(), ApiError> {
    match filter {
        Some(filter) if !filter.fields.is_empty() => {
            Err(ApiError::not_served("Metadata filters in queries"))
        }
        _ => Ok(()),
    }
}

/// The effort has no effect without dedicated read nodes, but is checked.
fn check_effort(
    scan_factor: Option<f32>,
    max_candidates: Option<u32>,
    top_k: u32,
) -> Result<(), ApiError> {
    if let Some(factor) = scan_factor
        && !(0.5..=4.0).contains(&factor)
    {
        return Err(ApiError::invalid(format!(
            "scan_factor must be between 0.5 and 4.0, got {factor}"
        )));
    }
    if let Some(candidates) = max_candidates
        && !(top_k..=MAX_CANDIDATES).contains(&candidates)
    {
        return Err(ApiError::invalid(format!(
            "max_candidates must be between {top_k} (top_k) and {MAX_CANDIDATES}, got {candidates}"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
