//! The one table from a kind of failure to its codes on both transports.
//!
//! A kind is prescriptive: it tells the caller what to do. Every crate classifies its own small
//! error enums through [`Classify`] by an exhaustive match, so a new variant does not compile until
//! somebody has decided what the caller should do about it. HTTP and gRPC numbers stand here and
//! nowhere else. There is no "unimplemented": clients retry every 5xx, so what is not supported is
//! an [`ErrorKind::InvalidArgument`] with a clear message.

/// What went wrong, as far as the caller is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// Fix the request.
    InvalidArgument,
    /// The body is JSON, but not of the wanted shape (control plane): fix the request.
    Unprocessable,
    /// Send a valid API key.
    Unauthenticated,
    /// Remove the protection, or lower what is asked for.
    Forbidden,
    /// Use a key with the right role.
    PermissionDenied,
    /// Check the name.
    NotFound,
    /// Use the existing one, or another name.
    AlreadyExists,
    /// Somebody else changed it meanwhile: read it again, then retry.
    Conflict,
    /// Wait, or change the state first.
    FailedPrecondition,
    /// Send less at once.
    PayloadTooLarge,
    /// Wait, then retry.
    RateLimited,
    /// Retry with a longer limit.
    DeadlineExceeded,
    /// Retry with back-off. The outcome of a write is unknown: all of it or nothing.
    Unavailable,
    /// Stored data is damaged: restore a backup.
    DataLoss,
    /// A defect of Lodgepole: report it.
    Internal,
}

impl ErrorKind {
    /// Every kind, for tables and tests.
    pub const ALL: [Self; 15] = [
        Self::InvalidArgument,
        Self::Unprocessable,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::PermissionDenied,
        Self::NotFound,
        Self::AlreadyExists,
        Self::Conflict,
        Self::FailedPrecondition,
        Self::PayloadTooLarge,
        Self::RateLimited,
        Self::DeadlineExceeded,
        Self::Unavailable,
        Self::DataLoss,
        Self::Internal,
    ];

    /// The row of the table: code string of the control plane, HTTP status, gRPC code.
    #[must_use]
    pub fn codes(self) -> (&'static str, u16, i32) {
        match self {
            Self::InvalidArgument => ("INVALID_ARGUMENT", 400, 3),
            Self::Unprocessable => ("UNPROCESSABLE_ENTITY", 422, 3),
            Self::Unauthenticated => ("UNAUTHENTICATED", 401, 16),
            Self::Forbidden => ("FORBIDDEN", 403, 7),
            Self::PermissionDenied => ("PERMISSION_DENIED", 403, 7),
            Self::NotFound => ("NOT_FOUND", 404, 5),
            Self::AlreadyExists => ("ALREADY_EXISTS", 409, 6),
            Self::Conflict => ("ABORTED", 409, 10),
            Self::FailedPrecondition => ("FAILED_PRECONDITION", 412, 9),
            Self::PayloadTooLarge => ("PAYLOAD_TOO_LARGE", 413, 11),
            Self::RateLimited => ("RESOURCE_EXHAUSTED", 429, 8),
            Self::DeadlineExceeded => ("DEADLINE_EXCEEDED", 504, 4),
            Self::Unavailable => ("UNAVAILABLE", 503, 14),
            Self::DataLoss => ("DATA_LOSS", 500, 15),
            Self::Internal => ("INTERNAL", 500, 13),
        }
    }

    /// The HTTP status.
    #[must_use]
    pub fn http_status(self) -> u16 {
        self.codes().1
    }

    /// The gRPC status code.
    #[must_use]
    pub fn grpc_code(self) -> i32 {
        self.codes().2
    }

    /// Whether the fault is on our side, so that the cause must not reach the caller.
    #[must_use]
    pub fn is_ours(self) -> bool {
        self.http_status() >= 500
    }
}

/// Says what the caller should do about an error.
pub trait Classify: std::error::Error {
    /// The kind of this error.
    fn kind(&self) -> ErrorKind;
}

#[cfg(test)]
mod tests {
    //! Goal: the table stays unambiguous. Method: no two kinds share a code string.
    use super::*;

    #[test]
    fn every_kind_has_its_own_code_string() {
        let mut names: Vec<_> = ErrorKind::ALL.iter().map(|kind| kind.codes().0).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ErrorKind::ALL.len());
    }

    #[test]
    fn nothing_answers_501() {
        assert!(ErrorKind::ALL.iter().all(|kind| kind.http_status() != 501));
    }
}
