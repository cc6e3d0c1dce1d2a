//! What can be wrong with a file, and with a row of it.
//!
//! Messages are for the caller of the API, in Pinecone's wording where it documents one.

use std::io;

/// Why a file cannot be imported.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Its bytes could not be read. That says nothing about the file; reading may be tried again.
    #[error("the file cannot be read: {0}")]
    Unreadable(#[source] io::Error),
    /// It is no Parquet file of the documented layout.
    #[error("{0}")]
    Invalid(String),
}

/// Why a row is no record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RowError(pub String);

impl RowError {
    pub(crate) fn missing(column: &str) -> Self {
        Self(format!("missing required values in column \"{column}\""))
    }
}
