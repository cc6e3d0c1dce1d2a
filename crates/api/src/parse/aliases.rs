//! Checks requests about aliases of namespaces, and makes the tokens of their listing. Every
//! refusal has its [`Reason`].

use lodgepole_types::{Limits, NamespaceName};
use serde::{Deserialize, Serialize};

use crate::page::{decode, encode};
use crate::wire::aliases::{
    CreateNamespaceAliasRequest, ListNamespaceAliasesRequest, RepointNamespaceAliasRequest,
};
use crate::wire::vectors::Pagination;
use crate::{ApiError, ApiVersion, Reason};

/// Characters that the name of an alias cannot have, beside spaces and what is not printable.
const FORBIDDEN: &[u8] = b"/?#%&=\\;+";
/// Names that an alias cannot have.
const RESERVED: [&str; 3] = [".", "..", NamespaceName::DEFAULT_SPELLING];

/// An alias and what it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AliasTarget {
    /// The name of the alias.
    pub name: String,
    /// The namespace.
    pub target: NamespaceName,
}

/// Aliases to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListAliases {
    /// Names start with this; empty for all.
    pub prefix: String,
    /// Only aliases of this namespace.
    pub target: Option<NamespaceName>,
    /// Aliases wanted, at least 1.
    pub limit: usize,
    /// Only names after this one.
    pub after: Option<String>,
}

/// Where a page ended, and the listing that it belongs to.
#[derive(Serialize, Deserialize)]
struct Token {
    skip_past: String,
    prefix: Option<String>,
    target: Option<String>,
}

/// Refuses versions that have no aliases.
///
/// # Errors
/// `InvalidArgument`.
pub fn check_alias_version(version: ApiVersion) -> Result<(), ApiError> {
    if version.has_aliases() {
        return Ok(());
    }
    let message = format!(
        "Namespace aliases require API version {} or later, got {version}",
        ApiVersion::V2026_07
    );
    Err(ApiError::invalid(message).because(Reason::ApiVersionTooOld, &[]))
}

/// Reads an alias to make.
///
/// # Errors
/// `InvalidArgument`.
pub fn create_alias(request: CreateNamespaceAliasRequest) -> Result<AliasTarget, ApiError> {
    alias_target(request.name, &request.target_namespace)
}

/// Reads what an alias is to stand for.
///
/// # Errors
/// `InvalidArgument`.
pub fn repoint_alias(request: RepointNamespaceAliasRequest) -> Result<AliasTarget, ApiError> {
    alias_target(request.alias_name, &request.target_namespace)
}

fn alias_target(name: String, target: &str) -> Result<AliasTarget, ApiError> {
    let name = alias_name(name)?;
    if target.is_empty() {
        return Err(ApiError::invalid("target_namespace is required")
            .because(Reason::TargetNamespaceRequired, &[("alias_name", &name)]));
    }
    Ok(AliasTarget { name, target: target_namespace(target)? })
}

/// Reads the name of an alias.
///
/// # Errors
/// `InvalidArgument`.
pub fn alias_name(name: String) -> Result<String, ApiError> {
    let allowed = |byte: u8| byte.is_ascii_graphic() && !FORBIDDEN.contains(&byte);
    let length = 1..=NamespaceName::LENGTH_MAX;
    let valid = length.contains(&name.len())
        && name.bytes().all(allowed)
        && !RESERVED.contains(&name.as_str());
    if valid {
        return Ok(name);
    }
    let shown = name.escape_default().to_string();
    let message = format!(
        "Alias name '{shown}' is not valid: it must be 1 to {} printable ASCII characters without \
         space and / ? # % & = \\ ; +, and not '.', '..' or '__default__'",
        NamespaceName::LENGTH_MAX
    );
    Err(ApiError::invalid(message).because(Reason::AliasNameInvalid, &[("alias_name", &shown)]))
}

fn target_namespace(target: &str) -> Result<NamespaceName, ApiError> {
    NamespaceName::parse(target).map_err(|error| {
        let too_long = target.len() > NamespaceName::LENGTH_MAX;
        let reason = if too_long { Reason::NamespaceTooLong } else { Reason::NamespaceInvalid };
        let shown = target.escape_default().to_string();
        ApiError::invalid(error.0).because(reason, &[("target_namespace", &shown)])
    })
}

/// Reads a listing. A following page may leave prefix and target out: the token has them.
///
/// # Errors
/// `InvalidArgument`.
pub fn list_aliases(
    request: ListNamespaceAliasesRequest,
    limits: &Limits,
) -> Result<ListAliases, ApiError> {
    let limit = list_limit(request.limit, limits)?;
    let prefix = request.prefix.filter(|prefix| !prefix.is_empty());
    prefix.as_deref().map(check_prefix).transpose()?;
    let target = match request.target_namespace.as_deref() {
        None => None,
        Some("") => {
            return Err(ApiError::invalid("target_namespace must not be empty where it is given")
                .because(Reason::TargetFilterEmpty, &[]));
        }
        Some(target) => Some(target_namespace(target)?),
    };
    let token = request.pagination_token.filter(|token| !token.is_empty());
    let Some(token) = token else {
        return Ok(ListAliases { prefix: prefix.unwrap_or_default(), target, limit, after: None });
    };
    let unreadable = || bad_token(Reason::InvalidPaginationToken, "Invalid pagination token");
    let token: Token = decode(&token).map_err(|_| unreadable())?;
    let known = token.target.as_deref().map(NamespaceName::parse).transpose();
    let known = known.map_err(|_| unreadable())?;
    match (&token.prefix, &prefix) {
        (None, Some(_)) => {
            return Err(token_of_other(Reason::ListInvalidTokenWithPrefix, "without prefix"));
        }
        (Some(old), Some(new)) if old != new => {
            let reason = Reason::ListInvalidTokenWithNewPrefix;
            return Err(token_of_other(reason, "with another prefix"));
        }
        (_, None) | (Some(_), Some(_)) => {}
    }
    match (&known, &target) {
        (None, Some(_)) => {
            let reason = Reason::ListInvalidTokenWithTarget;
            return Err(token_of_other(reason, "without target_namespace"));
        }
        (Some(old), Some(new)) if old != new => {
            let reason = Reason::ListInvalidTokenWithNewTarget;
            return Err(token_of_other(reason, "with another target_namespace"));
        }
        (_, None) | (Some(_), Some(_)) => {}
    }
    let prefix = token.prefix.unwrap_or_default();
    Ok(ListAliases { prefix, target: known, limit, after: Some(token.skip_past) })
}

fn list_limit(asked: Option<u32>, limits: &Limits) -> Result<usize, ApiError> {
    let limit = asked.unwrap_or(limits.list_page_max);
    crate::page::check_limit(limit, limits.list_page_max)
        .map_err(|error| error.because(Reason::ListInvalidLimit, &[("limit", &limit.to_string())]))
}

fn check_prefix(prefix: &str) -> Result<(), ApiError> {
    let refuse = |message: String, reason| Err(ApiError::invalid(message).because(reason, &[]));
    if prefix.len() > NamespaceName::LENGTH_MAX {
        let most = NamespaceName::LENGTH_MAX;
        return refuse(format!("prefix can be at most {most} bytes long"), Reason::PrefixTooLong);
    }
    if !prefix.is_ascii() {
        return refuse("prefix must be ASCII".to_owned(), Reason::PrefixMustBeAscii);
    }
    if prefix.contains('\0') {
        let message = "prefix must not contain a null character".to_owned();
        return refuse(message, Reason::PrefixMustNotContainNull);
    }
    Ok(())
}

fn bad_token(reason: Reason, message: &str) -> ApiError {
    ApiError::invalid(message).because(reason, &[])
}

/// The token is of another listing than the one that is asked for.
fn token_of_other(reason: Reason, listing: &str) -> ApiError {
    bad_token(reason, &format!("The pagination token belongs to a listing {listing}"))
}

/// The token of the page after the alias of this name.
#[must_use]
pub fn next_aliases_page(list: &ListAliases, last: &str) -> Pagination {
    let prefix = Some(list.prefix.clone()).filter(|prefix| !prefix.is_empty());
    let target = list.target.as_ref().map(|target| target.listed().to_owned());
    Pagination { next: encode(&Token { skip_past: last.to_owned(), prefix, target }) }
}

#[cfg(test)]
mod tests;
