//! What is to go wrong, and when.

use std::collections::BTreeMap;
use std::fmt;

/// What an operation on a store does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OperationKind {
    /// A put that replaces.
    Put,
    /// A put that must not replace.
    Create,
    /// A put that replaces a known version.
    Update,
    /// The end of a multipart upload. Its start and its parts change nothing and are not counted.
    CompleteUpload,
    /// A delete of one object.
    Delete,
    /// A copy.
    Copy,
    /// A rename.
    Rename,
    /// A read of an object or of ranges of it.
    Get,
    /// A listing.
    List,
}

impl OperationKind {
    /// Whether it changes the store.
    #[must_use]
    pub fn is_change(self) -> bool {
        !matches!(self, Self::Get | Self::List)
    }

    /// The kind in a word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Create => "create",
            Self::Update => "update",
            Self::CompleteUpload => "complete upload",
            Self::Delete => "delete",
            Self::Copy => "copy",
            Self::Rename => "rename",
            Self::Get => "get",
            Self::List => "list",
        }
    }
}

/// One operation as it reached the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// Its number among the changes, or among the reads, from 1.
    pub number: u64,
    /// What it does.
    pub kind: OperationKind,
    /// The object, or the prefix that is listed; for copy and rename the target.
    pub path: String,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let class = if self.kind.is_change() { "change" } else { "read" };
        write!(f, "{class} {}: {} {}", self.number, self.kind.name(), self.path)
    }
}

/// Whether a fault comes before the operation has taken effect or after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timing {
    /// It has no effect.
    Before,
    /// It takes effect, but its answer is lost.
    After,
}

/// Whether the error of a fault invites SlateDB to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// It does, as a time-out would.
    Invited,
    /// It must not try again.
    Refused,
}

/// What happens to one operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is carried out.
    Pass,
    /// Something goes wrong.
    Fault(Action, Timing),
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// This operation is answered with an error.
    Fail(Retry),
    /// This operation and every later one is answered with an error.
    Crash,
}

/// Decides about each operation, in the order of their arrival.
pub(super) type Judge = Box<dyn FnMut(&Operation) -> Verdict + Send>;

/// The faults that are still to come.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) changes: BTreeMap<u64, Verdict>,
    pub(super) reads: BTreeMap<u64, Verdict>,
    pub(super) judge: Option<Judge>,
}

impl Plan {
    /// The verdict on an operation: the fault set for its number, else the judge's.
    pub(super) fn verdict(&mut self, operation: &Operation) -> Verdict {
        let numbered = if operation.kind.is_change() { &mut self.changes } else { &mut self.reads };
        numbered
            .remove(&operation.number)
            .unwrap_or_else(|| self.judge.as_mut().map_or(Verdict::Pass, |judge| judge(operation)))
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan")
            .field("changes", &self.changes)
            .field("reads", &self.reads)
            .field("judge", &self.judge.is_some())
            .finish()
    }
}
