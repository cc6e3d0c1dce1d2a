//! Pages of backups and restore jobs.
//!
//! Pages are cut by offset, as Pinecone's are: the token is base64 of `{"limit":N,"offset":M}`. The
//! token is left out on the last page.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::query_string::{flag, number, pairs};
use crate::{ApiError, ApiVersion};
use lodgepole_types::Limits;

/// The query parameters of a listing, as sent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PageQuery {
    /// Entries wanted.
    pub limit: Option<String>,
    /// Where the page before ended.
    pub pagination_token: Option<String>,
    /// Whether backups of deleted indexes are wanted.
    pub include_deleted: Option<String>,
}

/// A page to cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Entries to leave out.
    pub offset: usize,
    /// Entries to show, at least 1.
    pub limit: usize,
}

/// Where the next page begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pagination {
    /// Token to send with the next request.
    pub next: String,
}

#[derive(Serialize, Deserialize)]
struct Token {
    limit: u32,
    offset: usize,
}

impl PageQuery {
    /// Reads a query string; unknown names are ignored.
    ///
    /// # Errors
    /// `InvalidArgument` when it cannot be decoded.
    pub fn from_query(query: Option<&str>) -> Result<Self, ApiError> {
        let mut page = Self::default();
        for (name, value) in pairs(query.unwrap_or_default())? {
            match name.as_str() {
                "limit" => page.limit = Some(value),
                "paginationToken" | "pagination_token" => page.pagination_token = Some(value),
                "include_deleted" | "includeDeleted" => page.include_deleted = Some(value),
                _ => {}
            }
        }
        Ok(page)
    }

    /// The page that is asked for. A limit in the request goes before the one in the token.
    ///
    /// # Errors
    /// `InvalidArgument` for a token that we did not make, or a limit out of range.
    pub fn page(&self, version: ApiVersion, limits: &Limits) -> Result<Page, ApiError> {
        let max = limits.backup_page_max;
        self.page_of(version.backup_page_default().min(max), max)
    }

    /// The page that is asked for, of `default` entries when the request does not say, and of `max`
    /// at most.
    ///
    /// # Errors
    /// As [`Self::page`].
    pub fn page_of(&self, default: u32, max: u32) -> Result<Page, ApiError> {
        let token = self.pagination_token.as_deref().filter(|token| !token.is_empty());
        let token = token.map(decode::<Token>).transpose()?;
        let limit = match (&self.limit, &token) {
            (Some(text), _) => number("limit", text)?,
            (None, Some(token)) => token.limit,
            (None, None) => default,
        };
        let limit = check_limit(limit, max)?;
        Ok(Page { offset: token.map_or(0, |token| token.offset), limit })
    }

    /// Whether backups of deleted indexes are wanted.
    ///
    /// # Errors
    /// `InvalidArgument` when it is neither true nor false.
    pub fn includes_deleted(&self) -> Result<bool, ApiError> {
        match self.include_deleted.as_deref() {
            None | Some("") => Ok(false),
            Some(text) => flag("include_deleted", text),
        }
    }
}

impl Page {
    /// Cuts the page out of all entries.
    #[must_use]
    pub fn cut<T>(self, entries: Vec<T>) -> (Vec<T>, Option<Pagination>) {
        let end = self.offset.saturating_add(self.limit);
        let more = entries.len() > end;
        let page = entries.into_iter().skip(self.offset).take(self.limit).collect();
        let limit = u32::try_from(self.limit).unwrap_or(u32::MAX);
        let next = more.then(|| Pagination { next: encode(&Token { limit, offset: end }) });
        (page, next)
    }
}

/// Refuses a limit of 0 or above `max`.
pub(crate) fn check_limit(limit: u32, max: u32) -> Result<usize, ApiError> {
    if limit == 0 || limit > max {
        return Err(ApiError::invalid(format!("limit must be between 1 and {max}, got {limit}")));
    }
    usize::try_from(limit).map_err(ApiError::internal)
}

/// A token: JSON in base64.
pub(crate) fn encode(token: &impl Serialize) -> String {
    STANDARD.encode(serde_json::to_vec(token).unwrap_or_default())
}

/// Reads a token of ours.
pub(crate) fn decode<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T, ApiError> {
    STANDARD
        .decode(text)
        .ok()
        .and_then(|json| serde_json::from_slice(&json).ok())
        .ok_or_else(|| ApiError::invalid("Invalid pagination token"))
}

#[cfg(test)]
mod tests {
    //! Goal: pages cover everything once and bad parameters are refused. Method: walk a list.
    use super::*;

    fn query(limit: Option<&str>, token: Option<&str>) -> PageQuery {
        PageQuery {
            limit: limit.map(str::to_owned),
            pagination_token: token.map(str::to_owned),
            include_deleted: None,
        }
    }

    fn page(query: &PageQuery) -> Result<Page, ApiError> {
        query.page(ApiVersion::V2025_04, &Limits::default())
    }

    #[test]
    fn pages_cover_everything_once() {
        for total in [0, 1, 2, 3, 4, 7] {
            let (mut seen, mut token, mut first) = (Vec::new(), None::<String>, true);
            while first || token.is_some() {
                // The token carries the limit on.
                let query = query(first.then_some("2"), token.as_deref());
                first = false;
                let (entries, next) = page(&query).unwrap().cut((0..total).collect());
                seen.extend(entries);
                token = next.map(|next| next.next);
            }
            assert_eq!(seen, (0..total).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_default_depends_on_the_version() {
        let limits = Limits::default();
        for (version, limit) in [(ApiVersion::V2026_04, 10), (ApiVersion::V2026_07, 100)] {
            assert_eq!(query(None, None).page(version, &limits).unwrap().limit, limit);
        }
    }

    #[test]
    fn bad_parameters_are_refused() {
        for (limit, token) in
            [(Some("0"), None), (Some("101"), None), (Some("x"), None), (None, Some("%%"))]
        {
            assert_eq!(page(&query(limit, token)).unwrap_err().kind().http_status(), 400);
        }
        let other = STANDARD.encode("{\"skip\":1}");
        assert!(page(&query(None, Some(&other))).is_err());
    }

    #[test]
    fn the_query_string_is_read() {
        let read = PageQuery::from_query(Some("limit=5&paginationToken=a%3D&include_deleted=true"));
        let read = read.unwrap();
        assert_eq!(
            (read.limit.as_deref(), read.pagination_token.as_deref()),
            (Some("5"), Some("a="))
        );
        assert!(read.includes_deleted().unwrap());
        assert!(!PageQuery::default().includes_deleted().unwrap());
    }
}
