//! The scripted workload: every kind of change, with its bookkeeping.

use super::Change;
use super::contents::{Contents, record};
use super::{Books, Violation};

/// One request. Indexes and backups go by letters and names; the books know their ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A new index.
    Create(char),
    /// Stores these keys in this version, in one request.
    Upsert(char, &'static str, &'static [&'static str], u16),
    /// Deletes these keys in one request.
    Delete(char, &'static str, &'static [&'static str]),
    /// Deletes all of a namespace.
    Empty(char, &'static str),
    /// A write of another kind.
    Change(char, Change),
    /// Writes the memtables out.
    Flush,
    /// Builds and merges segments of all indexes until there is nothing left to do.
    Index,
    /// The same, while the reaper goes round and round.
    IndexUnderReaper,
    /// Takes a backup of this name.
    Checkpoint(char, &'static str),
    /// Makes an index from a backup.
    Clone(char, &'static str),
    /// Deletes a backup.
    Unpin(&'static str),
    /// Deletes an index: from here on it is hidden.
    Retire(char),
    /// An hour later, a round of the reaper.
    Reap,
    /// Closes the engine cleanly and opens another one.
    Restart,
}

impl Step {
    /// The index whose records it changes.
    pub(super) fn writes_to(self) -> Option<char> {
        match self {
            Self::Upsert(index, ..)
            | Self::Delete(index, ..)
            | Self::Empty(index, _)
            | Self::Change(index, _) => Some(index),
            Self::Create(_)
            | Self::Flush
            | Self::Index
            | Self::IndexUnderReaper
            | Self::Checkpoint(..)
            | Self::Clone(..)
            | Self::Unpin(_)
            | Self::Retire(_)
            | Self::Reap
            | Self::Restart => None,
        }
    }

    /// What a write makes of the contents of its index; other steps leave them alone.
    pub(super) fn apply(self, contents: &mut Contents) -> Result<(), Violation> {
        match self {
            Self::Upsert(_, space, keys, version) => {
                let held = contents.entry(space.to_owned()).or_default();
                for key in keys {
                    held.insert((*key).to_owned(), record(key, version)?);
                }
            }
            Self::Delete(_, space, keys) => {
                if let Some(held) = contents.get_mut(space) {
                    held.retain(|key, _| !keys.contains(&key.as_str()));
                }
            }
            Self::Empty(_, space) => {
                if let Some(held) = contents.get_mut(space) {
                    held.clear();
                }
            }
            Self::Change(_, change) => change.apply(contents)?,
            Self::Create(_)
            | Self::Flush
            | Self::Index
            | Self::IndexUnderReaper
            | Self::Checkpoint(..)
            | Self::Clone(..)
            | Self::Unpin(_)
            | Self::Retire(_)
            | Self::Reap
            | Self::Restart => {}
        }
        Ok(())
    }

    /// The states of an index before and after this request, of which a crash may leave either.
    pub(super) fn both_sides(
        self,
        books: &Books,
        index: char,
    ) -> Result<(Contents, Contents), Violation> {
        let before = books.contents(index)?.clone();
        let mut after = before.clone();
        if self.writes_to() == Some(index) {
            self.apply(&mut after)?;
        }
        Ok((before, after))
    }
}

/// The workload: the life of an index, a clone of it and a clone of the clone, in which every
/// ancestor is deleted while a descendant still reads its files.
pub const LIFE_OF_THREE: &[Step] = &[
    Step::Create('a'),
    Step::Upsert('a', "", &["k0", "k1", "k2", "k3"], 1),
    Step::Upsert('a', "other", &["k0", "k1", "k2"], 2),
    Step::Upsert('a', "", &["k2", "k3", "k4", "k5"], 3),
    Step::Delete('a', "", &["k0", "k5", "unknown"]),
    Step::Flush,
    Step::Upsert('a', "other", &["k5", "k6"], 4),
    Step::Checkpoint('a', "first"),
    Step::Upsert('a', "", &["k1", "late"], 5),
    Step::Empty('a', "other"),
    Step::Upsert('a', "other", &["k1", "k9"], 6),
    Step::Clone('b', "first"),
    Step::Upsert('b', "", &["k1", "k2", "mine"], 7),
    Step::Delete('b', "other", &["k0", "k5"]),
    Step::Checkpoint('b', "second"),
    Step::Clone('c', "second"),
    Step::Flush,
    Step::Empty('b', ""),
    Step::Upsert('b', "new", &["k1", "k2"], 8),
    Step::Unpin("first"),
    Step::Retire('a'),
    Step::Reap,
    Step::Upsert('c', "", &["k3", "k4", "yours"], 9),
    Step::Reap,
    Step::Restart,
    Step::Unpin("second"),
    Step::Reap,
    Step::Reap,
    Step::Retire('b'),
    Step::Reap,
    Step::Delete('c', "", &["mine", "yours"]),
    Step::Reap,
    Step::Reap,
];

/// The workload of the other writes: parts of records, matches of filters, namespaces, aliases and
/// staged records, in an index and in a clone that was made while records were staged.
pub const LIFE_OF_NAMES: &[Step] = &[
    Step::Create('a'),
    Step::Upsert('a', "", &["k0", "k1", "k2", "k3"], 1),
    Step::Change('a', Change::Revise("", "k1", 2)),
    Step::Change('a', Change::Update("", "k2", 3)),
    Step::Change('a', Change::CreateSpace("made")),
    Step::Change('a', Change::Stage("in", &["k0", "k1"], 4, 2)),
    Step::Change('a', Change::Stage("in", &["k2"], 4, 3)),
    Step::Flush,
    Step::Change('a', Change::Stage("two", &["k5"], 4, 4)),
    Step::Change('a', Change::Alias("live", "")),
    Step::Checkpoint('a', "first"),
    Step::Change('a', Change::ReviseMatching("", 2, 1)),
    Step::Change('a', Change::Commit(&[("in", &["k0", "k1", "k2"]), ("two", &["k5"])], 4)),
    Step::Change('a', Change::Repoint("live", "in")),
    Step::Change('a', Change::Revise("in", "k0", 9)),
    Step::Flush,
    Step::Change('a', Change::DeleteMatching("in", 9)),
    Step::Change('a', Change::DropSpace("made")),
    Step::Clone('b', "first"),
    Step::Upsert('b', "in", &["k0"], 7),
    Step::Change('b', Change::Revise("", "k1", 8)),
    Step::Change('b', Change::Unalias("live")),
    Step::Change('b', Change::Stage("later", &["k1"], 8, 1)),
    Step::Restart,
    Step::Change('b', Change::Abort),
    Step::Checkpoint('b', "second"),
];

const MANY: &[&str] =
    &["m00", "m01", "m02", "m03", "m04", "m05", "m06", "m07", "m08", "m09", "m10", "m11"];
const MORE: &[&str] =
    &["m08", "m09", "m10", "m11", "m12", "m13", "m14", "m15", "m16", "m17", "m18", "m19"];

/// The workload of segments: an index, a clone and a clone of the clone, which are indexed, changed,
/// merged, backed up and deleted while others still need their segments. In the end all of it is
/// deleted.
pub const LIFE_OF_SEGMENTS: &[Step] = &[
    Step::Create('a'),
    Step::Upsert('a', "", MANY, 1),
    Step::Index,
    Step::Upsert('a', "", &["m00", "m01", "x0"], 2),
    Step::Change('a', Change::Revise("", "m05", 3)),
    Step::Delete('a', "", &["m02", "m03"]),
    Step::Checkpoint('a', "first"),
    Step::Upsert('a', "", MORE, 4),
    Step::Index,
    Step::Reap,
    Step::Upsert('a', "other", MANY, 5),
    Step::IndexUnderReaper,
    Step::Clone('b', "first"),
    Step::Change('b', Change::ReviseMatching("", 2, 1)),
    Step::Upsert('b', "", MORE, 6),
    Step::Flush,
    Step::IndexUnderReaper,
    Step::Checkpoint('b', "second"),
    Step::Change('b', Change::DeleteMatching("", 6)),
    Step::Restart,
    Step::Empty('a', ""),
    Step::Upsert('a', "", MANY, 7),
    Step::Change('a', Change::DropSpace("other")),
    Step::Index,
    Step::Unpin("first"),
    Step::Retire('a'),
    Step::Reap,
    Step::Clone('c', "second"),
    Step::Upsert('c', "new", MANY, 8),
    Step::Index,
    Step::Unpin("second"),
    Step::Retire('b'),
    Step::Reap,
    Step::Delete('c', "", MANY),
    Step::Index,
    Step::Restart,
    Step::Reap,
    Step::Retire('c'),
    Step::Reap,
];
