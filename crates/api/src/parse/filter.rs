//! Reads filters, and checks that what they name can be filtered by.

use std::sync::Arc;

use lodgepole_types::{Filter, Limits, Struct};
use serde_json::Value;

use crate::ApiError;
use crate::wire::namespaces::MetadataSchema;

/// Reads a filter that may be absent or empty, which both let everything through.
pub(super) fn optional(
    source: Option<&Struct>,
    limits: &Limits,
) -> Result<Option<Arc<Filter>>, ApiError> {
    source
        .filter(|source| !source.fields.is_empty())
        .map(|source| required(source, limits))
        .transpose()
}

/// Reads a filter.
pub(super) fn required(source: &Struct, limits: &Limits) -> Result<Arc<Filter>, ApiError> {
    let filter = Filter::parse(source, limits).map_err(|error| ApiError::invalid(error.0))?;
    Ok(Arc::new(filter))
}

/// Refuses a filter over a field that the schema of its namespace leaves out. Without a schema
/// everything can be filtered by.
///
/// # Errors
/// `InvalidArgument`, naming the field and those that the schema selects.
pub fn check_filterable(filter: &Filter, schema: Option<&Value>) -> Result<(), ApiError> {
    let Some(schema) = schema else { return Ok(()) };
    let selected = MetadataSchema::from_stored(schema).filterable();
    match filter.fields().find(|field| !selected.iter().any(|name| name == field)) {
        None => Ok(()),
        Some(field) => Err(ApiError::invalid(format!(
            "Field '{}' is not filterable: the metadata schema selects only {}",
            field.escape_default(),
            list(&selected)
        ))),
    }
}

fn list(names: &[String]) -> String {
    if names.is_empty() {
        return "no field".to_owned();
    }
    let quoted: Vec<_> = names.iter().map(|name| format!("'{}'", name.escape_default())).collect();
    quoted.join(", ")
}

#[cfg(test)]
mod tests {
    //! Goal: a filter names selected fields only. Method: filters over one schema.
    use serde_json::json;

    use super::*;

    fn check(filter: Value, schema: Option<&Value>) -> Result<(), ApiError> {
        let source: Struct = serde_json::from_value(filter).unwrap();
        let filter = required(&source, &Limits::default())?;
        check_filterable(&filter, schema)
    }

    #[test]
    fn selected_fields_pass_and_others_are_named() {
        let schema = json!({"fields": {"b": {"filterable": true}, "a": {"filterable": true}}});
        assert!(
            check(json!({"a": 1, "$or": [{"b": {"$gt": 1}}, {"a": 2}]}), Some(&schema)).is_ok()
        );
        assert!(check(json!({"c": 1}), None).is_ok());
        let error = check(json!({"a": 1, "$or": [{"c": {"$exists": false}}]}), Some(&schema));
        assert_eq!(
            error.unwrap_err().message(),
            "Field 'c' is not filterable: the metadata schema selects only 'a', 'b'"
        );
        let error = check(json!({"c": 1}), Some(&json!({"fields": {}}))).unwrap_err();
        assert!(error.message().ends_with("selects only no field"), "{error}");
    }

    #[test]
    fn absent_and_empty_filters_are_none() {
        let limits = Limits::default();
        assert_eq!(optional(None, &limits).unwrap(), None);
        assert_eq!(optional(Some(&Struct::default()), &limits).unwrap(), None);
        let bad: Struct = serde_json::from_value(json!({"a": {"$near": 1}})).unwrap();
        assert_eq!(optional(Some(&bad), &limits).unwrap_err().kind().http_status(), 400);
    }
}
