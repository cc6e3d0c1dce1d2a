//! Checks a fetch by metadata, and makes its tokens.
//!
//! A token names the last id of the page before; pages go by ascending id, so none repeats a record
//! whatever is written in between.

use std::sync::Arc;

use lodgepole_types::{Filter, Limits};
use serde::{Deserialize, Serialize};

use super::{Namespace, filter};
use crate::ApiError;
use crate::page::{check_limit, decode, encode};
use crate::wire::vectors::{FetchByMetadataRequest, Pagination};

/// Records to read.
#[derive(Debug, Clone, PartialEq)]
pub struct FetchByMetadata {
    /// Where.
    pub namespace: Namespace,
    /// What to read; never empty.
    pub filter: Arc<Filter>,
    /// Records wanted, at least 1.
    pub limit: usize,
    /// Only ids after this one.
    pub after: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Token {
    skip_past: String,
}

/// Reads a fetch by metadata.
///
/// # Errors
/// `InvalidArgument` for a filter that is absent, empty or wrong, a limit out of range, or a token
/// that is not ours.
pub fn fetch_by_metadata(
    request: FetchByMetadataRequest,
    limits: &Limits,
) -> Result<FetchByMetadata, ApiError> {
    let namespace = Namespace::parse(request.namespace)?;
    let filter = request
        .filter
        .filter(|filter| !filter.fields.is_empty())
        .ok_or_else(|| ApiError::invalid("Empty filter provided for fetch by metadata request"))?;
    let filter = filter::required(&filter, limits)?;
    let limit =
        check_limit(request.limit.unwrap_or(limits.fetch_page_default), limits.fetch_page_max)?;
    let token = request.pagination_token.filter(|token| !token.is_empty());
    let token = token.map(|token| decode::<Token>(&token)).transpose()?;
    Ok(FetchByMetadata { namespace, filter, limit, after: token.map(|token| token.skip_past) })
}

/// The token of the page after the record of this id.
#[must_use]
pub fn next_fetch_page(last: &str) -> Pagination {
    Pagination { next: encode(&Token { skip_past: last.to_owned() }) }
}

#[cfg(test)]
mod tests {
    //! Goal: a filter is required and pages go on. Method: make a token, use it.
    use serde_json::{Value, json};

    use super::*;

    fn read(json: Value) -> Result<FetchByMetadata, ApiError> {
        fetch_by_metadata(serde_json::from_value(json).unwrap(), &Limits::default())
    }

    #[test]
    fn the_token_continues() {
        let first = read(json!({"filter": {"a": 1}})).unwrap();
        assert_eq!((first.limit, first.after), (100, None));
        let token = next_fetch_page("r7").next;
        let json = json!({"filter": {"a": 1}, "limit": 10_000, "paginationToken": token});
        let next = read(json).unwrap();
        assert_eq!((next.limit, next.after.as_deref()), (10_000, Some("r7")));
    }

    #[test]
    fn everything_else_is_refused() {
        for json in [json!({}), json!({"filter": {}}), json!({"filter": null})] {
            let error = read(json).unwrap_err();
            assert_eq!(error.message(), "Empty filter provided for fetch by metadata request");
        }
        for json in [
            json!({"filter": {"a": 1}, "limit": 0}),
            json!({"filter": {"a": 1}, "limit": 10_001}),
            json!({"filter": {"a": 1}, "paginationToken": "?"}),
            json!({"filter": {"$a": 1}}),
        ] {
            assert_eq!(read(json).unwrap_err().kind().http_status(), 400);
        }
    }
}
