//! Checks the selection of filterable metadata that an index is created with.
//!
//! It is kept and given back exactly as it was sent.

use serde_json::Value;

use crate::ApiError;

/// Fields that a selection can name.
pub(super) const FIELDS_MAX: usize = 50;

pub(super) fn check(schema: Value) -> Result<Value, ApiError> {
    let fields = schema
        .get("fields")
        .and_then(Value::as_object)
        .ok_or_else(|| ApiError::invalid("schema must hold 'fields', an object of field names"))?;
    if fields.len() > FIELDS_MAX {
        return Err(ApiError::invalid(format!(
            "schema can name at most {FIELDS_MAX} fields, got {}",
            fields.len()
        )));
    }
    for (name, field) in fields {
        if name.is_empty() || name.starts_with(['$', '_']) {
            return Err(ApiError::invalid(format!(
                "Field name '{}' in schema must not be empty or start with '$' or '_'",
                name.escape_default()
            )));
        }
        match field.get("filterable") {
            Some(Value::Bool(true)) => {}
            Some(Value::Bool(false)) => {
                return Err(ApiError::invalid(format!(
                    "Field '{name}' is set to filterable: false. Only filterable: true is \
                     supported."
                )));
            }
            _ => {
                return Err(ApiError::invalid(format!(
                    "Field '{name}' in schema must be {{\"filterable\": true}}"
                )));
            }
        }
    }
    Ok(schema)
}
