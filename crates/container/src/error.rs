//! What can go wrong with a segment.
//!
//! A segment is derived from the records and can be built again, so whoever meets a damaged one
//! drops it and rebuilds. INVARIANT: nothing that was read from a damaged part leaves this crate.

use lodgepole_types::{Classify, ErrorKind};

use crate::Section;

/// A segment that cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    /// Bytes are not what was written, or contradict each other.
    #[error("a segment is damaged ({}); it is rebuilt from the records", section.name())]
    Damaged {
        /// Where. [`Section::Container`] stands for the header and the footer.
        section: Section,
    },
    /// A release that this one does not know has written it.
    #[error(
        "a segment has format {found}, which this release does not know; use a newer release, or let it be rebuilt from the records"
    )]
    Version {
        /// The format that it says it has.
        found: u32,
    },
    /// The end is missing.
    #[error("a segment is cut off; it is rebuilt from the records")]
    Truncated,
    /// The bytes could not be written.
    #[error("a segment could not be written")]
    Io(#[from] std::io::Error),
    /// More than the format can number.
    #[error("a segment would be too large ({what}); build several smaller ones")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
    },
    /// A row that cannot stand in the segment that is being built: a defect of the caller's.
    #[error("a row does not fit the segment ({what})")]
    Row {
        /// What is wrong with it.
        what: &'static str,
    },
    /// The builder was asked to stop.
    #[error("the building of a segment was stopped")]
    Stopped,
    /// The bytes do not start at a multiple of 64: a defect
    /// of the caller's.
    #[error("the memory of a segment is not aligned")]
    Misaligned,
    /// A section begun twice, within another one, or never: a defect of the writer's.
    #[error("the sections of a segment were written out of order ({})", section.name())]
    Order {
        /// The section.
        section: Section,
    },
}

impl SegmentError {
    /// Damage in `section`, for `ok_or`.
    #[must_use]
    pub fn damaged(section: Section) -> Self {
        Self::Damaged { section }
    }
}

impl Classify for SegmentError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Damaged { .. } | Self::Truncated => ErrorKind::DataLoss,
            Self::Version { .. } => ErrorKind::FailedPrecondition,
            Self::Io(_) | Self::Stopped => ErrorKind::Unavailable,
            Self::TooLarge { .. } | Self::Row { .. } | Self::Misaligned | Self::Order { .. } => {
                ErrorKind::Internal
            }
        }
    }
}
