//! Crashes at every change of the store, one after the other, and what is there afterwards.
//!
//! A workload runs over a store that dies at its change number k, before or after that change takes
//! effect. The store is then opened by a fresh engine and compared with the books: everything that
//! was answered is there, the one request in flight is there as a whole or not at all, every backup
//! that was answered can still be cloned and equals its cut. Then the request is repeated (or what
//! it left is discarded), the rest of the workload runs, and at the end nothing may be missing, and
//! nothing be left of what was deleted. k counts up until the workload ends without a crash.
//!
//! * [`Step`], [`LIFE_OF_THREE`], [`LIFE_OF_NAMES`], [`LIFE_OF_SEGMENTS`]: the workloads.
//! * [`Books`], [`Contents`]: the model of what was answered.
//! * [`sweep`]: the loop over k, for one caller with one request in flight.
//! * [`crowd`]: the same with concurrent writers and backups.
//! * [`calls`]: the same one level higher, with catalog, start-up recovery and restores.
//! * [`Mutant`]: defects put in on purpose; a suite that cannot fail proves nothing.
//!
//! INVARIANT: everything runs in virtual time on one thread per run ([`in_virtual_time`]), so that
//! no result depends on the speed of the machine.

mod books;
pub mod calls;
mod change;
pub(crate) mod contents;
pub mod crowd;
mod dated;
mod script;
pub(crate) mod sweep;
mod time;
pub(crate) mod world;

#[cfg(test)]
mod tests;

pub use books::{BackupEntry, Books, IndexEntry, Life};
pub use change::Change;
pub use contents::{Contents, Records, judge, read, shape};
pub use dated::{DatedStore, Disk};
pub use script::{LIFE_OF_NAMES, LIFE_OF_SEGMENTS, LIFE_OF_THREE, Step};
pub use sweep::{CrashPoint, Report, history, sweep};
pub use time::{VirtualClock, in_virtual_time};
pub use world::{Mutant, World};

/// A broken promise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Something that was answered is not there, or something is there that nobody wrote.
    #[error("lost: {0}")]
    Lost(String),
    /// A request is there in part.
    #[error("torn: {0}")]
    Torn(String),
    /// Two ways of reading do not agree.
    #[error("disagreement: {0}")]
    Disagreement(String),
    /// A read failed that must work.
    #[error("unreadable: {0}")]
    Unreadable(String),
    /// An operation failed although the store works.
    #[error("failed: {0}")]
    Unexpected(String),
    /// Files stayed of something that was removed.
    #[error("left behind: {0}")]
    Leftover(String),
    /// The run waits for something that never comes.
    #[error("the run does not end: {0}")]
    Stuck(String),
}

impl Violation {
    /// The same, with where it was seen.
    #[must_use]
    pub(crate) fn at(self, place: &str) -> Self {
        match self {
            Self::Lost(what) => Self::Lost(format!("{place}: {what}")),
            Self::Torn(what) => Self::Torn(format!("{place}: {what}")),
            Self::Disagreement(what) => Self::Disagreement(format!("{place}: {what}")),
            Self::Unreadable(what) => Self::Unreadable(format!("{place}: {what}")),
            Self::Unexpected(what) => Self::Unexpected(format!("{place}: {what}")),
            Self::Leftover(what) => Self::Leftover(format!("{place}: {what}")),
            Self::Stuck(what) => Self::Stuck(format!("{place}: {what}")),
        }
    }

    /// Whether a promise about data is broken.
    #[must_use]
    pub fn is_loss_or_torn(&self) -> bool {
        self.is_loss() || matches!(self, Self::Torn(_))
    }

    /// Whether answered data is gone or cannot be read.
    #[must_use]
    pub fn is_loss(&self) -> bool {
        matches!(self, Self::Lost(_) | Self::Unreadable(_) | Self::Disagreement(_))
    }
}

/// An error with all its causes.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
