//! Checks a delete.

use lodgepole_types::{Limits, RecordId};

use super::Namespace;
use super::fetch::ids;
use crate::ApiError;
use crate::wire::vectors::DeleteRequest;

/// Records to delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delete {
    /// Where.
    pub namespace: Namespace,
    /// Which.
    pub what: Deletion,
}

/// Which records go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deletion {
    /// These.
    Ids(Vec<RecordId>),
    /// All of the namespace.
    All,
}

/// Reads a delete: ids or everything, never both.
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
        (Some(_), false) => return Err(ApiError::not_served("Metadata filters in deletes")),
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
    fn ids_or_everything() {
        let id = RecordId::parse("a").unwrap();
        assert_eq!(read(r#"{"ids":["a"],"deleteAll":false}"#).unwrap(), Deletion::Ids(vec![id]));
        assert_eq!(read(r#"{"deleteAll":true,"ids":[]}"#).unwrap(), Deletion::All);
    }

    #[test]
    fn everything_else_is_refused_with_its_message() {
        for (json, message) in [
            (r#"{"ids":["a"],"deleteAll":true}"#, "No explicit IDs allowed when delete_all=true"),
            (r#"{"filter":{},"deleteAll":true}"#, "No filter allowed when delete_all=true"),
            (r#"{"filter":{}}"#, "Delete with empty metadata filter is not allowed"),
            (
                r#"{"filter":{"a":1},"ids":["a"]}"#,
                "Metadata filters in deletes are not served by this release of Lodgepole",
            ),
            ("{}", "A delete needs 'ids', 'deleteAll' or 'filter'"),
        ] {
            let error = read(json).unwrap_err();
            assert_eq!((error.kind().http_status(), error.message()), (400, message));
        }
    }
}
