//! What is wrong with a stored row.
//!
//! Invariant: the message names the kind of row and nothing that it holds. One type for all kinds:
//! no caller treats a damaged row of one kind in another way than that of another.

/// A stored value that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a stored {0} row is damaged or of a newer format; if a newer version of Lodgepole has written \
     here, use that one, or a later one"
)]
pub struct RowError(pub(crate) &'static str);

impl RowError {
    /// The record and the vector row of one record belong to different versions.
    pub fn unmatched() -> Self {
        Self("record or vector")
    }

    /// A namespace's row says what it cannot say.
    pub fn of_namespace() -> Self {
        Self("namespace")
    }

    /// The dead rows of a segment say what they cannot say.
    pub fn of_deletions() -> Self {
        Self("segment deletions")
    }

    /// A backup names a segment that cannot be one.
    pub fn of_segment_name() -> Self {
        Self("backup")
    }

    /// A record's row says what it cannot say.
    pub fn of_record() -> Self {
        Self("record")
    }

    /// Stored metadata cannot be decoded.
    pub fn damaged_metadata() -> Self {
        Self("record")
    }
}
