//! Checks requests about bulk imports.

use lodgepole_types::{ImportErrorMode, ImportId, Limits};

use crate::page::Page;
use crate::wire::imports::StartImportRequest;
use crate::{ApiError, PageQuery};

/// How the URIs of stores begin: Pinecone's, and folders of the server. What is really served is
/// the business of the store behind it.
const SCHEMES: [&str; 3] = ["s3://", "gs://", "file://"];
const AZURE_SCHEME: &str = "https://";
const AZURE_HOST_SUFFIX: &str = ".blob.core.windows.net";

/// An import to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartImport {
    /// Where the files are.
    pub uri: String,
    /// What a bad record does.
    pub error_mode: ImportErrorMode,
}

/// Reads the start of an import. A storage integration is accepted and has no effect: credentials
/// are the server's.
///
/// # Errors
/// `InvalidArgument`, naming what is wrong.
pub fn start_import(request: StartImportRequest, limits: &Limits) -> Result<StartImport, ApiError> {
    let uri = request.uri.filter(|uri| !uri.is_empty());
    let uri = uri.ok_or_else(|| ApiError::invalid("An import must have a uri"))?;
    at_most("uri", &uri, limits.import_uri_chars_max)?;
    let integration = request.integration_id.unwrap_or_default();
    at_most("integrationId", &integration, limits.import_integration_chars_max)?;
    if !is_store(&uri) {
        return Err(ApiError::invalid(
            "Bulk import URIs must start with the scheme of a supported storage provider",
        ));
    }
    let on_error = request.error_mode.and_then(|mode| mode.on_error).unwrap_or_default();
    let error_mode = match on_error.to_ascii_lowercase().as_str() {
        "" | "abort" => ImportErrorMode::Abort,
        "continue" => ImportErrorMode::Continue,
        _ => {
            let other = on_error.escape_default();
            return Err(ApiError::invalid(format!(
                "errorMode.onError must be 'abort' or 'continue', got '{other}'"
            )));
        }
    };
    Ok(StartImport { uri, error_mode })
}

/// Reads the id of an import: what cannot be one cannot be found.
///
/// # Errors
/// `NotFound`.
pub fn import_id(text: &str) -> Result<ImportId, ApiError> {
    ImportId::parse(text).ok_or_else(|| ApiError::not_found("Import", &text.escape_default()))
}

/// Reads which page of imports is wanted.
///
/// # Errors
/// `InvalidArgument` for a bad limit or token.
pub fn import_page(query: &PageQuery, limits: &Limits) -> Result<Page, ApiError> {
    query.page_of(limits.import_page_max, limits.import_page_max)
}

fn is_store(uri: &str) -> bool {
    let starts = |scheme: &str| uri.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty());
    let host = uri.strip_prefix(AZURE_SCHEME).and_then(|rest| rest.split('/').next());
    SCHEMES.iter().any(|scheme| starts(scheme))
        || host.is_some_and(|host| host.ends_with(AZURE_HOST_SUFFIX))
}

fn at_most(name: &str, text: &str, max: usize) -> Result<(), ApiError> {
    let chars = text.chars().count();
    if chars > max {
        return Err(ApiError::invalid(format!(
            "{name} has {chars} characters, the limit is {max}"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    //! Goal: requests are taken as documented and refused by name. Method: bodies as clients send
    //! them.
    use super::*;
    use crate::parse::data_body;

    fn start(body: &str) -> Result<StartImport, ApiError> {
        start_import(data_body(body.as_bytes())?, &Limits::default())
    }

    #[test]
    fn what_clients_send_is_taken() {
        let plain = start(r#"{"uri":"s3://bucket/imports"}"#).unwrap();
        assert_eq!(plain.error_mode, ImportErrorMode::Abort);
        for (body, mode) in [
            (r#"{"uri":"s3://b/i/","errorMode":{"onError":"continue"}}"#, "Continue"),
            (r#"{"uri":"gs://b","errorMode":{"onError":"ABORT"},"integrationId":"i-1"}"#, "Abort"),
            (r#"{"uri":"file:///x","error_mode":{"on_error":"CONTINUE"}}"#, "Continue"),
            (
                r#"{"uri":"https://a.blob.core.windows.net/c/d","integrationId":null,"errorMode":null,"other":1}"#,
                "Abort",
            ),
        ] {
            assert_eq!(format!("{:?}", start(body).unwrap().error_mode), mode, "{body}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let long_uri = format!(r#"{{"uri":"s3://{}"}}"#, "x".repeat(1_496));
        let long_id = format!(r#"{{"uri":"s3://b","integrationId":"{}"}}"#, "x".repeat(1_001));
        for (body, part) in [
            ("", "must have a uri"),
            (r#"{"uri":""}"#, "must have a uri"),
            (r#"{"uri":"invalid path"}"#, "must start with the scheme of a supported storage"),
            (r#"{"uri":"s3://"}"#, "must start with the scheme"),
            (r#"{"uri":"https://example.com/x"}"#, "must start with the scheme"),
            (r#"{"uri":"http://a.blob.core.windows.net/x"}"#, "must start with the scheme"),
            (&long_uri, "uri has 1501 characters, the limit is 1500"),
            (&long_id, "integrationId has 1001 characters, the limit is 1000"),
            (r#"{"uri":"s3://b","errorMode":{"onError":"skip"}}"#, "'abort' or 'continue', got"),
            (r#"{"uri":5}"#, "cannot be read"),
        ] {
            let error = start(body).unwrap_err();
            assert_eq!(error.kind().http_status(), 400, "{body}");
            assert!(error.message().contains(part), "{body}: {}", error.message());
        }
    }

    #[test]
    fn pages_hold_a_hundred_unless_told() {
        let limits = Limits::default();
        assert_eq!(import_page(&PageQuery::default(), &limits).unwrap().limit, 100);
        for (limit, ok) in [("1", true), ("100", true), ("0", false), ("101", false), ("x", false)]
        {
            let query = PageQuery { limit: Some(limit.to_owned()), ..PageQuery::default() };
            assert_eq!(import_page(&query, &limits).is_ok(), ok, "{limit}");
        }
    }

    #[test]
    fn what_is_no_id_is_not_found() {
        assert_eq!(import_id("101").unwrap_err().kind().http_status(), 404);
        assert!(import_id("00000000-0000-4000-8000-000000000001").is_ok());
    }
}
