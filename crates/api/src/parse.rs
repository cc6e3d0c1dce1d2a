//! From the wire to the domain, with every check of a request.
//!
//! Services call these functions before they do anything, so no transport can skip a check and a
//! request is refused as a whole. Messages are Pinecone's documented ones where there is one.
//! The direction is one way: replies are built by `wire`.

mod aliases;
mod backup;
mod capacity;
mod collection;
mod configure;
mod create;
mod create_schema;
mod delete;
mod embed;
mod fetch;
mod fetch_by_metadata;
mod filter;
#[cfg(test)]
mod fuzz;
mod imports;
mod list;
mod metadata_schema;
mod namespace;
mod namespaces;
mod pod;
mod query;
mod regions;
mod schedules;
mod stats;
#[cfg(test)]
mod testing;
mod update;
mod upsert;
mod values;
mod warm_up;

pub use aliases::{
    AliasTarget, ListAliases, alias_name, check_alias_version, create_alias, list_aliases,
    next_aliases_page, repoint_alias,
};
pub use backup::{NewBackup, NewIndexFromBackup, create_backup, create_index_from_backup};
pub use collection::{NewCollection, check_source, create_collection};
pub use configure::{IndexChange, configure_index};
pub use create::{NewIndex, create_index};
pub use delete::{Delete, Deletion, delete};
pub use embed::{ModelShape, ModelVectors, Models, create_index_for_model};
pub use fetch::{Fetch, fetch};
pub use fetch_by_metadata::{FetchByMetadata, fetch_by_metadata, next_fetch_page};
pub use filter::check_filterable;
pub use imports::{StartImport, import_id, import_page, start_import};
pub use list::{List, list, next_page};
pub use namespace::Namespace;
pub use namespaces::{
    ListNamespaces, NewNamespace, create_namespace, list_namespaces, namespace,
    next_namespaces_page,
};
pub use query::{Near, Query, query};
pub use regions::Regions;
pub use schedules::{NewSchedule, ScheduleChange, create_schedule, update_schedule};
pub use stats::{Count, count, stats};
pub use update::{Update, UpdateTarget, update};
pub use upsert::{Upsert, upsert};
pub use warm_up::warm_up;

use std::collections::BTreeMap;

use lodgepole_types::{DeletionProtection, IndexName, Limits};
use serde::Deserialize;

use crate::wire::index_request::TagsRequest;
use crate::{ApiError, json};

/// What requests are checked against.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// Sizes and counts.
    pub limits: Limits,
    /// Where indexes can be said to run.
    pub regions: Regions,
}

/// Reads the body of a control-plane request.
///
/// # Errors
/// `Unprocessable` when it is not JSON of the wanted shape.
pub fn control_body<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Result<T, ApiError> {
    object(body)
        .and_then(serde_json::from_slice)
        .map_err(|error| ApiError::undecodable(&error).caused_by(error))
}

/// Refuses a body that has other names at the top than these, which must be sorted out before it is
/// read: a type that ignores unknown names at one version cannot deny them at another.
fn refuse_unknown_names(body: &[u8], known: &[&str]) -> Result<(), ApiError> {
    let names: BTreeMap<String, serde::de::IgnoredAny> = control_body(body)?;
    match names.keys().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => Err(ApiError::undecodable(&format!(
            "unknown field `{}`, expected one of `{}`",
            name.escape_default(),
            known.join("`, `")
        ))),
    }
}

/// Reads the body of a data-plane request; an empty body is an empty message.
///
/// # Errors
/// `InvalidArgument` when it is not JSON of the wanted shape.
pub fn data_body<T: Default + for<'de> Deserialize<'de>>(body: &[u8]) -> Result<T, ApiError> {
    if body.trim_ascii().is_empty() {
        return Ok(T::default());
    }
    object(body).and_then(json::decode).map_err(|error| {
        ApiError::invalid(format!("The request body cannot be read: {error}")).caused_by(error)
    })
}

/// A message is always an object: serde alone would take a list of field values too.
fn object(body: &[u8]) -> Result<&[u8], serde_json::Error> {
    if body.trim_ascii_start().first() == Some(&b'[') {
        return Err(serde::de::Error::custom("invalid type: sequence, expected a JSON object"));
    }
    Ok(body)
}

/// Reads a name that an index is to get.
fn new_index_name(text: &str) -> Result<IndexName, ApiError> {
    IndexName::parse(text).map_err(|error| ApiError::invalid(error.0))
}

fn deletion_protection(text: &str) -> Result<DeletionProtection, ApiError> {
    DeletionProtection::parse(text).ok_or_else(|| {
        ApiError::invalid(format!(
            "deletion_protection must be 'enabled' or 'disabled', got '{}'",
            text.escape_default()
        ))
    })
}

/// Tags with null spelled as the empty text, which removes.
fn tags(tags: TagsRequest) -> BTreeMap<String, String> {
    tags.into_iter().map(|(key, value)| (key, value.unwrap_or_default())).collect()
}

#[cfg(test)]
mod tests {
    //! Goal: bodies that cannot be read have their plane's status. Method: a cut-off body.
    use super::*;
    use crate::wire::vectors::QueryRequest;

    #[test]
    fn each_plane_has_its_status_for_an_unreadable_body() {
        let error = control_body::<crate::wire::backups::CreateBackup>(b"{").unwrap_err();
        assert_eq!(error.kind().http_status(), 422);
        for body in [&br#"{"topK":-1}"#[..], br#"{"vector":[1e39]}"#, br#"{"vector":[null]}"#] {
            let error = data_body::<QueryRequest>(body).unwrap_err();
            assert_eq!((error.kind().http_status(), error.kind().grpc_code()), (400, 3));
        }
    }

    #[test]
    fn an_empty_data_body_is_an_empty_message() {
        assert_eq!(data_body::<QueryRequest>(b" \n").unwrap(), QueryRequest::default());
    }

    #[test]
    fn a_list_is_no_message() {
        let error = data_body::<QueryRequest>(b" [1, 2]").unwrap_err();
        assert_eq!(error.kind(), lodgepole_types::ErrorKind::InvalidArgument);
        assert!(error.message().contains("expected a JSON object"), "{}", error.message());
        let error = control_body::<QueryRequest>(b"[]").unwrap_err();
        assert_eq!(error.kind(), lodgepole_types::ErrorKind::Unprocessable);
    }
}
