//! Checks a fetch.

use std::collections::HashSet;

use lodgepole_types::{Limits, RecordId};

use super::Namespace;
use crate::ApiError;
use crate::wire::vectors::FetchRequest;

/// Records to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    /// Where.
    pub namespace: Namespace,
    /// Their ids, each once, in the order of the request.
    pub ids: Vec<RecordId>,
}

/// Reads a fetch.
///
/// # Errors
/// `InvalidArgument` when there is no id, too many, or a bad one.
pub fn fetch(request: FetchRequest, limits: &Limits) -> Result<Fetch, ApiError> {
    let namespace = Namespace::parse(request.namespace)?;
    Ok(Fetch { namespace, ids: ids("fetch", &request.ids, limits)? })
}

/// Reads 1 to `ids_max` ids and drops repetitions.
pub(super) fn ids(
    operation: &str,
    ids: &[String],
    limits: &Limits,
) -> Result<Vec<RecordId>, ApiError> {
    if ids.is_empty() || ids.len() > limits.ids_max {
        return Err(ApiError::invalid(format!(
            "A {operation} must name between 1 and {} ids, got {}",
            limits.ids_max,
            ids.len()
        )));
    }
    let mut seen = HashSet::with_capacity(ids.len());
    let mut unique = Vec::with_capacity(ids.len());
    for id in ids {
        if seen.insert(id) {
            unique.push(RecordId::parse(id).map_err(|error| ApiError::invalid(error.0))?);
        }
    }
    Ok(unique)
}

#[cfg(test)]
mod tests {
    //! Goal: ids are limited and unique. Method: the edges.
    use super::*;

    fn read(ids: &[&str]) -> Result<Fetch, ApiError> {
        let ids = ids.iter().map(|id| (*id).to_owned()).collect();
        let request = FetchRequest { ids, namespace: "__default__".to_owned() };
        fetch(request, &Limits { ids_max: 2, ..Limits::default() })
    }

    #[test]
    fn a_repeated_id_is_read_once() {
        let fetch = read(&["b", "b"]).unwrap();
        assert_eq!(fetch.ids, [RecordId::parse("b").unwrap()]);
        assert!(fetch.namespace.name.is_default());
        assert_eq!(fetch.namespace.spelling, "__default__");
    }

    #[test]
    fn no_id_too_many_and_bad_ones_are_refused() {
        for ids in [&[][..], &["a", "b", "c"], &["ü"], &[""]] {
            assert_eq!(read(ids).unwrap_err().kind().http_status(), 400);
        }
    }
}
