//! Messages about the structures that queries search. They are ours, and on REST only.

use serde::{Deserialize, Serialize};

/// Make namespaces ready for queries.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct WarmUpRequest {
    /// One namespace in any of its spellings, of which the empty text is one; absent for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// Answer to [`WarmUpRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WarmUpResponse {
    /// Namespaces that were looked at.
    pub namespaces: u64,
    /// Those of them for which there is no room in memory: their queries read from storage.
    pub too_large: u64,
}

/// How the search of an index stands. It counts what is in memory.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SearchStateResponse {
    /// Namespaces in memory.
    pub namespaces: u64,
    /// Versions of records that are in no segment, dead ones included.
    pub tail_rows: u64,
    /// Their bytes in memory.
    pub tail_bytes: u64,
    /// Segments in use.
    pub segments: u64,
    /// Versions of records in segments, dead ones included.
    pub segment_rows: u64,
    /// Those of them that are dead.
    pub dead_rows: u64,
    /// Bytes of segments, mapped from their files.
    pub segment_bytes: u64,
    /// Those of them that every query looks at.
    pub resident_bytes: u64,
    /// Namespaces that wait to be indexed.
    pub waiting_namespaces: u64,
    /// How long the first of them has waited; absent when none waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_age_seconds: Option<f64>,
}

#[cfg(test)]
mod tests {
    //! Goal: the JSON is what docs/search.md says. Method: text by hand.
    use super::*;

    #[test]
    fn no_namespace_is_told_from_the_default_one() {
        let read = |json| serde_json::from_str::<WarmUpRequest>(json).unwrap().namespace;
        assert_eq!(read("{}"), None);
        assert_eq!(read(r#"{"namespace":null}"#), None);
        assert_eq!(read(r#"{"namespace":""}"#), Some(String::new()));
    }

    #[test]
    fn an_age_stands_there_only_if_something_waits() {
        let mut state = SearchStateResponse::default();
        let json = serde_json::to_string(&state).unwrap();
        assert_eq!(
            json,
            r#"{"namespaces":0,"tailRows":0,"tailBytes":0,"segments":0,"segmentRows":0,"deadRows":0,"segmentBytes":0,"residentBytes":0,"waitingNamespaces":0}"#
        );
        state.queue_age_seconds = Some(0.25);
        assert!(serde_json::to_string(&state).unwrap().ends_with(r#""queueAgeSeconds":0.25}"#));
    }
}
