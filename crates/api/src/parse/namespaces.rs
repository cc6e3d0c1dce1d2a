//! Checks requests about namespaces, and makes the tokens of their listing.

use lodgepole_types::Limits;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Namespace;
use super::metadata_schema::FIELDS_MAX;
use crate::ApiError;
use crate::page::{check_limit, decode, encode};
use crate::wire::namespaces::{CreateNamespaceRequest, ListNamespacesRequest, MetadataSchema};
use crate::wire::vectors::Pagination;

/// A namespace to make.
#[derive(Debug, Clone, PartialEq)]
pub struct NewNamespace {
    /// Its name.
    pub namespace: Namespace,
    /// Which metadata can be filtered by, as it is stored.
    pub schema: Option<Value>,
}

/// Namespaces to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListNamespaces {
    /// Names start with this; empty for all.
    pub prefix: String,
    /// Namespaces wanted, at least 1.
    pub limit: usize,
    /// Only names after this one; the default namespace is the empty name.
    pub after: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Token {
    skip_past: String,
    prefix: Option<String>,
}

/// Reads the name of a namespace in any of its spellings.
///
/// # Errors
/// `InvalidArgument`.
pub fn namespace(name: String) -> Result<Namespace, ApiError> {
    Namespace::parse(name)
}

/// Reads a namespace to make.
///
/// # Errors
/// `InvalidArgument` for a name that is absent or breaks a rule, or a wrong schema.
pub fn create_namespace(request: CreateNamespaceRequest) -> Result<NewNamespace, ApiError> {
    if request.name.is_empty() {
        return Err(ApiError::invalid("A namespace needs a name"));
    }
    let namespace = Namespace::parse(request.name)?;
    let schema = request.schema.map(|schema| check_schema(&schema)).transpose()?;
    Ok(NewNamespace { namespace, schema })
}

/// Reads a listing. A following page may leave the prefix out: the token has it.
///
/// # Errors
/// `InvalidArgument` for a limit out of range, or a token that is not ours or of another prefix.
pub fn list_namespaces(
    request: ListNamespacesRequest,
    limits: &Limits,
) -> Result<ListNamespaces, ApiError> {
    let limit = check_limit(request.limit.unwrap_or(limits.list_page_max), limits.list_page_max)?;
    let asked = request.prefix.filter(|prefix| !prefix.is_empty());
    let token = request.pagination_token.filter(|token| !token.is_empty());
    let Some(token) = token else {
        return Ok(ListNamespaces { prefix: asked.unwrap_or_default(), limit, after: None });
    };
    let token: Token = decode(&token)?;
    let prefix = token.prefix.unwrap_or_default();
    if asked.is_some_and(|asked| asked != prefix) {
        return Err(ApiError::invalid("The pagination token belongs to another prefix"));
    }
    Ok(ListNamespaces { prefix, limit, after: Some(token.skip_past) })
}

/// The token of the page after the namespace of this name.
#[must_use]
pub fn next_namespaces_page(prefix: &str, last: &str) -> Pagination {
    let prefix = Some(prefix.to_owned()).filter(|prefix| !prefix.is_empty());
    Pagination { next: encode(&Token { skip_past: last.to_owned(), prefix }) }
}

fn check_schema(schema: &MetadataSchema) -> Result<Value, ApiError> {
    if schema.fields.len() > FIELDS_MAX {
        return Err(ApiError::invalid(format!(
            "schema can name at most {FIELDS_MAX} fields, got {}",
            schema.fields.len()
        )));
    }
    for (name, field) in &schema.fields {
        if name.is_empty() || name.starts_with('$') {
            return Err(ApiError::invalid(format!(
                "Field name '{}' in schema must not be empty or start with '$'",
                name.escape_default()
            )));
        }
        if !field.filterable {
            return Err(ApiError::invalid(format!(
                "Field '{name}' is set to filterable: false. Only filterable: true is supported."
            )));
        }
    }
    Ok(schema.to_stored())
}

#[cfg(test)]
mod tests {
    //! Goal: names, schemas and tokens are checked. Method: one case a rule.
    use serde_json::json;

    use super::*;

    fn create(json: Value) -> Result<NewNamespace, ApiError> {
        create_namespace(serde_json::from_value(json).unwrap())
    }

    #[test]
    fn a_schema_is_kept_as_it_was_sent() {
        let schema = json!({"fields": {"_a": {"filterable": true}, "b": {"filterable": true}}});
        let new = create(json!({"name": "n", "schema": schema})).unwrap();
        assert_eq!((new.namespace.spelling.as_str(), new.schema), ("n", Some(schema)));
        assert_eq!(create(json!({"name": "n"})).unwrap().schema, None);
    }

    #[test]
    fn wrong_names_and_schemas_are_refused() {
        let many: Value = (0..51).map(|n| (format!("f{n}"), json!({"filterable": true}))).collect();
        for (json, part) in [
            (json!({}), "needs a name"),
            (json!({"name": "ü"}), "ASCII"),
            (json!({"name": "n".repeat(513)}), "512"),
            (json!({"name": "a\0"}), "null character"),
            (
                json!({"name": "n", "schema": {"fields": {"x": {"filterable": false}}}}),
                "Field 'x' is set to filterable: false. Only filterable: true is supported.",
            ),
            (json!({"name": "n", "schema": {"fields": {"$x": {"filterable": true}}}}), "'$x'"),
            (json!({"name": "n", "schema": {"fields": many}}), "at most 50 fields, got 51"),
        ] {
            let error = create(json).unwrap_err();
            assert_eq!(error.kind().http_status(), 400);
            assert!(error.message().contains(part), "{error} lacks {part}");
        }
    }

    #[test]
    fn the_token_continues_its_own_listing() {
        let read = |prefix: Option<&str>, limit, token: Option<&str>| {
            let prefix = prefix.map(str::to_owned);
            let pagination_token = token.map(str::to_owned);
            let request = ListNamespacesRequest { pagination_token, limit, prefix };
            list_namespaces(request, &Limits::default())
        };
        assert_eq!(read(None, None, None).unwrap().limit, 100);
        let token = next_namespaces_page("a", "a1").next;
        let next = read(None, Some(2), Some(&token)).unwrap();
        let wanted = ListNamespaces { prefix: "a".into(), limit: 2, after: Some("a1".into()) };
        assert_eq!(next, wanted);
        for (prefix, limit, token) in [
            (Some("b"), None, Some(token.as_str())),
            (None, Some(0), None),
            (None, Some(101), None),
            (None, None, Some("?")),
        ] {
            assert_eq!(read(prefix, limit, token).unwrap_err().kind().http_status(), 400);
        }
    }
}
