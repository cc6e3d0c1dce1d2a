//! One row as a record, with every check that an upsert makes.

use std::collections::HashSet;

use lodgepole_types::{Limits, Metadata, Record, RecordId, SparseVector, Struct};

use crate::columns::List;
use crate::{RowError, Shape, SparseRule};

/// Below this every value counts as zero.
const MAGNITUDE_MIN: f32 = 1e-8;

/// What the columns hold for one row.
pub(crate) struct Cells<'a> {
    pub(crate) id: Option<&'a [u8]>,
    pub(crate) values: List<'a, f32>,
    pub(crate) sparse_indices: List<'a, i32>,
    pub(crate) sparse_values: List<'a, f32>,
    pub(crate) metadata: Option<&'a [u8]>,
}

impl Cells<'_> {
    /// The record.
    ///
    /// # Errors
    /// [`RowError`] for the first rule that the row breaks.
    pub(crate) fn record(self, shape: Shape, limits: &Limits) -> Result<Record, RowError> {
        let id = self.id.ok_or_else(|| RowError::missing("id"))?;
        let id = std::str::from_utf8(id)
            .map_err(|_| RowError("Vector ID must be ASCII".to_owned()))
            .and_then(|text| RecordId::parse(text).map_err(|error| RowError(error.0)))?;
        let values = match shape.dimension {
            Some(dimension) => dense(&self.values, dimension)?,
            None => Vec::new(),
        };
        let sparse = sparse(&self.sparse_indices, &self.sparse_values, limits)?;
        if sparse.is_none() && shape.sparse == SparseRule::Required {
            return Err(RowError::missing("sparse_values"));
        }
        let metadata = self.metadata.map_or(Ok(Metadata::default()), |json| metadata(json, limits));
        Ok(Record { id, values, sparse, metadata: metadata? })
    }
}

fn dense(values: &List<'_, f32>, dimension: u32) -> Result<Vec<f32>, RowError> {
    let List::Values(values) = values else { return Err(RowError::missing("values")) };
    if u32::try_from(values.len()) != Ok(dimension) {
        return Err(RowError(format!(
            "Vector dimension {} does not match the dimension of the index {dimension}",
            values.len()
        )));
    }
    finite(values)?;
    if values.iter().all(|value| value.abs() < MAGNITUDE_MIN) {
        return Err(RowError("Dense vectors must contain at least one non-zero value.".to_owned()));
    }
    Ok(values.to_vec())
}

fn finite(values: &[f32]) -> Result<(), RowError> {
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(place) => Err(RowError(format!(
            "Vector values must be finite 32-bit numbers, but value {place} is not"
        ))),
    }
}

/// Sparse values; none when the row has none or only empty lists. WHY two nulls count as none:
/// some writers have no null structs and write structs of nulls.
fn sparse(
    indices: &List<'_, i32>,
    values: &List<'_, f32>,
    limits: &Limits,
) -> Result<Option<SparseVector>, RowError> {
    let (indices, values) = match (indices, values) {
        (List::Null, List::Null) => return Ok(None),
        (List::Values(indices), List::Values(values)) => (*indices, *values),
        _ => return Err(RowError::missing("sparse_values")),
    };
    if indices.len() != values.len() {
        return Err(RowError(format!(
            "Sparse vector must have as many indices as values, got {} and {}",
            indices.len(),
            values.len()
        )));
    }
    if indices.is_empty() {
        return Ok(None);
    }
    if indices.len() > limits.sparse_values_max {
        return Err(RowError(format!(
            "Sparse vector has {} values, the limit is {}",
            indices.len(),
            limits.sparse_values_max
        )));
    }
    finite(values)?;
    // Unsigned numbers are stored in the bits of signed ones.
    let indices: Vec<u32> = indices.iter().map(|index| index.cast_unsigned()).collect();
    let mut seen = HashSet::with_capacity(indices.len());
    if let Some(index) = indices.iter().find(|index| !seen.insert(**index)) {
        return Err(RowError(format!("Sparse vector has index {index} more than once")));
    }
    Ok(Some(SparseVector { indices, values: values.to_vec() }))
}

fn metadata(json: &[u8], limits: &Limits) -> Result<Metadata, RowError> {
    let failed =
        |error: &dyn std::fmt::Display| RowError(format!("Failed to parse metadata: {error}"));
    if json.trim_ascii() == b"null" {
        return Ok(Metadata::default());
    }
    let first = json.trim_ascii_start().first();
    if first != Some(&b'{') {
        return Err(failed(&"it must be a JSON object"));
    }
    let fields: Struct = serde_json::from_slice(json).map_err(|error| failed(&error))?;
    Metadata::parse(fields, limits).map_err(|error| failed(&error))
}
