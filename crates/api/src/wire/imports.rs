//! Messages about bulk imports. They are camelCase, and only REST has them.

use lodgepole_types::Import;
use serde::{Deserialize, Serialize};

use crate::ApiVersion;
use crate::page::Pagination;

/// Start an import.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct StartImportRequest {
    /// Where the files are; required.
    pub uri: Option<String>,
    /// The credentials that Pinecone would read it with.
    #[serde(rename = "integrationId", alias = "integration_id")]
    pub integration_id: Option<String>,
    /// What a bad record does.
    #[serde(rename = "errorMode", alias = "error_mode")]
    pub error_mode: Option<ErrorModeRequest>,
}

/// What a bad record does.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct ErrorModeRequest {
    /// `abort` or `continue`, in any case of letters.
    #[serde(rename = "onError", alias = "on_error")]
    pub on_error: Option<String>,
}

/// Answer to [`StartImportRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StartImportReply {
    /// The import to watch.
    pub id: String,
}

/// Answer to a cancellation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct CancelImportReply {}

/// An import.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportReply {
    id: String,
    uri: String,
    status: &'static str,
    created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_at: Option<String>,
    percent_complete: f32,
    records_imported: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    validation_result: Option<ValidationResult>,
}

/// Rows by what became of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct ValidationResult {
    import_successes: u64,
    import_errors: u64,
}

impl ImportReply {
    /// An import as `version` shows it.
    #[must_use]
    pub fn of(import: &Import, version: ApiVersion) -> Self {
        let validation_result =
            (version.validates_imports() && import.has_ended()).then_some(ValidationResult {
                import_successes: import.records_imported,
                import_errors: import.rows_skipped,
            });
        Self {
            id: import.id.to_string(),
            uri: import.uri.clone(),
            status: import.status.as_str(),
            created_at: import.created_at.rfc3339(),
            finished_at: import.finished_at.map(lodgepole_types::Timestamp::rfc3339),
            percent_complete: (import.percent_complete * 10.0).round() / 10.0,
            records_imported: import.records_imported,
            error: import.error.clone(),
            validation_result,
        }
    }
}

/// A page of imports, newest first.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ImportList {
    /// The imports.
    pub data: Vec<ImportReply>,
    /// Where the next page begins; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pagination: Option<Pagination>,
}

#[cfg(test)]
mod tests {
    //! Goal: an import is printed as each version has it. Method: whole texts.
    use lodgepole_types::{ImportErrorMode, ImportId, ImportStatus, IndexId, Timestamp};

    use super::*;

    fn import() -> Import {
        Import {
            id: ImportId::parse("00000000-0000-0000-0000-000000000007").unwrap(),
            index_id: IndexId::parse("00000000-0000-0000-0000-000000000001").unwrap(),
            uri: "s3://bucket/imports".to_owned(),
            error_mode: ImportErrorMode::Continue,
            status: ImportStatus::Committing,
            created_at: Timestamp(1_000),
            finished_at: None,
            percent_complete: 42.26,
            records_imported: 5,
            rows_skipped: 2,
            error: None,
            staged: true,
        }
    }

    #[test]
    fn an_import_under_way_has_no_end() {
        let text = serde_json::to_string(&ImportReply::of(&import(), ApiVersion::V2026_07));
        assert_eq!(
            text.unwrap(),
            r#"{"id":"00000000-0000-0000-0000-000000000007","uri":"s3://bucket/imports","status":"InProgress","createdAt":"1970-01-01T00:00:01.000Z","percentComplete":42.3,"recordsImported":5}"#
        );
    }

    #[test]
    fn an_ended_import_says_how_and_newer_versions_say_more() {
        let ended = Import {
            status: ImportStatus::Failed,
            finished_at: Some(Timestamp(2_000)),
            error: Some("User error: no".to_owned()),
            ..import()
        };
        let print = |version| serde_json::to_value(ImportReply::of(&ended, version)).unwrap();
        let old = print(ApiVersion::V2026_04);
        assert_eq!(old["finishedAt"], "1970-01-01T00:00:02.000Z");
        assert_eq!((&old["status"], &old["error"]), (&"Failed".into(), &"User error: no".into()));
        assert!(old.get("validationResult").is_none());
        let new = print(ApiVersion::V2026_07);
        assert_eq!(
            new["validationResult"],
            serde_json::json!({"importSuccesses": 5, "importErrors": 2})
        );
    }
}
