//! The one error that operations answer with.
//!
//! It has two messages: `message` is for the caller, `source` is for the log. Invariant: the cause
//! of a fault of ours (a 5xx kind) never becomes part of `message`, whichever way the error was
//! made. The kind decides status and code on both transports (`types::ErrorKind`). Errors about
//! aliases also have a [`Reason`], for programs.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;

use lodgepole_types::{Classify, ErrorKind};

use crate::Reason;

/// Why an operation was refused or failed.
#[derive(Debug)]
pub struct ApiError {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn Error + Send + Sync>>,
    because: Option<Box<Because>>,
}

/// What an error says to programs beside its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Because {
    /// The constant.
    pub reason: Reason,
    /// What it is about, by name.
    pub metadata: BTreeMap<String, String>,
}

impl ApiError {
    /// An error the caller can act on. For a 5xx kind the message is replaced by a general one.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let message = if kind.is_ours() { general(kind).to_owned() } else { message.into() };
        Self { kind, message, source: None, because: None }
    }

    /// The request must be fixed: 400.
    #[must_use]
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidArgument, message)
    }

    /// Something that Pinecone has and this release has not: 400, because clients retry every 5xx.
    /// `what` starts the sentence, in the plural.
    #[must_use]
    pub fn not_served(what: &str) -> Self {
        Self::invalid(format!("{what} are not served by this release of Lodgepole"))
    }

    /// The body is not of the wanted shape: 422, with Pinecone's wording.
    #[must_use]
    pub fn undecodable(cause: &dyn fmt::Display) -> Self {
        Self::new(
            ErrorKind::Unprocessable,
            format!("Failed to deserialize the JSON body into the target type: {cause}"),
        )
    }

    /// There is no such thing: 404, "`resource` `name` not found."
    #[must_use]
    pub fn not_found(resource: &str, name: &dyn fmt::Display) -> Self {
        Self::new(ErrorKind::NotFound, format!("{resource} {name} not found."))
    }

    /// The name is taken: 409.
    #[must_use]
    pub fn already_exists() -> Self {
        Self::new(ErrorKind::AlreadyExists, "Resource already exists.")
    }

    /// The state does not allow it now: 412.
    #[must_use]
    pub fn precondition(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::FailedPrecondition, message)
    }

    /// It is not allowed: 403.
    #[must_use]
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Forbidden, message)
    }

    /// A fault of ours; `source` goes to the log only.
    #[must_use]
    pub fn internal(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(ErrorKind::Internal, "").caused_by(source)
    }

    /// The same error with its cause, for the log.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The same error with a reason for programs, and what it is about.
    #[must_use]
    pub fn because(mut self, reason: Reason, metadata: &[(&str, &str)]) -> Self {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let metadata = metadata.iter().map(owned).collect();
        self.because = Some(Box::new(Because { reason, metadata }));
        self
    }

    /// The reason for programs, where there is one.
    #[must_use]
    pub fn reason(&self) -> Option<&Because> {
        self.because.as_deref()
    }

    /// What the caller should do.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What the caller reads.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// What a caller may know about a fault of ours.
fn general(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::DeadlineExceeded => "The request took too long. Retry with a longer limit.",
        ErrorKind::Unavailable => {
            "The service is not available at the moment. Retry with back-off. A write that failed \
             was applied as a whole or not at all."
        }
        ErrorKind::DataLoss => "Stored data is damaged. Create the index anew from a backup.",
        ErrorKind::Internal
        | ErrorKind::InvalidArgument
        | ErrorKind::Unprocessable
        | ErrorKind::Unauthenticated
        | ErrorKind::Forbidden
        | ErrorKind::PermissionDenied
        | ErrorKind::NotFound
        | ErrorKind::AlreadyExists
        | ErrorKind::Conflict
        | ErrorKind::FailedPrecondition
        | ErrorKind::PayloadTooLarge
        | ErrorKind::RateLimited => "Internal server error",
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for ApiError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// WHY generic: every crate's errors say their kind, so none needs a conversion of its own. A 4xx
/// shows the error's own sentence; a 5xx hides it.
impl<E: Classify + Send + Sync + 'static> From<E> for ApiError {
    fn from(error: E) -> Self {
        Self::new(error.kind(), error.to_string()).caused_by(error)
    }
}

#[cfg(test)]
mod tests {
    //! Goal: internals never reach the caller. Method: an error that classifies itself as told.
    use super::*;

    #[derive(Debug)]
    struct Failure(ErrorKind);

    impl fmt::Display for Failure {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("secret path")
        }
    }

    impl Error for Failure {}

    impl Classify for Failure {
        fn kind(&self) -> ErrorKind {
            self.0
        }
    }

    #[test]
    fn faults_of_ours_are_hidden_and_keep_their_cause() {
        for kind in ErrorKind::ALL {
            let error = ApiError::from(Failure(kind));
            assert_eq!(error.kind(), kind);
            assert_eq!(error.message() == "secret path", !kind.is_ours());
            assert_eq!(error.source().unwrap().to_string(), "secret path");
        }
    }

    #[test]
    fn a_message_cannot_be_put_on_a_fault_of_ours() {
        assert_eq!(ApiError::new(ErrorKind::Internal, "secret").message(), "Internal server error");
    }
}
