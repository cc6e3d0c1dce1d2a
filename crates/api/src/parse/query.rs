//! Checks a query.

use std::sync::Arc;

use lodgepole_types::{Filter, IndexConfig, Limits, RecordId, SparseVector};

use super::{Namespace, filter, values};
use crate::wire::vectors::{QueryRequest, SparseValues};
use crate::{ApiError, ApiVersion};

/// What to look for.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// Where.
    pub namespace: Namespace,
    /// Near to what.
    pub near: Near,
    /// Records wanted.
    pub top_k: u32,
    /// Only what matches; `None` lets everything through.
    pub filter: Option<Arc<Filter>>,
    /// Whether values are wanted.
    pub include_values: bool,
    /// Whether metadata is wanted.
    pub include_metadata: bool,
    /// How hard to look.
    pub effort: Effort,
}

/// What the records should be near to.
#[derive(Debug, Clone, PartialEq)]
pub enum Near {
    /// This vector; it may be all zero.
    Dense(Vec<f32>),
    /// These sparse values.
    Sparse(SparseVector),
    /// Both, their scores added.
    Hybrid {
        /// The dense part.
        dense: Vec<f32>,
        /// The sparse part.
        sparse: SparseVector,
    },
    /// The vectors of this record.
    Record(RecordId),
}

/// Reads a query of this index.
///
/// # Errors
/// `InvalidArgument`.
pub fn query(
    request: QueryRequest,
    index: &IndexConfig,
    version: ApiVersion,
    limits: &Limits,
) -> Result<Query, ApiError> {
    let namespace = Namespace::parse(request.namespace)?;
    // A later version has no such field, and unknown fields are ignored.
    if !request.queries.is_empty() && version.has_query_lists() {
        return Err(ApiError::not_served("Several queries in one request (queries)"));
    }
    if !(1..=limits.top_k_max).contains(&request.top_k) {
        return Err(ApiError::invalid(format!(
            "topK must be between 1 and {}, got {}",
            limits.top_k_max, request.top_k
        )));
    }
    let effort =
        Effort { scan_factor: request.scan_factor, max_candidates: request.max_candidates };
    effort.check(request.top_k, index, version, limits)?;
    let filter = filter::optional(request.filter.as_ref(), limits)?;
    let near = near(&request.id, request.vector, request.sparse_vector, index, limits)?;
    Ok(Query {
        namespace,
        near,
        top_k: request.top_k,
        filter,
        include_values: request.include_values,
        include_metadata: request.include_metadata,
        effort,
    })
}

fn near(
    id: &str,
    vector: Vec<f32>,
    sparse: Option<SparseValues>,
    index: &IndexConfig,
    limits: &Limits,
) -> Result<Near, ApiError> {
    if !id.is_empty() {
        let other =
            if vector.is_empty() { sparse.map(|_| "sparse_vector") } else { Some("vector") };
        return match other {
            Some(other) => Err(ApiError::invalid(format!(
                "Cannot provide both 'ID' and '{other}' at the same time"
            ))),
            None => {
                let id = RecordId::parse(id).map_err(|error| ApiError::invalid(error.0))?;
                Ok(Near::Record(id))
            }
        };
    }
    let sparse = sparse.map(|sparse| values::scored_sparse(sparse, index, limits)).transpose()?;
    if vector.is_empty() {
        let wanted = if index.takes_sparse() { "'vector', 'sparseVector'" } else { "'vector'" };
        return sparse
            .map(Near::Sparse)
            .ok_or_else(|| ApiError::invalid(format!("A query needs one of {wanted} or 'id'")));
    }
    let Some(dense) = index.dense else {
        return Err(ApiError::invalid(
            "Querying with dense vectors is not supported for sparse indexes; send 'sparseVector'",
        ));
    };
    values::searched_dense(&vector, dense)?;
    Ok(match sparse {
        None => Near::Dense(vector),
        Some(sparse) => Near::Hybrid { dense: vector, sparse },
    })
}

/// How hard to look, where a search does not look at every record.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Effort {
    /// Multiplies how much is looked at; 1 unless given.
    pub scan_factor: Option<f32>,
    /// At most so many records are scored exactly.
    pub max_candidates: Option<u32>,
}

impl Effort {
    fn check(
        self,
        top_k: u32,
        index: &IndexConfig,
        version: ApiVersion,
        limits: &Limits,
    ) -> Result<(), ApiError> {
        if self.scan_factor.is_none() && self.max_candidates.is_none() {
            return Ok(());
        }
        if !version.has_query_effort() {
            return Err(ApiError::invalid(
                "scan_factor and max_candidates require API version 2025-10 or later",
            ));
        }
        if index.dense.is_none() {
            return Err(ApiError::invalid(
                "scan_factor and max_candidates are not supported for sparse indexes",
            ));
        }
        if let Some(factor) = self.scan_factor
            && !(0.5..=4.0).contains(&factor)
        {
            return Err(ApiError::invalid(format!(
                "scan_factor must be between 0.5 and 4.0, got {factor}"
            )));
        }
        let most = limits.candidates_max;
        if let Some(candidates) = self.max_candidates
            && !(top_k..=most).contains(&candidates)
        {
            return Err(ApiError::invalid(format!(
                "max_candidates must be between {top_k} (top_k) and {most}, got {candidates}"
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
