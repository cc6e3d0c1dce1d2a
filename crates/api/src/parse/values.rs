//! Checks vectors, dense and sparse.

use std::collections::HashSet;

use lodgepole_types::{DenseField, IndexConfig, Limits, SparseVector};

use crate::ApiError;
use crate::wire::vectors::SparseValues;

/// Below this every value counts as zero.
const MAGNITUDE_MIN: f32 = 1e-8;

/// Checks a dense vector that is to be stored: length, values, and that it is not all zero.
pub(super) fn stored_dense(values: &[f32], index: &IndexConfig) -> Result<(), ApiError> {
    let Some(dense) = index.dense else {
        return Err(ApiError::invalid(
            "Upserting dense vectors is not supported for sparse indexes",
        ));
    };
    searched_dense(values, dense)?;
    if values.iter().all(|value| value.abs() < MAGNITUDE_MIN) {
        return Err(ApiError::invalid("Dense vectors must contain at least one non-zero value."));
    }
    Ok(())
}

/// Checks a dense vector that is searched for; it may be all zero.
pub(super) fn searched_dense(values: &[f32], dense: DenseField) -> Result<(), ApiError> {
    if u32::try_from(values.len()) != Ok(dense.dimension) {
        return Err(ApiError::invalid(format!(
            "Vector dimension {} does not match the dimension of the index {}",
            values.len(),
            dense.dimension
        )));
    }
    finite("Vector", values)
}

/// Reads sparse values for an index that scores by them.
pub(super) fn scored_sparse(
    sparse: SparseValues,
    index: &IndexConfig,
    limits: &Limits,
) -> Result<SparseVector, ApiError> {
    if !index.takes_sparse() {
        return Err(ApiError::invalid(
            "Index configuration does not support sparse values - only indexes that are sparse or \
             using dotproduct are supported",
        ));
    }
    self::sparse(sparse, limits)
}

/// Reads sparse values, whatever the index; the order is kept.
pub(super) fn sparse(sparse: SparseValues, limits: &Limits) -> Result<SparseVector, ApiError> {
    let SparseValues { indices, values } = sparse;
    if indices.len() != values.len() {
        return Err(ApiError::invalid(format!(
            "Sparse vector indices and values must have the same length, got {} and {}",
            indices.len(),
            values.len()
        )));
    }
    if indices.is_empty() {
        return Err(ApiError::invalid("Sparse vector must contain at least one value"));
    }
    if indices.len() > limits.sparse_values_max {
        return Err(ApiError::invalid(format!(
            "Sparse vector size {} exceeds the maximum allowed size of {}",
            indices.len(),
            limits.sparse_values_max
        )));
    }
    finite("Sparse vector", &values)?;
    let mut seen = HashSet::with_capacity(indices.len());
    if let Some(twice) = indices.iter().find(|index| !seen.insert(**index)) {
        return Err(ApiError::invalid(format!(
            "Sparse vector indices must be unique, but {twice} occurs more than once"
        )));
    }
    Ok(SparseVector { indices, values })
}

fn finite(what: &str, values: &[f32]) -> Result<(), ApiError> {
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(place) => Err(ApiError::invalid(format!(
            "{what} values must be finite 32-bit numbers, but value {place} is not"
        ))),
    }
}

#[cfg(test)]
mod tests {
    //! Goal: every rule of sparse values has its message. Method: one bad pair a rule.
    use super::*;

    fn read(indices: &[u32], values: &[f32]) -> Result<SparseVector, ApiError> {
        let values = SparseValues { indices: indices.to_vec(), values: values.to_vec() };
        sparse(values, &Limits { sparse_values_max: 3, ..Limits::default() })
    }

    #[test]
    fn the_order_of_indices_is_kept() {
        let sparse = read(&[u32::MAX, 0, 7], &[0.5, 0.0, -1.0]).unwrap();
        assert_eq!(sparse.indices, [u32::MAX, 0, 7]);
        assert_eq!(sparse.values, [0.5, 0.0, -1.0]);
    }

    #[test]
    fn every_rule_has_its_message() {
        for (indices, values, message) in [
            (&[1, 2][..], &[0.5][..], "the same length, got 2 and 1"),
            (&[], &[], "at least one value"),
            (&[1, 2, 3, 4], &[1.0; 4], "size 4 exceeds the maximum allowed size of 3"),
            (&[1, 2], &[1.0, f32::INFINITY], "value 1 is not"),
            (&[9, 3, 9], &[1.0; 3], "9 occurs more than once"),
        ] {
            let error = read(indices, values).unwrap_err();
            assert_eq!(error.kind().http_status(), 400);
            assert!(error.message().contains(message), "{error}");
        }
    }
}
