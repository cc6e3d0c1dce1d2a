//! Checks an upsert. One bad record refuses the whole request.

use std::collections::HashMap;

use lodgepole_types::{DenseField, Limits, Metadata, Metric, Record, RecordId};

use super::Namespace;
use crate::ApiError;
use crate::wire::vectors::{SparseValues, UpsertRequest, Vector};

/// Below this every value counts as zero.
const MAGNITUDE_MIN: f32 = 1e-8;

/// Records to write.
#[derive(Debug, Clone, PartialEq)]
pub struct Upsert {
    /// Where.
    pub namespace: Namespace,
    /// The records, each id once: of several with one id the last is kept.
    pub records: Vec<Record>,
    /// Records that the request held, which is what the reply counts.
    pub count: u32,
}

/// Reads an upsert into an index with this field.
///
/// # Errors
/// `InvalidArgument`, naming the first record that is wrong.
pub fn upsert(
    request: UpsertRequest,
    dense: DenseField,
    limits: &Limits,
) -> Result<Upsert, ApiError> {
    let namespace = Namespace::parse(request.namespace)?;
    let sent = request.vectors.len();
    if sent == 0 || sent > limits.upsert_records_max {
        return Err(ApiError::invalid(format!(
            "An upsert must hold between 1 and {} vectors, got {sent}",
            limits.upsert_records_max
        )));
    }
    let mut records: Vec<Record> = Vec::with_capacity(sent);
    let mut places: HashMap<RecordId, usize> = HashMap::with_capacity(sent);
    for vector in request.vectors {
        let record = record(vector, dense, limits)?;
        match places.get(&record.id) {
            Some(&place) => records[place] = record,
            None => {
                places.insert(record.id.clone(), records.len());
                records.push(record);
            }
        }
    }
    let count = u32::try_from(sent).map_err(ApiError::internal)?;
    Ok(Upsert { namespace, records, count })
}

fn record(vector: Vector, dense: DenseField, limits: &Limits) -> Result<Record, ApiError> {
    let id = RecordId::parse(&vector.id).map_err(|error| ApiError::invalid(error.0))?;
    if let Some(sparse) = &vector.sparse_values {
        no_sparse(sparse, dense.metric)?;
    }
    if vector.values.is_empty() {
        return Err(ApiError::invalid(format!("Vector '{id}' has no values")));
    }
    check_values(&vector.values, dense)?;
    if vector.values.iter().all(|value| value.abs() < MAGNITUDE_MIN) {
        return Err(ApiError::invalid("Dense vectors must contain at least one non-zero value."));
    }
    let metadata = Metadata::parse(vector.metadata.unwrap_or_default(), limits)
        .map_err(|error| ApiError::invalid(error.0))?;
    Ok(Record { id, values: vector.values, sparse: None, metadata })
}

/// Checks length and values of a dense vector.
pub(super) fn check_values(values: &[f32], dense: DenseField) -> Result<(), ApiError> {
    if u32::try_from(values.len()) != Ok(dense.dimension) {
        return Err(ApiError::invalid(format!(
            "Vector dimension {} does not match the dimension of the index {}",
            values.len(),
            dense.dimension
        )));
    }
    if let Some(place) = values.iter().position(|value| !value.is_finite()) {
        return Err(ApiError::invalid(format!(
            "Vector values must be finite 32-bit numbers, but value {place} is not"
        )));
    }
    Ok(())
}

/// Refuses sparse values; an empty pair of lists counts as none.
pub(super) fn no_sparse(sparse: &SparseValues, metric: Metric) -> Result<(), ApiError> {
    if sparse.indices.is_empty() && sparse.values.is_empty() {
        return Ok(());
    }
    if metric == Metric::DotProduct {
        return Err(ApiError::not_served("Sparse values"));
    }
    Err(ApiError::invalid(
        "Index configuration does not support sparse values - only indexes that are sparse or \
         using dotproduct are supported",
    ))
}

#[cfg(test)]
mod tests;
