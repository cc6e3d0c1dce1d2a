//! Checks read capacity, for a new index and for a change.

use lodgepole_types::{DedicatedCapacity, ReadCapacity};

use crate::ApiError;
use crate::wire::capacity::{DedicatedRequest, ManualRequest, ReadCapacityRequest};

const NODE_TYPES: [&str; 2] = ["b1", "t1"];

/// Reads the capacity of a new index: everything must be said.
pub(super) fn new_capacity(request: Option<ReadCapacityRequest>) -> Result<ReadCapacity, ApiError> {
    let Some(request) = request else { return Ok(ReadCapacity::OnDemand) };
    changed_capacity(request, &ReadCapacity::OnDemand)
}

/// Reads a change: what is not said stays as it is.
pub(super) fn changed_capacity(
    request: ReadCapacityRequest,
    before: &ReadCapacity,
) -> Result<ReadCapacity, ApiError> {
    let before = match before {
        ReadCapacity::OnDemand => None,
        ReadCapacity::Dedicated(dedicated) => Some(dedicated),
    };
    let mode = match request.mode.as_deref() {
        Some(mode) => mode,
        None if request.dedicated.is_some() && before.is_some() => "Dedicated",
        None => return Err(missing("mode")),
    };
    match mode {
        "OnDemand" if request.dedicated.is_some() => {
            Err(ApiError::invalid("read_capacity.dedicated must not be given with mode 'OnDemand'"))
        }
        "OnDemand" => Ok(ReadCapacity::OnDemand),
        "Dedicated" => dedicated(request.dedicated.unwrap_or_default(), before),
        other => Err(ApiError::invalid(format!(
            "read_capacity.mode must be 'OnDemand' or 'Dedicated', got '{}'",
            other.escape_default()
        ))),
    }
}

fn dedicated(
    request: DedicatedRequest,
    before: Option<&DedicatedCapacity>,
) -> Result<ReadCapacity, ApiError> {
    let node_type = request
        .node_type
        .or_else(|| before.map(|before| before.node_type.clone()))
        .ok_or_else(|| missing("dedicated.node_type"))?;
    if !NODE_TYPES.contains(&node_type.as_str()) {
        return Err(ApiError::invalid(format!(
            "read_capacity.dedicated.node_type must be 'b1' or 't1', got '{}'",
            node_type.escape_default()
        )));
    }
    match request.scaling.as_deref() {
        Some("Manual") => {}
        None if before.is_some() => {}
        None => return Err(missing("dedicated.scaling")),
        Some(other) => {
            return Err(ApiError::invalid(format!(
                "read_capacity.dedicated.scaling must be 'Manual', got '{}'",
                other.escape_default()
            )));
        }
    }
    let ManualRequest { replicas, shards } = request.manual.unwrap_or_default();
    let replicas = count("replicas", replicas, before.map(|before| before.replicas), 0)?;
    let shards = count("shards", shards, before.map(|before| before.shards), 1)?;
    Ok(ReadCapacity::Dedicated(DedicatedCapacity { node_type, replicas, shards }))
}

fn count(name: &str, value: Option<i64>, before: Option<u32>, min: u32) -> Result<u32, ApiError> {
    let Some(value) = value else {
        return before.ok_or_else(|| missing(&format!("dedicated.manual.{name}")));
    };
    u32::try_from(value).ok().filter(|count| *count >= min).ok_or_else(|| {
        ApiError::invalid(format!(
            "read_capacity.dedicated.manual.{name} must be at least {min}, got {value}"
        ))
    })
}

fn missing(name: &str) -> ApiError {
    ApiError::invalid(format!("read_capacity.{name} is required"))
}

#[cfg(test)]
mod tests {
    //! Goal: both modes are checked and merged. Method: JSON in, domain out.
    use super::*;

    fn read(json: &str, before: &ReadCapacity) -> Result<ReadCapacity, ApiError> {
        changed_capacity(serde_json::from_str(json).unwrap(), before)
    }

    const FULL: &str = r#"{"mode":"Dedicated","dedicated":{"node_type":"t1","scaling":"Manual",
        "manual":{"replicas":2,"shards":1}}}"#;

    #[test]
    fn both_modes_are_read() {
        assert_eq!(new_capacity(None).unwrap(), ReadCapacity::OnDemand);
        let before = ReadCapacity::OnDemand;
        assert_eq!(read(r#"{"mode":"OnDemand"}"#, &before).unwrap(), ReadCapacity::OnDemand);
        let wanted = DedicatedCapacity { node_type: "t1".to_owned(), replicas: 2, shards: 1 };
        assert_eq!(read(FULL, &before).unwrap(), ReadCapacity::Dedicated(wanted));
    }

    #[test]
    fn a_change_keeps_what_it_does_not_say() {
        let before = read(FULL, &ReadCapacity::OnDemand).unwrap();
        let json = r#"{"mode":"Dedicated","dedicated":{"manual":{"replicas":0}}}"#;
        let wanted = DedicatedCapacity { node_type: "t1".to_owned(), replicas: 0, shards: 1 };
        assert_eq!(read(json, &before).unwrap(), ReadCapacity::Dedicated(wanted));
        assert!(read(json, &ReadCapacity::OnDemand).is_err());
    }

    #[test]
    fn wrong_parts_are_named() {
        let before = ReadCapacity::OnDemand;
        for (json, name) in [
            ("{}", "read_capacity.mode"),
            (r#"{"mode":"Fast"}"#, "read_capacity.mode"),
            (r#"{"mode":"Dedicated"}"#, "node_type"),
            (&FULL.replace("t1", "x9"), "node_type"),
            (&FULL.replace("Manual\"", "Auto\""), "scaling"),
            (&FULL.replace("\"shards\":1", "\"shards\":0"), "shards"),
            (&FULL.replace("\"replicas\":2", "\"replicas\":-1"), "replicas"),
            (&FULL.replace("Dedicated", "OnDemand"), "dedicated"),
        ] {
            let error = read(json, &before).unwrap_err();
            assert!(error.message().contains(name), "{json}: {error}");
        }
    }
}
