//! Checks a listing of ids, and makes its tokens.
//!
//! A token names the last id of the page before and the prefix it belongs to. It does not carry
//! the limit: the next page may ask for another.

use lodgepole_types::{Limits, RecordId};
use serde::{Deserialize, Serialize};

use super::Namespace;
use crate::ApiError;
use crate::page::{check_limit, decode, encode};
use crate::wire::vectors::{ListRequest, Pagination};

/// Ids to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    /// Where.
    pub namespace: Namespace,
    /// Ids start with this; empty for all.
    pub prefix: String,
    /// Ids wanted, at least 1.
    pub limit: usize,
    /// Only ids after this one.
    pub after: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Token {
    skip_past: String,
    prefix: Option<String>,
}

/// Reads a listing. A following page may leave the prefix out: the token has it.
///
/// # Errors
/// `InvalidArgument` for a limit out of range, or a token that is not ours or of another prefix.
pub fn list(request: ListRequest, limits: &Limits) -> Result<List, ApiError> {
    let namespace = Namespace::parse(request.namespace)?;
    let limit = check_limit(request.limit.unwrap_or(limits.list_page_max), limits.list_page_max)?;
    let asked = request.prefix.filter(|prefix| !prefix.is_empty());
    let token = request.pagination_token.filter(|token| !token.is_empty());
    let Some(token) = token else {
        let prefix = asked.unwrap_or_default();
        return Ok(List { namespace, prefix, limit, after: None });
    };
    let token: Token = decode(&token)?;
    let prefix = token.prefix.unwrap_or_default();
    if asked.is_some_and(|asked| asked != prefix) {
        return Err(ApiError::invalid("The pagination token belongs to another prefix"));
    }
    Ok(List { namespace, prefix, limit, after: Some(token.skip_past) })
}

/// The token of the page after `last`.
#[must_use]
pub fn next_page(prefix: &str, last: &RecordId) -> Pagination {
    let prefix = Some(prefix.to_owned()).filter(|prefix| !prefix.is_empty());
    Pagination { next: encode(&Token { skip_past: last.as_str().to_owned(), prefix }) }
}

#[cfg(test)]
mod tests {
    //! Goal: a token continues its own listing only. Method: make one, use it three ways.
    use super::*;

    fn read(
        prefix: Option<&str>,
        limit: Option<u32>,
        token: Option<&str>,
    ) -> Result<List, ApiError> {
        let request = ListRequest {
            prefix: prefix.map(str::to_owned),
            limit,
            pagination_token: token.map(str::to_owned),
            namespace: "n".to_owned(),
        };
        list(request, &Limits::default())
    }

    #[test]
    fn the_token_continues_with_another_limit() {
        let token = next_page("a", &RecordId::parse("a1").unwrap()).next;
        for prefix in [Some("a"), None, Some("")] {
            let list = read(prefix, Some(7), Some(&token)).unwrap();
            assert_eq!(
                (list.prefix.as_str(), list.limit, list.after.as_deref()),
                ("a", 7, Some("a1"))
            );
        }
        assert!(read(Some("b"), None, Some(&token)).is_err());
    }

    #[test]
    fn limits_and_foreign_tokens_are_refused() {
        assert_eq!(read(None, None, None).unwrap().limit, 100);
        for (limit, token) in
            [(Some(0), None), (Some(101), None), (None, Some("?")), (None, Some("e30="))]
        {
            assert_eq!(read(None, limit, token).unwrap_err().kind().http_status(), 400);
        }
    }
}
