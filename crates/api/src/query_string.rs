//! Query strings: `ids=a&ids=b&namespace=x`.
//!
//! Written here because a name may occur several times, which the usual form decoders do not offer.
//! Unknown names are ignored, as Pinecone ignores them, except in the listing of aliases, where it
//! refuses them. The rules of decoding are those of HTML
//! forms (URL Standard, section 5.1): `+` is a space, `%XX` a byte.

use crate::wire::aliases::ListNamespaceAliasesRequest;
use crate::wire::namespaces::ListNamespacesRequest;
use crate::wire::vectors::{DeleteRequest, FetchRequest, ListRequest};
use crate::{ApiError, Reason};

/// The decoded pairs, in the order sent.
///
/// # Errors
/// `InvalidArgument` when a name or value is not UTF-8.
pub fn pairs(query: &str) -> Result<Vec<(String, String)>, ApiError> {
    query
        .split('&')
        .filter(|part| !part.is_empty())
        .map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            Ok((decode(name)?, decode(value)?))
        })
        .collect()
}

/// Reads the parameters of `GET /vectors/fetch`.
///
/// # Errors
/// `InvalidArgument` when the query cannot be decoded.
pub fn fetch_request(query: Option<&str>) -> Result<FetchRequest, ApiError> {
    let mut request = FetchRequest::default();
    for (name, value) in pairs(query.unwrap_or_default())? {
        match name.as_str() {
            "ids" => request.ids.push(value),
            "namespace" => request.namespace = value,
            _ => {}
        }
    }
    Ok(request)
}

/// Reads the parameters of `GET /vectors/list`.
///
/// # Errors
/// `InvalidArgument` when the query cannot be decoded or `limit` is not a number.
pub fn list_request(query: Option<&str>) -> Result<ListRequest, ApiError> {
    let mut request = ListRequest::default();
    for (name, value) in pairs(query.unwrap_or_default())? {
        match name.as_str() {
            "prefix" => request.prefix = Some(value),
            "limit" => request.limit = Some(number("limit", &value)?),
            "paginationToken" | "pagination_token" => request.pagination_token = Some(value),
            "namespace" => request.namespace = value,
            _ => {}
        }
    }
    Ok(request)
}

/// Reads the parameters of `GET /namespaces`.
///
/// # Errors
/// `InvalidArgument` when the query cannot be decoded or `limit` is not a number.
pub fn list_namespaces_request(query: Option<&str>) -> Result<ListNamespacesRequest, ApiError> {
    let mut request = ListNamespacesRequest::default();
    for (name, value) in pairs(query.unwrap_or_default())? {
        match name.as_str() {
            "prefix" => request.prefix = Some(value),
            "limit" => request.limit = Some(number("limit", &value)?),
            "paginationToken" | "pagination_token" => request.pagination_token = Some(value),
            _ => {}
        }
    }
    Ok(request)
}

/// Reads the parameters of `GET /namespace-aliases`.
///
/// # Errors
/// `InvalidArgument` when the query cannot be decoded, `limit` is not a number, or a name is
/// unknown.
pub fn list_aliases_request(query: Option<&str>) -> Result<ListNamespaceAliasesRequest, ApiError> {
    let mut request = ListNamespaceAliasesRequest::default();
    for (name, value) in pairs(query.unwrap_or_default())? {
        match name.as_str() {
            "prefix" => request.prefix = Some(value),
            "target_namespace" => request.target_namespace = Some(value),
            "limit" => {
                let limit = number("limit", &value).map_err(|error| {
                    let shown = value.escape_default().to_string();
                    error.because(Reason::ListInvalidLimit, &[("limit", &shown)])
                })?;
                request.limit = Some(limit);
            }
            "paginationToken" | "pagination_token" => request.pagination_token = Some(value),
            unknown => {
                return Err(ApiError::invalid(format!(
                    "Unknown query parameter '{}'. Known are limit, paginationToken, prefix and \
                     target_namespace",
                    unknown.escape_default()
                )));
            }
        }
    }
    Ok(request)
}

/// Reads the parameters of `DELETE /vectors/delete`.
///
/// # Errors
/// `InvalidArgument` when the query cannot be decoded or `deleteAll` is neither true nor false.
pub fn delete_request(query: Option<&str>) -> Result<DeleteRequest, ApiError> {
    let mut request = DeleteRequest::default();
    for (name, value) in pairs(query.unwrap_or_default())? {
        match name.as_str() {
            "ids" => request.ids.push(value),
            "deleteAll" | "delete_all" => request.delete_all = flag("deleteAll", &value)?,
            "namespace" => request.namespace = value,
            _ => {}
        }
    }
    Ok(request)
}

/// Reads a whole number.
///
/// # Errors
/// `InvalidArgument` naming the parameter.
pub fn number(name: &str, value: &str) -> Result<u32, ApiError> {
    value.parse().map_err(|_| {
        ApiError::invalid(format!(
            "{name} must be a whole number, got '{}'",
            value.escape_default()
        ))
    })
}

/// Reads true or false.
///
/// # Errors
/// `InvalidArgument` naming the parameter.
pub fn flag(name: &str, value: &str) -> Result<bool, ApiError> {
    match value {
        "true" | "True" => Ok(true),
        "false" | "False" => Ok(false),
        _ => Err(ApiError::invalid(format!(
            "{name} must be true or false, got '{}'",
            value.escape_default()
        ))),
    }
}

fn decode(text: &str) -> Result<String, ApiError> {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'+' => decoded.push(b' '),
            b'%' => match bytes.get(at..at + 2).and_then(hex) {
                Some(value) => {
                    decoded.push(value);
                    at += 2;
                }
                None => decoded.push(byte),
            },
            _ => decoded.push(byte),
        }
    }
    String::from_utf8(decoded)
        .map_err(|error| ApiError::invalid("The query string is not valid UTF-8").caused_by(error))
}

fn hex(digits: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(*digits.first()?)? << 4 | digit(*digits.get(1)?)?)
}

#[cfg(test)]
mod tests {
    //! Goal: what clients put into addresses arrives unchanged. Method: literals.
    use super::*;

    #[test]
    fn repeated_and_encoded_ids_arrive() {
        let request =
            fetch_request(Some("ids=a%2Fb&ids=c+d&ids=%5B1%5D%21&namespace=x%3Ay&other=1&ids=%zz"));
        let request = request.unwrap();
        assert_eq!(request.ids, ["a/b", "c d", "[1]!", "%zz"]);
        assert_eq!(request.namespace, "x:y");
    }

    #[test]
    fn an_absent_query_is_an_empty_request() {
        assert_eq!(fetch_request(None).unwrap(), FetchRequest::default());
        assert_eq!(list_request(Some("")).unwrap(), ListRequest::default());
    }

    #[test]
    fn listing_parameters_are_read() {
        let request = list_request(Some("prefix=a&limit=3&paginationToken=t%3D&namespace=n"));
        let wanted = ListRequest {
            prefix: Some("a".to_owned()),
            limit: Some(3),
            pagination_token: Some("t=".to_owned()),
            namespace: "n".to_owned(),
        };
        assert_eq!(request.unwrap(), wanted);
        assert!(list_request(Some("limit=many")).is_err());
    }

    #[test]
    fn the_old_delete_is_read() {
        let request = delete_request(Some("ids=a&ids=b&deleteAll=false&namespace=n")).unwrap();
        assert_eq!((request.ids.len(), request.delete_all), (2, false));
        assert!(delete_request(Some("deleteAll=perhaps")).is_err());
    }

    #[test]
    fn the_listing_of_aliases_refuses_what_it_does_not_know() {
        let request = list_aliases_request(Some("prefix=a&limit=3&target_namespace=n"));
        let request = request.unwrap();
        assert_eq!((request.limit, request.target_namespace.as_deref()), (Some(3), Some("n")));
        let error = list_aliases_request(Some("limit=many")).unwrap_err();
        assert_eq!(error.reason().unwrap().reason, Reason::ListInvalidLimit);
        assert!(list_aliases_request(Some("other=1")).is_err());
        let request = list_namespaces_request(Some("prefix=a&limit=3&other=1")).unwrap();
        assert_eq!((request.limit, request.prefix.as_deref()), (Some(3), Some("a")));
    }

    #[test]
    fn bytes_that_are_not_utf8_are_refused() {
        assert!(pairs("ids=%ff").is_err());
    }
}
