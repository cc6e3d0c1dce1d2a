//! Checks a delete.
//!
//! With a filter, ids are ignored, as Pinecone ignores them: gRPC cannot tell an empty list of ids
//! from none, and everything that the filter matches goes.

use std::sync::Arc;

use lodgepole_types::{Filter, Limits, RecordId};

use super::fetch::ids;
use super::{Namespace, filter};
use crate::ApiError;
use crate::wire::vectors::DeleteRequest;

/// Records to delete.
#[derive(Debug, Clone, PartialEq)]
pub struct Delete {
    /// Where.
    pub namespace: Namespace,
    /// Which.
    pub what: Deletion,
}

/// Which records go.
#[derive(Debug, Clone, PartialEq)]
pub enum Deletion {
    /// These.
    Ids(Vec<RecordId>),
    /// All that match.
    Matching(Arc<Filter>),
    /// All of the namespace.
    All,
}

/// Reads a delete: by ids, by filter, or of everything.
///
/// # Errors
/// `InvalidArgument`.
pub fn delete(request: DeleteRequest, limits: &Limits) -> Result<Delete, ApiError> {
    let namespace = Namespace::parse(request.namespace)?;
    let what = match (&request.filter, request.delete_all) {
        (_, true) if !request.ids.is_empty() => {
            return Err(ApiError::invalid("No explicit IDs allowed when delete_all=true"));
        }
        (Some(_), true) => {
            return Err(ApiError::invalid("No filter allowed when delete_all=true"));
        }
        (None, true) => Deletion::All,
        (Some(filter), false) if filter.fields.is_empty() => {
            return Err(ApiError::invalid("Delete with empty metadata filter is not allowed"));
        }
        (Some(filter), false) => Deletion::Matching(filter::required(filter, limits)?),
        (None, false) if request.ids.is_empty() => {
            return Err(ApiError::invalid("A delete needs 'ids', 'deleteAll' or 'filter'"));
        }
        (None, false) => Deletion::Ids(ids("delete", &request.ids, limits)?),
    };
    Ok(Delete { namespace, what })
}

#[cfg(test)]
mod tests {
    //! Goal: exactly one target. Method: every combination.
    use super::*;

    fn read(json: &str) -> Result<Deletion, ApiError> {
        delete(serde_json::from_str(json).unwrap(), &Limits::default()).map(|delete| delete.what)
    }

    #[test]
    fn ids_filter_or_everything() {
        let id = RecordId::parse("a").unwrap();
        assert_eq!(read(r#"{"ids":["a"],"deleteAll":false}"#).unwrap(), Deletion::Ids(vec![id]));
        assert_eq!(read(r#"{"deleteAll":true,"ids":[]}"#).unwrap(), Deletion::All);
        for json in [
            r#"{"filter":{"a":1}}"#,
            r#"{"filter":{"a":1},"ids":[]}"#,
            r#"{"filter":{"a":1},"ids":["b"]}"#,
        ] {
            let Deletion::Matching(filter) = read(json).unwrap() else { panic!("{json}") };
            assert_eq!(filter.fields().collect::<Vec<_>>(), ["a"]);
        }
    }

    #[test]
    fn everything_else_is_refused_with_its_message() {
        for (json, message) in [
            (r#"{"ids":["a"],"deleteAll":true}"#, "No explicit IDs allowed when delete_all=true"),
            (r#"{"filter":{},"deleteAll":true}"#, "No filter allowed when delete_all=true"),
            (r#"{"filter":{"a":1},"deleteAll":true}"#, "No filter allowed when delete_all=true"),
            (r#"{"filter":{}}"#, "Delete with empty metadata filter is not allowed"),
            (r#"{"filter":{},"ids":["a"]}"#, "Delete with empty metadata filter is not allowed"),
            ("{}", "A delete needs 'ids', 'deleteAll' or 'filter'"),
        ] {
            let error = read(json).unwrap_err();
            assert_eq!((error.kind().http_status(), error.message()), (400, message));
        }
    }
}
