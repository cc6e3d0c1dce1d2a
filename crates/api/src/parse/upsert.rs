//! Checks an upsert. One bad record refuses the whole request.

use std::collections::HashMap;

use lodgepole_types::{IndexConfig, Limits, Metadata, Record, RecordId};

use super::{Namespace, values};
use crate::ApiError;
use crate::wire::vectors::{UpsertRequest, Vector};

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

/// Reads an upsert into this index.
///
/// # Errors
/// `InvalidArgument`, naming the first record that is wrong.
pub fn upsert(
    request: UpsertRequest,
    index: &IndexConfig,
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
        let record = record(vector, index, limits)?;
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

fn record(vector: Vector, index: &IndexConfig, limits: &Limits) -> Result<Record, ApiError> {
    let id = RecordId::parse(&vector.id).map_err(|error| ApiError::invalid(error.0))?;
    let sparse = vector.sparse_values;
    let sparse = sparse.map(|sparse| values::scored_sparse(sparse, index, limits)).transpose()?;
    match (vector.values.is_empty(), &sparse) {
        // An index for both takes records with either.
        (true, Some(_)) => {}
        (true, None) if index.dense.is_none() => {
            return Err(ApiError::invalid(format!(
                "Vector '{id}' has no sparse values, which a sparse index requires"
            )));
        }
        _ => values::stored_dense(&vector.values, index)?,
    }
    let metadata = Metadata::parse(vector.metadata.unwrap_or_default(), limits)
        .map_err(|error| ApiError::invalid(error.0))?;
    Ok(Record { id, values: vector.values, sparse, metadata })
}

#[cfg(test)]
mod tests;
